/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of all rows lie one after another until the longest row is known; then the tensors are filled. Special tokens are
 * looked for by their first byte, which few texts have.
 */
#include "domain/processing/text_tokenizer.h"

#include "domain/processing/text_unicode.h"

#include <stdlib.h>

enum { PAD_RIGHT, PAD_LEFT };

/* The special token at the start of `text`, or NULL. */
static const struct px_text_special *special_at(const struct px_text_tokenizer *tokenizer,
                                                struct px_str text)
{
    for (size_t i = 0; i < tokenizer->n_specials; i++) {
        const struct px_text_special *special = &tokenizer->specials[i];
        if (special->text.len <= text.len &&
            memcmp(special->text.ptr, text.ptr, special->text.len) == 0)
            return special;
    }
    return NULL;
}

static struct px_str without_spaces_after(struct px_str text)
{
    const char *last_end = text.ptr;
    for (const char *at = text.ptr; at < text.ptr + text.len;) {
        if (!(px_text_classes(px_text_next(&at)) & PX_TEXT_SPACE))
            last_end = at;
    }
    return px_str_n(text.ptr, (size_t)(last_end - text.ptr));
}

static struct px_str without_spaces_before(struct px_str text)
{
    const char *at = text.ptr, *end = text.ptr + text.len, *begin = at;
    while (at < end && px_text_classes(px_text_next(&at)) & PX_TEXT_SPACE)
        begin = at;
    return px_str_n(begin, (size_t)(end - begin));
}

static enum px_code encode_piece(const struct px_text_tokenizer *tokenizer, struct px_str piece,
                                 struct px_text_encoding *encoding, struct px_err *err)
{
    return piece.len ? tokenizer->encode(tokenizer, piece, encoding, err) : PX_OK;
}

/* Cuts the text at its special tokens. */
static enum px_code encode_text(const struct px_text_tokenizer *tokenizer, struct px_str text,
                                struct px_text_encoding *encoding, struct px_err *err)
{
    size_t at = 0;
    while (tokenizer->n_specials && at < text.len && !encoding->row.full) {
        const struct px_text_special *special = NULL;
        if (tokenizer->special_starts[(unsigned char)text.ptr[at]])
            special = special_at(tokenizer, px_str_n(text.ptr + at, text.len - at));
        if (!special) {
            at++;
            continue;
        }
        struct px_str piece = px_str_n(text.ptr, at);
        if (special->takes_left)
            piece = without_spaces_after(piece);
        enum px_code code = encode_piece(tokenizer, piece, encoding, err);
        if (code != PX_OK)
            return code;
        px_text_row_add(&encoding->row, special->id);
        at += special->text.len;
        text = px_str_n(text.ptr + at, text.len - at);
        if (special->takes_right)
            text = without_spaces_before(text);
        at = 0;
    }
    return encoding->row.full ? PX_OK : encode_piece(tokenizer, text, encoding, err);
}

/* All rows: where each ends in `ids`. */
struct rows {
    uint32_t *ids;
    size_t *ends;
    size_t n, longest;
};

static enum px_code encode_row(const struct px_text_tokenizer *tokenizer, struct px_str text,
                               size_t number, struct px_text_encoding *encoding, struct px_err *err)
{
    const struct px_text_frame *frame = &tokenizer->frame;
    struct px_text_row *row = &encoding->row;
    row->n = 0;
    row->full = false;
    row->most = tokenizer->length_max - frame->n_after;
    for (size_t i = 0; i < frame->n_before; i++)
        px_text_row_add(row, frame->before[i]);
    enum px_code code = encode_text(tokenizer, text, encoding, err);
    if (code == PX_OK && row->full && !tokenizer->truncates) {
        px_err_set(err, PX_E_INVALID, "text %zu has more than %zu tokens", number,
                   tokenizer->length_max);
        return px_err_hint(err, "raise max_length, or set truncation: true");
    }
    row->most = tokenizer->length_max;
    for (size_t i = 0; i < frame->n_after; i++)
        px_text_row_add(row, frame->after[i]);
    return code;
}

static enum px_code encode_all(const struct px_text_tokenizer *tokenizer, struct px_str rest,
                               struct rows *rows, struct px_arena *arena, struct px_err *err)
{
    struct px_text_encoding encoding = {.arena = arena};
    struct px_text_scratch numbers = {0};
    struct px_str text;
    size_t used = 0;
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < rows->n; i++) {
        uint32_t *before = numbers.memory;
        uint32_t *ids = px_text_scratch(&numbers, used + tokenizer->length_max, sizeof *ids, arena);
        if (!ids)
            return px_arena_check(arena, "tokens", err);
        if (ids != before && used)
            memcpy(ids, before, used * sizeof *ids);
        encoding.row.ids = ids + used;
        code = px_text_take(&rest, i, arena, &text, err);
        if (code == PX_OK)
            code = encode_row(tokenizer, text, i, &encoding, err);
        if (encoding.row.n > rows->longest)
            rows->longest = encoding.row.n;
        used += encoding.row.n;
        rows->ends[i] = used;
        rows->ids = ids;
    }
    return code;
}

static void fill_row(const struct px_text_tokenizer *tokenizer, const uint32_t *ids, size_t n,
                     size_t length, int64_t *out, int64_t *mask)
{
    size_t n_pads = length - n, first = tokenizer->pads_left ? n_pads : 0;
    for (size_t i = 0; i < n; i++) {
        out[first + i] = ids[i];
        mask[first + i] = 1;
    }
    for (size_t i = 0; i < n_pads; i++)
        out[tokenizer->pads_left ? i : n + i] = tokenizer->pad_id;
}

static enum px_code apply(const struct px_processor *processor, const struct px_tensor *inputs,
                          struct px_tensor *outputs, struct px_arena *arena, struct px_err *err)
{
    const struct px_text_tokenizer *tokenizer = (const struct px_text_tokenizer *)processor;
    struct rows rows = {.n = inputs[0].shape[0]};
    void *elements[3];
    rows.ends = px_arena_alloc(arena, rows.n, sizeof *rows.ends);
    if (!rows.ends)
        return px_arena_check(arena, "tokens", err);
    enum px_code code = encode_all(tokenizer, inputs[0].bytes, &rows, arena, err);
    size_t length = tokenizer->pads_to_max ? tokenizer->length_max : rows.longest, begin = 0;
    for (size_t i = 0; code == PX_OK && i < processor->gives.n; i++)
        code = px_text_tensor_make(&processor->gives.list[i], rows.n, length, arena, &outputs[i],
                                   &elements[i], err);
    for (size_t i = 0; code == PX_OK && length && i < rows.n; i++) {
        fill_row(tokenizer, rows.ids + begin, rows.ends[i] - begin, length,
                 (int64_t *)elements[0] + i * length, (int64_t *)elements[1] + i * length);
        begin = rows.ends[i];
    }
    return code;
}

static enum px_code read_settings(struct px_text_tokenizer *tokenizer,
                                  const struct px_processor_source *source, struct px_err *err)
{
    static const char *const paddings[] = {"longest", "max_length", NULL};
    static const char *const sides[] = {[PAD_RIGHT] = "right", [PAD_LEFT] = "left", NULL};
    size_t padding = 0, side = PAD_RIGHT;
    size_t n_frame = tokenizer->frame.n_before + tokenizer->frame.n_after;
    struct px_text_number length = {512, n_frame + 1, PX_TEXT_LENGTH_MAX};
    tokenizer->truncates = true;
    enum px_code code = px_text_setting_number(source, "max_length", &length, err);
    if (code == PX_OK)
        code = px_text_setting_choice(source, "padding", paddings, &padding, err);
    if (code == PX_OK)
        code = px_text_setting_choice(source, "padding_side", sides, &side, err);
    if (code == PX_OK)
        code = px_text_setting_bool(source, "truncation", &tokenizer->truncates, err);
    tokenizer->length_max = length.value;
    tokenizer->pads_to_max = padding == 1;
    tokenizer->pads_left = side == PAD_LEFT;
    return code;
}

static int longer_first(const void *a, const void *b)
{
    size_t x = ((const struct px_text_special *)a)->text.len;
    size_t y = ((const struct px_text_special *)b)->text.len;
    return (x < y) - (x > y);
}

enum px_code px_text_tokenizer_init(struct px_text_tokenizer *tokenizer,
                                    const struct px_processor_kind *kind,
                                    const struct px_processor_source *source, struct px_err *err)
{
    static const char *const names[] = {"input_ids", "attention_mask", "token_type_ids"};
    struct px_tensor_spec *gives;
    size_t n_outputs = tokenizer->has_types ? 3 : 2;
    enum px_code code = read_settings(tokenizer, source, err);
    if (code == PX_OK)
        code = px_text_processor_init(&tokenizer->base, kind, source, n_outputs, &gives, err);
    if (code != PX_OK)
        return code;
    for (size_t i = 0; i < n_outputs; i++) {
        gives[i].name = px_str(names[i]);
        gives[i].type = PX_TYPE_INT64;
        gives[i].shape[1] = tokenizer->pads_to_max ? (int64_t)tokenizer->length_max : PX_DIM_ANY;
    }
    if (tokenizer->n_specials)
        qsort(tokenizer->specials, tokenizer->n_specials, sizeof *tokenizer->specials,
              longer_first);
    for (size_t i = 0; i < tokenizer->n_specials; i++)
        tokenizer->special_starts[(unsigned char)tokenizer->specials[i].text.ptr[0]] = true;
    tokenizer->base.row_wise &= tokenizer->pads_to_max; /* else as long as the longest row */
    tokenizer->base.apply = apply;
    return PX_OK;
}

enum px_code px_text_token_id(const struct px_text_vocabulary *vocabulary, struct px_str token,
                              const char *what, uint32_t *ret, struct px_err *err)
{
    int64_t id = px_text_vocabulary_find(vocabulary, token);
    if (id == PX_TEXT_ID_NONE)
        return px_err_set(err, PX_E_INVALID, "%s: the vocabulary has no token '%.*s'", what,
                          PX_STR_ARG(token));
    *ret = (uint32_t)id;
    return PX_OK;
}
