/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc_fixture.h"
#include "harness.h"
#include "interfaces/inference/deadline.h"

static const char infer_path[] = "/inference.GRPCInferenceService/ModelInfer";

static struct grpc_fixture f;

/* Makes a request of one tensor with the contents of `contents`, a serialized InferTensorContents. */
static void ask_typed(const char *model, const char *datatype, const int64_t *shape, size_t n_dims,
                      struct px_str contents)
{
    struct px_buf buf = px_buf(1 << 16);
    px_protobuf_put_text(&buf, 1, model);
    size_t input = px_protobuf_begin(&buf, 5);
    px_protobuf_put_text(&buf, 1, "x");
    px_protobuf_put_text(&buf, 2, datatype);
    px_protobuf_put_packed(&buf, 3, shape, n_dims);
    px_protobuf_put_bytes(&buf, 5, contents);
    px_protobuf_end(&buf, input);
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    px_buf_deinit(&buf);
}

/* Field `number` of a message, by occurrence. */
static struct px_str field(struct px_str message, uint32_t number, size_t index)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field item;
    while (px_protobuf_next(&p, &item)) {
        if (item.number == number && index-- == 0)
            return item.bytes;
    }
    return (struct px_str){0};
}

static float output_value(size_t index)
{
    float value = NAN;
    struct px_str raw = field(f.reply, 6, 0);
    if (raw.len >= (index + 1) * sizeof value)
        memcpy(&value, raw.ptr + index * sizeof value, sizeof value);
    return value;
}

static const char golden_request[] = "\x0a\x01m\x1a\x01"
                                     "7\x2a\x0c\x0a\x01x\x12\x04"
                                     "FP32\x1a\x01\x02\x3a\x08\x00\x00\x80\x3f\x00\x00\x00\x40";

PX_TEST(captured_request_of_tritonclient_is_answered_in_its_form)
{
    static const char reply[] = "\x0a\x01m\x12\x01"
                                "1\x1a\x01"
                                "7\x2a\x0d\x0a\x01o\x12\x04"
                                "FP32\x1a\x02\x01\x02\x32\x08\x00\x00\x40\x40\x00\x00\x80\x40";
    grpc_set_up(&f);
    CHECK_INT(sizeof golden_request - 1, 0x1e);
    grpc_ask(&f, infer_path, px_str_n(golden_request, sizeof golden_request - 1));
    CHECK_INT(f.http_status, 200);
    CHECK_INT(f.status, 0);
    CHECK_INT(f.reply.len, sizeof reply - 1);
    CHECK(memcmp(f.reply.ptr, reply, f.reply.len) == 0);
    static const char prefix[5] = {0, 0, 0, 0, sizeof reply - 1};
    CHECK(memcmp(f.rest.buf.ptr, prefix, 5) == 0);
    grpc_tear_down(&f);
}

PX_TEST(captured_schedule_parameters_are_read)
{
    static const char more[] = "\x22\x0e\x0a\x08priority\x12\x02\x28\x03"
                               "\x22\x11\x0a\x07timeout\x12\x06\x10\x80\x94\xeb\xdc\x03";
    struct px_buf buf = px_buf(1 << 10);
    grpc_set_up(&f);
    px_buf_append(&buf, golden_request, 6);
    px_buf_append(&buf, more, sizeof more - 1);
    px_buf_append(&buf, golden_request + 6, sizeof golden_request - 7);
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_INT(f.status, 0);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(fields_may_come_in_any_order)
{
    static const float values[] = {1, 2, 3, 4};
    static const int64_t shape[] = {2, 2};
    struct px_buf buf = px_buf(1 << 10);
    grpc_set_up(&f);
    px_protobuf_put_bytes(&buf, 7, px_str_n((const char *)values, sizeof values));
    size_t input = px_protobuf_begin(&buf, 5);
    for (int i = 0; i < 2; i++)
        px_protobuf_put_i64(&buf, 3, shape[i]); /* not packed */
    px_protobuf_put_text(&buf, 2, "FP32");
    px_protobuf_put_text(&buf, 1, "x");
    px_protobuf_end(&buf, input);
    px_protobuf_put_text(&buf, 1, "m");
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_INT(f.status, 0);
    CHECK_DOUBLE(output_value(0), 3);
    CHECK_DOUBLE(output_value(2), 7);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(contents_that_come_in_pieces_are_merged)
{
    static const float values[] = {1, 2, 3, 4};
    static const int64_t shape[] = {2, 2};
    struct px_buf buf = px_buf(1 << 10);
    grpc_set_up(&f);
    px_protobuf_put_text(&buf, 1, "m");
    size_t input = px_protobuf_begin(&buf, 5);
    px_protobuf_put_text(&buf, 2, "FP32");
    for (int i = 0; i < 4; i++) {
        size_t contents = px_protobuf_begin(&buf, 5);
        px_protobuf_put_bytes(&buf, 6, px_str_n((const char *)&values[i], sizeof values[i]));
        px_protobuf_end(&buf, contents);
        if (i == 1)
            px_protobuf_put_text(&buf, 1, "x");
    }
    px_protobuf_put_bytes(&buf, 5, (struct px_str)PX_STR(""));
    px_protobuf_put_packed(&buf, 3, shape, 2);
    px_protobuf_end(&buf, input);
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_INT(f.status, 0);
    CHECK_DOUBLE(output_value(0), 3);
    CHECK_DOUBLE(output_value(2), 7);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

struct typed {
    const char *datatype;
    uint32_t number;
    const char *two; /* 2 and 3, packed */
    size_t len;
};

PX_TEST(typed_contents_of_every_datatype_are_read)
{
    static const struct typed rows[] = {
        {"INT8", 2, "\x02\x03", 2},
        {"INT16", 2, "\x02\x03", 2},
        {"INT32", 2, "\x02\x03", 2},
        {"INT64", 3, "\x02\x03", 2},
        {"UINT8", 4, "\x02\x03", 2},
        {"UINT16", 4, "\x02\x03", 2},
        {"UINT32", 4, "\x02\x03", 2},
        {"UINT64", 5, "\x02\x03", 2},
        {"FP32", 6, "\x00\x00\x00\x40\x00\x00\x40\x40", 8},
        {"FP64", 7, "\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x08\x40", 16},
    };
    static const int64_t shape[] = {1, 2};
    grpc_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++) {
        struct px_buf contents = px_buf(64);
        px_protobuf_put_bytes(&contents, rows[i].number, px_str_n(rows[i].two, rows[i].len));
        ask_typed("m", rows[i].datatype, shape, 2, px_buf_view(&contents));
        CHECK_STR(px_str(f.fields), "grpc-status: 0\r\n");
        CHECK_DOUBLE(output_value(0), 5);
        px_buf_deinit(&contents);
    }
    grpc_tear_down(&f);
}

PX_TEST(typed_contents_may_come_one_by_one)
{
    static const int64_t shape[] = {1, 2};
    grpc_set_up(&f);
    ask_typed("m", "FP32", shape, 2, px_str_n("\x35\x00\x00\x00\x40\x35\x00\x00\x40\x40", 10));
    CHECK_INT(f.status, 0);
    CHECK_DOUBLE(output_value(0), 5);
    ask_typed("m", "INT32", shape, 2, px_str_n("\x10\x02\x12\x01\x03", 5)); /* and mixed */
    CHECK_INT(f.status, 0);
    CHECK_DOUBLE(output_value(0), 5);
    grpc_tear_down(&f);
}

/* Legal protobuf: an encoder may change between packed and single elements in one field. */
PX_TEST(packed_and_single_floats_of_one_tensor_stand_behind_each_other)
{
    static const char packed_first[] = "\x32\x0c\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40"
                                       "\x35\x00\x00\x80\x40";
    static const char single_first[] = "\x35\x00\x00\x80\x3f"
                                       "\x32\x0c\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40";
    static const char *const contents[] = {packed_first, single_first};
    static const int64_t shape[] = {2, 2};
    grpc_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(contents); i++) {
        ask_typed("m", "FP32", shape, 2, px_str_n(contents[i], sizeof packed_first - 1));
        CHECK_INT(f.status, 0);
        CHECK_DOUBLE(output_value(0), 3); /* 1 + 2 */
        CHECK_DOUBLE(output_value(2), 7); /* 3 + 4 */
    }
    grpc_tear_down(&f);
}

PX_TEST(negative_integers_keep_their_sign)
{
    static const int64_t shape[] = {1, 2};
    grpc_set_up(&f);
    ask_typed("m", "INT8", shape, 2,
              px_str_n("\x12\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x03", 13));
    CHECK_INT(f.status, 0);
    CHECK_DOUBLE(output_value(0), 2);
    grpc_tear_down(&f);
}

struct refused {
    const char *datatype;
    const char *contents;
    size_t len;
    const char *why;
};

PX_TEST(contents_that_mean_something_else_are_refused)
{
    static const struct refused rows[] = {
        {"FP32", "\x3a\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18, "expected the values of FP32"},
        {"INT8", "\x12\x03\x80\x01\x01", 5, "128 does not fit in INT8"},
        {"UINT16", "\x22\x04\x80\x80\x04\x01", 6, "65536 does not fit in UINT16"},
        {"FP16", "\x32\x04\x00\x00\x00\x40", 6, "raw_input_contents"},
        {"FP32", "\x32\x07\x00\x00\x00\x40\x00\x00\x40", 9, "a number is cut off"},
        {"INT64", "\x1a\x02\x02\x80", 4, "a number is cut off"},
        {"FP32", "\x32\x04\x00\x00\x00\x40", 6, "input 'x'"},
        {"INT32", "\x12\x04\x01\x02\x03\x04", 6, "input 'x'"},
        {"FP31", "\x32\x04\x00\x00\x00\x40", 6, "unknown datatype 'FP31'"},
        {"FP32", "\x32\xff\xff\xff\xff\x0f", 6, "malformed"},
    };
    static const int64_t shape[] = {1, 2};
    grpc_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++) {
        ask_typed("m", rows[i].datatype, shape, 2, px_str_n(rows[i].contents, rows[i].len));
        CHECK_INT(f.status, 3);
        CHECK_CONTAINS(f.fields, rows[i].why);
    }
    grpc_tear_down(&f);
}

PX_TEST(columns_of_texts_and_numbers_come_raw)
{
    static const char job[] = "\x0a\x00\x00\x00technician";
    static const int64_t shape[] = {1, 1};
    struct px_buf buf = px_buf(1 << 10);
    float age = 58;
    grpc_set_up(&f);
    px_protobuf_put_text(&buf, 1, "bank");
    size_t input = px_protobuf_begin(&buf, 5);
    px_protobuf_put_text(&buf, 1, "age");
    px_protobuf_put_text(&buf, 2, "FP32");
    px_protobuf_put_packed(&buf, 3, shape, 2);
    px_protobuf_end(&buf, input);
    input = px_protobuf_begin(&buf, 5);
    px_protobuf_put_text(&buf, 1, "job");
    px_protobuf_put_text(&buf, 2, "BYTES");
    px_protobuf_put_packed(&buf, 3, shape, 2);
    px_protobuf_end(&buf, input);
    px_protobuf_put_bytes(&buf, 7, px_str_n((const char *)&age, sizeof age));
    px_protobuf_put_bytes(&buf, 7, px_str_n(job, sizeof job - 1));
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_STR(px_str(f.fields), "grpc-status: 0\r\n");
    CHECK_DOUBLE(f.rest.engine_rows[0][0], 58);
    CHECK_DOUBLE(f.rest.engine_rows[0][1], 1);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(an_unseen_category_is_told_in_the_reply)
{
    static const char contents[] = "\x42\x05pilot";
    static const int64_t shape[] = {1, 1};
    struct px_buf buf = px_buf(1 << 10);
    grpc_set_up(&f);
    px_protobuf_put_text(&buf, 1, "bank");
    size_t input = px_protobuf_begin(&buf, 5);
    px_protobuf_put_text(&buf, 1, "job");
    px_protobuf_put_text(&buf, 2, "BYTES");
    px_protobuf_put_packed(&buf, 3, shape, 2);
    px_protobuf_put_bytes(&buf, 5, px_str_n(contents, sizeof contents - 1));
    px_protobuf_end(&buf, input);
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_INT(f.status, 0);
    CHECK_STR(field(field(f.reply, 4, 0), 1, 0), "unseen_categories");
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(a_typed_text_that_is_no_utf8_is_refused)
{
    static const char contents[] = "\x42\x05pilot\x42\x04"
                                   "caf\xe9";
    static const int64_t shape[] = {2, 1};
    struct px_buf buf = px_buf(1 << 10);
    grpc_set_up(&f);
    px_protobuf_put_text(&buf, 1, "bank");
    size_t input = px_protobuf_begin(&buf, 5);
    px_protobuf_put_text(&buf, 1, "job");
    px_protobuf_put_text(&buf, 2, "BYTES");
    px_protobuf_put_packed(&buf, 3, shape, 2);
    px_protobuf_put_bytes(&buf, 5, px_str_n(contents, sizeof contents - 1));
    px_protobuf_end(&buf, input);
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_INT(f.status, 3);
    CHECK_CONTAINS(f.fields, "input 'job': element 1 is not valid UTF-8");
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(raw_and_typed_contents_together_are_refused)
{
    static const int64_t shape[] = {1, 2};
    struct px_buf buf = px_buf(1 << 10);
    grpc_set_up(&f);
    px_protobuf_put_text(&buf, 1, "m");
    size_t input = px_protobuf_begin(&buf, 5);
    px_protobuf_put_text(&buf, 1, "x");
    px_protobuf_put_text(&buf, 2, "FP32");
    px_protobuf_put_packed(&buf, 3, shape, 2);
    px_protobuf_put_bytes(&buf, 5, px_str_n("\x32\x08\0\0\0\0\0\0\0\0", 10));
    px_protobuf_end(&buf, input);
    px_protobuf_put_bytes(&buf, 7, px_str_n("\0\0\0\0\0\0\0\0", 8));
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_INT(f.status, 3);
    CHECK_CONTAINS(f.fields, "contents field must not be specified");
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(raw_contents_must_be_as_many_as_the_inputs)
{
    static const float values[] = {1, 2};
    static const int64_t shape[] = {1, 2};
    struct px_buf buf = px_buf(1 << 10);
    grpc_set_up(&f);
    grpc_put_infer(&buf, "m", "", values, shape);
    px_protobuf_put_bytes(&buf, 7, px_str("more"));
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_INT(f.status, 3);
    CHECK_CONTAINS(f.fields, "more entries than the 1 inputs");
    px_buf_clear(&buf);
    px_buf_append(&buf, golden_request, sizeof golden_request - 11);
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_INT(f.status, 3);
    CHECK_CONTAINS(f.fields, "unable to find data for input tensor 'x'");
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(outputs_are_chosen_by_name)
{
    static const float values[] = {1, 2, 3, 4};
    static const int64_t shape[] = {2, 2};
    struct px_buf buf = px_buf(1 << 10);
    grpc_set_up(&f);
    grpc_put_infer(&buf, "multi", "", values, shape);
    size_t output = px_protobuf_begin(&buf, 6);
    px_protobuf_put_text(&buf, 1, "labels");
    px_protobuf_end(&buf, output);
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_STR(px_str(f.fields), "grpc-status: 0\r\n");
    CHECK_STR(field(field(f.reply, 5, 0), 1, 0), "labels");
    CHECK_STR(field(field(f.reply, 5, 0), 2, 0), "BYTES");
    px_buf_clear(&buf);
    grpc_put_infer(&buf, "m", "", values, shape);
    output = px_protobuf_begin(&buf, 6);
    px_protobuf_put_text(&buf, 1, "nonsense");
    px_protobuf_end(&buf, output);
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_INT(f.status, 3);
    CHECK_CONTAINS(f.fields, "unknown output 'nonsense'");
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(classification_gives_the_best_values_as_texts)
{
    static const float values[] = {1, 2};
    static const char param[] = "\x0a\x0e"
                                "classification\x12\x02\x10\x02";
    struct px_buf buf = px_buf(1 << 10);
    grpc_set_up(&f);
    grpc_put_infer(&buf, "m", "", values, (const int64_t[]){1, 2});
    size_t output = px_protobuf_begin(&buf, 6);
    px_protobuf_put_text(&buf, 1, "o");
    px_protobuf_put_bytes(&buf, 2, px_str_n(param, sizeof param - 1));
    px_protobuf_end(&buf, output);
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_STR(px_str(f.fields), "grpc-status: 0\r\n");
    struct px_str raw = field(f.reply, 6, 0);
    CHECK(raw.len > 4);
    CHECK(memcmp(raw.ptr + 4, "4.000000:1", 10) == 0);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(errors_name_what_is_wrong)
{
    static const float values[] = {1, 2};
    static const int64_t shape[] = {1, 2};
    struct px_buf buf = px_buf(1 << 10);
    grpc_set_up(&f);
    grpc_put_infer(&buf, "nobody", "", values, shape);
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_INT(f.status, 5);
    CHECK_INT(f.http_status, 200);
    CHECK(f.rest.buf.len == 0 && f.rest.exchange.trailers);
    CHECK_STR(px_str(f.rest.exchange.content_type), "application/grpc");
    px_buf_clear(&buf);
    grpc_put_infer(&buf, "broken", "", values, shape);
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_INT(f.status, 14);
    grpc_ask(&f, infer_path, px_str_n("\x0a\x01m\x1a\x01\xff", 6)); /* id is not UTF-8 */
    CHECK_INT(f.status, 3);
    grpc_ask(&f, infer_path, px_str_n("\x0a\xff\x01", 3));
    CHECK_INT(f.status, 3);
    grpc_ask(&f, infer_path, px_str("\x0a\x01m")); /* no inputs */
    CHECK_INT(f.status, 3);
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(reserved_and_impossible_parameters_are_refused)
{
    static const struct {
        const char *key;
        const char *value;
        size_t len;
        int status;
    } rows[] = {{"triton_x", "\x08\x01", 2, 3},
                {"triton_enable_empty_final_response", "\x08\x01", 2, 0},
                {"triton_enable_empty_final_response", "\x10\x01", 2, 3},
                {"timeout", "\x1a\x01x", 3, 3},
                {"priority", "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, 3},
                {"sequence_id", "\x10\x07", 2, 0},
                {"sequence_id", "\x1a\x01x", 3, 0},
                {"sequence_id", "\x08\x01", 2, 3},
                {"sequence_start", "\x08\x01", 2, 0},
                {"sequence_start", "\x10\x01", 2, 3},
                {"binary_data_output", "\x10\x01", 2, 0}, /* of HTTP: here the client's own */
                {"mine", "", 0, 3},
                {"headers", "\x1a\x01x", 3, 12},
                {"mine", "\x21\x00\x00\x00\x00\x00\x00\xf0\x3f", 9, 0},
                {"mine", "\x32\x01x", 3, 3},
                {"mine", "\x1a\x02\xc3\xa4", 4, 0},
                {"mine", "\x1a\x02\xc3(", 4, 3}};
    grpc_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++) {
        struct px_buf buf = px_buf(1 << 10);
        px_buf_append(&buf, golden_request, sizeof golden_request - 1);
        size_t entry = px_protobuf_begin(&buf, 4);
        px_protobuf_put_text(&buf, 1, rows[i].key);
        px_protobuf_put_bytes(&buf, 2, px_str_n(rows[i].value, rows[i].len));
        px_protobuf_end(&buf, entry);
        grpc_ask(&f, infer_path, px_buf_view(&buf));
        CHECK_INT(f.status, rows[i].status);
        px_buf_deinit(&buf);
    }
    grpc_tear_down(&f);
}

PX_TEST(a_repeated_parameter_is_refused)
{
    static const char more[] = "\x22\x0d\x0a\x07timeout\x12\x02\x10\x00";
    struct px_buf buf = px_buf(1 << 10);
    grpc_set_up(&f);
    px_buf_append(&buf, golden_request, sizeof golden_request - 1);
    px_buf_append(&buf, more, sizeof more - 1);
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_INT(f.status, 0);
    px_buf_append(&buf, more, sizeof more - 1);
    grpc_ask(&f, infer_path, px_buf_view(&buf));
    CHECK_INT(f.status, 3);
    CHECK_CONTAINS(f.fields, "parameter 'timeout' is repeated");
    px_buf_deinit(&buf);
    grpc_tear_down(&f);
}

PX_TEST(a_deadline_that_has_passed_is_not_scored)
{
    grpc_set_up(&f);
    grpc_header(&f, "grpc-timeout", "1n");
    f.rest.engine_n_rows = 0;
    grpc_ask(&f, infer_path, px_str_n(golden_request, sizeof golden_request - 1));
    CHECK_INT(f.status, 4);
    CHECK_INT(f.rest.engine_n_rows, 0);
    grpc_header(&f, "grpc-timeout", "10S");
    grpc_ask(&f, infer_path, px_str_n(golden_request, sizeof golden_request - 1));
    CHECK_INT(f.status, 0);
    grpc_header(&f, "grpc-timeout", "99999999H");
    grpc_ask(&f, infer_path, px_str_n(golden_request, sizeof golden_request - 1));
    CHECK_INT(f.status, 0);
    CHECK(f.rest.exchange.deadline_ns ==
          f.rest.exchange.request.received_ns + PX_TIMEOUT_NS_MAX); /* a day */
    grpc_header(&f, "grpc-timeout", "5124095H");
    grpc_ask(&f, infer_path, px_str_n(golden_request, sizeof golden_request - 1));
    CHECK_INT(f.status, 0);
    CHECK(f.rest.exchange.deadline_ns > f.rest.exchange.request.received_ns);
    grpc_header(&f, "grpc-timeout", "soon");
    grpc_ask(&f, infer_path, px_str_n(golden_request, sizeof golden_request - 1));
    CHECK_INT(f.status, 3);
    grpc_tear_down(&f);
}

PX_TEST(a_cancelled_call_is_not_scored)
{
    grpc_set_up(&f);
    px_buf_clear(&f.request);
    grpc_frame(&f.request, px_str_n(golden_request, sizeof golden_request - 1));
    struct px_http_exchange *exchange = grpc_begin(&f, infer_path);
    exchange->request.body = px_buf_view(&f.request);
    f.rest.engine_n_rows = 0;
    f.handler.handle(f.handler.context, exchange);
    CHECK(!exchange->finished);
    exchange->abandoned = true;
    f.handler.abandon(f.handler.context, exchange, PX_HTTP_GONE);
    f.handler.wave(f.handler.context, exchange->loop);
    CHECK(exchange->finished);
    CHECK_INT(f.rest.engine_n_rows, 0);
    grpc_collect(&f);
    CHECK_INT(f.status, 1);
    grpc_tear_down(&f);
}

PX_TEST(a_warm_call_allocates_nothing)
{
    uint64_t before = 0;
    grpc_set_up(&f);
    for (int i = 0; i < 10; i++) {
        if (i == 3)
            before = px_alloc_count();
        grpc_ask(&f, infer_path, px_str_n(golden_request, sizeof golden_request - 1));
        CHECK_INT(f.status, 0);
    }
    CHECK_INT(px_alloc_count(), before);
    grpc_tear_down(&f);
}

PX_TEST(short_memory_is_a_status)
{
    for (uint64_t n = 1; n < 12; n++) {
        grpc_set_up(&f);
        px_buf_clear(&f.request);
        grpc_frame(&f.request, px_str_n(golden_request, sizeof golden_request - 1));
        px_alloc_fail_at(n);
        grpc_ask_raw(&f, infer_path, px_buf_view(&f.request));
        px_alloc_fail_at(0);
        CHECK(f.status == 0 || f.status == 8);
        grpc_tear_down(&f);
    }
}

PX_TEST_MAIN(
    T(captured_request_of_tritonclient_is_answered_in_its_form) T(
        captured_schedule_parameters_are_read) T(fields_may_come_in_any_order)
        T(contents_that_come_in_pieces_are_merged) T(typed_contents_of_every_datatype_are_read) T(
            typed_contents_may_come_one_by_one)
            T(packed_and_single_floats_of_one_tensor_stand_behind_each_other) T(
                negative_integers_keep_their_sign) T(contents_that_mean_something_else_are_refused)
                T(columns_of_texts_and_numbers_come_raw) T(an_unseen_category_is_told_in_the_reply)
                    T(a_typed_text_that_is_no_utf8_is_refused)
                        T(raw_and_typed_contents_together_are_refused)
                            T(raw_contents_must_be_as_many_as_the_inputs)
                                T(outputs_are_chosen_by_name)
                                    T(classification_gives_the_best_values_as_texts)
                                        T(errors_name_what_is_wrong)
                                            T(reserved_and_impossible_parameters_are_refused)
                                                T(a_repeated_parameter_is_refused)
                                                    T(a_deadline_that_has_passed_is_not_scored)
                                                        T(a_cancelled_call_is_not_scored)
                                                            T(a_warm_call_allocates_nothing)
                                                                T(short_memory_is_a_status))
