/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets: one per address of the host and per loop, all on one port.
 *
 * "localhost" and names may stand for an IPv4 and an IPv6 address; both are listened on. "::" takes
 * IPv4 as well. Threads: one at a time.
 */
#ifndef PX_INFRASTRUCTURE_NET_LISTENER_H
#define PX_INFRASTRUCTURE_NET_LISTENER_H

#include "shared/err.h"

#include <stdint.h>

enum { PX_LISTENER_ADDRESSES_MAX = 4 };

struct px_listeners {
    int fds[PX_LISTENER_ADDRESSES_MAX];
    size_t n;
};

/*
 * Opens `n_sets` sets of non-blocking listeners on `host` and *port (0: the kernel chooses, and *port
 * says what). Fails with PX_E_IO when the address is taken, even by a socket that allows sharing: two
 * servers that silently share a port are worse than an error. On failure nothing stays open.
 */
PX_MUST_USE enum px_code px_listeners_open(const char *host, uint16_t *port,
                                           struct px_listeners *sets, size_t n_sets,
                                           struct px_err *err);
void px_listeners_close(struct px_listeners *set); /* closed or zeroed is fine */

#endif
