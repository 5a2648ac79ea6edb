/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open Inference: server and model metadata, health.
 *
 * A model whose features are all numbers advertises one tensor "input" [-1, features], which is what
 * tritonclient users fill from a numpy array. A model with named categories or dates advertises one
 * tensor per feature, because one array cannot hold text and numbers. Both kinds accept both forms.
 * `outputs` lists what comes when a request names none; `properties` lists what may be asked for besides,
 * and how the model is scored; the protocol wants texts there.
 */
#include "interfaces/inference/extensions.h"
#include "interfaces/inference/properties.h"
#include "interfaces/rest/reply.h"
#include "interfaces/rest/v2/v2.h"

static bool takes_text(const struct px_feature *feature)
{
    return feature->kind == PX_FEATURE_DATETIME ||
           (feature->kind == PX_FEATURE_CATEGORY && feature->n_categories > 0);
}

bool px_v2_by_columns(const struct px_signature *signature)
{
    for (size_t i = 0; i < signature->n_features; i++) {
        if (takes_text(&signature->features[i]))
            return true;
    }
    return false;
}

static const char *feature_datatype(const struct px_feature *feature, enum px_datatype number)
{
    if (takes_text(feature))
        return "BYTES";
    if (feature->kind == PX_FEATURE_BOOLEAN)
        return "BOOL";
    return feature->kind == PX_FEATURE_CATEGORY ? "INT64" : px_datatype_name(number);
}

static void put_tensor(struct px_json_writer *w, struct px_str name, const char *datatype, size_t n)
{
    px_json_begin_object(w);
    px_json_member_str(w, "name", name);
    px_json_member_text(w, "datatype", datatype);
    px_json_key(w, "shape");
    px_json_begin_array(w);
    px_json_put_i64(w, -1);
    px_json_put_u64(w, n);
    px_json_end_array(w);
    px_json_end_object(w);
}

static void put_inputs(struct px_json_writer *w, const struct px_model *model)
{
    const struct px_signature *signature = model->signature;
    enum px_datatype number = model->engine->feature_type;
    px_json_key(w, "inputs");
    px_json_begin_array(w);
    if (!px_v2_by_columns(signature)) {
        put_tensor(w, px_str(PX_V2_INPUT_NAME), px_datatype_name(number), signature->n_features);
    } else {
        for (size_t i = 0; i < signature->n_features; i++)
            put_tensor(w, signature->features[i].name,
                       feature_datatype(&signature->features[i], number), 1);
    }
    px_json_end_array(w);
}

static void put_outputs(struct px_json_writer *w, const struct px_model *model)
{
    struct px_property properties[PX_PROPERTIES_MAX];
    size_t n_properties = px_model_properties(model, properties);
    px_json_key(w, "outputs");
    px_json_begin_array(w);
    put_tensor(w, model->signature->output_name, px_datatype_name(model->engine->score_type),
               model->engine->n_outputs);
    px_json_end_array(w);
    px_json_key(w, "properties");
    px_json_begin_object(w);
    for (size_t i = 0; i < n_properties; i++)
        px_json_member_text(w, properties[i].key, properties[i].value);
    px_json_end_object(w);
}

/* Without a version in the path: every version that is ready. */
static void put_versions(struct px_json_writer *w, struct px_rest_request *request,
                         const struct px_model *model)
{
    const struct px_model_set *set = px_serving_models(request->rest->serving);
    px_json_key(w, "versions");
    px_json_begin_array(w);
    for (size_t i = 0; i < set->n_models; i++) {
        const struct px_model *other = set->models[i];
        bool wanted = request->args[1].len ? other == model : other->state == PX_MODEL_READY;
        if (wanted && px_str_eq(other->name, model->name))
            px_json_put_str(w, other->version);
    }
    px_json_end_array(w);
}

static struct px_model *find_model(struct px_rest_request *request, struct px_err *err)
{
    return px_serving_find(request->rest->serving, request->args[0], request->args[1], err);
}

void px_handle_v2_model(struct px_rest_request *request)
{
    struct px_err err;
    const struct px_model *model = find_model(request, &err);
    if (!model) {
        px_rest_fail(request, &err);
        return;
    }
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_object(&w);
    px_json_member_str(&w, "name", model->name);
    put_versions(&w, request, model);
    px_json_member_text(&w, "platform", px_forest_format_name(model->forest->format));
    put_inputs(&w, model);
    put_outputs(&w, model);
    px_json_end_object(&w);
    px_reply_json(request, 200);
}

static void put_extensions(struct px_json_writer *w, const struct px_rest *rest)
{
    bool has_shared_memory = rest->shared_memory != NULL;
    px_json_key(w, "extensions");
    px_json_begin_array(w);
    for (size_t i = 0; px_extension(i, has_shared_memory); i++)
        px_json_put_text(w, px_extension(i, has_shared_memory));
    px_json_end_array(w);
}

void px_handle_v2_server(struct px_rest_request *request)
{
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_object(&w);
    px_json_member_text(&w, "name", "phoenix");
    px_json_member_text(&w, "version", PX_VERSION);
    put_extensions(&w, request->rest);
    px_json_end_object(&w);
    px_reply_json(request, 200);
}

void px_handle_v2_live(struct px_rest_request *request)
{
    px_buf_text(request->exchange->body, "{\"live\":true}");
    px_reply_json(request, 200);
}

/* {"name":"m","ready":true}, or 503 with `error` when `err` says why not. */
static void reply_ready(struct px_rest_request *request, struct px_str name,
                        const struct px_err *err)
{
    char text[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX + 4];
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_object(&w);
    if (name.len) {
        px_json_member_str(&w, "name", name);
    }
    px_json_member_bool(&w, "ready", err == NULL);
    if (err) {
        px_json_member_text(&w, "error", px_err_text(err, text, sizeof text));
    }
    px_json_end_object(&w);
    px_reply_json(request, err ? 503 : 200);
}

void px_handle_v2_ready(struct px_rest_request *request)
{
    struct px_err err;
    bool ready = px_serving_is_ready(request->rest->serving, &err);
    reply_ready(request, (struct px_str){0}, ready ? NULL : &err);
}

void px_handle_v2_model_ready(struct px_rest_request *request)
{
    struct px_err err;
    const struct px_model *model = find_model(request, &err);
    if (model)
        reply_ready(request, model->name, NULL);
    else if (err.code == PX_E_UNAVAILABLE)
        reply_ready(request, request->args[0], &err);
    else
        px_rest_fail(request, &err);
}
