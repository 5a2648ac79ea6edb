/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parsing. The text is split into at most 19 digits w and an exponent q (decimal.h). Small ones take
 * Clinger's quick path. The others multiply w by the 128 leading bits of 5^q; the product's top bits
 * are the rounded mantissa (Lemire, "Number parsing at a gigabyte per second", 2021; that the product
 * always suffices: Mushtak, Lemire, "Fast number parsing without fallback", 2022). More than 19 digits:
 * w and w + 1 bracket the number; when they round alike that is the result, otherwise strtod decides.
 * strtod is given digits and exponent only, no decimal point, so the locale cannot matter.
 *
 * Printing. Schubfach (Giulietti, "The Schubfach way to render doubles", 2020): scale the value and the
 * two ends of its rounding interval by one power of ten, kept to odd, and pick the shortest decimal
 * inside. The same code serves both types; a float only needs the upper half of the power.
 *
 * Both directions share one table of powers. Rejected: printf with 9 or 17 digits (long, slow) and
 * trying 1, 2, 3... digits until one parses back (slower still).
 */
#include "shared/number.h"

#include "shared/decimal.h"

#include <stdio.h>
#include <stdlib.h>

enum { SMALLEST_POWER = -342, LARGEST_POWER = 324 };

static const struct power {
    uint64_t high, low;
} powers_of_five[] = {
#include "shared/powers_of_five.def"
};

_Static_assert(PX_ARRAY_LEN(powers_of_five) == LARGEST_POWER - SMALLEST_POWER + 1, "table size");

const double px_decimal_tens[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ---- parsing ---- */

struct format {
    int mantissa_bits; /* stored, without the leading one */
    int bias;
    int infinite;                  /* exponent field of infinity */
    int smallest_ten, largest_ten; /* beyond these every 64-bit w gives zero or infinity */
    int smallest_tie, largest_tie; /* where w * 10^q can be half-way between two values */
};

static const struct format f32_format = {23, 127, 255, -64, 38, -17, 10};
static const struct format f64_format = {52, 1023, 2047, -342, 308, -4, 23};

__extension__ typedef unsigned __int128 uint128;

struct product {
    uint64_t high, low;
};

static struct product multiply(uint64_t a, uint64_t b)
{
    uint128 product = (uint128)a * b;
    return (struct product){(uint64_t)(product >> 64), (uint64_t)product};
}

/* floor(q * log2(10)) for |q| < 400. */
static int log2_of_ten(int q)
{
    return (217706 * q) >> 16;
}

/* The leading bits of w * 5^q: `precision` of them are right, and the rest errs downwards only. */
static struct product scale(uint64_t w, int q, int precision)
{
    const struct power *power = &powers_of_five[q - SMALLEST_POWER];
    struct product product = multiply(w, power->high);
    uint64_t undecided = UINT64_MAX >> precision;
    if ((product.high & undecided) == undecided) {
        /* A carry from the lower half of the power could reach the bits that count. */
        struct product more = multiply(w, power->low);
        product.low += more.high;
        product.high += product.low < more.high;
    }
    return product;
}

/* Rounds to even a mantissa with one extra bit. */
static uint64_t round_half_up(uint64_t mantissa)
{
    return (mantissa + (mantissa & 1)) >> 1;
}

/* The bits (without sign) of the value nearest to digits * 10^exponent. */
static uint64_t nearest(uint64_t digits, int64_t exponent, const struct format *format)
{
    uint64_t infinity = (uint64_t)format->infinite << format->mantissa_bits;
    if (digits == 0 || exponent < format->smallest_ten)
        return 0;
    if (exponent > format->largest_ten)
        return infinity;
    int q = (int)exponent, zeros = __builtin_clzll(digits);
    struct product product = scale(digits << zeros, q, format->mantissa_bits + 3);
    int top = (int)(product.high >> 63);
    int shift = top + 64 - format->mantissa_bits - 3;
    uint64_t mantissa = product.high >> shift;
    int power = log2_of_ten(q) + 63 + top - zeros + format->bias;
    if (power <= 0) { /* subnormal, or the smallest normal after rounding, whose bits follow on */
        if (1 - power >= 64)
            return 0;
        return round_half_up(mantissa >> (1 - power));
    }
    bool tie = product.low <= 1 && q >= format->smallest_tie && q <= format->largest_tie &&
               (mantissa & 3) == 1 && mantissa << shift == product.high;
    mantissa = tie ? mantissa >> 1 : round_half_up(mantissa);
    /* The leading one adds itself to the exponent, as does a carry out of the mantissa. */
    uint64_t bits = ((uint64_t)(power - 1) << format->mantissa_bits) + mantissa;
    return bits < infinity ? bits : infinity;
}

void px_decimal_cut(struct px_decimal *decimal)
{
    uint64_t digits = 0;
    int kept = 0;
    for (const char *at = decimal->text; at < decimal->end; at++) {
        if (*at == '.' || (kept == 0 && *at == '0'))
            continue;
        if (kept < PX_DECIMAL_DIGITS_MAX) {
            digits = digits * 10 + (uint64_t)(*at - '0');
            kept++;
        } else {
            decimal->exponent++;
            decimal->cut = true;
        }
    }
    decimal->digits = digits;
}

/*
 * The significant digits of a long number and its exponent, as text for strtod. Half-way points between
 * doubles have at most 767 digits; of what follows, only whether it is all zeros matters.
 */
enum { EXACT_DIGITS = 780, EXACT_TEXT_MAX = EXACT_DIGITS + 40 };

static void write_exact(const struct px_decimal *decimal, char *out)
{
    size_t n = 0;
    bool more = false;
    for (const char *at = decimal->text; at < decimal->end; at++) {
        if (*at == '.' || (n == 0 && *at == '0'))
            continue;
        if (n < EXACT_DIGITS)
            out[n++] = *at;
        else
            more |= *at != '0';
    }
    int64_t exponent = decimal->exponent + PX_DECIMAL_DIGITS_MAX - (int64_t)n;
    if (more) {
        out[n++] = '1';
        exponent--;
    }
    snprintf(out + n, EXACT_TEXT_MAX - n, "e%lld", (long long)exponent);
}

float px_decimal_to_f32_slow(const struct px_decimal *decimal)
{
    uint64_t bits = nearest(decimal->digits, decimal->exponent, &f32_format);
    float value;
    if (decimal->cut && bits != nearest(decimal->digits + 1, decimal->exponent, &f32_format)) {
        char text[EXACT_TEXT_MAX];
        write_exact(decimal, text);
        value = strtof(text, NULL);
    } else {
        uint32_t narrow = (uint32_t)bits;
        memcpy(&value, &narrow, sizeof value);
    }
    return decimal->negative ? -value : value;
}

double px_decimal_to_f64_slow(const struct px_decimal *decimal)
{
    uint64_t bits = nearest(decimal->digits, decimal->exponent, &f64_format);
    double value;
    if (decimal->cut && bits != nearest(decimal->digits + 1, decimal->exponent, &f64_format)) {
        char text[EXACT_TEXT_MAX];
        write_exact(decimal, text);
        value = strtod(text, NULL);
    } else {
        memcpy(&value, &bits, sizeof value);
    }
    return decimal->negative ? -value : value;
}

const char *px_number_parse_f32(const char *at, const char *end, float *ret)
{
    struct px_decimal decimal;
    at = px_decimal_scan(at, end, PX_DECIMAL_JSON, &decimal);
    if (at)
        *ret = px_decimal_to_f32(&decimal);
    return at;
}

const char *px_number_parse_f64(const char *at, const char *end, double *ret)
{
    struct px_decimal decimal;
    at = px_decimal_scan(at, end, PX_DECIMAL_JSON, &decimal);
    if (at)
        *ret = px_decimal_to_f64(&decimal);
    return at;
}

/* nan, inf and infinity in any case, with or without a sign. */
static bool parse_word(struct px_str s, float *ret)
{
    bool negative = s.len && s.ptr[0] == '-';
    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
        s = px_str_n(s.ptr + 1, s.len - 1);
    float value;
    if (px_str_eq_nocase(s, px_str("nan")))
        value = __builtin_nanf("");
    else if (px_str_eq_nocase(s, px_str("inf")) || px_str_eq_nocase(s, px_str("infinity")))
        value = __builtin_inff();
    else
        return false;
    *ret = negative ? -value : value;
    return true;
}

bool px_str_to_f32(struct px_str s, float *ret)
{
    struct px_decimal decimal;
    if (s.len == 0)
        return false;
    const char *end = s.ptr + s.len;
    if (px_decimal_scan(s.ptr, end, PX_DECIMAL_LENIENT, &decimal) != end)
        return parse_word(s, ret);
    *ret = px_decimal_to_f32(&decimal);
    return true;
}

bool px_str_to_f64(struct px_str s, double *ret)
{
    struct px_decimal decimal;
    if (s.len == 0)
        return false;
    const char *end = s.ptr + s.len;
    if (px_decimal_scan(s.ptr, end, PX_DECIMAL_LENIENT, &decimal) != end) {
        float word;
        if (!parse_word(s, &word))
            return false;
        *ret = (double)word;
        return true;
    }
    *ret = px_decimal_to_f64(&decimal);
    return true;
}

/* ---- printing ---- */

/* digits * 10^exponent */
struct shortest {
    uint64_t digits;
    int exponent;
};

/* 10^q to 128 bits, rounded up unless it is exact. */
static struct power ceiling_power(int q)
{
    struct power power = powers_of_five[q - SMALLEST_POWER];
    power.low +=
        q < -27 || q > 55; /* the table has -27 to -1 rounded up; 5^55 is the last exact one */
    return power;
}

/* floor(power * c / 2^128), with the last bit set when something was cut off (round to odd). */
static uint64_t scale_to_odd_f64(struct power power, uint64_t c)
{
    struct product low = multiply(power.low, c), high = multiply(power.high, c);
    uint64_t middle = high.low + low.high;
    high.high += middle < high.low;
    return high.high | (middle > 1);
}

static uint64_t scale_to_odd_f32(struct power power, uint64_t c)
{
    struct product product = multiply(power.high + (power.low != 0), c);
    return product.high | ((product.low >> 32) > 1);
}

/*
 * The shortest decimal that rounds to c * 2^q, and of those the nearest. `closer`: the lower neighbour is
 * half as far away, because the value is a power of two. Everything is in quarters of a unit.
 */
static struct shortest find_shortest(uint64_t c, int q, bool closer, bool wide)
{
    uint64_t (*scale_to_odd)(struct power, uint64_t) = wide ? scale_to_odd_f64 : scale_to_odd_f32;
    int k = (q * 1262611 - (closer ? 524031 : 0)) >> 22; /* floor(log10 of the interval's width) */
    int h = q + ((-k * 1741647) >> 19) + 1;
    struct power power = ceiling_power(-k);
    uint64_t odd = c & 1; /* an odd mantissa loses ties, so the ends do not belong to it */
    uint64_t value = scale_to_odd(power, 4 * c << h);
    uint64_t lower = scale_to_odd(power, (4 * c - 2 + closer) << h) + odd;
    uint64_t upper = scale_to_odd(power, (4 * c + 2) << h) - odd;
    uint64_t s = value / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool below = lower <= 40 * tens, above = 40 * tens + 40 <= upper;
        if (below != above)
            return (struct shortest){tens + above, k + 1};
    }
    bool below = lower <= 4 * s, above = 4 * s + 4 <= upper;
    if (below != above)
        return (struct shortest){s + above, k};
    uint64_t middle = 4 * s + 2;
    bool up = value > middle || (value == middle && (s & 1));
    return (struct shortest){s + up, k};
}

static size_t print_digits(uint64_t value, char *out)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

static size_t print_whole(uint64_t value, char *out)
{
    size_t n = print_digits(value, out);
    out[n] = '.';
    out[n + 1] = '0';
    return n + 2;
}

/* d.ddde-07 */
static size_t print_scientific(char *out, size_t n, int point)
{
    if (n > 1) {
        memmove(out + 2, out + 1, n - 1);
        out[1] = '.';
        n++;
    }
    int exponent = point - 1;
    unsigned magnitude = (unsigned)(exponent < 0 ? -exponent : exponent);
    out[n++] = 'e';
    out[n++] = exponent < 0 ? '-' : '+';
    if (magnitude < 10)
        out[n++] = '0';
    return n + print_digits(magnitude, out + n);
}

/* Places the decimal point: plain from 0.0001 to below 10^16, else with an exponent. */
static size_t print_shortest(struct shortest number, char *out)
{
    while (number.digits % 10 == 0) {
        number.digits /= 10;
        number.exponent++;
    }
    size_t n = print_digits(number.digits, out);
    int point = (int)n + number.exponent; /* digits before the decimal point */
    if (point <= -4 || point > 16)
        return print_scientific(out, n, point);
    if (point <= 0) {
        size_t shift = (size_t)(2 - point);
        memmove(out + shift, out, n);
        memset(out, '0', shift);
        out[1] = '.';
        return n + shift;
    }
    if ((size_t)point < n) {
        memmove(out + point + 1, out + point, n - (size_t)point);
        out[point] = '.';
        return n + 1;
    }
    memset(out + n, '0', (size_t)point - n);
    memcpy(out + point, ".0", 2);
    return (size_t)point + 2;
}

static size_t print_nonfinite(bool nan, bool negative, char *out)
{
    const char *word = nan ? "NaN" : negative ? "-Infinity" : "Infinity";
    size_t n = strlen(word);
    memcpy(out, word, n);
    return n;
}

size_t px_number_print_f32(float value, char *out)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t mantissa = bits & 0x7FFFFF, exponent = bits >> 23 & 0xFF;
    bool negative = bits >> 31;
    if (exponent == 0xFF)
        return print_nonfinite(mantissa != 0, negative, out);
    float magnitude = negative ? -value : value;
    size_t sign = negative;
    out[0] = '-';
    if (magnitude < 0x1p24F && magnitude == (float)(uint32_t)magnitude)
        return sign + print_whole((uint32_t)magnitude, out + sign);
    bool normal = exponent != 0;
    struct shortest number =
        find_shortest(mantissa | (uint32_t)normal << 23, (int)exponent + !normal - 150,
                      mantissa == 0 && exponent > 1, false);
    return sign + print_shortest(number, out + sign);
}

size_t px_number_print_f64(double value, char *out)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t mantissa = bits & 0xFFFFFFFFFFFFF, exponent = bits >> 52 & 0x7FF;
    bool negative = bits >> 63;
    if (exponent == 0x7FF)
        return print_nonfinite(mantissa != 0, negative, out);
    double magnitude = negative ? -value : value;
    size_t sign = negative;
    out[0] = '-';
    if (magnitude < 0x1p53 && magnitude == (double)(uint64_t)magnitude)
        return sign + print_whole((uint64_t)magnitude, out + sign);
    bool normal = exponent != 0;
    struct shortest number =
        find_shortest(mantissa | (uint64_t)normal << 52, (int)exponent + !normal - 1075,
                      mantissa == 0 && exponent > 1, true);
    return sign + print_shortest(number, out + sign);
}
