/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vertex AI's prediction container: {"instances": [...], "parameters": {...}} to {"predictions": [...]}, and a health
 * check, on the two paths that vertex.predict_route and vertex.health_route name (AIP_PREDICT_ROUTE and
 * AIP_HEALTH_ROUTE in the container's environment). Vertex AI itself adds deployedModelId and the like to the reply.
 */
#include "interfaces/rest/served.h"
#include "interfaces/rest/v1/v1.h"

static const struct px_body_member members[] = {
    {PX_STR("instances"), px_json_rows_instances, true},
    {PX_STR("parameters"), px_body_parameters, false},
};
static const struct px_body_form form = {
    .members = members,
    .n_members = PX_ARRAY_LEN(members),
    .hint = "the body is {\"instances\": [...], \"parameters\": {...}}",
};

static void predict(struct px_rest_request *request)
{
    if (!px_rest_choose_model(request))
        return;
    struct px_infer *infer = px_rest_infer_open(request, px_v1_reply_json);
    if (infer)
        px_v1_run(infer, &form);
}

bool px_vertex_handle(struct px_rest_request *request)
{
    const struct px_rest_settings *settings = &request->rest->settings;
    const struct px_http_request *http = &request->exchange->request;
    bool reads = http->method == PX_HTTP_GET || http->method == PX_HTTP_HEAD;
    if (http->method == PX_HTTP_POST && settings->vertex_predict_route.len &&
        px_str_eq(http->path, settings->vertex_predict_route)) {
        predict(request);
        return true;
    }
    if (reads && settings->vertex_health_route.len &&
        px_str_eq(http->path, settings->vertex_health_route)) {
        px_handle_ping(request);
        return true;
    }
    return false;
}
