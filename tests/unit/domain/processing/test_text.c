/* SPDX-License-Identifier: Apache-2.0 */
/* Text processors where the parity tests do not reach: memory that runs out, inputs of another kind, files at their limits. */
#include "harness.h"

#include "domain/processing/processor.h"
#include "domain/processing/text_settings.h"
#include "shared/alloc.h"

static const char vocabulary_txt[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n##lo\nhe\n##l\r\nworld\n";
static const char vocabulary_json[] =
    "{\"h\":0,\"e\":1,\"l\":2,\"he\":3,\"ll\":4,\"hell\":5,\"<s>\":6}";
static const char merges_txt[] = "#version: 0.2\nh e\nl l\nhe ll\n";
static const char fitted_json[] =
    "{\"vocabulary\":[\"hello\",\"world\"],\"idf\":[1.5,2],\"stop_words\":[\"the\"],\"norm\":null}";

static const char twice_txt[] = "[PAD]\n[UNK]\n\n\nhello\nworld\nhello\n";
static const char tokenizer_json[] =
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"h\":0,\"e\":1,\"<s>\":2,\"<pad>\":7},\"merges\":[]},"
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},"
    "\"truncation\":null,\"padding\":{\"strategy\":\"BatchLongest\",\"pad_id\":7,\"pad_token\":\"<"
    "pad>\"}}";

static enum px_code read_file(void *context, struct px_str name, struct px_str *ret,
                              struct px_err *err)
{
    (void)context;
    if (px_str_is(name, "vocab.txt"))
        *ret = px_str(vocabulary_txt);
    else if (px_str_is(name, "twice.txt"))
        *ret = px_str(twice_txt);
    else if (px_str_is(name, "tokenizer.json"))
        *ret = px_str(tokenizer_json);
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

static const struct {
    const char *kind, *settings;
} cases[] = {
    {"hashing_vectorizer", "{n_features: 8, stop_words: vocab.txt, type: FP32}"},
    {"hashing_vectorizer", "{n_features: 8, analyzer: char_wb, ngram_range: [2, 3]}"},
    {"tfidf", "{file: fitted.json}"},
    {"tokenize_bpe", "{vocabulary: vocab.json, merges: merges.txt, bos_token: <s>}"},
    {"tokenize_whitespace", "{vocabulary: vocab.txt, lowercase: true, unk_token: '[UNK]'}"},
    {"tokenize_wordpiece", "{vocabulary: vocab.txt}"},
};

static const struct px_tensor_spec texts_spec = {
    .name = PX_STR("input"), .type = PX_TYPE_BYTES, .shape = {PX_DIM_ANY}, .n_dims = 1};

static enum px_code create(const char *kind_name, const char *settings,
                           const struct px_tensor_spec *spec, struct px_arena *arena,
                           struct px_processor **ret, struct px_err *err)
{
    struct px_processor_source source = {
        .inputs = {spec, 1}, .arena = arena, .read_file = read_file};
    const struct px_processor_kind *kind = px_processor_kind_find(px_str(kind_name), NULL);
    CHECK(kind);
    enum px_code code = px_yaml_parse(px_str(settings), arena, &source.settings, err);
    return code == PX_OK ? kind->create(&source, ret, err) : code;
}

static void put_text(struct px_buf *buf, const char *text)
{
    uint32_t len = (uint32_t)strlen(text);
    px_buf_append(buf, &len, sizeof len);
    px_buf_text(buf, text);
}

/* Two texts, one of them ill-formed and with a word that is long for the short form of merging. */
static void make_texts(struct px_buf *buf, struct px_tensor *ret)
{
    char longer[200];
    memset(longer, 'l', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    put_text(buf, "Hello the w\xC3 hello [SEP] world");
    put_text(buf, longer);
    *ret = (struct px_tensor){.name = px_str("input"),
                              .type = PX_TYPE_BYTES,
                              .shape = {2},
                              .n_dims = 1,
                              .bytes = px_buf_view(buf)};
}

static enum px_code create_and_apply(size_t which, const struct px_tensor *texts,
                                     struct px_err *err)
{
    struct px_arena arena = px_arena(8 << 20), scratch = px_arena(8 << 20);
    struct px_tensor outputs[PX_PROCESSOR_OUTPUTS_MAX];
    struct px_processor *processor;
    enum px_code code =
        create(cases[which].kind, cases[which].settings, &texts_spec, &arena, &processor, err);
    if (code == PX_OK)
        code = processor->apply(processor, texts, outputs, &scratch, err);
    px_arena_deinit(&scratch);
    px_arena_deinit(&arena);
    return code;
}

PX_TEST(every_allocation_may_fail)
{
    struct px_buf buf = px_buf(1 << 12);
    struct px_tensor texts;
    struct px_err err;
    make_texts(&buf, &texts);
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        CHECK_OK(create_and_apply(i, &texts, &err));
        enum px_code code = PX_E_NO_MEMORY;
        for (uint64_t n = 1; code != PX_OK; n++) {
            px_alloc_fail_at(n);
            code = create_and_apply(i, &texts, &err);
            px_alloc_fail_at(0);
            CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        }
    }
    px_buf_deinit(&buf);
}

PX_TEST(an_arena_that_is_full_is_an_error_that_says_so)
{
    struct px_buf buf = px_buf(1 << 12);
    struct px_tensor texts, outputs[PX_PROCESSOR_OUTPUTS_MAX];
    struct px_err err;
    make_texts(&buf, &texts);
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct px_arena arena = px_arena(8 << 20);
        struct px_processor *processor;
        CHECK_OK(create(cases[i].kind, cases[i].settings, &texts_spec, &arena, &processor, &err));
        for (size_t max = 0; max < 4096; max += 64) {
            struct px_arena small = px_arena(max);
            enum px_code code = processor->apply(processor, &texts, outputs, &small, &err);
            CHECK(code == PX_OK || code == PX_E_TOO_LARGE);
            px_arena_deinit(&small);
        }
        px_arena_deinit(&arena);
    }
    px_buf_deinit(&buf);
}

PX_TEST(inputs_that_are_no_texts_are_refused)
{
    static const struct px_tensor_spec wrong[] = {
        {.name = PX_STR("input"), .type = PX_TYPE_INT64, .shape = {-1}, .n_dims = 1},
        {.name = PX_STR("input"), .type = PX_TYPE_BYTES, .shape = {-1, 2}, .n_dims = 2},
        {.name = PX_STR("input"), .type = PX_TYPE_BYTES, .any_rank = true},
        {.name = PX_STR("text"), .type = PX_TYPE_BYTES, .shape = {-1}, .n_dims = 1},
    };
    struct px_err err;
    for (size_t i = 0; i < PX_ARRAY_LEN(wrong); i++) {
        struct px_arena arena = px_arena(8 << 20);
        struct px_processor *processor;
        CHECK_INT(create("tokenize_wordpiece", "{vocabulary: vocab.txt}", &wrong[i], &arena,
                         &processor, &err),
                  PX_E_INVALID);
        CHECK_CONTAINS(err.message, "input");
        px_arena_deinit(&arena);
    }
}

PX_TEST(a_column_of_texts_is_taken_and_keeps_its_rows)
{
    const struct px_tensor_spec column = {
        .name = PX_STR("input"), .type = PX_TYPE_BYTES, .shape = {7, 1}, .n_dims = 2};
    struct px_arena arena = px_arena(8 << 20);
    struct px_processor *processor;
    struct px_err err;
    CHECK_OK(create("tokenize_wordpiece", "{vocabulary: vocab.txt, padding: max_length}", &column,
                    &arena, &processor, &err));
    CHECK_INT(processor->gives.n, 3);
    CHECK_STR(processor->gives.list[2].name, "token_type_ids");
    CHECK_INT(processor->gives.list[0].shape[0], 7);
    CHECK_INT(processor->gives.list[0].shape[1], 512);
    px_arena_deinit(&arena);
}

PX_TEST(a_text_over_the_limit_is_refused_with_its_number)
{
    struct px_arena arena = px_arena(64 << 20);
    struct px_tensor outputs[PX_PROCESSOR_OUTPUTS_MAX];
    struct px_processor *processor;
    struct px_err err;
    uint32_t len = PX_TEXT_BYTES_MAX + 1;
    char *bytes = px_alloc(len + sizeof len, 1);
    memcpy(bytes, &len, sizeof len);
    struct px_tensor texts = {
        .type = PX_TYPE_BYTES, .shape = {1}, .n_dims = 1, .bytes = {bytes, len + sizeof len}};
    CHECK_OK(
        create("hashing_vectorizer", "{n_features: 4}", &texts_spec, &arena, &processor, &err));
    CHECK_INT(processor->apply(processor, &texts, outputs, &arena, &err), PX_E_TOO_LARGE);
    CHECK_CONTAINS(err.message, "text 0 has 4194305 bytes");
    px_free(bytes);
    px_arena_deinit(&arena);
}

PX_TEST(no_texts_are_no_rows)
{
    struct px_err err;
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct px_tensor none = {.type = PX_TYPE_BYTES, .n_dims = 1};
        CHECK_OK(create_and_apply(i, &none, &err));
    }
}

PX_TEST(a_missing_file_is_named)
{
    struct px_arena arena = px_arena(8 << 20);
    struct px_processor *processor;
    struct px_err err;
    CHECK_INT(create("tfidf", "{file: gone.json}", &texts_spec, &arena, &processor, &err),
              PX_E_NOT_FOUND);
    CHECK_CONTAINS(err.message, "gone.json");
    px_arena_deinit(&arena);
}

PX_TEST(a_token_that_is_there_twice_is_named_with_both_lines)
{
    struct px_arena arena = px_arena(8 << 20);
    struct px_processor *processor;
    struct px_err err;
    CHECK_INT(create("tokenize_wordpiece", "{vocabulary: twice.txt}", &texts_spec, &arena,
                     &processor, &err),
              PX_E_INVALID);
    CHECK_CONTAINS(err.message, "line 7: token 'hello' is there already, in line 5");
    px_arena_deinit(&arena);
}

/* Rows of two and one token; the place behind the shorter one has the file's number. */
static void check_padded(const char *settings)
{
    struct px_arena arena = px_arena(8 << 20), scratch = px_arena(8 << 20);
    struct px_tensor outputs[PX_PROCESSOR_OUTPUTS_MAX], texts;
    struct px_buf buf = px_buf(1 << 10);
    struct px_processor *processor;
    struct px_err err;
    int64_t ids[4];
    put_text(&buf, "he");
    put_text(&buf, "e");
    texts = (struct px_tensor){.name = px_str("input"),
                               .type = PX_TYPE_BYTES,
                               .shape = {2},
                               .n_dims = 1,
                               .bytes = px_buf_view(&buf)};
    CHECK_OK(create("tokenize_bpe", settings, &texts_spec, &arena, &processor, &err));
    CHECK_OK(processor->apply(processor, &texts, outputs, &scratch, &err));
    CHECK_INT(outputs[0].bytes.len, sizeof ids);
    memcpy(ids, outputs[0].bytes.ptr, sizeof ids);
    CHECK(ids[0] == 0 && ids[1] == 1 && ids[2] == 1 && ids[3] == 7);
    px_buf_deinit(&buf);
    px_arena_deinit(&scratch);
    px_arena_deinit(&arena);
}

PX_TEST(rows_are_filled_with_the_number_that_the_tokenizer_says)
{
    struct px_arena arena = px_arena(8 << 20);
    struct px_processor *processor;
    struct px_err err;
    check_padded("{tokenizer: tokenizer.json}");
    check_padded("{tokenizer: tokenizer.json, pad_token: <pad>}");
    CHECK_INT(create("tokenize_bpe", "{tokenizer: tokenizer.json, pad_token: <s>}", &texts_spec,
                     &arena, &processor, &err),
              PX_E_CONFLICT);
    CHECK_CONTAINS(
        err.message,
        "pad_token is token 2 of the vocabulary, but padding in tokenizer.json has pad_id 7");
    px_arena_deinit(&arena);
}

PX_TEST_MAIN(T(every_allocation_may_fail) T(an_arena_that_is_full_is_an_error_that_says_so)
                 T(inputs_that_are_no_texts_are_refused)
                     T(a_column_of_texts_is_taken_and_keeps_its_rows)
                         T(a_text_over_the_limit_is_refused_with_its_number) T(no_texts_are_no_rows)
                             T(a_missing_file_is_named)
                                 T(a_token_that_is_there_twice_is_named_with_both_lines)
                                     T(rows_are_filled_with_the_number_that_the_tokenizer_says))
