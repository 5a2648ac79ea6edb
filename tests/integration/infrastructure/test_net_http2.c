/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 over real loopback sockets: whole, deferred and streamed exchanges, flow control, limits, draining. */
#include "http2_client.h"

#include <pthread.h>

static struct h2 h2;

static void start_http2_with(struct px_net_config config, uint32_t window)
{
    start_with(config);
    h2_open(&h2, &f, window);
}

static void start_http2(void)
{
    start_http2_with(fixture_config(), 1 << 20);
}

static void stop_http2(void)
{
    h2_close(&h2);
    stop_one();
}

static struct px_str make_bytes(size_t n)
{
    char *bytes = px_alloc(n, 1);
    CHECK(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)('a' + i % 23);
    return px_str_n(bytes, n);
}

static void free_bytes(struct px_str bytes)
{
    void *ptr;
    memcpy(&ptr, &bytes.ptr, sizeof ptr);
    px_free(ptr);
}

PX_TEST(a_request_is_answered)
{
    start_http2();
    const struct h2_stream *s = h2_get(&h2, "/x?a=b");
    CHECK_INT(s->status, 200);
    CHECK_STR(px_str(s->body), "whole");
    CHECK_CONTAINS(s->headers, "content-type: text/plain\n");
    CHECK_CONTAINS(s->headers, "content-length: 5\n");
    CHECK_CONTAINS(s->headers, "date: ");
    CHECK_CONTAINS(s->headers, "x-test: yes\n");
    CHECK(!strstr(s->headers, "connection"));
    CHECK_INT(s->error, NGHTTP2_NO_ERROR);
    CHECK_INT(px_net_connections(f.net), 2);
    stop_http2();
}

PX_TEST(http1_and_http2_share_the_port)
{
    start_http2();
    client_send(&client, "GET /x HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "whole");
    CHECK_STR(px_str(h2_get(&h2, "/x")->body), "whole");
    stop_http2();
}

PX_TEST(many_streams_at_once_are_answered)
{
    start_http2();
    int32_t ids[200];
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < PX_ARRAY_LEN(ids); i++)
            ids[i] = h2_request(&h2, "POST", "/echo", px_str("a body"), false);
        for (size_t i = 0; i < PX_ARRAY_LEN(ids); i++) {
            h2_wait(&h2, ids[i]);
            CHECK_STR(px_str(h2_stream(&h2, ids[i])->body), "a body");
        }
    }
    stop_http2();
}

PX_TEST(bodies_above_every_window_come_and_go_whole)
{
    start_http2_with(fixture_config(), 1000);
    struct px_str bytes = make_bytes(5 << 20);
    int32_t small = h2_request(&h2, "POST", "/echo", px_str_n(bytes.ptr, 100), false);
    int32_t large = h2_request(&h2, "POST", "/echo", bytes, false);
    h2_wait(&h2, small);
    h2_wait(&h2, large);
    CHECK_INT(h2_stream(&h2, small)->body_len, 100);
    CHECK_INT(h2_stream(&h2, large)->body_len, 5 << 20);
    CHECK(memcmp(h2_stream(&h2, large)->body, bytes.ptr, 1000) == 0);
    free_bytes(bytes);
    stop_http2();
}

PX_TEST(a_head_request_has_a_length_and_no_body)
{
    start_http2();
    int32_t id = h2_request(&h2, "HEAD", "/bytes?1000", (struct px_str){0}, false);
    h2_wait(&h2, id);
    CHECK_INT(h2_stream(&h2, id)->body_len, 0);
    CHECK_CONTAINS(h2_stream(&h2, id)->headers, "content-length: 1000\n");
    stop_http2();
}

PX_TEST(trailers_follow_the_body_or_stand_alone)
{
    start_http2();
    const struct h2_stream *s = h2_get(&h2, "/trailers");
    CHECK_STR(px_str(s->body), "with trailers");
    CHECK_STR(px_str(s->trailers), "grpc-status: 0\ngrpc-message: fine\n");
    s = h2_get(&h2, "/only");
    CHECK_INT(s->body_len, 0);
    CHECK_INT(s->blocks, 1); /* trailers-only: one block of headers */
    CHECK_CONTAINS(s->headers, "grpc-status: 0\n");
    CHECK_CONTAINS(s->headers, "content-type: text/plain\n");
    stop_http2();
}

PX_TEST(a_deferred_answer_comes_when_its_task_has_run)
{
    start_http2();
    int32_t id = h2_request(&h2, "GET", "/defer", (struct px_str){0}, false);
    h2_send(&h2);
    wait_held();
    CHECK_STR(px_str(h2_get(&h2, "/x")->body), "whole"); /* others do not wait for it */
    finish_held("deferred");
    h2_wait(&h2, id);
    CHECK_STR(px_str(h2_stream(&h2, id)->body), "deferred");
    stop_http2();
}

PX_TEST(a_stream_speaks_both_ways)
{
    start_http2();
    int32_t id = h2_request(&h2, "POST", "/stream", px_str("hello"), true);
    struct h2_stream *s = h2_stream(&h2, id);
    while (s->body_len < 5)
        CHECK(h2_turn(&h2, PATIENCE_MS));
    h2_more(&h2, id, px_str(" world"), true);
    while (s->body_len < 11)
        CHECK(h2_turn(&h2, PATIENCE_MS));
    h2_more(&h2, id, (struct px_str){0}, false);
    h2_wait(&h2, id);
    CHECK_STR(px_str(s->body), "hello world");
    CHECK_STR(px_str(s->trailers), "x-count: 1\n");
    CHECK_INT(abandons, 0);
    stop_http2();
}

PX_TEST(a_large_stream_passes_through_small_windows)
{
    start_http2_with(fixture_config(), 70000);
    struct px_str bytes = make_bytes(20 << 20);
    int32_t id = h2_request(&h2, "POST", "/stream", bytes, false);
    h2_wait(&h2, id);
    CHECK_INT(h2_stream(&h2, id)->body_len, 20 << 20);
    CHECK_INT(h2_stream(&h2, id)->error, NGHTTP2_NO_ERROR);
    free_bytes(bytes);
    stop_http2();
}

PX_TEST(a_client_that_does_not_take_its_stream_is_held_back)
{
    struct px_str bytes = make_bytes(20 << 20);
    start_http2_with(fixture_config(), 0);
    int32_t id = h2_request(&h2, "POST", "/stream", bytes, false);
    while (h2_turn(&h2, 300))
        continue;
    CHECK(h2_stream(&h2, id)->status == 200);
    CHECK(received >= 1 << 16 &&
          received <= (1 << 20) + (1 << 19)); /* a window, and what was answered before */
    nghttp2_settings_entry wide = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20};
    CHECK(nghttp2_submit_settings(h2.session, 0, &wide, 1) == 0);
    h2_wait(&h2, id);
    CHECK_INT(h2_stream(&h2, id)->body_len, 20 << 20);
    free_bytes(bytes);
    stop_http2();
}

PX_TEST(an_answer_before_the_end_of_the_request_resets_it_without_an_error)
{
    start_http2();
    int32_t id = h2_request(&h2, "POST", "/early", px_str("abc"), true);
    h2_wait(&h2, id);
    CHECK_STR(px_str(h2_stream(&h2, id)->body), "early");
    CHECK_INT(h2_stream(&h2, id)->error, NGHTTP2_NO_ERROR);
    CHECK_STR(px_str(h2_get(&h2, "/x")->body), "whole");
    stop_http2();
}

PX_TEST(a_reset_abandons_and_the_session_goes_on)
{
    start_http2();
    static const char *const paths[] = {"/never", "/inside", "/hold"};
    for (unsigned i = 0; i < PX_ARRAY_LEN(paths); i++) {
        held = NULL;
        int32_t id = h2_request(&h2, "POST", paths[i], (struct px_str){0}, i == 2);
        h2_send(&h2);
        wait_held();
        CHECK(nghttp2_submit_rst_stream(h2.session, 0, id, NGHTTP2_CANCEL) == 0);
        h2_send(&h2);
        wait_abandons(i + 1);
        CHECK_INT(reason, PX_HTTP_GONE);
        if (i == 0)
            finish_held("nobody reads this");
        CHECK_STR(px_str(h2_get(&h2, "/x")->body), "whole");
    }
    stop_http2();
}

PX_TEST(a_lost_connection_abandons_all_its_streams)
{
    start_http2();
    for (int i = 0; i < 50; i++)
        h2_request(&h2, "POST", "/inside", (struct px_str){0}, false);
    h2_send(&h2);
    wait_held();
    while (h2.settings_acks == 0)
        CHECK(h2_turn(&h2, PATIENCE_MS));
    h2_close(&h2);
    wait_abandons(50);
    wait_for_connections(&f, 1);
    h2_open(&h2, &f, 1 << 20);
    CHECK_STR(px_str(h2_get(&h2, "/x")->body), "whole");
    stop_http2();
}

PX_TEST(a_deadline_abandons_and_the_answer_is_still_sent)
{
    start_http2();
    const struct h2_stream *s = h2_get(&h2, "/late");
    CHECK_INT(s->status, 504);
    CHECK_STR(px_str(s->body), "late");
    CHECK_INT(reason, PX_HTTP_LATE);
    stop_http2();
}

PX_TEST(limits_are_answered_and_the_session_goes_on)
{
    struct px_net_config config = fixture_config();
    config.body_bytes_max = 100000;
    start_http2_with(config, 1 << 20);
    struct px_str bytes = make_bytes(200000);
    int32_t id = h2_request(&h2, "POST", "/echo", bytes, false);
    h2_wait(&h2, id);
    CHECK_INT(h2_stream(&h2, id)->status, 413);
    char path[4500];
    memset(path, 'p', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    CHECK_INT(h2_get(&h2, path)->status, 431);
    CHECK_INT(h2_get(&h2, "/\x80")->status, 400);
    CHECK_INT(f.refusals, 3);
    CHECK_INT(h2_get(&h2, "/x")->status, 200);
    free_bytes(bytes);
    stop_http2();
}

PX_TEST(a_response_with_too_many_fields_is_reset_and_the_session_goes_on)
{
    start_http2();
    CHECK_INT(h2_get(&h2, "/lines")->error, NGHTTP2_INTERNAL_ERROR);
    CHECK_INT(h2_get(&h2, "/ends")->error, NGHTTP2_INTERNAL_ERROR);
    CHECK_INT(h2_get(&h2, "/x")->status, 200);
    stop_http2();
}

PX_TEST(bodies_that_are_read_together_have_a_limit)
{
    enum { BODIES = 9, BYTES = 8000000 }; /* 64 MiB of them fit */
    struct px_str bytes = make_bytes(BYTES);
    int32_t ids[BODIES];
    unsigned refused = 0;
    start_http2_with(fixture_config(), 1 << 20);
    for (int i = 0; i < BODIES; i++)
        ids[i] = h2_request(&h2, "POST", "/echo", bytes, true);
    while (!refused) {
        CHECK(h2_turn(&h2, PATIENCE_MS));
        for (int i = 0; i < BODIES; i++)
            refused += h2_stream(&h2, ids[i])->status == 503;
    }
    CHECK(refused < BODIES); /* others were refused beside it, not all */
    CHECK_INT(h2_get(&h2, "/x")->status, 200);
    free_bytes(bytes);
    stop_http2();
}

PX_TEST(a_length_that_is_only_declared_takes_no_memory_from_others)
{
    enum { BODIES = 20 };
    start_http2_with(fixture_config(), 1 << 20);
    nghttp2_nv fields[] = {h2_nv(":method", "POST"), h2_nv(":scheme", "http"),
                           h2_nv(":path", "/echo"), h2_nv(":authority", "h"),
                           h2_nv("content-length", "8000000")};
    nghttp2_data_provider provider = {.read_callback = h2_read};
    int32_t ids[BODIES];
    for (int i = 0; i < BODIES; i++) {
        ids[i] = (int32_t)nghttp2_session_get_next_stream_id(h2.session);
        *h2_stream(&h2, ids[i]) = (struct h2_stream){.out = PX_STR("begin"), .out_open = true};
        nghttp2_submit_request(h2.session, NULL, fields, PX_ARRAY_LEN(fields), &provider, NULL);
    }
    struct px_str bytes = make_bytes(4000000);
    int32_t id = h2_request(&h2, "POST", "/echo", bytes, false);
    h2_wait(&h2, id);
    CHECK_INT(h2_stream(&h2, id)->status, 200);
    for (int i = 0; i < BODIES; i++)
        CHECK_INT(h2_stream(&h2, ids[i])->status, 0); /* still waited for */
    free_bytes(bytes);
    stop_http2();
}

PX_TEST(a_body_that_drips_is_timed_out_all_the_same)
{
    struct px_net_config config = fixture_config();
    config.body_timeout_ms = 300;
    start_http2_with(config, 1 << 20);
    int32_t id = h2_request(&h2, "POST", "/echo", px_str("a"), true);
    const struct h2_stream *s = h2_stream(&h2, id);
    /* About 100 bytes a second, without a pause that is too long. Ends when the server answers. */
    for (int i = 0; i < 2000 && !s->is_closed; i++) {
        h2_turn(&h2, 10);
        if (s->out_at == s->out.len)
            h2_more(&h2, id, px_str("a"), true);
    }
    CHECK_INT(s->status, 408);
    CHECK_CONTAINS(s->body, "more slowly than 1024 bytes per second");
    CHECK_INT(h2_get(&h2, "/x")->status, 200);
    stop_http2();
}

PX_TEST(a_body_that_does_not_come_is_timed_out)
{
    struct px_net_config config = fixture_config();
    config.body_timeout_ms = 50;
    start_http2_with(config, 1 << 20);
    int32_t id = h2_request(&h2, "POST", "/echo", px_str("abc"), true);
    h2_wait(&h2, id);
    CHECK_INT(h2_stream(&h2, id)->status, 408);
    CHECK_INT(h2_get(&h2, "/x")->status, 200);
    stop_http2();
}

PX_TEST(a_response_that_is_not_taken_is_reset)
{
    struct px_net_config config = fixture_config();
    config.write_timeout_ms = 50;
    start_http2_with(config, 0);
    const struct h2_stream *s = h2_get(&h2, "/bytes?1000");
    CHECK_INT(s->status, 200);
    CHECK_INT(s->error, NGHTTP2_CANCEL);
    stop_http2();
}

PX_TEST(an_idle_session_is_told_to_leave)
{
    struct px_net_config config = fixture_config();
    config.idle_timeout_ms = 50;
    start_http2_with(config, 1 << 20);
    CHECK_INT(h2_get(&h2, "/x")->status, 200);
    h2_wait_end(&h2);
    CHECK(h2.has_goaway);
    CHECK_INT(h2.goaway, NGHTTP2_NO_ERROR);
    stop_http2();
}

PX_TEST(a_silent_client_with_an_open_stream_is_asked_and_stays)
{
    struct px_net_config config = fixture_config();
    config.idle_timeout_ms = 40;
    start_with(config);
    unsigned char payload[32];
    int32_t id;
    struct client raw;
    char bytes[256];
    raw_open(&raw, &f);
    client_send_bytes(&raw, bytes, raw_head(bytes, 1, 5, false, "/defer"));
    wait_held();
    /* The server asks; an answer keeps the connection. */
    CHECK(raw_expect(&raw, NGHTTP2_PING, payload, &id));
    client_send_bytes(&raw, bytes, raw_frame(bytes, NGHTTP2_PING, 1, 0, payload, 8));
    CHECK(raw_expect(&raw, NGHTTP2_PING, payload, &id));
    client_send_bytes(&raw, bytes, raw_frame(bytes, NGHTTP2_PING, 1, 0, payload, 8));
    finish_held("deferred");
    CHECK(raw_expect(&raw, NGHTTP2_HEADERS, payload, &id));
    CHECK_INT(id, 1);
    client_close(&raw);
    stop_one();
}

static void *stop_net(void *argument)
{
    bool *clean = argument;
    *clean = px_net_stop(f.net, PATIENCE_MS);
    return NULL;
}

PX_TEST(draining_tells_the_client_and_finishes_what_has_begun)
{
    start_http2();
    int32_t id = h2_request(&h2, "GET", "/defer", (struct px_str){0}, false);
    h2_send(&h2);
    wait_held();
    client_close(&client);
    bool clean = false;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, stop_net, &clean) == 0);
    while (!h2.has_goaway)
        CHECK(h2_turn(&h2, PATIENCE_MS));
    CHECK_INT(h2.goaway_last, INT32_MAX); /* a notice: what is on its way is still served */
    h2.has_goaway = false;
    while (!h2.has_goaway)
        CHECK(h2_turn(&h2, PATIENCE_MS));
    CHECK_INT(h2.goaway_last, id);
    finish_held("deferred");
    h2_wait_end(&h2);
    CHECK_STR(px_str(h2_stream(&h2, id)->body), "deferred");
    pthread_join(thread, NULL);
    CHECK(clean);
    h2_close(&h2);
    fixture_stop(&f);
}

PX_TEST(unfinished_streams_at_the_end_are_freed)
{
    start_http2();
    h2_request(&h2, "GET", "/never", (struct px_str){0}, false);
    h2_request(&h2, "POST", "/hold", px_str("x"), true);
    h2_send(&h2);
    wait_held();
    while (h2.settings_acks == 0)
        CHECK(h2_turn(&h2, PATIENCE_MS));
    fixture_stop(&f); /* the leak checker of the address sanitizer looks */
    CHECK_INT(abandons, 2);
    h2_close(&h2);
    client_close(&client);
}

PX_TEST(requests_allocate_nothing_after_warm_up)
{
    start_http2();
    for (int i = 0; i < 20; i++)
        CHECK_INT(h2_get(&h2, "/x")->status, 200);
    uint64_t before = px_alloc_count();
    for (int i = 0; i < 100; i++)
        CHECK_INT(h2_get(&h2, "/x")->status, 200);
    /* Nothing for a request; a new second is a new date in the table of compressed headers. */
    CHECK(px_alloc_count() - before <= 8);
    stop_http2();
}

PX_TEST_MAIN(
    T(a_request_is_answered) T(http1_and_http2_share_the_port) T(many_streams_at_once_are_answered)
        T(bodies_above_every_window_come_and_go_whole) T(a_head_request_has_a_length_and_no_body) T(
            trailers_follow_the_body_or_stand_alone)
            T(a_deferred_answer_comes_when_its_task_has_run) T(a_stream_speaks_both_ways) T(
                a_large_stream_passes_through_small_windows)
                T(a_client_that_does_not_take_its_stream_is_held_back) T(
                    an_answer_before_the_end_of_the_request_resets_it_without_an_error)
                    T(a_reset_abandons_and_the_session_goes_on) T(
                        a_lost_connection_abandons_all_its_streams)
                        T(a_deadline_abandons_and_the_answer_is_still_sent) T(
                            limits_are_answered_and_the_session_goes_on)
                            T(a_response_with_too_many_fields_is_reset_and_the_session_goes_on) T(
                                bodies_that_are_read_together_have_a_limit)
                                T(a_length_that_is_only_declared_takes_no_memory_from_others) T(
                                    a_body_that_drips_is_timed_out_all_the_same)
                                    T(a_body_that_does_not_come_is_timed_out) T(
                                        a_response_that_is_not_taken_is_reset)
                                        T(an_idle_session_is_told_to_leave) T(
                                            a_silent_client_with_an_open_stream_is_asked_and_stays)
                                            T(draining_tells_the_client_and_finishes_what_has_begun)
                                                T(unfinished_streams_at_the_end_are_freed)
                                                    T(requests_allocate_nothing_after_warm_up))
