/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routing by comparing the segments of the path with each row of the table.
 *
 * With some seventy rows and the hot ones first this costs some tens of nanoseconds for an inference; a prefix tree was
 * considered and left out, since it would save little and hide the table.
 */
#include "interfaces/rest/router.h"

#include "interfaces/rest/handlers.h"
#include "shared/hex.h"

const struct px_route px_routes[] = {
#define PX_ROUTE(method, pattern, handler, summary)                                                \
    {PX_HTTP_##method, pattern, px_handle_##handler, summary, PX_CONTROLS_NOTHING},
#define PX_CONTROL(what, method, pattern, handler, summary)                                        \
    {PX_HTTP_##method, pattern, px_handle_##handler, summary, PX_CONTROLS_##what},
#include "interfaces/rest/routes.def"
#undef PX_CONTROL
#undef PX_ROUTE
};
const size_t px_n_routes = PX_ARRAY_LEN(px_routes);

enum { METHODS_MAX = 40 };

struct segments {
    struct px_str at[PX_ROUTE_SEGMENTS_MAX];
    size_t n;
};

enum px_code px_url_decode(struct px_str *s, struct px_arena *arena, struct px_err *err)
{
    if (px_str_find(*s, '%') == s->len)
        return PX_OK;
    char *out = px_arena_alloc(arena, s->len, 1);
    if (!out)
        return px_arena_check(arena, "the URL", err);
    size_t n = 0;
    for (size_t i = 0; i < s->len; i++) {
        if (s->ptr[i] != '%') {
            out[n++] = s->ptr[i];
            continue;
        }
        int high = i + 2 < s->len ? px_hex_digit(s->ptr[i + 1]) : -1;
        int low = high >= 0 ? px_hex_digit(s->ptr[i + 2]) : -1;
        if (low < 0)
            return px_err_set(err, PX_E_INVALID,
                              "expected two hexadecimal digits after '%%' in the URL, got '%.*s'",
                              PX_STR_ARG(*s));
        if ((high | low) == 0)
            return px_err_set(err, PX_E_INVALID, "expected no %%00 in the URL, got '%.*s'",
                              PX_STR_ARG(*s));
        out[n++] = (char)(high << 4 | low);
        i += 2;
    }
    *s = px_str_n(out, n);
    return PX_OK;
}

/* Too many segments is no error: then nothing matches. */
static enum px_code cut_path(struct px_str path, struct px_arena *arena, struct segments *ret,
                             struct px_err *err)
{
    ret->n = 0;
    if (px_str_starts(path, "/v2/") && px_str_ends(path, "/"))
        path.len--;
    struct px_str rest = path.len ? px_str_n(path.ptr + 1, path.len - 1) : path;
    while (rest.ptr) {
        if (ret->n == PX_ROUTE_SEGMENTS_MAX)
            return px_err_set(err, PX_E_NOT_FOUND, "no such path: '%.*s'", PX_STR_ARG(path));
        struct px_str *segment = &ret->at[ret->n++];
        *segment = px_str_cut(&rest, '/');
        enum px_code code = px_url_decode(segment, arena, err);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

/*
 * One pattern segment against one path segment; fills `arg` for {name} and {name}:tail. A name holds no
 * ':', so that M:predict is that verb with any method, and not a model of that name.
 */
static bool match_segment(struct px_str pattern, struct px_str segment, struct px_str *arg,
                          bool *ret_is_arg)
{
    *ret_is_arg = pattern.len && pattern.ptr[0] == '{';
    if (!*ret_is_arg)
        return px_str_eq(pattern, segment);
    size_t close = px_str_find(pattern, '}') + 1;
    struct px_str tail = px_str_n(pattern.ptr + close, pattern.len - close);
    if (segment.len <= tail.len)
        return false;
    size_t len = segment.len - tail.len;
    *arg = px_str_n(segment.ptr, len);
    return memcmp(segment.ptr + len, tail.ptr, tail.len) == 0 && px_str_find(*arg, ':') == len;
}

static bool match_pattern(const char *pattern, const struct segments *path, struct px_str *args)
{
    struct px_str rest = px_str(pattern + 1);
    size_t n_args = 0;
    for (size_t i = 0; i < path->n; i++) {
        bool is_arg = false;
        struct px_str arg = {0};
        if (!rest.ptr || !match_segment(px_str_cut(&rest, '/'), path->at[i], &arg, &is_arg))
            return false;
        if (is_arg)
            args[n_args++] = arg;
    }
    return rest.ptr == NULL;
}

/* A row whose path fits: notes it, and says whether its method does too. */
static bool take(struct px_route_match *ret, const struct px_route *route,
                 const struct px_str *args, enum px_http_method wanted)
{
    bool fits = route->method == wanted;
    ret->allowed |= 1u << route->method;
    if (fits || !ret->near)
        memcpy(ret->args, args, sizeof ret->args);
    if (!ret->near)
        ret->near = route;
    if (fits)
        ret->route = route;
    return fits;
}

static bool find_own(const struct px_own_routes *own, struct px_str path,
                     enum px_http_method wanted, struct px_route_match *ret)
{
    static const struct px_str no_args[PX_ROUTE_ARGS_MAX];
    for (size_t i = 0; i < own->n; i++) {
        if (px_str_is(path, own->rows[i].pattern) && take(ret, &own->rows[i], no_args, wanted))
            return true;
    }
    return false;
}

static bool find_in_table(const struct segments *segments, enum px_http_method wanted,
                          struct px_route_match *ret)
{
    for (size_t i = 0; i < px_n_routes; i++) {
        struct px_str args[PX_ROUTE_ARGS_MAX] = {{0}};
        if (!match_pattern(px_routes[i].pattern, segments, args))
            continue;
        if (ret->allowed && px_routes[i].handle == px_handle_asset)
            continue; /* a path that is known is no file: it has the methods of its own rows */
        if (take(ret, &px_routes[i], args, wanted))
            return true;
    }
    return false;
}

/* "GET, HEAD, POST, OPTIONS" */
static void put_methods(unsigned allowed, char *out, size_t size)
{
    snprintf(out, size, "%s%sOPTIONS", allowed & 1u << PX_HTTP_GET ? "GET, HEAD, " : "",
             allowed & 1u << PX_HTTP_POST ? "POST, " : "");
}

static enum px_code refuse_method(enum px_http_method method, unsigned allowed, struct px_err *err)
{
    static const char *const names[] = {
        [PX_HTTP_OTHER] = "no other method", [PX_HTTP_GET] = "not GET",
        [PX_HTTP_HEAD] = "not HEAD",         [PX_HTTP_POST] = "not POST",
        [PX_HTTP_PUT] = "not PUT",           [PX_HTTP_DELETE] = "not DELETE",
        [PX_HTTP_OPTIONS] = "not OPTIONS",   [PX_HTTP_PATCH] = "not PATCH",
    };
    char methods[METHODS_MAX];
    put_methods(allowed, methods, sizeof methods);
    return px_err_set(err, PX_E_METHOD_NOT_ALLOWED, "this path takes %s, and %s", methods,
                      names[method]);
}

enum px_code px_route_find(const struct px_own_routes *own, const struct px_http_exchange *exchange,
                           struct px_route_match *ret, struct px_err *err)
{
    struct segments segments;
    struct px_str path = exchange->request.path;
    enum px_http_method method = exchange->request.method;
    enum px_http_method wanted = method == PX_HTTP_HEAD ? PX_HTTP_GET : method;
    *ret = (struct px_route_match){0};
    if (find_own(own, path, wanted, ret))
        return PX_OK;
    enum px_code code = cut_path(path, exchange->arena, &segments, err);
    if (code == PX_OK && find_in_table(&segments, wanted, ret))
        return PX_OK;
    if (!ret->allowed)
        return code != PX_OK
                   ? code
                   : px_err_set(err, PX_E_NOT_FOUND, "no such path: '%.*s'", PX_STR_ARG(path));
    if (method == PX_HTTP_OPTIONS)
        return PX_OK;
    return refuse_method(method, ret->allowed, err);
}

const char *px_route_allow_header(unsigned allowed, struct px_arena *arena)
{
    char methods[METHODS_MAX], text[METHODS_MAX + sizeof "Allow: \r\n"];
    put_methods(allowed, methods, sizeof methods);
    snprintf(text, sizeof text, "Allow: %s\r\n", methods);
    return px_arena_cstr(arena, px_str(text));
}
