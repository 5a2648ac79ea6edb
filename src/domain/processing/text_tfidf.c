/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tfidf: scikit-learn's TfidfVectorizer (and CountVectorizer, without idf), as a dense matrix.
 *
 * What was fitted comes from a JSON file (docs/api/processors.md has the line that writes it): `vocabulary` is an array of
 * terms in the order of the columns, `idf` an array as long or null; the other keys are the vectorizer's parameters
 * under their own names. A weight is count (1 for binary), then 1 + ln of it for sublinear_tf, then times idf, each
 * rounded as there; with FP32 in single precision, but for the sum of the norm, which is double there too.
 */
#include "domain/processing/text_kinds.h"
#include "domain/processing/text_terms.h"
#include "shared/json.h"

#include <math.h>

struct vectorizer {
    struct px_processor base;
    struct px_text_terms terms;
    struct px_text_vocabulary vocabulary;
    size_t n_features, n_idf;
    double *idf; /* NULL: not used */
    bool binary, sublinear;
    enum px_text_norm norm;
};

struct row {
    const struct vectorizer *vectorizer;
    double *counts;
};

static void count_term(void *context, struct px_str term)
{
    const struct row *row = context;
    int64_t column = px_text_vocabulary_find(&row->vectorizer->vocabulary, term);
    if (column != PX_TEXT_ID_NONE)
        row->counts[column] += 1;
}

static void weigh(const struct vectorizer *v, double *row, bool single)
{
    for (size_t i = 0; i < v->n_features; i++) {
        double weight = row[i];
        if (weight == 0)
            continue;
        if (v->binary)
            weight = 1;
        if (v->sublinear)
            weight = single ? (double)(logf((float)weight) + 1) : log(weight) + 1;
        if (v->idf)
            weight *= v->idf[i];
        row[i] = single ? (double)(float)weight : weight;
    }
}

static enum px_code apply(const struct px_processor *processor, const struct px_tensor *inputs,
                          struct px_tensor *outputs, struct px_arena *arena, struct px_err *err)
{
    const struct vectorizer *v = (const struct vectorizer *)processor;
    enum px_datatype type = processor->gives.list[0].type;
    size_t n_rows = inputs[0].shape[0], n = v->n_features;
    struct px_text_terms_scratch scratch = {0};
    struct px_str rest = inputs[0].bytes, text;
    void *elements;
    double *counts = px_arena_alloc(arena, n, sizeof *counts);
    if (!counts)
        return px_arena_check(arena, "counts", err);
    enum px_code code = px_text_tensor_make(&processor->gives.list[0], n_rows, n, arena,
                                            &outputs[0], &elements, err);
    for (size_t i = 0; code == PX_OK && i < n_rows; i++) {
        struct row row = {v, counts};
        memset(counts, 0, n * sizeof *counts);
        code = px_text_take(&rest, i, arena, &text, err);
        if (code == PX_OK)
            code = px_text_terms_each(&v->terms, text, &scratch, arena,
                                      &(struct px_text_sink){count_term, &row}, err);
        if (code != PX_OK)
            break;
        weigh(v, counts, type == PX_TYPE_FP32);
        px_text_row_put(counts, n, v->norm, type,
                        (char *)elements + i * n * px_datatype_size(type));
    }
    return code;
}

/* How many elements the array has that comes next. A fault in it is the reader's. */
static size_t count_elements(struct px_json *json)
{
    struct px_json ahead = *json;
    size_t n = 0;
    px_json_enter_array(&ahead);
    for (; px_json_next_element(&ahead); n++)
        px_json_skip(&ahead);
    if (px_json_failed(&ahead))
        *json = ahead;
    return n;
}

/* An array of texts, as a vocabulary that numbers them. */
static size_t read_texts(struct px_json *json, struct px_text_vocabulary *vocabulary,
                         struct px_arena *arena, struct px_err *err)
{
    struct px_str text;
    size_t n = count_elements(json), i = 0;
    if (px_json_failed(json))
        return 0;
    if (px_text_vocabulary_init(vocabulary, n, arena, err) != PX_OK) {
        px_json_fail(json, "%zu texts do not fit", n);
        return 0;
    }
    px_json_enter_array(json);
    for (; px_json_next_element(json); i++) {
        text = px_json_str(json);
        if (!px_json_failed(json) &&
            px_text_vocabulary_put(vocabulary, text, (int64_t)i, err) != PX_OK)
            px_json_fail(json, "a text of %zu bytes; at most %d", text.len,
                         PX_TEXT_TOKEN_BYTES_MAX);
    }
    if (!px_json_failed(json) && vocabulary->n != n)
        px_json_fail(json, "a text is empty or there twice");
    return n;
}

static void read_idf(struct px_json *json, struct vectorizer *v, struct px_arena *arena)
{
    if (px_json_null(json))
        return;
    size_t n = count_elements(json);
    v->idf = px_arena_alloc(arena, n ? n : 1, sizeof *v->idf);
    if (!px_json_failed(json) && v->idf)
        v->n_idf = px_json_f64_array(json, v->idf, n, false);
}

static void read_ngrams(struct px_json *json, struct px_text_terms *terms, struct px_err *err)
{
    int64_t range[2] = {0, 0};
    size_t n = 0;
    px_json_enter_array(json);
    for (; px_json_next_element(json); n++) {
        int64_t value = px_json_i64(json);
        if (n < 2)
            range[n] = value;
    }
    if (!px_json_failed(json) &&
        (n != 2 || px_text_terms_set_ngrams(terms, range[0], range[1], err) != PX_OK))
        px_json_fail(json, "ngram_range: expected two numbers of 1 to %d, the smaller first",
                     PX_TEXT_NGRAM_MAX);
}

/* A parameter that is a name; `err` may be left set, the reader's own error goes before it. */
static void read_name(struct px_json *json, struct vectorizer *v, struct px_str key,
                      struct px_err *err)
{
    struct px_str name = px_json_null(json) ? px_str("none") : px_json_str(json);
    enum px_code code;
    if (px_json_failed(json))
        return;
    if (px_str_is(key, "analyzer"))
        code = px_text_terms_set_analyzer(&v->terms, name, err);
    else if (px_str_is(key, "token_pattern"))
        code = px_text_terms_set_pattern(&v->terms, name, err);
    else
        code = px_text_norm_from(name, &v->norm, err);
    if (code != PX_OK)
        px_json_fail(json, "%.*s '%.*s' is not supported", PX_STR_ARG(key), PX_STR_ARG(name));
}

struct fitted {
    bool has_vocabulary, use_idf;
};

static const struct px_str fitted_keys[] = {
    PX_STR("vocabulary"),    PX_STR("idf"),          PX_STR("analyzer"),      PX_STR("binary"),
    PX_STR("lowercase"),     PX_STR("ngram_range"),  PX_STR("norm"),          PX_STR("stop_words"),
    PX_STR("strip_accents"), PX_STR("sublinear_tf"), PX_STR("token_pattern"), PX_STR("use_idf")};

static void read_key(struct px_json *json, struct vectorizer *v, struct px_str key,
                     struct fitted *fitted, struct px_arena *arena)
{
    struct px_err ignored;
    if (px_str_is(key, "vocabulary")) {
        v->n_features = read_texts(json, &v->vocabulary, arena, &ignored);
        fitted->has_vocabulary = true;
    } else if (px_str_is(key, "idf")) {
        read_idf(json, v, arena);
    } else if (px_str_is(key, "stop_words")) {
        if (!px_json_null(json))
            read_texts(json, &v->terms.stop_words, arena, &ignored);
    } else if (px_str_is(key, "ngram_range")) {
        read_ngrams(json, &v->terms, &ignored);
    } else if (px_str_is(key, "analyzer") || px_str_is(key, "token_pattern") ||
               px_str_is(key, "norm")) {
        read_name(json, v, key, &ignored);
    } else if (px_str_is(key, "strip_accents")) {
        if (!px_json_null(json))
            px_json_fail(json, "strip_accents is not supported: fit without it");
    } else if (px_str_is(key, "binary")) {
        v->binary = px_json_bool(json);
    } else if (px_str_is(key, "lowercase")) {
        v->terms.lowercase = px_json_bool(json);
    } else if (px_str_is(key, "sublinear_tf")) {
        v->sublinear = px_json_bool(json);
    } else if (px_str_is(key, "use_idf")) {
        fitted->use_idf = px_json_bool(json);
    } else {
        long near = px_str_nearest(key, fitted_keys, PX_ARRAY_LEN(fitted_keys));
        px_json_fail(json, "unknown key '%.*s'%s%s", PX_STR_ARG(key),
                     near >= 0 ? "; did you mean " : "", near >= 0 ? fitted_keys[near].ptr : "");
    }
}

static enum px_code read_fitted(struct px_str file, struct vectorizer *v, struct fitted *fitted,
                                struct px_arena *arena, struct px_err *err)
{
    struct px_json json;
    struct px_str key;
    px_json_init(&json, file, arena, 0);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key))
        read_key(&json, v, key, fitted, arena);
    enum px_code code = px_arena_check(arena, "fitted vectorizer", err);
    if (code == PX_OK)
        code = px_json_finish(&json, err);
    if (code != PX_OK)
        return px_err_wrap(err, "file");
    if (!fitted->has_vocabulary || v->n_features == 0)
        return px_err_set(err, PX_E_INVALID, "file: expected a 'vocabulary' of terms");
    if (v->n_features > PX_TEXT_FEATURES_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "file: %zu terms; at most %d", v->n_features,
                          PX_TEXT_FEATURES_MAX);
    if (v->idf && v->n_idf != v->n_features)
        return px_err_set(err, PX_E_INVALID, "file: %zu terms, but %zu numbers of idf",
                          v->n_features, v->n_idf);
    return PX_OK;
}

static enum px_code read_settings(const struct px_processor_source *source, struct vectorizer *v,
                                  enum px_datatype *type, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("file"), PX_STR("norm"), PX_STR("type"),
                                          PX_STR("use_idf")};
    struct fitted fitted = {false, true};
    struct px_str file, norm = {NULL, 0};
    enum px_code code = px_text_settings_only(source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = px_text_setting_file(source, "file", &file, err);
    if (code == PX_OK && !file.ptr)
        return px_err_set(err, PX_E_INVALID, "expected `file`, what was fitted, as JSON");
    if (code == PX_OK)
        code = px_text_terms_init(&v->terms, source->arena, err);
    if (code == PX_OK)
        code = read_fitted(file, v, &fitted, source->arena, err);
    if (code == PX_OK)
        code = px_text_setting_bool(source, "use_idf", &fitted.use_idf, err);
    if (code == PX_OK)
        code = px_text_setting_str(source, "norm", &norm, err);
    if (code == PX_OK && norm.ptr)
        code = px_text_norm_from(norm, &v->norm, err);
    if (code == PX_OK)
        code = px_text_setting_float_type(source, type, err);
    if (code == PX_OK && fitted.use_idf && !v->idf)
        return px_err_set(err, PX_E_INVALID,
                          "file: there is no idf; set use_idf: false for plain counts");
    if (code == PX_OK && !fitted.use_idf)
        v->idf = NULL;
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
    enum px_code code = read_settings(source, v, &type, err);
    if (code == PX_OK)
        code = px_text_processor_init(&v->base, &px_kind_tfidf, source, 1, &gives, err);
    if (code != PX_OK)
        return code;
    gives[0].name = px_str("output");
    gives[0].type = type;
    gives[0].shape[1] = (int64_t)v->n_features;
    v->base.apply = apply;
    *ret = &v->base;
    return PX_OK;
}

const struct px_processor_kind px_kind_tfidf = {
    "tfidf", "tf-idf weights or counts of words or n-grams, as scikit-learn's TfidfVectorizer",
    create};
