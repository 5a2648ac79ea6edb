/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader. One pass, no tokens: every call looks at the next byte and takes exactly what it was asked
 * for. Between calls only three facts are kept: how deep we are, whether each level is an object, and
 * whether the innermost container has had an element (so that a comma is due).
 *
 *   1. `at` stands before a value, or after one, never inside.
 *   2. A failure moves `at` to `end`, so later reads find nothing; only the first one is recorded.
 *   3. Line and column are counted only when an error is reported, from the failing byte.
 *
 * The number arrays are the request path of a server: their loop makes no call per element (decimal.h
 * is inlined) and handles commas and white space in place. Strings are scanned eight bytes at a time,
 * and only one with escapes is copied. Rejected: a token array or tape (a second pass and memory in
 * proportion to the text), and SIMD classification (requests are small; model files are read once).
 */
#include "shared/json.h"

#include "shared/decimal.h"
#include "shared/json_text.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- failures ---- */

/* Enough of the text to recognise the place: printable, cut at 24 bytes or at a whole character. */
enum { EXCERPT_MAX = 24, GOT_MAX = 64 };

static void PX_PRINTF(3, 4)
    fail_at(struct px_json *json, const char *place, const char *format, ...)
{
    if (json->code != PX_OK)
        return;
    json->code = PX_E_INVALID;
    json->failed_at = place;
    json->at = json->end;
    va_list args;
    va_start(args, format);
    vsnprintf(json->reason, sizeof json->reason, format, args);
    va_end(args);
}

static bool ends_excerpt(char c, bool in_string)
{
    unsigned char byte = (unsigned char)c;
    if (byte < 0x20 || byte == 0x7F)
        return true;
    return in_string ? c == '"' : strchr(" ,:[]{}\"", c) != NULL;
}

/* The token at `at`, without its quotes. */
static struct px_str excerpt(const struct px_json *json, const char *at)
{
    bool in_string = *at == '"';
    at += in_string;
    size_t n = 0, left = (size_t)(json->end - at);
    while (n < left && n < EXCERPT_MAX && !ends_excerpt(at[n], in_string))
        n++;
    return px_str_n(at, px_str_utf8_prefix(px_str_n(at, n)));
}

static void describe(const struct px_json *json, const char *at, char out[GOT_MAX])
{
    if (at >= json->end) {
        snprintf(out, GOT_MAX, "the end of the text");
        return;
    }
    struct px_str token = excerpt(json, at);
    if (*at == '{')
        snprintf(out, GOT_MAX, "an object");
    else if (*at == '[')
        snprintf(out, GOT_MAX, "an array");
    else if (*at == '"')
        snprintf(out, GOT_MAX, "the string \"%.*s\"", PX_STR_ARG(token));
    else if (px_decimal_is_digit(*at) || *at == '-')
        snprintf(out, GOT_MAX, "the number %.*s", PX_STR_ARG(token));
    else if (token.len > 1)
        snprintf(out, GOT_MAX, "'%.*s'", PX_STR_ARG(token));
    else if (*at > 0x20 && *at < 0x7F)
        snprintf(out, GOT_MAX, "'%c'", *at);
    else
        snprintf(out, GOT_MAX, "the byte 0x%02x", (unsigned)(unsigned char)*at);
}

static void fail_expected(struct px_json *json, const char *at, const char *expected)
{
    char got[GOT_MAX];
    if (json->code != PX_OK)
        return;
    describe(json, at, got);
    fail_at(json, at, "expected %s, got %s", expected, got);
}

/* ---- scanning ---- */

static inline const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* Moves to the next value and returns its first byte; NUL (never valid) at the end of the text. */
static inline char next_byte(struct px_json *json)
{
    json->at = skip_space(json->at, json->end);
    return json->at < json->end ? *json->at : '\0';
}

static bool starts_with(const char *at, const char *end, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(end - at) >= n && memcmp(at, word, n) == 0;
}

static inline bool take_word(struct px_json *json, const char *word)
{
    if (!starts_with(json->at, json->end, word))
        return false;
    json->at += strlen(word);
    return true;
}

/* ---- strings ---- */

/* The raw text of the string at `at` (a quote), checked except for its escapes. */
static bool scan_string(struct px_json *json, struct px_str *ret, bool *ret_escapes)
{
    const char *start = json->at + 1, *end = json->end, *at = start;
    bool escapes = false, ascii = true;
    for (;;) {
        at = px_json_skip_plain(at, end);
        if (at == end) {
            fail_at(json, start - 1, "this string has no closing quote");
            return false;
        }
        unsigned char c = (unsigned char)*at;
        if (c == '"')
            break;
        if (c < 0x20) {
            fail_at(json, at, "the control byte 0x%02x in a string must be written as an escape",
                    c);
            return false;
        }
        escapes |= c == '\\';
        ascii &= c < 0x80;
        at += c == '\\' && at + 1 < end ? 2 : 1;
    }
    *ret = px_str_n(start, (size_t)(at - start));
    *ret_escapes = escapes;
    size_t valid = ascii ? ret->len : px_str_utf8_prefix(*ret);
    if (valid < ret->len)
        fail_at(json, start + valid, "this string is not valid UTF-8");
    else
        json->at = at + 1;
    return valid == ret->len;
}

static bool unescape(struct px_json *json, struct px_str text, char *out, size_t *ret_len)
{
    const char *reason, *fault = px_json_unescape(text, out, ret_len, &reason);
    if (fault)
        fail_at(json, fault, "%s", reason);
    return !fault;
}

static bool read_string(struct px_json *json, struct px_str *ret)
{
    struct px_str text;
    bool escapes;
    const char *start = json->at;
    if (!scan_string(json, &text, &escapes))
        return false;
    if (text.len > PX_JSON_STRING_MAX) {
        fail_at(json, start, "this string of %zu bytes is longer than %d", text.len,
                PX_JSON_STRING_MAX);
        return false;
    }
    *ret = text;
    if (!escapes)
        return true;
    char *copy = json->arena ? px_arena_alloc(json->arena, text.len, 1) : NULL;
    if (!copy) {
        fail_at(json, start, "no memory left for this string");
        json->code = json->arena ? px_arena_check(json->arena, "", NULL) : PX_E_TOO_LARGE;
        return false;
    }
    if (!unescape(json, text, copy, &ret->len))
        return false;
    ret->ptr = copy;
    return true;
}

static bool skip_string(struct px_json *json)
{
    struct px_str text;
    bool escapes;
    size_t len;
    return scan_string(json, &text, &escapes) && (!escapes || unescape(json, text, NULL, &len));
}

/* ---- structure ---- */

void px_json_init(struct px_json *json, struct px_str text, struct px_arena *arena, unsigned flags)
{
    const char *start = text.ptr ? text.ptr : "";
    json->at = json->start = start;
    json->end = start + text.len;
    json->arena = arena;
    json->flags = flags;
    json->depth = 0;
    json->first = true;
    json->in_object = 0;
    json->code = PX_OK;
    json->failed_at = NULL;
    json->reason[0] = '\0';
}

enum px_json_type px_json_peek(struct px_json *json)
{
    switch (next_byte(json)) {
    case '{':
        return PX_JSON_OBJECT;
    case '[':
        return PX_JSON_ARRAY;
    case '"':
        return PX_JSON_STRING;
    case 't':
    case 'f':
        return PX_JSON_BOOL;
    case 'n':
        return PX_JSON_NULL;
    case 'N':
    case 'I':
        if (json->flags & PX_JSON_NONFINITE)
            return PX_JSON_NUMBER;
        break;
    case '-':
        return PX_JSON_NUMBER;
    default:
        if (json->at < json->end && px_decimal_is_digit(*json->at))
            return PX_JSON_NUMBER;
        break;
    }
    if (json->at < json->end)
        fail_expected(json, json->at, "a value");
    return PX_JSON_NONE;
}

static bool enter(struct px_json *json, char bracket, const char *expected)
{
    if (next_byte(json) != bracket) {
        fail_expected(json, json->at, expected);
        return false;
    }
    if (json->depth == PX_JSON_DEPTH_MAX) {
        fail_at(json, json->at, "nested deeper than %d levels", PX_JSON_DEPTH_MAX);
        return false;
    }
    uint64_t bit = (uint64_t)1 << json->depth++;
    json->in_object = bracket == '{' ? json->in_object | bit : json->in_object & ~bit;
    json->first = true;
    json->at++;
    return true;
}

/* Takes the closing bracket. The container is an element of the one around it, so that has one now. */
static void leave(struct px_json *json)
{
    json->depth--;
    json->first = false;
    json->at++;
}

static bool innermost_is_object(const struct px_json *json)
{
    return json->depth > 0 && (json->in_object >> (json->depth - 1) & 1);
}

bool px_json_enter_object(struct px_json *json)
{
    return enter(json, '{', "an object");
}

/* px_json_next_key; `ret_key` may be NULL when the key is only passed over. */
static bool next_key(struct px_json *json, struct px_str *ret_key)
{
    if (json->code != PX_OK)
        return false;
    PX_ASSERT(innermost_is_object(json));
    char c = next_byte(json);
    if (c == '}') {
        leave(json);
        return false;
    }
    bool first = json->first;
    if (!first) {
        if (c != ',') {
            fail_expected(json, json->at, "',' or '}'");
            return false;
        }
        json->at++;
        c = next_byte(json);
    }
    if (c != '"') {
        fail_expected(json, json->at, first ? "a key in quotes or '}'" : "a key in quotes");
        return false;
    }
    json->first = false;
    if (!(ret_key ? read_string(json, ret_key) : skip_string(json)))
        return false;
    if (next_byte(json) != ':') {
        fail_expected(json, json->at, "':' after the key");
        return false;
    }
    json->at++;
    return true;
}

bool px_json_next_key(struct px_json *json, struct px_str *ret_key)
{
    return next_key(json, ret_key);
}

bool px_json_enter_array(struct px_json *json)
{
    return enter(json, '[', "an array");
}

bool px_json_next_element(struct px_json *json)
{
    if (json->code != PX_OK)
        return false;
    PX_ASSERT(json->depth > 0 && !innermost_is_object(json));
    char c = next_byte(json);
    if (c == ']') {
        leave(json);
        return false;
    }
    if (json->first) {
        json->first = false;
        return true;
    }
    if (c != ',') {
        fail_expected(json, json->at, "',' or ']'");
        return false;
    }
    json->at++;
    if (next_byte(json) == ']') {
        fail_expected(json, json->at, "a value after ','");
        return false;
    }
    return true;
}

/* ---- values ---- */

struct px_str px_json_str(struct px_json *json)
{
    struct px_str text = {0};
    if (next_byte(json) != '"')
        fail_expected(json, json->at, "a string");
    else if (!read_string(json, &text))
        text = (struct px_str){0};
    return text;
}

/* NaN, Infinity and -Infinity where the flag allows them; a failure for everything else. */
static float read_nonfinite(struct px_json *json)
{
    if (json->flags & PX_JSON_NONFINITE) {
        if (take_word(json, "NaN"))
            return __builtin_nanf("");
        if (take_word(json, "Infinity"))
            return __builtin_inff();
        if (take_word(json, "-Infinity"))
            return -__builtin_inff();
    }
    char c = json->at < json->end ? *json->at : '\0';
    if (c == '-' || px_decimal_is_digit(c))
        fail_at(json, json->at, "malformed number %.*s", PX_STR_ARG(excerpt(json, json->at)));
    else
        fail_expected(json, json->at, "a number");
    return 0;
}

static inline bool take_number(struct px_json *json, struct px_decimal *decimal)
{
    next_byte(json);
    const char *after = px_decimal_scan(json->at, json->end, PX_DECIMAL_JSON, decimal);
    if (PX_LIKELY(after != NULL))
        json->at = after;
    return after != NULL;
}

double px_json_f64(struct px_json *json)
{
    struct px_decimal decimal;
    return take_number(json, &decimal) ? px_decimal_to_f64(&decimal) : (double)read_nonfinite(json);
}

float px_json_f32(struct px_json *json)
{
    struct px_decimal decimal;
    return take_number(json, &decimal) ? px_decimal_to_f32(&decimal) : read_nonfinite(json);
}

/* The digits at `at`: an integer whose magnitude is at most `max`. */
static uint64_t read_integer(struct px_json *json, const char *at, uint64_t max)
{
    const char *digits = at;
    uint64_t value = 0;
    for (; at < json->end && px_decimal_is_digit(*at); at++)
        value = value * 10 + (uint64_t)(*at - '0');
    size_t n = (size_t)(at - digits);
    bool whole = n == 1 || (n > 1 && *digits != '0');
    if (!whole || (at < json->end && (*at == '.' || *at == 'e' || *at == 'E'))) {
        fail_expected(json, json->at, "an integer");
        return 0;
    }
    /* Up to 18 digits always fit. */
    if (n > 18 && !(px_str_to_u64(px_str_n(digits, n), &value) && value <= max)) {
        fail_expected(json, json->at, "an integer that fits 64 bits");
        return 0;
    }
    json->at = at;
    return value;
}

int64_t px_json_i64(struct px_json *json)
{
    bool negative = next_byte(json) == '-';
    uint64_t magnitude = read_integer(json, json->at + negative, (uint64_t)INT64_MAX + negative);
    return negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
}

uint64_t px_json_u64(struct px_json *json)
{
    if (next_byte(json) == '-') {
        fail_expected(json, json->at, "an integer that is not negative");
        return 0;
    }
    return read_integer(json, json->at, UINT64_MAX);
}

bool px_json_bool(struct px_json *json)
{
    next_byte(json);
    if (take_word(json, "true"))
        return true;
    if (!take_word(json, "false"))
        fail_expected(json, json->at, "true or false");
    return false;
}

bool px_json_null(struct px_json *json)
{
    return next_byte(json) == 'n' && take_word(json, "null");
}

/* Passes over the numbers that a just entered array starts with; stops before what is none. */
static void skip_numbers(struct px_json *json)
{
    const char *at = json->at, *end = json->end;
    struct px_decimal decimal;
    for (;;) {
        at = px_decimal_scan(skip_space(at, end), end, PX_DECIMAL_JSON, &decimal);
        if (!at)
            return;
        json->at = at;
        json->first = false;
        at = skip_space(at, end);
        if (at == end || *at != ',')
            return;
        at++;
    }
}

/* Recursion is bounded by PX_JSON_DEPTH_MAX. */
void px_json_skip(struct px_json *json)
{
    switch (px_json_peek(json)) {
    case PX_JSON_OBJECT:
        px_json_enter_object(json);
        while (next_key(json, NULL))
            px_json_skip(json);
        break;
    case PX_JSON_ARRAY:
        px_json_enter_array(json);
        skip_numbers(json);
        while (px_json_next_element(json))
            px_json_skip(json);
        break;
    case PX_JSON_STRING:
        (void)skip_string(json);
        break;
    case PX_JSON_NUMBER:
        (void)px_json_f32(json);
        break;
    case PX_JSON_BOOL:
        (void)px_json_bool(json);
        break;
    case PX_JSON_NULL:
        if (!px_json_null(json))
            fail_expected(json, json->at, "a value");
        break;
    case PX_JSON_NONE:
        fail_expected(json, json->at, "a value");
        break;
    }
}

struct px_str px_json_raw(struct px_json *json)
{
    next_byte(json);
    const char *start = json->at;
    px_json_skip(json);
    if (json->code != PX_OK)
        return (struct px_str){0};
    return px_str_n(start, (size_t)(json->at - start));
}

void px_json_fail(struct px_json *json, const char *format, ...)
{
    char reason[sizeof json->reason];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    fail_at(json, json->at, "%s", reason);
}

bool px_json_failed(const struct px_json *json)
{
    return json->code != PX_OK;
}

enum px_code px_json_check(const struct px_json *json, struct px_err *err)
{
    if (json->code == PX_OK)
        return PX_OK;
    size_t line = 1, column = 1;
    for (const char *at = json->start; at < json->failed_at; at++) {
        if (*at == '\n') {
            line++;
            column = 1;
        } else if ((*at & 0xC0) != 0x80) { /* the first byte of a character */
            column++;
        }
    }
    return px_err_set(err, json->code, "JSON line %zu column %zu: %s", line, column, json->reason);
}

enum px_code px_json_finish(struct px_json *json, struct px_err *err)
{
    next_byte(json);
    PX_ASSERT(json->code != PX_OK || json->depth == 0);
    if (json->at < json->end)
        fail_expected(json, json->at, "nothing after the value");
    return px_json_check(json, err);
}

/* ---- arrays of numbers ---- */

/*
 * After an element: closes the arrays that end here and takes the comma. Returns where the next element
 * must stand; NULL when the array entered at depth `outermost` is closed, or after a failure.
 */
static const char *next_number(struct px_json *json, const char *at, unsigned outermost)
{
    for (;;) {
        at = skip_space(at, json->end);
        if (at < json->end && *at == ',')
            return at + 1;
        if (at == json->end || *at != ']') {
            fail_expected(json, at, "',' or ']'");
            return NULL;
        }
        json->at = at++;
        leave(json);
        if (json->depth < outermost)
            return NULL;
    }
}

/* What is neither a digit nor a minus: null, a word for a number that is not finite, or a failure. */
static float read_word(struct px_json *json, bool null_is_nan)
{
    if (null_is_nan && take_word(json, "null"))
        return __builtin_nanf("");
    return read_nonfinite(json);
}

/* The element at `at` into out[n]; returns what follows it, or NULL after a failure. */
static PX_ALWAYS_INLINE const char *read_element(struct px_json *json, const char *at, void *out,
                                                 size_t n, bool wide)
{
    struct px_decimal decimal;
    const char *after = px_decimal_scan(at, json->end, PX_DECIMAL_JSON, &decimal);
    if (PX_UNLIKELY(!after))
        return NULL;
    if (wide)
        ((double *)out)[n] = px_decimal_to_f64(&decimal);
    else
        ((float *)out)[n] = px_decimal_to_f32(&decimal);
    return after;
}

static const char *read_odd_element(struct px_json *json, const char *at, void *out, size_t n,
                                    bool wide, bool null_is_nan)
{
    json->at = at;
    float value = read_word(json, null_is_nan);
    if (json->code != PX_OK)
        return NULL;
    if (wide)
        ((double *)out)[n] = (double)value;
    else
        ((float *)out)[n] = value;
    return json->at;
}

static PX_ALWAYS_INLINE size_t read_numbers(struct px_json *json, void *out, size_t max,
                                            bool null_is_nan, bool wide)
{
    if (!px_json_enter_array(json))
        return 0;
    unsigned outermost = json->depth;
    const char *at = json->at;
    size_t n = 0;
    bool empty = true; /* the innermost array has no element yet, so it may end */
    while (at) {
        at = skip_space(at, json->end);
        if (PX_UNLIKELY(at < json->end && *at == '[')) {
            json->at = at;
            if (!px_json_enter_array(json))
                return n;
            at = json->at;
            empty = true;
            continue;
        }
        if (!(empty && at < json->end && *at == ']')) {
            if (n == max) {
                fail_at(json, at, "more numbers than the %zu expected", max);
                return n;
            }
            const char *after = read_element(json, at, out, n, wide);
            at = PX_LIKELY(after != NULL) ? after
                                          : read_odd_element(json, at, out, n, wide, null_is_nan);
            if (!at)
                return n;
            n++;
        }
        empty = false;
        at = PX_LIKELY(at < json->end && *at == ',') ? at + 1 : next_number(json, at, outermost);
    }
    return n;
}

size_t px_json_f32_array(struct px_json *json, float *out, size_t max, bool null_is_nan)
{
    return read_numbers(json, out, max, null_is_nan, false);
}

size_t px_json_f64_array(struct px_json *json, double *out, size_t max, bool null_is_nan)
{
    return read_numbers(json, out, max, null_is_nan, true);
}
