/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/net/endpoint.h"

#include <arpa/inet.h>
#include <strings.h>
#include <sys/un.h>

/* What sockaddr_un holds with its end. */
enum { PATH_MAX_LEN = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 };

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\n';
}

static struct px_str take_word(struct px_str *text)
{
    size_t from = 0, to;
    while (from < text->len && is_separator(text->ptr[from]))
        from++;
    for (to = from; to < text->len && !is_separator(text->ptr[to]); to++)
        ;
    struct px_str word = px_str_n(text->ptr + from, to - from);
    *text = px_str_n(text->ptr + to, text->len - to);
    return word;
}

static bool take_prefix(struct px_str *s, const char *prefix)
{
    if (!px_str_starts(*s, prefix))
        return false;
    size_t n = strlen(prefix);
    *s = px_str_n(s->ptr + n, s->len - n);
    return true;
}

static enum px_code refuse(struct px_str word, const char *reason, struct px_err *err)
{
    px_err_set(err, PX_E_INVALID, "endpoint '%.*s': %s", PX_STR_ARG(word), reason);
    return px_err_hint(
        err, "write HOST:PORT, http://HOST:PORT, https://HOST:PORT or unix:/PATH; an IPv6 "
             "address goes into brackets");
}

static enum px_code keep_text(struct px_str text, struct px_arena *arena, const char **ret,
                              struct px_err *err)
{
    *ret = px_arena_cstr(arena, text);
    return *ret ? PX_OK : px_arena_check(arena, "an endpoint", err);
}

static enum px_code parse_unix(struct px_str word, struct px_str path, struct px_arena *arena,
                               struct px_endpoint *ret, struct px_err *err)
{
    if (path.len == 0 || path.ptr[0] != '/')
        return refuse(word, "expected an absolute path", err);
    if (path.len > PATH_MAX_LEN)
        return px_err_set(err, PX_E_INVALID, "endpoint '%.*s': expected a path of at most %d bytes",
                          PX_STR_ARG(word), PATH_MAX_LEN);
    return keep_text(path, arena, &ret->path, err);
}

static enum px_code parse_tcp(struct px_str word, struct px_str address, struct px_arena *arena,
                              struct px_endpoint *ret, struct px_err *err)
{
    size_t colon = address.len;
    uint64_t port;
    if (px_str_find(address, '/') < address.len)
        return refuse(word, "an endpoint has no path; leave out what begins with '/'", err);
    while (colon > 0 && address.ptr[colon - 1] != ':')
        colon--;
    if (colon < 2)
        return refuse(word, "expected a host and a port", err);
    struct px_str host = px_str_n(address.ptr, colon - 1);
    if (!px_str_to_u64(px_str_n(address.ptr + colon, address.len - colon), &port) || port > 65535)
        return refuse(word, "expected a port from 0 to 65535", err);
    bool has_brackets = host.ptr[0] == '[' && host.ptr[host.len - 1] == ']' && host.len > 2;
    if (has_brackets)
        host = px_str_n(host.ptr + 1, host.len - 2);
    else if (px_str_find(host, ':') < host.len || host.ptr[0] == '[')
        return refuse(word, "expected an IPv6 address between brackets", err);
    ret->port = (uint16_t)port;
    return keep_text(host, arena, &ret->host, err);
}

static enum px_code parse_endpoint(struct px_str word, struct px_arena *arena,
                                   struct px_endpoint *ret, struct px_err *err)
{
    struct px_str rest = word;
    *ret = (struct px_endpoint){0};
    if (take_prefix(&rest, "unix:"))
        return parse_unix(word, rest, arena, ret, err);
    ret->tls = take_prefix(&rest, "https://");
    if (!ret->tls && !take_prefix(&rest, "http://")) {
        for (size_t i = 0; i + 2 < rest.len; i++) {
            if (memcmp(rest.ptr + i, "://", 3) == 0)
                return refuse(word, "unknown scheme", err);
        }
    }
    return parse_tcp(word, rest, arena, ret, err);
}

/* Addresses may be written in several ways; names have no upper and lower case. */
static bool is_same_host(const char *a, const char *b)
{
    struct in6_addr a6, b6;
    if (inet_pton(AF_INET6, a, &a6) == 1 && inet_pton(AF_INET6, b, &b6) == 1)
        return memcmp(&a6, &b6, sizeof a6) == 0;
    return strcasecmp(a, b) == 0;
}

/* Are both paths the same, with slashes that follow each other as one? */
static bool is_same_path(const char *a, const char *b)
{
    while (*a && *a == *b) {
        for (bool slash = *a == '/'; slash && a[1] == '/';)
            a++;
        for (bool slash = *b == '/'; slash && b[1] == '/';)
            b++;
        a++;
        b++;
    }
    return *a == *b;
}

static bool is_same_place(const struct px_endpoint *a, const struct px_endpoint *b)
{
    if (a->path || b->path)
        return a->path && b->path && is_same_path(a->path, b->path);
    return a->port != 0 && a->port == b->port && is_same_host(a->host, b->host);
}

/* The newest endpoint must not be there already. */
static enum px_code check_once(const struct px_endpoints *endpoints, struct px_str word,
                               struct px_err *err)
{
    for (size_t i = 0; i < endpoints->n; i++) {
        if (!is_same_place(&endpoints->items[i], &endpoints->items[endpoints->n]))
            continue;
        px_err_set(err, PX_E_INVALID, "endpoint '%.*s': its address is listed twice",
                   PX_STR_ARG(word));
        return px_err_hint(err, "list an address once; http and https need a port each");
    }
    return PX_OK;
}

enum px_code px_endpoints_parse(struct px_str text, struct px_arena *arena,
                                struct px_endpoints *ret, struct px_err *err)
{
    ret->n = 0;
    for (struct px_str word = take_word(&text); word.len; word = take_word(&text)) {
        if (ret->n == PX_ENDPOINTS_MAX)
            return px_err_set(err, PX_E_INVALID, "expected at most %d endpoints", PX_ENDPOINTS_MAX);
        enum px_code code = parse_endpoint(word, arena, &ret->items[ret->n], err);
        if (code == PX_OK)
            code = check_once(ret, word, err);
        if (code != PX_OK)
            return code;
        ret->n++;
    }
    return ret->n ? PX_OK : px_err_set(err, PX_E_INVALID, "expected at least one endpoint");
}
