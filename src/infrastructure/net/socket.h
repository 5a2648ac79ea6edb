/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An accepted socket: bytes in, bytes out, whether they are encrypted or not. Private to this folder.
 *
 * Without a layer the calls are those of the kernel. A layer (TLS) sits between: it makes its handshake inside of recv and
 * send, and says through `wants` what the descriptor has to become before either can go on. All calls are non-blocking and
 * return as recv and send do, with errno. EPROTOTYPE from recv: the client has begun with HTTP and without the layer; nothing
 * was taken from the descriptor, so the layer may be shed to tell it so.
 *
 * Ownership: the socket owns descriptor and layer; px_socket_close releases both. Threads: the worker's.
 */
#ifndef PX_INFRASTRUCTURE_NET_SOCKET_H
#define PX_INFRASTRUCTURE_NET_SOCKET_H

#include "shared/str.h"

#include <sys/socket.h>
#include <sys/types.h>

struct px_socket_layer;

/* How far the handshake of a layer has come, and which protocol it has agreed on for what follows. */
enum px_socket_handshake {
    PX_SOCKET_SHAKING = 0, /* it goes on */
    PX_SOCKET_OPEN,        /* nothing was agreed: the first bytes tell */
    PX_SOCKET_HTTP1,
    PX_SOCKET_HTTP2,
};

struct px_socket_layer_ops {
    ssize_t (*recv)(struct px_socket_layer *layer, void *to, size_t room);
    ssize_t (*send)(struct px_socket_layer *layer, const void *bytes, size_t len);
    /* Are there bytes that have been decrypted and not yet received? The kernel does not know of them. */
    bool (*has_pending)(const struct px_socket_layer *layer);
    /* Does the call that failed with EAGAIN wait for the descriptor to become writable, instead of readable? */
    bool (*wants_write)(const struct px_socket_layer *layer);
    enum px_socket_handshake (*handshake)(const struct px_socket_layer *layer);
    /* Subject of the client's verified certificate; empty without one. */
    struct px_str (*client_name)(const struct px_socket_layer *layer);
    void (*end)(struct px_socket_layer *layer); /* says that no more will be sent */
    void (*destroy)(struct px_socket_layer *layer);
};

/* First member of what a layer needs. */
struct px_socket_layer {
    const struct px_socket_layer_ops *ops;
};

struct px_socket {
    int fd;
    struct px_socket_layer *layer; /* NULL: the bytes are sent as they are */
};

static inline ssize_t px_socket_recv(const struct px_socket *socket, void *to, size_t room)
{
    if (PX_UNLIKELY(socket->layer != NULL))
        return socket->layer->ops->recv(socket->layer, to, room);
    return recv(socket->fd, to, room, 0);
}

static inline ssize_t px_socket_send(const struct px_socket *socket, const void *bytes, size_t len)
{
    if (PX_UNLIKELY(socket->layer != NULL))
        return socket->layer->ops->send(socket->layer, bytes, len);
    return send(socket->fd, bytes, len, MSG_NOSIGNAL);
}

/* Sends up to `n` parts, of which any may be empty. */
ssize_t px_socket_send_parts(const struct px_socket *socket, const struct px_str *parts, size_t n);

static inline bool px_socket_has_pending(const struct px_socket *socket)
{
    return PX_UNLIKELY(socket->layer != NULL) && socket->layer->ops->has_pending(socket->layer);
}

static inline bool px_socket_wants_write(const struct px_socket *socket)
{
    return PX_UNLIKELY(socket->layer != NULL) && socket->layer->ops->wants_write(socket->layer);
}

static inline enum px_socket_handshake px_socket_handshake(const struct px_socket *socket)
{
    return PX_UNLIKELY(socket->layer != NULL) ? socket->layer->ops->handshake(socket->layer)
                                              : PX_SOCKET_OPEN;
}

static inline struct px_str px_socket_client_name(const struct px_socket *socket)
{
    return PX_UNLIKELY(socket->layer != NULL) ? socket->layer->ops->client_name(socket->layer)
                                              : (struct px_str){0};
}

/* Shuts the sending side; false when the connection has gone. */
bool px_socket_end(const struct px_socket *socket);

/* Bytes that the kernel holds and the client has not acknowledged. */
size_t px_socket_unacknowledged(const struct px_socket *socket);

/* Reads raw bytes up to `max` and drops them; as recv. */
ssize_t px_socket_drop(const struct px_socket *socket, size_t max);

/* Goes on without the layer. */
void px_socket_shed_layer(struct px_socket *socket);

void px_socket_close(struct px_socket *socket);

#endif
