/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Triton's trace extension: what happened when to sampled requests, as JSON in a file.
 *
 * Concepts
 * - Settings are global, and any of them may be overridden for a model until it is cleared or the model forgotten. `levels` says what is recorded
 *   (nothing, times, times and tensors), `rate` that every n-th request is, `count` how many more may be (-1: no limit),
 *   `log_frequency` after how many traces a new file begins (0: never; files are then FILE.0, FILE.1, ...).
 * - The file is chosen when the server starts (trace.file); without one nothing can be traced.
 * - A loop writes a record into a ring of its own; a thread writes rings to the file, which is whole JSON after each
 *   write. A full ring drops the trace and counts it: no loop ever waits.
 *
 * Threads: settings anywhere; sampling and records on the loop whose number is given.
 */
#ifndef PX_APPLICATION_TELEMETRY_TRACE_H
#define PX_APPLICATION_TELEMETRY_TRACE_H

#include "domain/inference/tensor.h"
#include "shared/buf.h"

#include <stdatomic.h>

enum px_trace_level { PX_TRACE_TIMESTAMPS = 1, PX_TRACE_TENSORS = 2 }; /* bits; none is OFF */

enum {
    PX_TRACE_MODELS_MAX = 256, /* that have settings of their own */
    PX_TRACE_NAME_MAX = 128,
    PX_TRACE_TENSOR_MAX = 4096, /* bytes of a tensor's values as text; more are left out */
    PX_TRACE_STEPS_MAX = 64,    /* of one request */
    PX_TRACE_STEP_NAME_MAX = 128,
    PX_TRACE_NOTE_MAX = 160, /* bytes of what is said of a step; more are left out */
};

struct px_trace_settings {
    unsigned levels;
    uint64_t rate; /* at least 1 */
    int64_t count; /* -1: no limit */
    uint64_t log_frequency;
};

enum px_trace_key {
    PX_TRACE_KEY_LEVEL = 1,
    PX_TRACE_KEY_RATE = 2,
    PX_TRACE_KEY_COUNT = 4,
    PX_TRACE_KEY_FREQUENCY = 8,
};

/* Settings to be changed, collected first so that all change or none. */
struct px_trace_change {
    unsigned given, cleared; /* px_trace_key */
    struct px_trace_settings to;
};

struct px_trace;

/* `file` may be NULL: nothing can be traced then. PX_E_IO when it cannot be written. */
PX_MUST_USE enum px_code px_trace_create(const char *file, unsigned n_loops, struct px_trace **ret,
                                         struct px_err *err);
void px_trace_destroy(
    struct px_trace *trace); /* after the loops; writes what is left; NULL is fine */

/*
 * One setting by its name on the wire ("trace_level", "trace_rate", ...), with its values as text; none clears it.
 * PX_E_INVALID; PX_E_UNSUPPORTED for what only the configuration sets.
 */
PX_MUST_USE enum px_code px_trace_change_add(struct px_trace_change *change, struct px_str key,
                                             const struct px_str *values, size_t n_values,
                                             struct px_err *err);
/* `model` empty: the global settings, where clearing means the default. */
PX_MUST_USE enum px_code px_trace_update(struct px_trace *trace, struct px_str model,
                                         const struct px_trace_change *change, struct px_err *err);

/* Clears what a model overrides, when it is gone. */
void px_trace_forget(struct px_trace *trace, struct px_str model);

/* What holds for a model, or globally when it is empty. */
void px_trace_read(struct px_trace *trace, struct px_str model, struct px_trace_settings *ret);

/* The same as on the wire: each setting's name and its values. */
enum { PX_TRACE_SHOWN = 6, PX_TRACE_VALUES_MAX = 2 };
struct px_trace_shown {
    const char *key;
    bool is_list; /* trace_level is one even with one value */
    size_t n_values;
    char values[PX_TRACE_VALUES_MAX][256];
};
void px_trace_show(struct px_trace *trace, struct px_str model,
                   struct px_trace_shown shown[PX_TRACE_SHOWN]);

/* Traces that found their ring full, or could not be written. */
uint64_t px_trace_dropped(const struct px_trace *trace);

/* ---- recording ---- */

/* When steps happened, monotonic, in the order of time; 0 is left out. */
enum px_trace_point {
    PX_TRACE_RECEIVED, /* HTTP_RECV_END */
    PX_TRACE_STARTED,  /* REQUEST_START */
    PX_TRACE_QUEUED,   /* QUEUE_START */
    PX_TRACE_COMPUTE_STARTED,
    PX_TRACE_INPUT_ENDED,
    PX_TRACE_OUTPUT_STARTED,
    PX_TRACE_COMPUTE_ENDED,
    PX_TRACE_ENDED, /* REQUEST_END: the reply is encoded */
    PX_TRACE_POINTS,
};

struct px_trace_tensor {
    struct px_str name;
    const struct px_matrix *values;
};

/* A tensor as it is written. */
struct px_trace_text {
    enum px_datatype type; /* PX_TYPE_NONE: there is none */
    char name[PX_TRACE_NAME_MAX + 1], shape[48], values[PX_TRACE_TENSOR_MAX];
};

/* One step of a request whose model is made of steps: a trace of its own, with the request's as its parent. */
struct px_trace_step {
    char name[PX_TRACE_STEP_NAME_MAX + 1]; /* "outer/inner" of a graph inside a graph */
    char note[PX_TRACE_NOTE_MAX + 1];      /* "skipped", "fallback: why"; empty: nothing to say */
    uint64_t start_ns, end_ns;
};

struct px_trace_record {
    char model[PX_TRACE_NAME_MAX + 1], version[PX_TRACE_NAME_MAX + 1];
    uint64_t at_ns[PX_TRACE_POINTS];
    unsigned levels;
    uint64_t id, log_frequency;
    struct px_trace_text input, output;
    struct px_trace_step steps[PX_TRACE_STEPS_MAX];
    size_t n_steps;
    uint64_t first_step_id; /* they count on from it */
};

/* Is any request traced at all? One relaxed load, so that those that are not cost nothing. */
struct px_trace_switch {
    _Atomic bool on;
};
static inline bool px_trace_is_on(const struct px_trace *trace)
{
    return trace && atomic_load_explicit(&((const struct px_trace_switch *)(const void *)trace)->on,
                                         memory_order_relaxed);
}

/* Counts a request of the model; the levels to record of it, 0 for most. */
unsigned px_trace_sample(struct px_trace *trace, struct px_str model);

/* Room for a record on this loop's ring, or NULL (counted). It is handed over by px_trace_commit on the same loop. */
struct px_trace_record *px_trace_begin(struct px_trace *trace, unsigned loop, struct px_str model,
                                       struct px_str version);
/* Prints a tensor into record->input or record->output. */
void px_trace_put_tensor(struct px_trace_text *text, const struct px_trace_tensor *tensor);
/* The same of a tensor of any type and shape; texts in JSON's quotes. */
void px_trace_put_values(struct px_trace_text *text, const struct px_tensor *tensor);
/* The next step, with its texts set and its times open; NULL when no more fit. */
struct px_trace_step *px_trace_put_step(struct px_trace_record *record, struct px_str name,
                                        struct px_str note);
void px_trace_commit(struct px_trace *trace, unsigned loop);

#endif
