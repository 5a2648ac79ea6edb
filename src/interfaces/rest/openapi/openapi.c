/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the document. Paths appear in the order of routes.def, each once with all its methods, so that a
 * reader of the document meets the hot routes first, as the router does. It is written once, at start.
 */
#include "interfaces/rest/openapi/openapi.h"

#include "interfaces/dashboard/assets.h"
#include "interfaces/rest/handlers.h"
#include "shared/json.h"

extern const struct px_asset px_openapi_parts[];

static const struct px_tag {
    const char *id, *name, *clients;
} tags[] = {
#define PX_TAG(tag, name, clients) {#tag, name, clients},
#define PX_OPERATION(handler, tag, query, request, takes, reply, gives, error)
#include "interfaces/rest/openapi/operations.def"
#undef PX_TAG
#undef PX_OPERATION
};

static const struct px_operation operations[] = {
#define PX_TAG(tag, name, clients)
#define PX_OPERATION(handler, tag, query, request, takes, reply, gives, error)                     \
    {px_handle_##handler, #handler, #tag, query, request, takes, reply, gives, error},
#include "interfaces/rest/openapi/operations.def"
#undef PX_TAG
#undef PX_OPERATION
};

/* What a {segment} of a path means. */
static const struct {
    const char *name, *what;
} segments[] = {
    {"model", "Name of a model."},
    {"version", "Version of the model."},
    {"label", "Label that stands for a version."},
    {"region", "Name of a region of shared memory, the client's choice."},
    {"file", "Name of a file of the dashboard."},
};

static const char *const method_names[] = {
    [PX_HTTP_GET] = "get",         [PX_HTTP_HEAD] = "head",     [PX_HTTP_POST] = "post",
    [PX_HTTP_PUT] = "put",         [PX_HTTP_DELETE] = "delete", [PX_HTTP_PATCH] = "patch",
    [PX_HTTP_OPTIONS] = "options",
};

const struct px_operation *px_operation_find(const struct px_route *route)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(operations); i++) {
        if (operations[i].handle == route->handle)
            return &operations[i];
    }
    return NULL;
}

static const char *tag_name(const char *id)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(tags); i++) {
        if (strcmp(tags[i].id, id) == 0)
            return tags[i].name;
    }
    return id;
}

/* The next {segment} of a pattern; false after the last. */
static bool next_segment(struct px_str *rest, struct px_str *ret)
{
    (void)px_str_cut(rest, '{');
    if (!rest->ptr)
        return false;
    *ret = px_str_cut(rest, '}');
    return true;
}

static void put_ref(struct px_json_writer *w, const char *kind, const char *name)
{
    char ref[128];
    snprintf(ref, sizeof ref, "#/components/%s/%s", kind, name);
    px_json_begin_object(w);
    px_json_member_text(w, "$ref", ref);
    px_json_end_object(w);
}

static void put_segment(struct px_json_writer *w, struct px_str name)
{
    px_json_begin_object(w);
    px_json_member_str(w, "name", name);
    px_json_member_text(w, "in", "path");
    px_json_member_bool(w, "required", true);
    for (size_t i = 0; i < PX_ARRAY_LEN(segments); i++) {
        if (px_str_is(name, segments[i].name))
            px_json_member_text(w, "description", segments[i].what);
    }
    px_json_key(w, "schema");
    px_json_put_raw(w, px_str("{\"type\":\"string\",\"minLength\":1}"));
    px_json_end_object(w);
}

static void put_parameters(struct px_json_writer *w, const struct px_route *route,
                           const struct px_operation *operation)
{
    struct px_str rest = px_str(route->pattern), name;
    px_json_key(w, "parameters");
    px_json_begin_array(w);
    while (next_segment(&rest, &name))
        put_segment(w, name);
    struct px_str query = px_str(operation->query);
    while (query.len) {
        char text[64];
        struct px_str parameter = px_str_cut(&query, ',');
        snprintf(text, sizeof text, "%.*s", PX_STR_ARG(parameter));
        put_ref(w, "parameters", text);
    }
    px_json_end_array(w);
}

static bool is_json(struct px_str media)
{
    return px_str_is(media, "application/json");
}

/* "content": one member per media type; `schema` is what JSON has, other types are text. */
static void put_content(struct px_json_writer *w, const char *media_types, const char *schema)
{
    struct px_str rest = px_str(media_types);
    px_json_key(w, "content");
    px_json_begin_object(w);
    while (rest.len) {
        struct px_str media = px_str_cut(&rest, ',');
        px_json_key_str(w, media);
        px_json_begin_object(w);
        px_json_key(w, "schema");
        if (is_json(media) && schema[0])
            put_ref(w, "schemas", schema);
        else if (px_str_is(media, "text/event-stream"))
            px_json_put_raw(w, px_str("{}")); /* of an event, which has more than its text */
        else
            px_json_put_raw(w, px_str("{\"type\":\"string\"}"));
        px_json_end_object(w);
    }
    px_json_end_object(w);
}

static void put_body(struct px_json_writer *w, const struct px_operation *operation)
{
    if (!operation->takes[0])
        return;
    px_json_key(w, "requestBody");
    px_json_begin_object(w);
    bool optional = operation->request[0] == '?';
    px_json_member_bool(w, "required", !optional);
    put_content(w, operation->takes, operation->request + optional);
    px_json_end_object(w);
}

/* Requests whose urgency can be told are for an answer of a model; these headers say whose it is. */
static void put_headers(struct px_json_writer *w, const struct px_operation *operation)
{
    static const char *const names[][2] = {{"Phoenix-Fallback", "fallback"},
                                           {"Phoenix-Degraded", "degraded"},
                                           {"Phoenix-Cache", "cache"}};
    if (!strstr(operation->query, "criticality"))
        return;
    px_json_key(w, "headers");
    px_json_begin_object(w);
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++) {
        px_json_key(w, names[i][0]);
        put_ref(w, "headers", names[i][1]);
    }
    px_json_end_object(w);
}

static void put_responses(struct px_json_writer *w, const struct px_operation *operation)
{
    px_json_key(w, "responses");
    px_json_begin_object(w);
    px_json_key(w, "200");
    px_json_begin_object(w);
    px_json_member_text(w, "description", "Done.");
    put_headers(w, operation);
    put_content(w, operation->gives, operation->reply);
    px_json_end_object(w);
    px_json_key(w, "default");
    put_ref(w, "responses", operation->error);
    px_json_end_object(w);
}

/* "post_v1_predict_version": unique, since a handler has a pattern once per set of segments. */
static void put_id(struct px_json_writer *w, const struct px_route *route,
                   const struct px_operation *operation)
{
    char id[128];
    struct px_str rest = px_str(route->pattern), name;
    size_t n =
        (size_t)snprintf(id, sizeof id, "%s_%s", method_names[route->method], operation->handler);
    while (next_segment(&rest, &name)) {
        if (!px_str_is(name, "model") && n < sizeof id)
            n += (size_t)snprintf(id + n, sizeof id - n, "_%.*s", PX_STR_ARG(name));
    }
    px_json_member_text(w, "operationId", id);
}

static void put_operation(struct px_json_writer *w, const struct px_route *route,
                          const struct px_operation *operation)
{
    px_json_key(w, method_names[route->method]);
    px_json_begin_object(w);
    px_json_key(w, "tags");
    px_json_begin_array(w);
    px_json_put_text(w, tag_name(operation->tag));
    px_json_end_array(w);
    put_id(w, route, operation);
    px_json_member_text(w, "summary", route->summary);
    put_parameters(w, route, operation);
    put_body(w, operation);
    put_responses(w, operation);
    px_json_end_object(w);
}

/* The configuration's routes, then the table's. */
static const struct px_route *route_at(const struct px_own_routes *own, size_t i)
{
    return i < own->n ? &own->rows[i] : &px_routes[i - own->n];
}

/* Is there a row before it that takes its requests? */
static bool is_hidden(const struct px_own_routes *own, size_t i)
{
    const struct px_route *route = route_at(own, i);
    for (size_t k = 0; k < own->n && k < i; k++) {
        if (own->rows[k].method == route->method &&
            strcmp(own->rows[k].pattern, route->pattern) == 0)
            return true;
    }
    return false;
}

/* All methods of the pattern of row `first`, unless an earlier row has written them. */
static void put_path(struct px_json_writer *w, const struct px_own_routes *own, size_t first)
{
    const char *pattern = route_at(own, first)->pattern;
    bool begun = false;
    for (size_t i = 0; i < own->n + px_n_routes; i++) {
        const struct px_route *route = route_at(own, i);
        const struct px_operation *operation = px_operation_find(route);
        if (!operation || strcmp(route->pattern, pattern) != 0 || is_hidden(own, i))
            continue;
        if (i < first)
            return;
        if (!begun) {
            px_json_key(w, pattern);
            px_json_begin_object(w);
            begun = true;
        }
        put_operation(w, route, operation);
    }
    if (begun)
        px_json_end_object(w);
}

static void put_info(struct px_json_writer *w)
{
    px_json_key(w, "info");
    px_json_begin_object(w);
    px_json_member_text(w, "title", "Phoenix");
    px_json_member_text(w, "version", PX_VERSION);
    px_json_member_text(
        w, "description",
        "Real-time inference over HTTP, in the protocols that people already speak.");
    px_json_key(w, "license");
    px_json_begin_object(w);
    px_json_member_text(w, "name", "Apache 2.0");
    px_json_member_text(w, "identifier", "Apache-2.0");
    px_json_end_object(w);
    px_json_end_object(w);
}

static void put_tags(struct px_json_writer *w)
{
    px_json_key(w, "tags");
    px_json_begin_array(w);
    for (size_t i = 0; i < PX_ARRAY_LEN(tags); i++) {
        char clients[256];
        snprintf(clients, sizeof clients, "Spoken by %s.", tags[i].clients);
        px_json_begin_object(w);
        px_json_member_text(w, "name", tags[i].name);
        px_json_member_text(w, "description", clients);
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

void px_openapi_write(const struct px_own_routes *own, struct px_buf *out)
{
    const struct px_asset *components = &px_openapi_parts[0];
    struct px_json_writer w = px_json_writer(out);
    px_json_begin_object(&w);
    px_json_member_text(&w, "openapi", "3.1.0");
    put_info(&w);
    px_json_key(&w, "servers");
    px_json_put_raw(&w, px_str("[{\"url\":\"/\"}]"));
    put_tags(&w);
    px_json_key(&w, "paths");
    px_json_begin_object(&w);
    for (size_t i = 0; i < own->n + px_n_routes; i++)
        put_path(&w, own, i);
    px_json_end_object(&w);
    px_json_key(&w, "components");
    px_json_put_raw(&w, px_str_n((const char *)components->begin,
                                 (size_t)(components->end - components->begin)));
    px_json_end_object(&w);
}
