/* SPDX-License-Identifier: Apache-2.0 */
/* Processors that say that their rows do not know of each other: a batch is its rows one by one, to the bit. */
#include "domain/processing/processor.h"
#include "harness.h"
#include "shared/alloc.h"

#include <math.h>

enum {
    ROWS = 1100,
    COLUMNS = 3
}; /* more than are computed at a time, and not a multiple of them */

static const char vocabulary_txt[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n##lo\nhe\n##l\nworld\n";
static const char vocabulary_json[] =
    "{\"h\":0,\"e\":1,\"l\":2,\"he\":3,\"ll\":4,\"hell\":5,\"<s>\":6}";
static const char merges_txt[] = "#version: 0.2\nh e\nl l\nhe ll\n";
static const char fitted_json[] = "{\"vocabulary\":[\"hello\",\"world\"],\"idf\":[1.5,2]}";

static enum px_code read_file(void *context, struct px_str name, struct px_str *ret,
                              struct px_err *err)
{
    (void)context;
    if (px_str_is(name, "vocab.txt"))
        *ret = px_str(vocabulary_txt);
    else if (px_str_is(name, "vocab.json"))
        *ret = px_str(vocabulary_json);
    else if (px_str_is(name, "merges.txt"))
        *ret = px_str(merges_txt);
    else if (px_str_is(name, "fitted.json"))
        *ret = px_str(fitted_json);
    else
        return px_err_set(err, PX_E_NOT_FOUND, "no file '%.*s'", PX_STR_ARG(name));
    return PX_OK;
}

static const struct row_case {
    const char *kind, *settings;
    enum px_datatype type; /* BYTES of a kind of texts: one column */
    bool has_nan;
} cases[] = {
    {"arg_max", "{labels: [a, bc, d]}", PX_TYPE_FP32, true},
    {"arg_max", "{}", PX_TYPE_FP64, true},
    {"bands", "{thresholds: [0.25, 1], labels: [a, bb, c]}", PX_TYPE_FP32, false},
    {"bucketise", "{edges: [[1], [1, 2], [0, 1]], method: one_hot}", PX_TYPE_FP32, false},
    {"bucketise", "{edges: [[1], [1, 2], [0, 1]]}", PX_TYPE_FP64, false},
    {"cast", "{type: BYTES}", PX_TYPE_FP64, true},
    {"cast", "{type: FP32}", PX_TYPE_FP64, true},
    {"clip", "{min: [0, 1, 2], max: 2.5}", PX_TYPE_FP32, true},
    {"encode", "{categories: [[0, 1], [0], [2]], unknown: ignore}", PX_TYPE_INT64, false},
    {"hashing_vectorizer", "{n_features: 16, type: FP32}", PX_TYPE_BYTES, false},
    {"impute", "{values: [1, 2, 3], add_indicator: true}", PX_TYPE_FP32, true},
    {"isotonic", "{x: [0, 1, 2], y: [0.1, 0.5, 0.75], out_of_bounds: clip}", PX_TYPE_FP32, false},
    {"log1p", "{}", PX_TYPE_FP32, true},
    {"platt", "{a: -1.25, b: 0.3}", PX_TYPE_FP32, true},
    {"scale", "{mean: [0.1, 2, 3], scale: [3, 0.7, 1.1]}", PX_TYPE_FP32, true},
    {"scale", "{mean: [0.1, 2, 3], scale: [3, 0.7, 1.1]}", PX_TYPE_FP64, true},
    {"select", "{columns: [2, 0]}", PX_TYPE_FP32, true},
    {"sigmoid", "{}", PX_TYPE_FP32, true},
    {"softmax", "{}", PX_TYPE_FP32, true},
    {"tfidf", "{file: fitted.json}", PX_TYPE_BYTES, false},
    {"tokenize_bpe",
     "{vocabulary: vocab.json, merges: merges.txt, pad_token: <s>, max_length: 6, padding: "
     "max_length}",
     PX_TYPE_BYTES, false},
    {"tokenize_whitespace",
     "{vocabulary: vocab.txt, lowercase: true, unk_token: '[UNK]', pad_token: '[PAD]', "
     "max_length: 5, padding: max_length}",
     PX_TYPE_BYTES, false},
    {"tokenize_wordpiece", "{vocabulary: vocab.txt, max_length: 9, padding: max_length}",
     PX_TYPE_BYTES, false},
    {"top_k", "{k: 2, labels: [a, bb, ccc]}", PX_TYPE_FP32, true},
};

static enum px_code create(const struct row_case *c, const struct px_tensor_spec *spec,
                           struct px_arena *arena, struct px_processor **ret, struct px_err *err)
{
    struct px_processor_source source = {
        .inputs = {spec, 1}, .arena = arena, .read_file = read_file};
    const struct px_processor_kind *kind = px_processor_kind_find(px_str(c->kind), NULL);
    CHECK(kind);
    enum px_code code = px_yaml_parse(px_str(c->settings), arena, &source.settings, err);
    return code == PX_OK ? kind->create(&source, ret, err) : code;
}

static struct px_tensor_spec spec_of(const struct row_case *c, int64_t n_rows)
{
    bool texts = c->type == PX_TYPE_BYTES;
    return (struct px_tensor_spec){.name = PX_STR("input"),
                                   .type = c->type,
                                   .shape = {n_rows, COLUMNS},
                                   .n_dims = texts ? 1 : 2};
}

/* ---- inputs ---- */

static double value_of(const struct row_case *c, size_t i)
{
    uint64_t mixed = (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    if (c->has_nan && i % 7 == 3)
        return (double)NAN;
    if (c->type == PX_TYPE_INT64)
        return (double)(mixed >> 62);
    return (double)(mixed >> 40) / (1 << 23); /* 0 to 2 */
}

static void put_number(struct px_buf *to, enum px_datatype type, double x)
{
    float narrow = (float)x;
    if (type == PX_TYPE_FP32)
        px_buf_append(to, &narrow, sizeof narrow);
    else if (type == PX_TYPE_FP64)
        px_buf_append(to, &x, sizeof x);
    else
        px_buf_append(to, &(int64_t){(int64_t)x}, sizeof(int64_t));
}

static void put_text(struct px_buf *to, size_t row)
{
    static const char *const words[] = {"hello", "World", "hell", "he", "[SEP]", "w\xC3x"};
    struct px_buf text = px_buf(1 << 10);
    for (size_t i = 0; i < row % 9; i++)
        px_buf_printf(&text, "%s ", words[(row * 5 + i * i) % PX_ARRAY_LEN(words)]);
    uint32_t len = (uint32_t)text.len;
    px_buf_append(to, &len, sizeof len);
    px_buf_str(to, px_buf_view(&text));
    px_buf_deinit(&text);
}

/* `starts` has where each row begins, and the end. */
static void make_rows(const struct row_case *c, struct px_buf *to, size_t *starts)
{
    for (size_t row = 0; row < ROWS; row++) {
        starts[row] = to->len;
        for (size_t col = 0; col < COLUMNS && c->type != PX_TYPE_BYTES; col++)
            put_number(to, c->type, value_of(c, row * COLUMNS + col));
        if (c->type == PX_TYPE_BYTES)
            put_text(to, row);
    }
    starts[ROWS] = to->len;
    CHECK(!to->failed);
}

static struct px_tensor tensor_of(const struct row_case *c, const struct px_buf *rows,
                                  const size_t *starts, size_t first, size_t n)
{
    bool texts = c->type == PX_TYPE_BYTES;
    return (struct px_tensor){.name = px_str("input"),
                              .type = c->type,
                              .shape = {n, COLUMNS},
                              .n_dims = texts ? 1 : 2,
                              .bytes = px_str_n(px_buf_view(rows).ptr + starts[first],
                                                starts[first + n] - starts[first])};
}

/* ---- comparing ---- */

/* The bytes of the next row of a tensor. */
static struct px_str take_row(const struct px_tensor *tensor, struct px_str *rest)
{
    size_t n = 1, size = px_datatype_size(tensor->type), len;
    const char *at = rest->ptr;
    struct px_str text;
    for (size_t i = 1; i < tensor->n_dims; i++)
        n *= tensor->shape[i];
    for (size_t i = 0; i < n && size == 0; i++)
        CHECK(px_tensor_next_text(rest, &text));
    len = size ? n * size : (size_t)(rest->ptr - at);
    if (size)
        *rest = px_str_n(at + len, rest->len - len);
    return px_str_n(at, len);
}

static void check_row(const struct row_case *c, const struct px_processor *processor,
                      const struct px_tensor *one, struct px_str *rests,
                      const struct px_tensor *batch)
{
    for (size_t i = 0; i < processor->gives.n; i++) {
        struct px_str together = take_row(&batch[i], &rests[i]);
        CHECK_INT(one[i].shape[0], 1);
        CHECK_INT(one[i].n_dims, batch[i].n_dims);
        if (!px_str_eq(together, one[i].bytes))
            fprintf(stderr, "%s %s: output %zu\n", c->kind, c->settings, i);
        CHECK(px_str_eq(together, one[i].bytes));
    }
}

static void compare(const struct row_case *c)
{
    static size_t starts[ROWS + 1];
    struct px_arena arena = px_arena(8 << 20), scratch = px_arena(8 << 20), row = px_arena(1 << 20);
    struct px_buf rows = px_buf(1 << 20);
    struct px_tensor batch[PX_PROCESSOR_OUTPUTS_MAX], one[PX_PROCESSOR_OUTPUTS_MAX];
    struct px_str rests[PX_PROCESSOR_OUTPUTS_MAX];
    struct px_tensor_spec spec = spec_of(c, PX_DIM_ANY);
    struct px_processor *processor;
    struct px_err err;
    CHECK_OK(create(c, &spec, &arena, &processor, &err));
    CHECK(processor->row_wise);
    make_rows(c, &rows, starts);
    struct px_tensor input = tensor_of(c, &rows, starts, 0, ROWS);
    CHECK_OK(processor->apply(processor, &input, batch, &scratch, &err));
    for (size_t i = 0; i < processor->gives.n; i++) {
        CHECK_INT(processor->gives.list[i].shape[0], PX_DIM_ANY);
        CHECK_INT(batch[i].shape[0], ROWS);
        rests[i] = batch[i].bytes;
    }
    for (size_t i = 0; i < ROWS; i++) {
        input = tensor_of(c, &rows, starts, i, 1);
        CHECK_OK(processor->apply(processor, &input, one, &row, &err));
        check_row(c, processor, one, rests, batch);
        px_arena_reset(&row);
    }
    px_buf_deinit(&rows);
    px_arena_deinit(&row);
    px_arena_deinit(&scratch);
    px_arena_deinit(&arena);
}

PX_TEST(a_batch_is_its_rows_one_by_one_to_the_bit)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++)
        compare(&cases[i]);
}

PX_TEST(every_kind_is_among_those_that_were_compared)
{
    size_t n, at;
    const struct px_processor_kind *const *kinds = px_processor_kinds(&n);
    for (size_t i = 0; i < n; i++) {
        for (at = 0; at < PX_ARRAY_LEN(cases) && strcmp(cases[at].kind, kinds[i]->name); at++)
            continue;
        CHECK(at < PX_ARRAY_LEN(cases));
    }
}

PX_TEST(rows_that_are_padded_to_the_longest_know_of_each_other)
{
    static const struct row_case longest = {"tokenize_wordpiece", "{vocabulary: vocab.txt}",
                                            PX_TYPE_BYTES, false};
    struct px_arena arena = px_arena(8 << 20);
    struct px_tensor_spec spec = spec_of(&longest, PX_DIM_ANY);
    struct px_processor *processor;
    struct px_err err;
    CHECK_OK(create(&longest, &spec, &arena, &processor, &err));
    CHECK(!processor->row_wise);
    px_arena_deinit(&arena);
}

PX_TEST(a_first_dimension_that_is_fixed_counts_no_rows)
{
    struct px_arena arena = px_arena(8 << 20);
    struct px_err err;
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct px_tensor_spec spec = spec_of(&cases[i], 4);
        struct px_processor *processor;
        CHECK_OK(create(&cases[i], &spec, &arena, &processor, &err));
        CHECK(!processor->row_wise);
    }
    px_arena_deinit(&arena);
}

PX_TEST_MAIN(T(a_batch_is_its_rows_one_by_one_to_the_bit)
                 T(every_kind_is_among_those_that_were_compared)
                     T(rows_that_are_padded_to_the_longest_know_of_each_other)
                         T(a_first_dimension_that_is_fixed_counts_no_rows))
