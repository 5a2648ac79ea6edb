/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open Inference: server and model metadata, health.
 *
 * The tensors are those of the model's configuration (application/serving/model_config.h). `outputs` lists what comes when
 * a request names none; `properties` lists what may be asked for besides, and how the model is scored; the protocol wants
 * texts there.
 */
#include "application/serving/model_config.h"
#include "interfaces/inference/extensions.h"
#include "interfaces/inference/properties.h"
#include "interfaces/rest/reply.h"
#include "interfaces/rest/v2/v2.h"

/* The protocol has no shape for "any number of dimensions": it is told as [-1], and this says which of the two is meant. */
static void put_unknown_rank(struct px_json_writer *w, const struct px_model_tensor *tensor)
{
    if (!tensor->any_rank)
        return;
    px_json_key(w, "parameters");
    px_json_begin_object(w);
    px_json_member_bool(w, "unknown_rank", true);
    px_json_end_object(w);
}

static void put_tensors(struct px_json_writer *w, const char *key,
                        const struct px_model_tensor *tensors, size_t n)
{
    px_json_key(w, key);
    px_json_begin_array(w);
    for (size_t i = 0; i < n; i++) {
        px_json_begin_object(w);
        px_json_member_str(w, "name", tensors[i].name);
        px_json_member_text(w, "datatype", px_datatype_name(tensors[i].type));
        px_json_key(w, "shape");
        px_json_begin_array(w);
        int64_t shape[PX_TENSOR_DIMS_MAX];
        size_t n_dims = px_model_tensor_shape(&tensors[i], shape);
        for (size_t d = 0; d < n_dims; d++)
            px_json_put_i64(w, shape[d]);
        px_json_end_array(w);
        put_unknown_rank(w, &tensors[i]);
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void put_properties(struct px_json_writer *w, const struct px_model *model)
{
    struct px_property properties[PX_PROPERTIES_MAX];
    size_t n_properties = px_model_properties(model, properties);
    px_json_key(w, "properties");
    px_json_begin_object(w);
    for (size_t i = 0; i < n_properties; i++)
        px_json_member_text(w, properties[i].key, properties[i].value);
    px_json_end_object(w);
}

/* Without a version in the path: every version that answers. */
static void put_versions(struct px_json_writer *w, struct px_rest_request *request,
                         const struct px_model *model)
{
    const struct px_model_set *set = px_serving_models(request->rest->settings.serving);
    px_json_key(w, "versions");
    px_json_begin_array(w);
    for (size_t i = 0; i < set->n_models; i++) {
        const struct px_model *other = set->models[i];
        bool wanted = request->args[1].len ? other == model : other->state != PX_MODEL_FAILED;
        if (wanted && px_str_eq(other->name, model->name))
            px_json_put_str(w, other->version);
    }
    px_json_end_array(w);
}

void px_handle_v2_model(struct px_rest_request *request)
{
    struct px_serving *serving = request->rest->settings.serving;
    struct px_model_config config;
    struct px_err err;
    const struct px_model *model = px_rest_find_model(request);
    if (!model)
        return;
    if (px_model_config(model, px_serving_limits(serving), request->exchange->arena, &config,
                        &err) != PX_OK) {
        px_rest_fail(request, &err);
        return;
    }
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_object(&w);
    px_json_member_str(&w, "name", model->name);
    put_versions(&w, request, model);
    px_json_member_text(&w, "platform", config.platform);
    put_tensors(&w, "inputs", config.inputs, config.n_inputs);
    put_tensors(&w, "outputs", config.outputs, config.n_outputs);
    put_properties(&w, model);
    px_json_end_object(&w);
    px_reply_json(request, 200);
}

static void put_extensions(struct px_json_writer *w, const struct px_rest *rest)
{
    bool has_shared_memory = rest->settings.shared_memory != NULL;
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
    bool ready = px_serving_is_ready(request->rest->settings.serving, &err);
    reply_ready(request, (struct px_str){0}, ready ? NULL : &err);
}

void px_handle_v2_model_ready(struct px_rest_request *request)
{
    struct px_err err;
    const struct px_model *model = px_serving_find_known(request->rest->settings.serving,
                                                         request->args[0], request->args[1], &err);
    if (model)
        reply_ready(request, model->name, px_model_is_able(model, &err) ? NULL : &err);
    else if (err.code == PX_E_UNAVAILABLE)
        reply_ready(request, request->args[0], &err);
    else
        px_rest_fail(request, &err);
}
