/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass: each character goes through cleaning, folding and lower case by itself and is added to the word in the
 * buffer. ASCII is one look into a table.
 *
 * Decomposition also puts marks in canonical order. Nearly all marks are stripped; the few that are not (they have
 * another category, or came to Unicode later than the tokenizers' tables) wait in `marks`, sorted by class, until a character
 * that is no mark comes. More marks than a word may have characters need no order: their word is too long.
 */
#include "domain/processing/text_bert.h"

enum ascii_mark { DROPPED = 0, SPACE = 1, PUNCTUATION = 2 }; /* not letters of any word */

enum {
    HANGUL_FIRST = 0xAC00,
    HANGUL_LAST = 0xD7A3,
    HANGUL_L = 0x1100,
    HANGUL_V = 0x1161,
    HANGUL_T = 0x11A7,
    HANGUL_N_V = 21,
    HANGUL_N_T = 28,
};

struct state {
    const struct px_text_bert_words *words;
    const struct px_text_bert_sink *sink;
    char *begin, *at;
    uint32_t *marks;
    size_t n_chars, n_marks;
    bool stopped;
};

void px_text_bert_init(struct px_text_bert_words *words, const struct px_text_bert *options,
                       size_t chars_max)
{
    *words = (struct px_text_bert_words){.options = *options, .chars_max = chars_max};
    for (uint32_t c = 0; c < PX_ARRAY_LEN(words->ascii); c++) {
        unsigned classes = px_text_classes(c);
        uint8_t as = (uint8_t)c;
        if (options->cleans && classes & PX_TEXT_DROPPED)
            as = DROPPED;
        else if (classes & PX_TEXT_SPACE)
            as = SPACE;
        else if (classes & PX_TEXT_DROPPED)
            as = DROPPED; /* not a letter of ASCII that is told by its value; kept by add_ascii */
        else if (classes & PX_TEXT_PUNCTUATION)
            as = PUNCTUATION;
        else if (options->lowercases && c >= 'A' && c <= 'Z')
            as = (uint8_t)(c + 32);
        words->ascii[c] = as;
    }
}

/* The blocks that Hugging Face's normalizer lists. */
static bool is_chinese(uint32_t c)
{
    static const uint32_t ranges[][2] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
                                         {0x20000, 0x2A6DF}, {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF},
                                         {0x2F800, 0x2FA1F}};
    for (size_t i = 0; i < PX_ARRAY_LEN(ranges) && c >= ranges[i][0]; i++) {
        if (c <= ranges[i][1])
            return true;
    }
    return false;
}

static void end_word(struct state *state)
{
    struct px_str word = px_str_n(state->begin, (size_t)(state->at - state->begin));
    if (state->n_chars > state->words->chars_max)
        word.len = 0;
    if (state->n_chars && !state->stopped)
        state->stopped = !state->sink->give(state->sink->context, word);
    state->at = state->begin;
    state->n_chars = 0;
}

/* A character as it will be in the word, unless it ends one. */
static void add_final(struct state *state, uint32_t c)
{
    unsigned classes = px_text_classes(c);
    if (classes & (PX_TEXT_SPACE | PX_TEXT_PUNCTUATION))
        end_word(state);
    if (classes & PX_TEXT_SPACE)
        return;
    if (state->n_chars++ < state->words->chars_max)
        state->at = px_text_put(state->at, c);
    if (classes & PX_TEXT_PUNCTUATION)
        end_word(state);
}

static void add_lower(struct state *state, uint32_t c)
{
    bool changes = state->words->options.lowercases && px_text_classes(c) & PX_TEXT_LOWER;
    const struct px_text_mapping *lower = changes ? px_text_lower(c) : NULL;
    if (!lower)
        add_final(state, c);
    for (size_t i = 0; lower && i < lower->n; i++)
        add_final(state, lower->to[i]);
}

static void end_marks(struct state *state)
{
    for (size_t i = 0; i < state->n_marks; i++)
        add_lower(state, state->marks[i]);
    state->n_marks = 0;
}

static void add_mark(struct state *state, uint32_t c)
{
    unsigned order = px_text_order(c);
    size_t at = state->n_marks;
    if (at > state->words->chars_max) {
        add_lower(state, c);
        return;
    }
    for (; at > 0 && px_text_order(state->marks[at - 1]) > order; at--)
        state->marks[at] = state->marks[at - 1];
    state->marks[at] = c;
    state->n_marks++;
}

/* A character of a decomposition. */
static void add_decomposed(struct state *state, uint32_t c)
{
    if (px_text_classes(c) & PX_TEXT_ORDERED) {
        add_mark(state, c);
        return;
    }
    end_marks(state);
    add_lower(state, c);
}

static void add_hangul(struct state *state, uint32_t syllable)
{
    uint32_t t = syllable % HANGUL_N_T, lv = syllable / HANGUL_N_T;
    end_marks(state);
    add_lower(state, HANGUL_L + lv / HANGUL_N_V);
    add_lower(state, HANGUL_V + lv % HANGUL_N_V);
    if (t)
        add_lower(state, HANGUL_T + t);
}

static void add_stripped(struct state *state, uint32_t c, unsigned classes)
{
    if (c >= HANGUL_FIRST && c <= HANGUL_LAST) {
        add_hangul(state, c - HANGUL_FIRST);
    } else if (classes & PX_TEXT_FOLD) {
        const struct px_text_mapping *fold = px_text_fold(c);
        for (size_t i = 0; i < fold->n; i++)
            add_decomposed(state, fold->to[i]);
        if (fold->n == 0 && !(classes & PX_TEXT_ORDERED))
            end_marks(state); /* a stripped mark without a class still ends the run */
    } else {
        add_decomposed(state, c);
    }
}

static void add(struct state *state, uint32_t c)
{
    const struct px_text_bert *options = &state->words->options;
    unsigned classes = px_text_classes(c);
    bool is_alone = options->splits_chinese && is_chinese(c);
    if (options->cleans && classes & PX_TEXT_DROPPED)
        return;
    if (is_alone || classes & PX_TEXT_SPACE) {
        end_marks(state);
        end_word(state);
    }
    if (classes & PX_TEXT_SPACE)
        return;
    if (options->strips_accents)
        add_stripped(state, c, classes);
    else
        add_lower(state, c);
    if (is_alone)
        end_word(state);
}

/* ASCII as far as it goes. What is kept of it are characters that end a run of marks. */
static const char *add_ascii(struct state *state, const char *at, const char *end)
{
    const uint8_t *ascii = state->words->ascii;
    size_t most = state->words->chars_max;
    for (; at < end && (unsigned char)*at < 0x80 && !state->stopped; at++) {
        uint8_t c = ascii[(unsigned char)*at];
        if (PX_LIKELY(c > PUNCTUATION)) {
            if (PX_LIKELY(state->n_chars++ < most))
                *state->at++ = (char)c;
        } else if (c == SPACE) {
            end_word(state);
        } else if (c == PUNCTUATION) {
            end_word(state);
            *state->at++ = *at;
            state->n_chars = 1;
            end_word(state);
        } else if (!state->words->options.cleans) {
            if (state->n_chars++ < most)
                *state->at++ = *at;
        }
    }
    return at;
}

void px_text_bert_each(const struct px_text_bert_words *words, struct px_str text, void *buffer,
                       const struct px_text_bert_sink *sink)
{
    uint32_t *marks = buffer;
    char *begin = (char *)(marks + words->chars_max + 2);
    struct state state = {
        .words = words, .sink = sink, .begin = begin, .at = begin, .marks = marks};
    const char *at = text.ptr, *end = at + text.len;
    while (at < end && !state.stopped) {
        if ((unsigned char)*at >= 0x80) {
            add(&state, px_text_next(&at));
            continue;
        }
        uint8_t c = words->ascii[(unsigned char)*at];
        if (c != DROPPED || !words->options.cleans)
            end_marks(&state);
        at = c == DROPPED && words->options.cleans ? at + 1 : add_ascii(&state, at, end);
    }
    end_marks(&state);
    end_word(&state);
}
