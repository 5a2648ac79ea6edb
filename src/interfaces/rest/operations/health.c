/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes. Liveness is 200 for as long as a loop can answer, draining included; readiness is 503 from the
 * first moment of a drain, so that load balancers look away while requests are still answered.
 */
#include "interfaces/rest/handlers.h"
#include "interfaces/rest/reply.h"

void px_handle_healthz(struct px_rest_request *request)
{
    px_buf_text(request->exchange->body, "{\"live\":true}");
    px_reply_json(request, 200);
}

static void put_missing_models(struct px_json_writer *w, const struct px_model_set *set)
{
    char text[PX_ERR_MESSAGE_MAX + 128];
    for (size_t i = 0; i < set->n_models; i++) {
        const struct px_model *model = set->models[i];
        if (model->state != PX_MODEL_FAILED)
            continue;
        snprintf(text, sizeof text, "model '%.*s' version '%.*s' failed: %s",
                 PX_STR_ARG(model->name), PX_STR_ARG(model->version), model->reason.message);
        px_json_put_text(w, text);
    }
}

void px_handle_readyz(struct px_rest_request *request)
{
    struct px_serving *serving = request->rest->settings.serving;
    struct px_http_exchange *exchange = request->exchange;
    struct px_err err;
    if (px_serving_is_ready(serving, &err)) {
        px_buf_text(exchange->body, "{\"ready\":true}");
        px_reply_json(request, 200);
        return;
    }
    struct px_json_writer w = px_json_writer(exchange->body);
    px_json_begin_object(&w);
    px_json_member_bool(&w, "ready", false);
    px_json_key(&w, "missing");
    px_json_begin_array(&w);
    px_json_put_text(&w, err.message);
    put_missing_models(&w, px_serving_models(serving));
    px_json_end_array(&w);
    px_json_end_object(&w);
    px_reply_json(request, 503);
}
