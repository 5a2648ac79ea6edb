/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hugging Face's `tokenizer.json`: what the tokenizers here need of it. What would change the numbers and is not known
 * (another model, normalizer, pre-tokenizer ...) is refused by name; `decoder` and `truncation` do not, nor `padding` but for its
 * `pad_id`: lengths are set by the step of the graph. Texts are borrowed from the file or live in the arena.
 */
#ifndef PX_DOMAIN_PROCESSING_TEXT_TOKENIZER_FILE_H
#define PX_DOMAIN_PROCESSING_TEXT_TOKENIZER_FILE_H

#include "domain/processing/text_tokenizer.h"
#include "shared/json.h"

enum { PX_TEXT_WORD_CHARS_MAX = 1 << 10 };

enum px_text_model { PX_TEXT_MODEL_NONE, PX_TEXT_MODEL_WORDPIECE, PX_TEXT_MODEL_BPE };

/* How BERT's normalizer prepares a text. */
struct px_text_bert {
    bool cleans, splits_chinese, strips_accents, lowercases;
};

struct px_text_merge {
    struct px_str left, right;
};

struct px_text_tokenizer_file {
    enum px_text_model model;
    struct px_text_vocabulary vocabulary;
    struct px_str unk_token;  /* {NULL, 0}: none */
    struct px_str continuing; /* before a piece that does not begin a word */
    size_t word_chars_max;
    struct px_text_merge *merges;
    size_t n_merges;
    bool ignores_merges, fuses_unk;

    bool has_bert_normalizer, has_bert_split, has_byte_level;
    struct px_text_bert bert;
    bool adds_prefix_space, splits_words; /* of byte level */

    struct px_text_special *specials;
    size_t n_specials;
    bool has_frame;
    struct px_text_frame frame;
    int64_t pad_id; /* PX_TEXT_ID_NONE: the file does not say */
};

/* PX_E_INVALID with line and column, PX_E_TOO_LARGE, PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_text_tokenizer_read(struct px_text_tokenizer_file *file,
                                                struct px_str text, struct px_arena *arena,
                                                struct px_err *err);

/*
 * The number that fills rows: the file's, or that of the step's pad_token (`own`, PX_TEXT_ID_NONE: it has none), else 0. PX_E_CONFLICT
 * when both say one and they differ.
 */
PX_MUST_USE enum px_code px_text_tokenizer_pad_id(const struct px_text_tokenizer_file *file,
                                                  int64_t own, uint32_t *ret, struct px_err *err);

/* An object of tokens and numbers (`vocab`). Failures are the reader's. */
void px_text_vocabulary_read_json(struct px_json *json, struct px_text_vocabulary *vocabulary,
                                  struct px_arena *arena);

#endif
