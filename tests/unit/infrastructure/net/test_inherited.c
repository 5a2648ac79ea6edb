/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "infrastructure/net/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

static struct px_inherited inherited;
static struct px_err err;

/* A listening socket of a free port of the loopback. */
static int open_listener(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(bind(fd, (const void *)&address, sizeof address), 0);
    CHECK_INT(listen(fd, 8), 0);
    CHECK_INT(getsockname(fd, (void *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static enum px_code listen_on(uint16_t port, struct px_listeners *sets, size_t n, uint16_t *got)
{
    const struct px_endpoint endpoint = {.host = "127.0.0.1", .port = port};
    const struct px_listener_sets into = {.sets = sets, .n = n, .inherited = &inherited};
    return px_listeners_add(&endpoint, &into, got, &err);
}

PX_TEST(what_is_no_listener_is_refused_and_closed)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), pair[2];
    CHECK_INT(px_inherited_add(&inherited, fd, &err), PX_E_INVALID);
    CHECK_INT(fcntl(fd, F_GETFD), -1);
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    CHECK_INT(px_inherited_add(&inherited, pair[0], &err), PX_E_INVALID);
    CHECK_INT(px_inherited_add(&inherited, 999, &err), PX_E_INVALID);
    CHECK_INT(inherited.n, 0);
    close(pair[1]);
}

PX_TEST(a_socket_of_the_address_is_used_and_the_others_stay)
{
    struct px_listeners sets[2] = {0};
    uint16_t port, other, got;
    int fd = open_listener(&port);
    CHECK_OK(px_inherited_add(&inherited, open_listener(&other), &err));
    CHECK_OK(px_inherited_add(&inherited, fd, &err));
    CHECK_OK(listen_on(port, sets, 2, &got));
    CHECK_INT(got, port);
    CHECK_INT(sets[0].items[0].fd, fd);
    CHECK_INT(sets[1].n, 1); /* the same socket, which allows no other beside it */
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK_INT(inherited.n, 1);
    for (int i = 0; i < 2; i++)
        px_listeners_close(&sets[i]);
    px_inherited_close(&inherited);
    CHECK_INT(inherited.n, 0);
}

/* A connection waits in the queue of one socket: with fewer loops than sockets none may be left out. */
PX_TEST(fewer_loops_take_all_sockets)
{
    struct px_listeners many[3] = {0}, one = {0};
    uint16_t port, got;
    CHECK_OK(listen_on(0, many, 3, &port));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(px_inherited_add(&inherited, many[i].items[0].fd, &err));
        many[i].n = 0;
    }
    CHECK_OK(listen_on(port, &one, 1, &got));
    CHECK_INT(one.n, 3);
    CHECK_INT(inherited.n, 0);
    px_listeners_close(&one);
}

PX_TEST(more_loops_open_sockets_beside_those)
{
    struct px_listeners one = {0}, many[3] = {0};
    uint16_t port, got;
    CHECK_OK(listen_on(0, &one, 1, &port));
    CHECK_OK(px_inherited_add(&inherited, one.items[0].fd, &err));
    CHECK_OK(listen_on(port, many, 3, &got));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(many[i].n, 1);
        px_listeners_close(&many[i]);
    }
}

PX_TEST(any_port_takes_the_sockets_of_one_port)
{
    struct px_listeners set = {0};
    uint16_t first, second, got;
    CHECK_OK(px_inherited_add(&inherited, open_listener(&first), &err));
    CHECK_OK(px_inherited_add(&inherited, open_listener(&second), &err));
    CHECK_OK(listen_on(0, &set, 1, &got));
    CHECK_INT(got, first);
    CHECK_INT(set.n, 1);
    CHECK_INT(inherited.n, 1);
    px_listeners_close(&set);
    px_inherited_close(&inherited);
}

PX_TEST_MAIN(T(what_is_no_listener_is_refused_and_closed)
                 T(a_socket_of_the_address_is_used_and_the_others_stay)
                     T(fewer_loops_take_all_sockets) T(more_loops_open_sockets_beside_those)
                         T(any_port_takes_the_sockets_of_one_port))
