/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/v1/models and /api/v1/version: what this server holds. docs/api/rest.md shows the form. */
#include "application/lifecycle/plan_report.h"
#include "application/serving/rescue.h"
#include "interfaces/rest/operations/api.h"
#include "interfaces/rest/reply.h"
#include "shared/clock.h"

static const char *state_of(const struct px_model *model)
{
    if (model->state == PX_MODEL_REGISTERED)
        return "REGISTERED";
    if (model->state == PX_MODEL_FAILED)
        return "FAILED";
    return px_model_is_able(model, NULL) ? "READY" : "UNAVAILABLE";
}

void px_put_model_head(struct px_json_writer *w, const struct px_model *model)
{
    px_json_member_str(w, "name", model->name);
    px_json_member_str(w, "version", model->version);
    px_json_member_text(w, "state", state_of(model));
}

/* The clock writes into the buffer, so the value is put together around it. */
void px_put_time(struct px_json_writer *w, const char *key, uint64_t wall_ns)
{
    px_json_key(w, key);
    px_buf_byte(w->buf, '"');
    px_clock_format(w->buf, wall_ns);
    px_json_put_raw(w, (struct px_str)PX_STR("\""));
}

static void put_feature(struct px_json_writer *w, const struct px_feature *feature)
{
    px_json_begin_object(w);
    px_json_member_str(w, "name", feature->name);
    px_json_member_text(w, "type", px_feature_kind_name(feature->kind));
    if (feature->n_categories)
        px_json_member_strs(w, "categories", feature->categories, feature->n_categories);
    px_json_end_object(w);
}

static void put_signature(struct px_json_writer *w, const struct px_signature *signature)
{
    px_json_key(w, "signature");
    px_json_begin_object(w);
    px_json_member_text(w, "task", px_task_name(signature->task));
    px_json_member_bool(w, "named", signature->named);
    px_json_member_str(w, "output", signature->output_name);
    if (signature->labels)
        px_json_member_strs(w, "labels", signature->labels, signature->n_labels);
    px_json_key(w, "features");
    px_json_begin_array(w);
    for (size_t i = 0; i < signature->n_features; i++)
        put_feature(w, &signature->features[i]);
    px_json_end_array(w);
    px_json_end_object(w);
}

static void put_forest(struct px_json_writer *w, const struct px_forest_info *forest)
{
    px_json_key(w, "forest");
    px_json_begin_object(w);
    px_json_member_text(w, "format", px_forest_format_name(forest->format));
    px_json_member_str(w, "library_version", forest->library_version);
    px_json_member_str(w, "objective", forest->objective);
    px_json_member_u64(w, "features", forest->n_features);
    px_json_member_u64(w, "classes", forest->n_classes);
    px_json_member_u64(w, "outputs", forest->n_outputs);
    px_json_member_u64(w, "trees", forest->n_trees);
    px_json_member_u64(w, "nodes", forest->n_nodes);
    px_json_member_u64(w, "leaves", forest->n_leaves);
    px_json_member_u64(w, "depth", forest->depth_max);
    px_json_member_u64(w, "rounds", forest->n_rounds);
    px_json_member_u64(w, "best_round", forest->best_round);
    px_json_member_u64(w, "bytes", forest->bytes);
    px_json_member_text(w, "kernel_one", forest->kernel_one);
    px_json_member_text(w, "kernel_many", forest->kernel_many);
    px_plan_put_json(w, forest);
    px_json_member_strs(w, "warnings", forest->warnings, forest->n_warnings);
    px_json_end_object(w);
}

static void put_engine(struct px_json_writer *w, const struct px_model *model)
{
    px_json_key(w, "engine");
    px_json_begin_object(w);
    px_json_member_text(w, "name", px_engine_name(model->engine));
    if (model->forest) {
        px_json_member_text(w, "feature_type", px_datatype_name(model->engine->feature_type));
        px_json_member_text(w, "score_type", px_datatype_name(model->engine->score_type));
    }
    if (model->engine->ops->describe)
        model->engine->ops->describe(model->engine, w);
    if (!px_engine_has(model->engine, PX_ENGINE_TENSORS)) {
        px_json_key(w, "batching");
        px_json_begin_object(w);
        px_put_batching_form(w, model);
        px_json_end_object(w);
    }
    px_json_end_object(w);
    if (!model->forest)
        return; /* what it gives need not be scores */
    px_json_key(w, "score_range");
    px_json_begin_array(w);
    px_json_put_f64(w, model->score_min, false);
    px_json_put_f64(w, model->score_max, false);
    px_json_end_array(w);
}

static void put_limits(struct px_json_writer *w, struct px_limit *limit)
{
    struct px_limit_report report;
    px_limit_report(limit, &report);
    px_json_key(w, "limits");
    px_json_begin_object(w);
    px_json_member_text(w, "concurrency",
                        report.is_open  ? "off"
                        : report.adapts ? "auto"
                                        : "fixed");
    if (!report.is_open) {
        px_json_member_u64(w, "limit", report.limit);
        px_json_member_u64(w, "min", report.min);
        px_json_member_u64(w, "max", report.max);
    }
    px_json_member_u64(w, "in_flight", report.in_flight);
    if (report.per_client)
        px_json_member_u64(w, "per_client", report.per_client);
    if (!report.is_open)
        px_json_member_f64(w, "gradient", report.gradient);
    px_json_member_f64(w, "request_ms", report.sample_ns * 1e-6);
    px_json_member_f64(w, "request_alone_ms", report.base_ns * 1e-6);
    px_json_end_object(w);
}

static void put_reason(struct px_json_writer *w, const struct px_err *reason)
{
    px_json_member_text(w, "reason", reason->message);
    if (reason->hint[0]) {
        px_json_member_text(w, "hint", reason->hint);
    }
}

static void put_breaker(struct px_json_writer *w, struct px_rescue *rescue)
{
    struct px_rescue_report report;
    if (!px_rescue_has_breaker(rescue))
        return;
    px_rescue_report(rescue, &report);
    px_json_key(w, "breaker");
    px_json_begin_object(w);
    px_json_member_text(w, "state", px_breaker_state_name(report.state));
    px_json_member_text(w, "reason", px_breaker_reason_name(report.reason));
    px_json_member_u64(w, "retry_ms", report.retry_ns / PX_NS_PER_MS);
    px_json_member_u64(w, "in_window", report.window.n);
    px_json_member_u64(w, "failed", report.window.failed);
    px_json_member_u64(w, "slow", report.window.slow);
    px_json_member_u64(w, "opened", report.n_opened);
    px_json_member_u64(w, "refused", report.n_refused);
    px_json_member_u64(w, "probes", report.n_probes);
    px_json_end_object(w);
}

/* Could the rung be taken now? Those that are other models are looked for, as when it is. */
static void put_usable(struct px_json_writer *w, struct px_serving *serving,
                       const struct px_model *model, const struct px_rung *rung)
{
    struct px_err why = {0};
    if (rung->kind == PX_RUNG_CACHED || rung->kind == PX_RUNG_DEFAULT)
        return;
    const struct px_model *other = px_rung_find(serving, rung, model, &why);
    px_json_member_bool(w, "usable", other != NULL);
    if (other) {
        px_json_member_str(w, "model", other->name);
        px_json_member_str(w, "version", other->version);
    } else {
        px_json_member_text(w, "problem", why.message);
    }
}

static void put_fallback(struct px_json_writer *w, struct px_serving *serving,
                         const struct px_model *model)
{
    const struct px_model_fallback *ladder = px_rescue_ladder(model->rescue);
    if (ladder->n_rungs == 0)
        return;
    px_json_key(w, "fallback");
    px_json_begin_array(w);
    for (size_t i = 0; i < ladder->n_rungs; i++) {
        const struct px_rung *rung = &ladder->rungs[i];
        px_json_begin_object(w);
        px_json_member_text(w, "kind", px_rung_kind_name(rung->kind));
        put_usable(w, serving, model, rung);
        px_json_key(w, "taken");
        px_json_begin_object(w);
        for (unsigned reason = 0; reason < PX_FALLBACK_REASONS; reason++) {
            enum px_fallback_reason which = (enum px_fallback_reason)reason;
            if (rung->reasons >> reason & 1)
                px_json_member_u64(w, px_fallback_reason_name(which),
                                   px_rescue_counted(model->rescue, i, which));
        }
        px_json_end_object(w);
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void put_model(struct px_json_writer *w, struct px_serving *serving,
                      const struct px_model *model)
{
    struct px_err reason;
    bool is_default =
        px_serving_find_known(serving, model->name, (struct px_str){0}, NULL) == model;
    px_json_begin_object(w);
    px_put_model_head(w, model);
    px_json_member_bool(w, "default", is_default);
    if (!px_model_is_able(model, &reason))
        put_reason(w, &reason);
    if (model->rescue) {
        put_breaker(w, model->rescue);
        put_fallback(w, serving, model);
    }
    if (model->state == PX_MODEL_READY) {
        px_put_time(w, "loaded_at", model->loaded_ns);
        put_signature(w, model->signature);
        if (model->sample_json.len) {
            px_json_key(w, "sample");
            px_json_put_raw(w, model->sample_json);
        }
        if (model->forest)
            put_forest(w, model->forest);
        put_engine(w, model);
        if (model->limit)
            put_limits(w, model->limit);
    }
    px_json_end_object(w);
}

void px_handle_api_models(struct px_rest_request *request)
{
    struct px_serving *serving = request->rest->settings.serving;
    const struct px_model_set *set = px_serving_models(serving);
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_object(&w);
    px_json_key(&w, "models");
    px_json_begin_array(&w);
    for (size_t i = 0; i < set->n_models; i++)
        put_model(&w, serving, set->models[i]);
    px_json_end_array(&w);
    px_json_end_object(&w);
    px_reply_json(request, 200);
}

void px_handle_api_version(struct px_rest_request *request)
{
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_object(&w);
    px_json_member_text(&w, "name", "phoenix");
    px_json_member_text(&w, "version", PX_VERSION);
    px_json_member_text(&w, "compiler", __VERSION__);
    px_json_end_object(&w);
    px_reply_json(request, 200);
}
