/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: an inference engine, which turns rows into scores.
 *
 * An adapter fills a `const struct px_engine_ops` and embeds `struct px_engine` first in its own object.
 * Callers use the px_engine_* wrappers, never the slots. Adapters so far: the forest engine
 * (application/serving/forest_engine.c); `memory` and `fault` in tests/support.
 *
 * Threads: `score` may run on any number of threads at once, each with its own scratch; `destroy` when
 * nobody uses the engine any more.
 */
#ifndef PX_APPLICATION_PORTS_ENGINE_H
#define PX_APPLICATION_PORTS_ENGINE_H

#include "domain/inference/tensor.h"
#include "shared/arena.h"

enum { PX_ENGINE_ABI = 1 };

enum px_engine_caps {
    PX_ENGINE_WAVE = 1,    /* scores in microseconds: runs on the event loop, batched by wave */
    PX_ENGINE_MARGIN = 2,  /* can return raw margins */
    PX_ENGINE_EXPLAIN = 4, /* can say what each feature contributed */
};

enum px_score_flags { PX_SCORE_MARGIN = 1 };

struct px_engine;

struct px_engine_ops {
    uint32_t abi; /* PX_ENGINE_ABI */
    uint32_t caps;
    const char *name;

    /*
     * Scores `rows` into `scores` (shape and type set by the caller, memory the caller's). Must not
     * block when PX_ENGINE_WAVE is set. Idempotent. `scratch` has scratch_size(rows->n_rows) bytes.
     */
    enum px_code (*score)(struct px_engine *engine, const struct px_matrix *rows,
                          struct px_matrix *scores, void *scratch, unsigned flags,
                          struct px_err *err);
    /*
     * Contributions of the features to the margins of `rows`: `out` is [n_rows, n_margins, n_features + 1] doubles,
     * the last of each the expected margin. Scratch comes from `arena`. PX_E_UNSUPPORTED when this model has none.
     * NULL without PX_ENGINE_EXPLAIN.
     */
    enum px_code (*explain)(struct px_engine *engine, const struct px_matrix *rows, double *out,
                            struct px_arena *arena, struct px_err *err);
    /* What explaining one row costs, in steps of some nanoseconds: the caller bounds them. NULL as `explain`. */
    double (*explain_steps)(const struct px_engine *engine);
    /* Bytes of scratch for at most that many rows; monotonic in `rows_max`. */
    size_t (*scratch_size)(const struct px_engine *engine, size_t rows_max);
    void (*destroy)(struct px_engine *engine);
};

/* What every engine knows about itself; set once by the adapter before it is handed out. */
struct px_engine {
    const struct px_engine_ops *ops;
    enum px_datatype feature_type; /* element type of rows: FP32 or FP64 */
    enum px_datatype score_type;
    size_t n_features, n_outputs, n_margins;
};

PX_MUST_USE enum px_code px_engine_score(struct px_engine *engine, const struct px_matrix *rows,
                                         struct px_matrix *scores, void *scratch, unsigned flags,
                                         struct px_err *err);
PX_MUST_USE enum px_code px_engine_explain(struct px_engine *engine, const struct px_matrix *rows,
                                           double *out, struct px_arena *arena, struct px_err *err);
double px_engine_explain_steps(const struct px_engine *engine); /* 0: it explains nothing */
size_t px_engine_scratch_size(const struct px_engine *engine, size_t rows_max);
const char *px_engine_name(const struct px_engine *engine); /* static */
bool px_engine_has(const struct px_engine *engine, enum px_engine_caps cap);
void px_engine_destroy(struct px_engine *engine); /* NULL is fine */

#endif
