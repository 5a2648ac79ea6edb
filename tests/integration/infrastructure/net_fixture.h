/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server on a free loopback port with a small handler, and a blocking client that speaks bytes.
 *
 * The handler parks every request and answers it in the wave:
 *     /echo          the request's body
 *     /bytes?N       N bytes of 'x'
 *     /static        a static body
 *     /now           like /echo, but finished before the wave
 *     anything else  "METHOD PATH QUERY BODYLEN"
 */
#ifndef PX_TESTS_NET_FIXTURE_H
#define PX_TESTS_NET_FIXTURE_H

#include "harness.h"
#include "infrastructure/net/server.h"
#include "shared/alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PARKED_MAX = 1024, LOOPS = 2, REPLY_MAX = 1 << 16, PATIENCE_MS = 20000 };

struct parking {
    struct px_http_exchange *parked[PARKED_MAX];
    size_t n;
};

struct fixture {
    struct parking parking[LOOPS];
    _Atomic uint64_t waves, refusals, busy_calls;
    struct px_net_config config;
    struct px_http_handler handler;
    struct px_net *net;
};

static inline void answer(struct px_http_exchange *exchange)
{
    const struct px_http_request *request = &exchange->request;
    uint64_t n = 0;
    exchange->status = 200;
    exchange->content_type = "text/plain";
    exchange->extra_headers = "X-Test: yes\r\n";
    if (px_str_is(request->path, "/echo") || px_str_is(request->path, "/now")) {
        px_buf_str(exchange->body, request->body);
    } else if (px_str_is(request->path, "/static")) {
        exchange->static_body = px_str("static text");
    } else if (px_str_is(request->path, "/bytes") && px_str_to_u64(request->query, &n)) {
        char *to = px_buf_reserve(exchange->body, n);
        if (to) {
            memset(to, 'x', n);
            exchange->body->len += n;
        }
    } else {
        px_buf_printf(exchange->body, "%d %.*s %.*s %zu", (int)request->method,
                      PX_STR_ARG(request->path), PX_STR_ARG(request->query), request->body.len);
    }
    px_http_finish(exchange);
}

static inline void fixture_handle(void *context, struct px_http_exchange *exchange)
{
    struct fixture *f = context;
    struct parking *parking = &f->parking[exchange->loop];
    void *scratch = px_arena_alloc(exchange->arena, 300, 1); /* as a real handler would */
    if (!scratch || px_str_is(exchange->request.path, "/now"))
        answer(exchange);
    else
        parking->parked[parking->n++] = exchange;
}

static inline void fixture_wave(void *context, unsigned loop)
{
    struct fixture *f = context;
    struct parking *parking = &f->parking[loop];
    for (size_t i = 0; i < parking->n; i++)
        answer(parking->parked[i]);
    parking->n = 0;
    f->waves++;
}

static inline void fixture_refuse(void *context, struct px_http_exchange *exchange,
                                  const struct px_err *err)
{
    struct fixture *f = context;
    f->refusals++;
    exchange->status = px_code_http(err->code);
    exchange->content_type = "text/plain";
    px_buf_text(exchange->body, err->message);
    px_http_finish(exchange);
}

static inline void fixture_busy(void *context, unsigned loop, uint64_t busy_ns)
{
    struct fixture *f = context;
    (void)loop;
    (void)busy_ns;
    f->busy_calls++;
}

static inline struct px_net_config fixture_config(void)
{
    return (struct px_net_config){
        .endpoints = {.items = {{.host = "127.0.0.1"}}, .n = 1},
        .n_loops = 1,
        .header_bytes_max = 4096,
        .body_bytes_max = 8 << 20,
        .arena_bytes_max = 1 << 20,
        .connections_max = 1000,
        .header_timeout_ms = PATIENCE_MS,
        .body_timeout_ms = PATIENCE_MS,
        .idle_timeout_ms = PATIENCE_MS,
        .write_timeout_ms = PATIENCE_MS,
    };
}

/* Set fields of `config` before. */
static inline void fixture_start(struct fixture *f, struct px_net_config config)
{
    struct px_err err;
    memset(f, 0, sizeof *f);
    f->config = config;
    f->handler = (struct px_http_handler){.context = f,
                                          .handle = fixture_handle,
                                          .wave = fixture_wave,
                                          .refuse = fixture_refuse,
                                          .loop_busy = fixture_busy};
    CHECK_OK(px_net_create(&f->config, &f->handler, &f->net, &err));
    CHECK(px_net_port(f->net, 0) != 0);
    CHECK_OK(px_net_start(f->net, &err));
}

static inline void fixture_stop(struct fixture *f)
{
    px_net_destroy(f->net);
    f->net = NULL;
}

static inline void wait_for_connections(const struct fixture *f, size_t n)
{
    for (int i = 0; i < PATIENCE_MS && px_net_connections(f->net) != n; i++)
        poll(NULL, 0, 1);
    CHECK_INT(px_net_connections(f->net), n);
}

/* The client. */
struct client {
    int fd;
    char bytes[REPLY_MAX]; /* received and not yet taken */
    size_t len;
};

struct reply {
    int status;
    char head[2048];
    char body[REPLY_MAX];
    size_t body_len; /* as declared; body holds at most REPLY_MAX - 1 */
};

static inline int client_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    CHECK(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static inline void client_connect_fd(int fd, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
}

static inline void client_open(struct client *client, const struct fixture *f)
{
    client->fd = client_socket();
    client->len = 0;
    client_connect_fd(client->fd, px_net_port(f->net, 0));
}

static inline void client_close(struct client *client)
{
    close(client->fd);
}

static inline void client_send_bytes(struct client *client, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = send(client->fd, bytes, len, MSG_NOSIGNAL);
        CHECK(n > 0);
        bytes += n;
        len -= (size_t)n;
    }
}

static inline void client_send(struct client *client, const char *text)
{
    client_send_bytes(client, text, strlen(text));
}

/* False at the end of the stream; a reset fails the test. */
static inline bool client_receive(struct client *client)
{
    ssize_t n = recv(client->fd, client->bytes + client->len, REPLY_MAX - 1 - client->len, 0);
    CHECK(n >= 0);
    client->len += (size_t)n;
    client->bytes[client->len] = '\0';
    return n > 0;
}

static inline void client_take(struct client *client, size_t n)
{
    client->len -= n;
    memmove(client->bytes, client->bytes + n, client->len + 1);
}

static inline void client_read_body(struct client *client, struct reply *reply, size_t len)
{
    size_t kept = 0;
    for (size_t left = len; left;) {
        if (client->len == 0)
            CHECK(client_receive(client));
        size_t n = client->len < left ? client->len : left;
        size_t keep = n < REPLY_MAX - 1 - kept ? n : REPLY_MAX - 1 - kept;
        memcpy(reply->body + kept, client->bytes, keep);
        kept += keep;
        client_take(client, n);
        left -= n;
    }
    reply->body[kept] = '\0';
}

static inline void client_read_head(struct client *client, struct reply *reply)
{
    char *end;
    client->bytes[client->len] = '\0';
    while (!(end = strstr(client->bytes, "\r\n\r\n")))
        CHECK(client_receive(client));
    size_t len = (size_t)(end - client->bytes) + 4;
    CHECK(len < sizeof reply->head);
    memcpy(reply->head, client->bytes, len);
    reply->head[len] = '\0';
    client_take(client, len);
    CHECK(strncmp(reply->head, "HTTP/1.1 ", 9) == 0);
    reply->status = (int)strtol(reply->head + 9, NULL, 10);
    const char *length = strstr(reply->head, "Content-Length: ");
    reply->body_len = length ? strtoul(length + 16, NULL, 10) : 0;
    reply->body[0] = '\0';
}

static inline void client_read(struct client *client, struct reply *reply)
{
    client_read_head(client, reply);
    client_read_body(client, reply, reply->body_len);
}

/* The server has closed, and sent nothing more. A reset counts as closed. */
static inline void client_expect_end(struct client *client)
{
    char byte;
    CHECK_INT(client->len, 0);
    ssize_t n = recv(client->fd, &byte, 1, 0);
    CHECK(n == 0 || (n < 0 && errno == ECONNRESET));
}

#endif
