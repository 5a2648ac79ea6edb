/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenize_wordpiece: BERT's tokenizer. A word is cut greedily into the longest pieces of the vocabulary.
 *
 * The pieces that begin a word and those that continue one (without their `##`) are two tables. The hash of every
 * beginning of what is left comes from one pass over it, so a try at a shorter piece costs one probe. Tries are as many as the longest
 * piece has bytes, at most, whatever the word.
 */
#include "domain/processing/text_bert.h"
#include "domain/processing/text_kinds.h"
#include "domain/processing/text_tokenizer.h"

struct wordpiece {
    struct px_text_tokenizer base;
    struct px_text_bert_words words;
    struct px_text_vocabulary first, later;
    uint32_t unk_id;
};

struct cutting {
    const struct wordpiece *wordpiece;
    struct px_text_row *row;
    uint32_t *hashes;
};

/* The longest piece at the start of `text`; its bytes, or 0. */
static size_t longest_piece(const struct px_text_vocabulary *vocabulary, struct px_str text,
                            uint32_t *hashes, int64_t *ret_id)
{
    size_t n = text.len < vocabulary->len_max ? text.len : vocabulary->len_max;
    uint64_t state = 0;
    for (size_t i = 0; i < n; i++) {
        state = px_text_hash_byte(state, (unsigned char)text.ptr[i]);
        hashes[i] = px_text_hash_end(state);
    }
    for (size_t len = n; len > 0; len--) {
        int64_t id = px_text_vocabulary_get(vocabulary, hashes[len - 1], text.ptr, len);
        if (id != PX_TEXT_ID_NONE) {
            *ret_id = id;
            return len;
        }
    }
    return 0;
}

/* The pieces of a word, or the unknown token when a part of it is none. */
static bool cut_word(void *context, struct px_str word)
{
    struct cutting *cutting = context;
    const struct wordpiece *w = cutting->wordpiece;
    struct px_text_row *row = cutting->row;
    const struct px_text_vocabulary *vocabulary = &w->first;
    size_t before = row->n;
    bool fits = true;
    int64_t id;
    if (word.len == 0)
        return px_text_row_add(row, w->unk_id);
    while (word.len) {
        size_t len = longest_piece(vocabulary, word, cutting->hashes, &id);
        if (len == 0) {
            row->n = before;
            row->full = false;
            return px_text_row_add(row, w->unk_id);
        }
        fits = fits && px_text_row_add(row, (uint32_t)id);
        word = px_str_n(word.ptr + len, word.len - len);
        vocabulary = &w->later;
    }
    return fits;
}

static enum px_code encode(const struct px_text_tokenizer *tokenizer, struct px_str piece,
                           struct px_text_encoding *encoding, struct px_err *err)
{
    const struct wordpiece *w = (const struct wordpiece *)tokenizer;
    void *buffer = px_text_scratch(&encoding->scratch[0], px_text_bert_buffer_size(&w->words), 1,
                                   encoding->arena);
    struct cutting cutting = {w, &encoding->row,
                              px_text_scratch(&encoding->scratch[1],
                                              (w->words.chars_max + 1) * PX_TEXT_UTF8_MAX,
                                              sizeof(uint32_t), encoding->arena)};
    if (!buffer || !cutting.hashes)
        return px_arena_check(encoding->arena, "words", err);
    px_text_bert_each(&w->words, piece, buffer, &(struct px_text_bert_sink){cut_word, &cutting});
    return PX_OK;
}

/* Parts the vocabulary in pieces that begin a word and pieces that go on. */
static enum px_code split_vocabulary(struct wordpiece *w, const struct px_text_vocabulary *all,
                                     struct px_str continuing, struct px_arena *arena,
                                     struct px_err *err)
{
    enum px_code code = px_text_vocabulary_init(&w->first, all->n, arena, err);
    if (code == PX_OK)
        code = px_text_vocabulary_init(&w->later, all->n, arena, err);
    for (size_t i = 0; code == PX_OK && i <= all->mask; i++) {
        struct px_str key = px_str_n(all->slots[i].key, all->slots[i].len);
        if (key.len == 0)
            continue;
        code = px_text_vocabulary_put(&w->first, key, all->slots[i].id, err);
        if (code == PX_OK && key.len >= continuing.len &&
            (continuing.len == 0 || memcmp(key.ptr, continuing.ptr, continuing.len) == 0))
            code = px_text_vocabulary_put(
                &w->later, px_str_n(key.ptr + continuing.len, key.len - continuing.len),
                all->slots[i].id, err);
    }
    return code;
}

/* Names of the special tokens, in the order of BertTokenizer's. */
struct names {
    struct px_str unk, sep, pad, cls, mask;
};

static enum px_code read_names(const struct px_processor_source *source, struct names *names,
                               struct px_err *err)
{
    enum px_code code = px_text_setting_str(source, "unk_token", &names->unk, err);
    if (code == PX_OK)
        code = px_text_setting_str(source, "sep_token", &names->sep, err);
    if (code == PX_OK)
        code = px_text_setting_str(source, "pad_token", &names->pad, err);
    if (code == PX_OK)
        code = px_text_setting_str(source, "cls_token", &names->cls, err);
    if (code == PX_OK)
        code = px_text_setting_str(source, "mask_token", &names->mask, err);
    return code;
}

/* vocab.txt: the special tokens are those of BertTokenizer that the vocabulary has. */
static enum px_code add_specials(struct px_text_tokenizer_file *file, const struct names *names,
                                 struct px_arena *arena, struct px_err *err)
{
    const struct px_str all[] = {names->unk, names->sep, names->pad, names->cls, names->mask};
    file->specials = px_arena_alloc(arena, PX_ARRAY_LEN(all), sizeof *file->specials);
    for (size_t i = 0; file->specials && i < PX_ARRAY_LEN(all); i++) {
        int64_t id = px_text_vocabulary_find(&file->vocabulary, all[i]);
        if (id != PX_TEXT_ID_NONE)
            file->specials[file->n_specials++] =
                (struct px_text_special){.text = all[i], .id = (uint32_t)id};
    }
    return px_arena_check(arena, "special tokens", err);
}

/* From vocab.txt and the settings that BertTokenizer has. */
static enum px_code read_vocabulary(const struct px_processor_source *source,
                                    struct px_text_tokenizer_file *file, struct names *names,
                                    struct px_err *err)
{
    struct px_str text;
    bool strips_is_set = px_text_setting(source, "strip_accents");
    file->bert = (struct px_text_bert){true, true, true, true};
    enum px_code code = px_text_setting_file(source, "vocabulary", &text, err);
    if (code == PX_OK && !text.ptr)
        return px_err_set(err, PX_E_INVALID,
                          "expected `vocabulary` (vocab.txt) or `tokenizer` (tokenizer.json)");
    if (code == PX_OK &&
        px_text_vocabulary_read(&file->vocabulary, text, source->arena, err) != PX_OK)
        return px_err_wrap(err, "vocabulary");
    if (code == PX_OK)
        code = px_text_setting_bool(source, "lowercase", &file->bert.lowercases, err);
    file->bert.strips_accents = file->bert.lowercases;
    if (code == PX_OK && strips_is_set)
        code = px_text_setting_bool(source, "strip_accents", &file->bert.strips_accents, err);
    if (code == PX_OK)
        code =
            px_text_setting_bool(source, "tokenize_chinese_chars", &file->bert.splits_chinese, err);
    if (code == PX_OK)
        code = px_text_setting_bool(source, "clean_text", &file->bert.cleans, err);
    file->unk_token = names->unk;
    file->continuing = px_str("##");
    file->word_chars_max = 100;
    struct px_text_frame *frame = &file->frame;
    if (code == PX_OK)
        code = px_text_token_id(&file->vocabulary, names->cls, "cls_token", &frame->before[0], err);
    if (code == PX_OK)
        code = px_text_token_id(&file->vocabulary, names->sep, "sep_token", &frame->after[0], err);
    frame->n_before = frame->n_after = 1;
    return code == PX_OK ? add_specials(file, names, source->arena, err) : code;
}

static enum px_code read_tokenizer(struct px_str text, struct px_text_tokenizer_file *file,
                                   struct px_arena *arena, struct px_err *err)
{
    if (px_text_tokenizer_read(file, text, arena, err) != PX_OK)
        return px_err_wrap(err, "tokenizer");
    if (file->model != PX_TEXT_MODEL_WORDPIECE || !file->has_bert_normalizer ||
        !file->has_bert_split || !file->unk_token.ptr)
        return px_err_set(err, PX_E_INVALID,
                          "tokenizer: expected a WordPiece model with BertNormalizer, "
                          "BertPreTokenizer and an unk_token");
    return PX_OK;
}

/* The file's number goes before the usual name, not before one that the step says. */
static enum px_code read_pad(const struct px_processor_source *source,
                             const struct px_text_tokenizer_file *file, struct px_str name,
                             uint32_t *ret, struct px_err *err)
{
    int64_t own = PX_TEXT_ID_NONE;
    bool is_said = source->settings && px_yaml_get(source->settings, "pad_token");
    if (is_said || file->pad_id == PX_TEXT_ID_NONE) {
        enum px_code code = px_text_token_id(&file->vocabulary, name, "pad_token", ret, err);
        if (code != PX_OK)
            return code;
        own = *ret;
    }
    return px_text_tokenizer_pad_id(file, own, ret, err);
}

static enum px_code read_settings(const struct px_processor_source *source, struct wordpiece *w,
                                  struct px_err *err)
{
    struct px_text_tokenizer_file file = {.model = PX_TEXT_MODEL_NONE, .pad_id = PX_TEXT_ID_NONE};
    struct names names = {PX_STR("[UNK]"), PX_STR("[SEP]"), PX_STR("[PAD]"), PX_STR("[CLS]"),
                          PX_STR("[MASK]")};
    struct px_str text;
    bool adds = true;
    enum px_code code = read_names(source, &names, err);
    if (code == PX_OK)
        code = px_text_setting_bool(source, "add_special_tokens", &adds, err);
    if (code == PX_OK)
        code = px_text_setting_file(source, "tokenizer", &text, err);
    if (code == PX_OK)
        code = text.ptr ? read_tokenizer(text, &file, source->arena, err)
                        : read_vocabulary(source, &file, &names, err);
    if (code == PX_OK)
        code = px_text_token_id(&file.vocabulary, file.unk_token, "unk_token", &w->unk_id, err);
    if (code == PX_OK)
        code = read_pad(source, &file, names.pad, &w->base.pad_id, err);
    if (code == PX_OK)
        code = split_vocabulary(w, &file.vocabulary, file.continuing, source->arena, err);
    if (code != PX_OK)
        return code;
    px_text_bert_init(&w->words, &file.bert, file.word_chars_max);
    if (adds)
        w->base.frame = file.frame;
    w->base.specials = file.specials;
    w->base.n_specials = file.n_specials;
    return PX_OK;
}

static enum px_code create(const struct px_processor_source *source, struct px_processor **ret,
                           struct px_err *err)
{
    static const struct px_str known[] = {
        PX_STR("add_special_tokens"), PX_STR("clean_text"),    PX_STR("cls_token"),
        PX_STR("lowercase"),          PX_STR("mask_token"),    PX_STR("pad_token"),
        PX_STR("sep_token"),          PX_STR("strip_accents"), PX_STR("tokenize_chinese_chars"),
        PX_STR("tokenizer"),          PX_STR("unk_token"),     PX_STR("vocabulary"),
        PX_TEXT_TOKENIZER_KEYS};
    struct wordpiece *w = px_arena_zalloc(source->arena, 1, sizeof *w);
    if (!w)
        return px_arena_check(source->arena, "processor", err);
    enum px_code code = px_text_settings_only(source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_settings(source, w, err);
    w->base.has_types = true;
    if (code == PX_OK)
        code = px_text_tokenizer_init(&w->base, &px_kind_tokenize_wordpiece, source, err);
    w->base.encode = encode;
    *ret = &w->base.base;
    return code;
}

const struct px_processor_kind px_kind_tokenize_wordpiece = {
    "tokenize_wordpiece", "BERT's tokens, from vocab.txt or tokenizer.json", create};
