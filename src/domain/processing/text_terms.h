/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terms of a text as scikit-learn's vectorizers find them: words, word n-grams, character n-grams.
 *
 * The same settings under the same names (lowercase, analyzer, ngram_range, token_pattern, stop_words) give the same terms as
 * CountVectorizer, for the patterns listed in text_terms.c. Immutable once read; threads: any.
 */
#ifndef PX_DOMAIN_PROCESSING_TEXT_TERMS_H
#define PX_DOMAIN_PROCESSING_TEXT_TERMS_H

#include "domain/processing/text_settings.h"
#include "domain/processing/text_vocabulary.h"

enum { PX_TEXT_NGRAM_MAX = 16, PX_TEXT_FEATURES_MAX = 1 << 21 };

enum px_text_analyzer { PX_TEXT_BY_WORD, PX_TEXT_BY_CHAR, PX_TEXT_BY_CHAR_WB };
enum px_text_norm { PX_TEXT_NORM_L2, PX_TEXT_NORM_L1, PX_TEXT_NORM_NONE };

struct px_text_terms {
    enum px_text_analyzer analyzer;
    bool lowercase;
    size_t ngram_min, ngram_max;
    size_t word_chars_min; /* what the pattern of tokens asks for */
    struct px_text_vocabulary stop_words;
};

/* scikit-learn's defaults. PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_text_terms_init(struct px_text_terms *terms, struct px_arena *arena,
                                            struct px_err *err);

/* PX_E_INVALID for names and patterns that are not known. */
PX_MUST_USE enum px_code px_text_terms_set_analyzer(struct px_text_terms *terms, struct px_str name,
                                                    struct px_err *err);
PX_MUST_USE enum px_code px_text_terms_set_pattern(struct px_text_terms *terms,
                                                   struct px_str pattern, struct px_err *err);
PX_MUST_USE enum px_code px_text_terms_set_ngrams(struct px_text_terms *terms, int64_t least,
                                                  int64_t most, struct px_err *err);
PX_MUST_USE enum px_code px_text_norm_from(struct px_str name, enum px_text_norm *ret,
                                           struct px_err *err);

struct px_text_sink {
    void (*term)(void *context, struct px_str term);
    void *context;
};

struct px_text_terms_scratch {
    struct px_text_scratch text, places, starts;
};

/* Gives every term of a well-formed text to the sink. Terms live until the next call. */
PX_MUST_USE enum px_code px_text_terms_each(const struct px_text_terms *terms, struct px_str text,
                                            struct px_text_terms_scratch *scratch,
                                            struct px_arena *arena, const struct px_text_sink *sink,
                                            struct px_err *err);

/*
 * Writes a row of weights as `type` (FP64 or FP32) with that norm, in scikit-learn's order of sums. `to` may be `row` when the
 * type is FP64.
 */
void px_text_row_put(double *row, size_t n, enum px_text_norm norm, enum px_datatype type,
                     void *to);

#endif
