/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * Both processes have the same sockets, not sockets of the same address: a connection that waits in a queue is accepted by whoever is there.
 * The new process listens only when it could answer everything that the old one answers (every model version that is ready here
 * must be ready there, or registered, so that a request brings it into memory), and the old one stops only when the new one has begun. So there is no moment in which nobody accepts, and
 * every failure before the last step leaves the old process as it was.
 */
#include "server_upgrade.h"

#include "infrastructure/host/service.h"
#include "shared/clock.h"
#include "shared/log.h"

#include <stdio.h>
#include <unistd.h>

enum {
    NAMES_BYTES_MAX = 64 << 20,
    NAME_MAX_BYTES = 512,
    FDS_MAX = PX_INHERITED_MAX,
    IDLE_MS =
        5000, /* that connections between two requests have, so that clients leave by themselves */
};

/* ---- the old process ---- */

enum px_code px_upgrade_init(struct px_upgrade *upgrade, struct px_server *server,
                             struct px_err *err)
{
    *upgrade = (struct px_upgrade){.server = server, .successor.fd = -1};
    return px_loop_round_create(&server->faces.loops, &upgrade->round, err);
}

static void forget(struct px_upgrade *upgrade)
{
    px_map_deinit(&upgrade->models);
    px_arena_deinit(&upgrade->names);
    upgrade->models = (struct px_map){0};
    upgrade->phase = PX_UPGRADE_NONE;
}

void px_upgrade_deinit(struct px_upgrade *upgrade)
{
    if (upgrade->phase != PX_UPGRADE_NONE)
        px_upgrade_cancel(upgrade, "the server stops");
    px_loop_round_destroy(upgrade->round);
}

void px_upgrade_cancel(struct px_upgrade *upgrade, const char *reason)
{
    char how[64] = "", text[PX_UPGRADE_TEXT_MAX];
    px_successor_end(&upgrade->successor, how, sizeof how);
    forget(upgrade);
    px_log(PX_LOG_ERROR, "upgrade.failed", PX_LOG_T("reason", reason), PX_LOG_T("process", how),
           PX_LOG_T("hint", "this process is as it was"));
    px_service_notify("STATUS=serving; an upgrade failed: %s", reason);
    snprintf(text, sizeof text, "%s%s%s", reason, how[0] ? "; it " : "", how);
    px_upgrade_call_tell(upgrade->caller, PX_UPGRADE_FAILED, text);
}

static void refuse(pid_t caller, const struct px_err *err)
{
    char text[PX_UPGRADE_TEXT_MAX];
    px_log_err(PX_LOG_ERROR, "upgrade.failed", err);
    px_upgrade_call_tell(caller, PX_UPGRADE_FAILED, px_err_text(err, text, sizeof text));
}

static void tell_started(const struct px_upgrade *upgrade, size_t n_sockets)
{
    char text[PX_UPGRADE_TEXT_MAX];
    px_log(PX_LOG_INFO, "upgrade.started", PX_LOG_I("pid", upgrade->successor.pid),
           PX_LOG_U("sockets", n_sockets));
    snprintf(text, sizeof text, "%d %s", (int)upgrade->successor.pid, px_handover_program());
    px_upgrade_call_tell(upgrade->caller, PX_UPGRADE_STARTED, text);
}

static void tell_done(const struct px_upgrade *upgrade)
{
    char text[32];
    int pid = (int)upgrade->successor.pid;
    px_log(PX_LOG_INFO, "upgrade.done", PX_LOG_I("pid", pid),
           PX_LOG_T("hint", "this process answers what it has begun, and ends"));
    px_service_notify("MAINPID=%d\nSTATUS=a new process serves", pid);
    snprintf(text, sizeof text, "%d", pid);
    px_upgrade_call_tell(upgrade->caller, PX_UPGRADE_DONE, text);
}

void px_upgrade_start(struct px_upgrade *upgrade, pid_t caller)
{
    int fds[FDS_MAX];
    struct px_err err;
    const struct px_config *config = upgrade->server->config;
    if (upgrade->phase != PX_UPGRADE_NONE) {
        px_log(PX_LOG_WARN, "upgrade.busy", PX_LOG_I("pid", upgrade->successor.pid),
               PX_LOG_T("reason", "a new process is being started already"));
        px_upgrade_call_tell(caller, PX_UPGRADE_FAILED, "a new process is being started already");
        return;
    }
    size_t n = px_net_listeners(upgrade->server->net, fds, FDS_MAX);
    if (px_successor_start(&upgrade->successor, fds, n, &err) != PX_OK) {
        refuse(caller, &err);
        return;
    }
    upgrade->caller = caller;
    upgrade->names = px_arena(NAMES_BYTES_MAX);
    upgrade->until_ns =
        px_clock_monotonic_ns() + (uint64_t)config->server_upgrade_timeout_ms * PX_NS_PER_MS;
    upgrade->phase = PX_UPGRADE_LOADING;
    tell_started(upgrade, n);
}

static void write_name(const struct px_model *model, char *text)
{
    snprintf(text, NAME_MAX_BYTES, "%.*s/%.*s", PX_STR_ARG(model->name),
             PX_STR_ARG(model->version));
}

/* What the new process lacks, if anything. */
struct lack {
    const struct px_upgrade *upgrade;
    char name[NAME_MAX_BYTES];
    bool is_found;
};

/* Models may be looked at on a loop only. */
static void compare_models(void *context, unsigned loop)
{
    struct lack *lack = context;
    if (loop != 0)
        return;
    const struct px_model_set *set = px_serving_models(lack->upgrade->server->serving);
    for (size_t i = 0; i < set->n_models && !lack->is_found; i++) {
        size_t unused;
        if (set->models[i]->state != PX_MODEL_READY)
            continue;
        write_name(set->models[i], lack->name);
        lack->is_found = !px_map_get(&lack->upgrade->models, px_str(lack->name), &unused);
    }
}

static void note_model(struct px_upgrade *upgrade, const char *name)
{
    struct px_err err;
    struct px_str copy = px_arena_str(&upgrade->names, px_str(name));
    if (!copy.ptr || px_map_put(&upgrade->models, copy, 1, &err) != PX_OK)
        px_upgrade_cancel(upgrade, "no memory for the list of its models");
}

static void let_serve(struct px_upgrade *upgrade)
{
    char reason[NAME_MAX_BYTES + 64];
    struct lack lack = {.upgrade = upgrade};
    px_loop_round_run(upgrade->round, compare_models, &lack);
    if (lack.is_found) {
        snprintf(reason, sizeof reason, "model %s is ready here, and not in the new process",
                 lack.name);
        px_upgrade_cancel(upgrade, reason);
    } else if (px_successor_go(&upgrade->successor)) {
        upgrade->phase = PX_UPGRADE_STARTING;
    } else {
        px_upgrade_cancel(upgrade, "the new process has ended");
    }
}

/* One message; true when it serves. */
static bool take_message(struct px_upgrade *upgrade, const struct px_handover_message *message)
{
    switch ((unsigned)message->word) {
    case PX_HANDOVER_MODEL:
        note_model(upgrade, message->text);
        break;
    case PX_HANDOVER_LOADED:
        let_serve(upgrade);
        break;
    case PX_HANDOVER_SERVING:
        return upgrade->phase == PX_UPGRADE_STARTING;
    case PX_HANDOVER_FAILED:
        px_upgrade_cancel(upgrade, message->text);
        break;
    default:
        px_upgrade_cancel(upgrade, "the new process has ended before it could serve");
    }
    return false;
}

bool px_upgrade_look(struct px_upgrade *upgrade)
{
    struct px_handover_message message;
    while (upgrade->phase != PX_UPGRADE_NONE &&
           px_successor_hear(&upgrade->successor, &message) != PX_HANDOVER_NOTHING) {
        if (take_message(upgrade, &message))
            return true;
    }
    if (upgrade->phase != PX_UPGRADE_NONE && px_clock_monotonic_ns() > upgrade->until_ns)
        px_upgrade_cancel(upgrade, "the new process is not ready in time "
                                   "(server.upgrade_timeout_ms)");
    return false;
}

struct slower {
    struct px_net *net;
    struct px_serving *serving;
    struct px_net_config config;
};

static void wait_longer(void *context, unsigned loop)
{
    const struct slower *slower = context;
    px_net_change(slower->net, loop, &slower->config);
    if (loop == 0)
        px_serving_drain_engines(slower->serving);
}

void px_upgrade_leave(struct px_upgrade *upgrade, const struct px_config *config)
{
    struct px_server *server = upgrade->server;
    struct slower slower = {server->net, server->serving, px_server_net_config(server, config)};
    unsigned timeout_ms = (unsigned)config->server_drain_timeout_ms;
    slower.config.last_timeout_ms = timeout_ms / 2 < IDLE_MS ? timeout_ms / 2 + 1 : IDLE_MS;
    tell_done(upgrade);
    px_successor_release(&upgrade->successor);
    forget(upgrade);
    px_loop_round_run(upgrade->round, wait_longer, &slower);
    px_rest_close_streams(server->faces.rest);
    px_grpc_close_streams(server->faces.grpc);
    if (px_net_stop(server->net, timeout_ms))
        px_log(PX_LOG_INFO, "server.stopped", PX_LOG_T("reason", "a new process serves"));
    else
        px_log(PX_LOG_WARN, "server.stopped", PX_LOG_T("reason", "requests were cut off"),
               PX_LOG_U("drain_timeout_ms", timeout_ms));
}

/* ---- the new process ---- */

/* Of this process, found before anything else; -1: nobody started it to take over. */
static int predecessor = -1;

void px_upgrade_begin(void)
{
    px_handover_note_program();
    predecessor = px_predecessor_open();
}

enum px_code px_upgrade_take_sockets(struct px_inherited *ret, struct px_err *err)
{
    int fds[FDS_MAX];
    size_t n;
    enum px_code code = PX_OK;
    ret->n = 0;
    if (predecessor >= 0)
        code = px_predecessor_take(predecessor, fds, FDS_MAX, &n, err);
    else
        n = px_service_take_sockets(fds);
    for (size_t i = 0; code == PX_OK && i < n; i++)
        code = px_inherited_add(ret, fds[i], err);
    return code;
}

enum px_code px_upgrade_agree(struct px_serving *serving, struct px_err *err)
{
    char name[NAME_MAX_BYTES];
    const struct px_model_set *set = px_serving_models(serving);
    if (predecessor < 0)
        return PX_OK;
    for (size_t i = 0; i < set->n_models; i++) {
        enum px_model_state state = set->models[i]->state;
        if (state != PX_MODEL_READY && state != PX_MODEL_REGISTERED)
            continue;
        write_name(set->models[i], name);
        (void)px_predecessor_say(predecessor, PX_HANDOVER_MODEL, px_str(name));
    }
    (void)px_predecessor_say(predecessor, PX_HANDOVER_LOADED, (struct px_str){0});
    return px_predecessor_wait(predecessor, err);
}

static void part(void)
{
    close(predecessor);
    predecessor = -1;
}

void px_upgrade_finish(void)
{
    if (predecessor < 0)
        return;
    (void)px_predecessor_say(predecessor, PX_HANDOVER_SERVING, (struct px_str){0});
    part();
}

void px_upgrade_fail(const struct px_err *err)
{
    char text[PX_HANDOVER_TEXT_MAX];
    if (predecessor < 0)
        return;
    (void)px_predecessor_say(predecessor, PX_HANDOVER_FAILED,
                             px_str(px_err_text(err, text, sizeof text)));
    part();
}
