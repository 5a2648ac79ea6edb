/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vertex AI's prediction container: {"instances": [...], "parameters": {...}} to {"predictions": [...]}, and a health
 * check, on the two paths that vertex.predict_route and vertex.health_route name (AIP_PREDICT_ROUTE and
 * AIP_HEALTH_ROUTE in the container's environment). Vertex AI itself adds deployedModelId and the like to the reply.
 */
#include "interfaces/rest/served.h"
#include "interfaces/rest/v1/v1.h"
#include "shared/alloc.h"
#include "shared/unconst.h"

static const struct px_body_member members[] = {
    {PX_STR("instances"), px_json_rows_instances, true},
    {PX_STR("parameters"), px_body_parameters, false},
};
static const struct px_body_form form = {
    .members = members,
    .n_members = PX_ARRAY_LEN(members),
    .hint = "the body is {\"instances\": [...], \"parameters\": {...}}",
};

void px_handle_vertex_predict(struct px_rest_request *request)
{
    if (!px_rest_choose_model(request))
        return;
    struct px_infer *infer = px_rest_infer_open(request, px_v1_reply_json);
    if (infer)
        px_v1_run(infer, &form);
}

/* An operation of its own, since the description of the API names each by its handler. */
void px_handle_vertex_health(struct px_rest_request *request)
{
    px_handle_ping(request);
}

/* ---- the paths ---- */

enum {
    REQUEST_REST = 64
}; /* bytes of a request's head besides its path: POST, HTTP/1.1, a short Host */

/* Clients take these out of a path before they send it, so that such a route would never be asked for. */
static bool has_empty_or_dots(struct px_str path)
{
    struct px_str rest = px_str_n(path.ptr + 1, path.len - 1);
    if (rest.len == 0)
        return false;
    while (rest.ptr) {
        struct px_str segment = px_str_cut(&rest, '/');
        bool is_last = rest.ptr == NULL;
        if ((segment.len == 0 && !is_last) || px_str_is(segment, ".") || px_str_is(segment, ".."))
            return true;
    }
    return false;
}

static enum px_code check_segments(const char *setting, struct px_str path, size_t head_bytes_max,
                                   struct px_err *err)
{
    if (path.len && has_empty_or_dots(path))
        return px_err_set(err, PX_E_INVALID,
                          "%s: expected a path without '//', '/./' and '/../', got '%.*s'", setting,
                          PX_STR_ARG(path));
    if (head_bytes_max && path.len + REQUEST_REST > head_bytes_max)
        return px_err_set(err, PX_E_INVALID,
                          "%s: a request for a path of %zu bytes does not fit into "
                          "server.header_bytes_max, %zu",
                          setting, path.len, head_bytes_max);
    return PX_OK;
}

/* A path as it stands in a request; braces would make it a pattern in the description of the API. */
static enum px_code check_path(const char *setting, struct px_str path, size_t head_bytes_max,
                               struct px_err *err)
{
    static const char excluded[] = "?#{}\"<>\\^`|";
    bool is_path = path.len == 0 || path.ptr[0] == '/';
    for (size_t i = 0; i < path.len; i++)
        is_path = is_path && path.ptr[i] > 0x20 && path.ptr[i] < 0x7f &&
                  !memchr(excluded, path.ptr[i], sizeof excluded - 1);
    if (is_path)
        return check_segments(setting, path, head_bytes_max, err);
    return px_err_set(
        err, PX_E_INVALID,
        "%s: expected a path that begins with '/' and has no query, blanks or braces, "
        "got '%.*s'",
        setting, PX_STR_ARG(path));
}

enum px_code px_vertex_check(const struct px_rest_settings *settings, struct px_err *err)
{
    struct px_str predict = settings->vertex_predict_route, health = settings->vertex_health_route;
    enum px_code code =
        check_path("vertex.predict_route", predict, settings->header_bytes_max, err);
    if (code == PX_OK)
        code = check_path("vertex.health_route", health, settings->header_bytes_max, err);
    if (code == PX_OK && predict.len && px_str_eq(predict, health))
        code = px_err_set(err, PX_E_INVALID,
                          "vertex.health_route: expected another path than vertex.predict_route, "
                          "got '%.*s' for both",
                          PX_STR_ARG(health));
    return code;
}

static enum px_code add_route(struct px_own_routes *routes, struct px_str path,
                              struct px_route route, struct px_err *err)
{
    if (!path.len)
        return PX_OK;
    char *pattern = px_alloc(path.len + 1, 1);
    if (!pattern)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a route");
    memcpy(pattern, path.ptr, path.len);
    route.pattern = pattern;
    routes->rows[routes->n++] = route;
    return PX_OK;
}

enum px_code px_vertex_routes(const struct px_rest_settings *settings, struct px_own_routes *ret,
                              struct px_err *err)
{
    const struct px_route predict = {.method = PX_HTTP_POST,
                                     .handle = px_handle_vertex_predict,
                                     .summary = "Score instances with the default model"};
    const struct px_route health = {.method = PX_HTTP_GET,
                                    .handle = px_handle_vertex_health,
                                    .summary = "200 when the server is ready"};
    *ret = (struct px_own_routes){0};
    enum px_code code = add_route(ret, settings->vertex_predict_route, predict, err);
    return code == PX_OK ? add_route(ret, settings->vertex_health_route, health, err) : code;
}

void px_vertex_free(struct px_own_routes *routes)
{
    for (size_t i = 0; i < routes->n; i++)
        px_free(px_unconst(routes->rows[i].pattern));
    *routes = (struct px_own_routes){0};
}
