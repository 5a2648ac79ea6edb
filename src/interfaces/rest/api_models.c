/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/v1/models and /api/v1/version: what this server holds. docs/api/rest.md shows the form. */
#include "interfaces/rest/api.h"
#include "interfaces/rest/reply.h"
#include "shared/clock.h"

void px_put_model_head(struct px_json_writer *w, const struct px_model *model)
{
    static const char *const states[] = {
        [PX_MODEL_LOADING] = "LOADING", [PX_MODEL_READY] = "READY", [PX_MODEL_FAILED] = "FAILED"};
    px_json_key(w, "name");
    px_json_put_str(w, model->name);
    px_json_key(w, "version");
    px_json_put_str(w, model->version);
    px_json_key(w, "state");
    px_json_put_text(w, states[model->state]);
}

/* The clock writes into the buffer, so the value is put together around it. */
void px_put_time(struct px_json_writer *w, const char *key, uint64_t wall_ns)
{
    px_json_key(w, key);
    px_buf_byte(w->buf, '"');
    px_clock_format(w->buf, wall_ns);
    px_json_put_raw(w, (struct px_str)PX_STR("\""));
}

static void put_strs(struct px_json_writer *w, const char *key, const struct px_str *items,
                     size_t n)
{
    px_json_key(w, key);
    px_json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        px_json_put_str(w, items[i]);
    px_json_end_array(w);
}

static void put_feature(struct px_json_writer *w, const struct px_feature *feature)
{
    px_json_begin_object(w);
    px_json_key(w, "name");
    px_json_put_str(w, feature->name);
    px_json_key(w, "type");
    px_json_put_text(w, px_feature_kind_name(feature->kind));
    if (feature->n_categories)
        put_strs(w, "categories", feature->categories, feature->n_categories);
    px_json_end_object(w);
}

static void put_signature(struct px_json_writer *w, const struct px_signature *signature)
{
    px_json_key(w, "signature");
    px_json_begin_object(w);
    px_json_key(w, "task");
    px_json_put_text(w, px_task_name(signature->task));
    px_json_key(w, "named");
    px_json_put_bool(w, signature->named);
    px_json_key(w, "output");
    px_json_put_str(w, signature->output_name);
    if (signature->labels)
        put_strs(w, "labels", signature->labels, signature->n_labels);
    px_json_key(w, "features");
    px_json_begin_array(w);
    for (size_t i = 0; i < signature->n_features; i++)
        put_feature(w, &signature->features[i]);
    px_json_end_array(w);
    px_json_end_object(w);
}

static void put_count(struct px_json_writer *w, const char *key, uint64_t value)
{
    px_json_key(w, key);
    px_json_put_u64(w, value);
}

static void put_forest(struct px_json_writer *w, const struct px_forest_info *forest)
{
    px_json_key(w, "forest");
    px_json_begin_object(w);
    px_json_key(w, "format");
    px_json_put_text(w, px_forest_format_name(forest->format));
    px_json_key(w, "library_version");
    px_json_put_str(w, forest->library_version);
    px_json_key(w, "objective");
    px_json_put_str(w, forest->objective);
    put_count(w, "features", forest->n_features);
    put_count(w, "classes", forest->n_classes);
    put_count(w, "outputs", forest->n_outputs);
    put_count(w, "trees", forest->n_trees);
    put_count(w, "nodes", forest->n_nodes);
    put_count(w, "leaves", forest->n_leaves);
    put_count(w, "depth", forest->depth_max);
    put_count(w, "rounds", forest->n_rounds);
    put_count(w, "best_round", forest->best_round);
    put_count(w, "bytes", forest->bytes);
    px_json_key(w, "kernel_one");
    px_json_put_text(w, forest->kernel_one);
    px_json_key(w, "kernel_many");
    px_json_put_text(w, forest->kernel_many);
    put_strs(w, "warnings", forest->warnings, forest->n_warnings);
    px_json_end_object(w);
}

static void put_engine(struct px_json_writer *w, const struct px_model *model)
{
    px_json_key(w, "engine");
    px_json_begin_object(w);
    px_json_key(w, "name");
    px_json_put_text(w, model->engine->ops->name);
    px_json_key(w, "feature_type");
    px_json_put_text(w, px_datatype_name(model->engine->feature_type));
    px_json_key(w, "score_type");
    px_json_put_text(w, px_datatype_name(model->engine->score_type));
    px_json_end_object(w);
    px_json_key(w, "score_range");
    px_json_begin_array(w);
    px_json_put_f64(w, model->score_min, false);
    px_json_put_f64(w, model->score_max, false);
    px_json_end_array(w);
}

static void put_reason(struct px_json_writer *w, const struct px_err *reason)
{
    px_json_key(w, "reason");
    px_json_put_text(w, reason->message);
    if (reason->hint[0]) {
        px_json_key(w, "hint");
        px_json_put_text(w, reason->hint);
    }
}

static void put_model(struct px_json_writer *w, struct px_serving *serving,
                      const struct px_model *model)
{
    bool is_default = px_serving_find(serving, model->name, (struct px_str){0}, NULL) == model;
    px_json_begin_object(w);
    px_put_model_head(w, model);
    px_json_key(w, "default");
    px_json_put_bool(w, is_default);
    if (model->state == PX_MODEL_FAILED)
        put_reason(w, &model->reason);
    if (model->state == PX_MODEL_READY) {
        px_put_time(w, "loaded_at", model->loaded_ns);
        put_signature(w, model->signature);
        if (model->sample_json.len) {
            px_json_key(w, "sample");
            px_json_put_raw(w, model->sample_json);
        }
        put_forest(w, model->forest);
        put_engine(w, model);
    }
    px_json_end_object(w);
}

void px_handle_api_models(struct px_rest_request *request)
{
    struct px_serving *serving = request->rest->serving;
    const struct px_model_set *set = px_serving_models(serving);
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_object(&w);
    px_json_key(&w, "models");
    px_json_begin_array(&w);
    for (size_t i = 0; i < set->n_models; i++)
        put_model(&w, serving, set->models[i]);
    px_json_end_array(&w);
    px_json_end_object(&w);
    px_reply_json(request->exchange, 200);
}

void px_handle_api_version(struct px_rest_request *request)
{
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_object(&w);
    px_json_key(&w, "name");
    px_json_put_text(&w, "phoenix");
    px_json_key(&w, "version");
    px_json_put_text(&w, PX_VERSION);
    px_json_key(&w, "compiler");
    px_json_put_text(&w, __VERSION__);
    px_json_end_object(&w);
    px_reply_json(request->exchange, 200);
}
