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
 *           A model that does not end its runs is not waited for for ever: the process then ends without it.
 * A second signal ends DRAINING at once, a third ends the process.
 *
 * Signals are blocked in every thread and taken with sigwait by this one, so no code runs in a signal handler.
 */
#include "server_process.h"

#include "application/serving/repository.h"
#include "faces.h"
#include "infrastructure/ipc/posix_memory.h"
#include "listening.h"
#include "shared/clock.h"
#include "shared/file.h"
#include "shared/log.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { REFRESH_S = 10 };

/* SIGHUP is blocked as well: without it here, it would end the process. */
static void block_signals(sigset_t *stop_signals)
{
    sigset_t blocked;
    sigemptyset(stop_signals);
    sigaddset(stop_signals, SIGTERM);
    sigaddset(stop_signals, SIGINT);
    blocked = *stop_signals;
    sigaddset(&blocked, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    signal(SIGPIPE,
           SIG_IGN); /* a client that went away is an error of its socket, not of the process */
}

/* Waits for a signal, at most for `timeout` (NULL: for ever); 0 when none came. */
static int wait_signal(const sigset_t *signals, const struct timespec *timeout)
{
    int number;
    do {
        number = sigtimedwait(signals, NULL, timeout);
    } while (number < 0 && errno == EINTR);
    return number < 0 ? 0 : number;
}

/* The control thread's work while the server runs: looks after the certificate until a stop signal comes. */
static void wait_for_stop(const sigset_t *stop_signals, struct px_listening *listening)
{
    const struct timespec refresh = {.tv_sec = REFRESH_S};
    sigset_t signals = *stop_signals;
    sigaddset(&signals, SIGHUP);
    for (;;) {
        int number = wait_signal(&signals, &refresh);
        if (number != 0 && number != SIGHUP)
            return;
        px_listening_refresh(listening, number == SIGHUP);
    }
}

static void drain(const struct px_config *config, struct px_serving *serving,
                  struct px_faces *faces, struct px_net *net, const sigset_t *stop_signals)
{
    const struct timespec delay = {config->server_drain_delay_ms / 1000,
                                   config->server_drain_delay_ms % 1000 * 1000000};
    px_log(PX_LOG_INFO, "server.draining", PX_LOG_I("delay_ms", config->server_drain_delay_ms),
           PX_LOG_T("hint", "signal again to skip the delay"));
    px_serving_drain(serving);
    px_grpc_announce_health(faces->grpc);
    px_net_announce_stop(net);
    px_rest_close_streams(faces->rest); /* its clients hear of it, and may go elsewhere */
    (void)wait_signal(stop_signals, &delay);
    pthread_sigmask(SIG_UNBLOCK, stop_signals, NULL); /* from here on a signal ends the process */
    px_grpc_close_streams(faces->grpc);
    bool clean = px_net_stop(net, (unsigned)config->server_drain_timeout_ms);
    if (clean)
        px_log(PX_LOG_INFO, "server.stopped", PX_LOG_T("reason", "drained"));
    else
        px_log(PX_LOG_WARN, "server.stopped", PX_LOG_T("reason", "requests were cut off"),
               PX_LOG_I("drain_timeout_ms", config->server_drain_timeout_ms));
}

static struct px_net_config net_config(const struct px_config *config,
                                       const struct px_listening *listening,
                                       const struct px_faces *faces)
{
    return (struct px_net_config){
        .endpoints = listening->endpoints,
        .tls = listening->tls,
        .coders = faces->coders,
        .n_loops = (unsigned)config->server_threads,
        .header_bytes_max = (size_t)config->server_header_bytes_max,
        .body_bytes_max = (size_t)config->server_body_bytes_max,
        .arena_bytes_max = (size_t)config->serving_request_memory_max,
        .connections_max = (unsigned)config->server_connections_max,
        .streams_max = (unsigned)config->server_http2_streams_max,
        .header_timeout_ms = (unsigned)config->server_header_timeout_ms,
        .body_timeout_ms = (unsigned)config->server_body_timeout_ms,
        .idle_timeout_ms = (unsigned)config->server_idle_timeout_ms,
        .write_timeout_ms = (unsigned)config->server_write_timeout_ms,
    };
}

/* Leaves `ret` alone when the configuration wants no shared memory. */
static enum px_code open_shared_memory(const struct px_config *config,
                                       const struct px_listening *listening,
                                       struct px_shared_memory **ret, struct px_err *err)
{
    struct px_str wanted = config->server_shared_memory;
    bool on =
        px_str_is(wanted, "on") || (px_str_is(wanted, "auto") && px_listening_is_local(listening));
    return on ? px_posix_memory_create(ret, err) : PX_OK;
}

/* Whoever can connect can load: without being told so, only a server that is reached from its own machine allows it. */
static bool may_control(const struct px_config *config, const struct px_listening *listening)
{
    if (px_str_is(config->serving_model_control, "auto"))
        return px_listening_is_local(listening);
    return px_str_is(config->serving_model_control, "explicit");
}

/*
 * What `auto` has opened because only this machine reaches the server: a browser on it does too, so hosts are looked
 * at (interfaces/rest/guard.c). Behind Unix sockets alone no browser comes.
 */
static bool needs_local_host(struct px_str setting, const struct px_listening *listening)
{
    bool has_port = false;
    for (size_t i = 0; i < listening->endpoints.n; i++)
        has_port = has_port || !listening->endpoints.items[i].path;
    return px_str_is(setting, "auto") && px_listening_is_local(listening) && has_port;
}

static struct px_faces_lent lent_by(const struct px_config *config,
                                    const struct px_listening *listening)
{
    return (struct px_faces_lent){
        .config = config,
        .models_may_come = may_control(config, listening),
        .models_need_local_host = needs_local_host(config->serving_model_control, listening),
        .memory_needs_local_host = needs_local_host(config->server_shared_memory, listening),
    };
}

/* The file is written when the server starts; a check makes none. */
static enum px_code check_trace_file(struct px_str setting, struct px_err *err)
{
    char path[PATH_MAX];
    if (setting.len >= sizeof path)
        return px_err_set(err, PX_E_INVALID, "trace.file: expected fewer than %zu bytes",
                          sizeof path);
    snprintf(path, sizeof path, "%.*s", PX_STR_ARG(setting));
    if (setting.len && px_file_kind(path) == PX_FILE_FOLDER)
        return px_err_set(err, PX_E_INVALID, "trace.file: expected a file, %s is a folder", path);
    const char *folder = setting.len ? dirname(path) : ".";
    if (px_file_kind(folder) == PX_FILE_FOLDER)
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "trace.file: there is no folder %s", folder);
    return px_err_hint(err, "make the folder, or choose another path");
}

enum px_code px_server_process_check(const struct px_config *config, struct px_err *err)
{
    struct px_listening listening;
    enum px_code code = px_listening_init(&listening, config, err);
    if (code == PX_OK)
        code = px_listening_check(&listening, err);
    if (code == PX_OK)
        code = check_trace_file(config->trace_file, err);
    if (code == PX_OK) {
        const struct px_faces_lent lent = lent_by(config, &listening);
        code = px_faces_check(&lent, err);
    }
    px_listening_deinit(&listening);
    return code;
}

static enum px_code open_trace(const struct px_config *config, struct px_serving *serving,
                               struct px_trace **ret, struct px_err *err)
{
    const char *file = config->trace_file.len ? config->trace_file.ptr : NULL;
    enum px_code code = px_trace_create(file, (unsigned)config->server_threads, ret, err);
    if (code == PX_OK)
        px_serving_set_trace(serving, *ret);
    return code;
}

static size_t count_connections(void *net)
{
    return px_net_connections(net);
}

static void tell_where(const struct px_config *config, struct px_listening *listening,
                       const struct px_net *net,
                       void (*announce)(void *context, const char *urls[], size_t n_urls),
                       void *context)
{
    const char *urls[PX_ENDPOINTS_MAX];
    size_t n = listening->endpoints.n;
    px_listening_describe(listening, net);
    for (size_t i = 0; i < n; i++) {
        urls[i] = listening->urls[i];
        px_log(PX_LOG_INFO, "server.listening", PX_LOG_T("url", urls[i]),
               PX_LOG_I("loops", config->server_threads));
    }
    announce(context, urls, n);
}

/* An engine still computes for runs that nobody waits for: what it may touch must stay until the process has ended. */
static PX_NORETURN void leave(struct px_trace *trace, struct px_listening *listening)
{
    px_log(PX_LOG_WARN, "server.left",
           PX_LOG_T("reason", "a model did not end its runs; the process ends without it"));
    px_trace_destroy(trace);
    px_listening_deinit(listening);
    _exit(EXIT_SUCCESS);
}

enum px_code px_server_process_run(const struct px_config *config, struct px_serving *serving,
                                   void (*announce)(void *context, const char *urls[],
                                                    size_t n_urls),
                                   void *context, struct px_err *err)
{
    struct px_faces faces = {0};
    struct px_net *net = NULL;
    struct px_trace *trace = NULL;
    struct px_shared_memory *shared_memory = NULL;
    sigset_t stop_signals;
    struct px_listening listening;
    block_signals(&stop_signals);
    enum px_code code = px_listening_init(&listening, config, err);
    if (code == PX_OK)
        code = open_shared_memory(config, &listening, &shared_memory, err);
    struct px_faces_lent lent = lent_by(config, &listening);
    lent.serving = serving;
    lent.shared_memory = shared_memory;
    if (code == PX_OK)
        code = px_faces_init(&faces, &lent, err);
    if (code == PX_OK) {
        struct px_http_handler handler = px_gateway_handler(&faces.gateway);
        struct px_net_config net_settings = net_config(config, &listening, &faces);
        code = px_net_create(&net_settings, &handler, &net, err);
    }
    if (code == PX_OK)
        code = open_trace(config, serving, &trace, err);
    if (code == PX_OK) {
        const struct px_loops loops = px_net_loops(net);
        px_faces_use_loops(&faces, loops);
        code = px_rest_use_loops(faces.rest, &faces.loops, err);
    }
    if (code == PX_OK) {
        px_rest_watch_connections(faces.rest, count_connections, net);
        /* The banner reads the models, so it comes before they may change. */
        tell_where(config, &listening, net, announce, context);
        code = px_serving_manage(serving, &faces.loops, may_control(config, &listening), err);
    }
    if (code == PX_OK)
        code = px_net_start(net, err);
    if (code == PX_OK) {
        wait_for_stop(&stop_signals, &listening);
        drain(config, serving, &faces, net, &stop_signals);
    }
    if (net)
        (void)px_net_stop(net, 0); /* the loops end before what posts to them */
    if (!px_serving_unmanage(serving))
        leave(trace, &listening);
    if (faces.rest)
        px_rest_forget_loops(faces.rest);
    px_net_destroy(net);
    px_serving_set_trace(serving, NULL);
    px_trace_destroy(trace); /* after the loops; what they recorded is written */
    px_faces_deinit(&faces);
    px_listening_deinit(&listening);
    px_shared_memory_destroy(shared_memory);
    return code;
}
