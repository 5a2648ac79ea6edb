/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * The common case is one recv and one send per request: everything arrives at once, the response fits
 * the socket's buffer, and the epoll interest never changes. All else is a detour from that path.
 *
 * Invariants
 * 1. A connection owns an exchange from the first byte of a request until everything that was read
 *    has been answered; it is idle exactly when it owns none.
 * 2. Interest is EPOLLIN while READING, EPOLLOUT while WRITING (a client that does not take its response is
 *    not read from), EPOLLRDHUP while WAITING, and while STREAMING what can go on.
 * 3. After a response to something that was no request the connection closes, because its bytes
 *    have no known boundaries any more.
 * 4. An exchange that its handler has not finished is never given back. When its connection closes it is left behind,
 *    with connection == NULL, until it is finished.
 *
 * A body has two limits: no pause longer than body_timeout_ms, which the deadline watches, and the least rate of
 * px_exchange_check_rate. A body that is taken in pieces holds no buffer; it has the first limit, and only until its
 * response begins.
 *
 * Back-pressure of streams: while more than BACKLOG_MAX of the response waits for the client, its requests are not read.
 */
#include "infrastructure/net/http1/connection.h"

#include "infrastructure/net/http2/http2.h"
#include "shared/clock.h"

#include <errno.h>

enum { BACKLOG_MAX = 1 << 20 };

/* Waits for a request, or for a handshake before it; a draining worker does so only for a moment. */
static void wait_idle(struct px_connection *c)
{
    bool draining = px_worker_phase(c->worker) >= PX_WORKER_DRAINING;
    bool is_open = px_socket_handshake(&c->socket) != PX_SOCKET_SHAKING;
    px_connection_wait(c, draining ? PX_WAIT_LAST : is_open ? PX_WAIT_IDLE : PX_WAIT_HANDSHAKE);
}

static bool is_idle(const struct px_connection *c)
{
    return px_connection_is_waiting(c, PX_WAIT_IDLE) || px_connection_is_waiting(c, PX_WAIT_LAST) ||
           px_connection_is_waiting(c, PX_WAIT_HANDSHAKE);
}

static void give_exchange_back(struct px_http1_exchange *x)
{
    px_exchange_leave_long(&x->base);
    x->connection = NULL;
    px_http1_exchange_give(&x->base.worker->exchanges, x);
}

/* The connection ends. What its handler has not finished stays behind. */
static void release(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    if (!x)
        return;
    c->exchange = NULL;
    x->connection = NULL;
    if (x->base.is_handed_over && !x->base.http.finished) {
        px_exchange_enter_long(&x->base);
        px_exchange_abandon(&x->base, PX_HTTP_GONE);
    } else if (!x->base.in_round.is_queued) {
        give_exchange_back(x);
    }
}

void px_http1_next(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    px_exchange_leave_long(&x->base);
    if (c->closes) {
        if (c->lingers || c->socket.layer) /* the layer says that this is the end, not a loss */
            px_connection_linger(c);
        else
            px_connection_close(c);
        return;
    }
    c->state = PX_HTTP1_READING;
    px_connection_watch(c, EPOLLIN);
    px_http1_exchange_next_request(x);
    if (x->input_at < x->input.len || px_socket_has_pending(&c->socket)) {
        px_deadline_disarm(&c->deadline);
        px_connection_queue_up(c);
    } else {
        c->exchange = NULL;
        give_exchange_back(x);
        wait_idle(c);
    }
}

/* Starts an exchange for the parser's request, complete or not. */
static void begin_exchange(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    px_exchange_begin(&x->base, &x->parser.request, &x->arena, &x->body);
    x->base.http.request.received_ns = x->read_ns;
    x->base.http.request.client_name = px_socket_client_name(&c->socket);
    x->base.http.request.peer = c->peer;
}

void px_http1_refuse(struct px_connection *connection, const struct px_err *err)
{
    struct px_http1_exchange *x = connection->exchange;
    px_deadline_disarm(&connection->deadline);
    px_buf_clear(&x->body);
    begin_exchange(connection);
    connection->closes = connection->lingers = true;
    px_exchange_refuse(&x->base, err);
    if (x->body.failed)
        px_buf_clear(&x->body); /* then it is the status alone */
    px_http1_respond(connection);
}

/* Whether the connection stays open after the response that is about to be made. */
static void decide_close(struct px_connection *c, bool is_complete)
{
    const struct px_http1_exchange *x = c->exchange;
    bool is_last = x->input_at + x->parser.consumed == x->input.len; /* that has been read */
    bool stopping = px_worker_phase(c->worker) != PX_WORKER_RUNNING;
    c->closes = !is_complete || !x->parser.keep_alive || (stopping && is_last);
    c->lingers = c->closes && (!is_complete || x->parser.keep_alive || !is_last);
}

static void hand_over(struct px_connection *c)
{
    px_deadline_disarm(&c->deadline);
    begin_exchange(c);
    decide_close(c, true);
    px_exchange_hand_over(&c->exchange->base, false);
}

static void send_continue(struct px_connection *c)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    ssize_t n = px_socket_send(&c->socket, line, sizeof line - 1);
    c->exchange->sent_continue = true;
    /*
     * Nothing sent is allowed, a client does not wait for ever; a part of it would break the stream. A layer that waits has
     * sealed the line already: it would take the beginning of the response for it.
     */
    if (n < 0 ? c->socket.layer != NULL : (size_t)n != sizeof line - 1)
        px_connection_close(c);
}

static size_t body_received(const struct px_http1_exchange *x)
{
    return x->input.len - x->input_at - x->parser.body_at;
}

static void wait_for_more(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    if (px_http1_has_head(&x->parser)) {
        if (x->body_began_ns == 0)
            x->body_began_ns = c->worker->loop.now_ns;
        struct px_err *err = &c->worker->err;
        if (px_exchange_check_rate(c->worker, x->body_began_ns, body_received(x), err) != PX_OK) {
            px_http1_refuse(c, err);
            return;
        }
        px_connection_wait(c, PX_WAIT_BODY);
        if (x->parser.expect_continue && !x->sent_continue)
            send_continue(c);
    } else if (!px_connection_is_waiting(c, PX_WAIT_HEAD)) {
        px_connection_wait(c, PX_WAIT_HEAD); /* counts from the first byte, whatever follows */
    }
}

static size_t backlog(const struct px_http1_exchange *x)
{
    return x->body.len + x->head.len + x->payload.len + x->tail.len - x->sent;
}

static bool has_request(const struct px_http1_exchange *x)
{
    return x->parser.stage == PX_HTTP1_COMPLETE;
}

/* May more of a streamed request be read? */
static bool may_read(const struct px_http1_exchange *x)
{
    return !has_request(x) && !x->base.http.finished && backlog(x) <= BACKLOG_MAX;
}

void px_http1_wait_streaming(struct px_connection *connection)
{
    struct px_http1_exchange *x = connection->exchange;
    bool reads = may_read(x);
    bool writes = x->sent < x->head.len + x->payload.len + x->tail.len;
    px_connection_watch(connection,
                        (uint32_t)((reads ? EPOLLIN : EPOLLRDHUP) | (writes ? EPOLLOUT : 0)));
    connection->unacknowledged = writes ? connection->unacknowledged : 0;
    if (reads && px_socket_has_pending(&connection->socket)) {
        px_deadline_disarm(&connection->deadline);
        px_connection_queue_up(connection);
    } else if (writes) {
        if (!px_connection_is_waiting(connection, PX_WAIT_WRITE))
            px_connection_wait_for_reader(connection);
    } else if (reads && !x->has_begun) {
        px_connection_wait(connection, PX_WAIT_BODY);
        if (x->parser.expect_continue && !x->sent_continue)
            send_continue(connection);
    } else {
        px_connection_wait(connection, PX_WAIT_ANSWER);
    }
}

/* Gives what has come of the body to the handler. */
static void feed_stream(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    size_t len = x->input.len - x->input_at;
    char *bytes = x->input.ptr + x->input_at;
    enum px_http1_result result = px_http1_parse(&x->parser, bytes, &len, &c->worker->err);
    if (result == PX_HTTP1_BAD) {
        px_connection_linger(c); /* the handler has begun an answer, which nobody can trust */
        return;
    }
    if (result == PX_HTTP1_MORE)
        x->input.len = x->input_at + len;
    struct px_str piece = px_http1_piece(&x->parser, bytes);
    if (piece.len || result == PX_HTTP1_DONE)
        px_exchange_piece(&x->base, piece, result == PX_HTTP1_DONE);
    if (result == PX_HTTP1_MORE)
        x->input_at += px_http1_drop_piece(&x->parser);
    px_exchange_queue_up(&x->base); /* settle decides how it goes on */
}

/* The head is complete and the handler wants the body in pieces: the head moves out of the input's way. */
static void begin_stream(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    size_t n = px_http1_head_len(&x->parser);
    char *head = px_arena_alloc(&x->arena, n, 1);
    if (!head) {
        px_err_set(&c->worker->err, PX_E_NO_MEMORY, "no memory for the request");
        px_http1_refuse(c, &c->worker->err);
        return;
    }
    memcpy(head, x->input.ptr + x->input_at, n);
    px_http1_stream(&x->parser, head);
    x->input_at += n;
    px_deadline_disarm(&c->deadline);
    begin_exchange(c);
    c->closes = c->lingers = false;
    c->state = PX_HTTP1_STREAMING;
    px_exchange_hand_over(&x->base, true);
    feed_stream(c);
}

static bool wants_stream(const struct px_connection *c)
{
    const struct px_http_handler *handler = &c->worker->handler;
    const struct px_http1 *parser = &c->exchange->parser;
    return !parser->http10 && handler->streams(handler->context, &parser->request);
}

/* Parses on in what has been read, and hands a complete request to the handler. */
static void parse_on(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    size_t len = x->input.len - x->input_at;
    char *bytes = x->input.ptr + x->input_at;
    enum px_http1_result result = px_http1_parse(&x->parser, bytes, &len, &c->worker->err);
    if (result == PX_HTTP1_HEAD) {
        if (wants_stream(c)) {
            begin_stream(c);
            return;
        }
        result = px_http1_parse(&x->parser, bytes, &len, &c->worker->err);
    }
    switch (result) {
    case PX_HTTP1_DONE:
        hand_over(c);
        break;
    case PX_HTTP1_BAD:
        px_http1_refuse(c, &c->worker->err);
        break;
    case PX_HTTP1_MORE:
    case PX_HTTP1_HEAD: /* only once */
        x->input.len = x->input_at + len;
        wait_for_more(c);
        break;
    }
}

/* Without memory for an exchange there is no handler to ask. */
static void refuse_without_memory(struct px_connection *c)
{
    static const char line[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n";
    (void)!px_socket_send(&c->socket, line, sizeof line - 1);
    px_connection_linger(c);
}

static bool take_exchange(struct px_connection *c)
{
    if (c->exchange)
        return true;
    c->exchange = px_http1_exchange_take(&c->worker->exchanges);
    if (!c->exchange) {
        refuse_without_memory(c);
        return false;
    }
    c->exchange->connection = c;
    return true;
}

/* HTTP has come to a port that speaks TLS. The client would understand nothing else, so it is told without TLS. */
static void refuse_plain(struct px_connection *c)
{
    struct px_err *err = &c->worker->err;
    px_socket_shed_layer(&c->socket);
    px_err_set(err, PX_E_INVALID, "this port speaks TLS; use https://");
    px_http1_refuse(c, err);
}

static void end_of_input(struct px_connection *c, ssize_t n)
{
    if (n < 0 && errno == EPROTOTYPE) {
        refuse_plain(c);
        return;
    }
    if (n < 0 && errno == EPROTO) { /* the layer's alert says why: a reset would destroy it */
        px_connection_linger(c);
        return;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        px_connection_close(c);
        return;
    }
    if (c->state == PX_HTTP1_READING) /* a handshake may have something to send first */
        px_connection_watch(c, px_socket_wants_write(&c->socket) ? EPOLLOUT : EPOLLIN);
    if (px_connection_is_waiting(c, PX_WAIT_HANDSHAKE) &&
        px_socket_handshake(&c->socket) != PX_SOCKET_SHAKING)
        wait_idle(c);
    if (is_idle(c) && c->exchange) {
        struct px_http1_exchange *x = c->exchange;
        c->exchange = NULL;
        give_exchange_back(x);
    }
}

/* Reads once behind what is there; false when nothing came. */
static bool read_some(struct px_connection *c)
{
    struct px_worker *worker = c->worker;
    struct px_http1_exchange *x = c->exchange;
    size_t room;
    char *to = px_http1_exchange_input_room(&worker->exchanges, x, &room, &worker->err);
    if (!to && x->parser.streams)
        px_connection_close(c);
    else if (!to)
        px_http1_refuse(c, &worker->err);
    if (!to)
        return false;
    ssize_t n = px_socket_recv(&c->socket, to, room);
    if (PX_UNLIKELY(n <= 0)) {
        end_of_input(c, n);
        return false;
    }
    x->input.len += (size_t)n;
    x->read_ns = px_clock_monotonic_ns();
    return true;
}

/* Is more input wanted that the socket's layer has already taken from the kernel? */
static bool has_unread(const struct px_connection *c)
{
    return px_socket_has_pending(&c->socket) && c->protocol == &px_http1_protocol &&
           c->state == PX_HTTP1_READING && c->exchange && !c->exchange->base.is_handed_over &&
           !c->in_again.is_queued;
}

/*
 * Does a connection speak HTTP/2? Its handshake may have agreed on that; otherwise its first bytes say so. Who agreed and begins
 * with something else gets what that protocol answers: HTTP/2 a GOAWAY, HTTP/1 a 505.
 */
static enum px_http2_sniffed detect_http2(const struct px_connection *c, struct px_str bytes)
{
    enum px_socket_handshake agreed = px_socket_handshake(&c->socket);
    enum px_http2_sniffed sniffed = px_http2_sniff(bytes);
    if (agreed == PX_SOCKET_HTTP1)
        return PX_HTTP2_NO;
    return agreed == PX_SOCKET_HTTP2 && sniffed == PX_HTTP2_NO ? PX_HTTP2_YES : sniffed;
}

/* Decides on the protocol with the first bytes; true when it is HTTP/1. */
static bool sniff(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    struct px_str bytes = px_buf_view(&x->input);
    enum px_http2_sniffed sniffed = detect_http2(c, bytes);
    if (sniffed == PX_HTTP2_MAYBE) {
        if (!px_connection_is_waiting(c, PX_WAIT_HEAD))
            px_connection_wait(c, PX_WAIT_HEAD);
        return false;
    }
    c->is_sniffed = true;
    if (sniffed == PX_HTTP2_NO)
        return true;
    c->exchange = NULL;
    px_http2_open(c, bytes);
    give_exchange_back(x);
    return false;
}

static void read_request(struct px_connection *c)
{
    do {
        if (!take_exchange(c) || !read_some(c))
            return;
        if (PX_UNLIKELY(c->interest != EPOLLIN))
            px_connection_watch(c, EPOLLIN); /* a handshake is over */
        if (PX_LIKELY(c->is_sniffed) || sniff(c))
            parse_on(c);
    } while (has_unread(c));
}

static void read_stream(struct px_connection *c)
{
    if (may_read(c->exchange) && read_some(c))
        feed_stream(c);
}

static bool has_hung_up(uint32_t events)
{
    return (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
}

static void ready_streaming(struct px_connection *c, uint32_t events)
{
    if (has_hung_up(events) && !(events & EPOLLIN)) {
        px_connection_close(c);
        return;
    }
    if (events & EPOLLOUT)
        px_exchange_queue_up(&c->exchange->base);
    if (events & EPOLLIN)
        read_stream(c);
}

static void on_ready(struct px_connection *c, uint32_t events)
{
    switch (c->state) {
    case PX_HTTP1_READING:
        if (!c->in_again.is_queued) /* what it sent before comes first */
            read_request(c);        /* an error shows in the call that follows */
        break;
    case PX_HTTP1_WRITING:
        px_http1_write(c);
        break;
    case PX_HTTP1_WAITING:
        if (has_hung_up(events))
            px_connection_close(c);
        break;
    case PX_HTTP1_STREAMING:
        ready_streaming(c, events);
        break;
    }
}

/* From worker->again: in what has been read before, or in what the socket's layer holds. */
static void advance(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    if (c->state == PX_HTTP1_STREAMING)
        read_stream(c);
    else if (x->input_at < x->input.len)
        parse_on(c);
    else
        read_request(c);
}

/* The handler has deferred: its client is only watched for leaving. */
static void wait_for_answer(struct px_connection *c)
{
    px_exchange_enter_long(&c->exchange->base);
    c->state = PX_HTTP1_WAITING;
    px_connection_watch(c, EPOLLRDHUP);
    px_connection_wait(c, PX_WAIT_ANSWER);
}

static void settle_stream(struct px_connection *c)
{
    struct px_http1_exchange *x = c->exchange;
    if (x->base.http.finished && !x->has_begun) {
        if (x->base.http.status < 200) {
            px_connection_close(c);
            return;
        }
        decide_close(c, has_request(x));
    } else if (x->base.http.finished && !has_request(x)) {
        c->closes = c->lingers = true;
    }
    px_http1_write(c);
}

static void settle(struct px_net_exchange *exchange)
{
    struct px_http1_exchange *x = PX_CONTAINER_OF(exchange, struct px_http1_exchange, base);
    struct px_connection *c = x->connection;
    const struct px_http_exchange *http = &exchange->http;
    if (!c) {
        if (http->finished)
            give_exchange_back(x);
        return;
    }
    if (PX_LIKELY(http->finished && !http->streamed)) {
        px_http1_respond(c);
        return;
    }
    if (http->streamed) {
        settle_stream(c);
        return;
    }
    PX_ASSERT(http->deferred); /* the handler's promise: by the end of its wave */
    wait_for_answer(c);
}

static void destroy(struct px_net_exchange *exchange)
{
    struct px_http1_exchange *x = PX_CONTAINER_OF(exchange, struct px_http1_exchange, base);
    px_http1_exchange_destroy(&exchange->worker->exchanges, x);
}

static void refuse_late(struct px_connection *c)
{
    struct px_worker *worker = c->worker;
    bool has_head = px_http1_has_head(&c->exchange->parser);
    unsigned timeout_ms =
        has_head ? worker->config.body_timeout_ms : worker->config.header_timeout_ms;
    px_err_set(&worker->err, PX_E_TIMEOUT, "the %s of the request did not arrive within %u ms",
               has_head ? "body" : "head", timeout_ms);
    px_http1_refuse(c, &worker->err);
}

static void on_expired(struct px_connection *c)
{
    bool writes = c->state == PX_HTTP1_WRITING || c->state == PX_HTTP1_STREAMING;
    if (writes && px_connection_is_reading(c))
        px_connection_wait_for_reader(c);
    else if (c->state == PX_HTTP1_WAITING)
        px_connection_wait(c, PX_WAIT_ANSWER);
    else if (c->state == PX_HTTP1_READING && c->exchange &&
             px_socket_handshake(&c->socket) != PX_SOCKET_HTTP2)
        refuse_late(c);
    else if (c->state == PX_HTTP1_READING && !c->exchange)
        px_connection_end(c); /* idle, and all that was asked is answered */
    else
        px_connection_close(c); /* a client that neither sends nor takes, or half a preface */
}

void px_http1_open(struct px_connection *connection, const struct px_err *refusal)
{
    wait_idle(connection);
    if (refusal && take_exchange(connection))
        px_http1_refuse(connection, refusal);
}

const struct px_protocol px_http1_protocol = {
    .ready = on_ready,
    .advance = advance,
    .expired = on_expired,
    .release = release,
};

const struct px_exchange_kind px_http1_kind = {
    .settle = settle,
    .destroy = destroy,
};
