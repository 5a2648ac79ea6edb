/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the composition root: what is looked at again and again while the server runs: descriptors and memory, whether the
 * loops come round, certificates; and the service manager's watchdog, fed by it. Threads: main.
 */
#ifndef PX_SERVER_WATCH_H
#define PX_SERVER_WATCH_H

#include "application/control/pulse.h"
#include "server.h"

struct px_watch {
    struct px_server *server;
    struct px_pulse *pulse;
    uint64_t tick_ns;     /* between two looks */
    uint64_t watchdog_ns; /* 0: nobody waits for it */
    uint64_t look_at_ns, refresh_at_ns;
    bool has_told; /* of a loop that hangs */
};

/*
 * Before anything is opened: raises the limit of descriptors, and warns when the settings allow more connections or memory
 * than there may be. Again when they have changed.
 */
void px_watch_check_limits(const struct px_config *config);

/* What is open and held now, for /metrics; px_watch_look goes on with it. Before the first request. */
void px_watch_measure(struct px_pressure *pressure);

/* Once the loops are there. */
PX_MUST_USE enum px_code px_watch_init(struct px_watch *watch, struct px_server *server,
                                       struct px_err *err);
/* Looks, when tick_ns have passed since the look before. */
void px_watch_look(struct px_watch *watch);
void px_watch_deinit(struct px_watch *watch); /* when the loops have ended; zeroed is fine */

#endif
