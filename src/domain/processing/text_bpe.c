/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenize_bpe: the byte-level tokenizer of GPT-2 and RoBERTa.
 *
 * In the files a byte is written as a printable character; tokens are turned back into bytes when they are read, so texts are
 * encoded as they are. A word that is itself a token, and that its own merges lead to, needs no merging: which
 * tokens these are is found out once, by encoding every token. That is as fast as a cache of words for what is frequent, and
 * neither grows nor is shared.
 */
#include "domain/processing/text_bytes_split.h"
#include "domain/processing/text_kinds.h"
#include "domain/processing/text_merges.h"
#include "domain/processing/text_tokenizer_file.h"
#include "domain/processing/text_unicode.h"

struct bpe {
    struct px_text_tokenizer base;
    struct px_text_vocabulary words; /* bytes of the tokens that are encoded as themselves */
    struct px_text_merges merges;
    int64_t of_byte[256]; /* PX_TEXT_ID_NONE: no token */
    int64_t unk_id;
    bool fuses_unk, adds_prefix_space, splits_words;
};

enum { SYMBOLS, LINKS, PREFIXED };

/* Puts the numbers of the bytes of a word; bytes without a token are the unknown one, or left out. */
static size_t start_symbols(const struct bpe *b, struct px_str word, uint32_t *symbols)
{
    size_t n = 0;
    bool after_unknown = false;
    for (size_t i = 0; i < word.len; i++) {
        int64_t id = b->of_byte[(unsigned char)word.ptr[i]];
        bool unknown = id == PX_TEXT_ID_NONE;
        if (unknown)
            id = b->fuses_unk && after_unknown ? PX_TEXT_ID_NONE : b->unk_id;
        after_unknown = unknown;
        if (id != PX_TEXT_ID_NONE)
            symbols[n++] = (uint32_t)id;
    }
    return n;
}

static enum px_code encode_word(const struct bpe *b, struct px_str word,
                                struct px_text_encoding *encoding, struct px_err *err)
{
    int64_t id = px_text_vocabulary_find(&b->words, word);
    if (PX_LIKELY(id != PX_TEXT_ID_NONE)) {
        px_text_row_add(&encoding->row, (uint32_t)id);
        return PX_OK;
    }
    struct px_text_scratch *scratch = encoding->scratch;
    uint32_t *symbols =
        px_text_scratch(&scratch[SYMBOLS], word.len, sizeof *symbols, encoding->arena);
    if (!symbols)
        return px_arena_check(encoding->arena, "words", err);
    size_t n = start_symbols(b, word, symbols);
    if (n == 0)
        return PX_OK;
    n = px_text_merges_apply(&b->merges, symbols, n, &scratch[LINKS], encoding->arena);
    if (n == 0)
        return px_arena_check(encoding->arena, "words", err);
    for (size_t i = 0; i < n && px_text_row_add(&encoding->row, symbols[i]);)
        i++;
    return PX_OK;
}

static enum px_code encode(const struct px_text_tokenizer *tokenizer, struct px_str piece,
                           struct px_text_encoding *encoding, struct px_err *err)
{
    const struct bpe *b = (const struct bpe *)tokenizer;
    enum px_code code = PX_OK;
    if (b->adds_prefix_space && piece.ptr[0] != ' ') {
        char *copy =
            px_text_scratch(&encoding->scratch[PREFIXED], piece.len + 1, 1, encoding->arena);
        if (!copy)
            return px_arena_check(encoding->arena, "texts", err);
        copy[0] = ' ';
        memcpy(copy + 1, piece.ptr, piece.len);
        piece = px_str_n(copy, piece.len + 1);
    }
    while (code == PX_OK && piece.len && !encoding->row.full) {
        size_t n = b->splits_words ? px_text_bytes_word(piece) : piece.len;
        code = encode_word(b, px_str_n(piece.ptr, n), encoding, err);
        piece = px_str_n(piece.ptr + n, piece.len - n);
    }
    return code;
}

/* GPT-2's table: the printable bytes of Latin-1 stand for themselves, the others follow from U+0100. */
struct byte_letters {
    int16_t byte_of[0x180]; /* -1: stands for no byte */
};

static void fill_letters(struct byte_letters *letters)
{
    uint32_t next = 0x100;
    for (size_t i = 0; i < PX_ARRAY_LEN(letters->byte_of); i++)
        letters->byte_of[i] = -1;
    for (uint32_t byte = 0; byte < 256; byte++) {
        bool printable =
            (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
        letters->byte_of[printable ? byte : next++] = (int16_t)byte;
    }
}

/* The bytes of a token, written to `to`; {NULL, 0} when one of its letters stands for none. */
static struct px_str token_bytes(const struct byte_letters *letters, struct px_str token, char *to)
{
    char *begin = to;
    if (!px_str_is_utf8(token))
        return px_str_n(NULL, 0);
    for (const char *at = token.ptr, *end = at + token.len; at < end;) {
        uint32_t c = px_text_next(&at);
        if (c >= PX_ARRAY_LEN(letters->byte_of) || letters->byte_of[c] < 0)
            return px_str_n(NULL, 0);
        *to++ = (char)letters->byte_of[c];
    }
    return px_str_n(begin, (size_t)(to - begin));
}

/* Is the token what its own bytes are encoded as? 1, 0, or -1 without memory. */
static int is_encoded_as_itself(const struct bpe *b, struct px_str bytes, int64_t id,
                                struct px_text_scratch *scratch, struct px_arena *arena)
{
    uint32_t *symbols = px_text_scratch(&scratch[SYMBOLS], bytes.len, sizeof *symbols, arena);
    if (!symbols)
        return -1;
    size_t n = start_symbols(b, bytes, symbols);
    if (n == 0)
        return 0;
    n = px_text_merges_apply(&b->merges, symbols, n, &scratch[LINKS], arena);
    return n == 0 ? -1 : n == 1 && symbols[0] == id;
}

static enum px_code add_words(struct bpe *b, const struct px_text_tokenizer_file *file,
                              const struct byte_letters *letters, struct px_arena *arena,
                              struct px_err *err)
{
    struct px_text_scratch scratch[PX_TEXT_SCRATCHES] = {{NULL, 0}};
    const struct px_text_vocabulary *all = &file->vocabulary;
    enum px_code code = px_text_vocabulary_init(&b->words, all->n, arena, err);
    for (size_t i = 0; code == PX_OK && i <= all->mask; i++) {
        const struct px_text_vocabulary_slot *slot = &all->slots[i];
        char *bytes = slot->len ? px_arena_alloc(arena, slot->len, 1) : NULL;
        if (slot->len && !bytes)
            return px_arena_check(arena, "vocabulary", err);
        struct px_str word = slot->len ? token_bytes(letters, px_str_n(slot->key, slot->len), bytes)
                                       : px_str_n(NULL, 0);
        if (!word.ptr)
            continue;
        int same =
            file->ignores_merges ? 1 : is_encoded_as_itself(b, word, slot->id, scratch, arena);
        if (same < 0)
            return px_arena_check(arena, "vocabulary", err);
        if (same)
            code = px_text_vocabulary_put(&b->words, word, slot->id, err);
    }
    return code;
}

static void find_byte_tokens(struct bpe *b, const struct px_text_vocabulary *all)
{
    struct byte_letters letters;
    char text[PX_TEXT_UTF8_MAX];
    fill_letters(&letters);
    for (size_t i = 0; i < PX_ARRAY_LEN(b->of_byte); i++)
        b->of_byte[i] = PX_TEXT_ID_NONE;
    for (uint32_t c = 0; c < PX_ARRAY_LEN(letters.byte_of); c++) {
        size_t len = (size_t)(px_text_put(text, c) - text);
        if (letters.byte_of[c] >= 0)
            b->of_byte[letters.byte_of[c]] = px_text_vocabulary_find(all, px_str_n(text, len));
    }
}

static enum px_code add_merges(struct bpe *b, const struct px_text_tokenizer_file *file,
                               struct px_arena *arena, struct px_err *err)
{
    struct px_text_scratch joined = {NULL, 0};
    enum px_code code = px_text_merges_init(&b->merges, file->n_merges, arena, err);
    for (size_t i = 0; code == PX_OK && i < file->n_merges; i++) {
        struct px_str left = file->merges[i].left, right = file->merges[i].right;
        uint32_t ids[3];
        char *text = px_text_scratch(&joined, left.len + right.len, 1, arena);
        if (!text)
            return px_arena_check(arena, "merges", err);
        memcpy(text, left.ptr, left.len);
        memcpy(text + left.len, right.ptr, right.len);
        code = px_text_token_id(&file->vocabulary, left, "merges", &ids[0], err);
        if (code == PX_OK)
            code = px_text_token_id(&file->vocabulary, right, "merges", &ids[1], err);
        if (code == PX_OK)
            code = px_text_token_id(&file->vocabulary, px_str_n(text, left.len + right.len),
                                    "merges", &ids[2], err);
        if (code == PX_OK)
            px_text_merges_add(&b->merges, ids[0], ids[1], ids[2]);
    }
    return code;
}

/* merges.txt: a line of two tokens each, after a line `#version`. */
static enum px_code read_merges_txt(struct px_text_tokenizer_file *file, struct px_str text,
                                    struct px_arena *arena, struct px_err *err)
{
    size_t n_lines = 1, line = 0;
    for (size_t i = 0; i < text.len; i++)
        n_lines += text.ptr[i] == '\n';
    file->merges = px_arena_alloc(arena, n_lines, sizeof *file->merges);
    if (!file->merges)
        return px_arena_check(arena, "merges", err);
    while (text.len) {
        struct px_str right = px_str_trim(px_str_cut(&text, '\n'));
        line++;
        if (right.len == 0 || (line == 1 && px_str_starts(right, "#version")))
            continue;
        struct px_str left = px_str_cut(&right, ' ');
        if (left.len == 0 || right.len == 0)
            return px_err_set(err, PX_E_INVALID,
                              "merges: line %zu: expected two tokens with a space between", line);
        file->merges[file->n_merges++] = (struct px_text_merge){left, right};
    }
    return PX_OK;
}

/* vocab.json and merges.txt. */
static enum px_code read_files(const struct px_processor_source *source,
                               struct px_text_tokenizer_file *file, struct px_err *err)
{
    struct px_str vocabulary, merges;
    struct px_json json;
    enum px_code code = px_text_setting_file(source, "vocabulary", &vocabulary, err);
    if (code == PX_OK)
        code = px_text_setting_file(source, "merges", &merges, err);
    if (code == PX_OK && (!vocabulary.ptr || !merges.ptr))
        return px_err_set(err, PX_E_INVALID,
                          "expected `vocabulary` (vocab.json) and `merges` (merges.txt), or "
                          "`tokenizer` (tokenizer.json)");
    if (code != PX_OK)
        return code;
    px_json_init(&json, vocabulary, source->arena, 0);
    px_text_vocabulary_read_json(&json, &file->vocabulary, source->arena);
    code = px_arena_check(source->arena, "vocabulary", err);
    if (code == PX_OK && px_json_finish(&json, err) != PX_OK)
        return px_err_wrap(err, "vocabulary");
    file->splits_words = true;
    return code == PX_OK ? read_merges_txt(file, merges, source->arena, err) : code;
}

static enum px_code read_tokenizer(struct px_str text, struct px_text_tokenizer_file *file,
                                   struct px_arena *arena, struct px_err *err)
{
    if (px_text_tokenizer_read(file, text, arena, err) != PX_OK)
        return px_err_wrap(err, "tokenizer");
    if (file->model != PX_TEXT_MODEL_BPE || file->has_bert_normalizer || !file->has_byte_level ||
        file->continuing.len)
        return px_err_set(err, PX_E_INVALID,
                          "tokenizer: expected a BPE model with the pre_tokenizer ByteLevel and no "
                          "normalizer");
    return PX_OK;
}

/* A special token that a setting names: its number, and that it is found in texts. */
static enum px_code read_special(const struct px_processor_source *source, const char *key,
                                 struct px_text_tokenizer_file *file, int64_t *ret_id,
                                 struct px_err *err)
{
    struct px_str token = {NULL, 0};
    uint32_t id;
    *ret_id = PX_TEXT_ID_NONE;
    enum px_code code = px_text_setting_str(source, key, &token, err);
    if (code != PX_OK || !token.ptr)
        return code;
    for (size_t i = 0; i < file->n_specials; i++) {
        if (px_str_eq(file->specials[i].text, token)) {
            *ret_id = file->specials[i].id;
            return PX_OK;
        }
    }
    code = px_text_token_id(&file->vocabulary, token, key, &id, err);
    if (code != PX_OK)
        return code;
    if (file->n_specials == PX_TEXT_SPECIALS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "more than %d special tokens", PX_TEXT_SPECIALS_MAX);
    file->specials[file->n_specials++] = (struct px_text_special){.text = token, .id = id};
    *ret_id = id;
    return PX_OK;
}

static enum px_code read_specials(const struct px_processor_source *source, struct bpe *b,
                                  struct px_text_tokenizer_file *file, struct px_err *err)
{
    int64_t bos, eos, pad, unk;
    if (!file->specials)
        file->specials =
            px_arena_alloc(source->arena, PX_TEXT_SPECIALS_MAX, sizeof *file->specials);
    enum px_code code = px_arena_check(source->arena, "special tokens", err);
    if (code == PX_OK)
        code = read_special(source, "bos_token", file, &bos, err);
    if (code == PX_OK)
        code = read_special(source, "eos_token", file, &eos, err);
    if (code == PX_OK)
        code = read_special(source, "pad_token", file, &pad, err);
    if (code == PX_OK)
        code = read_special(source, "unk_token", file, &unk, err);
    if (code != PX_OK)
        return code;
    if (bos != PX_TEXT_ID_NONE || eos != PX_TEXT_ID_NONE)
        file->frame = (struct px_text_frame){.before = {(uint32_t)bos},
                                             .n_before = bos != PX_TEXT_ID_NONE,
                                             .after = {(uint32_t)eos},
                                             .n_after = eos != PX_TEXT_ID_NONE};
    b->unk_id = unk;
    if (unk == PX_TEXT_ID_NONE && file->unk_token.len)
        b->unk_id = px_text_vocabulary_find(&file->vocabulary, file->unk_token);
    return px_text_tokenizer_pad_id(file, pad, &b->base.pad_id, err);
}

static enum px_code read_settings(const struct px_processor_source *source, struct bpe *b,
                                  struct px_err *err)
{
    struct px_text_tokenizer_file file = {.model = PX_TEXT_MODEL_NONE, .pad_id = PX_TEXT_ID_NONE};
    struct byte_letters letters;
    struct px_str text;
    bool adds = true;
    enum px_code code = px_text_setting_file(source, "tokenizer", &text, err);
    if (code == PX_OK)
        code = text.ptr ? read_tokenizer(text, &file, source->arena, err)
                        : read_files(source, &file, err);
    if (code == PX_OK)
        code = read_specials(source, b, &file, err);
    if (code == PX_OK)
        code = px_text_setting_bool(source, "add_special_tokens", &adds, err);
    if (code == PX_OK)
        code = px_text_setting_bool(source, "add_prefix_space", &file.adds_prefix_space, err);
    if (code != PX_OK)
        return code;
    if (adds)
        b->base.frame = file.frame;
    b->base.specials = file.specials;
    b->base.n_specials = file.n_specials;
    b->fuses_unk = file.fuses_unk;
    b->adds_prefix_space = file.adds_prefix_space;
    b->splits_words = file.splits_words;
    fill_letters(&letters);
    find_byte_tokens(b, &file.vocabulary);
    code = add_merges(b, &file, source->arena, err);
    return code == PX_OK ? add_words(b, &file, &letters, source->arena, err) : code;
}

static enum px_code create(const struct px_processor_source *source, struct px_processor **ret,
                           struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("add_prefix_space"), PX_STR("add_special_tokens"),
                                          PX_STR("bos_token"),        PX_STR("eos_token"),
                                          PX_STR("merges"),           PX_STR("pad_token"),
                                          PX_STR("tokenizer"),        PX_STR("unk_token"),
                                          PX_STR("vocabulary"),       PX_TEXT_TOKENIZER_KEYS};
    struct bpe *b = px_arena_zalloc(source->arena, 1, sizeof *b);
    if (!b)
        return px_arena_check(source->arena, "processor", err);
    enum px_code code = px_text_settings_only(source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_settings(source, b, err);
    if (code == PX_OK)
        code = px_text_tokenizer_init(&b->base, &px_kind_tokenize_bpe, source, err);
    b->base.encode = encode;
    *ret = &b->base.base;
    return code;
}

const struct px_processor_kind px_kind_tokenize_bpe = {
    "tokenize_bpe",
    "byte-level tokens of GPT-2 and RoBERTa, from vocab.json and merges.txt or tokenizer.json",
    create};
