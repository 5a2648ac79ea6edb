/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions, combiners and rows on real tensors. */
#include "domain/graph/combine.h"
#include "domain/graph/condition.h"
#include "domain/graph/values.h"
#include "graph_specs.h"
#include "harness.h"
#include "shared/unconst.h"

static struct px_arena arena;
static struct px_err err;

static struct px_tensor floats(const char *name, const float *values, size_t rows, size_t cols)
{
    struct px_tensor tensor = {
        .name = px_str(name),
        .type = PX_TYPE_FP32,
        .shape = {rows, cols},
        .n_dims = cols ? 2 : 1,
        .bytes = px_str_n((const char *)values, rows * (cols ? cols : 1) * sizeof *values)};
    return tensor;
}

/* Texts of one letter each. */
static struct px_tensor letters(const char *name, const char *text, char *out)
{
    struct px_tensor tensor = {
        .name = px_str(name), .type = PX_TYPE_BYTES, .shape = {strlen(text)}, .n_dims = 1};
    size_t at = 0;
    for (; *text; text++) {
        uint32_t len = *text != '-';
        memcpy(out + at, &len, sizeof len);
        at += sizeof len;
        if (len)
            out[at++] = *text;
    }
    tensor.bytes = px_str_n(out, at);
    return tensor;
}

static void start(void)
{
    px_arena_deinit(&arena);
    arena = px_arena(16 << 20);
    err = (struct px_err){0};
}

static double at(const struct px_tensor *tensor, size_t i)
{
    return px_graph_number(tensor, i);
}

/* ---- conditions ---- */

/* Tensors by name, for a graph whose inputs they are. */
static const struct px_tensor *inputs[8];

static const struct px_tensor *get_input(void *context, struct px_graph_source source)
{
    (void)context;
    return inputs[source.tensor];
}

/* Rows for which the condition holds, as a text of 0 and 1. */
static const char *holds(const char *when)
{
    static char text[64];
    char yaml[1024];
    struct px_graph *graph;
    struct px_graph_rows rows;
    const struct px_graph_tensors tensors = {get_input, NULL};
    snprintf(
        yaml, sizeof yaml,
        "phoenix_graph: 1\n"
        "inputs: [{name: a, type: FP32, shape: [-1]}, {name: p, type: FP32, shape: [-1, 2]},\n"
        "         {name: t, type: BYTES, shape: [-1]}, {name: b, type: BOOL, shape: [1]}]\n"
        "outputs: [{name: o, from: s.output}]\n"
        "steps: [{name: s, combine: first, inputs: [a], otherwise: {output: 0}, when: \"%s\"}]\n",
        when);
    if (px_graph_read(px_str(yaml), &graph_resolver, &arena, &graph, &err) != PX_OK ||
        px_graph_condition_evaluate(graph->steps[0].when, &tensors, &arena, &rows, &err) != PX_OK)
        return err.message;
    for (size_t i = 0; i < rows.n; i++)
        text[i] = (char)('0' + rows.chosen[i]);
    text[rows.n] = '\0';
    return text;
}

PX_TEST(conditions_hold_for_the_rows_that_they_say)
{
    static const float a[] = {0.1F, 0.4F, 0.5F, 0.6F, NAN}, p[] = {0, 1, 1, 0, 0, 1, 1, 0, 0, 1};
    static const char yes = 1;
    char bytes[64];
    start();
    struct px_tensor ta = floats("a", a, 5, 0), tp = floats("p", p, 5, 2),
                     tt = letters("t", "xyx-y", bytes),
                     tb = {.type = PX_TYPE_BOOL, .shape = {1}, .n_dims = 1, .bytes = {&yes, 1}};
    inputs[0] = &ta;
    inputs[1] = &tp;
    inputs[2] = &tt;
    inputs[3] = &tb;
    static const struct {
        const char *when, *rows;
    } cases[] = {
        {"a >= 0.5", "00110"},
        {"0.3 <= a <= 0.55", "01100"},
        {"a != 0.5", "11011"},
        {"not a < 0.5", "00111"},
        {"a < 0.2 or a > 0.55", "10010"},
        {"a < 0.2 or a > 0.55 and t == 'x'", "10000"},
        {"(a < 0.2 or a > 0.55) and t == 'x'", "10000"},
        {"t == ''", "00010"},
        {"t != 'x'", "01011"},
        {"p[1] > 0.5", "10101"},
        {"p[0] == p[1]", "00000"},
        {"b and a < 0.2", "10000"},
        {"b", "1"},
        {"b == true", "1"},
        {"-1 < a", "11110"},
        {"a < 1e-1", "00000"},
        {"a <= 0.6", "11110"}, /* the float nearest to 0.6 lies above the double */
        {"0.6 <= a", "00010"},
        {"a == 0.1 or a == 0.6", "10010"},
        {"a > 0.6 or a < 0.1", "00000"},
        {"0.4 <= a <= 0.6", "01110"},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        const char *got = holds(cases[i].when);
        const char *want = cases[i].rows;
        if (strcmp(got, want) != 0)
            fprintf(stderr, "%s: %s, want %s\n", cases[i].when, got, want);
        CHECK(strcmp(got, want) == 0);
    }
}

/* ---- numbers of every type ---- */

static struct px_tensor numbers(enum px_datatype type, const void *values, size_t n)
{
    size_t size = n * px_datatype_size(type);
    return (struct px_tensor){
        .type = type, .shape = {n}, .n_dims = 1, .bytes = px_str_n(values, size)};
}

/* The same with `i` of one type and `j` of another. */
static const char *holds_for(const char *when, const struct px_tensor *i, const struct px_tensor *j)
{
    static char text[64];
    char yaml[1024];
    struct px_graph *graph;
    struct px_graph_rows rows;
    const struct px_graph_tensors tensors = {get_input, NULL};
    inputs[0] = i;
    inputs[1] = j;
    snprintf(yaml, sizeof yaml,
             "phoenix_graph: 1\n"
             "inputs: [{name: i, type: %s, shape: [-1]}, {name: j, type: %s, shape: [-1]}]\n"
             "outputs: [{name: o, from: s.j}]\n"
             "steps: [{name: s, processor: p, inputs: {j: j}, otherwise: {j: j}, when: \"%s\"}]\n",
             px_datatype_name(i->type), px_datatype_name(j->type), when);
    if (px_graph_read(px_str(yaml), &graph_resolver, &arena, &graph, &err) != PX_OK ||
        px_graph_condition_evaluate(graph->steps[0].when, &tensors, &arena, &rows, &err) != PX_OK)
        return err.message;
    for (size_t k = 0; k < rows.n; k++)
        text[k] = (char)('0' + rows.chosen[k]);
    text[rows.n] = '\0';
    return text;
}

PX_TEST(integers_beyond_what_a_double_holds_are_compared_exactly)
{
    static const int64_t i[] = {9007199254740992, 9007199254740993, -1, INT64_MIN};
    static const uint64_t j[] = {9007199254740993, 9007199254740993, UINT64_MAX, UINT64_MAX};
    start();
    struct px_tensor ti = numbers(PX_TYPE_INT64, i, 4), tj = numbers(PX_TYPE_UINT64, j, 4);
    CHECK(strcmp(holds_for("i == 9007199254740993", &ti, &tj), "0100") == 0);
    CHECK(strcmp(holds_for("i < 9007199254740993", &ti, &tj), "1011") == 0);
    CHECK(strcmp(holds_for("i == j", &ti, &tj), "0100") == 0);
    CHECK(strcmp(holds_for("i < j", &ti, &tj), "1011") == 0);
    CHECK(strcmp(holds_for("j == 18446744073709551615", &ti, &tj), "0011") == 0);
    CHECK(strcmp(holds_for("j >= 1e20 or i <= -9.3e18", &ti, &tj), "0000") == 0);
    CHECK(strcmp(holds_for("i == -9223372036854775808", &ti, &tj), "0001") == 0);
    CHECK(strcmp(holds_for("-1.5 < i < -0.5", &ti, &tj), "0010") == 0);
}

PX_TEST(an_integer_and_a_fraction_are_compared_exactly)
{
    static const int64_t i[] = {9007199254740993, 2, -2, 0};
    static const double j[] = {9007199254740992.0, 2.5, -2.5, NAN};
    start();
    struct px_tensor ti = numbers(PX_TYPE_INT64, i, 4), tj = numbers(PX_TYPE_FP64, j, 4);
    CHECK(strcmp(holds_for("i > j", &ti, &tj), "1010") == 0);
    CHECK(strcmp(holds_for("j < i", &ti, &tj), "1010") == 0);
    CHECK(strcmp(holds_for("i == j", &ti, &tj), "0000") == 0);
    CHECK(strcmp(holds_for("i != j", &ti, &tj), "1111") == 0);
    CHECK(strcmp(holds_for("j >= 2.5", &ti, &tj), "1100") == 0);
}

PX_TEST(a_written_number_is_rounded_to_halves)
{
    const uint16_t i[] = {px_float_to_half(0.1), px_float_to_half(0.6)};
    const uint16_t j[] = {px_float_to_bfloat(0.1F), px_float_to_bfloat(0.6F)};
    start();
    struct px_tensor ti = numbers(PX_TYPE_FP16, i, 2), tj = numbers(PX_TYPE_BF16, j, 2);
    CHECK(strcmp(holds_for("i == 0.1", &ti, &tj), "10") == 0);
    CHECK(strcmp(holds_for("0.1 < i <= 0.6", &ti, &tj), "01") == 0);
    CHECK(strcmp(holds_for("j == 0.1", &ti, &tj), "10") == 0);
    CHECK(strcmp(holds_for("0.1 < j <= 0.6", &ti, &tj), "01") == 0);
}

PX_TEST(rows_of_another_number_are_an_error)
{
    static const float a[] = {1, 2, 3}, p[] = {0, 1};
    start();
    struct px_tensor ta = floats("a", a, 3, 0), tp = floats("p", p, 1, 2);
    inputs[0] = &ta;
    inputs[1] = &tp;
    CHECK_CONTAINS(holds("a > 1 and p[0] > 1"), "different number of rows");
    tp = floats("p", p, 2, 1);
    CHECK_CONTAINS(holds("p[1] > 1"), "no such column");
}

PX_TEST(an_absent_tensor_makes_a_condition_false)
{
    static const float a[] = {1, 2};
    start();
    struct px_tensor ta = floats("a", a, 2, 0);
    inputs[0] = &ta;
    inputs[1] = NULL;
    CHECK(strcmp(holds("a > 0 or not p[0] > 1"), "00") == 0);
}

/* ---- combiners ---- */

static enum px_code combine(const char *settings, const struct px_tensor *const *tensors, size_t n,
                            enum px_datatype type, struct px_tensor *ret)
{
    char yaml[1024];
    struct px_graph *graph;
    snprintf(yaml, sizeof yaml,
             "phoenix_graph: 1\ninputs: [{name: a, type: %s, shape: [-1]}]\n"
             "outputs: [{name: o, from: s.output}]\n"
             "steps: [{name: s, inputs: [a, a, a, a], %s}]\n",
             px_datatype_name(type), settings);
    CHECK_OK(px_graph_read(px_str(yaml), &graph_resolver, &arena, &graph, &err));
    return px_graph_combine(graph->steps[0].combiner, tensors, n, &arena, ret, &err);
}

PX_TEST(means_leave_absent_inputs_out_with_their_weights)
{
    static const float a[] = {1, 10}, b[] = {2, 20}, c[] = {6, 0};
    start();
    struct px_tensor ta = floats("a", a, 2, 0), tb = floats("b", b, 2, 0),
                     tc = floats("c", c, 2, 0), result;
    const struct px_tensor *all[] = {&ta, &tb, &tc, NULL};
    CHECK_OK(combine("combine: mean", all, 4, PX_TYPE_FP32, &result));
    CHECK_DOUBLE(at(&result, 0), 3);
    CHECK_DOUBLE(at(&result, 1), 10);
    CHECK_OK(combine("combine: median", all, 4, PX_TYPE_FP32, &result));
    CHECK_DOUBLE(at(&result, 0), 2);
    CHECK_DOUBLE(at(&result, 1), 10);
    CHECK_OK(combine("combine: max", all, 4, PX_TYPE_FP32, &result));
    CHECK_DOUBLE(at(&result, 0), 6);
    CHECK_OK(combine("combine: min", all, 4, PX_TYPE_FP32, &result));
    CHECK_DOUBLE(at(&result, 1), 0);
    CHECK_OK(combine("combine: sum", all, 4, PX_TYPE_FP32, &result));
    CHECK_DOUBLE(at(&result, 1), 30);
    CHECK_OK(combine("combine: weighted_mean, with: {weights: [1, 0, 3, 100]}", all, 4,
                     PX_TYPE_FP32, &result));
    CHECK_DOUBLE(at(&result, 0), (1 + 18) / 4.0);
    const struct px_tensor *late[] = {NULL, &tb, NULL, &tc};
    CHECK_OK(combine("combine: first", late, 4, PX_TYPE_FP32, &result));
    CHECK_DOUBLE(at(&result, 0), 2);
    CHECK_OK(combine("combine: mean, with: {type: FP64}", late, 4, PX_TYPE_FP32, &result));
    CHECK_INT(result.type, PX_TYPE_FP64);
    CHECK_OK(px_tensor_check_bytes(&result, &err));
    CHECK_DOUBLE(at(&result, 0), 4);
}

PX_TEST(a_missing_value_makes_the_mean_missing)
{
    static const float a[] = {1, NAN}, b[] = {NAN, 2};
    start();
    struct px_tensor ta = floats("a", a, 2, 0), tb = floats("b", b, 2, 0), result;
    const struct px_tensor *all[] = {&ta, &tb, NULL, NULL};
    static const char *const kinds[] = {"mean", "median", "min", "max", "sum"};
    for (size_t i = 0; i < PX_ARRAY_LEN(kinds); i++) {
        char settings[64];
        snprintf(settings, sizeof settings, "combine: %s", kinds[i]);
        CHECK_OK(combine(settings, all, 4, PX_TYPE_FP32, &result));
        CHECK(isnan(at(&result, 0)) && isnan(at(&result, 1)));
    }
}

PX_TEST(votes_go_to_the_earlier_of_equals)
{
    char bytes[4][64];
    start();
    struct px_tensor t[4] = {letters("a", "xx-", bytes[0]), letters("b", "yyz", bytes[1]),
                             letters("c", "yx-", bytes[2]), letters("d", "xyz", bytes[3])};
    const struct px_tensor *all[] = {&t[0], &t[1], &t[2], &t[3]};
    struct px_tensor result;
    CHECK_OK(combine("combine: vote", all, 4, PX_TYPE_BYTES, &result));
    CHECK_OK(px_tensor_check_bytes(&result, &err));
    struct px_str *texts = px_graph_texts(&result, 3, &arena);
    CHECK_STR(texts[0], "x");
    CHECK_STR(texts[1], "x");
    CHECK_STR(texts[2], "");
    CHECK_OK(combine("combine: weighted_vote, with: {weights: [1, 2, 1, 1.5]}", all, 4,
                     PX_TYPE_BYTES, &result));
    texts = px_graph_texts(&result, 3, &arena);
    CHECK_STR(texts[0], "y");
    CHECK_STR(texts[1], "y");
    CHECK_STR(texts[2], "z");
}

PX_TEST(concat_puts_columns_side_by_side)
{
    static const float a[] = {1, 2}, b[] = {3, 4, 5, 6};
    start();
    struct px_tensor ta = floats("a", a, 2, 0), tb = floats("b", b, 2, 2), result;
    const struct px_tensor *all[] = {&ta, &tb, &ta, &ta};
    CHECK_OK(combine("combine: concat", all, 4, PX_TYPE_FP32, &result));
    static const double want[] = {1, 3, 4, 1, 1, 2, 5, 6, 2, 2};
    CHECK_INT(result.n_dims, 2);
    CHECK_INT(result.shape[1], 5);
    for (size_t i = 0; i < 10; i++)
        CHECK_DOUBLE(at(&result, i), want[i]);
    tb = floats("b", b, 1, 4);
    CHECK_INT(combine("combine: concat", all, 4, PX_TYPE_FP32, &result), PX_E_INVALID);
    CHECK_INT(combine("combine: mean", all, 4, PX_TYPE_FP32, &result), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "cannot be combined");
}

PX_TEST(every_type_of_number_reads_as_itself)
{
    static const struct {
        enum px_datatype type;
        uint64_t bits;
        double value;
    } cases[] = {{PX_TYPE_BOOL, 1, 1},
                 {PX_TYPE_UINT8, 200, 200},
                 {PX_TYPE_INT8, 0xff, -1},
                 {PX_TYPE_UINT16, 0xffff, 65535},
                 {PX_TYPE_INT16, 0xffff, -1},
                 {PX_TYPE_UINT32, 0xffffffff, 4294967295.0},
                 {PX_TYPE_INT32, 0xffffffff, -1},
                 {PX_TYPE_INT64, UINT64_MAX, -1},
                 {PX_TYPE_UINT64, 1, 1},
                 {PX_TYPE_FP16, 0x3c00, 1},
                 {PX_TYPE_FP16, 0x0001, 0x1p-24},
                 {PX_TYPE_FP16, 0xfc00, -INFINITY},
                 {PX_TYPE_FP16, 0x7e00, NAN},
                 {PX_TYPE_BF16, 0x3f80, 1},
                 {PX_TYPE_FP32, 0x3f800000, 1},
                 {PX_TYPE_FP64, 0x3ff0000000000000, 1}};
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct px_tensor tensor = {.type = cases[i].type,
                                   .bytes = px_str_n((const char *)&cases[i].bits, 8)};
        CHECK_DOUBLE(px_graph_number(&tensor, 0), cases[i].value);
    }
}

/* ---- rows ---- */

PX_TEST(rows_come_back_where_they_were_cut_out)
{
    static const float a[] = {1, 2, 3, 4, 5, 6};
    static uint8_t chosen[] = {0, 1, 1};
    const struct px_graph_rows rows = {chosen, 3, 2};
    char bytes[64];
    start();
    struct px_tensor numbers = floats("n", a, 3, 2), texts = letters("t", "x-z", bytes), cut, back;
    CHECK_OK(px_graph_gather(&numbers, &rows, &arena, &cut, &err));
    CHECK_INT(cut.shape[0], 2);
    CHECK_DOUBLE(at(&cut, 0), 3);
    struct px_graph_merge merge = {&cut, &numbers, true, &rows};
    CHECK_OK(px_graph_merge_rows(&merge, &arena, &back, &err));
    CHECK(px_str_eq(back.bytes, numbers.bytes));
    CHECK_OK(px_graph_gather(&texts, &rows, &arena, &cut, &err));
    CHECK_INT(cut.bytes.len, 4 + 5);
    CHECK_INT(px_graph_merge_rows(&merge, &arena, &back, &err), PX_E_INVALID); /* another type */
    merge.other = &texts;
    CHECK_OK(px_graph_merge_rows(&merge, &arena, &back, &err));
    CHECK(px_str_eq(back.bytes, texts.bytes));
    merge = (struct px_graph_merge){&texts, &texts, false, &rows};
    CHECK_OK(px_graph_merge_rows(&merge, &arena, &back, &err));
    CHECK(px_str_eq(back.bytes, texts.bytes));
    CHECK_INT(px_graph_gather(&numbers, &(struct px_graph_rows){chosen, 2, 1}, &arena, &cut, &err),
              PX_E_INVALID);
    CHECK_CONTAINS(err.message, "expected 2 rows");
}

PX_TEST_MAIN(T(conditions_hold_for_the_rows_that_they_say)
                 T(integers_beyond_what_a_double_holds_are_compared_exactly)
                     T(an_integer_and_a_fraction_are_compared_exactly)
                         T(a_written_number_is_rounded_to_halves)
                             T(rows_of_another_number_are_an_error)
                                 T(an_absent_tensor_makes_a_condition_false)
                                     T(means_leave_absent_inputs_out_with_their_weights)
                                         T(a_missing_value_makes_the_mean_missing)
                                             T(votes_go_to_the_earlier_of_equals)
                                                 T(concat_puts_columns_side_by_side)
                                                     T(every_type_of_number_reads_as_itself)
                                                         T(rows_come_back_where_they_were_cut_out))
