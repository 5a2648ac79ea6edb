/* SPDX-License-Identifier: Apache-2.0 */
/* The processors of tables where their golden tests (tests/golden/test_tabular.py) do not reach: odd tensors, open shapes, no memory. */
#include "domain/processing/processor.h"
#include "harness.h"
#include "shared/alloc.h"

static struct px_arena arena, scratch;
static struct px_err err;

static void start(void)
{
    px_arena_deinit(&arena);
    px_arena_deinit(&scratch);
    arena = px_arena(1 << 20);
    scratch = px_arena(1 << 20);
    err = (struct px_err){.code = PX_OK};
}

static enum px_code no_file(void *context, struct px_str name, struct px_str *ret,
                            struct px_err *failed)
{
    const char *text = context;
    if (!text)
        return px_err_set(failed, PX_E_NOT_FOUND, "there is no file '%.*s'", PX_STR_ARG(name));
    *ret = px_str(text);
    return PX_OK;
}

static const char *file_text;

static enum px_code create(const char *kind, const char *settings, struct px_tensor_spec spec,
                           struct px_processor **ret)
{
    union {
        const char *from;
        void *to;
    } context = {.from = file_text};
    struct px_processor_source source = {
        .inputs = {&spec, 1}, .arena = &arena, .read_file = no_file, .context = context.to};
    const struct px_processor_kind *found = px_processor_kind_find(px_str(kind), &err);
    CHECK(found);
    enum px_code code = px_yaml_parse(px_str(settings), &arena, &source.settings, &err);
    return code == PX_OK ? found->create(&source, ret, &err) : code;
}

static struct px_tensor_spec spec_of(enum px_datatype type, size_t n_dims, int64_t columns)
{
    return (struct px_tensor_spec){
        .name = px_str("input"), .type = type, .shape = {PX_DIM_ANY, columns}, .n_dims = n_dims};
}

static struct px_tensor tensor_of(enum px_datatype type, const void *bytes, size_t rows,
                                  size_t columns)
{
    return (struct px_tensor){
        .name = px_str("input"),
        .type = type,
        .shape = {rows, columns},
        .n_dims = columns ? 2 : 1,
        .bytes = px_str_n(bytes, rows * (columns ? columns : 1) * px_datatype_size(type))};
}

static float float_at(const struct px_tensor *tensor, size_t i)
{
    float x;
    memcpy(&x, tensor->bytes.ptr + i * sizeof x, sizeof x);
    return x;
}

PX_TEST(numbers_that_lie_at_odd_addresses_are_read)
{
    char memory[1 + 4 * sizeof(float)];
    const float values[4] = {1, 2, 3, 4};
    struct px_processor *scale;
    struct px_tensor output;
    start();
    memcpy(memory + 1, values, sizeof values);
    CHECK_INT(create("scale", "{mean: [1, 2], scale: [2, 4]}", spec_of(PX_TYPE_FP32, 2, 2), &scale),
              PX_OK);
    struct px_tensor input = tensor_of(PX_TYPE_FP32, memory + 1, 2, 2);
    CHECK_INT(scale->apply(scale, &input, &output, &scratch, &err), PX_OK);
    CHECK(float_at(&output, 2) == 1 && float_at(&output, 3) == 0.5f);
}

PX_TEST(the_columns_that_settings_say_are_checked_where_the_graph_leaves_them_open)
{
    const float values[6] = {0};
    struct px_processor *scale;
    struct px_tensor output, input = tensor_of(PX_TYPE_FP32, values, 2, 3);
    start();
    CHECK_INT(create("scale", "{mean: [1, 2]}", spec_of(PX_TYPE_FP32, 2, PX_DIM_ANY), &scale),
              PX_OK);
    CHECK_INT(scale->takes.list[0].shape[1], 2);
    CHECK_INT(scale->gives.list[0].shape[1], 2);
    CHECK_INT(scale->apply(scale, &input, &output, &scratch, &err), PX_E_INVALID);
    CHECK(strstr(err.message, "expected 2 columns, got [2,3]"));
}

PX_TEST(one_parameter_serves_any_number_of_columns)
{
    const float values[6] = {1, 2, 3, 4, 5, 6};
    struct px_processor *scale;
    struct px_tensor output, input = tensor_of(PX_TYPE_FP32, values, 2, 3);
    start();
    CHECK_INT(create("scale", "{mean: 1}", spec_of(PX_TYPE_FP32, 2, PX_DIM_ANY), &scale), PX_OK);
    CHECK_INT(scale->gives.list[0].shape[1], PX_DIM_ANY);
    CHECK_INT(scale->apply(scale, &input, &output, &scratch, &err), PX_OK);
    CHECK(float_at(&output, 5) == 5 && output.shape[1] == 3);
}

PX_TEST(a_block_that_ends_within_a_row_goes_on_in_its_column)
{
    enum { ROWS = 400, COLUMNS = 3 };
    static float values[ROWS * COLUMNS];
    struct px_processor *scale;
    struct px_tensor output, input = tensor_of(PX_TYPE_FP32, values, ROWS, COLUMNS);
    start();
    CHECK_INT(create("scale", "{mean: [-1, -2, -3]}", spec_of(PX_TYPE_FP32, 2, COLUMNS), &scale),
              PX_OK);
    CHECK_INT(scale->apply(scale, &input, &output, &scratch, &err), PX_OK);
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        CHECK(float_at(&output, i) == (float)(i % COLUMNS + 1));
}

PX_TEST(a_threshold_is_reached_by_the_float_that_is_printed_like_it)
{
    const float score = 0.9f; /* below 0.9 as a double */
    struct px_processor *bands;
    struct px_tensor output, input = tensor_of(PX_TYPE_FP32, &score, 1, 0);
    struct px_str rest, label;
    start();
    CHECK_INT(create("bands", "{thresholds: [0.9], labels: [low, high]}",
                     spec_of(PX_TYPE_FP32, 1, 0), &bands),
              PX_OK);
    CHECK_INT(bands->apply(bands, &input, &output, &scratch, &err), PX_OK);
    rest = output.bytes;
    CHECK(px_tensor_next_text(&rest, &label) && px_str_is(label, "high"));
}

PX_TEST(thresholds_that_are_one_float_are_refused_for_floats)
{
    struct px_processor *bands;
    const char *settings = "{thresholds: [0.9, 0.900000001], labels: [a, b, c]}";
    start();
    CHECK_INT(create("bands", settings, spec_of(PX_TYPE_FP64, 1, 0), &bands), PX_OK);
    CHECK_INT(create("bands", settings, spec_of(PX_TYPE_FP32, 1, 0), &bands), PX_E_INVALID);
}

PX_TEST(a_processor_without_its_input_or_file_is_refused)
{
    struct px_processor *processor;
    struct px_tensor_spec other = spec_of(PX_TYPE_FP32, 2, 2);
    start();
    other.name = px_str("x");
    CHECK_INT(create("scale", "{mean: 1}", other, &processor), PX_E_INVALID);
    CHECK(strstr(err.message, "expected the input 'input', got 'x'"));
    CHECK_INT(create("scale", "{file: s.json}", spec_of(PX_TYPE_FP32, 2, 2), &processor),
              PX_E_NOT_FOUND);
    file_text = "[1, 2";
    CHECK_INT(create("scale", "{file: s.json}", spec_of(PX_TYPE_FP32, 2, 2), &processor),
              PX_E_INVALID);
    CHECK(strstr(err.message, "file 's.json'"));
    file_text = "{file: t.json, mean: 1}";
    CHECK_INT(create("scale", "{file: s.json}", spec_of(PX_TYPE_FP32, 2, 2), &processor),
              PX_E_UNKNOWN_OPTION);
    file_text = NULL;
}

PX_TEST(settings_of_the_step_go_before_those_of_the_file)
{
    const float value = 7;
    struct px_processor *scale;
    struct px_tensor output, input = tensor_of(PX_TYPE_FP32, &value, 1, 1);
    start();
    file_text = "{\"mean\": [1], \"scale\": [2]}";
    CHECK_INT(create("scale", "{file: s.json, scale: 3}", spec_of(PX_TYPE_FP32, 2, 1), &scale),
              PX_OK);
    file_text = NULL;
    CHECK_INT(scale->apply(scale, &input, &output, &scratch, &err), PX_OK);
    CHECK(float_at(&output, 0) == 2);
}

PX_TEST(a_tensor_of_any_rank_takes_the_shape_of_the_settings)
{
    struct px_processor *processor;
    struct px_tensor_spec any = {.name = px_str("input"), .type = PX_TYPE_FP32, .any_rank = true};
    start();
    CHECK_INT(create("sigmoid", "{}", any, &processor), PX_OK);
    CHECK(processor->gives.list[0].any_rank);
    CHECK_INT(create("scale", "{mean: [1, 2]}", any, &processor), PX_OK);
    CHECK(!processor->takes.list[0].any_rank && processor->takes.list[0].shape[1] == 2);
    CHECK_INT(create("arg_max", "{}", any, &processor), PX_E_INVALID);
}

PX_TEST(kinds_are_sorted_and_found_by_their_names)
{
    size_t n;
    const struct px_processor_kind *const *kinds = px_processor_kinds(&n);
    for (size_t i = 0; i < n; i++) {
        CHECK(px_processor_kind_find(px_str(kinds[i]->name), &err) == kinds[i]);
        CHECK(kinds[i]->summary[0] && (i == 0 || strcmp(kinds[i - 1]->name, kinds[i]->name) < 0));
    }
    CHECK(!px_processor_kind_find(px_str("scal"), &err));
    CHECK(strstr(err.hint, "scale"));
}

static const struct {
    const char *kind, *settings;
    enum px_datatype type;
} everything[] = {
    {"scale", "{mean: [1, 2], scale: [3, 4]}", PX_TYPE_FP32},
    {"impute", "{values: [1, 2], add_indicator: true}", PX_TYPE_FP64},
    {"encode", "{categories: [[0, 1], [0]], unknown: ignore}", PX_TYPE_INT64},
    {"encode", "{categories: [['', a], [b]], unknown: ignore}", PX_TYPE_BYTES},
    {"bucketise", "{edges: [[1], [1, 2]], method: one_hot}", PX_TYPE_FP32},
    {"bands", "{thresholds: [1], labels: [a, b]}", PX_TYPE_FP32},
    {"arg_max", "{labels: [a, b]}", PX_TYPE_FP32},
    {"arg_max", "{labels: [1, 2], type: INT64}", PX_TYPE_FP32},
    {"top_k", "{k: 2, labels: [a, b]}", PX_TYPE_FP32},
    {"platt", "{a: 1, b: 2}", PX_TYPE_FP32},
    {"isotonic", "{x: [1, 2], y: [1, 2]}", PX_TYPE_FP32},
    {"clip", "{min: [0, 1]}", PX_TYPE_FP32},
    {"softmax", "{}", PX_TYPE_FP32},
    {"select", "{columns: [1]}", PX_TYPE_BYTES},
    {"cast", "{type: BYTES}", PX_TYPE_FP64},
};

/* PX_OK, or what failed first with memory for `room` bytes (0: all) and the n-th allocation failing. */
static enum px_code run_one(size_t at, size_t room, uint64_t n)
{
    static const char zeros[64];
    struct px_processor *processor = NULL;
    struct px_tensor input = tensor_of(everything[at].type, zeros, 2, 2), outputs[8];
    start();
    if (everything[at].type == PX_TYPE_BYTES)
        input.bytes = px_str_n(zeros, 4 * sizeof(uint32_t));
    if (room)
        arena = scratch = px_arena(room);
    px_alloc_fail_at(n);
    enum px_code code = create(everything[at].kind, everything[at].settings,
                               spec_of(everything[at].type, 2, 2), &processor);
    if (code == PX_OK)
        code = processor->apply(processor, &input, outputs, &scratch, &err);
    px_alloc_fail_at(0);
    return code;
}

PX_TEST(no_memory_is_an_error_of_every_kind)
{
    for (size_t at = 0; at < PX_ARRAY_LEN(everything); at++) {
        enum px_code code = run_one(at, 0, 0);
        CHECK_INT(code, PX_OK);
        for (uint64_t n = 1; n < 8; n++) {
            code = run_one(at, 0, n);
            CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        }
        for (size_t room = 64; room < 4096; room += 24) {
            code = run_one(at, room, 0);
            CHECK(code == PX_OK || code == PX_E_TOO_LARGE);
        }
    }
    px_arena_deinit(&arena);
    px_arena_deinit(&scratch);
}

PX_TEST_MAIN(T(numbers_that_lie_at_odd_addresses_are_read)
                 T(the_columns_that_settings_say_are_checked_where_the_graph_leaves_them_open)
                     T(one_parameter_serves_any_number_of_columns)
                         T(a_block_that_ends_within_a_row_goes_on_in_its_column)
                             T(a_threshold_is_reached_by_the_float_that_is_printed_like_it)
                                 T(thresholds_that_are_one_float_are_refused_for_floats)
                                     T(a_processor_without_its_input_or_file_is_refused)
                                         T(settings_of_the_step_go_before_those_of_the_file)
                                             T(a_tensor_of_any_rank_takes_the_shape_of_the_settings)
                                                 T(kinds_are_sorted_and_found_by_their_names)
                                                     T(no_memory_is_an_error_of_every_kind))
