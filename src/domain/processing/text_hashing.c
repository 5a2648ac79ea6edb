/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hashing_vectorizer: scikit-learn's HashingVectorizer, as a dense matrix.
 *
 * The column of a term is |h| modulo n_features, h its MurmurHash3 (32 bits, seed 0, signed); with alternate_sign
 * it counts -1 for a negative h. Sums of ones are exact, so their order does not matter. A column that was hit counts as 1 for
 * `binary` even where the signs cancelled, as the stored zero does there.
 */
#include "domain/processing/text_kinds.h"
#include "domain/processing/text_terms.h"

#include <stdlib.h>

struct vectorizer {
    struct px_processor base;
    struct px_text_terms terms;
    size_t n_features;
    bool alternate_sign, binary;
    enum px_text_norm norm;
};

static uint32_t rotate(uint32_t x, unsigned by)
{
    return x << by | x >> (32 - by);
}

static uint32_t mix_block(uint32_t block)
{
    return rotate(block * 0xCC9E2D51U, 15) * 0x1B873593U;
}

/* MurmurHash3_x86_32 (Appleby, 2011, public domain), seed 0. */
static uint32_t murmur3(struct px_str text)
{
    uint32_t h = 0, block, tail = 0;
    size_t n_whole = text.len & ~(size_t)3;
    for (size_t i = 0; i < n_whole; i += sizeof block) {
        memcpy(&block, text.ptr + i, sizeof block);
        h = rotate(h ^ mix_block(block), 13) * 5 + 0xE6546B64U;
    }
    for (size_t i = text.len; i-- > n_whole;)
        tail = tail << 8 | (unsigned char)text.ptr[i];
    h ^= mix_block(tail) ^ (uint32_t)text.len;
    h = (h ^ h >> 16) * 0x85EBCA6BU;
    h = (h ^ h >> 13) * 0xC2B2AE35U;
    return h ^ h >> 16;
}

struct row {
    const struct vectorizer *vectorizer;
    double *counts;
};

static void count_term(void *context, struct px_str term)
{
    const struct row *row = context;
    const struct vectorizer *v = row->vectorizer;
    uint32_t bits = murmur3(term);
    bool negative = bits >> 31;
    size_t size = negative ? (uint32_t)(0U - bits) : bits; /* 2^31 for the smallest too */
    double *count = &row->counts[size % v->n_features];
    if (v->binary)
        *count = 1;
    else
        *count += v->alternate_sign && negative ? -1 : 1;
}

static enum px_code apply(const struct px_processor *processor, const struct px_tensor *inputs,
                          struct px_tensor *outputs, struct px_arena *arena, struct px_err *err)
{
    const struct vectorizer *v = (const struct vectorizer *)processor;
    enum px_datatype type = processor->gives.list[0].type;
    size_t n_rows = inputs[0].shape[0], n = v->n_features;
    struct px_text_terms_scratch scratch = {0};
    struct px_str rest = inputs[0].bytes, text;
    double *counts = NULL;
    void *elements;
    enum px_code code = px_text_tensor_make(&processor->gives.list[0], n_rows, n, arena,
                                            &outputs[0], &elements, err);
    if (code == PX_OK && type == PX_TYPE_FP32) {
        counts = px_arena_alloc(arena, n, sizeof *counts);
        code = px_arena_check(arena, "counts", err);
    }
    for (size_t i = 0; code == PX_OK && i < n_rows; i++) {
        char *out = (char *)elements + i * n * px_datatype_size(type);
        struct row row = {v, type == PX_TYPE_FP32 ? counts : (double *)(void *)out};
        if (type == PX_TYPE_FP32)
            memset(counts, 0, n * sizeof *counts);
        code = px_text_take(&rest, i, arena, &text, err);
        if (code == PX_OK)
            code = px_text_terms_each(&v->terms, text, &scratch, arena,
                                      &(struct px_text_sink){count_term, &row}, err);
        if (code == PX_OK)
            px_text_row_put(row.counts, n, v->norm, type, out);
    }
    return code;
}

static enum px_code read_terms(const struct px_processor_source *source,
                               struct px_text_terms *terms, struct px_err *err)
{
    struct px_str analyzer = {NULL, 0}, pattern = {NULL, 0}, stop_words;
    const struct px_yaml *range = px_text_setting(source, "ngram_range");
    int64_t least = 1, most = 1;
    enum px_code code = px_text_terms_init(terms, source->arena, err);
    if (code == PX_OK)
        code = px_text_setting_bool(source, "lowercase", &terms->lowercase, err);
    if (code == PX_OK)
        code = px_text_setting_str(source, "analyzer", &analyzer, err);
    if (code == PX_OK && analyzer.ptr)
        code = px_text_terms_set_analyzer(terms, analyzer, err);
    if (code == PX_OK)
        code = px_text_setting_str(source, "token_pattern", &pattern, err);
    if (code == PX_OK && pattern.ptr)
        code = px_text_terms_set_pattern(terms, pattern, err);
    if (code == PX_OK && range) {
        if (range->type != PX_YAML_SEQUENCE || range->n_children != 2)
            return px_err_set(err, PX_E_INVALID, "line %u: ngram_range: expected two numbers",
                              range->line);
        code = px_yaml_i64(range->first_child, &least, err);
        if (code == PX_OK)
            code = px_yaml_i64(range->first_child->next, &most, err);
        if (code == PX_OK)
            code = px_text_terms_set_ngrams(terms, least, most, err);
    }
    if (code == PX_OK)
        code = px_text_setting_file(source, "stop_words", &stop_words, err);
    if (code == PX_OK && stop_words.ptr)
        code = px_text_vocabulary_read(&terms->stop_words, stop_words, source->arena, err);
    return code;
}

static enum px_code read_settings(const struct px_processor_source *source, struct vectorizer *v,
                                  enum px_datatype *type, struct px_err *err)
{
    static const struct px_str known[] = {
        PX_STR("alternate_sign"), PX_STR("analyzer"),    PX_STR("binary"), PX_STR("lowercase"),
        PX_STR("n_features"),     PX_STR("ngram_range"), PX_STR("norm"),   PX_STR("stop_words"),
        PX_STR("token_pattern"),  PX_STR("type")};
    struct px_text_number n_features = {1 << 20, 1, PX_TEXT_FEATURES_MAX};
    struct px_str norm = PX_STR("l2");
    enum px_code code = px_text_settings_only(source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_terms(source, &v->terms, err);
    if (code == PX_OK)
        code = px_text_setting_number(source, "n_features", &n_features, err);
    if (code == PX_OK)
        code = px_text_setting_bool(source, "alternate_sign", &v->alternate_sign, err);
    if (code == PX_OK)
        code = px_text_setting_bool(source, "binary", &v->binary, err);
    if (code == PX_OK)
        code = px_text_setting_str(source, "norm", &norm, err);
    if (code == PX_OK)
        code = px_text_norm_from(norm, &v->norm, err);
    if (code == PX_OK)
        code = px_text_setting_float_type(source, type, err);
    v->n_features = n_features.value;
    return code;
}

static enum px_code create(const struct px_processor_source *source, struct px_processor **ret,
                           struct px_err *err)
{
    struct vectorizer *v = px_arena_zalloc(source->arena, 1, sizeof *v);
    struct px_tensor_spec *gives;
    enum px_datatype type = PX_TYPE_FP64;
    if (!v)
        return px_arena_check(source->arena, "processor", err);
    v->alternate_sign = true;
    enum px_code code = read_settings(source, v, &type, err);
    if (code == PX_OK)
        code =
            px_text_processor_init(&v->base, &px_kind_hashing_vectorizer, source, 1, &gives, err);
    if (code != PX_OK)
        return code;
    gives[0].name = px_str("output");
    gives[0].type = type;
    gives[0].shape[1] = (int64_t)v->n_features;
    v->base.apply = apply;
    *ret = &v->base;
    return PX_OK;
}

const struct px_processor_kind px_kind_hashing_vectorizer = {
    "hashing_vectorizer", "counts of hashed words or n-grams, as scikit-learn's HashingVectorizer",
    create};
