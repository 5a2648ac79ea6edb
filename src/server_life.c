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
 * again. SIGUSR2 starts another process that takes over (server_upgrade.c); this one then goes straight to STOPPING, and is ready
 * until then, since whoever asks is answered by the two of them.
 *
 * Signals are blocked in every thread and taken with sigwait by this one, so no code runs in a signal handler.
 */
#include "server_life.h"

#include "infrastructure/host/service.h"
#include "server_upgrade.h"
#include "server_watch.h"
#include "shared/clock.h"
#include "shared/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

enum { UPGRADE_TICK_MS = 20 }; /* between two looks at what a new process says */

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
    sigaddset(&signals, SIGUSR2);
    return signals;
}

void px_server_life_await(void)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGHUP);
    sigaddset(&blocked, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
}

void px_server_life_begin(void)
{
    sigset_t blocked = all_signals();
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    signal(SIGPIPE,
           SIG_IGN); /* a client that went away is an error of its socket, not of the process */
}

/* Waits for a signal, at most for `timeout` (NULL: for ever); 0 when none came. `ret_sender` (may be NULL) is the process that sent it. */
static int wait_signal(const sigset_t *signals, const struct timespec *timeout, pid_t *ret_sender)
{
    int number;
    siginfo_t info = {0};
    do {
        number = sigtimedwait(signals, &info, timeout);
    } while (number < 0 && errno == EINTR);
    if (ret_sender)
        *ret_sender = info.si_pid;
    return number < 0 ? 0 : number;
}

static void reload(struct px_server *server)
{
    px_listening_refresh(&server->listening, true);
    if (server->job->sources->path)
        px_live_config_reload(server->live);
}

static struct timespec tick_of(const struct px_watch *watch, const struct px_upgrade *upgrade)
{
    uint64_t tick_ns = watch->tick_ns;
    if (upgrade->phase != PX_UPGRADE_NONE && tick_ns > UPGRADE_TICK_MS * PX_NS_PER_MS)
        tick_ns = UPGRADE_TICK_MS * PX_NS_PER_MS;
    return px_clock_timespec(tick_ns);
}

/* Until a signal ends the server, or (true) another process serves. */
static bool look_after(struct px_server *server, struct px_watch *watch, struct px_upgrade *upgrade)
{
    const sigset_t signals = all_signals();
    for (;;) {
        const struct timespec tick = tick_of(watch, upgrade);
        pid_t sender;
        int number = wait_signal(&signals, &tick, &sender);
        if (number == SIGTERM || number == SIGINT)
            return false;
        if (number == SIGHUP)
            reload(server);
        else if (number == SIGUSR2)
            px_upgrade_start(upgrade, sender);
        if (px_upgrade_look(upgrade))
            return true;
        px_watch_look(watch);
    }
}

/* Until a signal comes or the time is over; the loops serve, so the watchdog is fed. */
static void wait_while_watched(struct px_watch *watch, uint64_t until_ns)
{
    const sigset_t signals = stopping_signals();
    for (;;) {
        uint64_t now_ns = px_clock_monotonic_ns();
        uint64_t left_ns = now_ns < until_ns ? until_ns - now_ns : 0;
        uint64_t wait_ns = left_ns < watch->tick_ns ? left_ns : watch->tick_ns;
        const struct timespec timeout = {(time_t)(wait_ns / PX_NS_PER_S),
                                         (long)(wait_ns % PX_NS_PER_S)};
        if (wait_signal(&signals, &timeout, NULL) || left_ns == 0)
            return;
        px_watch_look(watch);
    }
}

static void drain_engines(void *context, unsigned loop)
{
    if (loop == 0)
        px_serving_drain_engines(context);
}

static void drain(struct px_server *server, struct px_watch *watch, struct px_loop_round *round)
{
    const struct px_config *config = px_live_config_current(server->live);
    uint64_t until_ns =
        px_clock_monotonic_ns() + (uint64_t)config->server_drain_delay_ms * PX_NS_PER_MS;
    struct px_faces *faces = &server->faces;
    px_log(PX_LOG_INFO, "server.draining", PX_LOG_I("delay_ms", config->server_drain_delay_ms),
           PX_LOG_T("hint", "signal again to skip the delay"));
    px_serving_drain(server->serving);
    px_grpc_announce_health(faces->grpc);
    px_net_announce_stop(server->net);
    px_rest_close_streams(faces->rest); /* its clients hear of it, and may go elsewhere */
    wait_while_watched(watch, until_ns);
    px_loop_round_run(round, drain_engines, server->serving);
    const sigset_t signals = stopping_signals();
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* from here on a signal ends the process */
    px_grpc_close_streams(faces->grpc);
    if (px_net_stop(server->net, (unsigned)config->server_drain_timeout_ms))
        px_log(PX_LOG_INFO, "server.stopped", PX_LOG_T("reason", "drained"));
    else
        px_log(PX_LOG_WARN, "server.stopped", PX_LOG_T("reason", "requests were cut off"),
               PX_LOG_I("drain_timeout_ms", config->server_drain_timeout_ms));
}

static void serve(struct px_server *server, struct px_watch *watch, struct px_upgrade *upgrade)
{
    px_upgrade_finish();
    size_t n = server->listening.endpoints.n;
    px_service_notify(n > 1 ? "READY=1\nSTATUS=serving on %s and %zu more"
                            : "READY=1\nSTATUS=serving on %s",
                      server->listening.urls[0], n - 1);
    bool is_replaced = look_after(server, watch, upgrade);
    px_live_config_stop(server->live); /* the settings change no more */
    if (is_replaced) {
        px_upgrade_leave(upgrade, px_live_config_current(server->live));
        return;
    }
    if (upgrade->phase != PX_UPGRADE_NONE)
        px_upgrade_cancel(upgrade, "the server stops");
    px_service_notify("STOPPING=1\nSTATUS=draining");
    drain(server, watch, upgrade->round);
}

enum px_code px_server_life_run(struct px_server *server, struct px_err *err)
{
    struct px_watch watch = {0};
    struct px_upgrade upgrade = {0};
    enum px_code code = px_watch_init(&watch, server, err);
    if (code == PX_OK)
        code = px_upgrade_init(&upgrade, server, err);
    if (code == PX_OK)
        serve(server, &watch, &upgrade);
    else
        (void)px_net_stop(server->net, 0); /* nothing runs on loops any more */
    px_upgrade_deinit(&upgrade);
    px_watch_deinit(&watch);
    return code;
}
