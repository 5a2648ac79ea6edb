/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/net/inherited.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

static bool read_option(int fd, int name, int *ret)
{
    socklen_t len = sizeof *ret;
    return getsockopt(fd, SOL_SOCKET, name, ret, &len) == 0;
}

static bool is_listener(int fd)
{
    int type, listens;
    return read_option(fd, SO_TYPE, &type) && type == SOCK_STREAM &&
           read_option(fd, SO_ACCEPTCONN, &listens) && listens;
}

static bool read_address(int fd, union address *ret)
{
    socklen_t len = sizeof *ret;
    memset(ret, 0, sizeof *ret);
    return getsockname(fd, &ret->any, &len) == 0;
}

/* As the sockets that are opened here; TCP_NODELAY fails on others than TCP, where nothing is to be done. */
static void prepare(int fd)
{
    int one = 1;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

enum px_code px_inherited_add(struct px_inherited *inherited, int fd, struct px_err *err)
{
    union address address;
    bool is_known = is_listener(fd) && read_address(fd, &address) &&
                    (address.any.sa_family == AF_INET || address.any.sa_family == AF_INET6 ||
                     address.any.sa_family == AF_UNIX);
    if (is_known && inherited->n < PX_INHERITED_MAX) {
        prepare(fd);
        inherited->fds[inherited->n++] = fd;
        return PX_OK;
    }
    close(fd);
    if (is_known)
        return px_err_set(err, PX_E_TOO_LARGE, "more than %d listening sockets were handed over",
                          PX_INHERITED_MAX);
    px_err_set(err, PX_E_INVALID,
               "descriptor %d was handed over and is no listening socket of TCP "
               "or a Unix path",
               fd);
    return px_err_hint(err, "a socket unit needs ListenStream=, and Accept=no");
}

static bool is_on(const union address *have, const struct sockaddr *want)
{
    const union address *wanted = (const void *)want;
    if (have->any.sa_family != want->sa_family)
        return false;
    if (want->sa_family == AF_INET)
        return have->in.sin_addr.s_addr == wanted->in.sin_addr.s_addr &&
               (!wanted->in.sin_port || have->in.sin_port == wanted->in.sin_port);
    return IN6_ARE_ADDR_EQUAL(&have->in6.sin6_addr, &wanted->in6.sin6_addr) &&
           (!wanted->in6.sin6_port || have->in6.sin6_port == wanted->in6.sin6_port);
}

static int take_at(struct px_inherited *inherited, size_t i)
{
    int fd = inherited->fds[i];
    memmove(&inherited->fds[i], &inherited->fds[i + 1],
            (inherited->n - i - 1) * sizeof inherited->fds[0]);
    inherited->n--;
    return fd;
}

int px_inherited_take(struct px_inherited *inherited, const struct sockaddr *address)
{
    union address have;
    for (size_t i = 0; i < inherited->n; i++) {
        if (read_address(inherited->fds[i], &have) && is_on(&have, address))
            return take_at(inherited, i);
    }
    return -1;
}

int px_inherited_take_path(struct px_inherited *inherited, const char *path)
{
    union address have;
    for (size_t i = 0; i < inherited->n; i++) {
        if (read_address(inherited->fds[i], &have) && have.any.sa_family == AF_UNIX &&
            strcmp(have.un.sun_path, path) == 0)
            return take_at(inherited, i);
    }
    return -1;
}

void px_inherited_close(struct px_inherited *inherited)
{
    while (inherited->n)
        close(inherited->fds[--inherited->n]);
}
