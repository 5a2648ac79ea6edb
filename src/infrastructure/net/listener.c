/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * Every loop has its own SO_REUSEPORT socket, so the kernel spreads connections without a lock. But
 * that option also lets a second server of the same user take a part of the connections unnoticed.
 * Therefore the first socket of an address is bound without it, which fails when anybody listens
 * there; the option is set after the bind, and the other loops' sockets join.
 *
 * Inherited sockets are used first, every one of them: a connection waits in the queue of one socket only.
 *
 * A Unix socket has nothing of that kind: the loops watch one socket, and who is first accepts. The file of a server that
 * died is in the way of the next one; it is removed when nobody answers there.
 */
#include "infrastructure/net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    PORT_ATTEMPTS = 8, /* a port that is free on one address may be taken on the next */
    SOCKET_MODE = 0660,
};

static bool set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

static void set_port(struct sockaddr *address, uint16_t port)
{
    if (address->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
}

static bool read_port(int fd, uint16_t *ret)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address = {0};
    socklen_t len = sizeof address;
    if (getsockname(fd, &address.any, &len) != 0)
        return false;
    *ret = ntohs(address.any.sa_family == AF_INET6 ? address.in6.sin6_port : address.in.sin_port);
    return true;
}

/* Returns the descriptor, or -1 with errno. Accepted sockets inherit TCP_NODELAY. */
static int open_bound(const struct addrinfo *address, bool is_first)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    bool ok = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
              set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
              (is_first || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1));
    if (ok && address->ai_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address->ai_addr;
        bool every_address = IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
        ok = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !every_address);
    }
    ok = ok && bind(fd, address->ai_addr, address->ai_addrlen) == 0 &&
         (!is_first || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1));
    if (ok)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static void add(struct px_listeners *set, int fd, struct px_tls *tls)
{
    set->items[set->n++] = (struct px_listener){fd, tls};
}

static void close_from(struct px_listeners *set, size_t n)
{
    while (set->n > n)
        close(set->items[--set->n].fd);
}

/* One more socket for a loop that has inherited none: of the same port where the first one allows that, else the first itself. */
static int open_beside(const struct addrinfo *address, int first)
{
    int fd = open_bound(address, false);
    if (fd >= 0 && listen(fd, BACKLOG) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return fcntl(first, F_DUPFD_CLOEXEC, 0);
}

/* Gives every inherited socket to a loop, or else what waits in its queue would be lost. 0 when there are none, -1 with errno. */
static int inherit_address(const struct addrinfo *address, struct px_tls *tls,
                           const struct px_listener_sets *into, uint16_t *port)
{
    int fd, first = -1;
    size_t n = 0;
    while (into->inherited && (fd = px_inherited_take(into->inherited, address->ai_addr)) >= 0) {
        struct px_listeners *set = &into->sets[n % into->n];
        if (set->n == PX_LISTENERS_MAX || !read_port(fd, port)) {
            close(fd);
            continue;
        }
        set_port(address->ai_addr, *port); /* the others of any port are those of this one */
        add(set, fd, tls);
        first = n++ ? first : fd;
    }
    for (size_t i = n; n && i < into->n; i++) {
        fd = open_beside(address, first);
        if (fd < 0)
            return -1;
        add(&into->sets[i], fd, tls);
    }
    return n > 0;
}

/* Opens the socket of one address in every set. False with errno when one fails. */
static bool open_address(const struct addrinfo *address, struct px_tls *tls,
                         const struct px_listener_sets *into, uint16_t *port)
{
    set_port(address->ai_addr, *port);
    int inherited = inherit_address(address, tls, into, port);
    if (inherited)
        return inherited > 0;
    for (size_t i = 0; i < into->n; i++) {
        set_port(address->ai_addr, *port);
        int fd = open_bound(address, i == 0);
        if (fd < 0)
            return false;
        add(&into->sets[i], fd, tls);
        if (!read_port(fd, port) || listen(fd, BACKLOG) != 0)
            return false;
    }
    return true;
}

static bool is_missing_family(int error)
{
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL || error == EPROTONOSUPPORT;
}

static enum px_code refuse_address(const char *host, uint16_t port, int error, struct px_err *err)
{
    px_err_set(err, PX_E_IO, "listen on %s port %u: %s", host, (unsigned)port, strerror(error));
    if (error == EADDRINUSE)
        px_err_hint(err, "another program listens there; choose another port, or 0 for any");
    else if (error == EACCES)
        px_err_hint(err, "ports below 1024 need a privilege; choose a higher one");
    else if (error == EADDRNOTAVAIL)
        px_err_hint(err, "the address belongs to no interface of this machine");
    return PX_E_IO;
}

static enum px_code open_all(const struct addrinfo *addresses, const struct px_endpoint *endpoint,
                             const struct px_listener_sets *into, uint16_t *port,
                             struct px_err *err)
{
    struct px_tls *tls = endpoint->tls ? into->tls : NULL;
    struct px_listeners *sets = into->sets;
    int error = EADDRNOTAVAIL;
    size_t before = sets[0].n;
    for (const struct addrinfo *a = addresses; a; a = a->ai_next) {
        if (sets[0].n == PX_LISTENERS_MAX)
            break;
        if (open_address(a, tls, into, port))
            continue;
        error = errno;
        /* A machine without IPv6 may still resolve a name to an IPv6 address. */
        if (!is_missing_family(error))
            return refuse_address(endpoint->host, *port, error, err);
    }
    return sets[0].n > before ? PX_OK : refuse_address(endpoint->host, *port, error, err);
}

static enum px_code add_tcp(const struct px_endpoint *endpoint, const struct px_listener_sets *into,
                            uint16_t *port, struct px_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *addresses = NULL;
    size_t before = into->sets[0].n;
    int rc = getaddrinfo(endpoint->host, "0", &hints, &addresses);
    if (rc != 0) {
        px_err_set(err, PX_E_IO, "listen on %s: %s", endpoint->host,
                   rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        return px_err_hint(err, "give an address of this machine, as 127.0.0.1, 0.0.0.0 or ::");
    }
    enum px_code code = PX_E_IO;
    for (int i = 0; i < PORT_ATTEMPTS && code != PX_OK; i++) {
        *port = endpoint->port;
        code = open_all(addresses, endpoint, into, port, err);
        for (size_t k = 0; code != PX_OK && k < into->n; k++)
            close_from(&into->sets[k], before);
        if (endpoint->port != 0)
            break;
    }
    freeaddrinfo(addresses);
    return code;
}

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path,
           strlen(path) + 1); /* px_endpoints_parse has checked that it fits */
    return address;
}

/* Is the file a socket that nobody listens on? */
static bool is_left_behind(const struct sockaddr_un *address)
{
    struct stat info;
    if (lstat(address->sun_path, &info) != 0 || !S_ISSOCK(info.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refused = fd >= 0 && connect(fd, (const void *)address, sizeof *address) != 0 &&
                   errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return refused;
}

/* Returns the descriptor, or -1 with errno. */
static int open_unix(const char *path)
{
    struct sockaddr_un address = unix_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (is_left_behind(&address))
        unlink(path);
    if (bind(fd, (const void *)&address, sizeof address) == 0 && chmod(path, SOCKET_MODE) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* An inherited one, all others of the path being the same socket under other numbers, or a new one. -1 with errno. */
static int take_unix(const char *path, struct px_inherited *inherited)
{
    int fd = inherited ? px_inherited_take_path(inherited, path) : -1;
    for (int same; fd >= 0 && (same = px_inherited_take_path(inherited, path)) >= 0;)
        close(same);
    return fd >= 0 ? fd : open_unix(path);
}

static enum px_code add_unix(const struct px_endpoint *endpoint,
                             const struct px_listener_sets *into, struct px_err *err)
{
    int fd = take_unix(endpoint->path, into->inherited);
    for (size_t i = 0; fd >= 0 && i < into->n; i++) {
        int own = i == 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0); /* so that each set closes its own */
        if (own < 0)
            break;
        add(&into->sets[i], own, NULL);
        if (i + 1 == into->n)
            return PX_OK;
    }
    px_err_set(err, PX_E_IO, "listen on unix:%s: %s", endpoint->path, strerror(errno));
    if (errno == EADDRINUSE)
        px_err_hint(err,
                    "another program listens there, or the file is no socket; choose another path");
    return PX_E_IO;
}

enum px_code px_listeners_add(const struct px_endpoint *endpoint,
                              const struct px_listener_sets *into, uint16_t *port,
                              struct px_err *err)
{
    if (into->sets[0].n == PX_LISTENERS_MAX)
        return px_err_set(err, PX_E_INVALID, "expected at most %d addresses to listen on",
                          PX_LISTENERS_MAX);
    return endpoint->path ? add_unix(endpoint, into, err) : add_tcp(endpoint, into, port, err);
}

void px_listeners_close(struct px_listeners *set)
{
    close_from(set, 0);
}

void px_listeners_forget(const struct px_endpoint *endpoint)
{
    struct sockaddr_un address;
    if (!endpoint->path)
        return;
    address = unix_address(endpoint->path);
    if (is_left_behind(&address)) /* else it is another server's by now */
        unlink(endpoint->path);
}
