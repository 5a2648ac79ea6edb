/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Warming: what a version computes before it is in a snapshot, so that its first request is as fast as the thousandth, and is known to be computed.
 *
 *   trees     rows around the model's own thresholds, through every lane
 *   tensors   the first golden request, or zeros, as often as warm_up says
 *   both      the requests that the version before it has answered last, when it recorded them (recorder.h)
 *
 * The version before is that of the same number, or else the highest that is ready: what the clients who ask for "the latest" have asked until now. So
 * it is for loads, reloads, polling and what comes on demand; one that was evicted took its recordings with it.
 *
 * A recorded request that cannot be computed is counted and told, and with `required` it fails the load, also when the version takes other inputs: the
 * clients of today would be refused. When all could be computed both versions record into the same recorder; otherwise a new one begins.
 */
#include "application/execution/await.h"
#include "application/lifecycle/package.h"
#include "application/lifecycle/warm_up.h"
#include "application/serving/serving_impl.h"

#include "shared/clock.h"
#include "shared/log.h"

#include <math.h>

enum { WARM_UP_ROWS = 256, WARM_UP_SEED = 1, RUN_BYTES_MAX = 512 << 20 };

static const uint64_t recorded_ns = 60 * PX_NS_PER_S; /* so long may all of them take */

/* ---- trees ---- */

/*
 * Scores probe rows with one lane's memory, which touches it, and widens the range of shown scores. Not through the engine: the pool, whose
 * threads stand back for nobody, would help it, and then not the loops.
 */
static void warm_lane(const struct px_model *model, struct px_lane *lane, double range[2])
{
    struct px_matrix rows = lane->rows, scores = lane->scores;
    rows.n_rows = scores.n_rows = lane->rows_max < WARM_UP_ROWS ? lane->rows_max : WARM_UP_ROWS;
    px_forest_probe_rows(model->package->forest, WARM_UP_SEED, &rows);
    px_forest_predict(model->package->forest, &rows, scores.data, lane->scratch, 0);
    for (size_t row = 0; row < rows.n_rows; row++) {
        double score = px_shown_score(&scores, row);
        range[0] = fmin(range[0], score);
        range[1] = fmax(range[1], score);
    }
}

/* Warms every lane, and finds the range of the score histogram for scores that are no probabilities. */
void px_model_warm_rows(struct px_model *model)
{
    double range[2] = {INFINITY, -INFINITY};
    for (unsigned i = 0; i < model->n_lanes; i++)
        warm_lane(model, &model->lanes[i], range);
    bool flat = !isfinite(range[0]) || !isfinite(range[1]) || !(range[1] > range[0]);
    bool unit = model->forest->score_is_probability || flat;
    model->score_min = unit ? 0 : range[0];
    model->score_max = unit ? 1 : range[1];
}

/* ---- tensors ---- */

enum px_code px_model_warm_tensors(const struct px_model *model, struct px_err *err)
{
    const struct px_package *package = model->package;
    struct px_err why = {0};
    bool golden = false;
    enum px_code code = px_package_warm_up(package, package->warm_up.runs, &golden, &why);
    bool is_refused = code == PX_E_INVALID && !golden; /* zeros may be no request */
    if (code != PX_OK && package->warm_up.required && !is_refused) {
        *err = why;
        return px_err_wrap(err, "warm_up");
    }
    if (code != PX_OK)
        px_log_err(PX_LOG_INFO, "model.cold", &why);
    return PX_OK;
}

/* ---- recorded requests ---- */

static const struct px_model *find_before(struct px_serving *serving,
                                          const struct px_model_place *place)
{
    const struct px_model_set *set = px_serving_models(serving);
    const struct px_model *before = NULL;
    for (size_t i = 0; i < set->n_models; i++) {
        const struct px_model *model = set->models[i];
        if (model->state != PX_MODEL_READY || !px_str_eq(model->name, place->name))
            continue;
        before = model; /* they are sorted */
        if (px_str_eq(model->version, place->version))
            break;
    }
    return before;
}

/* Rows are numbers by position: they mean the same only to a model with the same features. */
static enum px_code check_features(const struct px_model *model, const struct px_model *before,
                                   struct px_err *err)
{
    const struct px_signature *a = before->signature, *b = model->signature;
    if (px_engine_has(model->engine, PX_ENGINE_TENSORS) !=
        px_engine_has(before->engine, PX_ENGINE_TENSORS))
        return px_err_set(err, PX_E_CONFLICT, "it is a model of another kind than version %.*s",
                          PX_STR_ARG(before->version));
    if (a->n_features != b->n_features)
        return px_err_set(err, PX_E_CONFLICT, "it takes %zu features, version %.*s took %zu",
                          b->n_features, PX_STR_ARG(before->version), a->n_features);
    for (size_t i = 0; i < a->n_features; i++) {
        const struct px_feature *x = &a->features[i], *y = &b->features[i];
        if (!px_str_eq(x->name, y->name) || x->kind != y->kind)
            return px_err_set(err, PX_E_CONFLICT,
                              "its feature %zu is '%.*s' (%s), that of version %.*s '%.*s' (%s)",
                              i + 1, PX_STR_ARG(y->name), px_feature_kind_name(y->kind),
                              PX_STR_ARG(before->version), PX_STR_ARG(x->name),
                              px_feature_kind_name(x->kind));
    }
    return PX_OK;
}

/*
 * In the first lane's memory, which is nobody's yet, and in the element type of this model, which may be another. With the same features it cannot
 * fail; it shows that the rows of today are computed, and brings what they need into the caches.
 */
static void score_rows(const struct px_model *model, const struct px_tensor *tensor)
{
    const struct px_matrix recorded = px_tensor_matrix(tensor);
    struct px_lane *lane = &model->lanes[0];
    struct px_matrix rows = lane->rows;
    rows.n_rows = recorded.n_rows < lane->rows_max ? recorded.n_rows : lane->rows_max;
    for (size_t row = 0; row < rows.n_rows; row++) {
        for (size_t col = 0; col < rows.n_cols; col++)
            px_matrix_set(&rows, row, col, px_matrix_get(&recorded, row, col));
    }
    px_forest_predict(model->package->forest, &rows, lane->scores.data, lane->scratch, 0);
}

static enum px_code run_inputs(const struct px_model *model, const struct px_tensor *inputs,
                               size_t n, struct px_arena *arena, struct px_err *err)
{
    struct px_run run = {.inputs = inputs, .n_inputs = n, .arena = arena};
    enum px_code code = px_run_ask_all(&run, model->engine, err);
    if (code == PX_OK)
        code = px_engine_check_run(model->engine, &run, err);
    if (code == PX_OK)
        code = px_engine_await(model->engine, &run, err);
    px_run_release(&run);
    return code;
}

struct tally {
    size_t n, n_failed;
    struct px_err first; /* code PX_OK when none has failed */
};

static void note_failure(struct tally *tally, const struct px_err *err)
{
    if (tally->n_failed++ == 0)
        tally->first = *err;
}

static void run_recorded(const struct px_model *model, const struct px_model *before,
                         struct tally *tally)
{
    struct px_recorder_reader reader = px_recorder_read(before->recorder);
    struct px_arena arena = px_arena(RUN_BYTES_MAX);
    uint64_t until_ns = px_clock_monotonic_ns() + recorded_ns;
    const struct px_tensor *tensors;
    size_t n;
    while (px_clock_monotonic_ns() < until_ns && px_recorder_next(&reader, &arena, &tensors, &n)) {
        struct px_err why = {0};
        enum px_code code = check_features(model, before, &why);
        if (code == PX_OK && px_engine_has(model->engine, PX_ENGINE_TENSORS))
            code = run_inputs(model, tensors, n, &arena, &why);
        else if (code == PX_OK)
            score_rows(model, tensors);
        tally->n++;
        if (code != PX_OK)
            note_failure(tally, &why);
        px_arena_reset(&arena);
    }
    px_arena_deinit(&arena);
}

static void tell(struct px_serving *serving, const struct px_model_place *place,
                 const struct tally *tally)
{
    px_metric_add(&serving->warmed.runs, tally->n);
    px_metric_add(&serving->warmed.failures, tally->n_failed);
    if (tally->n == 0)
        return;
    px_log(tally->n_failed ? PX_LOG_WARN : PX_LOG_INFO, "model.warmed",
           PX_LOG_S("model", place->name), PX_LOG_S("version", place->version),
           PX_LOG_U("recorded", tally->n), PX_LOG_U("failed", tally->n_failed),
           PX_LOG_T("reason", tally->first.message));
}

static enum px_code refuse(const struct tally *tally, struct px_err *err)
{
    *err = tally->first;
    (void)px_err_wrap(err, "%zu of %zu recorded requests fail", tally->n_failed, tally->n);
    if (err->hint[0])
        return err->code;
    return px_err_hint(err, "the version before it has answered them; without 'required' in its "
                            "warm_up it serves all the same");
}

enum px_code px_model_warm_recorded(struct px_serving *serving, struct px_model *model,
                                    const struct px_model_place *place, struct px_err *err)
{
    const struct px_model *before = find_before(serving, place);
    struct tally tally = {0};
    if (!model->package->warm_up.recorded)
        return PX_OK;
    bool has_recorded = before && before->recorder;
    if (has_recorded)
        run_recorded(model, before, &tally);
    tell(serving, place, &tally);
    if (tally.n_failed > 0 && model->package->warm_up.required)
        return refuse(&tally, err);
    if (!has_recorded || tally.n_failed > 0 || check_features(model, before, NULL) != PX_OK)
        return px_recorder_create(&model->recorder, err);
    model->recorder = px_recorder_share(before->recorder);
    return PX_OK;
}
