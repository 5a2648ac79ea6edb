/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the composition root: another process that takes over while requests are served (infrastructure/host/handover.h), from
 * both sides. Threads: main.
 */
#ifndef PX_SERVER_UPGRADE_H
#define PX_SERVER_UPGRADE_H

#include "infrastructure/host/handover.h"
#include "infrastructure/host/upgrade_call.h"
#include "server.h"
#include "shared/map.h"

/* ---- the old process ---- */

enum px_upgrade_phase {
    PX_UPGRADE_NONE = 0,
    PX_UPGRADE_LOADING,  /* the new process loads its models */
    PX_UPGRADE_STARTING, /* it may serve, and has not said that it does */
};

struct px_upgrade {
    struct px_server *server;
    enum px_upgrade_phase phase;
    struct px_successor successor;
    uint64_t until_ns;
    struct px_arena names;
    struct px_map models; /* "name/version" of what is ready there */
    struct px_loop_round *round;
    pid_t caller; /* who asked, and hears what comes of it; 0: nobody listens */
};

PX_MUST_USE enum px_code px_upgrade_init(struct px_upgrade *upgrade, struct px_server *server,
                                         struct px_err *err);
void px_upgrade_deinit(
    struct px_upgrade
        *upgrade); /* when the loops have ended; ends a process that does not serve yet */

/* Starts a process; what goes wrong, now or later, is logged, told to the caller (a process, or 0), and changes nothing. */
void px_upgrade_start(struct px_upgrade *upgrade, pid_t caller);
/* Hears what it says. True when it serves, and this process may go. Call it again and again while there is one. */
bool px_upgrade_look(struct px_upgrade *upgrade);
/* There is something else to do: the new process is ended. */
void px_upgrade_cancel(struct px_upgrade *upgrade, const char *reason);
/* No more connections are accepted; those that are open are served until they are idle. Then the loops have ended. */
void px_upgrade_leave(struct px_upgrade *upgrade, const struct px_config *config);

/* ---- the new process ---- */

/* First of all, before any file is opened and any child started: is there a process to take over from? */
void px_upgrade_begin(void);
/* Takes the listening sockets, of that process or of the service manager. */
PX_MUST_USE enum px_code px_upgrade_take_sockets(struct px_inherited *ret, struct px_err *err);
/* Tells the models that are ready, and waits until it may serve. */
PX_MUST_USE enum px_code px_upgrade_agree(struct px_serving *serving, struct px_err *err);
/* It serves. */
void px_upgrade_finish(void);
/* It could not start. */
void px_upgrade_fail(const struct px_err *err);

#endif
