/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the composition root: the parts of a serving process, and what its settings make of them.
 *
 * Threads: main, unless it says otherwise.
 */
#ifndef PX_SERVER_H
#define PX_SERVER_H

#include "application/config/live.h"
#include "application/control/loop_round.h"
#include "application/pressure/pressure.h"
#include "faces.h"
#include "infrastructure/host/pinning.h"
#include "infrastructure/net/server.h"
#include "interfaces/cli/cli.h"
#include "listening.h"

struct px_server {
    const struct px_serve_job *job;
    const struct px_config *config; /* as the server started */
    struct px_serving *serving;
    struct px_listening listening;
    struct px_faces faces;
    struct px_faces_lent lent;
    struct px_inherited inherited; /* listening sockets that were there before */
    struct px_net *net;
    struct px_trace *trace;
    struct px_shared_memory *shared_memory;
    struct px_live_config *live;
    struct px_pressure pressure;
    struct px_pinning pinning;
    struct px_loop_round *round; /* of the thread of the settings */
};

/* What settings mean for the transport, and for the interfaces (server_settings.c). */
struct px_net_config px_server_net_config(struct px_server *server, const struct px_config *config);
struct px_faces_lent px_server_lent(const struct px_config *config,
                                    const struct px_listening *listening);
/* Whoever can connect can load: without being told so, only a server that is reached from its own machine allows it. */
bool px_server_may_control(const struct px_config *config, const struct px_listening *listening);
/* Does the configuration ask for shared memory? */
bool px_server_wants_shared_memory(const struct px_config *config,
                                   const struct px_listening *listening);

/* How a running server takes other settings over (server_change.c). */
struct px_live_hooks px_server_live_hooks(struct px_server *server);

#endif
