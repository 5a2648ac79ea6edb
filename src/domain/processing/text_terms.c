/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text is lower-cased into a buffer and then rearranged in place so that every term is a slice of it: words with
 * one space between them (a word n-gram is n neighbours), characters with their offsets. No term is copied.
 *
 * scikit-learn's patterns are regular expressions. Two of them are runs of word characters and nothing else; these
 * are known, the others are refused: a pattern that is nearly the same would give nearly the same scores.
 */
#include "domain/processing/text_terms.h"

#include "domain/processing/text_unicode.h"

#include <math.h>

static const struct {
    const char *pattern;
    size_t word_chars_min;
} patterns[] = {
    {"(?u)\\b\\w\\w+\\b", 2}, {"\\b\\w\\w+\\b", 2}, {"(?u)\\b\\w+\\b", 1},
    {"\\b\\w+\\b", 1},        {"(?u)\\w+", 1},      {"\\w+", 1},
};

enum px_code px_text_terms_init(struct px_text_terms *terms, struct px_arena *arena,
                                struct px_err *err)
{
    *terms = (struct px_text_terms){.analyzer = PX_TEXT_BY_WORD,
                                    .lowercase = true,
                                    .ngram_min = 1,
                                    .ngram_max = 1,
                                    .word_chars_min = 2};
    return px_text_vocabulary_init(&terms->stop_words, 0, arena, err);
}

enum px_code px_text_terms_set_analyzer(struct px_text_terms *terms, struct px_str name,
                                        struct px_err *err)
{
    static const struct px_str names[] = {PX_STR("word"), PX_STR("char"), PX_STR("char_wb")};
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++) {
        if (px_str_eq(name, names[i])) {
            terms->analyzer = (enum px_text_analyzer)i;
            return PX_OK;
        }
    }
    px_err_set(err, PX_E_INVALID, "analyzer: expected word, char or char_wb; got '%.*s'",
               PX_STR_ARG(name));
    px_err_suggest(err, name, names, PX_ARRAY_LEN(names));
    return PX_E_INVALID;
}

enum px_code px_text_terms_set_pattern(struct px_text_terms *terms, struct px_str pattern,
                                       struct px_err *err)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(patterns); i++) {
        if (px_str_is(pattern, patterns[i].pattern)) {
            terms->word_chars_min = patterns[i].word_chars_min;
            return PX_OK;
        }
    }
    px_err_set(err, PX_E_INVALID, "token_pattern: expected %s or %s; got '%.*s'",
               patterns[0].pattern, patterns[2].pattern, PX_STR_ARG(pattern));
    return px_err_hint(err, "fit the vectorizer with one of these patterns");
}

enum px_code px_text_terms_set_ngrams(struct px_text_terms *terms, int64_t least, int64_t most,
                                      struct px_err *err)
{
    if (least < 1 || most < least || most > PX_TEXT_NGRAM_MAX)
        return px_err_set(err, PX_E_INVALID,
                          "ngram_range: expected two numbers of 1 to %d, the smaller first; got "
                          "[%lld, %lld]",
                          PX_TEXT_NGRAM_MAX, (long long)least, (long long)most);
    terms->ngram_min = (size_t)least;
    terms->ngram_max = (size_t)most;
    return PX_OK;
}

enum px_code px_text_norm_from(struct px_str name, enum px_text_norm *ret, struct px_err *err)
{
    static const struct px_str names[] = {PX_STR("l2"), PX_STR("l1"), PX_STR("none")};
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++) {
        if (px_str_eq(name, names[i])) {
            *ret = (enum px_text_norm)i;
            return PX_OK;
        }
    }
    return px_err_set(err, PX_E_INVALID, "norm: expected l1, l2 or none; got '%.*s'",
                      PX_STR_ARG(name));
}

enum { SIGMA = 0x3A3, FINAL_SIGMA = 0x3C2 };

/* Does no cased letter follow, but for marks and the like (Unicode 15, table 3-17, Final_Sigma)? */
static bool ends_word(const char *at, const char *end)
{
    while (at < end) {
        unsigned classes = px_text_classes(px_text_next(&at));
        if (!(classes & PX_TEXT_CASE_IGNORABLE))
            return !(classes & PX_TEXT_CASED);
    }
    return true;
}

static char *put_mapped(const struct px_text_mapping *mapping, char *to)
{
    for (size_t i = 0; i < mapping->n; i++)
        to = px_text_put(to, mapping->to[i]);
    return to;
}

/* str.lower of a well-formed text. No lower case is longer than twice the letter. Returns the end. */
static char *put_lower(struct px_str text, char *to)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    bool cased_before = false;
    while (at < end) {
        uint32_t c = px_text_next(&at);
        unsigned classes = px_text_classes(c);
        if (c < 0x80)
            *to++ = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        else if (c == SIGMA && cased_before && ends_word(at, end))
            to = px_text_put(to, FINAL_SIGMA);
        else if (classes & PX_TEXT_PYTHON_LOWER)
            to = put_mapped(px_text_lower(c), to);
        else
            to = px_text_put(to, c);
        if (!(classes & PX_TEXT_CASE_IGNORABLE))
            cased_before = classes & PX_TEXT_CASED;
    }
    return to;
}

struct place {
    uint32_t begin, end;
};

/* The words of the text, moved together with one space between them. Returns how many. */
static size_t cut_words(const struct px_text_terms *terms, char *begin, const char *end,
                        struct place *places)
{
    const char *at = begin;
    char *to = begin;
    size_t n = 0;
    while (at < end) {
        const char *word = at, *word_end = at;
        size_t n_chars = 0;
        while (at < end && px_text_classes(px_text_next(&at)) & PX_TEXT_WORD) {
            word_end = at;
            n_chars++;
        }
        struct px_str text = px_str_n(word, (size_t)(word_end - word));
        if (n_chars == 0 || n_chars < terms->word_chars_min ||
            (terms->stop_words.n &&
             px_text_vocabulary_find(&terms->stop_words, text) != PX_TEXT_ID_NONE))
            continue;
        memmove(to, text.ptr, text.len);
        places[n].begin = (uint32_t)(to - begin);
        places[n++].end = (uint32_t)(to - begin + (long)text.len);
        to += text.len;
        *to++ = ' ';
    }
    return n;
}

/* Runs of two white spaces and more become one space; one alone stays what it is. Returns the end. */
static char *join_spaces(char *begin, const char *end)
{
    const char *at = begin;
    char *to = begin;
    while (at < end) {
        const char *from = at, *run_end = at;
        size_t n_spaces = 0;
        while (at < end && px_text_classes(px_text_next(&at)) & PX_TEXT_PYTHON_SPACE) {
            run_end = at;
            n_spaces++;
        }
        if (n_spaces >= 2) {
            *to++ = ' ';
            at = run_end;
            continue;
        }
        memmove(to, from, (size_t)(at - from));
        to += at - from;
    }
    return to;
}

/* " one two ": every word with a space on both sides, which neighbours share. The text begins a byte after `to`. */
static size_t space_words(char *to, const char *end, struct place *places)
{
    char *begin = to;
    const char *at = to + 1;
    size_t n = 0;
    *to++ = ' ';
    while (at < end) {
        const char *word = at, *word_end = at;
        while (at < end && !(px_text_classes(px_text_next(&at)) & PX_TEXT_PYTHON_SPACE))
            word_end = at;
        if (word_end == word)
            continue;
        memmove(to, word, (size_t)(word_end - word));
        places[n].begin = (uint32_t)(to - begin - 1);
        to += word_end - word;
        *to++ = ' ';
        places[n++].end = (uint32_t)(to - begin);
    }
    return n;
}

static void give_word_ngrams(const struct px_text_terms *terms, const char *text,
                             const struct place *places, size_t n, const struct px_text_sink *sink)
{
    for (size_t size = terms->ngram_min; size <= terms->ngram_max && size <= n; size++)
        for (size_t i = 0; i + size <= n; i++)
            sink->term(sink->context, px_str_n(text + places[i].begin,
                                               places[i + size - 1].end - places[i].begin));
}

/* Where the characters of [begin, end) start, and the end. Returns how many characters there are. */
static size_t find_chars(const char *text, struct place range, uint32_t *ret_starts)
{
    const char *at = text + range.begin, *end = text + range.end;
    size_t n = 0;
    while (at < end) {
        ret_starts[n++] = (uint32_t)(at - text);
        px_text_next(&at);
    }
    ret_starts[n] = range.end;
    return n;
}

static void give_char_ngrams(const struct px_text_terms *terms, const char *text,
                             const uint32_t *starts, size_t n, const struct px_text_sink *sink)
{
    for (size_t size = terms->ngram_min; size <= terms->ngram_max && size <= n; size++)
        for (size_t i = 0; i + size <= n; i++)
            sink->term(sink->context, px_str_n(text + starts[i], starts[i + size] - starts[i]));
}

/* As give_char_ngrams, but a word that is shorter than the smallest n is one term. */
static void give_char_wb_ngrams(const struct px_text_terms *terms, const char *text,
                                const uint32_t *starts, size_t n, const struct px_text_sink *sink)
{
    if (n < terms->ngram_min)
        sink->term(sink->context, px_str_n(text + starts[0], starts[n] - starts[0]));
    else
        give_char_ngrams(terms, text, starts, n, sink);
}

enum px_code px_text_terms_each(const struct px_text_terms *terms, struct px_str text,
                                struct px_text_terms_scratch *scratch, struct px_arena *arena,
                                const struct px_text_sink *sink, struct px_err *err)
{
    /* A space before, one after, and what str.lower may add. A word or character takes a byte at least. */
    char *memory = px_text_scratch(&scratch->text, text.len * 2 + 3, 1, arena);
    void *places = px_text_scratch(&scratch->places, text.len * 2 + 3, sizeof(struct place), arena);
    if (!memory || !places)
        return px_arena_check(arena, "texts", err);
    char *begin = memory + 1, *end = begin + text.len;
    if (terms->lowercase)
        end = put_lower(text, begin);
    else if (text.len)
        memcpy(begin, text.ptr, text.len);
    if (terms->analyzer == PX_TEXT_BY_WORD) {
        size_t n = cut_words(terms, begin, end, places);
        give_word_ngrams(terms, begin, places, n, sink);
        return PX_OK;
    }
    end = join_spaces(begin, end);
    if (terms->analyzer == PX_TEXT_BY_CHAR) {
        size_t n = find_chars(begin, (struct place){0, (uint32_t)(end - begin)}, places);
        give_char_ngrams(terms, begin, places, n, sink);
        return PX_OK;
    }
    struct px_text_scratch *starts = &scratch->starts;
    uint32_t *chars = px_text_scratch(starts, text.len * 2 + 4, sizeof *chars, arena);
    if (!chars)
        return px_arena_check(arena, "texts", err);
    const struct place *words = places;
    size_t n = space_words(memory, end, places);
    for (size_t i = 0; i < n; i++)
        give_char_wb_ngrams(terms, memory, chars, find_chars(memory, words[i], chars), sink);
    return PX_OK;
}

/* What scikit-learn divides a row by: sums in the order of columns, squares in the row's own type. 0: nothing to divide by. */
static double size_of_row(const double *row, size_t n, enum px_text_norm norm, bool single)
{
    double sum = 0;
    if (norm == PX_TEXT_NORM_NONE)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (norm == PX_TEXT_NORM_L1)
            sum += fabs(row[i]);
        else
            sum += single ? (double)((float)row[i] * (float)row[i]) : row[i] * row[i];
    }
    return norm == PX_TEXT_NORM_L2 ? sqrt(sum) : sum;
}

void px_text_row_put(double *row, size_t n, enum px_text_norm norm, enum px_datatype type, void *to)
{
    bool single = type == PX_TYPE_FP32;
    double size = size_of_row(row, n, norm, single);
    if (single) {
        float *out = to;
        for (size_t i = 0; i < n; i++)
            out[i] = (float)(size > 0 ? (double)(float)row[i] / size : row[i]);
        return;
    }
    double *out = to;
    for (size_t i = 0; i < n; i++)
        out[i] = size > 0 ? row[i] / size : row[i];
}
