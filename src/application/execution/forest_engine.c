/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shared batch is cut into chunks of rows. The caller scores with the scratch that it was given, which is large
 * enough for the whole batch; each helper has scratch of its own here, made with the engine. The pool works on one
 * job at a time and a helper on one chunk, so nobody else uses it meanwhile.
 */
#include "application/execution/forest_engine.h"

#include "application/parallel/share.h"
#include "shared/alloc.h"

enum {
    CHUNK_ROWS_MAX = 512,
    HELPER_SCRATCH_MAX = 4 << 20, /* more gets smaller chunks, where those need less */
};

struct forest_engine {
    struct px_engine base; /* first: the port's view of this object */
    const struct px_forest *forest;
    struct px_pool *pool;
    size_t chunk_max;
    void **helper_scratch; /* [px_pool_threads - 1] */
};

/* One batch that is shared. */
struct shared_batch {
    const struct forest_engine *engine;
    const struct px_matrix *rows;
    struct px_matrix *scores;
    void *scratch; /* the caller's */
    unsigned flags;
    size_t chunk_rows;
};

static const struct forest_engine *self_of(const struct px_engine *engine)
{
    return (const struct forest_engine *)engine;
}

static void score_chunk(void *context, size_t chunk, unsigned who)
{
    const struct shared_batch *batch = context;
    size_t first = chunk * batch->chunk_rows, left = batch->rows->n_rows - first;
    struct px_matrix rows = *batch->rows;
    rows.data = px_matrix_row(batch->rows, first);
    rows.n_rows = left < batch->chunk_rows ? left : batch->chunk_rows;
    px_forest_predict(batch->engine->forest, &rows, px_matrix_row(batch->scores, first),
                      who ? batch->engine->helper_scratch[who - 1] : batch->scratch, batch->flags);
}

static enum px_code forest_score(struct px_engine *engine, const struct px_matrix *rows,
                                 struct px_matrix *scores, void *scratch, unsigned flags,
                                 struct px_err *err)
{
    (void)err; /* a checked forest cannot fail */
    PX_ASSERT(scores->stride == scores->n_cols);
    const struct forest_engine *self = self_of(engine);
    struct shared_batch batch = {
        .engine = self,
        .rows = rows,
        .scores = scores,
        .scratch = scratch,
        .flags = flags & PX_SCORE_MARGIN ? PX_FOREST_MARGIN : 0,
        .chunk_rows = px_share_chunk(px_forest_info(self->forest), rows->n_rows,
                                     px_pool_threads(self->pool), self->chunk_max),
    };
    if (batch.chunk_rows == 0) {
        px_forest_predict(self->forest, rows, scores->data, scratch, batch.flags);
        return PX_OK;
    }
    px_pool_run(self->pool, &(struct px_pool_job){
                                .work = score_chunk,
                                .context = &batch,
                                .n_chunks = (rows->n_rows - 1) / batch.chunk_rows + 1,
                            });
    return PX_OK;
}

static enum px_code forest_explain(struct px_engine *engine, const struct px_matrix *rows,
                                   double *out, struct px_arena *arena, struct px_err *err)
{
    const struct px_forest *forest = self_of(engine)->forest;
    const char *refusal = px_forest_explain_refusal(forest);
    if (refusal)
        return px_err_set(err, PX_E_UNSUPPORTED, "this model cannot be explained: %s", refusal);
    void *scratch = px_arena_alloc(arena, 1, px_forest_explain_scratch_size(forest));
    if (!scratch)
        return px_arena_check(arena, "the explanation", err);
    px_forest_explain(forest, rows, out, scratch);
    return PX_OK;
}

static double forest_explain_steps(const struct px_engine *engine)
{
    const struct px_forest *forest = self_of(engine)->forest;
    return px_forest_explain_refusal(forest) ? 0 : px_forest_explain_steps(forest);
}

static size_t forest_scratch_size(const struct px_engine *engine, size_t rows_max)
{
    return px_forest_scratch_size(self_of(engine)->forest, rows_max);
}

static void forest_destroy(struct px_engine *engine)
{
    struct forest_engine *self = (struct forest_engine *)engine;
    unsigned n_helpers = px_pool_threads(self->pool) - 1;
    for (unsigned i = 0; self->helper_scratch && i < n_helpers; i++)
        px_free(self->helper_scratch[i]);
    px_free(self->helper_scratch);
    px_free(self);
}

static const struct px_engine_ops forest_ops = {
    .abi = PX_ENGINE_ABI,
    .caps = PX_ENGINE_WAVE | PX_ENGINE_MARGIN | PX_ENGINE_EXPLAIN,
    .name = "forest",
    .score = forest_score,
    .explain = forest_explain,
    .explain_steps = forest_explain_steps,
    .scratch_size = forest_scratch_size,
    .destroy = forest_destroy,
};

static size_t scratch_bytes(const void *context, size_t rows)
{
    return px_forest_scratch_size(context, rows);
}

static enum px_code reserve_for_helpers(struct forest_engine *self, struct px_err *err)
{
    unsigned n_helpers = px_pool_threads(self->pool) - 1;
    const struct px_share_room room = {scratch_bytes, self->forest, HELPER_SCRATCH_MAX,
                                       PX_SHARE_CHUNK_ROWS};
    self->chunk_max = px_share_rows_that_fit(&room, CHUNK_ROWS_MAX);
    if (n_helpers == 0)
        return PX_OK;
    size_t bytes = px_forest_scratch_size(self->forest, self->chunk_max);
    self->helper_scratch = px_alloc(n_helpers, sizeof *self->helper_scratch);
    bool complete = self->helper_scratch;
    for (unsigned i = 0; complete && i < n_helpers; i++) {
        self->helper_scratch[i] = px_alloc_aligned(PX_CACHE_LINE, 1, bytes);
        complete = self->helper_scratch[i];
    }
    return complete ? PX_OK
                    : px_err_set(err, PX_E_NO_MEMORY, "no memory for %u helpers of a forest engine",
                                 n_helpers);
}

enum px_code px_forest_engine_create(const struct px_forest *forest, struct px_pool *pool,
                                     struct px_engine **ret, struct px_err *err)
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
    engine->pool = pool;
    enum px_code code = reserve_for_helpers(engine, err);
    if (code != PX_OK) {
        forest_destroy(&engine->base);
        return code;
    }
    *ret = &engine->base;
    return PX_OK;
}
