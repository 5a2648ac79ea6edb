/* SPDX-License-Identifier: Apache-2.0 */
/* Private to application/telemetry: the trace's settings, rings and file. */
#ifndef PX_APPLICATION_TELEMETRY_TRACE_IMPL_H
#define PX_APPLICATION_TELEMETRY_TRACE_IMPL_H

#include "application/telemetry/trace.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/types.h>

enum {
    TRACE_RING_RECORDS = 64, /* of one loop; a power of two */
    TRACE_PATH_MAX = 255,
    TRACE_NAME_WORDS = PX_TRACE_NAME_MAX / sizeof(uint64_t) + 1, /* the last byte is always 0 */
};

/*
 * Settings of one model, or the global ones. Fields are atomics of their own: a reader may see one changed before another.
 * An entry that overrides nothing is free, and may be taken for another model.
 */
struct px_trace_entry {
    _Atomic uint64_t name[TRACE_NAME_WORDS]; /* its bytes, filled up with 0 */
    _Atomic unsigned own; /* px_trace_key: overridden here; every one of the global entry */
    _Atomic unsigned levels;
    _Atomic uint64_t rate, log_frequency;
    _Atomic int64_t count; /* what is left of it */
    _Atomic uint64_t seen; /* requests, for the rate */
};

/* One loop writes `head`, the writer `tail`; records between them are handed over. */
struct px_trace_ring {
    _Alignas(PX_CACHE_LINE) _Atomic uint64_t head;
    _Alignas(PX_CACHE_LINE) _Atomic uint64_t tail;
    struct px_trace_record *records; /* [TRACE_RING_RECORDS] */
};

/* The file that is written, and which one comes next; the writer's alone. */
struct px_trace_file {
    int fd; /* -1: none is open */
    char path[TRACE_PATH_MAX + 24];
    off_t n_kept; /* its bytes before the closing bracket */
    bool is_numbered;
    uint64_t n_numbered, n_in_newest; /* numbered files, and traces in the newest of them */
    bool has_complained;              /* since the last trace that could be written */
};

struct px_trace {
    struct px_trace_switch state; /* first */
    unsigned n_loops;
    _Atomic uint64_t dropped, next_id;

    pthread_mutex_t mutex;                                  /* of writers of settings */
    struct px_trace_entry entries[PX_TRACE_MODELS_MAX + 1]; /* [0] is global */
    _Atomic size_t n_entries;                               /* that were ever taken */

    struct px_trace_ring *rings; /* NULL without a file */
    char path[TRACE_PATH_MAX + 1];
    struct px_trace_file file;
    pthread_t writer;
    bool has_writer;
    _Atomic bool stopping;
    sem_t committed;
};

/* The writer (trace_file.c). */
PX_MUST_USE enum px_code px_trace_file_start(struct px_trace *trace, struct px_err *err);
void px_trace_file_stop(struct px_trace *trace);

#endif
