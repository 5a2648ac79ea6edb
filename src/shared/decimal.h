/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner part of number parsing, for number.c and json.c only (others use number.h): splitting a
 * number's text into digits and exponent, and turning those into a float.
 *
 * It is a header because the JSON reader spends its time here: px_decimal_scan and the quick
 * conversions are inlined into its array loops, and only the rare hard number makes a call.
 */
#ifndef PX_SHARED_DECIMAL_H
#define PX_SHARED_DECIMAL_H

#include "shared/compiler.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The number (negative ? -1 : 1) * digits * 10^exponent; `text` when there are more digits than fit. */
struct px_decimal {
    uint64_t digits;
    int64_t exponent;
    bool negative;
    bool cut;               /* more than 19 significant digits: `digits` holds the first 19 */
    const char *text, *end; /* where the unsigned number stands */
};

enum { PX_DECIMAL_DIGITS_MAX = 19 }; /* significant digits that always fit 64 bits */

/* Grammars of px_decimal_scan. */
enum px_decimal_form { PX_DECIMAL_JSON, PX_DECIMAL_LENIENT };

/* The whole conversion, for every decimal. */
float px_decimal_to_f32_slow(const struct px_decimal *decimal);
double px_decimal_to_f64_slow(const struct px_decimal *decimal);

/* Reads the digits again and keeps the first 19 significant ones. */
void px_decimal_cut(struct px_decimal *decimal);

extern const double px_decimal_tens[23]; /* 10^0 to 10^22, exact in a double */

static inline bool px_decimal_is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "digits are read eight at a time");

/* Are the eight bytes of `word` all digits: high halves 3, and still 3 with 6 added? */
static inline bool px_decimal_all_digits(uint64_t word)
{
    uint64_t high = word & 0xF0F0F0F0F0F0F0F0u;
    uint64_t moved = (word + 0x0606060606060606u) & 0xF0F0F0F0F0F0F0F0u;
    return high == 0x3030303030303030u && moved == high;
}

/* Eight digits, the first in the lowest byte, joined to pairs, quads and one number. */
static inline uint64_t px_decimal_eight(uint64_t word)
{
    word &= 0x0F0F0F0F0F0F0F0Fu;
    word = (word * 10 + (word >> 8)) & 0x00FF00FF00FF00FFu;
    word = (word * 100 + (word >> 16)) & 0x0000FFFF0000FFFFu;
    return (word * 10000 + (word >> 32)) & 0xFFFFFFFFu;
}

/* Appends the digits at `at` to *digits (modulo 2^64 when there are too many). */
static inline const char *px_decimal_run(const char *at, const char *end, uint64_t *digits)
{
    uint64_t value = *digits, word;
    while (end - at >= 8) {
        memcpy(&word, at, 8);
        if (!px_decimal_all_digits(word))
            break;
        value = value * 100000000 + px_decimal_eight(word);
        at += 8;
    }
    while (at < end && px_decimal_is_digit(*at))
        value = value * 10 + (uint64_t)(*at++ - '0');
    *digits = value;
    return at;
}

/* The exponent after 'e'; NULL when it has no digits. Saturates far outside of any float's range. */
static inline const char *px_decimal_exponent(const char *at, const char *end, int64_t *exponent)
{
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end || !px_decimal_is_digit(*at))
        return NULL;
    int64_t value = 0;
    for (; at < end && px_decimal_is_digit(*at); at++) {
        if (value < INT32_MAX)
            value = value * 10 + (*at - '0');
    }
    *exponent += negative ? -value : value;
    return at;
}

/*
 * Splits the number at `at`; returns the byte after it, or NULL when it does not follow the grammar.
 * The JSON form is RFC 8259's. The lenient form also takes '+', leading zeros, ".5" and "5.".
 */
static inline const char *px_decimal_scan(const char *at, const char *end,
                                          enum px_decimal_form form, struct px_decimal *ret)
{
    bool lenient = form == PX_DECIMAL_LENIENT;
    ret->negative = at < end && *at == '-';
    if (ret->negative || (lenient && at < end && *at == '+'))
        at++;
    const char *whole = at;
    uint64_t digits = 0;
    at = px_decimal_run(at, end, &digits);
    ptrdiff_t count = at - whole;
    if (!lenient && PX_UNLIKELY(count == 0 || (count > 1 && *whole == '0')))
        return NULL;
    int64_t exponent = 0;
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        at = px_decimal_run(at, end, &digits);
        exponent = fraction - at;
        count += at - fraction;
        if (exponent == 0 && !lenient)
            return NULL;
    }
    if (count == 0)
        return NULL;
    ret->text = whole;
    ret->end = at;
    ret->digits = digits;
    ret->cut = false;
    if (at < end && (*at | 0x20) == 'e')
        at = px_decimal_exponent(at + 1, end, &exponent);
    ret->exponent = exponent;
    if (PX_UNLIKELY(count > PX_DECIMAL_DIGITS_MAX) && at)
        px_decimal_cut(ret);
    return at;
}

/*
 * Clinger's quick path: with digits and power of ten both exact doubles, one operation rounds once.
 * The callers check -22 <= exponent <= 22 and digits <= 2^53.
 */
static inline double px_decimal_quick(const struct px_decimal *d)
{
    double value = (double)d->digits;
    return d->exponent < 0 ? value / px_decimal_tens[-d->exponent]
                           : value * px_decimal_tens[d->exponent];
}

static inline bool px_decimal_is_quick(const struct px_decimal *d)
{
    return PX_LIKELY(d->digits <= (uint64_t)1 << 53 && (uint64_t)(d->exponent + 22) <= 44 &&
                     !d->cut);
}

static inline double px_decimal_to_f64(const struct px_decimal *decimal)
{
    if (!px_decimal_is_quick(decimal))
        return px_decimal_to_f64_slow(decimal);
    double value = px_decimal_quick(decimal);
    return decimal->negative ? -value : value;
}

/*
 * A float by way of the quick double. Rounding twice is wrong only if the first rounding lands exactly
 * half-way between two floats; then the low 29 bits read 1 0...0, and the slow path decides. All quick
 * values but zero lie within the normal floats (1e-22 to 9.1e37).
 */
static inline float px_decimal_to_f32(const struct px_decimal *decimal)
{
    if (px_decimal_is_quick(decimal)) {
        double value = px_decimal_quick(decimal);
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (PX_LIKELY((bits & 0x1FFFFFFF) != 0x10000000))
            return (float)(decimal->negative ? -value : value);
    }
    return px_decimal_to_f32_slow(decimal);
}

#endif
