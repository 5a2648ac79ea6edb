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
 * A second signal ends DRAINING at once, a third ends the process. SIGHUP reads the configuration and the certificates
 * again.
 *
 * Signals are blocked in every thread and taken with sigwait by this one, so no code runs in a signal handler.
 */
#include "server_life.h"

#include "shared/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

enum { REFRESH_S = 10 };

static sigset_t stopping_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

static sigset_t all_signals(void)
{
    sigset_t signals = stopping_signals();
    sigaddset(&signals, SIGHUP);
    return signals;
}

void px_server_life_begin(void)
{
    sigset_t blocked = all_signals();
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

static void reload(struct px_server *server)
{
    px_listening_refresh(&server->listening, true);
    if (server->job->sources->path)
        px_live_config_reload(server->live);
}

static void look_after(struct px_server *server)
{
    const struct timespec refresh = {.tv_sec = REFRESH_S};
    const sigset_t signals = all_signals();
    for (;;) {
        int number = wait_signal(&signals, &refresh);
        if (number == SIGTERM || number == SIGINT)
            return;
        if (number == SIGHUP)
            reload(server);
        else
            px_listening_refresh(&server->listening, false);
    }
}

static void drain(struct px_server *server)
{
    const struct px_config *config = px_live_config_current(server->live);
    const struct timespec delay = {config->server_drain_delay_ms / 1000,
                                   config->server_drain_delay_ms % 1000 * 1000000};
    const sigset_t signals = stopping_signals();
    struct px_faces *faces = &server->faces;
    px_log(PX_LOG_INFO, "server.draining", PX_LOG_I("delay_ms", config->server_drain_delay_ms),
           PX_LOG_T("hint", "signal again to skip the delay"));
    px_serving_drain(server->serving);
    px_grpc_announce_health(faces->grpc);
    px_net_announce_stop(server->net);
    px_rest_close_streams(faces->rest); /* its clients hear of it, and may go elsewhere */
    (void)wait_signal(&signals, &delay);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* from here on a signal ends the process */
    px_grpc_close_streams(faces->grpc);
    if (px_net_stop(server->net, (unsigned)config->server_drain_timeout_ms))
        px_log(PX_LOG_INFO, "server.stopped", PX_LOG_T("reason", "drained"));
    else
        px_log(PX_LOG_WARN, "server.stopped", PX_LOG_T("reason", "requests were cut off"),
               PX_LOG_I("drain_timeout_ms", config->server_drain_timeout_ms));
}

void px_server_life_run(struct px_server *server)
{
    look_after(server);
    px_live_config_stop(server->live); /* the settings change no more */
    drain(server);
}
