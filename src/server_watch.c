/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * The watchdog is fed in a look in which every loop had answered since the look before. A look comes four times in the
 * watchdog's period at least, so one long batch does not starve it, and a loop that hangs for a whole period does. The main thread feeds
 * it: when that hangs, nobody does.
 */
#include "server_watch.h"

#include "infrastructure/host/limits.h"
#include "infrastructure/host/service.h"
#include "shared/clock.h"
#include "shared/log.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    TICK_MS = 1000,
    REFRESH_S = 10, /* between two looks at the certificates */
    STUCK_S = 5,    /* a loop that does not answer for so long is told */
    FILES_PER_LOOP = 2 + PX_ENDPOINTS_MAX,
    FILES_OTHER = 128, /* models, logs, libraries, remote peers */
    LOOKS_PER_PERIOD = 4,
};

static void warn_files(const struct px_config *config, uint64_t needed, uint64_t max)
{
    char hint[256];
    uint64_t loops = (uint64_t)config->server_threads;
    uint64_t other = FILES_OTHER + loops * FILES_PER_LOOP;
    uint64_t fit = max > other + loops ? (max - other) / loops : 1;
    snprintf(hint, sizeof hint,
             "raise the hard limit to %" PRIu64 " (LimitNOFILE=, ulimit -Hn, --ulimit nofile=), or "
             "set server.connections_max to %" PRIu64,
             needed, fit);
    px_log(PX_LOG_WARN, "process.files_short", PX_LOG_U("needed", needed), PX_LOG_U("max", max),
           PX_LOG_T("reason", "server.connections_max on every loop is more than the process may "
                              "open"),
           PX_LOG_T("hint", hint));
}

void px_watch_check_limits(const struct px_config *config)
{
    uint64_t loops = (uint64_t)config->server_threads;
    uint64_t needed =
        loops * ((uint64_t)config->server_connections_max + FILES_PER_LOOP) + FILES_OTHER;
    uint64_t max = px_limits_raise_files(needed);
    if (max < needed)
        warn_files(config, needed, max);
    const struct px_pressure_reading memory = px_limits_memory();
    uint64_t wanted = loops * (uint64_t)config->serving_request_memory_max;
    if (memory.max && wanted > memory.max)
        px_log(PX_LOG_WARN, "process.memory_short", PX_LOG_U("needed", wanted),
               PX_LOG_U("max", memory.max), PX_LOG_T("limit", memory.limit),
               PX_LOG_T("reason", "requests of all loops together may hold more than the process "
                                  "may have"),
               PX_LOG_T("hint", "lower serving.request_memory_max or server.threads"));
}

void px_watch_measure(struct px_pressure *pressure)
{
    const struct px_pressure_reading files = px_limits_files(), memory = px_limits_memory();
    px_pressure_update(pressure, PX_PRESSURE_FILES, &files);
    px_pressure_update(pressure, PX_PRESSURE_MEMORY, &memory);
}

enum px_code px_watch_init(struct px_watch *watch, struct px_server *server, struct px_err *err)
{
    uint64_t watchdog_ns = px_service_watchdog_ns();
    uint64_t tick_ns = TICK_MS * PX_NS_PER_MS;
    if (watchdog_ns && watchdog_ns / LOOKS_PER_PERIOD < tick_ns)
        tick_ns = watchdog_ns / LOOKS_PER_PERIOD;
    *watch = (struct px_watch){.server = server,
                               .watchdog_ns = watchdog_ns,
                               .tick_ns = tick_ns,
                               .refresh_at_ns = px_clock_monotonic_ns()};
    return px_pulse_create(&server->faces.loops, &watch->pulse, err);
}

void px_watch_deinit(struct px_watch *watch)
{
    px_pulse_destroy(watch->pulse);
}

static void tell_late(struct px_watch *watch, const struct px_pulse_late *late)
{
    uint64_t late_ns = late->looks * watch->tick_ns;
    if (late_ns >= STUCK_S * PX_NS_PER_S && !watch->has_told) {
        watch->has_told = true;
        px_log(PX_LOG_ERROR, "loop.stuck", PX_LOG_U("loop", late->loop),
               PX_LOG_U("seconds", late_ns / PX_NS_PER_S),
               PX_LOG_T("hint", watch->watchdog_ns ? "the watchdog ends the process if it goes on"
                                                   : "a batch takes too long, or a model hangs"));
    }
}

static void look_at_loops(struct px_watch *watch)
{
    struct px_pulse_late late;
    if (!px_pulse_look(watch->pulse, &late)) {
        tell_late(watch, &late);
        return;
    }
    if (watch->has_told)
        px_log(PX_LOG_INFO, "loop.goes_on", PX_LOG_T("reason", "every loop comes round again"));
    watch->has_told = false;
    if (watch->watchdog_ns)
        px_service_notify("WATCHDOG=1");
}

void px_watch_look(struct px_watch *watch)
{
    uint64_t now_ns = px_clock_monotonic_ns();
    if (now_ns < watch->look_at_ns)
        return;
    watch->look_at_ns = now_ns + watch->tick_ns;
    px_watch_measure(&watch->server->pressure);
    look_at_loops(watch);
    if (now_ns < watch->refresh_at_ns)
        return;
    watch->refresh_at_ns = now_ns + REFRESH_S * PX_NS_PER_S;
    px_listening_refresh(&watch->server->listening, false);
}
