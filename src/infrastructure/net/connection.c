/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * The common case is one recv and one send per request: everything arrives at once, the response fits
 * the socket's buffer, and the epoll interest never changes. All else is a detour from that path.
 *
 * Invariants
 * 1. Between wake-ups every connection is in exactly one deadline list, or queued in worker->again.
 * 2. A connection owns an exchange from the first byte of a request until everything that was read
 *    has been answered; it is IDLE exactly when it owns none.
 * 3. Interest is EPOLLOUT while WRITING, else EPOLLIN: a client that does not take its response is
 *    not read from.
 * 4. After a response to something that was no request the connection closes, because its bytes
 *    have no known boundaries any more.
 *
 * A body has two limits: no pause longer than body_timeout_ms, which the deadline watches, and from the
 * end of the head on no more time than body_timeout_ms and a second per BODY_RATE_MIN bytes, else a client that
 * drips a byte per pause would hold its buffer, a share of the loop's, for days. The second is tested when
 * bytes arrive: when none do, the first ends the wait.
 *
 * Closing: when the client may still be sending, close() would make the kernel answer with a reset,
 * and a reset may destroy the response before the client reads it. So the write side is shut down and
 * a bounded amount is read and dropped first (RFC 9112, 9.6).
 */
#include "infrastructure/net/connection.h"

#include "shared/alloc.h"
#include "shared/clock.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SMALL_PAYLOAD = 4096,       /* copied behind the head: one send is cheaper than a vector */
    LINGER_BYTES_MAX = 1 << 20, /* read and dropped before a close */
    LINGER_READ = 1 << 16,
    BODY_RATE_MIN = 1024, /* bytes per second that a body must bring after body_timeout_ms */
};

static void wait_for(struct px_connection *c, enum px_wait wait)
{
    px_deadline_arm(&c->deadline, &c->worker->waits[wait], c->worker->loop.now_ns);
}

static bool is_waiting_for(const struct px_connection *c, enum px_wait wait)
{
    return c->deadline.list == &c->worker->waits[wait];
}

/* Waits for a request; a draining worker does so only for a moment. */
static void wait_idle(struct px_connection *c)
{
    bool draining = px_worker_phase(c->worker) >= PX_WORKER_DRAINING;
    wait_for(c, draining ? PX_WAIT_LAST : PX_WAIT_IDLE);
}

static bool is_idle(const struct px_connection *c)
{
    return is_waiting_for(c, PX_WAIT_IDLE) || is_waiting_for(c, PX_WAIT_LAST);
}

static void count_connections(struct px_worker *worker, int change)
{
    /* One writer; the control thread only reads a number. */
    size_t n = atomic_load_explicit(&worker->n_connections, memory_order_relaxed);
    atomic_store_explicit(&worker->n_connections, n + (size_t)change, memory_order_relaxed);
}

static void give_exchange_back(struct px_connection *c)
{
    if (c->exchange)
        px_exchange_give(&c->worker->exchanges, c->exchange);
    c->exchange = NULL;
}

/* Reads and drops; MSG_TRUNC on TCP does so without a copy. As recv returns. */
static ssize_t drop_bytes(const struct px_connection *c)
{
    return recv(c->source.fd, NULL, LINGER_READ, MSG_TRUNC | MSG_DONTWAIT);
}

void px_connection_close(struct px_connection *connection)
{
    struct px_worker *worker = connection->worker;
    if (connection->state == PX_CONNECTION_LINGERING)
        (void)drop_bytes(connection); /* unread bytes would turn the close into a reset */
    px_deadline_disarm(&connection->deadline);
    give_exchange_back(connection);
    px_loop_remove(&worker->loop, &connection->source);
    close(connection->source.fd);
    worker->n_lingering -= connection->state == PX_CONNECTION_LINGERING;
    count_connections(worker, -1);
    connection->next = worker->unused;
    worker->unused = connection;
}

/* Sends the end of the stream and drops what the client still sends, for a while. */
static void linger(struct px_connection *c)
{
    give_exchange_back(c);
    if (shutdown(c->source.fd, SHUT_WR) != 0) {
        px_connection_close(c);
        return;
    }
    if (c->state == PX_CONNECTION_WRITING)
        px_loop_change(&c->worker->loop, &c->source, EPOLLIN);
    c->state = PX_CONNECTION_LINGERING;
    c->drain_left = LINGER_BYTES_MAX;
    c->worker->n_lingering++;
    wait_for(c, PX_WAIT_LINGER);
}

static void drop_input(struct px_connection *c)
{
    ssize_t n = drop_bytes(c);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || (size_t)n >= c->drain_left)
        px_connection_close(c);
    else
        c->drain_left -= (size_t)n;
}

/* The response is with the kernel: on to the next request, or to the end. */
static void finish_response(struct px_connection *c)
{
    struct px_net_exchange *x = c->exchange;
    if (c->closes) {
        if (c->lingers)
            linger(c);
        else
            px_connection_close(c);
        return;
    }
    if (c->state == PX_CONNECTION_WRITING) {
        px_loop_change(&c->worker->loop, &c->source, EPOLLIN);
        c->state = PX_CONNECTION_READING;
    }
    px_exchange_next_request(x);
    if (x->input_at < x->input.len) {
        px_deadline_disarm(&c->deadline);
        c->is_queued = true;
        px_connection_queue_push(&c->worker->again, c);
    } else {
        give_exchange_back(c);
        wait_idle(c);
    }
}

/* iovec has no const form; sendmsg only reads. */
static struct iovec make_part(const char *bytes, size_t len)
{
    struct iovec part = {.iov_len = len};
    memcpy(&part.iov_base, &bytes, sizeof bytes);
    return part;
}

static ssize_t send_rest(int fd, const struct px_net_exchange *x)
{
    if (x->sent >= x->head.len) {
        size_t at = x->sent - x->head.len;
        return send(fd, x->payload.ptr + at, x->payload.len - at, MSG_NOSIGNAL);
    }
    size_t head_left = x->head.len - x->sent;
    if (x->payload.len == 0)
        return send(fd, x->head.ptr + x->sent, head_left, MSG_NOSIGNAL);
    struct iovec parts[2] = {
        make_part(x->head.ptr + x->sent, head_left),
        make_part(x->payload.ptr, x->payload.len),
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* Bytes that the kernel holds and the client has not acknowledged. */
static size_t unacknowledged(const struct px_connection *c)
{
    int n = 0;
    return ioctl(c->source.fd, SIOCOUTQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

static void wait_for_reader(struct px_connection *c)
{
    c->unacknowledged = unacknowledged(c);
    wait_for(c, PX_WAIT_WRITE);
}

/* Has the client taken something since wait_for_reader, though not enough for EPOLLOUT? */
static bool is_reading(const struct px_connection *c)
{
    return c->state == PX_CONNECTION_WRITING && unacknowledged(c) < c->unacknowledged;
}

/* Sends as much as the kernel takes now; the rest waits for EPOLLOUT. */
static void write_response(struct px_connection *c)
{
    struct px_net_exchange *x = c->exchange;
    ssize_t n = send_rest(c->source.fd, x);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        px_connection_close(c);
        return;
    }
    x->sent += n > 0 ? (size_t)n : 0;
    if (x->sent == x->head.len + x->payload.len) {
        finish_response(c);
        return;
    }
    if (c->state != PX_CONNECTION_WRITING) {
        px_loop_change(&c->worker->loop, &c->source, EPOLLOUT);
        c->state = PX_CONNECTION_WRITING;
        wait_for_reader(c);
    } else if (n > 0) {
        wait_for_reader(c);
    }
}

static enum px_response_connection choose_connection_header(const struct px_connection *c)
{
    if (c->closes)
        return PX_RESPONSE_CLOSE;
    return c->exchange->parser.http10 ? PX_RESPONSE_KEEP_ALIVE : PX_RESPONSE_DEFAULT;
}

/* Starts an exchange for the parser's request, complete or not. */
static void begin_exchange(struct px_connection *c)
{
    struct px_net_exchange *x = c->exchange;
    x->http = (struct px_http_exchange){
        .request = x->parser.request,
        .arena = &x->arena,
        .loop = c->worker->index,
        .body = &x->body,
    };
    x->http.request.received_ns = x->read_ns;
}

/* Lets the handler fill the response for `err`; afterwards the connection closes. */
static void fill_refusal(struct px_connection *c, const struct px_err *err)
{
    const struct px_http_handler *handler = &c->worker->handler;
    px_buf_clear(&c->exchange->body);
    begin_exchange(c);
    handler->refuse(handler->context, &c->exchange->http, err);
    if (!c->exchange->http.finished)
        px_http_finish(&c->exchange->http);
    c->closes = c->lingers = true;
}

static void refuse(struct px_connection *c, const struct px_err *err)
{
    px_deadline_disarm(&c->deadline);
    fill_refusal(c, err);
    px_connection_respond(c);
}

void px_connection_respond(struct px_connection *connection)
{
    struct px_net_exchange *x = connection->exchange;
    struct px_worker *worker = connection->worker;
    PX_ASSERT(x->http.finished); /* the handler's promise: by the end of its wave */
    if (x->body.failed) {
        px_err_set(&worker->err, PX_E_NO_MEMORY, "no memory for the response");
        fill_refusal(connection, &worker->err);
    }
    struct px_str body = x->http.static_body.len ? x->http.static_body : px_buf_view(&x->body);
    px_response_write_head(&x->head, &x->http, body.len, &worker->date,
                           choose_connection_header(connection));
    bool has_body = x->http.request.method != PX_HTTP_HEAD && px_response_has_body(x->http.status);
    if (has_body && body.len <= SMALL_PAYLOAD)
        px_buf_str(&x->head, body);
    else if (has_body)
        x->payload = body;
    if (x->head.failed) {
        px_connection_close(connection);
        return;
    }
    px_exchange_forget_request(x);
    write_response(connection);
}

static void hand_over(struct px_connection *c)
{
    struct px_worker *worker = c->worker;
    px_deadline_disarm(&c->deadline);
    begin_exchange(c);
    struct px_net_exchange *x = c->exchange;
    bool is_last = x->input_at + x->parser.consumed == x->input.len; /* that has been read */
    bool stopping = px_worker_phase(worker) != PX_WORKER_RUNNING;
    c->closes = !x->parser.keep_alive || (stopping && is_last);
    c->lingers = c->closes && (x->parser.keep_alive || !is_last);
    px_connection_queue_push(&worker->round, c);
    worker->wave_due = true;
    worker->handler.handle(worker->handler.context, &c->exchange->http);
}

static void send_continue(struct px_connection *c)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    ssize_t n = send(c->source.fd, line, sizeof line - 1, MSG_NOSIGNAL);
    c->exchange->sent_continue = true;
    /* Nothing sent is allowed, a client does not wait for ever; a part of it would break the stream. */
    if (n >= 0 && (size_t)n != sizeof line - 1)
        px_connection_close(c);
}

/* Has the body come so slowly that its sender is no longer waited for? */
static bool is_body_too_slow(const struct px_connection *c)
{
    const struct px_net_exchange *x = c->exchange;
    uint64_t received = x->input.len - x->input_at - x->parser.body_at;
    uint64_t allowed_ns =
        c->worker->config.body_timeout_ms * PX_NS_PER_MS + received * PX_NS_PER_S / BODY_RATE_MIN;
    return c->worker->loop.now_ns - x->body_began_ns > allowed_ns;
}

static void refuse_slow_body(struct px_connection *c)
{
    struct px_err *err = &c->worker->err;
    px_err_set(err, PX_E_TIMEOUT,
               "the body of the request came more slowly than %d bytes per second", BODY_RATE_MIN);
    refuse(c, err);
}

static void wait_for_more(struct px_connection *c)
{
    struct px_net_exchange *x = c->exchange;
    if (px_http1_has_head(&x->parser)) {
        if (x->body_began_ns == 0)
            x->body_began_ns = c->worker->loop.now_ns;
        if (is_body_too_slow(c)) {
            refuse_slow_body(c);
            return;
        }
        wait_for(c, PX_WAIT_BODY);
        if (x->parser.expect_continue && !x->sent_continue)
            send_continue(c);
    } else if (!is_waiting_for(c, PX_WAIT_HEAD)) {
        wait_for(c, PX_WAIT_HEAD); /* counts from the first byte, whatever follows */
    }
}

void px_connection_advance(struct px_connection *connection)
{
    struct px_net_exchange *x = connection->exchange;
    size_t len = x->input.len - x->input_at;
    char *bytes = x->input.ptr + x->input_at;
    switch (px_http1_parse(&x->parser, bytes, &len, &connection->worker->err)) {
    case PX_HTTP1_DONE:
        hand_over(connection);
        break;
    case PX_HTTP1_MORE:
        x->input.len = x->input_at + len;
        wait_for_more(connection);
        break;
    case PX_HTTP1_BAD:
        refuse(connection, &connection->worker->err);
        break;
    }
}

/* Without memory for an exchange there is no handler to ask. */
static void refuse_without_memory(struct px_connection *c)
{
    static const char line[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n";
    (void)!send(c->source.fd, line, sizeof line - 1, MSG_NOSIGNAL);
    linger(c);
}

static bool take_exchange(struct px_connection *c)
{
    if (!c->exchange)
        c->exchange = px_exchange_take(&c->worker->exchanges);
    if (!c->exchange)
        refuse_without_memory(c);
    return c->exchange != NULL;
}

static void end_of_input(struct px_connection *c, ssize_t n)
{
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        px_connection_close(c);
    else if (is_idle(c))
        give_exchange_back(c);
}

void px_connection_read(struct px_connection *connection)
{
    struct px_worker *worker = connection->worker;
    if (!take_exchange(connection))
        return;
    struct px_net_exchange *x = connection->exchange;
    size_t room;
    char *to = px_exchange_input_room(&worker->exchanges, x, &room, &worker->err);
    if (!to) {
        refuse(connection, &worker->err);
        return;
    }
    ssize_t n = recv(connection->source.fd, to, room, 0);
    if (n <= 0) {
        end_of_input(connection, n);
        return;
    }
    x->input.len += (size_t)n;
    x->read_ns = px_clock_monotonic_ns();
    px_connection_advance(connection);
}

static void on_ready(struct px_loop_source *source, uint32_t events)
{
    struct px_connection *c = PX_CONTAINER_OF(source, struct px_connection, source);
    (void)events; /* an error shows in the call that follows */
    switch (c->state) {
    case PX_CONNECTION_READING:
        if (!c->is_queued) /* what it sent before comes first */
            px_connection_read(c);
        break;
    case PX_CONNECTION_WRITING:
        write_response(c);
        break;
    case PX_CONNECTION_LINGERING:
        drop_input(c);
        break;
    }
}

static struct px_connection *allocate(struct px_worker *worker)
{
    struct px_connection *c = worker->unused;
    if (!c)
        return px_alloc(1, sizeof *c);
    worker->unused = c->next;
    memset(c, 0, sizeof *c);
    return c;
}

void px_connection_open(struct px_worker *worker, int fd, const struct px_err *refusal)
{
    struct px_connection *c = allocate(worker);
    if (!c) {
        close(fd);
        return;
    }
    c->worker = worker;
    c->state = PX_CONNECTION_READING;
    c->source = (struct px_loop_source){fd, on_ready};
    if (px_loop_add(&worker->loop, &c->source, EPOLLIN, NULL) != PX_OK) {
        close(fd);
        c->next = worker->unused;
        worker->unused = c;
        return;
    }
    count_connections(worker, 1);
    wait_idle(c);
    if (refusal && take_exchange(c))
        refuse(c, refusal);
}

void px_connection_expired(struct px_deadline *deadline)
{
    struct px_connection *c = PX_CONTAINER_OF(deadline, struct px_connection, deadline);
    struct px_worker *worker = c->worker;
    bool reading = c->state == PX_CONNECTION_READING && c->exchange != NULL;
    if (is_reading(c)) {
        wait_for_reader(c);
        return;
    }
    if (!reading) {
        px_connection_close(c); /* idle, writing or lingering */
        return;
    }
    bool has_head = px_http1_has_head(&c->exchange->parser);
    unsigned timeout_ms =
        has_head ? worker->config.body_timeout_ms : worker->config.header_timeout_ms;
    px_err_set(&worker->err, PX_E_TIMEOUT, "the %s of the request did not arrive within %u ms",
               has_head ? "body" : "head", timeout_ms);
    refuse(c, &worker->err);
}

void px_connection_queue_push(struct px_connection_queue *queue, struct px_connection *connection)
{
    connection->next = NULL;
    if (queue->last)
        queue->last->next = connection;
    else
        queue->first = connection;
    queue->last = connection;
}

struct px_connection *px_connection_queue_pop(struct px_connection_queue *queue)
{
    struct px_connection *first = queue->first;
    if (!first)
        return NULL;
    queue->first = first->next;
    if (!queue->first)
        queue->last = NULL;
    return first;
}
