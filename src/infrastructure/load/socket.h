/* SPDX-License-Identifier: Apache-2.0 */
/* Outgoing connections: looking an address up, and connecting without or with waiting. */
#ifndef PX_INFRASTRUCTURE_LOAD_SOCKET_H
#define PX_INFRASTRUCTURE_LOAD_SOCKET_H

#include "application/ports/load.h"

#include <sys/socket.h>

/* A socket address of the server, the first that accepts. */
struct px_peer {
    struct sockaddr_storage address;
    socklen_t len;
};

/*
 * Looks the address up and connects to the first of its addresses that answers; `ret_fd` is the connection.
 * PX_E_UNAVAILABLE, PX_E_CANCELLED when a signal came.
 */
PX_MUST_USE enum px_code px_peer_open(struct px_peer *peer, const struct px_load_address *address,
                                      uint64_t timeout_ns, int *ret_fd, struct px_err *err);

/* The same for who connects later: the connection, which shows what answers, is closed. */
PX_MUST_USE enum px_code px_peer_find(struct px_peer *peer, const struct px_load_address *address,
                                      uint64_t timeout_ns, struct px_err *err);

/* Appends the value of the header Host: "[::1]:8080". */
void px_peer_put_host(struct px_buf *out, const struct px_load_address *address);

/* A non-blocking socket whose connecting has begun, or -1 and errno. */
int px_peer_connect(const struct px_peer *peer);

/*
 * Waits for `events` of poll, at most until the monotonic moment `until_ns`: 0 or an errno, ETIMEDOUT when the moment
 * has come, EINTR when a signal did.
 */
int px_socket_wait(int fd, short events, uint64_t until_ns);

/* The same until `fd` is connected; also the error of the connecting. */
int px_socket_wait_connected(int fd, uint64_t until_ns);

/* The pending error of a socket whose connecting has ended: 0 when it is connected. */
int px_socket_error(int fd);

#endif
