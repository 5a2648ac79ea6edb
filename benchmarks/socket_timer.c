/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times one HTTP request after the other over one connection, and is what the least possible server would do with them.
 * Build: cc -O2 socket_timer.c.
 *
 *     socket_timer time PORT REQUEST_FILE REPLY_BYTES N sleep|spin   prints p50, p99 and mean, nanoseconds
 *     socket_timer echo PORT REQUEST_BYTES REPLY_FILE                serves until it is killed
 *
 * `echo` is an epoll loop that counts the bytes of a request and answers with the bytes of a file: no parsing, no thread but one. What
 * `time` measures there is the floor: the client, the kernel's sockets and the waking of two processes. A client that
 * sleeps waits in recv, as clients do; one that spins asks again and again, so that its own waking does not count.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { BYTES_MAX = 1 << 20, DESCRIPTORS_MAX = 4096, EVENTS_MAX = 64 };

static char request[BYTES_MAX], reply[BYTES_MAX];

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "socket_timer: %s: %s\n", what, strerror(errno));
    exit(1);
}

static size_t read_file(const char *path, char *into)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail(path);
    size_t n = fread(into, 1, BYTES_MAX, file);
    fclose(file);
    return n;
}

static int open_socket(const char *port, struct sockaddr_in *address)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                    .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    return fd;
}

/* ---- time ---- */

static void receive(int fd, size_t reply_len, int spin)
{
    for (size_t got = 0; got < reply_len;) {
        ssize_t n = recv(fd, reply + got, reply_len - got, spin ? MSG_DONTWAIT : 0);
        if (n > 0)
            got += (size_t)n;
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            fail("the server ended the connection");
    }
    if (memcmp(reply, "HTTP/1.1 200", 12) != 0)
        fail("the server did not answer 200");
}

static uint64_t time_one(int fd, size_t request_len, size_t reply_len, int spin)
{
    uint64_t begin = now_ns();
    if (send(fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len)
        fail("send");
    receive(fd, reply_len, spin);
    return now_ns() - begin;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int run_client(char **argv)
{
    struct sockaddr_in address;
    size_t request_len = read_file(argv[3], request), reply_len = strtoul(argv[4], NULL, 10);
    size_t n = strtoul(argv[5], NULL, 10);
    int spin = strcmp(argv[6], "spin") == 0, fd = open_socket(argv[2], &address);
    uint64_t *times = calloc(n + 1, sizeof *times), sum = 0;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) || !times || reply_len > BYTES_MAX)
        fail("connect");
    for (size_t i = 0; i < n / 10 + 1; i++)
        time_one(fd, request_len, reply_len, spin);
    for (size_t i = 0; i < n; i++)
        sum += times[i] = time_one(fd, request_len, reply_len, spin);
    qsort(times, n, sizeof *times, compare);
    printf("%llu %llu %llu\n", (unsigned long long)times[n / 2],
           (unsigned long long)times[n * 99 / 100], (unsigned long long)(sum / n));
    return 0;
}

/* ---- echo ---- */

static void answer(int fd, size_t request_len, size_t reply_len)
{
    static size_t got[DESCRIPTORS_MAX];
    ssize_t n = recv(fd, request, sizeof request, 0);
    if (n <= 0) {
        got[fd] = 0;
        close(fd);
        return;
    }
    for (got[fd] += (size_t)n; got[fd] >= request_len; got[fd] -= request_len)
        (void)!send(fd, reply, reply_len, MSG_NOSIGNAL);
}

static void take(int epoll, int listener)
{
    int one = 1, fd = accept(listener, NULL, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0 || fd >= DESCRIPTORS_MAX)
        fail("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void run_echo(char **argv)
{
    struct sockaddr_in address;
    size_t request_len = strtoul(argv[3], NULL, 10), reply_len = read_file(argv[4], reply);
    int listener = open_socket(argv[2], &address), epoll = epoll_create1(0);
    struct epoll_event events[EVENTS_MAX], event = {.events = EPOLLIN, .data.fd = listener};
    if (!request_len || bind(listener, (struct sockaddr *)&address, sizeof address) ||
        listen(listener, EVENTS_MAX))
        fail("listen");
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                take(epoll, listener);
            else
                answer(events[i].data.fd, request_len, reply_len);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "time") == 0)
        return run_client(argv);
    if (argc == 5 && strcmp(argv[1], "echo") == 0)
        run_echo(argv);
    fprintf(stderr, "usage: see the top of socket_timer.c\n");
    return 2;
}
