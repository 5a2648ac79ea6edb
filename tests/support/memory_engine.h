/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine port's `memory` adapter and `fault` script, for tests.
 *
 * The score of a row is the sum of its values that are not missing; the margin is its negative. Engine
 * calls and their sizes are recorded. `fail_at` makes the n-th call (1-based) fail with `fail_code`.
 */
#ifndef PX_TESTS_MEMORY_ENGINE_H
#define PX_TESTS_MEMORY_ENGINE_H

#include "application/ports/engine.h"
#include "shared/alloc.h"

#include <math.h>

enum { MEMORY_ENGINE_CALLS_MAX = 256 };

struct memory_engine {
    struct px_engine base; /* first: the port's view of this object */
    size_t n_calls;
    size_t call_rows[MEMORY_ENGINE_CALLS_MAX];
    size_t fail_at;
    enum px_code fail_code;
};

static inline enum px_code memory_engine_score(struct px_engine *engine,
                                               const struct px_matrix *rows,
                                               struct px_matrix *scores, void *scratch,
                                               unsigned flags, struct px_err *err)
{
    struct memory_engine *self = (struct memory_engine *)engine;
    (void)scratch;
    PX_ASSERT(self->n_calls < MEMORY_ENGINE_CALLS_MAX);
    self->call_rows[self->n_calls++] = rows->n_rows;
    if (self->n_calls == self->fail_at)
        return px_err_set(err, self->fail_code, "the engine was told to fail");
    for (size_t row = 0; row < rows->n_rows; row++) {
        double sum = 0;
        for (size_t col = 0; col < rows->n_cols; col++) {
            double value = px_matrix_get(rows, row, col);
            sum += isnan(value) ? 0 : value;
        }
        px_matrix_set(scores, row, 0, flags & PX_SCORE_MARGIN ? -sum : sum);
    }
    return PX_OK;
}

static inline size_t memory_engine_scratch_size(const struct px_engine *engine, size_t rows_max)
{
    (void)engine;
    (void)rows_max;
    return 0;
}

static inline void memory_engine_destroy(struct px_engine *engine)
{
    px_free(engine);
}

static inline struct memory_engine *memory_engine_create(size_t n_features)
{
    static const struct px_engine_ops ops = {
        .abi = PX_ENGINE_ABI,
        .caps = PX_ENGINE_WAVE | PX_ENGINE_MARGIN,
        .name = "memory",
        .score = memory_engine_score,
        .scratch_size = memory_engine_scratch_size,
        .destroy = memory_engine_destroy,
    };
    struct memory_engine *engine = px_xalloc(1, sizeof *engine);
    engine->base = (struct px_engine){.ops = &ops,
                                      .feature_type = PX_TYPE_FP32,
                                      .score_type = PX_TYPE_FP32,
                                      .n_features = n_features,
                                      .n_outputs = 1,
                                      .n_margins = 1};
    return engine;
}

#endif
