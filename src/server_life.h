/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the composition root: what the main thread does while the server serves. */
#ifndef PX_SERVER_LIFE_H
#define PX_SERVER_LIFE_H

#include "server.h"

/* Before the models are loaded: signals that would end a process that does not take them yet wait until it does. */
void px_server_life_await(void);

/* Blocks the signals that px_server_life_run takes, before any thread is started. */
void px_server_life_begin(void);

/* Looks after the server until a signal ends it, and drains it. */
PX_MUST_USE enum px_code px_server_life_run(struct px_server *server, struct px_err *err);

#endif
