/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/load/socket.h"

#include "shared/clock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int px_socket_wait(int fd, short events, uint64_t until_ns)
{
    struct pollfd wait = {.fd = fd, .events = events};
    for (;;) {
        uint64_t now_ns = px_clock_monotonic_ns();
        if (now_ns >= until_ns)
            return ETIMEDOUT;
        uint64_t left_ms = (until_ns - now_ns + PX_NS_PER_MS - 1) / PX_NS_PER_MS;
        int n = poll(&wait, 1, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX);
        if (n > 0)
            return 0;
        if (n < 0)
            return errno;
    }
}

int px_socket_error(int fd)
{
    int why = 0;
    socklen_t len = sizeof why;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0)
        return errno;
    return why;
}

int px_socket_wait_connected(int fd, uint64_t until_ns)
{
    int why = px_socket_wait(fd, POLLOUT, until_ns);
    return why ? why : px_socket_error(fd);
}

int px_peer_connect(const struct px_peer *peer)
{
    int one = 1;
    int fd = socket(peer->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (const struct sockaddr *)&peer->address, peer->len) == 0 ||
        errno == EINPROGRESS)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* 0 when it connects, else an errno. */
static int try_peer(const struct px_peer *peer, uint64_t until_ns, int *ret_fd)
{
    int fd = px_peer_connect(peer);
    if (fd < 0)
        return errno;
    int why = px_socket_wait_connected(fd, until_ns);
    if (why)
        close(fd);
    else
        *ret_fd = fd;
    return why;
}

enum px_code px_peer_open(struct px_peer *peer, const struct px_load_address *address,
                          uint64_t timeout_ns, int *ret_fd, struct px_err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char port[8];
    int why = EHOSTUNREACH;
    snprintf(port, sizeof port, "%u", (unsigned)address->port);
    int failed = getaddrinfo(address->host, port, &hints, &found);
    if (failed) {
        px_err_set(err, PX_E_UNAVAILABLE, "cannot find the host '%s': %s", address->host,
                   gai_strerror(failed));
        return px_err_hint(err, "check the name in the URL");
    }
    uint64_t until_ns = px_clock_monotonic_ns() + timeout_ns;
    for (const struct addrinfo *a = found; a && why != 0 && why != EINTR; a = a->ai_next) {
        if (a->ai_addrlen > sizeof peer->address)
            continue;
        memcpy(&peer->address, a->ai_addr, a->ai_addrlen);
        peer->len = a->ai_addrlen;
        why = try_peer(peer, until_ns, ret_fd);
    }
    freeaddrinfo(found);
    if (why == 0)
        return PX_OK;
    if (why == EINTR)
        return px_err_set(err, PX_E_CANCELLED, "interrupted");
    px_err_set(err, PX_E_UNAVAILABLE, "cannot connect to %s port %u: %s", address->host,
               (unsigned)address->port, strerror(why));
    return px_err_hint(err, "is the server running there? 'phoenix serve' prints its URL");
}

enum px_code px_peer_find(struct px_peer *peer, const struct px_load_address *address,
                          uint64_t timeout_ns, struct px_err *err)
{
    int fd;
    enum px_code code = px_peer_open(peer, address, timeout_ns, &fd, err);
    if (code == PX_OK)
        close(fd);
    return code;
}

void px_peer_put_host(struct px_buf *out, const struct px_load_address *address)
{
    bool bare_v6 = strchr(address->host, ':') != NULL;
    px_buf_printf(out, "%s%s%s:%u", bare_v6 ? "[" : "", address->host, bare_v6 ? "]" : "",
                  (unsigned)address->port);
}
