/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A web server for one connection at a time that answers GET from a list of files, with Range, If-Range, ETag and If-None-Match, or as a test wants:
 *
 *     file_peer_start(&peer);
 *     file_peer_put(&peer, "/a/b.txt", px_str("..."));
 *     peer.answer = "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n";   // to everything, from now on; NULL: files again
 *     file_peer_stop(&peer);
 */
#ifndef PX_TESTS_FILE_PEER_H
#define PX_TESTS_FILE_PEER_H

#include "harness.h"
#include "shared/str.h"
#include "shared/thread.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FILE_PEER_FILES = 16, FILE_PEER_HEAD_MAX = 8192 };

struct file_peer {
    int fd;
    uint16_t port;
    pthread_t thread;
    _Atomic bool stopping;
    struct {
        const char *path;
        struct px_str bytes;
    } files[FILE_PEER_FILES];
    size_t n;
    _Atomic(const char *) answer;
    _Atomic bool has_ranges, has_tags;
    char head[FILE_PEER_HEAD_MAX]; /* of the last request; read it when its answer has come */
};

static inline void file_peer_send(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

static inline struct px_str file_peer_find(const struct file_peer *peer, const char *path)
{
    for (size_t i = 0; i < peer->n; i++) {
        if (strcmp(peer->files[i].path, path) == 0)
            return peer->files[i].bytes;
    }
    return (struct px_str){0};
}

/* The tag of a file: its length, which is enough here. */
static inline void file_peer_answer_file(struct file_peer *peer, int fd, struct px_str bytes)
{
    char head[512], tag[32];
    unsigned long long first = 0;
    snprintf(tag, sizeof tag, "\"%zu\"", bytes.len);
    const char *range = strstr(peer->head, "Range: bytes="), *same = strstr(peer->head, "If-Range");
    if (range == same + 3) /* within If-Range */
        range = NULL;
    if (strstr(peer->head, "If-None-Match") && strstr(peer->head, tag)) {
        file_peer_send(fd, "HTTP/1.1 304 X\r\n\r\n", 18);
        return;
    }
    if (range && atomic_load(&peer->has_ranges) && (!same || strstr(same, tag)))
        first = strtoull(range + 13, NULL, 10);
    if (first > 0 && first >= bytes.len) {
        const char *beyond = "HTTP/1.1 416 X\r\nContent-Length: 0\r\n\r\n";
        file_peer_send(fd, beyond, strlen(beyond));
        return;
    }
    int n = snprintf(head, sizeof head, "HTTP/1.1 %s X\r\nContent-Length: %llu\r\n",
                     first ? "206" : "200", (unsigned long long)bytes.len - first);
    if (first)
        n += snprintf(head + n, sizeof head - (size_t)n, "Content-Range: bytes %llu-%zu/%zu\r\n",
                      first, bytes.len - 1, bytes.len);
    if (atomic_load(&peer->has_tags))
        n += snprintf(head + n, sizeof head - (size_t)n, "ETag: %s\r\n", tag);
    file_peer_send(fd, head, (size_t)n);
    file_peer_send(fd, "\r\n", 2);
    file_peer_send(fd, bytes.ptr + first, bytes.len - (size_t)first);
}

static inline void file_peer_serve(struct file_peer *peer, int fd)
{
    char path[256] = "";
    size_t n = 0;
    ssize_t got;
    while (n + 1 < sizeof peer->head &&
           (got = recv(fd, peer->head + n, sizeof peer->head - 1 - n, 0)) > 0) {
        n += (size_t)got;
        peer->head[n] = '\0';
        if (strstr(peer->head, "\r\n\r\n"))
            break;
    }
    const char *answer = atomic_load(&peer->answer);
    if (n == 0 || sscanf(peer->head, "GET %255s ", path) != 1)
        return;
    struct px_str bytes = file_peer_find(peer, path);
    if (answer)
        file_peer_send(fd, answer, strlen(answer));
    else if (bytes.ptr)
        file_peer_answer_file(peer, fd, bytes);
    else
        file_peer_send(fd, "HTTP/1.1 404 X\r\nContent-Length: 4\r\n\r\nnone", 42);
}

static inline void *file_peer_run(void *argument)
{
    struct file_peer *peer = argument;
    while (!atomic_load(&peer->stopping)) {
        int fd = accept(peer->fd, NULL, NULL);
        if (fd < 0)
            continue;
        file_peer_serve(peer, fd); /* and close: the next request has a connection of its own */
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    return NULL;
}

static inline void file_peer_put(struct file_peer *peer, const char *path, struct px_str bytes)
{
    size_t i = 0;
    while (i < peer->n && strcmp(peer->files[i].path, path) != 0)
        i++;
    CHECK(i < FILE_PEER_FILES);
    peer->files[i].path = path;
    peer->files[i].bytes = bytes;
    peer->n += i == peer->n;
}

static inline void file_peer_start(struct file_peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    memset(peer, 0, sizeof *peer);
    atomic_store(&peer->has_ranges, true);
    atomic_store(&peer->has_tags, true);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(peer->fd >= 0);
    CHECK_INT(bind(peer->fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(listen(peer->fd, 16), 0);
    CHECK_INT(getsockname(peer->fd, (struct sockaddr *)&address, &len), 0);
    peer->port = ntohs(address.sin_port);
    CHECK_INT(px_thread_start("peer", file_peer_run, peer, &peer->thread), 0);
}

static inline void file_peer_stop(struct file_peer *peer)
{
    atomic_store(&peer->stopping, true);
    shutdown(peer->fd, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->fd);
}

#endif
