/* SPDX-License-Identifier: Apache-2.0 */
/*
 * V1 model status: KServe's {"name", "ready"} and TensorFlow Serving's model_version_status in one object.
 */
#include "interfaces/rest/handlers.h"
#include "interfaces/rest/reply.h"

/*
 * In the words of TensorFlow Serving: one that is registered is at the start of its way into memory, and one whose engine is down is on
 * its way back.
 */
static const char *state_of(const struct px_model *model, bool is_able)
{
    if (model->state == PX_MODEL_FAILED)
        return "END";
    if (model->state == PX_MODEL_REGISTERED)
        return "START";
    return is_able ? "AVAILABLE" : "LOADING";
}

static void put_version(struct px_json_writer *w, const struct px_model *model)
{
    struct px_err reason;
    bool is_able = px_model_is_able(model, &reason);
    px_json_begin_object(w);
    px_json_member_str(w, "version", model->version);
    px_json_member_text(w, "state", state_of(model, is_able));
    px_json_key(w, "status");
    px_json_begin_object(w);
    px_json_member_text(w, "error_code", is_able ? "OK" : px_code_name(reason.code));
    px_json_member_text(w, "error_message", is_able ? "" : reason.message);
    px_json_end_object(w);
    px_json_end_object(w);
}

static bool is_asked(const struct px_rest_request *request, const struct px_model *model)
{
    return px_str_eq(model->name, request->args[0]) &&
           (request->args[1].len == 0 || px_str_eq(model->version, request->args[1]));
}

void px_handle_v1_status(struct px_rest_request *request)
{
    struct px_serving *serving = request->rest->settings.serving;
    const struct px_model_set *set = px_serving_models(serving);
    struct px_err err;
    const struct px_model *model =
        px_serving_find_known(serving, request->args[0], request->args[1], &err);
    bool ready = model && px_model_is_able(model, NULL);
    if (!model && err.code == PX_E_NOT_FOUND) {
        px_rest_fail(request, &err);
        return;
    }
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_object(&w);
    px_json_member_str(&w, "name", request->args[0]);
    px_json_member_bool(&w, "ready", ready);
    px_json_key(&w, "model_version_status");
    px_json_begin_array(&w);
    for (size_t i = 0; i < set->n_models; i++) {
        if (is_asked(request, set->models[i]))
            put_version(&w, set->models[i]);
    }
    px_json_end_array(&w);
    px_json_end_object(&w);
    px_reply_json(request, ready ? 200 : 503);
}

void px_handle_v1_models(struct px_rest_request *request)
{
    const struct px_model_set *set = px_serving_models(request->rest->settings.serving);
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_object(&w);
    px_json_key(&w, "models");
    px_json_begin_array(&w);
    for (size_t i = 0; i < set->n_models; i++) {
        bool repeated = i > 0 && px_str_eq(set->models[i]->name, set->models[i - 1]->name);
        if (!repeated)
            px_json_put_str(&w, set->models[i]->name);
    }
    px_json_end_array(&w);
    px_json_end_object(&w);
    px_reply_json(request, 200);
}
