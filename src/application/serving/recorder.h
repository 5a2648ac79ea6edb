/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that a model has answered, kept for the version that comes after it: it computes them before it answers anybody (model_warm.c).
 *
 * The last PX_RECORDED_MAX, as many as fit into PX_RECORDED_BYTES_MAX, as the tensors that the engine took; rows of a tree model are one tensor without a
 * name. Kept in memory, never written anywhere, and only for models that ask for it (model.yaml, warm_up: {recorded: true}): inputs are
 * their clients' data. The first requests are all recorded; once the recorder is full each loop adds one in PX_RECORD_PAUSE_NS.
 *
 * Ownership: shared by the versions that record into it; freed with the last.
 * Threads: loops note, the loader reads. A loop never waits: what it cannot note at once is left out.
 */
#ifndef PX_APPLICATION_SERVING_RECORDER_H
#define PX_APPLICATION_SERVING_RECORDER_H

#include "domain/inference/tensor.h"
#include "shared/arena.h"
#include "shared/clock.h"

enum {
    PX_RECORDED_MAX = 32,
    PX_RECORDED_BYTES_MAX = 1 << 20,       /* of all */
    PX_RECORDED_ROWS_BYTES_MAX = 32 << 10, /* of one request of rows, of which the first are kept */
};
#define PX_RECORD_PAUSE_NS (100 * PX_NS_PER_MS)

struct px_recorder;

PX_MUST_USE enum px_code px_recorder_create(struct px_recorder **ret, struct px_err *err);
struct px_recorder *px_recorder_share(struct px_recorder *recorder);
void px_recorder_release(struct px_recorder *recorder); /* NULL is fine */

/* Is it time to note another? `at_ns` is the loop's own: when that is; it is moved on. */
bool px_recorder_is_due(struct px_recorder *recorder, uint64_t *at_ns, uint64_t now_ns);
void px_recorder_note_rows(struct px_recorder *recorder, const struct px_matrix *rows);
void px_recorder_note_inputs(struct px_recorder *recorder, const struct px_tensor *inputs,
                             size_t n);

/* Reading: those that are there when it begins and have not been replaced by then, the oldest first. */
struct px_recorder_reader {
    struct px_recorder *recorder;
    uint64_t at, end;
};
struct px_recorder_reader px_recorder_read(struct px_recorder *recorder);
/* A copy of the next in `arena`; false at the end, or when the arena has no room. */
bool px_recorder_next(struct px_recorder_reader *reader, struct px_arena *arena,
                      const struct px_tensor **ret, size_t *ret_n);

#endif
