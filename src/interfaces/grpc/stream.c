/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: pieces of the body become messages, messages become slots, answers leave in order.
 *
 * Each message is copied once, into its slot, because a piece is gone when the transport's call returns while the rows
 * in it are scored in the wave. The copy grows as bytes arrive, not as the prefix promises.
 *
 * Invariants
 *   1. A stream is in its loop's lists only while its exchange is not finished.
 *   2. A stream that has ended is finished when no slot of its own is left: the core may still hold their calls.
 *   3. The body never holds part of a message: one that does not fit is taken back, and ends the stream.
 */
#include "interfaces/grpc/stream.h"

#include "interfaces/grpc/status.h"
#include "interfaces/inference/deadline.h"
#include "shared/alloc.h"
#include "shared/clock.h"

/* ---- slots ---- */

static void free_slot(struct px_grpc_slot *slot)
{
    px_arena_deinit(&slot->arena);
    px_buf_deinit(&slot->bytes);
    px_buf_deinit(&slot->plain);
    px_buf_deinit(&slot->reply);
    px_free(slot);
}

void px_grpc_slots_free(struct px_grpc_loop *loop)
{
    while (loop->free_slots) {
        struct px_grpc_slot *slot = loop->free_slots;
        loop->free_slots = slot->next;
        free_slot(slot);
    }
    loop->n_free_slots = 0;
}

static struct px_grpc_slot *take_slot(struct px_grpc_stream *stream)
{
    struct px_grpc_loop *loop = px_grpc_loop_of(&stream->call);
    const struct px_grpc_settings *settings = &stream->call.grpc->settings;
    struct px_grpc_slot *slot = loop->free_slots;
    if (slot) {
        loop->free_slots = slot->next;
        loop->n_free_slots--;
    } else {
        slot = px_alloc(1, sizeof *slot);
        if (!slot)
            return NULL;
        slot->arena = px_arena(settings->request_memory_max);
        slot->bytes = slot->plain = px_buf(settings->message_bytes_max);
        slot->reply = px_buf(stream->call.exchange->body->max);
    }
    slot->stream = stream;
    slot->charged = 0;
    slot->next = NULL;
    slot->state = NULL;
    slot->end = NULL;
    slot->parked = slot->done = slot->compressed = false;
    slot->direct = slot->skipped = false;
    return slot;
}

static void shrink(struct px_buf *buf)
{
    if (buf->cap > PX_GRPC_SLOT_BYTES_KEPT)
        px_buf_deinit(buf);
    else
        px_buf_clear(buf);
}

static void put_slot_back(struct px_grpc_slot *slot)
{
    struct px_grpc_loop *loop = px_grpc_loop_of(&slot->stream->call);
    if (slot->parked)
        loop->n_parked_slots--;
    loop->slot_bytes -= slot->charged;
    if (loop->n_free_slots == PX_GRPC_SLOTS_KEPT) {
        free_slot(slot);
        return;
    }
    if (slot->arena.used > PX_GRPC_SLOT_BYTES_KEPT)
        px_arena_deinit(&slot->arena);
    else
        px_arena_reset(&slot->arena);
    shrink(&slot->bytes);
    shrink(&slot->plain);
    shrink(&slot->reply);
    slot->next = loop->free_slots;
    loop->free_slots = slot;
    loop->n_free_slots++;
}

/* ---- answers ---- */

static void mark_dirty(struct px_grpc_stream *stream)
{
    struct px_grpc_loop *loop = px_grpc_loop_of(&stream->call);
    if (stream->is_dirty)
        return;
    stream->is_dirty = true;
    stream->next_dirty = loop->dirty;
    loop->dirty = stream;
}

void px_grpc_stream_end(struct px_grpc_stream *stream, const struct px_err *err)
{
    if (stream->is_ended)
        return;
    stream->is_ended = true;
    stream->end = *err;
    px_grpc_count_error(&stream->call, err->code);
    mark_dirty(stream);
}

static void cut_back(struct px_buf *buf, size_t len)
{
    buf->len = len;
    buf->failed = buf->no_memory = false;
    if (buf->ptr)
        buf->ptr[len] = '\0';
}

static enum px_code check_backlog(const struct px_buf *body, size_t before, struct px_err *err)
{
    if (before <= PX_GRPC_BACKLOG_BYTES)
        return px_buf_check(body, "what waits to be sent to the client", err);
    px_err_set(err, PX_E_TOO_LARGE, "more than %d bytes of answers wait for the client",
               (int)PX_GRPC_BACKLOG_BYTES);
    return px_err_hint(err, "read answers before sending more requests");
}

/* Forgets a message that did not fit behind `before` bytes of others, and ends the stream. */
static void take_back(struct px_grpc_stream *stream, struct px_buf *body, size_t before)
{
    struct px_err err;
    if (check_backlog(body, before, &err) == PX_OK)
        return;
    cut_back(body, before);
    stream->is_silent = true;
    px_grpc_stream_end(stream, &err);
}

void px_grpc_stream_send(struct px_grpc_stream *stream, struct px_str message)
{
    struct px_buf *body = stream->call.exchange->body;
    size_t before = body->len;
    if (stream->is_silent)
        return;
    size_t mark = px_grpc_begin_message(body);
    px_buf_str(body, message);
    px_grpc_end_message(body, mark);
    take_back(stream, body, before);
    mark_dirty(stream);
}

struct px_buf *px_grpc_slot_begin(struct px_grpc_slot *slot)
{
    struct px_grpc_stream *stream = slot->stream;
    struct px_buf *body = stream->call.exchange->body;
    slot->direct = stream->first == slot && !stream->is_silent;
    if (!slot->direct)
        return &slot->reply;
    slot->mark = px_grpc_begin_message(body);
    return body;
}

void px_grpc_slot_cancel(struct px_grpc_slot *slot)
{
    if (slot->direct)
        cut_back(slot->stream->call.exchange->body, slot->mark - PX_GRPC_PREFIX);
    else
        px_buf_clear(&slot->reply);
    slot->direct = false;
}

void px_grpc_slot_park(struct px_grpc_slot *slot)
{
    slot->parked = true;
    px_grpc_loop_of(&slot->stream->call)->n_parked_slots++;
}

static void send_answer(struct px_grpc_stream *stream, struct px_grpc_slot *slot)
{
    if (slot->end) {
        stream->is_silent = true;
        px_grpc_stream_end(stream, slot->end);
    } else if (!slot->direct && !slot->skipped) {
        px_grpc_stream_send(stream, px_buf_view(&slot->reply));
    }
}

/* Answers that are next leave their slots. */
static void flush(struct px_grpc_stream *stream)
{
    while (stream->first && stream->first->done) {
        struct px_grpc_slot *slot = stream->first;
        stream->first = slot->next;
        if (!stream->first)
            stream->last = NULL;
        send_answer(stream, slot);
        put_slot_back(slot);
    }
    mark_dirty(stream);
}

void px_grpc_slot_done(struct px_grpc_slot *slot)
{
    struct px_grpc_stream *stream = slot->stream;
    struct px_buf *body = stream->call.exchange->body;
    struct px_err err;
    slot->done = true;
    if (slot->direct) {
        px_grpc_end_message(body, slot->mark);
        take_back(stream, body, slot->mark - PX_GRPC_PREFIX);
    } else if (px_buf_check(&slot->reply, "the answer", &err) != PX_OK) {
        px_grpc_slot_fail(slot, &err);
        return;
    }
    flush(stream);
}

void px_grpc_slot_skip(struct px_grpc_slot *slot)
{
    slot->done = slot->skipped = true;
    flush(slot->stream);
}

void px_grpc_slot_fail(struct px_grpc_slot *slot, const struct px_err *err)
{
    slot->done = true;
    slot->end = px_arena_alloc(&slot->arena, 1, sizeof *slot->end);
    if (slot->end)
        *slot->end = *err;
    else
        slot->stream->is_silent = true; /* the answer is lost: nothing after it may be sent */
    if (!slot->end)
        px_grpc_stream_end(slot->stream, err);
    flush(slot->stream);
}

/* ---- messages ---- */

/* Answers that wait for the wave are worth less than room for what comes. */
static enum px_code charge(struct px_grpc_slot *slot, size_t n_bytes, struct px_err *err)
{
    const struct px_grpc_call *call = &slot->stream->call;
    struct px_grpc_loop *loop = px_grpc_loop_of(call);
    if (n_bytes > loop->slot_bytes_max - loop->slot_bytes && loop->n_parked_slots > 0)
        px_serving_wave(call->grpc->settings.serving, call->exchange->loop);
    if (n_bytes > loop->slot_bytes_max - loop->slot_bytes) {
        px_err_set(err, PX_E_OVERLOADED, "messages of streams hold more than %zu bytes",
                   loop->slot_bytes_max);
        return px_err_hint(err, "try again later, or send smaller messages");
    }
    loop->slot_bytes += n_bytes;
    slot->charged += n_bytes;
    return PX_OK;
}

static enum px_code decompress(struct px_grpc_slot *slot, struct px_err *err)
{
    slot->message = px_buf_view(&slot->bytes);
    if (!slot->compressed)
        return PX_OK;
    enum px_code code = px_grpc_decode(&slot->stream->call, slot->message, &slot->plain, err);
    slot->message = px_buf_view(&slot->plain);
    return code == PX_OK ? charge(slot, slot->plain.len, err) : code;
}

static void take_message(struct px_grpc_stream *stream)
{
    const struct px_grpc_stream_ops *ops = stream->call.method->stream;
    struct px_grpc_slot *slot = stream->filling;
    struct px_err err;
    stream->filling = NULL;
    stream->n_prefix = 0;
    stream->message_deadline_ns = 0;
    enum px_code code = decompress(slot, &err);
    if (code == PX_OK && stream->n_messages++ > 0 && ops->takes_one)
        code = px_err_set(&err, PX_E_INVALID, "expected one message, got a second one");
    if (code != PX_OK)
        px_grpc_stream_end(stream, &err);
    if (stream->is_ended) { /* also by an answer of the early wave */
        put_slot_back(slot);
        return;
    }
    if (stream->last)
        stream->last->next = slot;
    else
        stream->first = slot;
    stream->last = slot;
    ops->message(stream, slot);
    if (px_grpc_loop_of(&stream->call)->n_parked_slots >= PX_GRPC_SLOTS_PARKED)
        px_serving_wave(stream->call.grpc->settings.serving, stream->call.exchange->loop);
}

static void start_message(struct px_grpc_stream *stream)
{
    struct px_grpc_prefix prefix;
    struct px_err err;
    enum px_code code = px_grpc_read_prefix(
        stream->prefix, stream->call.grpc->settings.message_bytes_max, &prefix, &err);
    if (code == PX_OK) {
        stream->filling = take_slot(stream);
        if (!stream->filling)
            code = px_err_set(&err, PX_E_NO_MEMORY, "no memory for a message of the stream");
    }
    if (code != PX_OK) {
        px_grpc_stream_end(stream, &err);
        return;
    }
    stream->filling->compressed = prefix.compressed;
    stream->expected = prefix.len;
}

/* Moves at most `wanted` bytes of `piece` on. */
static struct px_str cut(struct px_str *piece, size_t wanted)
{
    struct px_str part = px_str_n(piece->ptr, wanted < piece->len ? wanted : piece->len);
    *piece = px_str_n(piece->ptr + part.len, piece->len - part.len);
    return part;
}

static void fill_message(struct px_grpc_stream *stream, struct px_str *piece)
{
    struct px_buf *bytes = &stream->filling->bytes;
    struct px_str part = cut(piece, stream->expected - bytes->len);
    struct px_err err;
    enum px_code code = charge(stream->filling, part.len, &err);
    if (code == PX_OK) {
        px_buf_str(bytes, part);
        code = px_buf_check(bytes, "a message of the stream", &err);
    }
    if (code != PX_OK)
        px_grpc_stream_end(stream, &err);
    else if (bytes->len == stream->expected)
        take_message(stream);
}

static void read_piece(struct px_grpc_stream *stream, struct px_str piece)
{
    while (piece.len > 0 && !stream->is_ended) {
        if (!stream->filling) {
            struct px_str part = cut(&piece, PX_GRPC_PREFIX - stream->n_prefix);
            memcpy(stream->prefix + stream->n_prefix, part.ptr, part.len);
            stream->n_prefix += part.len;
            if (stream->n_prefix < PX_GRPC_PREFIX)
                return;
            start_message(stream);
            if (stream->filling && stream->expected == 0)
                take_message(stream);
        } else {
            fill_message(stream, &piece);
        }
    }
}

static void close_half(struct px_grpc_stream *stream)
{
    const struct px_grpc_stream_ops *ops = stream->call.method->stream;
    struct px_err err;
    stream->half_closed = true;
    mark_dirty(stream);
    if (stream->n_prefix > 0)
        px_err_set(&err, PX_E_INVALID, "the last message is cut off");
    else if (ops->takes_one && stream->n_messages == 0)
        px_err_set(&err, PX_E_INVALID, "expected one message, got none");
    else
        return;
    px_grpc_stream_end(stream, &err);
}

/* The transport ends the stream when its client's deadline or that of a message has passed. */
static void watch_message(struct px_grpc_stream *stream)
{
    if (stream->n_prefix > 0 && stream->message_deadline_ns == 0)
        stream->message_deadline_ns =
            px_deadline_after(px_clock_monotonic_ns(), PX_GRPC_MESSAGE_SECONDS * PX_NS_PER_S);
    stream->call.exchange->deadline_ns =
        px_deadline_earlier(stream->call.deadline_ns, stream->message_deadline_ns);
}

void px_grpc_stream_piece(struct px_grpc_stream *stream, struct px_str piece, bool is_last)
{
    if (stream->is_ended)
        return;
    read_piece(stream, piece);
    watch_message(stream);
    if (is_last && !stream->is_ended)
        close_half(stream);
}

/* ---- beginning and end ---- */

static void link_stream(struct px_grpc_stream *stream)
{
    struct px_grpc_loop *loop = px_grpc_loop_of(&stream->call);
    stream->next = loop->streams;
    if (loop->streams)
        loop->streams->prev = stream;
    loop->streams = stream;
    stream->is_linked = true;
}

void px_grpc_stream_watch(struct px_grpc_stream *stream)
{
    struct px_grpc_loop *loop = px_grpc_loop_of(&stream->call);
    stream->is_watching = true;
    stream->next_watcher = loop->watchers;
    if (loop->watchers)
        loop->watchers->prev_watcher = stream;
    loop->watchers = stream;
}

static void unlink_watcher(struct px_grpc_stream *stream)
{
    if (!stream->is_watching)
        return;
    if (stream->next_watcher)
        stream->next_watcher->prev_watcher = stream->prev_watcher;
    if (stream->prev_watcher)
        stream->prev_watcher->next_watcher = stream->next_watcher;
    else
        px_grpc_loop_of(&stream->call)->watchers = stream->next_watcher;
}

static void unlink_stream(struct px_grpc_stream *stream)
{
    struct px_grpc_loop *loop = px_grpc_loop_of(&stream->call);
    if (!stream->is_linked)
        return;
    if (stream->next)
        stream->next->prev = stream->prev;
    if (stream->prev)
        stream->prev->next = stream->next;
    else
        loop->streams = stream->next;
}

static void end_of_server(struct px_grpc_stream *stream)
{
    struct px_err err;
    px_err_set(&err, PX_E_UNAVAILABLE, "the server is stopping");
    px_grpc_stream_end(stream, &err);
}

void px_grpc_stream_open(struct px_grpc *grpc, struct px_http_exchange *exchange,
                         const struct px_grpc_method *method)
{
    struct px_grpc_call call = {.grpc = grpc, .exchange = exchange, .method = method};
    struct px_err err;
    struct px_grpc_stream *stream = px_arena_zalloc(exchange->arena, 1, sizeof *stream);
    if (!stream) {
        px_err_set(&err, PX_E_NO_MEMORY, "no memory for the stream");
        px_grpc_fail(&call, &err);
        return;
    }
    stream->call = call;
    stream->call.stream = stream;
    exchange->state = stream;
    exchange->status = 200;
    exchange->content_type = px_grpc_content_type;
    if (px_grpc_read_head(&exchange->request, &stream->call.head, &err) != PX_OK) {
        px_grpc_stream_end(stream, &err);
        return;
    }
    if (stream->call.head.has_timeout) {
        stream->call.deadline_ns =
            px_deadline_after(exchange->request.received_ns, stream->call.head.timeout_ns);
        exchange->deadline_ns = stream->call.deadline_ns;
    }
    link_stream(stream);
    if (atomic_load(&grpc->is_closing)) /* the loop's others have been told already */
        end_of_server(stream);
}

/* After this the stream's memory is the transport's. */
static void finish(struct px_grpc_stream *stream)
{
    struct px_http_exchange *exchange = stream->call.exchange;
    if (stream->filling)
        put_slot_back(stream->filling);
    unlink_watcher(stream);
    unlink_stream(stream);
    exchange->trailers = stream->end.code == PX_OK
                             ? px_grpc_ok_fields
                             : px_grpc_status_fields(&stream->call, &stream->end);
    px_http_finish(exchange);
}

/* Sends what there is, or ends the stream when its time has come. */
static void settle(struct px_grpc_stream *stream)
{
    stream->is_dirty = false;
    if (stream->half_closed && !stream->call.method->stream->outlives_client)
        stream->is_ended = true;
    if (stream->is_ended && !stream->first) {
        finish(stream);
    } else if (stream->call.exchange->body->len > 0 && !stream->is_silent) {
        px_http_send(stream->call.exchange);
    }
}

static void clean(struct px_grpc_stream *stream)
{
    struct px_grpc_stream **at = &px_grpc_loop_of(&stream->call)->dirty;
    while (*at && *at != stream)
        at = &(*at)->next_dirty;
    if (*at)
        *at = stream->next_dirty;
    stream->is_dirty = false;
}

/* What the wave would still score for nobody. */
static void cancel_parked(struct px_grpc_stream *stream)
{
    const struct px_grpc_stream_ops *ops = stream->call.method->stream;
    for (struct px_grpc_slot *slot = stream->first; slot; slot = slot->next) {
        if (slot->parked && !slot->done)
            ops->cancel(slot);
    }
}

void px_grpc_stream_abandon(struct px_grpc_stream *stream, enum px_http_end why)
{
    struct px_err err;
    if (why == PX_HTTP_GONE)
        px_err_set(&err, PX_E_CANCELLED, "the client has gone");
    else if (stream->call.exchange->deadline_ns == stream->call.deadline_ns)
        px_err_set(&err, PX_E_DEADLINE, "the deadline of the stream passed");
    else
        px_err_set(&err, PX_E_TIMEOUT, "a message was not complete %d seconds after its first byte",
                   (int)PX_GRPC_MESSAGE_SECONDS);
    stream->is_silent = true;
    px_grpc_stream_end(stream, &err);
    cancel_parked(stream);
    if (stream->first)
        return; /* the wave has them, and ends the stream */
    clean(stream);
    finish(stream);
}

/* Readiness is asked for once; those that know it already, behind the new ones, are passed over unless it changed. */
static void tell_watchers(struct px_grpc *grpc, struct px_grpc_loop *loop)
{
    if (!loop->watchers)
        return;
    bool is_ready = px_serving_is_ready(grpc->settings.serving, NULL);
    bool has_changed = is_ready != loop->was_ready;
    loop->was_ready = is_ready;
    for (struct px_grpc_stream *stream = loop->watchers;
         stream && (has_changed || !stream->has_looked); stream = stream->next_watcher) {
        stream->has_looked = true;
        if (!stream->is_ended)
            stream->call.method->stream->look(stream, is_ready);
    }
}

void px_grpc_streams_settle(struct px_grpc *grpc, unsigned number)
{
    struct px_grpc_loop *loop = &grpc->per_loop[number];
    tell_watchers(grpc, loop);
    while (loop->dirty) {
        struct px_grpc_stream *stream = loop->dirty;
        loop->dirty = stream->next_dirty;
        settle(stream);
    }
}

void px_grpc_streams_close(struct px_grpc *grpc, unsigned number)
{
    for (struct px_grpc_stream *stream = grpc->per_loop[number].streams; stream;
         stream = stream->next)
        end_of_server(stream);
}
