/* SPDX-License-Identifier: Apache-2.0 */
#include "application/serving/forest_engine.h"

#include "shared/alloc.h"

struct forest_engine {
    struct px_engine base; /* first: the port's view of this object */
    const struct px_forest *forest;
};

static const struct px_forest *forest_of(const struct px_engine *engine)
{
    return ((const struct forest_engine *)engine)->forest;
}

static enum px_code forest_score(struct px_engine *engine, const struct px_matrix *rows,
                                 struct px_matrix *scores, void *scratch, unsigned flags,
                                 struct px_err *err)
{
    (void)err; /* a checked forest cannot fail */
    PX_ASSERT(scores->stride == scores->n_cols);
    px_forest_predict(forest_of(engine), rows, scores->data, scratch,
                      flags & PX_SCORE_MARGIN ? PX_FOREST_MARGIN : 0);
    return PX_OK;
}

static size_t forest_scratch_size(const struct px_engine *engine, size_t rows_max)
{
    return px_forest_scratch_size(forest_of(engine), rows_max);
}

static void forest_destroy(struct px_engine *engine)
{
    px_free(engine);
}

static const struct px_engine_ops forest_ops = {
    .abi = PX_ENGINE_ABI,
    .caps = PX_ENGINE_WAVE | PX_ENGINE_MARGIN,
    .name = "forest",
    .score = forest_score,
    .scratch_size = forest_scratch_size,
    .destroy = forest_destroy,
};

enum px_code px_forest_engine_create(const struct px_forest *forest, struct px_engine **ret,
                                     struct px_err *err)
{
    const struct px_forest_info *info = px_forest_info(forest);
    struct forest_engine *engine = px_alloc(1, sizeof *engine);
    if (!engine)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a forest engine");
    engine->base = (struct px_engine){
        .ops = &forest_ops,
        .feature_type = info->feature_type,
        .score_type = info->score_type,
        .n_features = info->n_features,
        .n_outputs = info->n_outputs,
        .n_margins = info->n_margins,
    };
    engine->forest = forest;
    *ret = &engine->base;
    return PX_OK;
}
