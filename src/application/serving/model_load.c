/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads one model version: package, engine, lanes, metrics, self-test, warm-up.
 *
 * Everything that can fail fails here, before the model is in the snapshot, and ends in a FAILED model with the
 * reason. All memory that scoring needs is reserved here. The warm-up scores rows through every lane, so the
 * first request is as fast as the thousandth.
 */
#include "application/lifecycle/package.h"
#include "application/serving/forest_engine.h"
#include "application/serving/serving_impl.h"

#include "shared/alloc.h"
#include "shared/clock.h"

#include <math.h>

enum {
    SELF_TEST_ROWS = 64,
    WARM_UP_ROWS = 256,
    SAMPLE_JSON_MAX = 1 << 20,
};

static enum px_code init_lane(struct px_lane *lane, struct px_model *model, size_t rows_max,
                              struct px_err *err)
{
    const struct px_engine *engine = model->engine;
    size_t n_scores = engine->n_margins > engine->n_outputs ? engine->n_margins : engine->n_outputs;
    size_t row_bytes = engine->n_features * px_datatype_size(engine->feature_type);
    size_t score_bytes = n_scores * px_datatype_size(engine->score_type);
    lane->model = model;
    lane->rows = (struct px_matrix){.type = engine->feature_type,
                                    .data = px_alloc_aligned(PX_CACHE_LINE, rows_max, row_bytes),
                                    .n_cols = engine->n_features,
                                    .stride = engine->n_features};
    lane->scores =
        (struct px_matrix){.type = engine->score_type,
                           .data = px_alloc_aligned(PX_CACHE_LINE, rows_max, score_bytes),
                           .n_cols = engine->n_outputs,
                           .stride = engine->n_outputs};
    lane->scratch = px_alloc_aligned(PX_CACHE_LINE, 1, px_engine_scratch_size(engine, rows_max));
    if (!lane->rows.data || !lane->scores.data || !lane->scratch)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for batches of %zu rows", rows_max);
    return PX_OK;
}

enum px_code px_model_reserve(const struct px_serving *serving, struct px_model *model,
                              struct px_err *err)
{
    unsigned n_loops = serving->n_loops;
    model->metrics = px_alloc_aligned(PX_CACHE_LINE, n_loops, sizeof *model->metrics);
    model->lanes = px_alloc_aligned(PX_CACHE_LINE, n_loops, sizeof *model->lanes);
    model->n_lanes = model->lanes ? n_loops : 0;
    if (!model->metrics || !model->lanes)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the counters of %u loops", n_loops);
    for (unsigned i = 0; i < n_loops; i++) {
        enum px_code code = init_lane(&model->lanes[i], model, serving->limits.batch_rows_max, err);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

/*
 * Scores probe rows through every lane: touches the memory that requests will use, and finds the range
 * of the score histogram for scores that are not probabilities.
 */
static enum px_code warm_up(const struct px_serving *serving, struct px_model *model,
                            struct px_err *err)
{
    double low = INFINITY, high = -INFINITY;
    size_t n_rows = serving->limits.batch_rows_max < WARM_UP_ROWS ? serving->limits.batch_rows_max
                                                                  : WARM_UP_ROWS;
    for (unsigned i = 0; i < model->n_lanes; i++) {
        struct px_lane *lane = &model->lanes[i];
        struct px_matrix rows = lane->rows, scores = lane->scores;
        rows.n_rows = scores.n_rows = n_rows;
        px_forest_probe_rows(model->package->forest, 1, &rows);
        enum px_code code = px_engine_score(model->engine, &rows, &scores, lane->scratch, 0, err);
        if (code != PX_OK)
            return code;
        for (size_t row = 0; row < n_rows; row++) {
            double score = px_matrix_get(&scores, row, 0);
            low = fmin(low, score);
            high = fmax(high, score);
        }
    }
    bool flat = !isfinite(low) || !isfinite(high) || !(high > low);
    bool unit = model->forest->score_is_probability || flat;
    model->score_min = unit ? 0 : low;
    model->score_max = unit ? 1 : high;
    return PX_OK;
}

static enum px_code keep_sample(struct px_model *model, struct px_err *err)
{
    struct px_buf json = px_buf(SAMPLE_JSON_MAX);
    px_model_sample(model->package, &json);
    enum px_code code = px_buf_check(&json, "the example instance", err);
    if (code == PX_OK) {
        model->sample_json = px_arena_str(&model->package->arena, px_buf_view(&json));
        code = px_arena_check(&model->package->arena, "the example instance", err);
    }
    px_buf_deinit(&json);
    return code;
}

static enum px_code load(const struct px_serving *serving, struct px_model *model, const char *path,
                         struct px_err *err)
{
    enum px_code code = px_package_open(path, NULL, &model->package, err);
    if (code != PX_OK)
        return code;
    model->signature = &model->package->signature;
    model->forest = px_forest_info(model->package->forest);
    code = px_forest_self_test(model->package->forest, SELF_TEST_ROWS, 1, err);
    if (code == PX_OK)
        code = px_forest_engine_create(model->package->forest, &model->engine, err);
    if (code == PX_OK)
        code = px_model_reserve(serving, model, err);
    if (code == PX_OK)
        code = warm_up(serving, model, err);
    if (code == PX_OK)
        code = keep_sample(model, err);
    return code;
}

/* Gives back everything but the names and the reason. */
static void release(struct px_model *model)
{
    for (unsigned i = 0; i < model->n_lanes; i++) {
        px_free(model->lanes[i].rows.data);
        px_free(model->lanes[i].scores.data);
        px_free(model->lanes[i].scratch);
    }
    px_free(model->lanes);
    px_free(model->metrics);
    px_engine_destroy(model->engine);
    px_package_close(model->package);
    model->lanes = NULL;
    model->n_lanes = 0;
    model->metrics = NULL;
    model->engine = NULL;
    model->package = NULL;
    model->signature = NULL;
    model->forest = NULL;
    model->sample_json = (struct px_str){0};
}

static bool set_names(struct px_model *model, const struct px_model_source *source)
{
    bool renamed = source->name_is_default && model->package && !model->package->bare;
    struct px_str name = renamed ? model->package->name : source->name;
    model->names = px_alloc(name.len + source->version.len + 1, 1);
    if (!model->names)
        return false;
    memcpy(model->names, name.ptr, name.len);
    memcpy(model->names + name.len, source->version.ptr, source->version.len);
    model->name = px_str_n(model->names, name.len);
    model->version = px_str_n(model->names + name.len, source->version.len);
    return true;
}

struct px_model *px_model_load(const struct px_serving *serving,
                               const struct px_model_source *source)
{
    struct px_model *model = px_alloc(1, sizeof *model);
    if (!model)
        return NULL;
    model->loaded_ns = px_clock_wall_ns();
    bool ready = load(serving, model, source->path, &model->reason) == PX_OK;
    bool named = set_names(model, source);
    model->state = ready ? PX_MODEL_READY : PX_MODEL_FAILED;
    if (!ready)
        release(model);
    if (!named) {
        px_model_unload(model);
        return NULL;
    }
    return model;
}

void px_model_unload(struct px_model *model)
{
    if (!model)
        return;
    release(model);
    px_free(model->names);
    px_free(model);
}
