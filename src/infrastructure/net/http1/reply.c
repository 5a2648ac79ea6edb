/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * A response is three parts in a row: head, payload, tail. A whole one is a head (with the body behind it when that is
 * small), a body and nothing; it leaves in one call. Of a streamed one, each turn makes three parts of what the handler has let
 * go: the first time the response's head, then the chunk's size, the chunk, and its end, with the last chunk and the
 * trailers where the handler has finished. The chunk is the body buffer itself, exchanged for an empty one, so it is not
 * copied while the handler goes on appending.
 *
 * A streamed response that is finished before its first byte has left, and has no trailers, is sent as a whole one.
 */
#include "infrastructure/net/http1/connection.h"

#include <errno.h>

enum {
    SMALL_PAYLOAD = 4096,     /* copied behind the head: one send is cheaper than a vector */
    PART_KEPT_BYTES = 1 << 20 /* a larger buffer is given back when its chunk is sent */
};

static bool is_sent(const struct px_http1_exchange *x)
{
    return x->sent == x->head.len + x->payload.len + x->tail.len;
}

static struct px_str skip(struct px_str part, size_t *sent)
{
    size_t n = *sent < part.len ? *sent : part.len;
    *sent -= n;
    return px_str_n(part.ptr + n, part.len - n);
}

static ssize_t send_rest(const struct px_connection *c)
{
    const struct px_http1_exchange *x = c->exchange;
    size_t sent = x->sent;
    if (PX_LIKELY(x->payload.len + x->tail.len == 0))
        return px_socket_send(&c->socket, x->head.ptr + sent, x->head.len - sent);
    struct px_str parts[3];
    parts[0] = skip(px_buf_view(&x->head), &sent);
    parts[1] = skip(x->payload, &sent);
    parts[2] = skip(x->tail, &sent);
    return px_socket_send_parts(&c->socket, parts, 3);
}

/* Sends as much as the kernel takes now. False when the connection has been closed. */
static bool send_some(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    ssize_t n = send_rest(c);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        px_connection_close(c);
        return false;
    }
    x->sent += n > 0 ? (size_t)n : 0;
    if (n > 0 && !is_sent(x))
        px_connection_wait_for_reader(c);
    return true;
}

static enum px_response_connection choose_connection_header(const struct px_connection *c)
{
    if (c->closes)
        return PX_RESPONSE_CLOSE;
    return c->exchange->parser.http10 ? PX_RESPONSE_KEEP_ALIVE : PX_RESPONSE_DEFAULT;
}

static bool has_body(const struct px_http1_exchange *x)
{
    return x->base.http.request.method != PX_HTTP_HEAD && px_response_has_body(x->base.http.status);
}

static void write_head(struct px_connection *c, size_t body_len)
{
    struct px_http1_exchange *x = c->exchange;
    px_response_write_head(&x->head, &x->base.http, body_len, &c->worker->date,
                           choose_connection_header(c));
    x->has_begun = true;
}

static void make_whole(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    struct px_str fixed = x->base.http.static_body;
    struct px_str body = fixed.len ? fixed : px_buf_view(&x->body);
    write_head(c, body.len);
    x->has_ended = true;
    if (!has_body(x))
        return;
    if (body.len <= SMALL_PAYLOAD)
        px_buf_str(&x->head, body);
    else
        x->payload = body;
}

/* A whole response: what the kernel does not take at once waits for EPOLLOUT. */
static void write_whole(struct px_connection *c)
{
    if (!send_some(c))
        return;
    if (is_sent(c->exchange)) {
        px_http1_next(c);
        return;
    }
    if (c->state != PX_HTTP1_WRITING) {
        c->state = PX_HTTP1_WRITING;
        px_connection_watch(c, EPOLLOUT);
        px_connection_wait_for_reader(c);
    }
}

void px_http1_respond(struct px_connection *connection)
{
    struct px_http1_exchange *x = connection->exchange;
    struct px_worker *worker = connection->worker;
    PX_ASSERT(x->base.http.finished); /* the handler's promise: by the end of its wave */
    if (x->base.http.status < 200) {  /* it was abandoned, and has nothing to say */
        px_connection_close(connection);
        return;
    }
    if (x->body.failed) {
        px_err_set(&worker->err, PX_E_NO_MEMORY, "no memory for the response");
        px_http1_refuse(connection, &worker->err);
        return;
    }
    make_whole(connection);
    if (x->head.failed) {
        px_connection_close(connection);
        return;
    }
    px_http1_exchange_forget_request(x);
    write_whole(connection);
}

static void put_trailers(struct px_http1_exchange *x)
{
    px_buf_text(&x->head, "0\r\n");
    if (x->base.http.trailers)
        px_buf_text(&x->head, x->base.http.trailers);
    px_buf_text(&x->head, "\r\n");
}

/* The next chunk: its size goes behind the head, its end and the end of all into the tail. */
static void make_chunk(struct px_http1_exchange *x)
{
    struct px_buf empty = x->part;
    x->part = x->body;
    x->body = empty;
    x->payload = px_buf_view(&x->part);
    px_buf_printf(&x->head, "%zx\r\n", x->payload.len);
    size_t tail_at = x->head.len;
    px_buf_text(&x->head, "\r\n");
    if (x->base.http.finished) {
        x->has_ended = true;
        put_trailers(x);
    }
    /* The tail lies behind the head in the same buffer, which does not move any more. */
    x->tail = px_str_n(x->head.ptr + tail_at, x->head.len - tail_at);
    x->head.len = tail_at;
}

/* Makes the parts of the next turn; false when the handler has let nothing go. */
static bool make_turn(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    bool finished = x->base.http.finished;
    if (!finished && (!x->base.is_resumed || (x->has_begun && x->body.len == 0)))
        return false;
    x->base.is_resumed = false;
    if (!x->has_begun && finished && !x->base.http.trailers) {
        make_whole(c);
        return true;
    }
    if (!x->has_begun)
        write_head(c, PX_RESPONSE_CHUNKED);
    if (!has_body(x)) {
        px_buf_clear(&x->body);
        x->has_ended = finished;
    } else if (x->body.len) {
        make_chunk(x);
    } else if (finished) {
        put_trailers(x);
        x->has_ended = true;
    }
    return true;
}

static void clear_turn(struct px_http1_exchange *x)
{
    px_buf_clear(&x->head);
    if (x->part.len > PART_KEPT_BYTES)
        px_buf_deinit(&x->part);
    px_buf_clear(&x->part);
    x->payload = x->tail = (struct px_str){0};
    x->sent = 0;
}

/* False when the exchange has ended one way or another, and the connection may be another's. */
static bool write_turns(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    for (;;) {
        if (!is_sent(x)) {
            if (!send_some(c))
                return false;
            if (!is_sent(x))
                return true;
        }
        if (x->has_ended) {
            px_http1_next(c);
            return false;
        }
        clear_turn(x);
        if (!make_turn(c))
            return true;
        if (x->body.failed || x->head.failed) {
            px_connection_close(c);
            return false;
        }
    }
}

void px_http1_write(struct px_connection *connection)
{
    if (connection->state != PX_HTTP1_STREAMING)
        write_whole(connection);
    else if (write_turns(connection))
        px_http1_wait_streaming(connection);
}
