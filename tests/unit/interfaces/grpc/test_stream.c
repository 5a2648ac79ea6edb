/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc_fixture.h"
#include "harness.h"
#include "interfaces/grpc/stream.h"

#include <stdio.h>

static const char stream_path[] = "/inference.GRPCInferenceService/ModelStreamInfer";
static const char watch_path[] = "/grpc.health.v1.Health/Watch";
static const char reflection_path[] = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

static struct grpc_fixture f;

static void put_request(struct px_buf *buf, const char *model, unsigned number)
{
    char id[16];
    const float values[] = {(float)number, 1};
    snprintf(id, sizeof id, "%u", number);
    struct px_buf message = px_buf(1 << 10);
    grpc_put_infer(&message, model, id, values, (const int64_t[]){1, 2});
    grpc_frame(buf, px_buf_view(&message));
    px_buf_deinit(&message);
}

static struct px_str field(struct px_str message, uint32_t number)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field item;
    while (px_protobuf_next(&p, &item)) {
        if (item.number == number)
            return item.bytes;
    }
    return (struct px_str){0};
}

/* The answers so far are those of requests 0, 1, ... n-1. */
static void check_order(unsigned n)
{
    struct px_str rest = px_buf_view(&f.sent), message;
    unsigned i = 0;
    char id[16];
    while (grpc_next_sent(&rest, &message)) {
        snprintf(id, sizeof id, "%u", i++);
        CHECK_STR(field(field(message, 2), 3), id);
    }
    CHECK_INT(i, n);
    CHECK_INT(rest.len, 0);
}

PX_TEST(answers_come_in_the_order_of_the_requests)
{
    static const char *const models[] = {"m", "plain", "nobody", "multi"};
    struct px_buf buf = px_buf(1 << 20);
    grpc_set_up(&f);
    for (unsigned i = 0; i < 1000; i++)
        put_request(&buf, models[i % 4], i);
    grpc_open(&f, stream_path);
    grpc_send(&f, px_buf_view(&buf), true);
    CHECK_INT(f.status, 0);
    check_order(1000);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(answers_name_their_values_and_that_they_are_final)
{
    struct px_buf buf = px_buf(1 << 20);
    struct px_str rest, message;
    grpc_set_up(&f);
    put_request(&buf, "m", 7);
    grpc_open(&f, stream_path);
    grpc_send(&f, px_buf_view(&buf), false);
    CHECK_INT(f.status, -1);
    rest = px_buf_view(&f.sent);
    CHECK(grpc_next_sent(&rest, &message));
    struct px_str response = field(message, 2);
    CHECK_STR(field(field(response, 4), 1), "triton_final_response");
    CHECK_STR(field(field(response, 4), 2), "\x08\x01");
    static const float scores[] = {8, 9};
    struct px_str raw = field(response, 6);
    CHECK(raw.len == sizeof scores && memcmp(raw.ptr, scores, sizeof scores) == 0);
    grpc_send(&f, px_str(""), true);
    CHECK_INT(f.status, 0);
    CHECK_STR(px_str(f.fields), "grpc-status: 0\r\n");
    CHECK(!f.rest.exchange.extra_headers);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(pieces_may_cut_messages_anywhere)
{
    struct px_buf buf = px_buf(1 << 20);
    grpc_set_up(&f);
    for (unsigned i = 0; i < 50; i++)
        put_request(&buf, "m", i);
    for (size_t size = 1; size < 100; size += 7) {
        grpc_open(&f, stream_path);
        for (size_t at = 0; at < buf.len; at += size) {
            size_t n = buf.len - at < size ? buf.len - at : size;
            grpc_send(&f, px_str_n(buf.ptr + at, n), at + n == buf.len);
        }
        CHECK_INT(f.status, 0);
        check_order(50);
    }
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(a_failed_request_is_answered_in_its_place)
{
    struct px_buf buf = px_buf(1 << 20);
    struct px_str rest, message;
    grpc_set_up(&f);
    put_request(&buf, "nobody", 5);
    put_request(&buf, "m", 6);
    grpc_open(&f, stream_path);
    grpc_send(&f, px_buf_view(&buf), true);
    CHECK_INT(f.status, 0);
    rest = px_buf_view(&f.sent);
    CHECK(grpc_next_sent(&rest, &message));
    CHECK_CONTAINS(field(message, 1).ptr, "nobody");
    CHECK_STR(field(field(message, 2), 3), "5");
    CHECK(grpc_next_sent(&rest, &message));
    CHECK(!field(message, 1).ptr);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(the_first_error_ends_the_stream_when_the_client_asks_for_it)
{
    struct px_buf buf = px_buf(1 << 20);
    grpc_set_up(&f);
    put_request(&buf, "m", 0);
    put_request(&buf, "nobody", 1);
    put_request(&buf, "m", 2);
    grpc_header(&f, "triton_grpc_error", "true");
    grpc_open(&f, stream_path);
    grpc_send(&f, px_buf_view(&buf), false);
    CHECK_INT(f.status, 5);
    check_order(1);
    CHECK(f.rest.exchange.trailers);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(broken_streams_end_with_a_status)
{
    static const struct {
        const char *bytes;
        size_t len;
        int status;
    } rows[] = {{"\2\0\0\0\0", 5, 3},
                {"\0\xff\0\0\0", 5, 8},
                {"\0\0\0", 3, 3},
                {"\0\0\0\0\5ab", 7, 3},
                {"\1\0\0\0\0", 5, 13}};
    grpc_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++) {
        grpc_open(&f, stream_path);
        grpc_send(&f, px_str_n(rows[i].bytes, rows[i].len), true);
        CHECK_INT(f.status, rows[i].status);
        CHECK_INT(f.sent.len, 0);
    }
    grpc_tear_down(&f);
}

PX_TEST(an_empty_stream_is_fine)
{
    grpc_set_up(&f);
    grpc_open(&f, stream_path);
    grpc_send(&f, px_str(""), true);
    CHECK_INT(f.status, 0);
    CHECK_INT(f.sent.len, 0);
    grpc_tear_down(&f);
}

PX_TEST(a_client_that_goes_leaves_nothing_behind)
{
    struct px_buf buf = px_buf(1 << 20);
    grpc_set_up(&f);
    put_request(&buf, "m", 0);
    for (int parked = 0; parked < 2; parked++) {
        grpc_open(&f, stream_path);
        f.handler.piece(f.handler.context, &f.rest.exchange,
                        px_str_n(buf.ptr, parked ? buf.len : buf.len - 1), false);
        f.rest.exchange.abandoned = true;
        f.handler.abandon(f.handler.context, &f.rest.exchange, PX_HTTP_GONE);
        CHECK(f.rest.exchange.finished == !parked);
        f.handler.wave(f.handler.context, f.rest.exchange.loop);
        CHECK(f.rest.exchange.finished);
        CHECK_INT(f.sent.len, 0);
    }
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(messages_of_a_client_that_has_gone_are_not_scored)
{
    struct px_buf buf = px_buf(1 << 20);
    grpc_set_up(&f);
    put_request(&buf, "m", 0);
    put_request(&buf, "nobody", 1); /* done, behind one that is parked */
    put_request(&buf, "multi", 2);
    grpc_open(&f, stream_path);
    f.rest.engine_n_rows = 0;
    f.handler.piece(f.handler.context, &f.rest.exchange, px_buf_view(&buf), false);
    f.rest.exchange.abandoned = true;
    f.handler.abandon(f.handler.context, &f.rest.exchange, PX_HTTP_GONE);
    f.handler.wave(f.handler.context, f.rest.exchange.loop);
    CHECK(f.rest.exchange.finished);
    CHECK_INT(f.rest.engine_n_rows, 0);
    CHECK_INT(f.sent.len, 0);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(a_deadline_ends_a_stream)
{
    grpc_set_up(&f);
    grpc_header(&f, "grpc-timeout", "1S");
    grpc_open(&f, stream_path);
    CHECK(f.rest.exchange.deadline_ns > f.rest.exchange.request.received_ns);
    f.rest.exchange.abandoned = true;
    f.handler.abandon(f.handler.context, &f.rest.exchange, PX_HTTP_LATE);
    CHECK_INT(f.status, 4);
    grpc_tear_down(&f);
}

static struct px_grpc_loop *own_loop(void)
{
    return &f.grpc->per_loop[1]; /* the one that rest_begin names */
}

PX_TEST(unfinished_messages_hold_only_so_much)
{
    static const char bytes[1500] = "\0\0\0\x07\xd0"; /* of a message of 2,000 */
    grpc_set_up(&f);
    own_loop()->slot_bytes_max = 1400;
    grpc_open(&f, stream_path);
    grpc_send(&f, px_str_n(bytes, 1000), false);
    CHECK_INT(f.status, -1);
    CHECK_INT(own_loop()->slot_bytes, 995);
    grpc_send(&f, px_str_n(bytes, 500), false);
    CHECK_INT(f.status, 8);
    CHECK_CONTAINS(f.fields, "messages of streams hold more than 1400 bytes");
    CHECK_INT(own_loop()->slot_bytes, 0);
    grpc_open(&f, stream_path);
    grpc_send(&f, px_str_n(bytes, 1000), false);
    f.rest.exchange.abandoned = true;
    f.handler.abandon(f.handler.context, &f.rest.exchange, PX_HTTP_GONE);
    CHECK_INT(own_loop()->slot_bytes, 0);
    grpc_tear_down(&f);
}

PX_TEST(parked_messages_are_scored_early_when_room_is_short)
{
    struct px_buf buf = px_buf(1 << 20);
    grpc_set_up(&f);
    own_loop()->slot_bytes_max = 400;
    for (unsigned i = 0; i < 200; i++)
        put_request(&buf, "m", i);
    grpc_open(&f, stream_path);
    f.handler.piece(f.handler.context, &f.rest.exchange, px_buf_view(&buf), false);
    CHECK(own_loop()->slot_bytes <= 400);
    CHECK(own_loop()->n_parked_slots < 20);
    grpc_send(&f, px_str(""), true);
    CHECK_INT(f.status, 0);
    check_order(200);
    CHECK_INT(own_loop()->slot_bytes, 0);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(a_message_that_drips_ends_its_stream)
{
    struct px_buf buf = px_buf(1 << 20);
    grpc_set_up(&f);
    put_request(&buf, "m", 0);
    grpc_open(&f, stream_path);
    CHECK(f.rest.exchange.deadline_ns == 0);
    grpc_send(&f, px_str_n(buf.ptr, 1), false);
    uint64_t deadline_ns = f.rest.exchange.deadline_ns;
    CHECK(deadline_ns > f.rest.exchange.request.received_ns);
    grpc_send(&f, px_str_n(buf.ptr + 1, 10), false);
    CHECK(f.rest.exchange.deadline_ns == deadline_ns); /* more bytes win no time */
    grpc_send(&f, px_str_n(buf.ptr + 11, buf.len - 11), false);
    CHECK(f.rest.exchange.deadline_ns == 0); /* between messages a stream may rest */
    check_order(1);
    grpc_send(&f, px_buf_view(&buf), false);
    CHECK(f.rest.exchange.deadline_ns == 0);
    grpc_send(&f, px_str_n(buf.ptr, 7), false);
    f.rest.exchange.abandoned = true;
    f.handler.abandon(f.handler.context, &f.rest.exchange, PX_HTTP_LATE);
    CHECK_INT(f.status, 4);
    CHECK_CONTAINS(f.fields, "a message was not complete");
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(a_message_does_not_outlive_the_deadline_of_its_stream)
{
    grpc_set_up(&f);
    grpc_header(&f, "grpc-timeout", "1S");
    grpc_open(&f, stream_path);
    uint64_t deadline_ns = f.rest.exchange.deadline_ns;
    grpc_send(&f, px_str_n("\0", 1), false);
    CHECK(f.rest.exchange.deadline_ns == deadline_ns);
    f.rest.exchange.abandoned = true;
    f.handler.abandon(f.handler.context, &f.rest.exchange, PX_HTTP_LATE);
    CHECK_CONTAINS(f.fields, "the deadline of the stream passed");
    grpc_tear_down(&f);
}

/* What was sent is whole messages, at most the backlog and one message. */
static void check_backlog(void)
{
    struct px_str rest = px_buf_view(&f.sent), message;
    size_t longest = 0;
    while (grpc_next_sent(&rest, &message))
        longest = message.len > longest ? message.len : longest;
    CHECK_INT(rest.len, 0);
    CHECK(f.sent.len > PX_GRPC_BACKLOG_BYTES);
    CHECK(f.sent.len <= PX_GRPC_BACKLOG_BYTES + longest + 5);
}

PX_TEST(a_client_that_does_not_read_ends_its_stream)
{
    enum { N_REQUESTS = 9000, N_ROWS = 64 };
    static float values[2 * N_ROWS];
    struct px_buf request = px_buf(1 << 20), buf = px_buf(1 << 24);
    grpc_set_up(&f);
    f.rest.buf.max = 1 << 30; /* as the transport's */
    grpc_put_infer(&request, "m", "", values, (const int64_t[]){N_ROWS, 2});
    for (unsigned i = 0; i < N_REQUESTS; i++)
        grpc_frame(&buf, px_buf_view(&request));
    grpc_open(&f, stream_path);
    grpc_send(&f, px_buf_view(&buf), false);
    CHECK_INT(f.status, 8);
    CHECK_CONTAINS(f.fields, "bytes of answers wait for the client");
    check_backlog();
    px_buf_deinit(&request);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(short_questions_with_long_answers_end_their_stream)
{
    struct px_buf request = px_buf(1 << 10), buf = px_buf(1 << 20);
    grpc_set_up(&f);
    f.rest.buf.max = 1 << 30;
    px_protobuf_put_text(&request, 4, "inference.GRPCInferenceService");
    for (unsigned i = 0; i < 4000; i++)
        grpc_frame(&buf, px_buf_view(&request));
    grpc_open(&f, reflection_path);
    grpc_send(&f, px_buf_view(&buf), false);
    CHECK_INT(f.status, 8);
    check_backlog();
    px_buf_deinit(&request);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(an_answer_that_does_not_fit_is_taken_back_whole)
{
    struct px_buf buf = px_buf(1 << 20);
    grpc_set_up(&f);
    f.rest.buf.max = 2000;
    for (unsigned i = 0; i < 100; i++)
        put_request(&buf, "m", i);
    grpc_open(&f, stream_path);
    grpc_send(&f, px_buf_view(&buf), false);
    CHECK_INT(f.status, 8);
    CHECK(f.sent.len <= 2000);
    struct px_str rest = px_buf_view(&f.sent), message;
    while (grpc_next_sent(&rest, &message))
        ;
    CHECK_INT(rest.len, 0);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(a_long_stream_needs_no_more_memory)
{
    struct px_buf buf = px_buf(1 << 20);
    uint64_t before = 0;
    grpc_set_up(&f);
    for (unsigned i = 0; i < 64; i++)
        put_request(&buf, "m", i);
    grpc_open(&f, stream_path);
    for (int round = 0; round < 200; round++) {
        if (round == 10)
            before = px_alloc_count();
        grpc_send(&f, px_buf_view(&buf), false);
        px_buf_clear(&f.sent);
    }
    CHECK_INT(px_alloc_count(), before);
    grpc_send(&f, px_str(""), true);
    CHECK_INT(f.status, 0);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(short_memory_ends_a_stream_with_a_status)
{
    struct px_buf buf = px_buf(1 << 20);
    for (unsigned i = 0; i < 3; i++)
        put_request(&buf, "m", i);
    for (uint64_t n = 1; n < 40; n++) {
        grpc_set_up(&f);
        CHECK(px_buf_reserve(&f.sent, 1 << 16));
        px_alloc_fail_at(n);
        grpc_open(&f, stream_path);
        grpc_send(&f, px_buf_view(&buf), true);
        px_alloc_fail_at(0);
        CHECK(f.rest.exchange.finished);
        CHECK(f.status == 0 || f.status == 8);
        grpc_tear_down(&f);
    }
    px_buf_deinit(&buf);
}

/* ---- health ---- */

static struct px_loop_task *posted[2];

static bool post(void *context, unsigned loop, struct px_loop_task *task)
{
    (void)context;
    posted[loop] = task;
    return true;
}

PX_TEST(a_watcher_hears_of_every_change_once)
{
    static const struct px_loops loops = {.n_loops = 2, .post = post};
    grpc_set_up(&f);
    px_grpc_use_loops(f.grpc, &loops);
    grpc_open(&f, watch_path);
    grpc_send_message(&f, px_str(""));
    grpc_send(&f, px_str(""), true);
    CHECK_INT(f.sent.len, 7);
    CHECK(memcmp(f.sent.ptr + 5, "\x08\x01", 2) == 0);
    CHECK_INT(f.status, -1);
    f.handler.wave(f.handler.context, 1);
    CHECK_INT(f.sent.len, 7);
    px_serving_drain(f.rest.serving);
    px_grpc_announce_health(f.grpc);
    posted[1]->run(posted[1]);
    f.handler.wave(f.handler.context, 1);
    CHECK_INT(f.sent.len, 14);
    CHECK(memcmp(f.sent.ptr + 12, "\x08\x02", 2) == 0);
    px_grpc_close_streams(f.grpc);
    posted[1]->run(posted[1]);
    f.handler.wave(f.handler.context, 1);
    CHECK_INT(f.status, 14);
    grpc_tear_down(&f);
}

PX_TEST(a_wave_that_changes_nothing_looks_at_no_watcher)
{
    grpc_set_up(&f);
    grpc_open(&f, watch_path);
    grpc_send_message(&f, px_str(""));
    CHECK_INT(f.sent.len, 7);
    struct px_grpc_stream *stream = f.rest.exchange.state;
    stream->health.last_status = -1; /* whoever looks would tell it again */
    f.handler.wave(f.handler.context, 1);
    CHECK_INT(f.sent.len, 7);
    px_serving_drain(f.rest.serving);
    f.handler.wave(f.handler.context, 1);
    CHECK_INT(f.sent.len, 14);
    f.rest.exchange.abandoned = true;
    f.handler.abandon(f.handler.context, &f.rest.exchange, PX_HTTP_GONE);
    CHECK(!own_loop()->watchers);
    grpc_tear_down(&f);
}

PX_TEST(a_watcher_that_comes_late_hears_of_the_status_at_once)
{
    grpc_set_up(&f);
    px_serving_drain(f.rest.serving);
    own_loop()->was_ready = false; /* nobody is left to be told */
    grpc_open(&f, watch_path);
    grpc_send_message(&f, px_str(""));
    CHECK_INT(f.sent.len, 7);
    CHECK(memcmp(f.sent.ptr + 5, "\x08\x02", 2) == 0);
    grpc_tear_down(&f);
}

PX_TEST(a_stream_that_opens_while_the_server_stops_ends)
{
    static const char *const paths[] = {stream_path, watch_path, reflection_path};
    grpc_set_up(&f);
    px_grpc_close_streams(f.grpc);
    for (size_t i = 0; i < PX_ARRAY_LEN(paths); i++) {
        grpc_open(&f, paths[i]);
        CHECK_INT(f.status, 14);
        CHECK(f.rest.exchange.finished);
    }
    CHECK(!own_loop()->streams);
    grpc_tear_down(&f);
}

PX_TEST(watching_the_unknown_goes_on)
{
    grpc_set_up(&f);
    grpc_open(&f, watch_path);
    grpc_send_message(&f, px_str("\x0a\x01x"));
    CHECK(memcmp(f.sent.ptr + 5, "\x08\x03", 2) == 0);
    CHECK_INT(f.status, -1);
    grpc_send_message(&f, px_str("")); /* a second request */
    CHECK_INT(f.status, 3);
    grpc_open(&f, watch_path);
    grpc_send(&f, px_str(""), true); /* no request */
    CHECK_INT(f.status, 3);
    grpc_tear_down(&f);
}

/* ---- reflection ---- */

static struct px_str reflect(uint32_t number, const char *text)
{
    struct px_buf request = px_buf(1 << 10);
    struct px_str rest, message = {0};
    px_protobuf_put_text(&request, 1, "host");
    px_protobuf_put_text(&request, number, text);
    grpc_open(&f, reflection_path);
    grpc_send_message(&f, px_buf_view(&request));
    rest = px_buf_view(&f.sent);
    bool got = grpc_next_sent(&rest, &message);
    CHECK(got);
    CHECK_STR(field(message, 1), "host");
    CHECK(px_str_eq(field(message, 2), px_buf_view(&request)));
    px_buf_deinit(&request);
    return message;
}

PX_TEST(reflection_lists_the_services)
{
    grpc_set_up(&f);
    struct px_str list = field(reflect(7, "*"), 6);
    CHECK_STR(field(field(list, 1), 1), "inference.GRPCInferenceService");
    grpc_tear_down(&f);
}

PX_TEST(reflection_finds_files_by_name_and_symbol)
{
    static const char *const symbols[] = {
        "inference.GRPCInferenceService",
        "inference.GRPCInferenceService.ModelInfer",
        "inference.ModelInferRequest",
        "inference.ModelInferRequest.InferInputTensor",
        "inference.ModelInferRequest.InferInputTensor.shape",
    };
    grpc_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(symbols); i++) {
        struct px_str files = field(reflect(4, symbols[i]), 4);
        CHECK_STR(field(field(files, 1), 1), "grpc_service.proto");
        struct px_protobuf p = px_protobuf(files);
        struct px_protobuf_field item;
        size_t n = 0;
        while (px_protobuf_next(&p, &item))
            n++;
        CHECK_INT(n, 2); /* and model_config.proto */
    }
    CHECK_STR(field(field(field(reflect(4, "inference.ModelInput.Format"), 4), 1), 1),
              "model_config.proto");
    CHECK_STR(field(field(field(reflect(3, "grpc/health/v1/health.proto"), 4), 1), 1),
              "grpc/health/v1/health.proto");
    CHECK_STR(field(field(field(reflect(4, "grpc.reflection.v1alpha.ServerReflection"), 4), 1), 1),
              "grpc/reflection/v1alpha/reflection.proto");
    CHECK_STR(field(field(reflect(6, "inference.ModelInferRequest"), 5), 1),
              "inference.ModelInferRequest");
    grpc_tear_down(&f);
}

PX_TEST(reflection_answers_the_unknown_and_goes_on)
{
    static const char *const symbols[] = {"nothing",         "inference",
                                          "inference.",      "",
                                          "inference.Model", "inference.ModelInferRequest.nothing"};
    grpc_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(symbols); i++) {
        struct px_str error = field(reflect(4, symbols[i]), 7);
        CHECK(error.len > 0);
        CHECK_INT(error.ptr[1], 5);
        CHECK_INT(f.status, -1);
    }
    CHECK(field(reflect(3, "nothing.proto"), 7).len > 0);
    CHECK(field(reflect(5, ""), 7).len > 0);
    grpc_tear_down(&f);
}

PX_TEST_MAIN(
    T(answers_come_in_the_order_of_the_requests)
        T(answers_name_their_values_and_that_they_are_final) T(pieces_may_cut_messages_anywhere) T(
            a_failed_request_is_answered_in_its_place)
            T(the_first_error_ends_the_stream_when_the_client_asks_for_it) T(
                broken_streams_end_with_a_status) T(an_empty_stream_is_fine)
                T(a_client_that_goes_leaves_nothing_behind) T(
                    messages_of_a_client_that_has_gone_are_not_scored) T(a_deadline_ends_a_stream)
                    T(unfinished_messages_hold_only_so_much) T(
                        parked_messages_are_scored_early_when_room_is_short)
                        T(a_message_that_drips_ends_its_stream) T(
                            a_message_does_not_outlive_the_deadline_of_its_stream)
                            T(a_client_that_does_not_read_ends_its_stream) T(
                                short_questions_with_long_answers_end_their_stream)
                                T(an_answer_that_does_not_fit_is_taken_back_whole) T(
                                    a_long_stream_needs_no_more_memory)
                                    T(short_memory_ends_a_stream_with_a_status) T(
                                        a_watcher_hears_of_every_change_once)
                                        T(a_wave_that_changes_nothing_looks_at_no_watcher) T(
                                            a_watcher_that_comes_late_hears_of_the_status_at_once)
                                            T(a_stream_that_opens_while_the_server_stops_ends)
                                                T(watching_the_unknown_goes_on) T(
                                                    reflection_lists_the_services)
                                                    T(reflection_finds_files_by_name_and_symbol) T(
                                                        reflection_answers_the_unknown_and_goes_on))
