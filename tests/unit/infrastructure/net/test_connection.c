/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections over a socket layer that holds bytes back, of which epoll does not know, or cannot send; and the queue of those
 * that have more to read. The worker is turned by hand.
 */
#include "harness.h"
#include "infrastructure/net/connection.h"
#include "infrastructure/net/http2/http2.h"

#include <errno.h>
#include <unistd.h>

/* A layer that gives what a script holds, without regard to the descriptor. */
struct script {
    struct px_socket_layer base; /* first */
    const char *bytes;
    size_t left;
    bool is_blocked; /* send waits */
    enum px_socket_handshake handshake;
    size_t sent;
};

static struct script *script_of(struct px_socket_layer *layer)
{
    return PX_CONTAINER_OF(layer, struct script, base);
}

static ssize_t script_recv(struct px_socket_layer *layer, void *to, size_t room)
{
    struct script *script = script_of(layer);
    size_t n = script->left < room ? script->left : room;
    if (n == 0) {
        errno = EAGAIN;
        return -1;
    }
    memcpy(to, script->bytes, n);
    script->bytes += n;
    script->left -= n;
    return (ssize_t)n;
}

static ssize_t script_send(struct px_socket_layer *layer, const void *bytes, size_t len)
{
    struct script *script = script_of(layer);
    (void)bytes;
    if (script->is_blocked) {
        errno = EAGAIN;
        return -1;
    }
    script->sent += len;
    return (ssize_t)len;
}

static bool script_has_pending(const struct px_socket_layer *layer)
{
    return ((const struct script *)(const void *)layer)->left > 0;
}

static bool script_wants_write(const struct px_socket_layer *layer)
{
    (void)layer;
    return false;
}

static enum px_socket_handshake script_handshake(const struct px_socket_layer *layer)
{
    return ((const struct script *)(const void *)layer)->handshake;
}

static struct px_str script_name(const struct px_socket_layer *layer)
{
    (void)layer;
    return (struct px_str){0};
}

static void script_end(struct px_socket_layer *layer)
{
    (void)layer;
}

static const struct px_socket_layer_ops script_ops = {
    .recv = script_recv,
    .send = script_send,
    .has_pending = script_has_pending,
    .wants_write = script_wants_write,
    .handshake = script_handshake,
    .client_name = script_name,
    .end = script_end,
    .destroy = script_end,
};

static unsigned requests;

static void handle(void *context, struct px_http_exchange *exchange)
{
    (void)context;
    requests++;
    exchange->status = 200;
    px_http_finish(exchange);
}

static void wave(void *context, unsigned loop)
{
    (void)context;
    (void)loop;
}

static void refuse(void *context, struct px_http_exchange *exchange, const struct px_err *err)
{
    (void)context;
    exchange->status = px_code_http(err->code);
}

static const struct px_http_handler handler = {.handle = handle, .wave = wave, .refuse = refuse};

static const struct px_net_config config = {
    .header_bytes_max = 4096,
    .body_bytes_max = 1 << 20,
    .arena_bytes_max = 1 << 20,
    .connections_max = 10,
    .header_timeout_ms = 60000,
    .body_timeout_ms = 60000,
    .idle_timeout_ms = 60000,
    .write_timeout_ms = 60000,
};

static struct px_worker worker;

static void start(void)
{
    struct px_listeners none = {.n = 0};
    requests = 0;
    CHECK_OK(px_worker_init(&worker, 0, &config, &handler, &none, NULL));
}

static void stop(void)
{
    px_worker_end(&worker);
    CHECK_INT(worker.exchanges.input_bytes, 0);
    px_worker_deinit(&worker);
}

/* A connection of which the other end is *ret_peer. */
static struct px_connection *open_one(int *ret_peer)
{
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    px_connection_open(&worker, pair[0], NULL, NULL);
    *ret_peer = pair[1];
    return PX_CONTAINER_OF(worker.waits[PX_WAIT_IDLE].ends.previous, struct px_connection,
                           deadline);
}

/* Lets the connection read `script`: a byte on the descriptor makes it ready. */
static void play(struct px_connection *c, struct script *script, int peer)
{
    script->base.ops = &script_ops;
    c->socket.layer = &script->base;
    CHECK(send(peer, "!", 1, 0) == 1);
    px_worker_wake_up(&worker, true);
}

static size_t n_connections(void)
{
    return atomic_load_explicit(&worker.n_connections, memory_order_relaxed);
}

#define POST "POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"

PX_TEST(a_layer_that_cannot_send_100_continue_is_closed)
{
    struct script script = {.bytes = POST, .left = sizeof POST - 1, .is_blocked = true};
    int peer;
    start();
    struct px_connection *c = open_one(&peer);
    play(c, &script, peer);
    CHECK_INT(n_connections(), 0);
    close(peer);
    stop();
}

PX_TEST(a_layer_that_can_send_it_goes_on)
{
    struct script script = {.bytes = POST "hello", .left = sizeof POST - 1};
    int peer;
    start();
    struct px_connection *c = open_one(&peer);
    play(c, &script, peer);
    CHECK(script.sent == 25 && requests == 0);
    script.left = 5;
    px_worker_wake_up(&worker, true);
    CHECK(requests == 1 && n_connections() == 1);
    close(peer);
    stop();
}

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";

/* A preface and requests in one record that is larger than the first read. */
PX_TEST(http2_reads_what_is_left_in_the_layer_when_it_opens)
{
    enum { UPDATES = 1300 };
    static const char update[13] = "\0\0\4\10\0\0\0\0\0\0\0\0\1"; /* of the window */
    static const char request[15] = "\0\0\6\1\5\0\0\0\1\x82\x86\x84\1\1h";
    static char bytes[20000];
    size_t n = sizeof preface;
    memcpy(bytes, preface, sizeof preface);
    for (int i = 0; i < UPDATES; i++, n += sizeof update)
        memcpy(bytes + n, update, sizeof update);
    CHECK(n > PX_HTTP1_INPUT_FIRST);
    memcpy(bytes + n, request, sizeof request);
    struct script script = {.bytes = bytes, .left = n + sizeof request};
    int peer;
    start();
    struct px_connection *c = open_one(&peer);
    play(c, &script, peer);
    CHECK(script.left == 0 && requests == 1);
    close(peer);
    stop();
}

PX_TEST(http2_that_breaks_with_more_in_the_layer_lingers)
{
    static char bytes[20000]; /* frames of length 0, of type 0 on stream 0 */
    struct script script = {.bytes = bytes, .left = sizeof bytes};
    int peer;
    memcpy(bytes, preface, sizeof preface);
    start();
    struct px_connection *c = open_one(&peer);
    play(c, &script, peer);
    CHECK(c->is_lingering && !c->in_again.is_queued);
    close(peer);
    stop();
}

PX_TEST(a_connection_is_queued_once_and_leaves_when_it_is_closed)
{
    enum { MANY = 3 };
    for (int closed = 0; closed < MANY; closed++) {
        struct px_connection *c[MANY];
        int peers[MANY];
        start();
        for (int i = 0; i < MANY; i++)
            c[i] = open_one(&peers[i]);
        for (int i = 0; i < 2 * MANY; i++)
            px_connection_queue_up(c[i % MANY]);
        CHECK_INT(worker.again.n, MANY);
        px_connection_close(c[closed]);
        CHECK_INT(worker.again.n, MANY - 1);
        for (int i = 0; i < MANY; i++) {
            if (i != closed)
                CHECK(px_connection_pop(&worker.again) == c[i]);
        }
        CHECK(!px_connection_pop(&worker.again) && !worker.again.last);
        px_connection_queue_up(c[(closed + 1) % MANY]);
        CHECK(worker.again.first == worker.again.last && worker.again.n == 1);
        for (int i = 0; i < MANY; i++)
            close(peers[i]);
        stop();
    }
}

PX_TEST_MAIN(T(a_layer_that_cannot_send_100_continue_is_closed) T(a_layer_that_can_send_it_goes_on)
                 T(http2_reads_what_is_left_in_the_layer_when_it_opens)
                     T(http2_that_breaks_with_more_in_the_layer_lingers)
                         T(a_connection_is_queued_once_and_leaves_when_it_is_closed))
