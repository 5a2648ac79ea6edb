/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.2 and 1.3 for accepted sockets, by OpenSSL.
 *
 * Concepts
 * - A `px_tls` is what a listener has: certificate, key, and whom it trusts. It can be reloaded: connections that are
 *   open keep what they began with, new ones get the new certificate, and a reload that fails changes nothing.
 * - A connection is a layer of its socket (infrastructure/net/socket.h).
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

/* PX_E_INVALID or PX_E_IO say which file is at fault. The strings of `config` are copied. */
PX_MUST_USE enum px_code px_tls_create(const struct px_tls_config *config, struct px_tls **ret,
                                       struct px_err *err);
void px_tls_destroy(struct px_tls *tls); /* sessions may still be open; NULL is fine */

/* Reads the files again. On failure the former certificate stays in use. */
PX_MUST_USE enum px_code px_tls_reload(struct px_tls *tls, struct px_err *err);

/* Have the files changed since they were read? */
bool px_tls_is_stale(const struct px_tls *tls);

/*
 * A session as a layer of a socket, which shakes hands in its first calls; NULL when memory is short. A client that begins
 * with plain HTTP is told from one that speaks TLS (EPROTOTYPE), and left alone.
 */
struct px_socket_layer *px_tls_layer_create(struct px_tls *tls, int fd);

#endif
