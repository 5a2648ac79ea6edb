/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * Reading: one recv per wake-up into the loop's buffer, fed to the library, whose callbacks hand requests over. A loop that
 * has ROUND_MAX exchanges in its round reads no more before those are settled. Writing: at the end of the round each dirty
 * session's frames are collected in the loop's output and sent together; what the socket does not take is copied to the
 * session, which is not read from until it has left. So a client that does not read cannot make the session
 * grow.
 *
 * Invariants
 * 1. A connection waits for exactly one thing: the socket to take output (WRITE); the end of headers (HEAD, counted from
 *    their beginning); with open streams, any sign of life (PING, then PONG: the client is asked after the idle timeout);
 *    without, a request (IDLE, or LAST while draining), counted from when the last stream ended, whatever else comes.
 * 2. Sessions are closed only from the loop or while flushing, never inside of a callback of the library.
 *
 * Draining: a GOAWAY that names no stream tells the client to leave; who still sends a request within a moment is served. Then
 * the real one names the last stream that is served, and the connection ends with it.
 */
#include "infrastructure/net/http2/session.h"

#include "infrastructure/net/http2/http2.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <errno.h>

enum {
    ROUND_MAX = 256, /* more would fall out of the caches before they are answered */
    WINDOW_STREAM = 1 << 20,
    WINDOW_CONNECTION = 16 << 20,
    REST_MAX = PX_HTTP2_OUTPUT * 2 + (1 << 20),
    LIBRARY_RESETS_AT_ONCE = 2000, /* a second line: the first is in callbacks.c */
    LIBRARY_RESETS_PER_SECOND = 100,
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum { PREFACE_LEN = sizeof preface - 1 };

enum px_http2_sniffed px_http2_sniff(struct px_str bytes)
{
    size_t n = bytes.len < PREFACE_LEN ? bytes.len : PREFACE_LEN;
    if (memcmp(bytes.ptr, preface, n) != 0)
        return PX_HTTP2_NO;
    return n == PREFACE_LEN ? PX_HTTP2_YES : PX_HTTP2_MAYBE;
}

void px_http2_mark_dirty(struct px_http2 *session)
{
    if (session->is_dirty)
        return;
    session->is_dirty = true;
    session->next_dirty = session->pool->dirty;
    session->pool->dirty = session;
}

void px_http2_terminate(struct px_http2 *session, uint32_t error_code)
{
    /* Fails only without memory; a session that cannot say so ends all the same when it is flushed. */
    if (!session->is_ending)
        (void)nghttp2_session_terminate_session(session->nghttp2, error_code);
    session->is_ending = true;
    px_http2_mark_dirty(session);
}

static void wait(struct px_http2 *session, enum px_wait what)
{
    session->wait = what;
    px_connection_wait(session->connection, what);
}

static bool is_waiting(const struct px_http2 *session, enum px_wait what)
{
    return px_connection_is_waiting(session->connection, what);
}

/* Chooses the wait of a connection whose output is not blocked. */
static void choose_wait(struct px_http2 *session, bool has_read)
{
    bool draining = px_worker_phase(session->pool->worker) >= PX_WORKER_DRAINING;
    bool is_idle = is_waiting(session, PX_WAIT_IDLE) || is_waiting(session, PX_WAIT_LAST);
    if (session->drain == PX_HTTP2_NOTICED && draining) {
        if (!is_waiting(session, PX_WAIT_LAST))
            wait(session, PX_WAIT_LAST);
    } else if (session->is_heading) {
        if (!is_waiting(session, PX_WAIT_HEAD))
            wait(session, PX_WAIT_HEAD);
    } else if (session->n_streams) {
        if (has_read || !(is_waiting(session, PX_WAIT_PING) || is_waiting(session, PX_WAIT_PONG)))
            wait(session, PX_WAIT_PING);
    } else if (!is_idle) {
        wait(session, draining ? PX_WAIT_LAST : PX_WAIT_IDLE);
    }
}

static void close_session(struct px_http2 *session)
{
    px_connection_close(session->connection);
}

/* Collects what the library has to send; false when it has failed. */
static bool collect_output(struct px_http2 *session)
{
    struct px_buf *output = &session->pool->output;
    px_buf_clear(output);
    while (output->len < PX_HTTP2_OUTPUT) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(session->nghttp2, &bytes);
        if (n < 0)
            return false;
        if (n == 0)
            break;
        px_buf_append(output, bytes, (size_t)n);
    }
    return !output->failed;
}

/* As much as the socket takes; -1 when the connection has failed. */
static ssize_t send_bytes(const struct px_http2 *session, const char *bytes, size_t len)
{
    size_t sent = 0;
    while (sent < len) {
        ssize_t n = px_socket_send(&session->connection->socket, bytes + sent, len - sent);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0)
            return -1;
        sent += (size_t)n;
        if (!session->connection->socket.layer)
            break; /* a short send of a plain socket means that it is full */
    }
    return (ssize_t)sent;
}

enum flushed { FLUSH_DONE, FLUSH_BLOCKED, FLUSH_FAILED };

/* What earlier did not fit. */
static enum flushed send_rest(struct px_http2 *session)
{
    struct px_buf *rest = &session->rest;
    if (rest->len == 0)
        return FLUSH_DONE;
    ssize_t n = send_bytes(session, rest->ptr + session->rest_sent, rest->len - session->rest_sent);
    if (n < 0)
        return FLUSH_FAILED;
    session->rest_sent += (size_t)n;
    if (session->rest_sent < rest->len) {
        if (n > 0)
            session->wait = PX_WAIT_IDLE; /* progress: the wait begins anew */
        return FLUSH_BLOCKED;
    }
    px_buf_deinit(rest);
    session->rest_sent = 0;
    return FLUSH_DONE;
}

static enum flushed send_output(struct px_http2 *session)
{
    const struct px_buf *output = &session->pool->output;
    ssize_t n = send_bytes(session, output->ptr, output->len);
    if (n < 0)
        return FLUSH_FAILED;
    if ((size_t)n == output->len)
        return FLUSH_DONE;
    px_buf_append(&session->rest, output->ptr + n, output->len - (size_t)n);
    session->rest_sent = 0;
    return session->rest.failed ? FLUSH_FAILED : FLUSH_BLOCKED;
}

static enum flushed send_all(struct px_http2 *session)
{
    enum flushed flushed = send_rest(session);
    while (flushed == FLUSH_DONE) {
        if (!collect_output(session))
            return FLUSH_FAILED;
        if (session->pool->output.len == 0)
            return FLUSH_DONE;
        flushed = send_output(session);
    }
    return flushed;
}

static void notice(struct px_http2 *session)
{
    if (session->drain != PX_HTTP2_SERVING)
        return;
    session->drain = PX_HTTP2_NOTICED;
    (void)nghttp2_submit_shutdown_notice(session->nghttp2);
    px_http2_mark_dirty(session);
}

static void flush(struct px_http2 *session)
{
    struct px_connection *c = session->connection;
    bool was_blocked = session->rest.len > 0;
    if (px_worker_phase(session->pool->worker) != PX_WORKER_RUNNING)
        notice(session);
    enum flushed flushed = send_all(session);
    if (flushed == FLUSH_FAILED) {
        close_session(session);
    } else if (flushed == FLUSH_BLOCKED) {
        px_connection_watch(c, EPOLLOUT);
        if (!was_blocked || session->wait != PX_WAIT_WRITE) {
            session->wait = PX_WAIT_WRITE;
            px_connection_wait_for_reader(c);
        }
    } else if (session->is_broken || (!nghttp2_session_want_read(session->nghttp2) &&
                                      !nghttp2_session_want_write(session->nghttp2))) {
        px_connection_linger(c);
    } else {
        px_connection_watch(c, EPOLLIN);
        choose_wait(session, was_blocked);
        if (px_socket_has_pending(&c->socket)) /* epoll does not know what was not read at once */
            px_connection_queue_up(c);
    }
}

void px_http2_flush_all(struct px_worker *worker)
{
    struct px_http2_pool *pool = worker->http2;
    struct px_http2 *session;
    while (pool && (session = pool->dirty)) {
        pool->dirty = session->next_dirty;
        session->is_dirty = false;
        flush(session);
    }
}

/* What the client is told when the library has given up; most of its errors are floods. */
static uint32_t goaway_of(ssize_t error)
{
    if (error == NGHTTP2_ERR_NOMEM || error == NGHTTP2_ERR_CALLBACK_FAILURE)
        return NGHTTP2_INTERNAL_ERROR;
    return error == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? NGHTTP2_PROTOCOL_ERROR
                                                 : NGHTTP2_ENHANCE_YOUR_CALM;
}

/* Feeds the library. */
static void feed(struct px_http2 *session, struct px_str bytes)
{
    session->read_ns = px_clock_monotonic_ns();
    const uint8_t *data;
    memcpy(&data, &bytes.ptr, sizeof data);
    ssize_t n = nghttp2_session_mem_recv(session->nghttp2, data, bytes.len);
    px_http2_mark_dirty(session);
    if (n < 0) {
        session->is_broken = true;
        px_http2_terminate(session, goaway_of(n));
    }
    choose_wait(session, true);
}

static void on_ready(struct px_connection *c, uint32_t events)
{
    struct px_http2 *session = c->http2;
    struct px_worker *worker = c->worker;
    (void)events;
    if (session->rest.len) {
        px_http2_mark_dirty(session);
        return;
    }
    do {
        if (worker->round.n >= ROUND_MAX) { /* it is ready again when those are settled */
            if (px_socket_has_pending(&c->socket))
                px_connection_queue_up(c); /* epoll does not know of these */
            return;
        }
        ssize_t n = px_socket_recv(&c->socket, session->pool->input, PX_HTTP2_INPUT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            px_connection_close(c);
            return;
        }
        if (n < 0) {
            if (px_socket_wants_write(&c->socket))
                px_connection_watch(c, EPOLLOUT);
            return;
        }
        feed(session, px_str_n(session->pool->input, (size_t)n));
    } while (px_socket_has_pending(&c->socket));
}

static void advance(struct px_connection *c)
{
    on_ready(c, EPOLLIN);
}

/* The last stream that is served is named; nothing new is taken. */
static void leave(struct px_http2 *session)
{
    session->drain = PX_HTTP2_LEAVING;
    (void)nghttp2_submit_goaway(session->nghttp2, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(session->nghttp2),
                                NGHTTP2_NO_ERROR, NULL, 0);
    px_http2_mark_dirty(session);
}

static void on_expired(struct px_connection *c)
{
    struct px_http2 *session = c->http2;
    switch ((int)session->wait) {
    case PX_WAIT_WRITE:
        if (px_connection_is_reading(c))
            px_connection_wait_for_reader(c);
        else
            px_connection_close(c);
        break;
    case PX_WAIT_PING:
        (void)nghttp2_submit_ping(session->nghttp2, NGHTTP2_FLAG_NONE, NULL);
        wait(session, PX_WAIT_PONG);
        px_http2_mark_dirty(session);
        break;
    case PX_WAIT_PONG:
        px_connection_close(c);
        break;
    case PX_WAIT_HEAD:
        px_http2_terminate(session, NGHTTP2_ENHANCE_YOUR_CALM);
        break;
    default: /* idle: who has just sent a request may repeat it elsewhere */
        leave(session);
        break;
    }
}

static void release(struct px_connection *c)
{
    struct px_http2 *session = c->http2;
    struct px_http2_pool *pool = session->pool;
    while (session->streams)
        px_http2_stream_detach(session->streams);
    if (session->is_dirty) {
        struct px_http2 **at = &pool->dirty;
        while (*at != session)
            at = &(*at)->next_dirty;
        *at = session->next_dirty;
    }
    if (session->previous)
        session->previous->next = session->next;
    else
        pool->sessions = session->next;
    if (session->next)
        session->next->previous = session->previous;
    nghttp2_session_del(session->nghttp2);
    px_buf_deinit(&session->rest);
    px_free(session);
    c->http2 = NULL;
}

static const struct px_protocol http2_protocol = {
    .ready = on_ready,
    .advance = advance,
    .expired = on_expired,
    .release = release,
};

static bool configure(struct px_http2 *session)
{
    const struct px_net_config *config = &session->pool->worker->config;
    unsigned streams_max = config->streams_max ? config->streams_max : PX_NET_STREAMS_DEFAULT;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_STREAM},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)config->header_bytes_max},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    return nghttp2_submit_settings(session->nghttp2, NGHTTP2_FLAG_NONE, settings,
                                   PX_ARRAY_LEN(settings)) == 0 &&
           nghttp2_session_set_local_window_size(session->nghttp2, NGHTTP2_FLAG_NONE, 0,
                                                 WINDOW_CONNECTION) == 0;
}

static struct px_http2 *create_session(struct px_connection *c)
{
    struct px_worker *worker = c->worker;
    if (!worker->http2)
        worker->http2 = px_http2_pool_create(worker);
    if (!worker->http2)
        return NULL;
    struct px_http2_pool *pool = worker->http2;
    struct px_http2 *session = px_alloc(1, sizeof *session);
    if (!session)
        return NULL;
    *session = (struct px_http2){.connection = c,
                                 .pool = pool,
                                 .rest = px_buf(REST_MAX),
                                 .forgiven_ns = worker->loop.now_ns};
    if (nghttp2_session_server_new3(&session->nghttp2, pool->callbacks, session, pool->option,
                                    &pool->calls) != 0) {
        px_free(session);
        return NULL;
    }
    session->next = pool->sessions;
    if (pool->sessions)
        pool->sessions->previous = session;
    pool->sessions = session;
    return session;
}

void px_http2_open(struct px_connection *connection, struct px_str bytes)
{
    struct px_http2 *session = create_session(connection);
    if (!session) {
        px_connection_close(connection);
        return;
    }
    connection->http2 = session;
    connection->protocol = &http2_protocol;
    if (!configure(session)) {
        px_connection_close(connection);
        return;
    }
    feed(session, bytes);
}

void px_http2_change(struct px_worker *worker)
{
    const struct px_net_config *config = &worker->config;
    struct px_http2_pool *pool = worker->http2;
    if (!pool)
        return;
    px_deadline_list_change(&pool->body_waits, config->body_timeout_ms * PX_NS_PER_MS);
    px_deadline_list_change(&pool->write_waits, config->write_timeout_ms * PX_NS_PER_MS);
}

void px_http2_begin_draining(struct px_worker *worker)
{
    struct px_http2_pool *pool = worker->http2;
    for (struct px_http2 *session = pool ? pool->sessions : NULL; session;
         session = session->next) {
        notice(session);
        if (session->rest.len == 0)
            wait(session, PX_WAIT_LAST);
    }
}

static bool set_options(struct px_http2_pool *pool)
{
    if (nghttp2_option_new(&pool->option) != 0)
        return false;
    nghttp2_option_set_no_auto_window_update(pool->option, 1);
    nghttp2_option_set_no_closed_streams(pool->option, 1);
    nghttp2_option_set_stream_reset_rate_limit(pool->option, LIBRARY_RESETS_AT_ONCE,
                                               LIBRARY_RESETS_PER_SECOND);
    return true;
}

struct px_http2_pool *px_http2_pool_create(struct px_worker *worker)
{
    struct px_http2_pool *pool = px_alloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->worker = worker;
    pool->calls = px_http2_memory_calls(&pool->memory);
    pool->input_max = worker->config.body_bytes_max;
    pool->header_max = worker->config.header_bytes_max;
    pool->output = px_buf(PX_HTTP2_OUTPUT + (1 << 20));
    pool->input = px_alloc(PX_HTTP2_INPUT, 1);
    px_deadline_list_init(&pool->body_waits, worker->config.body_timeout_ms * PX_NS_PER_MS,
                          px_http2_stream_expired);
    px_deadline_list_init(&pool->write_waits, worker->config.write_timeout_ms * PX_NS_PER_MS,
                          px_http2_stream_expired);
    if (!pool->input || !px_http2_install_callbacks(pool) || !set_options(pool)) {
        px_http2_pool_destroy(pool);
        return NULL;
    }
    px_loop_add_list(&worker->loop, &pool->body_waits);
    px_loop_add_list(&worker->loop, &pool->write_waits);
    return pool;
}

void px_http2_pool_destroy(struct px_http2_pool *pool)
{
    if (!pool)
        return;
    px_http2_streams_free(pool);
    nghttp2_session_callbacks_del(pool->callbacks);
    nghttp2_option_del(pool->option);
    px_http2_memory_deinit(&pool->memory);
    px_buf_deinit(&pool->output);
    px_free(pool->input);
    px_free(pool);
}
