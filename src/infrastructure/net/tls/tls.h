/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.2 and 1.3 for accepted sockets, by OpenSSL.
 *
 * Concepts
 * - A `px_tls` is what a listener has: certificate, key, and whom it trusts. It can be reloaded: connections that are
 *   open keep what they began with, new ones get the new certificate, and a reload that fails changes nothing.
 * - A `px_tls_session` is one connection. It works on a non-blocking socket as recv and send do: when they would wait,
 *   the return is -1 with errno EAGAIN, and px_tls_wants_write says for what.
 * - ALPN offers HTTP/2 and HTTP/1.1; what is agreed is the protocol of the connection. Without ALPN the first bytes tell.
 *
 * Chosen: forward secrecy and authenticated encryption only (ECDHE with AES-GCM or ChaCha20), X25519 and the NIST
 * curves, no renegotiation, no compression, no early data (it can be replayed), buffers released while idle. The kernel
 * encrypts where it can (kTLS), when asked to.
 *
 * Threads: create, reload and destroy on the control thread; sessions on their loop.
 */
#ifndef PX_INFRASTRUCTURE_NET_TLS_H
#define PX_INFRASTRUCTURE_NET_TLS_H

#include "infrastructure/net/socket.h"
#include "shared/err.h"

enum px_tls_clients {
    PX_TLS_CLIENTS_ANY = 0,  /* no certificate is asked for */
    PX_TLS_CLIENTS_OPTIONAL, /* one that is shown must verify */
    PX_TLS_CLIENTS_REQUIRED, /* without one the handshake fails */
};

struct px_tls_config {
    const char *certificate_file; /* PEM: the server's own first, then the chain */
    const char *key_file;         /* PEM */
    /* PEM, whom clients' certificates must come from; NULL: clients need none. */
    const char *client_ca_file;
    enum px_tls_clients clients;
    bool only_13;   /* TLS 1.2 is refused */
    bool in_kernel; /* kTLS */
};

struct px_tls;
struct px_tls_session;

/* PX_E_INVALID or PX_E_IO say which file is at fault. The strings of `config` are copied. */
PX_MUST_USE enum px_code px_tls_create(const struct px_tls_config *config, struct px_tls **ret,
                                       struct px_err *err);
void px_tls_destroy(struct px_tls *tls); /* sessions may still be open; NULL is fine */

/* Reads the files again. On failure the former certificate stays in use. */
PX_MUST_USE enum px_code px_tls_reload(struct px_tls *tls, struct px_err *err);

/* Have the files changed since they were read? */
bool px_tls_is_stale(const struct px_tls *tls);

/* A session for an accepted socket, which stays the caller's; NULL when memory is short. */
struct px_tls_session *px_tls_session_create(struct px_tls *tls, int fd);
void px_tls_session_destroy(struct px_tls_session *session); /* NULL is fine */

/*
 * A session as a layer of a socket, which shakes hands in its first calls; NULL when memory is short. A client that begins
 * with plain HTTP is told from one that speaks TLS (EPROTOTYPE), and left alone.
 */
struct px_socket_layer *px_tls_layer_create(struct px_tls *tls, int fd);

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
