/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping web pages from controlling the server.
 *
 * Problem: a server on a loopback address trusts who reaches it, and the browser of its user does, with every page that
 * is open in it. A page may send a POST with a plain body to any address without asking (CORS asks only before
 * "unusual" requests, and keeps only the reply from the page), and a page whose name its owner lets resolve to
 * 127.0.0.1 after it was loaded is even of the same origin (DNS rebinding).
 *
 * Approach: what changes the server (PX_CONTROL of routes.def) is refused when the browser's own headers say that
 * another origin sent it. Pages cannot set or remove Origin and Sec-Fetch-Site, and other clients do not send them.
 * Against rebinding the host must be a loopback name while control is open only because the server listens there: the
 * page's request names the page's host. A client that sends no Host (HTTP/1.0) is no browser.
 *
 * A request for a score that names a region of shared memory is one of those, as it reads or writes what another program holds.
 *
 * An origin is the server's own when its host and port are those of Host. The scheme is left out, because a proxy may
 * have taken TLS off; a page of the same host and another scheme is told by Sec-Fetch-Site. "*" in
 * server.cors_origins lets every page score, and none control.
 */
#include "interfaces/rest/guard.h"

#include "interfaces/rest/cors.h"

#include <arpa/inet.h>

enum { ADDRESS_TEXT_MAX = 64 };

/* "[::1]:8080" into "::1" and "8080"; without a port that is empty. What has another form is a host as it stands. */
static struct px_str cut_host(struct px_str authority, struct px_str *ret_port)
{
    bool is_v6 = authority.len && authority.ptr[0] == '[';
    size_t end = px_str_find(authority, is_v6 ? ']' : ':');
    size_t after = end + (is_v6 && end < authority.len);
    bool has_port = after < authority.len && authority.ptr[after] == ':';
    *ret_port = (struct px_str){0};
    if ((after < authority.len && !has_port) || (is_v6 && end == authority.len))
        return authority;
    if (has_port)
        *ret_port = px_str_n(authority.ptr + after + 1, authority.len - after - 1);
    return px_str_n(authority.ptr + is_v6, end - is_v6);
}

static bool is_loopback(struct px_str host)
{
    char text[ADDRESS_TEXT_MAX];
    struct in_addr v4;
    struct in6_addr v6;
    if (px_str_eq_nocase(host, (struct px_str)PX_STR("localhost")))
        return true;
    if (host.len >= sizeof text)
        return false;
    snprintf(text, sizeof text, "%.*s", PX_STR_ARG(host));
    if (inet_pton(AF_INET, text, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* "https://a.example" is of the host "a.example" or "a.example:443". */
static bool is_own(struct px_str origin, struct px_str authority)
{
    struct px_str scheme = px_str_cut(&origin, ':'), port, own_port;
    if (!px_str_starts(origin, "//") || !authority.len)
        return false;
    struct px_str standard = px_str(px_str_is(scheme, "https") ? "443" : "80");
    struct px_str host = cut_host(px_str_n(origin.ptr + 2, origin.len - 2), &port);
    struct px_str own = cut_host(authority, &own_port);
    return host.len && px_str_eq_nocase(host, own) &&
           px_str_eq(port.len ? port : standard, own_port.len ? own_port : standard);
}

static enum px_code check_origin(const struct px_rest *rest, const struct px_http_request *request,
                                 struct px_err *err)
{
    struct px_str origin = px_str_trim(px_http_header(request, "Origin"));
    struct px_str site = px_str_trim(px_http_header(request, "Sec-Fetch-Site"));
    struct px_str host = px_str_trim(px_http_header(request, "Host"));
    if (px_cors_lists(px_rest_live(rest), origin))
        return PX_OK;
    if (origin.len && !is_own(origin, host))
        px_err_set(err, PX_E_FORBIDDEN, "pages of the origin '%.*s' may not control this server",
                   PX_STR_ARG(origin));
    else if (px_str_eq_nocase(site, (struct px_str)PX_STR("cross-site")) ||
             px_str_eq_nocase(site, (struct px_str)PX_STR("same-site")))
        px_err_set(err, PX_E_FORBIDDEN,
                   "pages of other origins may not control this server (Sec-Fetch-Site: %.*s)",
                   PX_STR_ARG(site));
    else
        return PX_OK;
    return px_err_hint(err, "list the page's origin in server.cors_origins to allow it; '*' does "
                            "not");
}

static enum px_code check_host(const struct px_http_request *request, const char *setting,
                               struct px_err *err)
{
    struct px_str port, authority = px_str_trim(px_http_header(request, "Host"));
    if (!authority.ptr || is_loopback(cut_host(authority, &port)))
        return PX_OK;
    px_err_set(err, PX_E_FORBIDDEN,
               "expected a Host of this machine (localhost, 127.0.0.1, [::1]), got '%.*s'",
               PX_STR_ARG(authority));
    return px_err_hint(err, "call the server by such a name, or set %s to allow any", setting);
}

enum px_code px_guard_check(const struct px_rest *rest, const struct px_http_request *request,
                            enum px_controls controls, struct px_err *err)
{
    const struct px_rest_settings *settings = &rest->settings;
    if (PX_LIKELY(controls == PX_CONTROLS_NOTHING))
        return PX_OK;
    bool is_memory = controls == PX_CONTROLS_MEMORY;
    bool looks_at_host =
        is_memory ? settings->memory_needs_local_host : settings->models_need_local_host;
    enum px_code code = check_origin(rest, request, err);
    if (code == PX_OK && looks_at_host)
        code = check_host(
            request, is_memory ? "server.shared_memory: on" : "serving.model_control: explicit",
            err);
    return code;
}
