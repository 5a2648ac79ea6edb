/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BERT's words, as Hugging Face's BertNormalizer and BertPreTokenizer find them: text cleaned of controls, Chinese
 * characters alone, decomposed without accents, lower case, cut at white space and at punctuation.
 *
 * Words are made in a buffer of the caller's and given to a function as soon as they end. Immutable; threads: any.
 */
#ifndef PX_DOMAIN_PROCESSING_TEXT_BERT_H
#define PX_DOMAIN_PROCESSING_TEXT_BERT_H

#include "domain/processing/text_tokenizer_file.h"
#include "domain/processing/text_unicode.h"

struct px_text_bert_words {
    struct px_text_bert options;
    size_t chars_max; /* a longer word is given as the empty text */
    /* What ASCII becomes: a letter of a word, or one of the marks of text_bert.c. */
    uint8_t ascii[128];
};

void px_text_bert_init(struct px_text_bert_words *words, const struct px_text_bert *options,
                       size_t chars_max);

/* Bytes of the buffer that px_text_bert_each wants. */
static inline size_t px_text_bert_buffer_size(const struct px_text_bert_words *words)
{
    return (words->chars_max + 2) * (PX_TEXT_UTF8_MAX + sizeof(uint32_t));
}

/*
 * Gives the words of a well-formed text in order, until `give` returns false. A word is writable and lives until the next one.
 */
struct px_text_bert_sink {
    bool (*give)(void *context, struct px_str word);
    void *context;
};
void px_text_bert_each(const struct px_text_bert_words *words, struct px_str text, void *buffer,
                       const struct px_text_bert_sink *sink);

#endif
