/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenize_whitespace: words between white space, each a number by its line in the vocabulary's
 * file; `unk_token` stands for the others, or they are left out without it.
 */
#include "domain/processing/text_kinds.h"
#include "domain/processing/text_tokenizer.h"
#include "domain/processing/text_unicode.h"

struct whitespace {
    struct px_text_tokenizer base;
    struct px_text_vocabulary vocabulary;
    bool lowercase, has_unk;
    uint32_t unk_id;
};

static struct px_str lower(struct px_str text, char *to)
{
    char *begin = to;
    for (const char *at = text.ptr, *end = at + text.len; at < end;) {
        uint32_t c = px_text_next(&at);
        const struct px_text_mapping *mapping =
            px_text_classes(c) & PX_TEXT_LOWER ? px_text_lower(c) : NULL;
        if (!mapping)
            to = px_text_put(to, c);
        for (size_t i = 0; mapping && i < mapping->n; i++)
            to = px_text_put(to, mapping->to[i]);
    }
    return px_str_n(begin, (size_t)(to - begin));
}

static enum px_code encode(const struct px_text_tokenizer *tokenizer, struct px_str piece,
                           struct px_text_encoding *encoding, struct px_err *err)
{
    const struct whitespace *w = (const struct whitespace *)tokenizer;
    if (w->lowercase) {
        char *to = px_text_scratch(&encoding->scratch[0], piece.len * 2, 1, encoding->arena);
        if (!to)
            return px_arena_check(encoding->arena, "texts", err);
        piece = lower(piece, to);
    }
    const char *at = piece.ptr, *end = at + piece.len;
    while (at < end) {
        const char *word = at, *word_end = at;
        while (at < end && !(px_text_classes(px_text_next(&at)) & PX_TEXT_SPACE))
            word_end = at;
        if (word_end == word)
            continue;
        struct px_str text = px_str_n(word, (size_t)(word_end - word));
        int64_t id = px_text_vocabulary_find(&w->vocabulary, text);
        if (id == PX_TEXT_ID_NONE && !w->has_unk)
            continue;
        if (!px_text_row_add(&encoding->row, id == PX_TEXT_ID_NONE ? w->unk_id : (uint32_t)id))
            break;
    }
    return PX_OK;
}

/* A token that a setting names; `has` is false without the setting. */
static enum px_code read_token(const struct px_processor_source *source, const char *key,
                               const struct px_text_vocabulary *vocabulary, bool *has, uint32_t *id,
                               struct px_err *err)
{
    struct px_str token = {NULL, 0};
    enum px_code code = px_text_setting_str(source, key, &token, err);
    *has = token.ptr != NULL;
    if (code == PX_OK && *has)
        code = px_text_token_id(vocabulary, token, key, id, err);
    return code;
}

static enum px_code create(const struct px_processor_source *source, struct px_processor **ret,
                           struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("lowercase"), PX_STR("pad_token"),
                                          PX_STR("unk_token"), PX_STR("vocabulary"),
                                          PX_TEXT_TOKENIZER_KEYS};
    struct whitespace *w = px_arena_zalloc(source->arena, 1, sizeof *w);
    struct px_str file;
    bool has_pad;
    if (!w)
        return px_arena_check(source->arena, "processor", err);
    enum px_code code = px_text_settings_only(source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = px_text_setting_bool(source, "lowercase", &w->lowercase, err);
    if (code == PX_OK)
        code = px_text_setting_file(source, "vocabulary", &file, err);
    if (code == PX_OK && !file.ptr)
        return px_err_set(err, PX_E_INVALID, "expected `vocabulary`, a file of one token a line");
    if (code == PX_OK && px_text_vocabulary_read(&w->vocabulary, file, source->arena, err) != PX_OK)
        return px_err_wrap(err, "vocabulary");
    if (code == PX_OK)
        code = read_token(source, "unk_token", &w->vocabulary, &w->has_unk, &w->unk_id, err);
    if (code == PX_OK)
        code = read_token(source, "pad_token", &w->vocabulary, &has_pad, &w->base.pad_id, err);
    if (code == PX_OK)
        code = px_text_tokenizer_init(&w->base, &px_kind_tokenize_whitespace, source, err);
    w->base.encode = encode;
    *ret = &w->base.base;
    return code;
}

const struct px_processor_kind px_kind_tokenize_whitespace = {
    "tokenize_whitespace", "numbers of the words between white space, by a vocabulary", create};
