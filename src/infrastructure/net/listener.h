/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets: of TCP one per address of the host and per loop, all on one port; of a Unix socket one that the
 * loops share.
 *
 * "localhost" and names may stand for an IPv4 and an IPv6 address; both are listened on. "::" takes
 * IPv4 as well. Threads: one at a time.
 */
#ifndef PX_INFRASTRUCTURE_NET_LISTENER_H
#define PX_INFRASTRUCTURE_NET_LISTENER_H

#include "infrastructure/net/endpoint.h"
#include "infrastructure/net/inherited.h"
#include "infrastructure/net/tls/tls.h"

enum { PX_LISTENERS_MAX = 4 * PX_ENDPOINTS_MAX }; /* a host's name may have several addresses */

struct px_listener {
    int fd;
    struct px_tls *tls; /* NULL: what is accepted is not encrypted */
};

/* What one loop listens on. Zeroed is empty. */
struct px_listeners {
    struct px_listener items[PX_LISTENERS_MAX];
    size_t n;
};

/* The sets of all loops, and what is needed to fill them. */
struct px_listener_sets {
    struct px_listeners *sets;
    size_t n;
    struct px_tls *tls;             /* for endpoints that ask for it */
    struct px_inherited *inherited; /* sockets that are there already; NULL: none */
};

/*
 * Adds non-blocking listeners on an endpoint to each set. Inherited sockets of the address are used, all of them, and only what is missing is
 * opened. *port gets the
 * port of a TCP endpoint, which the kernel chose when the endpoint's is 0. Fails with PX_E_IO when the address is
 * taken, even by a socket that allows sharing: two servers that silently share a port are worse than an error. When it is a
 * listener of the same set that has it, the hint says so. What was
 * added before stays, for px_listeners_close.
 */
PX_MUST_USE enum px_code px_listeners_add(const struct px_endpoint *endpoint,
                                          const struct px_listener_sets *into, uint16_t *port,
                                          struct px_err *err);
void px_listeners_close(struct px_listeners *set); /* closed or zeroed is fine */

/* Removes the file of a Unix socket that px_listeners_add has made. */
void px_listeners_forget(const struct px_endpoint *endpoint);

#endif
