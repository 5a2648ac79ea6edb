/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A serving process: its parts are built, lent to each other, and taken down. What it does in between is server_life.c.
 */
#include "server_process.h"

#include "application/serving/repository.h"
#include "infrastructure/ipc/posix_memory.h"
#include "server.h"
#include "server_life.h"
#include "server_upgrade.h"
#include "server_watch.h"

#include "shared/log.h"

#include <stdlib.h>
#include <unistd.h>

static enum px_code open_trace(struct px_server *server, struct px_err *err)
{
    const struct px_config *config = server->config;
    const char *file = config->trace_file.len ? config->trace_file.ptr : NULL;
    enum px_code code =
        px_trace_create(file, (unsigned)config->server_threads, &server->trace, err);
    if (code == PX_OK)
        px_serving_set_trace(server->serving, server->trace);
    return code;
}

static size_t count_connections(void *net)
{
    return px_net_connections(net);
}

static void tell_where(struct px_server *server)
{
    const struct px_serve_job *job = server->job;
    struct px_listening *listening = &server->listening;
    const char *urls[PX_ENDPOINTS_MAX];
    size_t n = listening->endpoints.n;
    px_listening_describe(listening, server->net);
    for (size_t i = 0; i < n; i++) {
        urls[i] = listening->urls[i];
        px_log(PX_LOG_INFO, "server.listening", PX_LOG_T("url", urls[i]),
               PX_LOG_I("loops", server->config->server_threads));
    }
    job->announce(job->context, urls, n);
}

/* ---- building ---- */

static enum px_code open_faces(struct px_server *server, struct px_err *err)
{
    const struct px_live_hooks hooks = px_server_live_hooks(server);
    enum px_code code =
        px_live_config_create(server->job->sources, server->config, &hooks, &server->live, err);
    if (code == PX_OK && px_server_wants_shared_memory(server->config, &server->listening))
        code = px_posix_memory_create(&server->shared_memory, err);
    server->lent = px_server_lent(server->config, &server->listening);
    server->lent.serving = server->serving;
    server->lent.shared_memory = server->shared_memory;
    server->lent.live_config = server->live;
    server->lent.pressure = &server->pressure;
    px_serving_set_pressure(server->serving, &server->pressure);
    return code == PX_OK ? px_faces_init(&server->faces, &server->lent, err) : code;
}

/* Sockets of addresses that the settings no longer name. */
static void drop_unused(struct px_inherited *inherited)
{
    if (inherited->n)
        px_log(PX_LOG_WARN, "server.sockets_unused", PX_LOG_U("sockets", inherited->n),
               PX_LOG_T("reason", "handed over for addresses that the settings do not name"));
    px_inherited_close(inherited);
}

static enum px_code open_net(struct px_server *server, struct px_err *err)
{
    const struct px_http_handler handler = px_gateway_handler(&server->faces.gateway);
    const struct px_net_config config = px_server_net_config(server, server->config);
    enum px_code code = px_upgrade_take_sockets(&server->inherited, err);
    if (code == PX_OK)
        code = px_net_create(&config, &handler, &server->net, err);
    drop_unused(&server->inherited);
    if (code != PX_OK)
        return code;
    px_faces_use_loops(&server->faces, px_net_loops(server->net));
    px_live_config_use_loops(server->live, &server->faces.loops);
    px_rest_watch_connections(server->faces.rest, count_connections, server->net);
    code = px_rest_use_loops(server->faces.rest, &server->faces.loops, err);
    return code == PX_OK ? px_loop_round_create(&server->faces.loops, &server->round, err) : code;
}

static enum px_code open_server(struct px_server *server, struct px_err *err)
{
    const struct px_config *config = server->config;
    px_watch_check_limits(config);
    enum px_code code =
        px_pinning_init(&server->pinning, config->server_pin, config->server_numa, err);
    if (code == PX_OK)
        code = px_listening_init(&server->listening, config, err);
    if (code == PX_OK)
        code = open_faces(server, err);
    if (code == PX_OK)
        code = open_net(server, err);
    return code == PX_OK ? open_trace(server, err) : code;
}

/* The banner reads the models, so it comes before they may change. */
static enum px_code start_server(struct px_server *server, struct px_err *err)
{
    bool may_control = px_server_may_control(server->config, &server->listening);
    enum px_code code = px_upgrade_agree(server->serving, err);
    if (code != PX_OK)
        return code;
    tell_where(server);
    code = px_serving_manage(server->serving, &server->faces.loops, may_control, err);
    px_watch_measure(&server->pressure);
    return code == PX_OK ? px_net_start(server->net, err) : code;
}

/* ---- taking down ---- */

/* An engine still computes for runs that nobody waits for: what it may touch must stay until the process has ended. */
static PX_NORETURN void leave(struct px_server *server)
{
    px_log(PX_LOG_WARN, "server.left",
           PX_LOG_T("reason", "a model did not end its runs; the process ends without it"));
    px_trace_destroy(server->trace);
    px_listening_deinit(&server->listening);
    _exit(EXIT_SUCCESS);
}

static void close_server(struct px_server *server)
{
    px_live_config_stop(server->live); /* while the loops still take part in its rounds */
    if (server->net)
        (void)px_net_stop(server->net, 0); /* the loops end before what posts to them */
    if (!px_serving_unmanage(server->serving))
        leave(server);
    if (server->faces.rest)
        px_rest_forget_loops(server->faces.rest);
    px_net_destroy(server->net);
    px_serving_set_trace(server->serving, NULL);
    px_serving_set_pressure(server->serving, NULL);
    px_trace_destroy(server->trace); /* after the loops; what they recorded is written */
    px_faces_deinit(&server->faces);
    px_loop_round_destroy(server->round);
    px_live_config_destroy(server->live);
    px_listening_deinit(&server->listening);
    px_shared_memory_destroy(server->shared_memory);
}

void px_server_process_begin(void)
{
    px_server_life_await();
    px_upgrade_begin();
}

enum px_code px_server_process_run(const struct px_serve_job *job, struct px_err *err)
{
    struct px_server server = {.job = job, .config = job->config, .serving = job->serving};
    px_server_life_begin();
    enum px_code code = open_server(&server, err);
    if (code == PX_OK)
        code = start_server(&server, err);
    if (code == PX_OK)
        code = px_server_life_run(&server, err);
    close_server(&server);
    return code;
}
