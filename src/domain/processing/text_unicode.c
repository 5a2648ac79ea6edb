/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two tables give the classes of a character: blocks of 128 characters, of which few are distinct, and for each
 * character in a block the number of its combination of classes. Mappings are rows sorted by character: the class bits say
 * when a search is worth it.
 */
#include "domain/processing/text_unicode.h"

enum { BLOCK_BITS = 7, BLOCK = 1 << BLOCK_BITS };

static const uint16_t kinds[] = {
#include "domain/processing/text_unicode_kinds.def"
};

static const uint8_t block_index[] = {
#include "domain/processing/text_unicode_index.def"
};

static const uint8_t blocks[] = {
#include "domain/processing/text_unicode_blocks.def"
};

static const struct px_text_mapping lower_rows[] = {
#include "domain/processing/text_unicode_lower.def"
};

static const struct px_text_mapping fold_rows[] = {
#include "domain/processing/text_unicode_fold.def"
};

static const struct {
    uint32_t from, rank;
} order_rows[] = {
#include "domain/processing/text_unicode_order.def"
};

unsigned px_text_classes(uint32_t c)
{
    return kinds[blocks[(size_t)block_index[c >> BLOCK_BITS] * BLOCK + (c & (BLOCK - 1))]];
}

static const struct px_text_mapping *find(const struct px_text_mapping *rows, size_t n, uint32_t c)
{
    size_t low = 0;
    while (n > 1) {
        size_t half = n / 2;
        low += rows[low + half].from <= c ? half : 0;
        n -= half;
    }
    return rows[low].from == c ? &rows[low] : NULL;
}

const struct px_text_mapping *px_text_lower(uint32_t c)
{
    return find(lower_rows, PX_ARRAY_LEN(lower_rows), c);
}

const struct px_text_mapping *px_text_fold(uint32_t c)
{
    return find(fold_rows, PX_ARRAY_LEN(fold_rows), c);
}

unsigned px_text_order(uint32_t c)
{
    size_t low = 0, n = PX_ARRAY_LEN(order_rows);
    while (n > 1) {
        size_t half = n / 2;
        low += order_rows[low + half].from <= c ? half : 0;
        n -= half;
    }
    return order_rows[low].from == c ? order_rows[low].rank : 0;
}

char *px_text_put(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *to++ = (char)(0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    } else {
        *to++ = (char)(0xF0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    }
    return to;
}

/* Bytes of the longest well-formed prefix. Most texts are mostly ASCII, which is passed eight bytes at a time. */
static size_t well_formed_prefix(struct px_str text)
{
    size_t at = 0;
    while (at < text.len) {
        uint64_t eight;
        if (text.len - at >= sizeof eight) {
            memcpy(&eight, text.ptr + at, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        size_t n = px_str_utf8_char(px_str_n(text.ptr + at, text.len - at));
        if (n == 0)
            break;
        at += n;
    }
    return at;
}

/* Bytes at the start of an ill-formed text that one U+FFFD stands for (Unicode 15, section 3.9, "maximal subpart"). */
static size_t ill_formed_part(struct px_str text)
{
    const unsigned char *p = (const unsigned char *)text.ptr;
    unsigned lead = p[0], low = 0x80, high = 0xBF;
    size_t need = lead < 0xC2 || lead > 0xF4 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    size_t n = 1;
    while (n <= need && n < text.len && p[n] >= low && p[n] <= high) {
        low = 0x80;
        high = 0xBF;
        n++;
    }
    return n;
}

enum px_code px_text_well_formed(struct px_str text, struct px_arena *arena, struct px_str *ret,
                                 struct px_err *err)
{
    static const char replacement[] = {'\xEF', '\xBF', '\xBD'};
    size_t good = well_formed_prefix(text);
    if (good == text.len) {
        *ret = text;
        return PX_OK;
    }
    char *copy = px_arena_alloc(arena, text.len, sizeof replacement);
    if (!copy)
        return px_arena_check(arena, "texts", err);
    char *to = copy;
    while (text.len) {
        good = well_formed_prefix(text);
        memcpy(to, text.ptr, good);
        to += good;
        text = px_str_n(text.ptr + good, text.len - good);
        if (text.len == 0)
            break;
        memcpy(to, replacement, sizeof replacement);
        to += sizeof replacement;
        size_t bad = ill_formed_part(text);
        text = px_str_n(text.ptr + bad, text.len - bad);
    }
    *ret = px_str_n(copy, (size_t)(to - copy));
    return PX_OK;
}
