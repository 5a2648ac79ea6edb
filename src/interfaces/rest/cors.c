/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cross-origin resource sharing (Fetch standard, section 3.2).
 *
 * An origin that is not allowed gets no header, and the browser keeps the reply from the page; the request itself is
 * answered as any other, since CORS protects users and not the server. With a list of origins the reply depends on
 * the origin, so it says Vary: Origin always. Credentials go with a listed origin only, never with "*", which
 * px_cors_check refuses at start.
 */
#include "interfaces/rest/cors.h"
#include "interfaces/rest/reply.h"

#define EXPOSED                                                                                    \
    "Access-Control-Expose-Headers: Inference-Header-Content-Length, Retry-After, "                \
    "Phoenix-Retry-After-Ms\r\n"

enum { HEADERS_MAX = 2048, ORIGIN_MAX = 512 };

static bool is_any(struct px_str origins)
{
    return px_str_is(px_str_trim(origins), "*");
}

static bool is_listed(struct px_str origins, struct px_str origin)
{
    while (origins.ptr) {
        if (px_str_eq_nocase(px_str_trim(px_str_cut(&origins, ',')), origin))
            return true;
    }
    return false;
}

bool px_cors_lists(const struct px_rest_settings *settings, struct px_str origin)
{
    return origin.len && !is_any(settings->cors_origins) &&
           is_listed(settings->cors_origins, origin);
}

static bool is_header_text(struct px_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte < 0x20 || byte > 0x7e)
            return false;
    }
    return true;
}

/* RFC 9110, section 5.6.2: what a header's name is made of. */
static bool is_token(struct px_str text)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && !memchr(marks, c, sizeof marks - 1))
            return false;
    }
    return text.len > 0;
}

static enum px_code check_headers(struct px_str names, struct px_err *err)
{
    while (names.len) {
        struct px_str name = px_str_trim(px_str_cut(&names, ','));
        if (!is_token(name))
            return px_err_set(err, PX_E_INVALID,
                              "server.cors_headers: expected names of headers with commas between "
                              "them, got '%.*s'",
                              PX_STR_ARG(name));
    }
    return PX_OK;
}

static bool is_scheme(struct px_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!letter && !(i > 0 && other))
            return false;
    }
    return text.len > 0;
}

/* A name or an address, which in brackets may have colons. */
static bool is_host(struct px_str text)
{
    bool is_v6 = text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';
    if (is_v6)
        text = px_str_n(text.ptr + 1, text.len - 2);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool mark = c == '.' || c == '-' || c == '_' || (is_v6 && c == ':');
        if (!letter && !(c >= '0' && c <= '9') && !mark)
            return false;
    }
    return text.len > 0;
}

/* Browsers leave the port of the scheme out, so an origin that has it would match no page. */
static bool is_port(struct px_str text, struct px_str scheme)
{
    uint64_t port;
    if (!px_str_to_u64(text, &port) || port < 1 || port > 65535)
        return false;
    return !(port == 80 && px_str_is(scheme, "http")) &&
           !(port == 443 && px_str_is(scheme, "https"));
}

/* "https://a.example:8443": what a browser may send as Origin. */
static bool is_origin(struct px_str text)
{
    struct px_str host = text, scheme = px_str_cut(&host, ':');
    if (!is_scheme(scheme) || !px_str_starts(host, "//"))
        return false;
    host = px_str_n(host.ptr + 2, host.len - 2);
    size_t end = host.len;
    while (end > 0 && host.ptr[end - 1] != ':' && host.ptr[end - 1] != ']')
        end--;
    if (end > 0 && host.ptr[end - 1] == ':') {
        if (!is_port(px_str_n(host.ptr + end, host.len - end), scheme))
            return false;
        host.len = end - 1;
    }
    return is_host(host);
}

static enum px_code refuse_origin(struct px_str origin, struct px_err *err)
{
    px_err_set(err, PX_E_INVALID,
               "server.cors_origins: expected '*' or origins such as https://example.com, got "
               "'%.*s'",
               PX_STR_ARG(origin));
    return px_err_hint(err, "an origin is a scheme, a host and a port that is not the scheme's, as "
                            "browsers send it; '*' stands alone");
}

enum px_code px_cors_check(const struct px_rest_settings *settings, struct px_err *err)
{
    struct px_str rest = settings->cors_origins;
    enum px_code code = check_headers(settings->cors_headers, err);
    if (code != PX_OK)
        return code;
    if (is_any(rest) && settings->cors_credentials) {
        px_err_set(err, PX_E_INVALID, "server.cors_credentials: not with server.cors_origins '*'");
        return px_err_hint(err, "list the origins that may send credentials");
    }
    while (rest.len && !is_any(settings->cors_origins)) {
        struct px_str origin = px_str_trim(px_str_cut(&rest, ','));
        if (origin.len > ORIGIN_MAX || !is_header_text(origin) || !is_origin(origin))
            return refuse_origin(origin, err);
    }
    return PX_OK;
}

/* May the page that sends this read the reply? Its origin, or "*"; empty when not. */
static struct px_str allowed_origin(const struct px_rest *rest, struct px_http_exchange *exchange)
{
    struct px_str origin = px_str_trim(px_http_header(&exchange->request, "Origin"));
    if (origin.len == 0 || origin.len > ORIGIN_MAX || !is_header_text(origin))
        return (struct px_str){0};
    struct px_str origins = px_rest_live(rest)->cors_origins;
    if (is_any(origins))
        return px_str("*");
    return is_listed(origins, origin) ? origin : (struct px_str){0};
}

void px_cors_begin(const struct px_rest *rest, struct px_http_exchange *exchange)
{
    char text[HEADERS_MAX];
    const struct px_rest_settings *settings = px_rest_live(rest);
    if (settings->cors_origins.len == 0)
        return;
    struct px_str origin = allowed_origin(rest, exchange);
    if (!is_any(settings->cors_origins))
        px_reply_add_header(exchange, "Vary: Origin\r\n");
    if (origin.len == 0)
        return;
    snprintf(text, sizeof text, "Access-Control-Allow-Origin: %.*s\r\n%s" EXPOSED,
             PX_STR_ARG(origin),
             settings->cors_credentials ? "Access-Control-Allow-Credentials: true\r\n" : "");
    const char *kept = px_arena_cstr(exchange->arena, px_str(text));
    if (kept)
        px_reply_add_header(exchange, kept);
}

void px_cors_preflight(const struct px_rest *rest, struct px_http_exchange *exchange,
                       unsigned allowed)
{
    char text[HEADERS_MAX];
    const struct px_rest_settings *settings = px_rest_live(rest);
    if (settings->cors_origins.len == 0 ||
        px_http_header(&exchange->request, "Access-Control-Request-Method").len == 0 ||
        allowed_origin(rest, exchange).len == 0)
        return;
    int n = snprintf(text, sizeof text,
                     "Access-Control-Allow-Methods: %s%sOPTIONS\r\n"
                     "Access-Control-Allow-Headers: %.*s\r\nAccess-Control-Max-Age: %lld\r\n",
                     allowed & 1u << PX_HTTP_GET ? "GET, HEAD, " : "",
                     allowed & 1u << PX_HTTP_POST ? "POST, " : "",
                     PX_STR_ARG(settings->cors_headers), (long long)settings->cors_max_age_s);
    const char *kept =
        n > 0 && (size_t)n < sizeof text ? px_arena_cstr(exchange->arena, px_str(text)) : NULL;
    if (kept)
        px_reply_add_header(exchange, kept);
}
