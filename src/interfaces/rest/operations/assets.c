/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the dashboard and of /docs, straight from the binary, and the description of the API, made at start.
 *
 * The page may load nothing but its own files and talk to nobody but this server (Content-Security-Policy), so
 * it works without a network and a hostile model name cannot become a script. A file's entity tag is the
 * hash of its bytes: browsers ask each time and are answered 304.
 */
#include "interfaces/dashboard/assets.h"
#include "interfaces/rest/handlers.h"
#include "interfaces/rest/openapi/openapi.h"
#include "interfaces/rest/reply.h"
#include "shared/alloc.h"
#include "shared/hash.h"

#define SECURITY_HEADERS                                                                           \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "           \
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; "                 \
    "form-action 'none'; frame-ancestors 'none'\r\n"                                               \
    "X-Content-Type-Options: nosniff\r\n"                                                          \
    "Referrer-Policy: no-referrer\r\n"                                                             \
    "Cross-Origin-Opener-Policy: same-origin\r\n"                                                  \
    "Cache-Control: no-cache\r\n"

enum { OPENAPI_MAX = 4 << 20, TAG_MAX = 24, HEADERS_MAX = sizeof SECURITY_HEADERS + TAG_MAX + 16 };

static const char openapi_name[] = "openapi.json";

struct px_rest_asset {
    struct px_str name;
    struct px_str bytes;
    const char *content_type;
    char tag[TAG_MAX]; /* quoted */
    char headers[HEADERS_MAX];
};

static const struct {
    const char *extension, *content_type;
} content_types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".json", "application/json"},
    {".woff2", "font/woff2"},
    {".txt", "text/plain; charset=utf-8"},
};

static const char *content_type_of(struct px_str name)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(content_types); i++) {
        if (px_str_ends(name, content_types[i].extension))
            return content_types[i].content_type;
    }
    return "application/octet-stream";
}

static void init_asset(struct px_rest_asset *asset, const char *name, struct px_str bytes)
{
    asset->name = px_str(name);
    asset->bytes = bytes;
    asset->content_type = content_type_of(asset->name);
    snprintf(asset->tag, sizeof asset->tag, "\"%016llx\"",
             (unsigned long long)px_hash_content(asset->bytes.ptr, asset->bytes.len));
    snprintf(asset->headers, sizeof asset->headers, SECURITY_HEADERS "ETag: W/%s\r\n", asset->tag);
}

enum px_code px_rest_assets_init(struct px_rest *rest, struct px_err *err)
{
    size_t n = 0;
    while (px_dashboard_assets[n].name)
        n++;
    rest->openapi = px_buf(OPENAPI_MAX);
    px_openapi_write(&rest->own_routes, &rest->openapi);
    enum px_code code = px_buf_check(&rest->openapi, "the description of the API", err);
    if (code != PX_OK)
        return code;
    rest->assets = px_alloc(n + 1, sizeof *rest->assets);
    if (!rest->assets)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the dashboard's %zu files", n);
    for (size_t i = 0; i < n; i++) {
        const struct px_asset *file = &px_dashboard_assets[i];
        init_asset(&rest->assets[i], file->name,
                   px_str_n((const char *)file->begin, (size_t)(file->end - file->begin)));
    }
    init_asset(&rest->assets[n], openapi_name, px_buf_view(&rest->openapi));
    rest->n_assets = n + 1;
    return PX_OK;
}

void px_rest_assets_deinit(struct px_rest *rest)
{
    px_free(rest->assets);
    px_buf_deinit(&rest->openapi);
    rest->assets = NULL;
    rest->n_assets = 0;
}

/* If-None-Match: "a", W/"b", or *. A weak tag of ours is what a compressing proxy made of it. */
static bool is_cached(const struct px_http_request *request, const struct px_rest_asset *asset)
{
    struct px_str rest = px_http_header(request, "If-None-Match");
    while (rest.ptr) {
        struct px_str tag = px_str_trim(px_str_cut(&rest, ','));
        if (px_str_starts(tag, "W/"))
            tag = px_str_n(tag.ptr + 2, tag.len - 2);
        if (px_str_is(tag, asset->tag) || px_str_is(tag, "*"))
            return true;
    }
    return false;
}

static const struct px_rest_asset *find_asset(const struct px_rest *rest, struct px_str name)
{
    static const struct px_str front = PX_STR("index.html");
    for (size_t i = 0; i < rest->n_assets; i++) {
        if (px_str_eq(rest->assets[i].name, name.len ? name : front))
            return &rest->assets[i];
    }
    return NULL;
}

bool px_rest_has_asset(const struct px_rest *rest, struct px_str name)
{
    return find_asset(rest, name) != NULL;
}

static void reply_asset(struct px_rest_request *request, struct px_str name)
{
    struct px_http_exchange *exchange = request->exchange;
    const struct px_rest_asset *asset = find_asset(request->rest, name);
    if (!asset) {
        struct px_err err;
        px_err_set(&err, PX_E_NOT_FOUND, "no such path: '%.*s'",
                   PX_STR_ARG(exchange->request.path));
        px_rest_fail(request, &err);
        return;
    }
    px_reply_add_header(exchange, asset->headers);
    if (is_cached(&exchange->request, asset)) {
        px_reply_finish(request, 304, NULL);
        return;
    }
    exchange->static_body = asset->bytes;
    px_reply_finish(request, 200, asset->content_type);
}

/*
 * Browsers ask for text/html. Others are programs: KServe's V1 client takes the answer to GET / for the liveness of the
 * server.
 */
void px_handle_front(struct px_rest_request *request)
{
    struct px_str accepted = px_http_header(&request->exchange->request, "Accept");
    px_reply_add_header(request->exchange, "Vary: Accept\r\n");
    if (accepted.len && memmem(accepted.ptr, accepted.len, "text/html", 9)) {
        reply_asset(request, (struct px_str){0});
        return;
    }
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_object(&w);
    px_json_member_text(&w, "status", "alive");
    px_json_end_object(&w);
    px_reply_json(request, 200);
}

void px_handle_asset(struct px_rest_request *request)
{
    reply_asset(request, request->args[0]);
}

void px_handle_openapi(struct px_rest_request *request)
{
    reply_asset(request, px_str(openapi_name));
}

void px_handle_docs(struct px_rest_request *request)
{
    reply_asset(request, px_str("docs.html"));
}
