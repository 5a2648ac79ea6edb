/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/json_text.h"

const char *px_json_skip_plain(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    while (end - at >= 8) {
        uint64_t word, quote, backslash;
        memcpy(&word, at, 8);
        quote = word ^ (ones * '"');
        backslash = word ^ (ones * '\\');
        /* A byte's top bit appears in the sum for control bytes, zero bytes of the two differences,
         * and bytes that are not ASCII. A borrow can only add stops after a real one. */
        if (((word - ones * 0x20) | (quote - ones) | (backslash - ones) | word) & tops)
            break;
        at += 8;
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\')
        at++;
    return at;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four hex digits at `at`, or -1. */
static long read_hex4(const char *at, const char *end)
{
    long value = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* The character of the \u escape at *at, which moves past it; -1 with a reason when it is bad. */
static long read_unicode(const char **at, const char *end, const char **ret_reason)
{
    long high = read_hex4(*at + 2, end);
    if (high < 0) {
        *ret_reason = "expected four hex digits after \\u";
        return -1;
    }
    *at += 6;
    if (high < 0xD800 || high > 0xDFFF)
        return high;
    bool pair = high < 0xDC00 && end - *at >= 2 && (*at)[0] == '\\' && (*at)[1] == 'u';
    long low = pair ? read_hex4(*at + 2, end) : -1;
    if (low < 0xDC00 || low > 0xDFFF) {
        *ret_reason = "this \\u escape is half of a surrogate pair";
        return -1;
    }
    *at += 6;
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

static long read_escape(const char **at, const char *end, const char **ret_reason)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char c = (*at)[1];
    if (c == 'u')
        return read_unicode(at, end, ret_reason);
    const char *letter = c ? strchr(letters, c) : NULL;
    if (!letter) {
        *ret_reason = "unknown escape (known are \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX)";
        return -1;
    }
    *at += 2;
    return meanings[letter - letters];
}

/* Writes the UTF-8 of a character (at most 4 bytes) and returns how many. */
static size_t put_utf8(long c, char *out)
{
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    out[0] = (char)(marks[n] | c);
    return n;
}

const char *px_json_unescape(struct px_str text, char *out, size_t *ret_len,
                             const char **ret_reason)
{
    const char *at = text.ptr, *end = at + text.len;
    size_t n = 0;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((escape ? escape : end) - at);
        if (out)
            memcpy(out + n, at, plain);
        n += plain;
        at += plain;
        if (!escape)
            break;
        long c = read_escape(&at, end, ret_reason);
        if (c < 0)
            return escape;
        char bytes[4];
        size_t len = put_utf8(c, bytes);
        if (out)
            memcpy(out + n, bytes, len);
        n += len;
    }
    *ret_len = n;
    return NULL;
}
