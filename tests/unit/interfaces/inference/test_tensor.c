/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors as bytes: every datatype, sizes, forms of input, lent rows; outputs and classifications. */
#include "rest_fixture.h"

#include "harness.h"
#include "interfaces/inference/tensor.h"

static struct rest_fixture f;
static struct px_infer infer;
static int n_encoded, n_failed;

static void on_encode(struct px_infer *self)
{
    n_encoded++;
    CHECK(self == &infer);
}

static void on_fail(struct px_infer *self)
{
    n_failed++;
    CHECK(self->call.err.code != PX_OK);
}

static void open_model(const char *model)
{
    px_arena_reset(&f.arena);
    n_encoded = n_failed = 0;
    const struct px_infer_request request = {
        .serving = f.serving,
        .model_name = px_str(model),
        .arena = &f.arena,
        .owner = &f,
        .encode = on_encode,
        .fail = on_fail,
    };
    CHECK_INT(px_infer_open(&infer, &request), PX_OK);
}

static void score(void)
{
    px_infer_submit(&infer);
    px_serving_wave(f.serving, 0);
    CHECK_INT(n_encoded, 1);
    CHECK_INT(n_failed, 0);
}

static struct px_tensor tensor(const char *name, enum px_datatype type, uint64_t rows,
                               uint64_t cols, const void *bytes, size_t n_bytes)
{
    return (struct px_tensor){.name = px_str(name),
                              .type = type,
                              .shape = {rows, cols},
                              .n_dims = 2,
                              .bytes = px_str_n(bytes, n_bytes)};
}

/* These bytes as tensor [1,4] reach the engine of `plain` as these values. */
static void check_bytes(enum px_datatype type, const void *bytes, size_t n_bytes,
                        const double want[4])
{
    struct px_inputs in;
    struct px_tensor t = tensor("x", type, 1, 4, bytes, n_bytes);
    open_model("plain");
    CHECK_INT(px_inputs_begin(&in, &infer), PX_OK);
    CHECK_INT(px_inputs_add(&in, &t), PX_OK);
    CHECK_INT(px_inputs_end(&in), PX_OK);
    score();
    CHECK_INT(f.engine_n_rows, 1);
    for (size_t i = 0; i < 4; i++)
        CHECK_DOUBLE(f.engine_rows[0][i], want[i]);
}

static void check_refused(const char *model, struct px_tensor t, const char *part)
{
    struct px_inputs in;
    open_model(model);
    CHECK_INT(px_inputs_begin(&in, &infer), PX_OK);
    CHECK_INT(px_inputs_add(&in, &t), PX_E_INVALID);
    CHECK_CONTAINS(infer.call.err.message, part);
    px_infer_fail(&infer);
    CHECK_INT(n_failed, 1);
}

PX_TEST(every_datatype_of_numbers_reaches_the_engine)
{
    rest_set_up(&f);
    check_bytes(PX_TYPE_FP32, (float[]){1.5f, -0.0f, INFINITY, NAN}, 16,
                (double[]){1.5, -0.0, INFINITY, NAN});
    check_bytes(PX_TYPE_FP64, (double[]){0.1, 1e300, -1e300, 2}, 32,
                (double[]){(double)0.1f, INFINITY, -INFINITY, 2});
    check_bytes(PX_TYPE_FP16, (uint16_t[]){0x3C00, 0x7BFF, 0x8001, 0xFC00}, 8,
                (double[]){1, 65504, -0x1p-24, -INFINITY});
    check_bytes(PX_TYPE_FP16, (uint16_t[]){0x7E00, 0x8000, 0x0400, 0x03FF}, 8,
                (double[]){NAN, -0.0, 0x1p-14, 0x1.ff8p-15});
    check_bytes(PX_TYPE_BF16, (uint16_t[]){0x3F80, 0xC020, 0x7FC0, 0x7F80}, 8,
                (double[]){1, -2.5, NAN, INFINITY});
    check_bytes(PX_TYPE_INT8, (int8_t[]){-128, 127, 0, -1}, 4, (double[]){-128, 127, 0, -1});
    check_bytes(PX_TYPE_INT16, (int16_t[]){-32768, 32767, 0, -1}, 8,
                (double[]){-32768, 32767, 0, -1});
    check_bytes(PX_TYPE_INT32, (int32_t[]){INT32_MIN, 16777216, 0, -1}, 16,
                (double[]){-0x1p31, 16777216, 0, -1});
    check_bytes(PX_TYPE_INT64, (int64_t[]){INT64_MIN, 3, 0, -1}, 32, (double[]){-0x1p63, 3, 0, -1});
    check_bytes(PX_TYPE_UINT8, (uint8_t[]){255, 1, 0, 2}, 4, (double[]){255, 1, 0, 2});
    check_bytes(PX_TYPE_UINT16, (uint16_t[]){65535, 1, 0, 2}, 8, (double[]){65535, 1, 0, 2});
    check_bytes(PX_TYPE_UINT32, (uint32_t[]){1u << 31, 1, 0, 2}, 16, (double[]){0x1p31, 1, 0, 2});
    check_bytes(PX_TYPE_UINT64, (uint64_t[]){UINT64_MAX, 1, 0, 2}, 32, (double[]){0x1p64, 1, 0, 2});
    check_bytes(PX_TYPE_BOOL, (uint8_t[]){1, 0, 0, 1}, 4, (double[]){1, 0, 0, 1});
    rest_tear_down(&f);
}

PX_TEST(a_matrix_at_any_address_is_scored)
{
    _Alignas(8) char memory[64];
    const float values[4] = {1, 2, 3, 4};
    rest_set_up(&f);
    for (size_t shift = 0; shift < 8; shift++) {
        memcpy(memory + shift, values, sizeof values);
        check_bytes(PX_TYPE_FP32, memory + shift, sizeof values, (double[]){1, 2, 3, 4});
        CHECK((infer.call.rows.data == memory + shift) == (shift % 4 == 0)); /* lent or copied */
    }
    rest_tear_down(&f);
}

PX_TEST(sizes_are_exact)
{
    float values[8] = {0};
    rest_set_up(&f);
    check_refused(
        "plain", tensor("x", PX_TYPE_FP32, 1, 4, values, 12),
        "unexpected size for input 'x': expected 16 bytes for shape [1,4] of FP32, got 12");
    check_refused("plain", tensor("x", PX_TYPE_FP32, 1, 4, values, 20), "got 20");
    check_refused("plain", tensor("x", PX_TYPE_FP64, 1, 4, values, 16), "expected 32 bytes");
    check_refused("plain", tensor("x", PX_TYPE_BOOL, 1, 4, "\1\0\2\1", 4),
                  "element 2: expected the byte 0 or 1 for BOOL, got 2");
    check_refused("plain", tensor("x", PX_TYPE_FP32, 1, 3, values, 12), "is not [rows,4]");
    check_refused("bank", tensor("job", PX_TYPE_BYTES, 2, 1, "\1\0\0\0x", 5),
                  "expected at least 8 bytes for shape [2,1] of BYTES, got 5");
    check_refused("bank", tensor("job", PX_TYPE_BYTES, 1, 1, "\2\0\0\0x", 5),
                  "element 0 of BYTES is cut short");
    check_refused("bank", tensor("job", PX_TYPE_BYTES, 1, 1, "\0\0\0\0x", 5),
                  "1 bytes follow its 1 elements");
    check_refused("bank", tensor("job", PX_TYPE_BYTES, 1, 1, "\1\0\0\0\xFF", 5),
                  "element 0 is not valid UTF-8");
    check_refused("bank", tensor("age", PX_TYPE_BYTES, 1, 1, "\1\0\0\0x", 5),
                  "input 'age': element 0: feature 'age': expected a number datatype, got BYTES");
    rest_tear_down(&f);
}

PX_TEST(columns_of_text_and_numbers_are_encoded)
{
    static const char jobs[] = "\6\0\0\0admin.\0\0\0\0\4\0\0\0cook";
    struct px_inputs in;
    const int64_t ages[3] = {58, 30, 41};
    struct px_tensor job = tensor("job", PX_TYPE_BYTES, 3, 1, jobs, sizeof jobs - 1);
    struct px_tensor age = tensor("age", PX_TYPE_INT64, 3, 1, ages, sizeof ages);
    rest_set_up(&f);
    open_model("bank");
    CHECK_INT(px_inputs_begin(&in, &infer), PX_OK);
    CHECK_INT(px_inputs_add(&in, &job), PX_OK);
    CHECK_INT(px_inputs_add(&in, &age), PX_OK);
    score();
    CHECK_INT(f.engine_n_rows, 3);
    CHECK_DOUBLE(f.engine_rows[0][0], 58);
    CHECK_DOUBLE(f.engine_rows[0][1], 0);
    CHECK_DOUBLE(f.engine_rows[1][1], NAN); /* the empty text is missing */
    CHECK_DOUBLE(f.engine_rows[2][1], 3);   /* a category that the model never saw */
    CHECK_DOUBLE(f.engine_rows[2][4], NAN);
    CHECK_INT(infer.call.n_unseen, 1);
    rest_tear_down(&f);
}

PX_TEST(values_one_by_one_must_be_as_many_as_the_shape)
{
    struct px_inputs in;
    struct px_values values;
    struct px_tensor t = tensor("x", PX_TYPE_INT8, 1, 4, NULL, 0);
    rest_set_up(&f);
    open_model("plain");
    CHECK_INT(px_inputs_begin(&in, &infer), PX_OK);
    CHECK_INT(px_inputs_end(&in), PX_E_INVALID);
    CHECK_INT(px_inputs_open(&in, &t, 3, &values), PX_E_INVALID);
    CHECK_CONTAINS(infer.call.err.message, "too short for shape [1,4]");
    open_model("plain");
    CHECK_INT(px_inputs_begin(&in, &infer), PX_OK);
    CHECK_INT(px_inputs_open(&in, &t, 4, &values), PX_OK);
    CHECK(!values.floats && !values.doubles);
    for (int i = 0; i < 3; i++)
        CHECK_INT(px_values_put_number(&values, i), PX_OK);
    CHECK_INT(px_values_end(&values), PX_E_INVALID);
    CHECK_CONTAINS(infer.call.err.message, "shape [1,4] needs 4 values, got 3");
    CHECK_INT(px_values_put_missing(&values), PX_OK);
    CHECK_INT(px_values_end(&values), PX_OK);
    CHECK_INT(px_values_put_bool(&values, true), PX_E_INVALID);
    CHECK_CONTAINS(infer.call.err.message, "expected no more than 4 values");
    rest_tear_down(&f);
}

static void score_multi(const double values[], uint64_t rows)
{
    struct px_inputs in;
    struct px_tensor t =
        tensor("x", PX_TYPE_FP64, rows, 2, values, (size_t)rows * 2 * sizeof *values);
    CHECK_INT(px_inputs_begin(&in, &infer), PX_OK);
    CHECK_INT(px_inputs_add(&in, &t), PX_OK);
    score();
}

static void check_text(struct px_str *rest, const char *want)
{
    struct px_str text = {0};
    CHECK(px_tensor_next_text(rest, &text));
    CHECK_STR(text, want);
}

PX_TEST(a_classification_lists_the_best_first)
{
    const double rows[] = {0.25, 0.125, NAN, -2};
    struct px_tensor out;
    rest_set_up(&f);
    open_model("multi");
    CHECK_INT(px_infer_add_output(&infer, px_str("predictions")), PX_OK);
    infer.outputs[0].n_best = 2;
    score_multi(rows, 2);
    CHECK_INT(px_output_tensor(&infer, &infer.outputs[0], &out), PX_OK);
    CHECK_INT(out.type, PX_TYPE_BYTES);
    CHECK_INT(out.shape[0], 2);
    CHECK_INT(out.shape[1], 2);
    struct px_str rest = out.bytes;
    check_text(&rest, "2.375000:2");
    check_text(&rest, "1.375000:1");
    check_text(&rest, "0.000000:2");
    check_text(&rest, "-1.000000:1");
    CHECK_INT(rest.len, 0);
    infer.outputs[0].n_best = UINT64_MAX; /* more than there are */
    CHECK_INT(px_output_tensor(&infer, &infer.outputs[0], &out), PX_OK);
    CHECK_INT(out.shape[1], 3);
    rest_tear_down(&f);
}

PX_TEST(a_classification_keeps_ties_in_order_and_puts_nan_last)
{
    static const struct px_str labels[] = {PX_STR("low"), PX_STR("mid"), PX_STR("high")};
    double scores[] = {NAN, 1, 1};
    struct px_tensor out;
    rest_set_up(&f);
    open_model("multi");
    f.multi.labels = labels;
    f.multi.n_labels = 3;
    infer.call.scores = (struct px_matrix){PX_TYPE_FP64, scores, 1, 3, 3};
    const struct px_infer_output wanted = {.kind = PX_OUTPUT_SCORES, .n_best = 3};
    CHECK_INT(px_output_tensor(&infer, &wanted, &out), PX_OK);
    struct px_str rest = out.bytes;
    check_text(&rest, "1.000000:1:mid");
    check_text(&rest, "1.000000:2:high");
    check_text(&rest, "nan:0:low");
    rest_tear_down(&f);
}

PX_TEST(scores_are_lent_and_labels_are_made)
{
    const float row[5] = {1, 0, 0, 0, 0};
    struct px_inputs in;
    struct px_tensor t = tensor("x", PX_TYPE_FP32, 1, 5, row, sizeof row), out;
    rest_set_up(&f);
    open_model("bank");
    CHECK_INT(px_infer_add_output(&infer, px_str("labels")), PX_OK);
    CHECK_INT(px_infer_add_output(&infer, px_str("predictions")), PX_OK);
    CHECK_INT(px_inputs_begin(&in, &infer), PX_OK);
    CHECK_INT(px_inputs_add(&in, &t), PX_OK);
    score();
    CHECK_INT(px_output_tensor(&infer, &infer.outputs[0], &out), PX_OK);
    CHECK_STR(out.name, "labels");
    struct px_str rest = out.bytes;
    check_text(&rest, "yes");
    CHECK_INT(px_output_tensor(&infer, &infer.outputs[1], &out), PX_OK);
    CHECK(out.bytes.ptr == infer.call.scores.data);
    CHECK_INT(out.bytes.len, 4);
    rest_tear_down(&f);
}

PX_TEST(integers_outside_their_datatype_do_not_fit)
{
    CHECK(px_tensor_fits_signed(PX_TYPE_INT8, -128) && px_tensor_fits_signed(PX_TYPE_INT8, 127));
    CHECK(!px_tensor_fits_signed(PX_TYPE_INT8, -129) && !px_tensor_fits_signed(PX_TYPE_INT8, 128));
    CHECK(px_tensor_fits_signed(PX_TYPE_INT64, INT64_MIN));
    CHECK(px_tensor_fits_unsigned(PX_TYPE_UINT16, 65535));
    CHECK(!px_tensor_fits_unsigned(PX_TYPE_UINT16, 65536));
    CHECK(px_tensor_fits_unsigned(PX_TYPE_UINT64, UINT64_MAX));
}

PX_TEST(a_time_limit_of_any_length_does_not_wrap)
{
    rest_set_up(&f);
    open_model("plain");
    infer.call.received_ns = 1000;
    px_infer_limit_time(&infer, 0);
    CHECK(infer.call.deadline_ns == 0);
    px_infer_limit_time(&infer, UINT64_MAX);
    CHECK(infer.call.deadline_ns == UINT64_MAX);
    px_infer_limit_time(&infer, UINT64_MAX / 1000); /* fits, but not behind the start */
    CHECK(infer.call.deadline_ns == UINT64_MAX);
    px_infer_limit_time(&infer, 2);
    CHECK(infer.call.deadline_ns == 3000);
    px_infer_limit_time(&infer, 3); /* the earlier one counts */
    CHECK(infer.call.deadline_ns == 3000);
    px_err_set(&infer.call.err, PX_E_CANCELLED, "enough");
    px_infer_fail(&infer);
    rest_tear_down(&f);
}

PX_TEST(an_unknown_model_fails_once)
{
    rest_set_up(&f);
    n_failed = 0;
    const struct px_infer_request request = {.serving = f.serving,
                                             .model_name = px_str("nobody"),
                                             .arena = &f.arena,
                                             .encode = on_encode,
                                             .fail = on_fail};
    CHECK_INT(px_infer_open(&infer, &request), PX_E_NOT_FOUND);
    CHECK_INT(n_failed, 1);
    rest_tear_down(&f);
}

PX_TEST_MAIN(T(every_datatype_of_numbers_reaches_the_engine) T(a_matrix_at_any_address_is_scored)
                 T(sizes_are_exact) T(columns_of_text_and_numbers_are_encoded)
                     T(values_one_by_one_must_be_as_many_as_the_shape)
                         T(a_classification_lists_the_best_first)
                             T(a_classification_keeps_ties_in_order_and_puts_nan_last)
                                 T(scores_are_lent_and_labels_are_made)
                                     T(integers_outside_their_datatype_do_not_fit)
                                         T(a_time_limit_of_any_length_does_not_wrap)
                                             T(an_unknown_model_fails_once))
