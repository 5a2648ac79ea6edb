/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/str.h"

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool px_str_eq_nocase(struct px_str a, struct px_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

bool px_str_starts(struct px_str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.len >= n && (n == 0 || memcmp(s.ptr, prefix, n) == 0);
}

bool px_str_ends(struct px_str s, const char *suffix)
{
    size_t n = strlen(suffix);
    return s.len >= n && (n == 0 || memcmp(s.ptr + s.len - n, suffix, n) == 0);
}

int px_str_cmp(struct px_str a, struct px_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (order)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct px_str px_str_trim(struct px_str s)
{
    while (s.len && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

size_t px_str_find(struct px_str s, char byte)
{
    const char *hit = s.len ? memchr(s.ptr, byte, s.len) : NULL;
    return hit ? (size_t)(hit - s.ptr) : s.len;
}

struct px_str px_str_cut(struct px_str *rest, char separator)
{
    size_t at = px_str_find(*rest, separator);
    struct px_str part = {rest->ptr, at};
    if (at == rest->len)
        *rest = (struct px_str){0};
    else
        *rest = (struct px_str){rest->ptr + at + 1, rest->len - at - 1};
    return part;
}

bool px_str_to_u64(struct px_str s, uint64_t *ret)
{
    uint64_t value = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value))
            return false;
    }
    *ret = value;
    return true;
}

bool px_str_to_i64(struct px_str s, int64_t *ret)
{
    bool negative = s.len && s.ptr[0] == '-';
    uint64_t magnitude;
    if (negative || (s.len && s.ptr[0] == '+'))
        s = px_str_n(s.ptr + 1, s.len - 1);
    if (!px_str_to_u64(s, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

/* Length of the UTF-8 sequence at `p`, 0 when it is not well-formed (Unicode 15, table 3-7). */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        return left >= 2 && (p[1] & 0xC0) == 0x80 ? 2 : 0;
    if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        unsigned low = p[0] == 0xE0 ? 0xA0 : 0x80, high = p[0] == 0xED ? 0x9F : 0xBF;
        return left >= 3 && p[1] >= low && p[1] <= high && (p[2] & 0xC0) == 0x80 ? 3 : 0;
    }
    if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        unsigned low = p[0] == 0xF0 ? 0x90 : 0x80, high = p[0] == 0xF4 ? 0x8F : 0xBF;
        return left >= 4 && p[1] >= low && p[1] <= high && (p[2] & 0xC0) == 0x80 &&
                       (p[3] & 0xC0) == 0x80
                   ? 4
                   : 0;
    }
    return 0;
}

bool px_str_is_utf8(struct px_str s)
{
    return px_str_utf8_prefix(s) == s.len;
}

size_t px_str_utf8_prefix(struct px_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t i = 0;
    while (i < s.len) {
        uint64_t word;
        if (s.len - i >= sizeof word) { /* mostly ASCII */
            memcpy(&word, p + i, sizeof word);
            if (!(word & 0x8080808080808080u)) {
                i += sizeof word;
                continue;
            }
        }
        size_t n = utf8_sequence(p + i, s.len - i);
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

size_t px_str_utf8_char(struct px_str s)
{
    return s.len ? utf8_sequence((const unsigned char *)s.ptr, s.len) : 0;
}

enum { NEAREST_WORD_MAX = 64 };

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Optimal string alignment distance: insert, delete, replace, swap neighbours cost 1 each. */
static size_t edit_distance(struct px_str a, struct px_str b)
{
    size_t rows[3][NEAREST_WORD_MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            char x = lower(a.ptr[i - 1]), y = lower(b.ptr[j - 1]);
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (x != y));
            bool swapped = i > 1 && j > 1 && x == lower(b.ptr[j - 2]) && lower(a.ptr[i - 2]) == y;
            if (swapped && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
    }
    return rows[a.len % 3][b.len];
}

static size_t distance_max(size_t a, size_t b)
{
    return ((a > b ? a : b) + 1) / 3;
}

/* May `b` be near enough? As many letters as the lengths differ by must be added or dropped at least. */
static bool is_near_in_length(size_t a, size_t b)
{
    size_t difference = a > b ? a - b : b - a;
    return b > 0 && b <= NEAREST_WORD_MAX && difference <= distance_max(a, b);
}

long px_str_nearest_of(struct px_str word, const struct px_str *first, size_t stride, size_t n)
{
    long best = -1;
    size_t best_distance = 0, steps = 0;
    if (word.len == 0 || word.len > NEAREST_WORD_MAX)
        return -1;
    for (size_t i = 0; i < n && steps < PX_NEAREST_STEPS_MAX; i++) {
        struct px_str c;
        memcpy(&c, (const char *)first + i * stride, sizeof c);
        if (!is_near_in_length(word.len, c.len))
            continue;
        size_t distance = edit_distance(word, c);
        steps += word.len * c.len;
        if (distance <= distance_max(word.len, c.len) && (best < 0 || distance < best_distance)) {
            best = (long)i;
            best_distance = distance;
        }
    }
    return best;
}

long px_str_nearest(struct px_str word, const struct px_str *candidates, size_t n)
{
    return px_str_nearest_of(word, candidates, sizeof *candidates, n);
}
