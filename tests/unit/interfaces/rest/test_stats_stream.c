/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of numbers: readers that are slow, gone, too many, or there when the server stops. */
#include "harness.h"
#include "manual_loops.h"
#include "rest_fixture.h"

#include "interfaces/rest/operations/api_stream.h"

enum { LOOP = 1 };

static const char path[] = "/api/v1/stats/stream";
static struct rest_fixture f;
static struct manual_loops loops;

/* An exchange as a transport that streams would bring it. */
struct client {
    struct px_http_exchange exchange; /* first */
    struct px_arena arena;
    struct px_buf body;
    unsigned n_resumed;
};

static struct client a, b;

static void resume(struct px_http_exchange *exchange)
{
    ((struct client *)exchange)->n_resumed++;
}

static void set_up(void)
{
    rest_set_up(&f);
    manual_loops_init(&loops, 2);
    CHECK_OK(px_rest_use_loops(f.rest, &loops.port, NULL));
}

static void tear_down(void)
{
    px_rest_forget_loops(f.rest);
    rest_tear_down(&f);
}

static void open_stream(struct client *c)
{
    *c = (struct client){.arena = px_arena(1 << 20), .body = px_buf(1 << 20)};
    c->exchange = (struct px_http_exchange){
        .arena = &c->arena, .body = &c->body, .loop = LOOP, .streamed = true, .resume = resume};
    c->exchange.request.method = PX_HTTP_GET;
    c->exchange.request.path = px_str(path);
    CHECK(f.handler.streams(f.handler.context, &c->exchange.request));
    f.handler.handle(f.handler.context, &c->exchange);
    if (!c->exchange.finished)
        f.handler.piece(f.handler.context, &c->exchange, (struct px_str){0}, true);
}

static void free_client(struct client *c)
{
    px_arena_deinit(&c->arena);
    px_buf_deinit(&c->body);
}

static void abandon(struct client *c)
{
    if (!c->exchange.finished) {
        c->exchange.abandoned = true;
        f.handler.abandon(f.handler.context, &c->exchange, PX_HTTP_GONE);
    }
    CHECK(c->exchange.finished);
    free_client(c);
}

static void tick(void)
{
    manual_loops_wait(&loops, LOOP);
    manual_loops_run(&loops, LOOP);
}

PX_TEST(a_reader_that_is_slow_misses_events_and_the_others_do_not)
{
    set_up();
    open_stream(&a);
    open_stream(&b);
    CHECK_INT(a.exchange.status, 200);
    CHECK_STR(px_str(a.exchange.content_type), "text/event-stream");
    CHECK_CONTAINS(a.exchange.extra_headers, "Cache-Control: no-cache\r\n");
    CHECK(px_str_starts(px_buf_view(&a.body), "retry: 2000\nevent: stats\ndata: {\"version\":"));
    CHECK(px_str_ends(px_buf_view(&a.body), "]}\n\n"));
    CHECK_INT(a.n_resumed, 1);
    size_t len = b.body.len;
    px_buf_clear(&a.body); /* it has left */
    tick();
    CHECK(px_str_starts(px_buf_view(&a.body), "event: stats\ndata: {\"version\":"));
    CHECK_CONTAINS(px_buf_cstr(&a.body), "\"draining\":false");
    CHECK_INT(a.n_resumed, 2);
    CHECK_INT(b.body.len, len);
    CHECK_INT(b.n_resumed, 1);
    abandon(&a);
    abandon(&b);
    tear_down();
}

PX_TEST(who_has_gone_leaves_room_and_is_not_written_to)
{
    static struct client many[PX_STATS_STREAMS_MAX];
    set_up();
    for (size_t i = 0; i < PX_STATS_STREAMS_MAX; i++)
        open_stream(&many[i]);
    open_stream(&a);
    CHECK(a.exchange.finished);
    CHECK_INT(a.exchange.status, 503);
    CHECK_CONTAINS(px_buf_cstr(&a.body), "at most 64 streams");
    CHECK_CONTAINS(px_buf_cstr(&a.body), "/api/v1/stats once a second");
    free_client(&a);
    abandon(&many[7]);
    open_stream(&many[7]);
    CHECK_INT(many[7].exchange.status, 200);
    CHECK(!many[7].exchange.finished);
    for (size_t i = 0; i < PX_STATS_STREAMS_MAX; i++)
        abandon(&many[i]); /* the first, the last and those between */
    px_rest_close_streams(f.rest);
    tick();
    tear_down();
}

PX_TEST(a_drain_ends_streams_with_a_last_event_and_refuses_others)
{
    set_up();
    open_stream(&a);
    open_stream(&b);
    px_buf_clear(&a.body);
    px_serving_drain(f.serving);
    px_rest_close_streams(f.rest);
    tick();
    CHECK(a.exchange.finished && b.exchange.finished);
    CHECK_CONTAINS(px_buf_cstr(&a.body), "\"ready\":false,\"draining\":true");
    free_client(&a);
    free_client(&b);
    open_stream(&a);
    CHECK(a.exchange.finished);
    CHECK_INT(a.exchange.status, 503);
    CHECK_CONTAINS(px_buf_cstr(&a.body), "draining");
    free_client(&a);
    tear_down();
}

/* Loops that ended with streams still open: their exchanges are the transport's alone. */
PX_TEST(streams_that_were_cut_off_are_left_alone)
{
    set_up();
    open_stream(&a);
    manual_loops_stop(&loops, LOOP);
    px_rest_forget_loops(f.rest);
    CHECK(!a.exchange.finished);
    free_client(&a);
    tear_down();
}

PX_TEST(who_cannot_stream_gets_one_event)
{
    set_up();
    rest_ask(&f, PX_HTTP_GET, path, ""); /* as HTTP/1.0 */
    CHECK_INT(f.status, 200);
    CHECK(px_str_starts(px_str(f.body), "retry: 2000\nevent: stats\ndata: {\"version\":"));
    rest_ask(&f, PX_HTTP_POST, path, "");
    CHECK_INT(f.status, 405);
    CHECK(!f.handler.streams(f.handler.context, &f.exchange.request));
    rest_ask(&f, PX_HTTP_HEAD, path, "");
    CHECK_INT(f.status, 200);
    CHECK(!f.handler.streams(f.handler.context, &f.exchange.request));
    px_rest_forget_loops(f.rest);
    rest_ask(&f, PX_HTTP_GET, path, "");
    CHECK_INT(f.status, 200);
    CHECK(!f.handler.streams(f.handler.context, &f.exchange.request));
    tear_down();
}

/* The n-th allocation fails, when it is opened and when an event is written. */
PX_TEST(a_stream_survives_any_failed_allocation)
{
    for (uint64_t n = 1; n < 100; n++) {
        set_up();
        px_alloc_fail_at(n);
        open_stream(&a);
        px_alloc_fail_at(0);
        bool opened = !a.exchange.finished;
        CHECK_INT(a.exchange.status, opened ? 200 : 503);
        CHECK(a.body.len > 0 || !opened);
        bool is_whole = opened && px_str_ends(px_buf_view(&a.body), "]}\n\n");
        abandon(&a);
        tear_down();
        if (is_whole)
            return;
    }
    CHECK(false);
}

PX_TEST(an_event_without_memory_is_a_comment)
{
    set_up();
    open_stream(&a);
    px_buf_deinit(&a.body);
    manual_loops_wait(&loops, LOOP);
    px_alloc_fail_at(1); /* the loop's event */
    manual_loops_run(&loops, LOOP);
    px_alloc_fail_at(0);
    CHECK_STR(px_buf_view(&a.body), ": heartbeat\n\n");
    px_buf_clear(&a.body);
    tick();
    CHECK(px_str_starts(px_buf_view(&a.body), "event: stats\n"));
    CHECK_CONTAINS(px_buf_cstr(&a.body), "\"errors\":{\"NO_MEMORY\":1}");
    abandon(&a);
    tear_down();
}

// clang-format off
PX_TEST_MAIN(
    T(a_reader_that_is_slow_misses_events_and_the_others_do_not)
    T(who_has_gone_leaves_room_and_is_not_written_to)
    T(a_drain_ends_streams_with_a_last_event_and_refuses_others)
    T(streams_that_were_cut_off_are_left_alone)
    T(who_cannot_stream_gets_one_event)
    T(a_stream_survives_any_failed_allocation)
    T(an_event_without_memory_is_a_comment)
)
