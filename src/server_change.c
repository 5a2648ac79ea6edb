/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a running server does with other settings: each key that is live in config.def is applied here.
 *
 * Order: what loops read through a pointer or an atomic is published first; then a round of the loops, in which each
 * takes its own part over. After the round no loop reads the former texts.
 */
#include "application/config/apply_log.h"
#include "infrastructure/host/service.h"
#include "server.h"
#include "server_process.h"
#include "server_watch.h"
#include "shared/clock.h"

struct change {
    struct px_server *server;
    struct px_net_config net;
    const struct px_faces_lent *lent; /* to be checked */
    enum px_code code;
    struct px_err *err;
};

static enum px_code check(const struct px_config *config, struct px_err *err)
{
    return px_server_process_check(config, err);
}

/* Models are looked at on a loop; one is enough. */
static void check_served(void *context, unsigned loop)
{
    struct change *change = context;
    if (loop == 0)
        change->code = px_faces_check_change(&change->server->faces, change->lent, change->err);
}

static enum px_code prepare(void *context, const struct px_config *to, struct px_err *err)
{
    struct px_server *server = context;
    const struct px_faces_lent lent = px_server_lent(to, &server->listening);
    struct change change = {.server = server, .lent = &lent, .err = err};
    px_loop_round_run(server->round, check_served, &change);
    return change.code;
}

static void change_loop(void *context, unsigned loop)
{
    const struct change *change = context;
    px_net_change(change->server->net, loop, &change->net);
}

static bool changes_log(const struct px_config *from, const struct px_config *to)
{
    return !px_config_is_same(from, to, PX_CONFIG_AT_log_level) ||
           !px_config_is_same(from, to, PX_CONFIG_AT_log_format);
}

static void apply(void *context, const struct px_config *from, const struct px_config *to)
{
    struct px_server *server = context;
    const struct px_faces_lent lent = px_server_lent(to, &server->listening);
    if (to->server_connections_max > from->server_connections_max)
        px_watch_check_limits(to);
    struct change change = {.server = server, .net = px_server_net_config(server, to)};
    if (changes_log(from, to)) /* clients may have set it otherwise since */
        px_config_apply_log(to);
    px_serving_set_rows_max(server->serving, (size_t)to->serving_request_rows_max);
    px_faces_change(&server->faces, &lent);
    px_loop_round_run(server->round, change_loop, &change);
}

static void reloading(void *context, bool begins)
{
    (void)context;
    if (begins)
        px_service_notify("RELOADING=1\nMONOTONIC_USEC=%llu",
                          (unsigned long long)(px_clock_monotonic_ns() / 1000));
    else
        px_service_notify("READY=1");
}

struct px_live_hooks px_server_live_hooks(struct px_server *server)
{
    return (struct px_live_hooks){.context = server,
                                  .check = check,
                                  .prepare = prepare,
                                  .apply = apply,
                                  .reloading = reloading};
}
