/* SPDX-License-Identifier: Apache-2.0 */
#include "application/ports/engine.h"

enum px_code px_engine_score(struct px_engine *engine, const struct px_matrix *rows,
                             struct px_matrix *scores, void *scratch, unsigned flags,
                             struct px_err *err)
{
    PX_ASSERT(engine->ops->abi == PX_ENGINE_ABI);
    PX_ASSERT(rows->type == engine->feature_type && rows->n_cols == engine->n_features);
    PX_ASSERT(scores->type == engine->score_type && scores->n_rows == rows->n_rows);
    PX_ASSERT(scores->n_cols == (flags & PX_SCORE_MARGIN ? engine->n_margins : engine->n_outputs));
    if (rows->n_rows == 0)
        return PX_OK;
    return engine->ops->score(engine, rows, scores, scratch, flags, err);
}

enum px_code px_engine_explain(struct px_engine *engine, const struct px_matrix *rows, double *out,
                               struct px_arena *arena, struct px_err *err)
{
    PX_ASSERT(rows->type == engine->feature_type && rows->n_cols == engine->n_features);
    if (!px_engine_has(engine, PX_ENGINE_EXPLAIN))
        return px_err_set(err, PX_E_UNSUPPORTED, "engine '%s' explains nothing",
                          px_engine_name(engine));
    return engine->ops->explain(engine, rows, out, arena, err);
}

double px_engine_explain_steps(const struct px_engine *engine)
{
    return px_engine_has(engine, PX_ENGINE_EXPLAIN) ? engine->ops->explain_steps(engine) : 0;
}

size_t px_engine_scratch_size(const struct px_engine *engine, size_t rows_max)
{
    return engine->ops->scratch_size(engine, rows_max);
}

const char *px_engine_name(const struct px_engine *engine)
{
    return engine->ops->name;
}

bool px_engine_has(const struct px_engine *engine, enum px_engine_caps cap)
{
    return engine->ops->caps & cap;
}

void px_engine_destroy(struct px_engine *engine)
{
    if (engine)
        engine->ops->destroy(engine);
}
