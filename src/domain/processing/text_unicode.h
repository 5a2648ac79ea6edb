/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the text processors know of characters: classes, lower case, decomposition; and UTF-8 in and out.
 *
 * The tables are written by tools/text-tables, each property from the library that owns it (Python's `str`, Hugging Face
 * `tokenizers`), so that words are cut where the library that fitted the model cuts them.
 *
 * Texts are made well-formed once, by px_text_well_formed; everything after that decodes without checks.
 */
#ifndef PX_DOMAIN_PROCESSING_TEXT_UNICODE_H
#define PX_DOMAIN_PROCESSING_TEXT_UNICODE_H

#include "shared/arena.h"

enum px_text_class {
    PX_TEXT_WORD = 1 << 0,         /* \w of Python's re */
    PX_TEXT_PYTHON_SPACE = 1 << 1, /* str.isspace, \s of Python's re */
    PX_TEXT_SPACE = 1 << 2,        /* white space of the tokenizers, whether dropped or not */
    PX_TEXT_DROPPED = 1 << 3,      /* a control that BERT's cleaning removes */
    PX_TEXT_PUNCTUATION = 1 << 4,  /* as BERT sees it */
    PX_TEXT_LETTER = 1 << 5,       /* \p{L} of GPT-2's expression */
    PX_TEXT_NUMBER = 1 << 6,       /* \p{N} */
    PX_TEXT_PYTHON_LOWER = 1 << 7, /* str.lower changes it, by px_text_lower */
    PX_TEXT_LOWER = 1 << 8,        /* the tokenizers' lower case changes it, by px_text_lower */
    PX_TEXT_FOLD = 1 << 9,         /* px_text_fold changes it */
    PX_TEXT_ORDERED = 1 << 10,     /* a mark with a canonical class, px_text_order */
    PX_TEXT_CASED = 1 << 11,       /* with CASE_IGNORABLE, for the final sigma of str.lower */
    PX_TEXT_CASE_IGNORABLE = 1 << 12,
};

enum { PX_TEXT_MAPPED_MAX = 3, PX_TEXT_UTF8_MAX = 4 };

struct px_text_mapping {
    uint32_t from, n;
    uint32_t to[PX_TEXT_MAPPED_MAX];
};

/* The px_text_class bits of a code point below 0x110000. */
unsigned px_text_classes(uint32_t c);

/* NULL when the character stays as it is. */
const struct px_text_mapping *px_text_lower(uint32_t c);
/* The canonical decomposition without the marks that BERT strips (possibly none is left); not of Hangul syllables. */
const struct px_text_mapping *px_text_fold(uint32_t c);
/* The canonical combining class; 0 for a character that does not take part in reordering. */
unsigned px_text_order(uint32_t c);

/* The next character of well-formed UTF-8; moves `at` past it. */
static inline uint32_t px_text_next(const char **at)
{
    const unsigned char *p = (const unsigned char *)*at;
    if (p[0] < 0x80) {
        *at += 1;
        return p[0];
    }
    if (p[0] < 0xE0) {
        *at += 2;
        return (p[0] & 0x1FU) << 6 | (p[1] & 0x3FU);
    }
    if (p[0] < 0xF0) {
        *at += 3;
        return (p[0] & 0x0FU) << 12 | (p[1] & 0x3FU) << 6 | (p[2] & 0x3FU);
    }
    *at += 4;
    return (p[0] & 0x07U) << 18 | (p[1] & 0x3FU) << 12 | (p[2] & 0x3FU) << 6 | (p[3] & 0x3FU);
}

/* Writes at most PX_TEXT_UTF8_MAX bytes and returns where the next go. */
char *px_text_put(char *to, uint32_t c);

/*
 * `text` itself when it is well-formed UTF-8; else a copy in the arena, in which U+FFFD takes the place of each maximal part
 * that is not (as Python's decode("utf-8", "replace") does). PX_E_NO_MEMORY, PX_E_TOO_LARGE.
 */
PX_MUST_USE enum px_code px_text_well_formed(struct px_str text, struct px_arena *arena,
                                             struct px_str *ret, struct px_err *err);

#endif
