/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all tokenizers share: rows of token numbers with a most length, padding, truncation, the special tokens around a
 * text and inside it, and the tensors that come out (`input_ids`, `attention_mask`, `token_type_ids`; INT64, [n, L]).
 *
 * A tokenizer embeds px_text_tokenizer first and gives `encode`, which turns a piece of a text (between special tokens)
 * into numbers. Texts are cut off while they are read, so a long text costs no more than its first max_length tokens.
 *
 * Ownership and threads: as px_processor.
 */
#ifndef PX_DOMAIN_PROCESSING_TEXT_TOKENIZER_H
#define PX_DOMAIN_PROCESSING_TEXT_TOKENIZER_H

#include "domain/processing/text_settings.h"
#include "domain/processing/text_vocabulary.h"

enum {
    PX_TEXT_LENGTH_MAX = 1 << 15, /* tokens of a row */
    PX_TEXT_SPECIALS_MAX = 256,   /* special tokens that are found in texts */
    PX_TEXT_FRAME_MAX = 8,        /* special tokens before a text, and after it */
    PX_TEXT_SCRATCHES = 4,
};

struct px_text_special {
    struct px_str text;
    uint32_t id;
    bool takes_left, takes_right; /* the white space beside it goes with it */
};

struct px_text_frame {
    uint32_t before[PX_TEXT_FRAME_MAX], after[PX_TEXT_FRAME_MAX];
    size_t n_before, n_after;
};

/* Where numbers go. `full` says that the row holds all it may, and that the text is not at its end. */
struct px_text_row {
    uint32_t *ids;
    size_t n, most;
    bool full;
};

static inline bool px_text_row_add(struct px_text_row *row, uint32_t id)
{
    if (PX_UNLIKELY(row->n == row->most)) {
        row->full = true;
        return false;
    }
    row->ids[row->n++] = id;
    return true;
}

/* One run of a tokenizer: the row that is written, and memory that lasts from text to text. */
struct px_text_encoding {
    struct px_text_row row;
    struct px_text_scratch scratch[PX_TEXT_SCRATCHES];
    struct px_arena *arena;
};

struct px_text_tokenizer {
    struct px_processor base;
    size_t length_max;
    bool pads_to_max, truncates, pads_left, has_types;
    uint32_t pad_id;
    struct px_text_frame frame;
    struct px_text_special *specials; /* sorted so that of two that fit the longer comes first */
    size_t n_specials;
    bool special_starts[256];
    /* Adds the numbers of a piece to the row, until it is full. PX_E_NO_MEMORY, PX_E_TOO_LARGE. */
    enum px_code (*encode)(const struct px_text_tokenizer *tokenizer, struct px_str piece,
                           struct px_text_encoding *encoding, struct px_err *err);
};

/* The settings that px_text_tokenizer_init reads, for lists of known keys. */
#define PX_TEXT_TOKENIZER_KEYS                                                                     \
    PX_STR("max_length"), PX_STR("padding"), PX_STR("padding_side"), PX_STR("truncation")

/*
 * Reads max_length, padding, padding_side and truncation, and fills `base`. The frame, the specials, pad_id and has_types must be
 * there already.
 */
PX_MUST_USE enum px_code px_text_tokenizer_init(struct px_text_tokenizer *tokenizer,
                                                const struct px_processor_kind *kind,
                                                const struct px_processor_source *source,
                                                struct px_err *err);

/* PX_E_INVALID with `what` (a setting, a file) when the token is not in the vocabulary. */
PX_MUST_USE enum px_code px_text_token_id(const struct px_text_vocabulary *vocabulary,
                                          struct px_str token, const char *what, uint32_t *ret,
                                          struct px_err *err);

#endif
