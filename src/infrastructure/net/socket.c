/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/net/socket.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PARTS_MAX = 4, SCRATCH = 16384 };

/* iovec has no const form; sendmsg only reads. */
static struct iovec make_part(struct px_str bytes)
{
    struct iovec part = {.iov_len = bytes.len};
    memcpy(&part.iov_base, &bytes.ptr, sizeof bytes.ptr);
    return part;
}

ssize_t px_socket_send_parts(const struct px_socket *socket, const struct px_str *parts, size_t n)
{
    struct iovec vector[PARTS_MAX];
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].len == 0)
            continue;
        PX_ASSERT(used < PARTS_MAX);
        vector[used++] = make_part(parts[i]);
    }
    if (used == 0)
        return 0;
    if (used == 1 || socket->layer)
        return px_socket_send(socket, vector[0].iov_base, vector[0].iov_len);
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = used};
    return sendmsg(socket->fd, &message, MSG_NOSIGNAL);
}

bool px_socket_end(const struct px_socket *socket)
{
    if (socket->layer)
        socket->layer->ops->end(socket->layer);
    return shutdown(socket->fd, SHUT_WR) == 0;
}

size_t px_socket_unacknowledged(const struct px_socket *socket)
{
    int n = 0;
    return ioctl(socket->fd, SIOCOUTQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

ssize_t px_socket_drop(const struct px_socket *socket, size_t max)
{
    char scratch[SCRATCH] PX_UNINITIALIZED;
    return recv(socket->fd, scratch, max < SCRATCH ? max : SCRATCH, MSG_DONTWAIT);
}

void px_socket_shed_layer(struct px_socket *socket)
{
    if (socket->layer)
        socket->layer->ops->destroy(socket->layer);
    socket->layer = NULL;
}

void px_socket_close(struct px_socket *socket)
{
    px_socket_shed_layer(socket);
    close(socket->fd);
}
