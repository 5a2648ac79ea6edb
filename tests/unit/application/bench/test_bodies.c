/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "virtual_load.h"

#include "application/bench/bodies.h"
#include "shared/json.h"

static const char plain[] =
    "{\"name\":\"m\",\"versions\":[\"1\"],\"platform\":\"x\",\"inputs\":[{\"name\":\"input\","
    "\"datatype\":\"FP32\",\"shape\":[-1,3]}],\"outputs\":[]}";
static const char columns[] =
    "{\"inputs\":[{\"name\":\"age\",\"datatype\":\"FP32\",\"shape\":[-1,1]},"
    "{\"name\":\"job\",\"datatype\":\"BYTES\",\"shape\":[-1,1]},"
    "{\"name\":\"since\",\"datatype\":\"BYTES\",\"shape\":[-1,1]},"
    "{\"name\":\"code\",\"datatype\":\"INT64\",\"shape\":[-1,1]},"
    "{\"name\":\"own\",\"datatype\":\"BOOL\",\"shape\":[-1,1]}]}";
static const char guide[] =
    "{\"models\":[{\"name\":\"m\",\"version\":\"1\",\"default\":false,\"signature\":{\"features\":["
    "{\"name\":\"job\","
    "\"type\":\"category\",\"categories\":[\"old\"]}]}},"
    "{\"name\":\"m\",\"version\":\"2\",\"state\":\"READY\",\"default\":true,\"signature\":{"
    "\"task\":\"binary\","
    "\"features\":[{\"name\":\"age\",\"type\":\"number\"},{\"name\":\"job\",\"type\":\"category\","
    "\"categories\":[\"clerk\",\"cook\"]},{\"name\":\"since\",\"type\":\"datetime\"},"
    "{\"name\":\"code\",\"type\":\"category\"},{\"name\":\"own\",\"type\":\"boolean\"}]},"
    "\"sample\":{\"age\":5000000,\"job\":\"cook\"}}]}";
static const char three[] = "{\"models\":[{\"name\":\"m\",\"default\":true,\"signature\":{"
                            "\"features\":[{\"name\":\"a\",\"type\":\"number\"},"
                            "{\"name\":\"b\",\"type\":\"boolean\"},{\"name\":\"c\",\"type\":"
                            "\"category\"}]},\"sample\":{\"a\":-7e9}}]}";

static struct px_bodies bodies;
static struct px_err err;

static enum px_code make(const struct virtual_page *pages, enum px_bench_protocol protocol,
                         size_t rows)
{
    struct virtual_server server = {.pages = pages};
    struct px_load *load = virtual_load_create(&server);
    const struct px_endpoint endpoint = {
        .address = {"h", 1},
        .protocol = protocol,
        .path = px_str("/x"),
        .metadata_path = px_str("/v2/models/m"),
        .model = px_str("m"),
    };
    const struct px_bodies_options options = {.rows = rows, .seed = 5};
    err = (struct px_err){0};
    enum px_code code = px_bodies_make(&bodies, load, &endpoint, &options, &err);
    px_load_destroy(load);
    return code;
}

static void check_json(void)
{
    for (size_t i = 0; i < bodies.n; i++) {
        struct px_arena arena = px_arena(1 << 20);
        struct px_json json;
        px_json_init(&json, bodies.bodies[i], &arena, 0);
        px_json_skip(&json);
        CHECK_OK(px_json_finish(&json, NULL));
        px_arena_deinit(&arena);
    }
}

static bool contains(struct px_str text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

PX_TEST(one_tensor_of_numbers)
{
    const struct virtual_page pages[] = {{"/v2/models/m", 200, plain}, {0}};
    CHECK_OK(make(pages, PX_BENCH_V2, 2));
    CHECK_INT(bodies.n, PX_BODIES_VARIANTS);
    CHECK_INT(bodies.n_features, 3);
    CHECK(!bodies.guided);
    check_json();
    CHECK(contains(bodies.bodies[0], "\"shape\":[2,3],\"datatype\":\"FP32\",\"data\":["));
    CHECK(!px_str_eq(bodies.bodies[0], bodies.bodies[1]));
    px_bodies_deinit(&bodies);
}

PX_TEST(the_same_seed_makes_the_same_bodies)
{
    const struct virtual_page pages[] = {{"/v2/models/m", 200, plain}, {0}};
    CHECK_OK(make(pages, PX_BENCH_V2, 1));
    struct px_bodies first = bodies;
    CHECK_OK(make(pages, PX_BENCH_V2, 1));
    CHECK(px_str_eq(px_buf_view(&first.text), px_buf_view(&bodies.text)));
    px_bodies_deinit(&first);
    px_bodies_deinit(&bodies);
}

PX_TEST(columns_of_every_kind_use_what_the_server_tells)
{
    const struct virtual_page pages[] = {
        {"/v2/models/m", 200, columns}, {"/api/v1/models", 200, guide}, {0}};
    CHECK_OK(make(pages, PX_BENCH_V2, 3));
    CHECK(bodies.guided);
    CHECK_INT(bodies.n_features, 5);
    check_json();
    struct px_str all = px_buf_view(&bodies.text);
    CHECK(contains(all, "\"clerk\"") && contains(all, "\"cook\"") && !contains(all, "\"old\""));
    CHECK(contains(all, "T") && contains(all, ":00Z\""));
    CHECK(contains(all, "true") && contains(all, "false"));
    px_bodies_deinit(&bodies);
}

PX_TEST(v1_rows_have_the_features_in_order)
{
    const struct virtual_page pages[] = {
        {"/v2/models/m", 200, columns}, {"/api/v1/models", 200, guide}, {0}};
    CHECK_OK(make(pages, PX_BENCH_V1, 2));
    check_json();
    struct px_arena arena = px_arena(1 << 20);
    struct px_json json;
    struct px_str key;
    size_t n_rows = 0;
    px_json_init(&json, bodies.bodies[0], &arena, 0);
    px_json_enter_object(&json);
    CHECK(px_json_next_key(&json, &key) && px_str_is(key, "instances"));
    px_json_enter_array(&json);
    for (; px_json_next_element(&json); n_rows++) {
        px_json_enter_array(&json);
        CHECK(px_json_next_element(&json) && fabs(px_json_f64(&json)) > 1000);
        CHECK(px_json_next_element(&json) && px_json_str(&json).ptr[0] == 'c');
        CHECK(px_json_next_element(&json) && px_json_str(&json).len == 20);
        CHECK(px_json_next_element(&json) && px_json_u64(&json) < 10);
        CHECK(px_json_next_element(&json));
        (void)px_json_bool(&json);
        CHECK(!px_json_next_element(&json));
    }
    CHECK(!px_json_failed(&json));
    CHECK_INT(n_rows, 2);
    px_arena_deinit(&arena);
    px_bodies_deinit(&bodies);
}

PX_TEST(features_of_one_tensor_have_their_own_kinds)
{
    const struct virtual_page pages[] = {
        {"/v2/models/m", 200, plain}, {"/api/v1/models", 200, three}, {0}};
    CHECK_OK(make(pages, PX_BENCH_V1, 1));
    CHECK(contains(px_buf_view(&bodies.text), "true,"));
    px_bodies_deinit(&bodies);
    CHECK_OK(make(pages, PX_BENCH_V2, 1));
    CHECK(!contains(px_buf_view(&bodies.text), "true")); /* a tensor of numbers has numbers */
    px_bodies_deinit(&bodies);
}

PX_TEST(text_that_nobody_described_is_sent_as_some_text)
{
    const struct virtual_page pages[] = {
        {"/v2/models/m", 200, columns}, {"/api/v1/models", 200, "{\"models\":3}"}, {0}};
    CHECK_OK(make(pages, PX_BENCH_V2, 1));
    CHECK(!bodies.guided);
    CHECK(contains(bodies.bodies[0], "[\"a\"]"));
    px_bodies_deinit(&bodies);
}

PX_TEST(large_requests_have_fewer_variants)
{
    const struct virtual_page pages[] = {{"/v2/models/m", 200, plain}, {0}};
    CHECK_OK(make(pages, PX_BENCH_V2, 200000));
    CHECK(bodies.n >= 1 && bodies.n < PX_BODIES_VARIANTS);
    CHECK(bodies.text.len <= PX_BODIES_BYTES_MAX);
    px_bodies_deinit(&bodies);
    CHECK_INT(make(pages, PX_BENCH_V2, PX_BODIES_ROWS_MAX * 8), PX_E_TOO_LARGE);
    px_bodies_deinit(&bodies);
}

PX_TEST(an_unknown_model_is_told_with_those_there_are)
{
    const struct virtual_page pages[] = {{"/v1/models", 200, "{\"models\":[\"bank\",\"fraud\"]}"},
                                         {0}};
    CHECK_INT(make(pages, PX_BENCH_V2, 1), PX_E_NOT_FOUND);
    CHECK_CONTAINS(err.message, "404");
    CHECK_CONTAINS(err.hint, "bank, fraud");
    px_bodies_deinit(&bodies);
    const struct virtual_page nothing[] = {{0}};
    CHECK_INT(make(nothing, PX_BENCH_V2, 1), PX_E_NOT_FOUND);
    CHECK_CONTAINS(err.hint, "--body");
    px_bodies_deinit(&bodies);
}

PX_TEST(a_model_that_is_not_ready_is_told_with_the_reason)
{
    const struct virtual_page pages[] = {{"/v2/models/m", 503, "{\"error\":\"it is broken\"}"},
                                         {0}};
    CHECK_INT(make(pages, PX_BENCH_V2, 1), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(err.message, "it is broken");
    px_bodies_deinit(&bodies);
}

PX_TEST(what_is_no_metadata_is_refused)
{
    static const char *const cases[] = {
        "",
        "<html>",
        "[]",
        "{}",
        "{\"inputs\":[]}",
        "{\"inputs\":[{\"name\":\"a\",\"datatype\":\"FP33\",\"shape\":[-1,1]}]}",
        "{\"inputs\":[{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[-1,99999999]}]}",
        "{\"inputs\":[{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[1,1,1,1,1,1,1,1,1,1]}]}",
        "{\"inputs\":[{\"name\":\"a\"",
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        const struct virtual_page pages[] = {{"/v2/models/m", 200, cases[i]}, {0}};
        CHECK_INT(make(pages, PX_BENCH_V2, 1), PX_E_CORRUPT);
        CHECK_CONTAINS(err.message, "/v2/models/m");
        px_bodies_deinit(&bodies);
    }
}

PX_TEST(a_body_of_the_caller_s_is_sent_as_it_is)
{
    CHECK_OK(px_bodies_take(&bodies, px_str("{\"x\": 1}\n"), NULL));
    CHECK_INT(bodies.n, 1);
    CHECK_STR(bodies.bodies[0], "{\"x\": 1}\n");
    px_bodies_deinit(&bodies);
}

PX_TEST(no_memory_is_an_error_whenever_it_comes)
{
    const struct virtual_page pages[] = {
        {"/v2/models/m", 200, columns}, {"/api/v1/models", 200, guide}, {0}};
    struct virtual_server server = {.pages = pages};
    struct px_load *load = virtual_load_create(&server);
    const struct px_endpoint endpoint = {.protocol = PX_BENCH_V2,
                                         .path = px_str("/x"),
                                         .metadata_path = px_str("/v2/models/m"),
                                         .model = px_str("m")};
    const struct px_bodies_options options = {.rows = 1, .seed = 5};
    enum px_code code = PX_E_NO_MEMORY;
    for (uint64_t n = 1; code != PX_OK && n < 200; n++) {
        px_alloc_fail_at(n);
        code = px_bodies_make(&bodies, load, &endpoint, &options, &err);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        px_bodies_deinit(&bodies);
    }
    CHECK_OK(code);
    px_load_destroy(load);
}

PX_TEST_MAIN(T(one_tensor_of_numbers) T(the_same_seed_makes_the_same_bodies)
                 T(columns_of_every_kind_use_what_the_server_tells)
                     T(v1_rows_have_the_features_in_order)
                         T(features_of_one_tensor_have_their_own_kinds)
                             T(text_that_nobody_described_is_sent_as_some_text)
                                 T(large_requests_have_fewer_variants)
                                     T(an_unknown_model_is_told_with_those_there_are)
                                         T(a_model_that_is_not_ready_is_told_with_the_reason)
                                             T(what_is_no_metadata_is_refused)
                                                 T(a_body_of_the_caller_s_is_sent_as_it_is)
                                                     T(no_memory_is_an_error_whenever_it_comes))
