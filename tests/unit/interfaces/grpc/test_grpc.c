/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc_fixture.h"
#include "harness.h"
#include "interfaces/grpc/head.h"
#include "interfaces/grpc/message.h"

#define SERVICE "/inference.GRPCInferenceService/"

static struct grpc_fixture f;

/* A coder that "compresses" by turning every bit over. */
static enum px_code flip(struct px_coder *coder, enum px_coding coding, struct px_str in,
                         struct px_buf *out, struct px_err *err)
{
    (void)coder;
    (void)coding;
    for (size_t i = 0; i < in.len; i++)
        px_buf_byte(out, (char)~in.ptr[i]);
    return px_buf_check(out, "it", err);
}

/* Keeps half of it: what a real coder might do. */
static enum px_code halve(struct px_coder *coder, enum px_coding coding, struct px_str in,
                          struct px_buf *out, struct px_err *err)
{
    return flip(coder, coding, px_str_n(in.ptr, in.len / 2), out, err);
}

static void destroy_coder(struct px_coder *coder)
{
    px_free(coder);
}

static struct px_coder *make_coder(void)
{
    static const struct px_coder_ops ops = {
        .abi = PX_CODER_ABI,
        .name = "flip",
        .decode = flip,
        .encode = halve,
        .destroy = destroy_coder,
    };
    struct px_coder *coder = px_xalloc(1, sizeof *coder);
    coder->ops = &ops;
    return coder;
}

PX_TEST(server_live_has_the_captured_bytes)
{
    grpc_set_up(&f);
    grpc_ask_raw(&f, SERVICE "ServerLive", px_str_n("\0\0\0\0\0", 5));
    CHECK_INT(f.status, 0);
    CHECK_INT(f.rest.buf.len, 7);
    CHECK(memcmp(f.rest.buf.ptr, "\0\0\0\0\2\x08\x01", 7) == 0);
    CHECK_STR(px_str(f.rest.exchange.content_type), "application/grpc");
    CHECK_STR(px_str(f.rest.exchange.trailers), "grpc-status: 0\r\n");
    grpc_tear_down(&f);
}

PX_TEST(readiness_ends_when_draining_begins)
{
    grpc_set_up(&f);
    grpc_ask(&f, SERVICE "ServerReady", px_str(""));
    CHECK_STR(f.reply, "\x08\x01");
    px_serving_drain(f.rest.serving);
    grpc_ask(&f, SERVICE "ServerReady", px_str(""));
    CHECK_INT(f.status, 0);
    CHECK_INT(f.reply.len, 0);
    grpc_tear_down(&f);
}

PX_TEST(unknown_methods_are_unimplemented)
{
    grpc_set_up(&f);
    grpc_ask(&f, SERVICE "Nothing", px_str(""));
    CHECK_INT(f.status, 12);
    CHECK_INT(f.http_status, 200);
    grpc_ask(&f, "/other.Service/Method", px_str(""));
    CHECK_INT(f.status, 12);
    grpc_ask(&f, "/", px_str(""));
    CHECK_INT(f.status, 12);
    grpc_tear_down(&f);
}

PX_TEST(other_content_types_are_told_by_http)
{
    static const char *const refused[] = {"application/json", "application/grpc-web",
                                          "application/grpc+json", "application/grpcx"};
    static const char *const taken[] = {"application/grpc", "application/grpc+proto",
                                        "Application/GRPC; charset=utf-8"};
    grpc_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(refused); i++) {
        grpc_header(&f, "content-type", refused[i]);
        grpc_ask(&f, SERVICE "ServerLive", px_str(""));
        CHECK_INT(f.http_status, 415);
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(taken); i++) {
        grpc_header(&f, "content-type", taken[i]);
        grpc_ask(&f, SERVICE "ServerLive", px_str(""));
        CHECK_INT(f.status, 0);
    }
    struct px_http_exchange *exchange = grpc_begin(&f, SERVICE "ServerLive");
    exchange->request.method = PX_HTTP_GET;
    f.handler.handle(f.handler.context, exchange);
    CHECK_INT(exchange->status, 405);
    grpc_tear_down(&f);
}

PX_TEST(only_http2_requests_are_taken)
{
    const struct px_http_header header = {PX_STR("content-type"), PX_STR("application/grpc")};
    struct px_http_request request = {
        .version = PX_HTTP_2, .path = PX_STR(SERVICE "ModelInfer"), .headers = &header};
    CHECK(px_grpc_takes(&request));
    request.path = px_str("/inference.GRPCInferenceServiceX/ModelInfer");
    CHECK(!px_grpc_takes(&request));
    request.n_headers = 1;
    CHECK(px_grpc_takes(&request));
    request.version = PX_HTTP_1_1;
    CHECK(!px_grpc_takes(&request));
}

struct bad_frame {
    const char *bytes;
    size_t len;
    int status;
};

PX_TEST(a_unary_body_holds_exactly_one_message)
{
    static const struct bad_frame rows[] = {
        {"", 0, 3},
        {"\0\0\0\0", 4, 3},
        {"\0\0\0\0\1", 5, 3},
        {"\0\0\0\0\0x", 6, 3},
        {"\0\0\0\0\0\0\0\0\0\0", 10, 3},
        {"\2\0\0\0\0", 5, 3},
        {"\0\xff\xff\xff\xff", 5, 8},
        {"\1\0\0\0\0", 5, 13}, /* compressed, and nobody says how */
    };
    grpc_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++) {
        grpc_ask_raw(&f, SERVICE "ServerLive", px_str_n(rows[i].bytes, rows[i].len));
        CHECK_INT(f.status, rows[i].status);
        CHECK_INT(f.http_status, 200);
    }
    grpc_tear_down(&f);
}

PX_TEST(what_the_transport_refuses_gets_a_status)
{
    struct px_err err;
    grpc_set_up(&f);
    struct px_http_exchange *exchange = grpc_begin(&f, SERVICE "ModelInfer");
    px_err_set(&err, PX_E_TOO_LARGE, "body too large");
    f.handler.refuse(f.handler.context, exchange, &err);
    grpc_collect(&f);
    CHECK_INT(f.status, 8);
    CHECK_INT(f.http_status, 200);
    grpc_tear_down(&f);
}

PX_TEST(messages_of_statuses_are_percent_encoded)
{
    static const char request[] = "\x0a\x08"
                                  "a% \xc3\xa9\n\x7f~";
    grpc_set_up(&f);
    grpc_ask(&f, "/grpc.health.v1.Health/Check", px_str(request));
    CHECK_INT(f.status, 5);
    CHECK_CONTAINS(f.fields, "'a%25 %C3%A9%0A%7F~'");
    grpc_tear_down(&f);
}

PX_TEST(compressed_requests_are_read_and_long_replies_compressed)
{
    static float values[2 * 90];
    static const int64_t shape[] = {90, 2};
    struct px_buf plain = px_buf(1 << 16), packed = px_buf(1 << 16);
    grpc_set_up_with(&f, make_coder(), make_coder());
    grpc_put_infer(&plain, "m", "", values, shape);
    for (int round = 0; round < 3; round++) {
        px_buf_clear(&packed);
        char prefix[5] = {1, 0, 0, (char)(plain.len >> 8), (char)plain.len};
        px_buf_append(&packed, prefix, 5);
        CHECK_OK(flip(NULL, PX_CODING_GZIP, px_buf_view(&plain), &packed, NULL));
        grpc_header(&f, "grpc-encoding", round == 2 ? "br" : "gzip");
        if (round == 1)
            grpc_header(&f, "grpc-accept-encoding", "identity, deflate, gzip");
        grpc_ask_raw(&f, SERVICE "ModelInfer", px_buf_view(&packed));
        CHECK_INT(f.status, round == 2 ? 12 : 0);
        if (round < 2)
            CHECK_INT(f.rest.buf.ptr[0], 0); /* 760 bytes: not worth it */
    }
    CHECK_CONTAINS(f.fields, "grpc-accept-encoding: identity,gzip,deflate,zstd\r\n");
    px_buf_deinit(&plain);
    px_buf_deinit(&packed);
    grpc_tear_down(&f);
}

PX_TEST(long_replies_are_compressed_for_clients_that_compress)
{
    struct px_buf packed = px_buf(1 << 16);
    grpc_set_up_with(&f, make_coder(), make_coder());
    for (int accepts = 0; accepts < 2; accepts++) {
        static float values[2 * 100];
        static const int64_t shape[] = {100, 2};
        struct px_buf plain = px_buf(1 << 16);
        grpc_put_infer(&plain, "m", "", values, shape);
        size_t output = px_protobuf_begin(&plain, 6);
        px_protobuf_put_text(&plain, 1, "o");
        px_protobuf_put_bytes(&plain, 2,
                              px_str_n("\x0a\x0e"
                                       "classification\x12\x02\x10\x02",
                                       20));
        px_protobuf_end(&plain, output);
        px_buf_clear(&packed);
        char prefix[5] = {1, 0, 0, (char)(plain.len >> 8), (char)plain.len};
        px_buf_append(&packed, prefix, 5);
        CHECK_OK(flip(NULL, PX_CODING_GZIP, px_buf_view(&plain), &packed, NULL));
        grpc_header(&f, "grpc-encoding", "gzip");
        if (accepts)
            grpc_header(&f, "grpc-accept-encoding", "identity, gzip");
        grpc_ask_raw(&f, SERVICE "ModelInfer", px_buf_view(&packed));
        CHECK_INT(f.status, 0);
        CHECK_INT(f.rest.buf.ptr[0], accepts);
        CHECK(!accepts == !strstr(f.fields, "grpc-encoding: gzip\r\n"));
        px_buf_deinit(&plain);
    }
    px_buf_deinit(&packed);
    grpc_tear_down(&f);
}

PX_TEST(one_long_message_does_not_keep_its_memory)
{
    static const char long_text[2 * PX_GRPC_SCRATCH_KEPT];
    struct px_buf plain = px_buf(1 << 20), packed = px_buf(1 << 20);
    grpc_set_up_with(&f, make_coder(), make_coder());
    for (size_t n = 10; n <= sizeof long_text; n += sizeof long_text - 10) {
        px_buf_clear(&plain);
        px_buf_clear(&packed);
        px_protobuf_put_bytes(&plain, 15, px_str_n(long_text, n)); /* nobody's field */
        grpc_frame(&packed, px_buf_view(&plain));
        packed.len = 5;
        packed.ptr[0] = 1;
        CHECK_OK(flip(NULL, PX_CODING_GZIP, px_buf_view(&plain), &packed, NULL));
        grpc_header(&f, "grpc-encoding", "gzip");
        grpc_ask_raw(&f, SERVICE "ServerLive", px_buf_view(&packed));
        CHECK_INT(f.status, 0);
        CHECK(f.grpc->per_loop[1].scratch.cap <= PX_GRPC_SCRATCH_KEPT);
    }
    px_buf_deinit(&plain);
    px_buf_deinit(&packed);
    grpc_tear_down(&f);
}

PX_TEST(timeouts_are_of_eight_digits_and_a_unit)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {{"1H", 3600000000000u},
                {"2M", 120000000000u},
                {"3S", 3000000000u},
                {"2510m", 2510000000u},
                {"4u", 4000},
                {"99999999n", 99999999},
                {"0n", 0},
                {"24H", 86400000000000u},
                {"25H", 86400000000000u},      /* a day at most */
                {"5124096H", 86400000000000u}, /* 585 years do not fit */
                {"99999999H", 86400000000000u}};
    static const char *const bad[] = {"", "5", "S", "1s", "-1S", "123456789n", "1 S", "1.5S"};
    uint64_t ns;
    for (size_t i = 0; i < PX_ARRAY_LEN(good); i++) {
        CHECK(px_grpc_parse_timeout(px_str(good[i].text), &ns));
        CHECK(ns == good[i].ns);
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(bad); i++)
        CHECK(!px_grpc_parse_timeout(px_str(bad[i]), &ns));
}

PX_TEST(health_checks_have_the_known_bytes)
{
    static const char list[] = "\x0a\x06\x0a\x00\x12\x02\x08\x01\x0a\x24\x0a\x1e"
                               "inference.GRPCInferenceService\x12\x02\x08\x01";
    grpc_set_up(&f);
    grpc_ask(&f, "/grpc.health.v1.Health/Check", px_str(""));
    CHECK_STR(f.reply, "\x08\x01");
    grpc_ask(&f, "/grpc.health.v1.Health/Check", px_str("\x0a\x15grpc.health.v1.Health"));
    CHECK_STR(f.reply, "\x08\x01");
    grpc_ask(&f, "/grpc.health.v1.Health/List", px_str(""));
    CHECK(f.reply.len > sizeof list - 1);
    CHECK(memcmp(f.reply.ptr, list, sizeof list - 1) == 0);
    px_serving_drain(f.rest.serving);
    grpc_ask(&f, "/grpc.health.v1.Health/Check", px_str(""));
    CHECK_STR(f.reply, "\x08\x02");
    grpc_tear_down(&f);
}

PX_TEST(statistics_count_what_was_scored)
{
    static const float values[] = {1, 2, 3, 4};
    struct px_buf buf = px_buf(1 << 10);
    grpc_set_up(&f);
    grpc_put_infer(&buf, "m", "", values, (const int64_t[]){2, 2});
    grpc_ask(&f, SERVICE "ModelInfer", px_buf_view(&buf));
    grpc_ask(&f, SERVICE "ModelStatistics",
             px_str("\x0a\x01m\x12\x01"
                    "1"));
    CHECK_INT(f.status, 0);
    struct px_protobuf p = px_protobuf(f.reply);
    struct px_protobuf_field field;
    CHECK(px_protobuf_next(&p, &field));
    p = px_protobuf(field.bytes);
    uint64_t rows = 0, calls = 0;
    while (px_protobuf_next(&p, &field)) {
        rows = field.number == 4 ? field.value : rows;
        calls = field.number == 5 ? field.value : calls;
    }
    CHECK_OK(px_protobuf_check(&p, "it", NULL));
    CHECK_INT(rows, 2);
    CHECK_INT(calls, 1);
    grpc_ask(&f, SERVICE "ModelStatistics", px_str("\x0a\x06nobody"));
    CHECK_INT(f.status, 5);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST_MAIN(T(server_live_has_the_captured_bytes) T(readiness_ends_when_draining_begins)
                 T(unknown_methods_are_unimplemented) T(other_content_types_are_told_by_http)
                     T(only_http2_requests_are_taken) T(a_unary_body_holds_exactly_one_message)
                         T(what_the_transport_refuses_gets_a_status)
                             T(messages_of_statuses_are_percent_encoded)
                                 T(compressed_requests_are_read_and_long_replies_compressed)
                                     T(long_replies_are_compressed_for_clients_that_compress)
                                         T(one_long_message_does_not_keep_its_memory)
                                             T(timeouts_are_of_eight_digits_and_a_unit)
                                                 T(health_checks_have_the_known_bytes)
                                                     T(statistics_count_what_was_scored))
