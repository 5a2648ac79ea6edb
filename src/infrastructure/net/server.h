/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server: listeners, one event loop per thread, connections.
 *
 * Each loop has its own SO_REUSEPORT listener, so the kernel spreads connections and loops share
 * nothing. See application/ports/http.h for what a handler may do.
 */
#ifndef PX_INFRASTRUCTURE_NET_SERVER_H
#define PX_INFRASTRUCTURE_NET_SERVER_H

#include "application/ports/http.h"
#include "application/ports/loops.h"
#include "infrastructure/net/endpoint.h"
#include "infrastructure/net/inherited.h"
#include "infrastructure/net/tls/tls.h"

enum {
    PX_NET_STREAMS_DEFAULT = 256,
    PX_NET_LAST_MS = 300,
};

struct px_net_config {
    struct px_endpoints endpoints;  /* strings are borrowed until px_net_destroy */
    struct px_inherited *inherited; /* listening sockets that are there already; NULL: none */
    struct px_tls *tls;             /* for endpoints that ask for it; borrowed likewise */
    /* [n_loops], for content codings; borrowed likewise, used on their loops. NULL: none is known. */
    struct px_coder *const *coders;
    unsigned n_loops;
    size_t header_bytes_max; /* request line and headers */
    size_t body_bytes_max;
    size_t arena_bytes_max;     /* of one exchange */
    unsigned connections_max;   /* per loop; more are refused with 503 */
    unsigned streams_max;       /* of one HTTP/2 connection at a time; 0 = PX_NET_STREAMS_DEFAULT */
    unsigned header_timeout_ms; /* from the first byte to the end of the headers */
    unsigned body_timeout_ms;   /* without progress of the body; the least rate is added to it */
    unsigned idle_timeout_ms;   /* between requests */
    unsigned write_timeout_ms;  /* without progress of the response */
    unsigned last_timeout_ms;   /* between requests once the server stops; 0 = PX_NET_LAST_MS */
    /* NULL, or called on each loop's thread before it begins; what it does there concerns that thread. */
    void (*begins)(void *context, unsigned loop);
    void *context; /* of begins */
};

struct px_net;

/* Binds and listens; nothing is accepted before px_net_start. PX_E_IO says which address and why. */
PX_MUST_USE enum px_code px_net_create(const struct px_net_config *config,
                                       const struct px_http_handler *handler, struct px_net **ret,
                                       struct px_err *err);
/* Of the n-th endpoint; 0 for a Unix socket. */
uint16_t px_net_port(const struct px_net *net, size_t endpoint);

/* The descriptors of all listeners, borrowed, at most `max`; before px_net_stop. */
size_t px_net_listeners(const struct px_net *net, int *fds, size_t max);

/*
 * The loops, for tasks of other threads; valid until px_net_destroy. What is posted before px_net_start runs once the loops do;
 * a loop that has ended refuses tasks. An exchange that is still unfinished then is freed by px_net_destroy.
 */
struct px_loops px_net_loops(struct px_net *net);

/* Starts the loops' threads. */
PX_MUST_USE enum px_code px_net_start(struct px_net *net, struct px_err *err);

/*
 * Takes over connections_max, streams_max (of new connections) and the timeouts, also of what waits now; the rest of `config` is
 * not looked at. Threads: that loop's.
 */
void px_net_change(struct px_net *net, unsigned loop, const struct px_net_config *config);

/* Asks clients to leave: everything is still served, but every response says "Connection: close". */
void px_net_announce_stop(struct px_net *net);

/*
 * Graceful end: stop accepting, answer what is in flight with "Connection: close", give clients between
 * two requests a moment for a last one; returns when all are gone or after `timeout_ms`. True when
 * nothing was cut off.
 */
bool px_net_stop(struct px_net *net, unsigned timeout_ms);
void px_net_destroy(struct px_net *net);

/* Open connections over all loops. */
size_t px_net_connections(const struct px_net *net);

#endif
