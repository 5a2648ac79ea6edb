/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server whose handler defers and streams. One exchange at a time is `held`.
 *
 * The handler
 *     /defer         defers; a task of the test finishes it
 *     /never         defers, and finishes only when it is abandoned
 *     /inside        the same, but finishes inside of `abandon`
 *     /late          defers with a deadline of 30 ms; inside of `abandon` it answers 504
 *     /stream        streams: sends every piece back at once, and at the last one the trailers
 *     /early         streams: finishes in `handle`
 *     /upload        streams: counts the body, answers at its end
 *     /flood         streams: answers a piece with a megabyte
 *     /hold          streams: sends its head and stays silent
 *     /echo          sends the body back, whole
 *     /bytes?N       N bytes of 'x'
 *     /trailers      a body and trailers, whole
 *     /lines         more headers than a response may have
 *     /ends          a body, and more trailers than that
 *     /only          trailers without a body
 *     anything else  answers at once
 */
#ifndef PX_TESTS_LONG_FIXTURE_H
#define PX_TESTS_LONG_FIXTURE_H

#include "net_fixture.h"

static struct fixture f;
static struct client client;
static struct reply reply;

static struct px_http_exchange *_Atomic held;
static _Atomic unsigned abandons, pieces;
static _Atomic int reason;
static _Atomic uint64_t received;

#define HOST "Host: h\r\n"

static inline bool is_path(const struct px_http_exchange *exchange, const char *path)
{
    return px_str_is(exchange->request.path, path);
}

static inline void finish(struct px_http_exchange *exchange, int status, const char *text)
{
    exchange->status = status;
    exchange->content_type = "text/plain";
    px_buf_text(exchange->body, text);
    px_http_finish(exchange);
}

static inline void begin_stream(struct px_http_exchange *exchange)
{
    exchange->status = 200;
    exchange->content_type = "text/plain";
    if (is_path(exchange, "/early"))
        finish(exchange, 200, "early");
    if (is_path(exchange, "/hold"))
        px_http_send(exchange);
    if (is_path(exchange, "/stream"))
        exchange->trailers = "x-count: 1\r\n";
    held = exchange;
}

static char many_lines[2000];

static inline bool answer_body(struct px_http_exchange *exchange)
{
    uint64_t n = 0;
    exchange->extra_headers = "X-Test: yes\r\nConnection: keep-alive\r\n";
    if (is_path(exchange, "/trailers") || is_path(exchange, "/only"))
        exchange->trailers = "Grpc-Status: 0\r\ngrpc-message: fine\r\n";
    if (is_path(exchange, "/lines") || is_path(exchange, "/ends")) {
        struct px_buf lines = px_buf_fixed(many_lines, sizeof many_lines);
        for (int i = 0; i < 100; i++)
            px_buf_printf(&lines, "x-%d: y\r\n", i);
        if (is_path(exchange, "/ends"))
            exchange->trailers = many_lines;
        else
            exchange->extra_headers = many_lines;
        finish(exchange, 200, "body");
    } else if (is_path(exchange, "/only")) {
        finish(exchange, 200, "");
    } else if (is_path(exchange, "/trailers")) {
        finish(exchange, 200, "with trailers");
    } else if (is_path(exchange, "/echo")) {
        px_buf_str(exchange->body, exchange->request.body);
        finish(exchange, 200, "");
    } else if (is_path(exchange, "/bytes") && px_str_to_u64(exchange->request.query, &n)) {
        char *to = px_buf_reserve(exchange->body, n);
        memset(to, 'x', n);
        exchange->body->len += n;
        finish(exchange, 200, "");
    } else {
        return false;
    }
    return true;
}

static inline void handle(void *context, struct px_http_exchange *exchange)
{
    (void)context;
    if (exchange->streamed) {
        begin_stream(exchange);
        return;
    }
    if (answer_body(exchange))
        return;
    if (!is_path(exchange, "/defer") && !is_path(exchange, "/never") &&
        !is_path(exchange, "/inside") && !is_path(exchange, "/late")) {
        finish(exchange, 200, "whole");
        return;
    }
    if (is_path(exchange, "/late"))
        exchange->deadline_ns = exchange->request.received_ns + 30000000u;
    px_http_defer(exchange);
    held = exchange;
}

static inline void wave(void *context, unsigned loop)
{
    (void)context;
    (void)loop;
}

static inline bool streams(void *context, const struct px_http_request *request)
{
    (void)context;
    static const char *const paths[] = {"/stream", "/early", "/upload", "/flood", "/hold"};
    for (size_t i = 0; i < PX_ARRAY_LEN(paths); i++) {
        if (px_str_is(request->path, paths[i]))
            return true;
    }
    return false;
}

static inline void piece(void *context, struct px_http_exchange *exchange, struct px_str bytes,
                         bool is_last)
{
    (void)context;
    pieces++;
    received += bytes.len;
    if (is_path(exchange, "/stream")) {
        px_buf_str(exchange->body, bytes);
        px_http_send(exchange);
        if (is_last)
            px_http_finish(exchange);
    } else if (is_path(exchange, "/flood")) {
        char *to = px_buf_reserve(exchange->body, 1 << 20);
        memset(to, 'x', 1 << 20);
        exchange->body->len += 1 << 20;
        px_http_send(exchange);
        if (is_last)
            px_http_finish(exchange);
    } else if (is_last && !is_path(exchange, "/hold")) {
        px_buf_printf(exchange->body, "%llu", (unsigned long long)received);
        px_http_finish(exchange);
    }
}

static inline void abandon(void *context, struct px_http_exchange *exchange, enum px_http_end why)
{
    (void)context;
    reason = (int)why;
    abandons++;
    if (is_path(exchange, "/late"))
        finish(exchange, 504, "late");
    else if (is_path(exchange, "/inside") || exchange->streamed)
        px_http_finish(exchange);
}

/* Finishes what is held, on its loop. */
struct finisher {
    struct px_loop_task task;
    const char *text;
    _Atomic bool done;
};

static inline void run_finisher(struct px_loop_task *task)
{
    struct finisher *finisher = PX_CONTAINER_OF(task, struct finisher, task);
    finish(held, 200, finisher->text);
    finisher->done = true;
}

static inline void wait_held(void)
{
    for (int i = 0; i < PATIENCE_MS && !held; i++)
        poll(NULL, 0, 1);
    CHECK(held);
}

static inline void wait_abandons(unsigned n)
{
    for (int i = 0; i < PATIENCE_MS && abandons != n; i++)
        poll(NULL, 0, 1);
    CHECK_INT(abandons, n);
}

static inline bool post_finish(struct finisher *finisher, const char *text)
{
    finisher->task.run = run_finisher;
    finisher->text = text;
    finisher->done = false;
    struct px_loops loops = px_net_loops(f.net);
    return px_loops_post(&loops, held->loop, &finisher->task);
}

static inline void finish_held(const char *text)
{
    static struct finisher finisher;
    CHECK(post_finish(&finisher, text));
    for (int i = 0; i < PATIENCE_MS && !finisher.done; i++)
        poll(NULL, 0, 1);
    CHECK(finisher.done);
}

static inline void start_with(struct px_net_config config)
{
    struct px_err err;
    memset(&f, 0, sizeof f);
    held = NULL;
    abandons = pieces = 0;
    received = 0;
    reason = 0;
    f.config = config;
    f.handler = (struct px_http_handler){.context = &f,
                                         .handle = handle,
                                         .wave = wave,
                                         .refuse = fixture_refuse,
                                         .streams = streams,
                                         .piece = piece,
                                         .abandon = abandon};
    CHECK_OK(px_net_create(&f.config, &f.handler, &f.net, &err));
    CHECK_OK(px_net_start(f.net, &err));
    client_open(&client, &f);
}

static inline void start_one(void)
{
    start_with(fixture_config());
}

static inline void stop_one(void)
{
    client_close(&client);
    fixture_stop(&f);
}

#endif
