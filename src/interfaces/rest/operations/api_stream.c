/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/stats/stream: what /api/v1/stats answers, once a second, as server-sent events.
 *
 * A tick (application/telemetry/ticker.h) writes the numbers once for all streams of a loop. A stream whose last event has
 * not left yet gets none, so that a slow reader costs the memory of two events at most; the transport closes one
 * that reads nothing at all. Where the numbers find no room, a comment says that the server lives.
 *
 * A transport that cannot stream (HTTP/1.0), and HEAD, get one event; `retry` makes a client that wants more come again.
 */
#include "interfaces/rest/operations/api_stream.h"

#include "application/telemetry/ticker.h"
#include "interfaces/rest/operations/api.h"
#include "interfaces/rest/reply.h"
#include "shared/alloc.h"
#include "shared/clock.h"

enum { EVENT_BYTES_MAX = 64 << 20 };

static const char content_type[] = "text/event-stream";
static const char headers[] = "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n";

/* In its exchange's arena, on the list of its loop. */
struct stream {
    struct px_stats_streams *streams;
    struct px_http_exchange *exchange;
    struct stream *next, *previous;
};

struct streams_loop {
    struct stream *first;
    struct px_buf event; /* of this tick */
} __attribute__((aligned(PX_CACHE_LINE)));

struct px_stats_streams {
    struct px_rest *rest;
    struct px_ticker *ticker;
    struct streams_loop *loops;
    unsigned n_loops;
    _Atomic unsigned n; /* of all loops */
    _Atomic bool is_closing;
};

static void put_event(struct px_buf *out, const struct px_rest *rest)
{
    struct px_json_writer w = px_json_writer(out);
    px_buf_text(out, "event: stats\ndata: ");
    px_put_stats(&w, rest);
    px_buf_text(out, "\n\n");
}

/* To an empty body: an event that does not fit is a comment, which clients pass over, and counts as an error. */
static void put_or_beat(struct stream *stream, struct px_str event)
{
    struct px_http_exchange *exchange = stream->exchange;
    struct px_serving *serving = stream->streams->rest->settings.serving;
    px_buf_str(exchange->body, event);
    if (event.len && !exchange->body->failed)
        return;
    px_metric_add(&px_serving_loop_metrics(serving, exchange->loop)->errors[PX_E_NO_MEMORY], 1);
    px_buf_clear(exchange->body);
    px_buf_text(exchange->body, ": heartbeat\n\n");
}

/* ---- the list of a loop ---- */

static void enlist(struct stream *stream)
{
    unsigned loop = stream->exchange->loop;
    struct stream **first = &stream->streams->loops[loop].first;
    stream->next = *first;
    if (*first)
        (*first)->previous = stream;
    *first = stream;
    px_ticker_listen(stream->streams->ticker, loop);
}

static void leave(struct stream *stream)
{
    struct px_stats_streams *streams = stream->streams;
    unsigned loop = stream->exchange->loop;
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        streams->loops[loop].first = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    stream->exchange->state = NULL;
    px_ticker_leave(streams->ticker, loop);
    atomic_fetch_sub(&streams->n, 1);
}

/* ---- ticks ---- */

static void tick(void *context, unsigned index)
{
    struct px_stats_streams *streams = context;
    struct streams_loop *loop = &streams->loops[index];
    bool ends = atomic_load(&streams->is_closing);
    if (!loop->first)
        return;
    px_buf_clear(&loop->event);
    put_event(&loop->event, streams->rest);
    struct px_str event = loop->event.failed ? (struct px_str){0} : px_buf_view(&loop->event);
    for (struct stream *stream = loop->first, *next; stream; stream = next) {
        struct px_http_exchange *exchange = stream->exchange;
        next = stream->next;
        if (exchange->body->len == 0) {
            put_or_beat(stream, event);
            px_http_send(exchange);
        }
        if (ends) {
            leave(stream);
            px_http_finish(exchange);
        }
    }
}

void px_stats_streams_close(struct px_stats_streams *streams)
{
    atomic_store(&streams->is_closing, true);
    px_ticker_wake(streams->ticker);
}

/* ---- a stream's beginning and end ---- */

bool px_stats_streams_take(const struct px_http_request *request)
{
    return request->method == PX_HTTP_GET &&
           px_str_eq(request->path, (struct px_str)PX_STR("/api/v1/stats/stream"));
}

/* One of the few places; given back by leave(). */
static enum px_code take_place(struct px_stats_streams *streams, struct px_err *err)
{
    if (atomic_fetch_add(&streams->n, 1) < PX_STATS_STREAMS_MAX)
        return PX_OK;
    atomic_fetch_sub(&streams->n, 1);
    px_err_set(err, PX_E_OVERLOADED, "expected at most %d streams of events at a time",
               (int)PX_STATS_STREAMS_MAX);
    return px_err_hint(err, "ask for /api/v1/stats once a second instead");
}

static enum px_code open_stream(struct px_rest_request *request, struct px_err *err)
{
    struct px_http_exchange *exchange = request->exchange;
    struct px_stats_streams *streams = request->rest->streams;
    struct stream *stream = px_arena_zalloc(exchange->arena, 1, sizeof *stream);
    if (!stream)
        return px_arena_check(exchange->arena, "the stream", err);
    enum px_code code = take_place(streams, err);
    if (code != PX_OK)
        return code;
    stream->streams = streams;
    stream->exchange = exchange;
    exchange->state = stream;
    enlist(stream);
    return PX_OK;
}

static enum px_code check_may_stream(const struct px_rest *rest, struct px_err *err)
{
    bool ends = rest->streams && atomic_load(&rest->streams->is_closing);
    if (!ends && !px_serving_is_draining(rest->settings.serving))
        return PX_OK;
    return px_err_set(err, PX_E_UNAVAILABLE, "the server is draining and will stop");
}

void px_handle_api_stats_stream(struct px_rest_request *request)
{
    struct px_http_exchange *exchange = request->exchange;
    struct px_err err;
    enum px_code code = check_may_stream(request->rest, &err);
    if (code == PX_OK && exchange->streamed)
        code = open_stream(request, &err);
    if (code != PX_OK) {
        px_rest_fail(request, &err);
        return;
    }
    px_reply_add_header(exchange, headers);
    px_buf_text(exchange->body, "retry: 2000\n");
    put_event(exchange->body, request->rest);
    if (!exchange->streamed) {
        px_reply_finish(request, 200, content_type);
        return;
    }
    if (exchange->body->failed) {
        px_buf_clear(exchange->body);
        put_or_beat(exchange->state, (struct px_str){0});
    }
    exchange->status = 200;
    exchange->content_type = content_type;
    px_http_send(exchange);
}

void px_stats_stream_abandon(struct px_http_exchange *exchange)
{
    if (exchange->state)
        leave(exchange->state);
    px_http_finish(exchange);
}

/* ---- life ---- */

enum px_code px_stats_streams_create(struct px_rest *rest, const struct px_loops *loops,
                                     struct px_stats_streams **ret, struct px_err *err)
{
    struct px_stats_streams *streams = px_alloc(1, sizeof *streams);
    if (streams)
        streams->loops = px_alloc_aligned(PX_CACHE_LINE, loops->n_loops, sizeof *streams->loops);
    if (!streams || !streams->loops) {
        px_free(streams);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for streams of events");
    }
    streams->rest = rest;
    streams->n_loops = loops->n_loops;
    for (unsigned i = 0; i < loops->n_loops; i++)
        streams->loops[i].event = px_buf(EVENT_BYTES_MAX);
    const struct px_ticker_settings settings = {
        .loops = loops, .period_ns = PX_NS_PER_S, .tick = tick, .context = streams};
    enum px_code code = px_ticker_create(&settings, &streams->ticker, err);
    if (code == PX_OK)
        *ret = streams;
    else
        px_stats_streams_destroy(streams);
    return code;
}

void px_stats_streams_destroy(struct px_stats_streams *streams)
{
    if (!streams)
        return;
    px_ticker_destroy(streams->ticker);
    for (unsigned i = 0; i < streams->n_loops; i++)
        px_buf_deinit(&streams->loops[i].event);
    px_free(streams->loops);
    px_free(streams);
}
