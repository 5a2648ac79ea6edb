/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to infrastructure/net/tls: one connection, under the layer that its socket knows. It works on a non-blocking socket
 * as recv and send do: when they would wait, the return is -1 with errno EAGAIN, and px_tls_wants_write says for what.
 */
#ifndef PX_INFRASTRUCTURE_NET_TLS_SESSION_H
#define PX_INFRASTRUCTURE_NET_TLS_SESSION_H

#include "infrastructure/net/tls/tls.h"

struct px_tls_session;

/* A session for an accepted socket, which stays the caller's; NULL when memory is short. */
struct px_tls_session *px_tls_session_create(struct px_tls *tls, int fd);
void px_tls_session_destroy(struct px_tls_session *session); /* NULL is fine */

enum px_tls_progress { PX_TLS_DONE = 1, PX_TLS_WAITS, PX_TLS_FAILED };

/* Goes on with the handshake. FAILED: `err` has the reason, for the log; the connection is to be closed. */
enum px_tls_progress px_tls_handshake(struct px_tls_session *session, struct px_err *err);

/* As recv and send; 0 from a read is the client's orderly end. */
ssize_t px_tls_read(struct px_tls_session *session, char *to, size_t room);
ssize_t px_tls_write(struct px_tls_session *session, const void *bytes, size_t len);

/* Did what returned EAGAIN wait for the socket to become writable (else readable)? */
bool px_tls_wants_write(const struct px_tls_session *session);
/* Are decrypted bytes left to read, of which epoll will not tell? */
bool px_tls_has_pending(const struct px_tls_session *session);

/* Tells the client that nothing more comes; the socket's write side is to be shut down after it. */
void px_tls_close_notify(struct px_tls_session *session);

/* After the handshake: subject of the client's verified certificate as RFC 2253 text; empty without one. The session's. */
struct px_str px_tls_client_name(const struct px_tls_session *session);

#endif
