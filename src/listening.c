/* SPDX-License-Identifier: Apache-2.0 */
#include "listening.h"

#include "shared/log.h"

#include <arpa/inet.h>

enum { ARENA_MAX = 1 << 16 };

/* NULL for the empty text that stands for "not set". */
static const char *optional(struct px_str text)
{
    return text.len ? text.ptr : NULL;
}

static enum px_code read_endpoints(struct px_listening *l, const struct px_config *config,
                                   struct px_err *err)
{
    if (config->server_listen.len) {
        enum px_code code =
            px_endpoints_parse(config->server_listen, &l->arena, &l->endpoints, err);
        return code == PX_OK ? code : px_err_wrap(err, "server.listen");
    }
    l->endpoints.n = 1;
    l->endpoints.items[0] = (struct px_endpoint){.host = config->server_host.ptr,
                                                 .port = (uint16_t)config->server_port,
                                                 .tls = config->tls_certificate_file.len > 0};
    return PX_OK;
}

static enum px_tls_clients clients_of(const struct px_config *config)
{
    if (px_str_is(config->tls_clients, "required"))
        return PX_TLS_CLIENTS_REQUIRED;
    return px_str_is(config->tls_clients, "optional") ? PX_TLS_CLIENTS_OPTIONAL
                                                      : PX_TLS_CLIENTS_ANY;
}

static bool wants_tls(const struct px_endpoints *endpoints)
{
    for (size_t i = 0; i < endpoints->n; i++) {
        if (endpoints->items[i].tls)
            return true;
    }
    return false;
}

/* Settings of TLS without an endpoint that speaks it: who asked for verified clients must not serve everybody. */
static enum px_code refuse_unused(const struct px_tls_config *tls, struct px_err *err)
{
    if (!tls->certificate_file && !tls->key_file && !tls->client_ca_file &&
        tls->clients == PX_TLS_CLIENTS_ANY)
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "tls: there are settings, and no endpoint speaks https");
    return px_err_hint(err, "give tls.certificate_file without server.listen, or list an https:// "
                            "endpoint there");
}

static enum px_code open_tls(struct px_listening *l, const struct px_config *config,
                             struct px_err *err)
{
    struct px_tls_config tls = {.certificate_file = optional(config->tls_certificate_file),
                                .key_file = optional(config->tls_key_file),
                                .client_ca_file = optional(config->tls_client_ca_file),
                                .clients = clients_of(config),
                                .only_13 = config->tls_only_13,
                                .in_kernel = config->tls_in_kernel};
    if (!wants_tls(&l->endpoints))
        return refuse_unused(&tls, err);
    if (tls.client_ca_file && tls.clients == PX_TLS_CLIENTS_ANY)
        return px_err_set(err, PX_E_INVALID,
                          "tls.client_ca_file has no effect while tls.clients is any; expected "
                          "optional or required");
    return px_tls_create(&tls, &l->tls, err) == PX_OK ? PX_OK : px_err_wrap(err, "tls");
}

enum px_code px_listening_init(struct px_listening *listening, const struct px_config *config,
                               struct px_err *err)
{
    *listening = (struct px_listening){.arena = px_arena(ARENA_MAX)};
    enum px_code code = read_endpoints(listening, config, err);
    return code == PX_OK ? open_tls(listening, config, err) : code;
}

void px_listening_deinit(struct px_listening *listening)
{
    px_tls_destroy(listening->tls);
    px_arena_deinit(&listening->arena);
    *listening = (struct px_listening){0};
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcmp(host, "localhost") == 0;
}

bool px_listening_is_local(const struct px_listening *listening)
{
    for (size_t i = 0; i < listening->endpoints.n; i++) {
        const struct px_endpoint *endpoint = &listening->endpoints.items[i];
        if (!endpoint->path && !is_loopback(endpoint->host))
            return false;
    }
    return true;
}

void px_listening_refresh(struct px_listening *listening, bool force)
{
    struct px_err err;
    if (!listening->tls || (!force && !px_tls_is_stale(listening->tls)))
        return;
    if (px_tls_reload(listening->tls, &err) == PX_OK)
        px_log(PX_LOG_INFO, "tls.reloaded", PX_LOG_T("for", "new connections"));
    else
        px_log(PX_LOG_ERROR, "tls.reload_failed", PX_LOG_T("reason", err.message),
               PX_LOG_T("hint", "the former certificate stays in use"));
}

static bool is_every_address(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static void describe(const struct px_endpoint *endpoint, uint16_t port, char *url)
{
    if (endpoint->path) {
        snprintf(url, PX_LISTENING_URL_MAX, "unix:%s", endpoint->path);
        return;
    }
    const char *host = is_every_address(endpoint->host) ? "127.0.0.1" : endpoint->host;
    bool is_v6 = strchr(host, ':') != NULL;
    snprintf(url, PX_LISTENING_URL_MAX, "%s://%s%s%s:%u", endpoint->tls ? "https" : "http",
             is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
}

void px_listening_describe(struct px_listening *listening, const struct px_net *net)
{
    for (size_t i = 0; i < listening->endpoints.n; i++)
        describe(&listening->endpoints.items[i], px_net_port(net, i), listening->urls[i]);
}
