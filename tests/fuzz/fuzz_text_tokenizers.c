/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokenizers and vectorizers: any file of a vocabulary, any tokenizer.json, any merges and any text give tensors of the
 * shape that was promised, or an error.
 *
 * The input is the kind (its first byte), then the files and the texts, separated by bytes 0x1E: the file that settings name
 * first, the second one (merges), and the rest as texts.
 */
#include "fuzz.h"

#include "domain/processing/processor.h"

enum { SEPARATOR = 0x1E, TEXTS_MAX = 16 };

struct files {
    struct px_str first, second;
};

static enum px_code read_file(void *context, struct px_str name, struct px_str *ret,
                              struct px_err *err)
{
    const struct files *files = context;
    (void)err;
    *ret = px_str_is(name, "second") ? files->second : files->first;
    return PX_OK;
}

static const struct {
    const char *kind, *settings;
} cases[] = {
    {"tokenize_wordpiece", "{tokenizer: first, max_length: 64}"},
    {"tokenize_wordpiece", "{vocabulary: first, max_length: 64, unk_token: u, pad_token: u, "
                           "cls_token: u, sep_token: u}"},
    {"tokenize_wordpiece", "{vocabulary: first, lowercase: false, strip_accents: true, clean_text: "
                           "false, unk_token: u, pad_token: u, add_special_tokens: false, "
                           "cls_token: u, sep_token: u, padding: max_length}"},
    {"tokenize_bpe", "{tokenizer: first, max_length: 64}"},
    {"tokenize_bpe",
     "{vocabulary: first, merges: second, add_prefix_space: true, max_length: 1000}"},
    {"tokenize_whitespace", "{vocabulary: first, lowercase: true, truncation: false}"},
    {"tfidf", "{file: first}"},
    {"tfidf", "{file: first, use_idf: false, type: FP32}"},
    {"hashing_vectorizer", "{n_features: 16, stop_words: first, ngram_range: [1, 3]}"},
    {"hashing_vectorizer", "{n_features: 7, analyzer: char_wb, ngram_range: [2, 4], norm: l1}"},
    {"hashing_vectorizer", "{n_features: 7, analyzer: char, ngram_range: [1, 2], type: FP32}"},
};

static struct px_str cut(struct px_str *rest)
{
    return rest->ptr ? px_str_cut(rest, SEPARATOR) : px_str("");
}

/* The rest of the input as the bytes of a tensor. */
static size_t make_texts(struct px_str rest, struct px_buf *out)
{
    size_t n = 0;
    for (; rest.ptr && n < TEXTS_MAX; n++) {
        struct px_str text = cut(&rest);
        uint32_t len = (uint32_t)text.len;
        px_buf_append(out, &len, sizeof len);
        px_buf_str(out, text);
    }
    return n;
}

static void check_outputs(const struct px_processor *processor, const struct px_tensor *outputs,
                          size_t n)
{
    for (size_t i = 0; i < processor->gives.n; i++) {
        struct px_err err;
        enum px_code shape = px_tensor_check_spec(&outputs[i], &processor->gives.list[i], &err);
        enum px_code bytes = px_tensor_check_bytes(&outputs[i], &err);
        PX_ASSERT(shape == PX_OK && bytes == PX_OK && outputs[i].shape[0] == n);
    }
}

static void apply(const struct px_processor *processor, struct px_str rest)
{
    struct px_tensor outputs[PX_PROCESSOR_OUTPUTS_MAX];
    struct px_arena arena = px_arena(64 << 20);
    struct px_buf bytes = px_buf(16 << 20);
    struct px_err err;
    size_t n = make_texts(rest, &bytes);
    struct px_tensor input = {.name = px_str("input"),
                              .type = PX_TYPE_BYTES,
                              .shape = {n},
                              .n_dims = 1,
                              .bytes = px_buf_view(&bytes)};
    if (processor->apply(processor, &input, outputs, &arena, &err) == PX_OK)
        check_outputs(processor, outputs, n);
    else
        PX_ASSERT(err.message[0]);
    px_buf_deinit(&bytes);
    px_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t which = data[0] % PX_ARRAY_LEN(cases);
    struct px_str rest = px_str_n((const char *)data + 1, size - 1);
    struct files files = {cut(&rest), {NULL, 0}};
    files.second = cut(&rest);
    struct px_arena arena = px_arena(64 << 20);
    const struct px_tensor_spec input = {
        .name = px_str("input"), .type = PX_TYPE_BYTES, .shape = {PX_DIM_ANY}, .n_dims = 1};
    struct px_processor_source source = {
        .inputs = {&input, 1}, .arena = &arena, .read_file = read_file, .context = &files};
    const struct px_processor_kind *kind = px_processor_kind_find(px_str(cases[which].kind), NULL);
    struct px_processor *processor;
    struct px_err err = {.code = PX_OK};
    enum px_code code =
        px_yaml_parse(px_str(cases[which].settings), &arena, &source.settings, &err);
    PX_ASSERT(kind && code == PX_OK);
    if (kind->create(&source, &processor, &err) == PX_OK)
        apply(processor, rest);
    else
        PX_ASSERT(err.message[0]);
    px_arena_deinit(&arena);
    return 0;
}
