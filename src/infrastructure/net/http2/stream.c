/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * A stream is driven from two sides: by the session, in callbacks of the library, and by the handler, through settle.
 * Callbacks only collect and hand over; everything that answers goes through the round. So the library is never
 * re-entered, and a batch is what one wake-up brought.
 *
 * Faults of a head are noted and answered when the head has ended: the header compression of the connection has to see
 * every field anyway. After a refusal the rest of the request is dropped, and the stream is reset without an error once the
 * answer has left (RFC 9113, 8.1).
 *
 * Memory: a body that is collected is charged to the loop's limit of input as it comes, whatever length it declares; above the
 * limit the request is answered 503. It has to come with the least rate of px_exchange_check_rate. A body that is taken in pieces is not collected: its bytes are given back to the client's window at once, or,
 * while more than BACKLOG_MAX of the response waits for the client, when that has gone.
 */
#include "infrastructure/net/http2/session.h"

#include "shared/alloc.h"

enum {
    BACKLOG_MAX = 256 << 10,
    CHARGE_STEP = 4096,
    RESERVE_MAX = 64 << 10,   /* room that is made, and charged, for what a length only declares */
    FIELD_OVERHEAD = 32,      /* RFC 9113, 6.5.2 */
    COMPACT_BYTES = 64 << 10, /* sent bytes at the front of a streamed body that are moved out */
    ARENA_KEPT_BYTES = 1 << 20, /* more is given back with the response */
};

static struct px_http2_stream *of_base(struct px_net_exchange *exchange)
{
    return PX_CONTAINER_OF(exchange, struct px_http2_stream, base);
}

static void free_stream(struct px_http2_stream *stream)
{
    px_buf_deinit(&stream->input);
    px_buf_deinit(&stream->body);
    px_arena_deinit(&stream->arena);
    px_free(stream);
}

static struct px_http2_stream *create_stream(struct px_http2_pool *pool)
{
    struct px_http2_stream *stream = px_alloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->pool = pool;
    stream->base.worker = pool->worker;
    stream->base.kind = &px_http2_kind;
    stream->input = px_buf(pool->input_max);
    stream->body = px_buf(PX_HTTP2_RESPONSE_MAX);
    stream->arena = px_arena(pool->worker->config.arena_bytes_max);
    return stream;
}

struct px_http2_stream *px_http2_stream_take(struct px_http2_pool *pool)
{
    struct px_http2_stream *stream = pool->unused;
    if (pool->n_left_behind >= PX_HTTP2_LEFT_BEHIND_MAX)
        return NULL;
    if (!stream) {
        stream = create_stream(pool);
    } else {
        pool->unused = stream->next;
        pool->n_unused--;
        pool->kept_bytes -= stream->kept_bytes;
    }
    if (!stream)
        return NULL;
    stream->request = (struct px_http_request){.version = PX_HTTP_2, .headers = stream->headers};
    stream->content_length = UINT64_MAX;
    return stream;
}

/* Forgets the request, keeps the memory. */
static void reset(struct px_http2_stream *stream)
{
    px_buf_clear(&stream->input);
    px_buf_clear(&stream->body);
    px_arena_reset(&stream->arena);
    stream->input_charged = stream->header_bytes = stream->unconsumed = 0;
    stream->fault = PX_OK;
    stream->authority = (struct px_str){0};
    stream->expects_continue = stream->has_head = stream->has_request = stream->is_refused = false;
    stream->payload = (struct px_str){0};
    stream->may_leave = stream->sent = 0;
    stream->is_submitted = stream->is_paused = false;
    stream->base.is_handed_over = stream->base.is_resumed = false;
}

static void give(struct px_http2_stream *stream)
{
    struct px_http2_pool *pool = stream->pool;
    pool->n_left_behind -= stream->is_left_behind;
    stream->is_left_behind = false;
    px_exchange_leave_long(&stream->base);
    px_deadline_disarm(&stream->deadline);
    px_exchange_forget_decoded(&stream->base);
    pool->worker->exchanges.input_bytes -= stream->input_charged;
    size_t bytes = 2 * (stream->input.len + stream->body.len + stream->arena.used);
    stream->kept_bytes = bytes > stream->kept_bytes ? bytes : stream->kept_bytes;
    reset(stream);
    if (pool->n_unused == PX_HTTP2_KEPT_MAX ||
        pool->kept_bytes + stream->kept_bytes > PX_HTTP2_KEPT_BYTES_MAX) {
        free_stream(stream);
        return;
    }
    stream->next = pool->unused;
    pool->unused = stream;
    pool->n_unused++;
    pool->kept_bytes += stream->kept_bytes;
}

void px_http2_streams_free(struct px_http2_pool *pool)
{
    for (struct px_http2_stream *stream = pool->unused, *next; stream; stream = next) {
        next = stream->next;
        free_stream(stream);
    }
    pool->unused = NULL;
}

void px_http2_stream_detach(struct px_http2_stream *stream)
{
    struct px_http2 *session = stream->session;
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        session->streams = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    session->n_streams--;
    if (stream->unconsumed) /* the stream's window is gone, the connection's is not */
        (void)nghttp2_session_consume_connection(session->nghttp2, stream->unconsumed);
    stream->session = NULL;
    px_deadline_disarm(&stream->deadline);
    if (stream->base.is_handed_over && !stream->base.http.finished) {
        px_exchange_enter_long(&stream->base);
        stream->is_left_behind = true;
        stream->pool->n_left_behind++;
        px_exchange_abandon(&stream->base, PX_HTTP_GONE);
    } else if (!stream->base.in_round.is_queued) {
        give(stream);
    } else {
        px_exchange_leave_long(&stream->base);
    }
}

static void refuse(struct px_http2_stream *stream, const struct px_err *err)
{
    px_deadline_disarm(&stream->deadline);
    px_buf_clear(&stream->body);
    stream->is_refused = true;
    stream->request.received_ns = stream->session->read_ns;
    px_exchange_begin(&stream->base, &stream->request, &stream->arena, &stream->body);
    px_exchange_refuse(&stream->base, err);
    px_exchange_queue_up(&stream->base);
}

static void note_fault(struct px_http2_stream *stream, enum px_code fault)
{
    if (stream->fault == PX_OK)
        stream->fault = fault;
}

static void add_pseudo(struct px_http2_stream *stream, struct px_str name, struct px_str value)
{
    struct px_http_request *request = &stream->request;
    if (px_str_is(name, ":method")) {
        request->method = px_http1_method(value);
    } else if (px_str_is(name, ":path")) {
        if (!px_http1_read_path(request, value))
            note_fault(stream, PX_E_INVALID);
    } else if (px_str_is(name, ":scheme")) {
        if (!px_str_eq_nocase(value, px_str("http")) && !px_str_eq_nocase(value, px_str("https")))
            note_fault(stream, PX_E_INVALID);
    }
}

static void add_field(struct px_http2_stream *stream, struct px_str name, struct px_str value)
{
    struct px_http_request *request = &stream->request;
    if (request->n_headers == PX_HTTP2_HEADERS_MAX) {
        note_fault(stream, PX_E_HEADER_TOO_LARGE);
        return;
    }
    stream->headers[request->n_headers++] = (struct px_http_header){name, value};
    if (name.len == 14 && px_str_is(name, "content-length"))
        (void)px_str_to_u64(value, &stream->content_length); /* the library has judged it */
    if (name.len == 6 && px_str_is(name, "expect")) {
        stream->expects_continue = true;
        if (!px_str_eq_nocase(value, px_str("100-continue")))
            note_fault(stream, PX_E_EXPECTATION_FAILED);
    }
}

/* Two hosts in one request would be two requests to whoever routes by them (RFC 9113, 8.3.1). */
static void add_host(struct px_http2_stream *stream, struct px_str name, struct px_str value)
{
    if (!stream->authority.ptr)
        add_field(stream, name, value);
    else if (!px_str_eq_nocase(stream->authority, value))
        note_fault(stream, PX_E_INVALID);
}

void px_http2_stream_add_header(struct px_http2_stream *stream, struct px_str name,
                                struct px_str value)
{
    stream->header_bytes += name.len + value.len + FIELD_OVERHEAD;
    if (stream->header_bytes > stream->pool->header_max) {
        note_fault(stream, PX_E_HEADER_TOO_LARGE);
        return;
    }
    char *copy = px_arena_alloc(&stream->arena, name.len + value.len, 1);
    if (!copy) {
        note_fault(stream, PX_E_NO_MEMORY);
        return;
    }
    memcpy(copy, name.ptr, name.len);
    memcpy(copy + name.len, value.ptr, value.len);
    name = px_str_n(copy, name.len);
    value = px_str_n(copy + name.len, value.len);
    if (name.len == 0 || name.ptr[0] != ':') {
        if (px_str_is(name, "host"))
            add_host(stream, name, value);
        else
            add_field(stream, name, value);
    } else if (px_str_is(name, ":authority")) {
        if (!px_http1_is_host(value))
            note_fault(stream, PX_E_INVALID);
        stream->authority = value;
        add_field(stream, px_str("host"), value);
    } else {
        add_pseudo(stream, name, value);
    }
}

static void refuse_head(struct px_http2_stream *stream)
{
    struct px_err *err = &stream->pool->worker->err;
    switch ((int)stream->fault) {
    case PX_E_HEADER_TOO_LARGE:
        px_err_set(err, PX_E_HEADER_TOO_LARGE,
                   "headers: expected at most %zu bytes (32 of them for each field) and %d fields",
                   stream->pool->header_max, (int)PX_HTTP2_HEADERS_MAX);
        break;
    case PX_E_NO_MEMORY:
        px_err_set(err, PX_E_NO_MEMORY, "no memory for the headers of the request");
        break;
    case PX_E_EXPECTATION_FAILED:
        px_err_set(err, PX_E_EXPECTATION_FAILED,
                   "headers: the only supported Expect is '100-continue'");
        break;
    default:
        px_err_set(err, PX_E_INVALID,
                   "headers: expected a :path of visible ASCII that begins with '/', the :scheme "
                   "http or https, and a host name with a port as :authority, the same as Host");
        break;
    }
    refuse(stream, err);
}

static void refuse_body_size(struct px_http2_stream *stream)
{
    struct px_err *err = &stream->pool->worker->err;
    px_err_set(err, PX_E_TOO_LARGE, "body is larger than %zu bytes", stream->pool->input_max);
    px_err_hint(err, "send fewer rows per request, or raise server.body_bytes_max");
    refuse(stream, err);
}

static void hand_over(struct px_http2_stream *stream, bool streamed)
{
    px_deadline_disarm(&stream->deadline);
    stream->request.received_ns = stream->session->read_ns;
    if (!streamed)
        stream->request.body = px_buf_view(&stream->input);
    stream->request.client_name = px_socket_client_name(&stream->session->connection->socket);
    stream->request.peer = stream->session->connection->peer;
    px_exchange_begin(&stream->base, &stream->request, &stream->arena, &stream->body);
    px_exchange_hand_over(&stream->base, streamed);
}

static void wait_for_body(struct px_http2_stream *stream)
{
    struct px_http2_pool *pool = stream->pool;
    px_deadline_arm(&stream->deadline, &pool->body_waits, pool->worker->loop.now_ns);
}

static void begin_body(struct px_http2_stream *stream)
{
    stream->body_began_ns = stream->pool->worker->loop.now_ns;
    wait_for_body(stream);
}

/* The client waits with its body until it is told to go on, unless it has a response already. */
static void send_continue(const struct px_http2_stream *stream)
{
    static uint8_t name[] = ":status", value[] = "100";
    const nghttp2_nv status = {name, value, sizeof name - 1, sizeof value - 1,
                               NGHTTP2_NV_FLAG_NONE};
    (void)nghttp2_submit_headers(stream->session->nghttp2, NGHTTP2_FLAG_NONE, stream->id, NULL,
                                 &status, 1, NULL); /* else it goes on after a while by itself */
}

void px_http2_stream_end_head(struct px_http2_stream *stream, bool has_body)
{
    const struct px_http_handler *handler = &stream->pool->worker->handler;
    stream->has_head = true;
    if (stream->request.path.len == 0)
        note_fault(stream, PX_E_INVALID);
    if (stream->fault != PX_OK)
        refuse_head(stream);
    else if (handler->streams && handler->streams(handler->context, &stream->request))
        hand_over(stream, true);
    else if (stream->content_length != UINT64_MAX &&
             stream->content_length > stream->pool->input_max)
        refuse_body_size(stream);
    else
        begin_body(stream);
    if (has_body && stream->expects_continue && !stream->is_refused)
        send_continue(stream);
}

/* Charges a body of `len` bytes to the loop; false when too much is being read. */
static bool charge(struct px_http2_stream *stream, size_t len)
{
    struct px_http1_pool *loop = &stream->pool->worker->exchanges;
    if (len <= stream->input_charged)
        return true;
    size_t more = len - stream->input_charged;
    more = more > CHARGE_STEP ? more : CHARGE_STEP;
    if (loop->input_bytes + more > loop->input_bytes_max)
        return false;
    loop->input_bytes += more;
    stream->input_charged += more;
    return true;
}

/* Room for `len` bytes, and for some of what the declared length promises behind them. */
static bool reserve(struct px_http2_stream *stream, size_t len)
{
    size_t whole = stream->input.len + len;
    if (stream->content_length != UINT64_MAX && stream->content_length > whole) {
        size_t promised = (size_t)stream->content_length - whole;
        len += promised < RESERVE_MAX ? promised : RESERVE_MAX;
    }
    return charge(stream, stream->input.len + len) && px_buf_reserve(&stream->input, len) != NULL;
}

static void collect(struct px_http2_stream *stream, struct px_str bytes)
{
    struct px_err *err = &stream->pool->worker->err;
    if (bytes.len > stream->pool->input_max - stream->input.len) {
        refuse_body_size(stream);
        return;
    }
    if (!reserve(stream, bytes.len)) {
        px_err_set(err, PX_E_OVERLOADED, "requests that are being read hold more than %zu bytes",
                   stream->pool->worker->exchanges.input_bytes_max);
        px_err_hint(err, "try again later");
        refuse(stream, err);
        return;
    }
    px_buf_str(&stream->input, bytes);
    if (px_exchange_check_rate(stream->pool->worker, stream->body_began_ns, stream->input.len,
                               err) == PX_OK)
        wait_for_body(stream);
    else
        refuse(stream, err);
}

static size_t backlog(const struct px_http2_stream *stream)
{
    return stream->body.len - stream->sent;
}

size_t px_http2_stream_add_body(struct px_http2_stream *stream, struct px_str bytes)
{
    if (stream->is_refused)
        return bytes.len;
    if (!stream->base.is_handed_over) {
        collect(stream, bytes);
        return bytes.len;
    }
    px_exchange_piece(&stream->base, bytes, false);
    stream->unconsumed += bytes.len;
    if (backlog(stream) > BACKLOG_MAX)
        return 0;
    size_t n = stream->unconsumed;
    stream->unconsumed = 0;
    return n;
}

void px_http2_stream_end_request(struct px_http2_stream *stream)
{
    if (stream->has_request)
        return;
    stream->has_request = true;
    px_deadline_disarm(&stream->deadline);
    if (stream->is_refused)
        return;
    if (!stream->base.is_handed_over)
        hand_over(stream, false);
    else
        px_exchange_piece(&stream->base, (struct px_str){0}, true);
}

struct px_str px_http2_stream_ready(const struct px_http2_stream *stream, bool *is_last)
{
    const struct px_http_exchange *http = &stream->base.http;
    struct px_str all = stream->payload;
    if (http->streamed)
        all = px_str_n(stream->body.ptr, stream->may_leave);
    /* What a handler does while the library sends shows when it is settled. */
    *is_last = http->finished && (!http->streamed || stream->may_leave == stream->body.len);
    return px_str_n(all.ptr + stream->sent, all.len - stream->sent);
}

static void wait_for_reader(struct px_http2_stream *stream)
{
    struct px_http2_pool *pool = stream->pool;
    px_deadline_arm(&stream->deadline, &pool->write_waits, pool->worker->loop.now_ns);
}

size_t px_http2_stream_sent(struct px_http2_stream *stream, size_t n)
{
    bool is_last;
    stream->sent += n;
    if (px_http2_stream_ready(stream, &is_last).len)
        wait_for_reader(stream);
    else
        px_deadline_disarm(&stream->deadline);
    if (!stream->base.http.streamed)
        return 0;
    if (stream->sent == stream->body.len) {
        px_buf_clear(&stream->body);
        stream->may_leave = stream->sent = 0;
    } else if (stream->sent > COMPACT_BYTES && stream->sent > stream->body.len / 2) {
        px_buf_consume(&stream->body, stream->sent);
        stream->may_leave -= stream->sent;
        stream->sent = 0;
    }
    if (backlog(stream) > BACKLOG_MAX)
        return 0;
    size_t consumed = stream->unconsumed;
    stream->unconsumed = 0;
    return consumed;
}

static void refuse_late(struct px_http2_stream *stream)
{
    struct px_err *err = &stream->pool->worker->err;
    px_err_set(err, PX_E_TIMEOUT, "the body of the request did not arrive within %u ms",
               stream->pool->worker->config.body_timeout_ms);
    refuse(stream, err);
}

static void reset_stream(struct px_http2_stream *stream, uint32_t error_code)
{
    /* Fails only without memory, and then the session ends when it is flushed. */
    (void)nghttp2_submit_rst_stream(stream->session->nghttp2, NGHTTP2_FLAG_NONE, stream->id,
                                    error_code);
    px_http2_mark_dirty(stream->session);
}

void px_http2_stream_expired(struct px_deadline *deadline)
{
    struct px_http2_stream *stream = PX_CONTAINER_OF(deadline, struct px_http2_stream, deadline);
    if (!stream->is_submitted)
        refuse_late(stream);
    else if (stream->session->rest.len)
        wait_for_reader(stream); /* the socket is full, and has a timeout of its own */
    else
        reset_stream(stream, NGHTTP2_CANCEL);
}

/* The response is complete: the arena is not needed while it is sent, but for what it still points to. */
static void forget_request(struct px_http2_stream *stream)
{
    if (stream->arena.used <= ARENA_KEPT_BYTES || stream->base.http.trailers)
        return;
    px_arena_deinit(&stream->arena);
    px_exchange_forget_decoded(&stream->base);
}

static void respond(struct px_http2_stream *stream)
{
    struct px_http_exchange *http = &stream->base.http;
    if (stream->body.failed) {
        struct px_err *err = &stream->pool->worker->err;
        px_err_set(err, PX_E_NO_MEMORY, "no memory for the response");
        refuse(stream, err);
        if (stream->body.failed)
            px_buf_clear(&stream->body); /* then it is the status alone */
    }
    http->streamed = false; /* all of it is there */
    stream->payload = http->static_body.len ? http->static_body : px_buf_view(&stream->body);
    px_http2_submit(stream);
    if (stream->payload.len)
        wait_for_reader(stream);
    forget_request(stream);
}

static void settle_stream(struct px_http2_stream *stream)
{
    const struct px_http_exchange *http = &stream->base.http;
    if (http->finished && !stream->is_submitted) {
        respond(stream);
        return;
    }
    if (!stream->base.is_resumed && !http->finished)
        return;
    stream->base.is_resumed = false;
    stream->may_leave = stream->body.len;
    if (stream->body.failed) {
        reset_stream(stream, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    if (!stream->is_submitted) {
        px_http2_submit(stream);
    } else if (stream->is_paused) {
        stream->is_paused = false;
        (void)nghttp2_session_resume_data(stream->session->nghttp2, stream->id);
    }
    px_http2_mark_dirty(stream->session);
    if (stream->sent < stream->may_leave && !stream->deadline.list)
        wait_for_reader(stream);
}

static void settle(struct px_net_exchange *exchange)
{
    struct px_http2_stream *stream = of_base(exchange);
    const struct px_http_exchange *http = &exchange->http;
    if (!stream->session) {
        if (http->finished)
            give(stream);
    } else if (http->finished && http->status < 200) {
        reset_stream(stream, NGHTTP2_CANCEL); /* it was abandoned, and has nothing to say */
    } else if (http->streamed) {
        settle_stream(stream);
    } else if (http->finished) {
        if (!stream->is_submitted)
            respond(stream);
    } else {
        PX_ASSERT(http->deferred); /* the handler's promise: by the end of its wave */
        px_exchange_enter_long(exchange);
    }
}

static void destroy(struct px_net_exchange *exchange)
{
    struct px_http2_stream *stream = of_base(exchange);
    px_exchange_forget_decoded(exchange);
    exchange->worker->exchanges.input_bytes -= stream->input_charged;
    free_stream(stream);
}

const struct px_exchange_kind px_http2_kind = {
    .settle = settle,
    .destroy = destroy,
};
