/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and replies of the Open Inference Protocol as a client has them, against bytes of real clients and servers. */
#include "infrastructure/engines/remote/codec.h"

#include "harness.h"

static const float two[2] = {1, 2};
static struct px_tensor x = {.name = PX_STR("x"),
                             .type = PX_TYPE_FP32,
                             .shape = {2},
                             .n_dims = 1,
                             .bytes = {(const char *)two, sizeof two}};

static struct px_remote_ask ask_of(struct px_run *run, struct px_tensor *outputs, size_t n_outputs)
{
    *run = (struct px_run){.inputs = &x, .n_inputs = 1, .outputs = outputs, .n_outputs = n_outputs};
    return (struct px_remote_ask){.model = PX_STR("m"), .run = run};
}

PX_TEST(a_request_by_grpc_is_that_of_other_clients)
{
    /* model "m", input x FP32 [2] = {1, 2} raw: what tritonclient sends, without its id */
    static const char golden[] = "\0\0\0\0\x1b\x0a\x01m\x2a\x0c\x0a\x01x\x12\x04"
                                 "FP32\x1a\x01\x02\x3a\x08\0\0\x80\x3f\0\0\0\x40";
    struct px_run run;
    struct px_remote_ask ask = ask_of(&run, NULL, 0);
    struct px_buf body = px_buf(4096);
    CHECK_OK(px_remote_grpc_write(&ask, &body, NULL));
    CHECK(px_str_eq(px_buf_view(&body), px_str_n(golden, sizeof golden - 1)));
    px_buf_deinit(&body);
}

PX_TEST(a_request_by_http_is_that_of_other_clients)
{
    static const char head[] =
        "{\"parameters\":{\"binary_data_output\":true,\"timeout\":1500,\"sequence_id\":7,"
        "\"sequence_start\":true,\"sequence_end\":false},\"inputs\":[{\"name\":\"x\",\"shape\":[2],"
        "\"datatype\":\"FP32\",\"parameters\":{\"binary_data_size\":8}}],\"outputs\":[{\"name\":"
        "\"o\","
        "\"parameters\":{\"binary_data\":true}}]}";
    struct px_run run;
    struct px_tensor output = {.name = PX_STR("o")};
    struct px_remote_ask ask = ask_of(&run, &output, 1);
    struct px_buf body = px_buf(4096);
    size_t json_len;
    run.sequence = (struct px_sequence_step){.id = 7, .start = true};
    ask.timeout_us = 1500;
    CHECK_OK(px_remote_http_write(&ask, true, &body, &json_len, NULL));
    CHECK_STR(px_str_n(body.ptr, json_len), head);
    CHECK(px_str_eq(px_str_n(body.ptr + json_len, body.len - json_len), x.bytes));
    px_buf_clear(&body);
    run.sequence = (struct px_sequence_step){0};
    ask.timeout_us = 0;
    CHECK_OK(px_remote_http_write(&ask, false, &body, &json_len, NULL));
    CHECK_STR(
        px_buf_view(&body),
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[2],\"datatype\":\"FP32\",\"data\":[1.0,2.0]}],"
        "\"outputs\":[{\"name\":\"o\"}]}");
    CHECK_INT(json_len, body.len);
    px_buf_deinit(&body);
}

/* Writes one input as JSON and gives the array of its data. */
static enum px_code write_data(struct px_tensor input, struct px_buf *body, struct px_err *err)
{
    struct px_run run = {.inputs = &input, .n_inputs = 1};
    struct px_remote_ask ask = {.model = PX_STR("m"), .run = &run};
    size_t json_len;
    px_buf_clear(body);
    return px_remote_http_write(&ask, false, body, &json_len, err);
}

PX_TEST(every_type_has_its_json)
{
    static const struct {
        enum px_datatype type;
        struct px_str bytes;
        uint64_t n;
        const char *json; /* NULL: has none */
    } cases[] = {
        {PX_TYPE_BOOL, PX_STR("\1\0"), 2, "[true,false]"},
        {PX_TYPE_INT8, PX_STR("\xff\x7f"), 2, "[-1,127]"},
        {PX_TYPE_INT16, PX_STR("\x00\x80"), 1, "[-32768]"},
        {PX_TYPE_UINT16, PX_STR("\xff\xff"), 1, "[65535]"},
        {PX_TYPE_INT32, PX_STR("\xfe\xff\xff\xff"), 1, "[-2]"},
        {PX_TYPE_INT64, PX_STR("\0\0\0\0\0\0\0\x80"), 1, "[-9223372036854775808]"},
        {PX_TYPE_UINT64, PX_STR("\xff\xff\xff\xff\xff\xff\xff\xff"), 1, "[18446744073709551615]"},
        {PX_TYPE_FP32, PX_STR("\0\0\xc0\x7f\0\0\x80\x7f"), 2, "[NaN,Infinity]"},
        {PX_TYPE_BYTES, PX_STR("\2\0\0\0\xc3\xa9\0\0\0\0"), 2, "[\"\xc3\xa9\",\"\"]"},
        {PX_TYPE_BYTES, PX_STR("\1\0\0\0\xff"), 1, NULL},
        {PX_TYPE_FP16, PX_STR("\0\0"), 1, NULL},
        {PX_TYPE_BF16, PX_STR("\0\0"), 1, NULL},
    };
    struct px_buf body = px_buf(4096);
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct px_err err = {0};
        struct px_tensor t = {.name = PX_STR("x"),
                              .type = cases[i].type,
                              .shape = {cases[i].n},
                              .n_dims = 1,
                              .bytes = cases[i].bytes};
        enum px_code code = write_data(t, &body, &err);
        CHECK_INT(code, cases[i].json ? PX_OK : PX_E_UNSUPPORTED);
        if (cases[i].json)
            CHECK_CONTAINS(px_buf_cstr(&body), cases[i].json);
        else
            CHECK_CONTAINS(err.message, "'x'");
    }
    px_buf_deinit(&body);
}

static enum px_code read_one(enum px_datatype type, const char *shape, const char *data,
                             struct px_tensor *ret, struct px_arena *arena, struct px_err *err)
{
    char reply[512];
    struct px_tensor_spec spec = {.name = PX_STR("y"), .type = type, .any_rank = true};
    struct px_tensor_specs gives = {&spec, 1};
    struct px_remote_answer answer = {&gives, ret, 1, arena};
    *ret = (struct px_tensor){.name = PX_STR("y")};
    snprintf(reply, sizeof reply,
             "{\"outputs\":[{\"data\":%s,\"shape\":%s,\"datatype\":\"%s\",\"name\":\"y\"}]}", data,
             shape, px_datatype_name(type));
    /* outputs of JSON live in the arena, so that the reply may go */
    return px_remote_http_read(px_arena_str(arena, px_str(reply)), strlen(reply), &answer, err);
}

PX_TEST(every_type_is_read_from_json)
{
    static const struct {
        enum px_datatype type;
        const char *shape, *data;
        struct px_str bytes;
    } good[] = {
        {PX_TYPE_BOOL, "[3]", "[true,false,1]", PX_STR("\1\0\1")},
        {PX_TYPE_INT8, "[2]", "[-128,127]", PX_STR("\x80\x7f")},
        {PX_TYPE_UINT8, "[1,2]", "[[255,0]]", PX_STR("\xff\0")},
        {PX_TYPE_INT16, "[2,1]", "[[1],[-1]]", PX_STR("\1\0\xff\xff")},
        {PX_TYPE_INT32, "[1]", "[-2147483648]", PX_STR("\0\0\0\x80")},
        {PX_TYPE_UINT64, "[]", "[18446744073709551615]",
         PX_STR("\xff\xff\xff\xff\xff\xff\xff\xff")},
        {PX_TYPE_FP32, "[1,2]", "[[null,-Infinity]]", PX_STR("\0\0\xc0\x7f\0\0\x80\xff")},
        {PX_TYPE_FP64, "[1]", "[1]", PX_STR("\0\0\0\0\0\0\xf0\x3f")},
        {PX_TYPE_BYTES, "[2]", "[\"\\u00e9\",\"\"]", PX_STR("\2\0\0\0\xc3\xa9\0\0\0\0")},
        {PX_TYPE_FP32, "[0,4]", "[]", PX_STR("")},
    };
    static const struct {
        enum px_datatype type;
        const char *shape, *data;
    } bad[] = {
        {PX_TYPE_INT8, "[1]", "[128]"},
        {PX_TYPE_UINT8, "[1]", "[-1]"},
        {PX_TYPE_INT32, "[1]", "[1.5]"},
        {PX_TYPE_BOOL, "[1]", "[2]"},
        {PX_TYPE_BOOL, "[1]", "[\"true\"]"},
        {PX_TYPE_INT64, "[2]", "[1]"},
        {PX_TYPE_INT64, "[1]", "[1,2]"},
        {PX_TYPE_INT64, "[1]", "{}"},
        {PX_TYPE_BYTES, "[1]", "[1]"},
        {PX_TYPE_FP16, "[1]", "[1]"},
        {PX_TYPE_FP32, "[1]", "1"},
        {PX_TYPE_FP32, "[1,1,1,1,1,1,1,1,1]", "[1]"},
        {PX_TYPE_INT64, "[1]", "[9223372036854775808]"},
    };
    struct px_arena arena = px_arena(1 << 20);
    struct px_tensor tensor;
    struct px_err err;
    for (size_t i = 0; i < PX_ARRAY_LEN(good); i++) {
        CHECK_OK(read_one(good[i].type, good[i].shape, good[i].data, &tensor, &arena, &err));
        bool nan = good[i].type == PX_TYPE_FP32 && tensor.bytes.len; /* any NaN will do */
        CHECK(nan || px_str_eq(tensor.bytes, good[i].bytes));
        CHECK_INT(tensor.bytes.len, good[i].bytes.len);
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(bad); i++)
        CHECK(read_one(bad[i].type, bad[i].shape, bad[i].data, &tensor, &arena, &err) != PX_OK);
    px_arena_deinit(&arena);
}

PX_TEST(a_reply_by_grpc_is_read_as_servers_send_it)
{
    /* model m v1 id 7, output o FP32 [2], raw: captured from a server */
    static const char golden[] = "\0\0\0\0\x21\x0a\x01m\x12\x01"
                                 "1\x1a\x01"
                                 "7\x2a\x0c\x0a\x01o\x12\x04"
                                 "FP32\x1a\x01\x02\x32\x08\0\0\x80\x3f\0\0\0\x40";
    struct px_tensor_spec spec = {
        .name = PX_STR("o"), .type = PX_TYPE_FP32, .shape = {-1}, .n_dims = 1};
    struct px_tensor_specs gives = {&spec, 1};
    struct px_tensor output = {.name = PX_STR("o")};
    struct px_remote_answer answer = {&gives, &output, 1, NULL};
    struct px_str message;
    CHECK_OK(px_remote_grpc_message(px_str_n(golden, sizeof golden - 1), &message, NULL));
    CHECK_OK(px_remote_grpc_read(message, &answer, NULL));
    CHECK(px_str_eq(output.bytes, x.bytes) && output.shape[0] == 2);
    for (size_t len = 0; len < sizeof golden - 1; len++)
        CHECK_INT(px_remote_grpc_message(px_str_n(golden, len), &message, NULL), PX_E_INVALID);
    CHECK_INT(px_remote_grpc_message(px_str_n("\1\0\0\0\0", 5), &message, NULL), PX_E_INVALID);
}

PX_TEST(shapes_that_a_server_does_not_know_are_not_held_against_tensors)
{
    static const char http[] =
        "{\"inputs\":[{\"name\":\"s\",\"datatype\":\"FP32\",\"shape\":[]},"
        "{\"name\":\"v\",\"datatype\":\"FP32\",\"shape\":[-1],\"parameters\":{\"unknown_rank\":"
        "false}},"
        "{\"name\":\"u\",\"datatype\":\"FP32\",\"parameters\":{\"a\":[1],\"unknown_rank\":true},"
        "\"shape\":[-1]},"
        "{\"name\":\"n\",\"datatype\":\"FP32\",\"parameters\":null}],\"outputs\":[]}";
    static const bool any_rank[] = {false, false, true, true};
    struct px_arena arena = px_arena(1 << 20);
    struct px_remote_metadata metadata;
    CHECK_OK(px_remote_http_read_metadata(px_str(http), &arena, &metadata, NULL));
    CHECK_INT(metadata.inputs.n, 4);
    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(metadata.inputs.list[i].any_rank, any_rank[i]);
        CHECK_INT(metadata.inputs.list[i].n_dims, i == 1);
    }
    /* over gRPC: TensorMetadata of s without a shape, v with [-1], u with [-1] and the parameter, and k that has
     * none, which the parameter says to be known */
    static const char grpc[] = "\x22\x09\x0a\x01s\x12\x04"
                               "FP32"
                               "\x22\x15\x0a\x01v\x12\x04"
                               "FP32"
                               "\x1a\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                               "\x22\x29\x0a\x01u\x12\x04"
                               "FP32"
                               "\x1a\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                               "\x22\x12\x0a\x0cunknown_rank\x12\x02\x08\x01"
                               "\x22\x1d\x0a\x01k\x12\x04"
                               "FP32"
                               "\x22\x12\x0a\x0cunknown_rank\x12\x02\x08\x00";
    CHECK_OK(
        px_remote_grpc_read_metadata(px_str_n(grpc, sizeof grpc - 1), &arena, &metadata, NULL));
    CHECK_INT(metadata.inputs.n, 4);
    CHECK(!metadata.inputs.list[3].any_rank && metadata.inputs.list[3].n_dims == 0);
    CHECK(metadata.inputs.list[0].any_rank && metadata.inputs.list[2].any_rank);
    CHECK(!metadata.inputs.list[1].any_rank && metadata.inputs.list[1].n_dims == 1);
    px_arena_deinit(&arena);
}

PX_TEST(ids_beyond_int64_go_as_uint64)
{
    static const struct {
        uint64_t id;
        const char *grpc;
        size_t len;
        const char *json;
    } cases[] = {
        {7, "\x12\x02\x10\x07", 4, "\"sequence_id\":7,"},
        {UINT64_MAX, "\x12\x0b\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13,
         "\"sequence_id\":18446744073709551615,"},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct px_run run = {.sequence = {.id = cases[i].id}};
        struct px_remote_ask ask = {.model = PX_STR("m"), .run = &run};
        struct px_buf to = px_buf(4096), json = px_buf(4096);
        size_t json_len;
        CHECK_OK(px_remote_grpc_write(&ask, &to, NULL));
        CHECK(memmem(to.ptr, to.len, cases[i].grpc, cases[i].len) != NULL);
        CHECK_OK(px_remote_http_write(&ask, false, &json, &json_len, NULL));
        CHECK_CONTAINS(px_buf_cstr(&json), cases[i].json);
        px_buf_deinit(&to);
        px_buf_deinit(&json);
    }
}

PX_TEST(texts_of_errors_are_decoded_bounded_and_printable)
{
    char text[24];
    px_remote_grpc_read_error(px_str("model a%25 caf%C3%A9 %zz%"), text, sizeof text);
    CHECK_CONTAINS(text, "model a% caf\xc3\xa9 %zz%");
    px_remote_http_read_error(px_str("{\"detail\":\"none\\nhere\"}"), text, sizeof text);
    CHECK_CONTAINS(text, "none here");
    px_remote_http_read_error(
        px_str("{\"error\":\"12345678901234567890\xc3\xa9\xc3\xa9 and more\"}"), text, sizeof text);
    CHECK(px_str_is_utf8(px_str(text)) && strlen(text) < sizeof text);
    px_remote_http_read_error(px_str(""), text, sizeof text);
    CHECK_INT(strlen(text), 0);
}

PX_TEST(paths_are_encoded)
{
    struct px_buf path = px_buf(256);
    px_remote_http_path(px_str("a b/\xc3\xa9"), px_str("3"), "/infer", &path);
    CHECK_STR(px_buf_view(&path), "/v2/models/a%20b%2F%C3%A9/versions/3/infer");
    px_buf_clear(&path);
    px_remote_http_path(px_str("m-1._~"), px_str(""), "", &path);
    CHECK_STR(px_buf_view(&path), "/v2/models/m-1._~");
    px_buf_deinit(&path);
}

PX_TEST_MAIN(T(a_request_by_grpc_is_that_of_other_clients)
                 T(a_request_by_http_is_that_of_other_clients) T(every_type_has_its_json)
                     T(every_type_is_read_from_json) T(a_reply_by_grpc_is_read_as_servers_send_it)
                         T(texts_of_errors_are_decoded_bounded_and_printable) T(paths_are_encoded)
                             T(shapes_that_a_server_does_not_know_are_not_held_against_tensors)
                                 T(ids_beyond_int64_go_as_uint64))
