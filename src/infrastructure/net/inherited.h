/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets that this process did not open: of the process that it takes over from, or of the service manager. Who listens on an
 * address takes those that are bound to it, so that no connection in their queues is lost.
 *
 * Ownership: what is in the bag is closed with it. Threads: one at a time.
 */
#ifndef PX_INFRASTRUCTURE_NET_INHERITED_H
#define PX_INFRASTRUCTURE_NET_INHERITED_H

#include "shared/err.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum { PX_INHERITED_MAX = 4096 };

struct px_inherited {
    int fds[PX_INHERITED_MAX];
    size_t n;
};

/* Takes the descriptor over, also when it fails: PX_E_INVALID for what is no listening stream socket of a kind that is known here. */
PX_MUST_USE enum px_code px_inherited_add(struct px_inherited *inherited, int fd,
                                          struct px_err *err);

/* One that is bound to the address, its port among it (0: any), or to the path; -1 when there is none. It is the caller's then. */
int px_inherited_take(struct px_inherited *inherited, const struct sockaddr *address);
int px_inherited_take_path(struct px_inherited *inherited, const char *path);

void px_inherited_close(struct px_inherited *inherited);

#endif
