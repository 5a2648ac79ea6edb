/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "infrastructure/coding/coder.h"
#include "infrastructure/net/coding/coding.h"

/* Text of `n` bytes that compresses well. */
static struct px_buf make_text(size_t n)
{
    struct px_buf text = px_buf(1 << 20);
    for (size_t i = 0; i < n; i++)
        px_buf_byte(&text, "0123456789"[i / 40 % 10]);
    return text;
}

static struct px_buf encode(struct px_str text, enum px_coding coding)
{
    struct px_coder *coder = NULL;
    struct px_buf out = px_buf(1 << 20);
    CHECK_OK(px_coder_create(&coder, NULL));
    CHECK_OK(px_coder_encode(coder, coding, text, &out, NULL));
    px_coder_destroy(coder);
    return out;
}

/* Of the loop; one for all tests. */
static struct px_coder *own_coder(void)
{
    static struct px_coder *coder;
    if (!coder)
        CHECK_OK(px_coder_create(&coder, NULL));
    return coder;
}

static size_t room = SIZE_MAX; /* what the loop can spare */

/* A request with this Content-Encoding, decoded with a limit. */
static enum px_code decode(const char *header, struct px_str body, size_t max,
                           struct px_http_request *ret, struct px_arena *arena, struct px_err *err)
{
    static struct px_http_header headers[1];
    struct px_net_coding coding = px_net_coding(own_coder(), max);
    headers[0] = (struct px_http_header){px_str("content-encoding"), px_str(header)};
    *ret = (struct px_http_request){.headers = headers, .n_headers = 1, .body = body};
    *arena = px_arena(1 << 20);
    enum px_code code = px_net_decode_request(&coding, ret, arena, &room, err);
    px_net_coding_deinit(&coding);
    return code;
}

PX_TEST(every_coding_is_undone)
{
    static const char *const names[] = {"gzip",   "deflate", "zstd",
                                        "X-GZIP", " gzip ",  "identity, gzip"};
    static const enum px_coding codings[] = {PX_CODING_GZIP, PX_CODING_DEFLATE, PX_CODING_ZSTD,
                                             PX_CODING_GZIP, PX_CODING_GZIP,    PX_CODING_GZIP};
    struct px_buf text = make_text(5000);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct px_http_request request;
        struct px_arena arena;
        struct px_err err;
        struct px_buf packed = encode(px_buf_view(&text), codings[i]);
        CHECK_OK(decode(names[i], px_buf_view(&packed), 5000, &request, &arena, &err));
        CHECK(px_str_eq(request.body, px_buf_view(&text)) && request.coding.len == 0);
        px_arena_deinit(&arena);
        px_buf_deinit(&packed);
    }
    px_buf_deinit(&text);
}

PX_TEST(codings_on_top_of_each_other_are_undone_last_first)
{
    struct px_http_request request;
    struct px_arena arena;
    struct px_err err;
    struct px_buf text = make_text(3000), once = encode(px_buf_view(&text), PX_CODING_GZIP);
    struct px_buf twice = encode(px_buf_view(&once), PX_CODING_ZSTD);
    CHECK_OK(decode("gzip, zstd", px_buf_view(&twice), 3000, &request, &arena, &err));
    CHECK(px_str_eq(request.body, px_buf_view(&text)));
    px_arena_deinit(&arena);
    CHECK_INT(decode("zstd, gzip", px_buf_view(&twice), 3000, &request, &arena, &err),
              PX_E_INVALID);
    px_arena_deinit(&arena);
    px_buf_deinit(&text);
    px_buf_deinit(&once);
    px_buf_deinit(&twice);
}

PX_TEST(what_is_not_known_is_left_for_the_handler_to_refuse)
{
    static const char *const names[] = {"br", "gzip, br", "br, gzip", "gzip, gzip, gzip"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct px_http_request request;
        struct px_arena arena;
        struct px_err err;
        CHECK_OK(decode(names[i], px_str("body"), 100, &request, &arena, &err));
        CHECK_STR(request.coding, names[i]);
        CHECK_STR(request.body, "body");
        px_arena_deinit(&arena);
    }
}

PX_TEST(a_body_that_becomes_too_large_is_refused)
{
    struct px_http_request request;
    struct px_arena arena;
    struct px_err err;
    struct px_buf text = make_text(5000), packed = encode(px_buf_view(&text), PX_CODING_GZIP);
    CHECK_INT(decode("gzip", px_buf_view(&packed), 4999, &request, &arena, &err), PX_E_TOO_LARGE);
    CHECK_CONTAINS(err.message, "4999");
    px_arena_deinit(&arena);
    CHECK_INT(decode("gzip", px_str("{}"), 4999, &request, &arena, &err), PX_E_INVALID);
    px_arena_deinit(&arena);
    px_buf_deinit(&text);
    px_buf_deinit(&packed);
}

PX_TEST(a_body_takes_no_more_than_the_loop_can_spare)
{
    static const enum px_coding codings[] = {PX_CODING_GZIP, PX_CODING_DEFLATE, PX_CODING_ZSTD};
    struct px_buf text = make_text(5000);
    for (size_t i = 0; i < PX_ARRAY_LEN(codings); i++) {
        struct px_http_request request;
        struct px_arena arena;
        struct px_err err;
        const char *name = px_coding_name(codings[i]);
        struct px_buf packed = encode(px_buf_view(&text), codings[i]);
        room = 4999;
        CHECK_INT(decode(name, px_buf_view(&packed), 100000, &request, &arena, &err),
                  PX_E_OVERLOADED);
        CHECK(err.hint[0] && room == 4999 && arena.used == 0);
        px_arena_deinit(&arena);
        room = 5001;
        CHECK_OK(decode(name, px_buf_view(&packed), 100000, &request, &arena, &err));
        CHECK(px_str_eq(request.body, px_buf_view(&text)) && room == 1);
        px_arena_deinit(&arena);
        px_buf_deinit(&packed);
    }
    room = SIZE_MAX;
    px_buf_deinit(&text);
}

PX_TEST(without_a_coder_nothing_is_known_and_nothing_encoded)
{
    struct px_net_coding coding = px_net_coding(NULL, 1 << 20);
    struct px_http_header headers[] = {{px_str("content-encoding"), px_str("gzip")},
                                       {px_str("accept-encoding"), px_str("gzip")}};
    struct px_buf text = make_text(5000), packed = encode(px_buf_view(&text), PX_CODING_GZIP);
    struct px_arena arena = px_arena(1 << 20);
    struct px_http_exchange exchange = {
        .request = {.headers = headers, .n_headers = 2, .body = px_buf_view(&packed)},
        .body = &text};
    CHECK_OK(px_net_decode_request(&coding, &exchange.request, &arena, &room, NULL));
    CHECK_STR(exchange.request.coding, "gzip");
    px_net_encode_response(&coding, &exchange);
    CHECK_INT(exchange.coding, PX_CODING_NONE);
    CHECK_INT(text.len, 5000);
    px_arena_deinit(&arena);
    px_buf_deinit(&text);
    px_buf_deinit(&packed);
    px_net_coding_deinit(&coding);
}

/* The scratch buffer has kept memory beyond the limit of the moment. */
PX_TEST(a_warm_buffer_does_not_lift_the_limit)
{
    struct px_net_coding coding = px_net_coding(own_coder(), 100000);
    struct px_http_header header = {px_str("content-encoding"), px_str("gzip")};
    struct px_buf text = make_text(50000), packed = encode(px_buf_view(&text), PX_CODING_GZIP);
    struct px_arena arena = px_arena(1 << 20);
    for (int i = 0; i < 2; i++) {
        size_t left = i ? 20000 : 50000;
        struct px_http_request request = {
            .headers = &header, .n_headers = 1, .body = px_buf_view(&packed)};
        struct px_err err;
        CHECK_INT(px_net_decode_request(&coding, &request, &arena, &left, &err),
                  i ? PX_E_OVERLOADED : PX_OK);
    }
    px_arena_deinit(&arena);
    px_buf_deinit(&text);
    px_buf_deinit(&packed);
    px_net_coding_deinit(&coding);
}

PX_TEST(the_clients_preference_is_followed)
{
    static const struct {
        const char *accepted;
        enum px_coding coding;
    } cases[] = {
        {"gzip, deflate", PX_CODING_GZIP},
        {"deflate, gzip", PX_CODING_DEFLATE},
        {"gzip;q=0.5, zstd", PX_CODING_ZSTD},
        {"gzip; q=0.5 , deflate;q=0.501", PX_CODING_DEFLATE},
        {"identity, gzip", PX_CODING_NONE},
        {"identity;q=0.1, gzip;q=0.2", PX_CODING_GZIP},
        {"gzip;q=0", PX_CODING_NONE},
        {"gzip;q=0.000, *;q=0", PX_CODING_NONE},
        {"*", PX_CODING_GZIP},
        {"gzip;q=0, *", PX_CODING_DEFLATE},
        {"*;q=0.5, GZIP;q=0, deflate;q=0", PX_CODING_ZSTD},
        {"gzip;q=0, deflate;q=0, zstd;q=0, *", PX_CODING_NONE},
        {"gzip;q=0.5, *;q=0", PX_CODING_GZIP},
        {"br", PX_CODING_NONE},
        {"br, zstd;q=0.9", PX_CODING_ZSTD},
        {"", PX_CODING_NONE},
        {",,;;q=,", PX_CODING_NONE},
        {"GZIP;Q=1.0", PX_CODING_GZIP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_INT(px_net_choose_coding(px_str(cases[i].accepted)), cases[i].coding);
}

/* A response to a client that accepts gzip. */
static void check_response(struct px_str body, bool is_static, bool coded)
{
    static struct px_http_header headers[1];
    struct px_net_coding coding = px_net_coding(own_coder(), 1 << 20);
    struct px_buf out = px_buf(1 << 20);
    headers[0] = (struct px_http_header){px_str("accept-encoding"), px_str("gzip")};
    struct px_http_exchange exchange = {.request = {.headers = headers, .n_headers = 1},
                                        .body = &out};
    if (is_static)
        exchange.static_body = body;
    else
        px_buf_str(&out, body);
    px_net_encode_response(&coding, &exchange);
    CHECK((exchange.coding == PX_CODING_GZIP) == coded);
    if (coded) {
        struct px_buf plain = px_buf(1 << 20);
        CHECK(exchange.static_body.len == 0 && out.len < body.len);
        CHECK_OK(px_coder_decode(coding.coder, PX_CODING_GZIP, px_buf_view(&out), &plain, NULL));
        CHECK(px_str_eq(px_buf_view(&plain), body));
        px_buf_deinit(&plain);
    } else {
        CHECK(px_str_eq(is_static ? exchange.static_body : px_buf_view(&out), body));
    }
    px_net_coding_deinit(&coding);
    px_buf_deinit(&out);
}

PX_TEST(responses_are_encoded_where_that_makes_them_smaller)
{
    struct px_buf text = make_text(3000), noise = px_buf(1 << 20);
    uint32_t state = 1;
    for (int i = 0; i < 3000; i++)
        px_buf_byte(&noise, (char)((state = state * 1664525u + 1013904223u) >> 24));
    check_response(px_buf_view(&text), false, true);
    check_response(px_buf_view(&text), true, true);
    check_response(px_str_n(text.ptr, PX_NET_CODING_BYTES_MIN - 1), false, false);
    check_response(px_buf_view(&noise), false, false);
    check_response((struct px_str){0}, false, false);
    px_buf_deinit(&text);
    px_buf_deinit(&noise);
}

PX_TEST_MAIN(T(every_coding_is_undone) T(codings_on_top_of_each_other_are_undone_last_first)
                 T(what_is_not_known_is_left_for_the_handler_to_refuse)
                     T(a_body_that_becomes_too_large_is_refused)
                         T(a_body_takes_no_more_than_the_loop_can_spare)
                             T(without_a_coder_nothing_is_known_and_nothing_encoded)
                                 T(a_warm_buffer_does_not_lift_the_limit)
                                     T(the_clients_preference_is_followed)
                                         T(responses_are_encoded_where_that_makes_them_smaller))
