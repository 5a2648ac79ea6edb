/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The alternatives of the expression exclude each other by the class of one character, so a word is a run of one class;
 * the rest is who gets a space: one before a run belongs to it, several leave their last one to it.
 */
#include "domain/processing/text_bytes_split.h"

#include "domain/processing/text_unicode.h"

enum kind { OTHER, LETTER, NUMBER, SPACE };

/* The classes of ASCII; what is not listed is OTHER. */
static const uint8_t ascii[128] = {
    ['\t'] = SPACE, ['\n'] = SPACE, ['\v'] = SPACE, ['\f'] = SPACE, ['\r'] = SPACE, [' '] = SPACE,
    ['0'] = NUMBER, ['1'] = NUMBER, ['2'] = NUMBER, ['3'] = NUMBER, ['4'] = NUMBER, ['5'] = NUMBER,
    ['6'] = NUMBER, ['7'] = NUMBER, ['8'] = NUMBER, ['9'] = NUMBER, ['A'] = LETTER, ['B'] = LETTER,
    ['C'] = LETTER, ['D'] = LETTER, ['E'] = LETTER, ['F'] = LETTER, ['G'] = LETTER, ['H'] = LETTER,
    ['I'] = LETTER, ['J'] = LETTER, ['K'] = LETTER, ['L'] = LETTER, ['M'] = LETTER, ['N'] = LETTER,
    ['O'] = LETTER, ['P'] = LETTER, ['Q'] = LETTER, ['R'] = LETTER, ['S'] = LETTER, ['T'] = LETTER,
    ['U'] = LETTER, ['V'] = LETTER, ['W'] = LETTER, ['X'] = LETTER, ['Y'] = LETTER, ['Z'] = LETTER,
    ['a'] = LETTER, ['b'] = LETTER, ['c'] = LETTER, ['d'] = LETTER, ['e'] = LETTER, ['f'] = LETTER,
    ['g'] = LETTER, ['h'] = LETTER, ['i'] = LETTER, ['j'] = LETTER, ['k'] = LETTER, ['l'] = LETTER,
    ['m'] = LETTER, ['n'] = LETTER, ['o'] = LETTER, ['p'] = LETTER, ['q'] = LETTER, ['r'] = LETTER,
    ['s'] = LETTER, ['t'] = LETTER, ['u'] = LETTER, ['v'] = LETTER, ['w'] = LETTER, ['x'] = LETTER,
    ['y'] = LETTER, ['z'] = LETTER,
};

/* The class of the character at `at`, which moves past it. */
static inline enum kind next_kind(const char **at)
{
    if (PX_LIKELY((unsigned char)**at < 0x80))
        return (enum kind)ascii[(unsigned char)*(*at)++];
    unsigned classes = px_text_classes(px_text_next(at));
    if (classes & PX_TEXT_LETTER)
        return LETTER;
    if (classes & PX_TEXT_NUMBER)
        return NUMBER;
    return classes & PX_TEXT_SPACE ? SPACE : OTHER;
}

/* The end of the run of that class that starts at `at`. */
static const char *run_end(const char *at, const char *end, enum kind kind)
{
    while (at < end) {
        const char *next = at;
        if (next_kind(&next) != kind)
            break;
        at = next;
    }
    return at;
}

/* Bytes of 's, 't, 're, 've, 'm, 'll or 'd at the start, or 0. */
static size_t contraction(struct px_str text)
{
    static const struct px_str endings[] = {PX_STR("'s"),  PX_STR("'t"), PX_STR("'re"),
                                            PX_STR("'ve"), PX_STR("'m"), PX_STR("'ll"),
                                            PX_STR("'d")};
    for (size_t i = 0; text.ptr[0] == '\'' && i < PX_ARRAY_LEN(endings); i++) {
        if (text.len >= endings[i].len && memcmp(text.ptr, endings[i].ptr, endings[i].len) == 0)
            return endings[i].len;
    }
    return 0;
}

/* White space: all of it at the end of the text, else all but the last, which the next word may take. */
static size_t spaces(struct px_str text)
{
    const char *at = text.ptr, *end = text.ptr + text.len, *last = at;
    while (at < end) {
        const char *next = at;
        if (next_kind(&next) != SPACE)
            break;
        last = at;
        at = next;
    }
    return (size_t)((at == end || last == text.ptr ? at : last) - text.ptr);
}

size_t px_text_bytes_word(struct px_str text)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    enum kind kind = next_kind(&at);
    if (kind == SPACE) {
        const char *next = at;
        enum kind after = at < end && *text.ptr == ' ' ? next_kind(&next) : SPACE;
        if (after == SPACE)
            return spaces(text);
        return (size_t)(run_end(next, end, after) - text.ptr);
    }
    size_t n = kind == OTHER ? contraction(text) : 0;
    return n ? n : (size_t)(run_end(at, end, kind) - text.ptr);
}
