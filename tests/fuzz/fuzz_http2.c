/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 sessions: whatever a client sends behind the preface, however it is cut, whether it reads or not, and whichever
 * allocation fails.
 *
 * The first eight bytes of an input are options: a seed for the cuts, whether the preface is sent, whether the client reads,
 * and which allocation fails. The rest goes through a socket to a worker that is turned by hand. At the end every exchange
 * is finished and given back, and nothing is charged any more.
 */
#include "fuzz.h"

#include "infrastructure/net/connection.h"
#include "shared/alloc.h"

#include <sys/socket.h>
#include <unistd.h>

enum { OPTION_BYTES = 8, DEFERRED_MAX = 64, TURNS_MAX = 200 };

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";

static struct px_http_exchange *deferred[DEFERRED_MAX];
static size_t n_deferred;

static void require(bool condition)
{
    if (!condition)
        __builtin_trap();
}

static char second(const struct px_http_request *request)
{
    return request->path.len > 1 ? request->path.ptr[1] : '\0';
}

static void finish(struct px_http_exchange *exchange)
{
    exchange->status = 200;
    exchange->content_type = "text/plain";
    if (second(&exchange->request) == 't')
        exchange->trailers = "grpc-status: 0\r\n";
    px_buf_str(exchange->body, exchange->request.body);
    px_http_finish(exchange);
}

static void handle(void *context, struct px_http_exchange *exchange)
{
    (void)context;
    const struct px_http_request *request = &exchange->request;
    for (size_t i = 0; i < request->n_headers; i++)
        require(request->headers[i].name.len > 0 && request->headers[i].name.ptr[0] != ':');
    require(request->path.len > 0);
    if (exchange->streamed) {
        exchange->status = 200;
    } else if (second(request) == 'd' && n_deferred < DEFERRED_MAX) {
        px_http_defer(exchange);
        deferred[n_deferred++] = exchange;
    } else {
        finish(exchange);
    }
}

static void forget(const struct px_http_exchange *exchange)
{
    for (size_t i = 0; i < n_deferred; i++) {
        if (deferred[i] == exchange) {
            deferred[i] = deferred[--n_deferred];
            return;
        }
    }
}

static void wave(void *context, unsigned loop)
{
    (void)context;
    (void)loop;
    if (n_deferred > 4)
        finish(deferred[--n_deferred]); /* the others wait */
}

static void refuse(void *context, struct px_http_exchange *exchange, const struct px_err *err)
{
    (void)context;
    exchange->status = px_code_http(err->code);
    px_buf_text(exchange->body, err->message);
}

static bool streams(void *context, const struct px_http_request *request)
{
    (void)context;
    return second(request) == 's';
}

static void piece(void *context, struct px_http_exchange *exchange, struct px_str bytes,
                  bool is_last)
{
    (void)context;
    px_buf_str(exchange->body, bytes);
    px_buf_str(exchange->body, bytes);
    px_http_send(exchange);
    if (is_last)
        px_http_finish(exchange);
}

static void abandon(void *context, struct px_http_exchange *exchange, enum px_http_end why)
{
    (void)context;
    (void)why;
    forget(exchange);
    px_http_finish(exchange);
}

static const struct px_http_handler handler = {
    .handle = handle,
    .wave = wave,
    .refuse = refuse,
    .streams = streams,
    .piece = piece,
    .abandon = abandon,
};

static const struct px_net_config config = {
    .header_bytes_max = 512,
    .body_bytes_max = 2000,
    .arena_bytes_max = 1 << 16,
    .connections_max = 10,
    .streams_max = 20,
    .header_timeout_ms = 60000,
    .body_timeout_ms = 60000,
    .idle_timeout_ms = 60000,
    .write_timeout_ms = 60000,
};

static void read_away(int fd)
{
    static char away[1 << 16];
    while (recv(fd, away, sizeof away, MSG_DONTWAIT) > 0)
        continue;
}

/* Sends `bytes` in portions and turns the worker after each. */
static void feed(struct px_worker *worker, int fd, const uint8_t *bytes, size_t size,
                 uint64_t options)
{
    uint64_t seed = options | 1;
    bool reads = options & 2;
    for (int turn = 0; size && turn < TURNS_MAX; turn++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t portion = turn == TURNS_MAX - 1 ? size : 1 + (size_t)(seed >> 56);
        portion = portion < size ? portion : size;
        ssize_t n = send(fd, bytes, portion, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0)
            break;
        bytes += n;
        size -= (size_t)n;
        px_worker_wake_up(worker, true);
        if (reads)
            read_away(fd);
    }
    px_worker_wake_up(worker, true);
}

static void serve(struct px_worker *worker, const uint8_t *data, size_t size, uint64_t options)
{
    int pair[2];
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    px_alloc_fail_at(options & 4 ? options >> 32 & 0xff : 0);
    px_connection_open(worker, pair[0], NULL, NULL);
    if (!(options & 8))
        (void)!send(pair[1], preface, sizeof preface - 1, MSG_NOSIGNAL);
    feed(worker, pair[1], data, size, options);
    px_alloc_fail_at(0);
    if (options & 16)
        close(pair[1]);
    px_worker_wake_up(worker, true);
    px_worker_end(worker);
    if (!(options & 16))
        close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct px_worker worker;
    struct px_listeners none = {.n = 0};
    uint64_t options;
    if (size < OPTION_BYTES)
        return 0;
    memcpy(&options, data, OPTION_BYTES);
    n_deferred = 0;
    require(px_worker_init(&worker, 0, &config, &handler, &none, NULL) == PX_OK);
    serve(&worker, data + OPTION_BYTES, size - OPTION_BYTES, options);
    require(n_deferred == 0 && worker.n_long == 0 && worker.exchanges.input_bytes == 0);
    px_worker_deinit(&worker);
    return 0;
}
