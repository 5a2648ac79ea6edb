/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the serving process.
 *
 *   RUNNING   -- SIGTERM or SIGINT -->  DRAINING  -- drain delay -->  STOPPING  -->  exit 0
 *
 * DRAINING  readiness is 503 so that load balancers look away, and responses ask clients to close;
 *           everything is still served.
 * STOPPING  nothing new is accepted, what is in flight is answered, and clients between two requests
 *           have a moment for a last one.
 * A second signal ends DRAINING at once, a third ends the process.
 *
 * Signals are blocked in every thread and taken with sigwait by this one, so no code runs in a signal handler.
 */
#include "server_process.h"

#include "infrastructure/net/server.h"
#include "interfaces/rest/rest.h"
#include "shared/clock.h"
#include "shared/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

static void block_signals(sigset_t *stop_signals)
{
    sigemptyset(stop_signals);
    sigaddset(stop_signals, SIGTERM);
    sigaddset(stop_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, stop_signals, NULL);
    signal(SIGPIPE,
           SIG_IGN); /* a client that went away is an error of its socket, not of the process */
}

/* Waits for a stop signal, at most for `timeout` (NULL: for ever). */
static void wait_signal(const sigset_t *stop_signals, const struct timespec *timeout)
{
    int signal_number;
    do {
        signal_number = sigtimedwait(stop_signals, NULL, timeout);
    } while (signal_number < 0 && errno == EINTR);
}

static void drain(const struct px_config *config, struct px_serving *serving, struct px_net *net,
                  const sigset_t *stop_signals)
{
    const struct timespec delay = {config->server_drain_delay_ms / 1000,
                                   config->server_drain_delay_ms % 1000 * 1000000};
    px_log(PX_LOG_INFO, "server.draining", PX_LOG_I("delay_ms", config->server_drain_delay_ms),
           PX_LOG_T("hint", "signal again to skip the delay"));
    px_serving_drain(serving);
    px_net_announce_stop(net);
    wait_signal(stop_signals, &delay);
    pthread_sigmask(SIG_UNBLOCK, stop_signals, NULL); /* from here on a signal ends the process */
    bool clean = px_net_stop(net, (unsigned)config->server_drain_timeout_ms);
    if (clean)
        px_log(PX_LOG_INFO, "server.stopped", PX_LOG_T("reason", "drained"));
    else
        px_log(PX_LOG_WARN, "server.stopped", PX_LOG_T("reason", "requests were cut off"),
               PX_LOG_I("drain_timeout_ms", config->server_drain_timeout_ms));
}

static struct px_net_config net_config(const struct px_config *config)
{
    return (struct px_net_config){
        .host = config->server_host.ptr,
        .port = (uint16_t)config->server_port,
        .n_loops = (unsigned)config->server_threads,
        .header_bytes_max = (size_t)config->server_header_bytes_max,
        .body_bytes_max = (size_t)config->server_body_bytes_max,
        .arena_bytes_max = (size_t)config->serving_request_memory_max,
        .connections_max = (unsigned)config->server_connections_max,
        .header_timeout_ms = (unsigned)config->server_header_timeout_ms,
        .body_timeout_ms = (unsigned)config->server_body_timeout_ms,
        .idle_timeout_ms = (unsigned)config->server_idle_timeout_ms,
        .write_timeout_ms = (unsigned)config->server_write_timeout_ms,
    };
}

static size_t count_connections(void *net)
{
    return px_net_connections(net);
}

enum px_code px_server_process_run(const struct px_config *config, struct px_serving *serving,
                                   void (*announce)(void *context, uint16_t port), void *context,
                                   struct px_err *err)
{
    struct px_rest *rest = NULL;
    struct px_net *net = NULL;
    sigset_t stop_signals;
    block_signals(&stop_signals);
    enum px_code code = px_rest_create(serving, &rest, err);
    if (code == PX_OK) {
        struct px_http_handler handler = px_rest_handler(rest);
        struct px_net_config net_settings = net_config(config);
        code = px_net_create(&net_settings, &handler, &net, err);
    }
    if (code == PX_OK) {
        px_rest_watch_connections(rest, count_connections, net);
        code = px_net_start(net, err);
    }
    if (code == PX_OK) {
        px_log(PX_LOG_INFO, "server.listening", PX_LOG_S("host", config->server_host),
               PX_LOG_U("port", px_net_port(net)), PX_LOG_I("loops", config->server_threads));
        announce(context, px_net_port(net));
        wait_signal(&stop_signals, NULL);
        drain(config, serving, net, &stop_signals);
    }
    px_net_destroy(net);
    px_rest_destroy(rest);
    return code;
}
