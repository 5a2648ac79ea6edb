/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base64.h"

enum { NOT_A_DIGIT = 64 };

static unsigned digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : NOT_A_DIGIT;
}

/* How many '=' end the text: 0 to 2. */
static size_t padding_of(struct px_str text)
{
    size_t n = 0;
    while (n < 2 && n < text.len && text.ptr[text.len - 1 - n] == '=')
        n++;
    return n;
}

enum px_code px_base64_decode(struct px_str text, char *out, size_t *ret_len, struct px_err *err)
{
    if (text.len % 4 != 0)
        return px_err_set(err, PX_E_INVALID, "base64: expected a multiple of 4 characters, got %zu",
                          text.len);
    size_t n_digits = text.len - padding_of(text), n = 0;
    unsigned bits = 0, n_bits = 0;
    for (size_t i = 0; i < n_digits; i++) {
        unsigned digit = digit_of(text.ptr[i]);
        if (digit == NOT_A_DIGIT)
            return px_err_set(err, PX_E_INVALID, "base64: byte 0x%02X at %zu is no digit of it",
                              (unsigned)(unsigned char)text.ptr[i], i);
        bits = bits << 6 | digit;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (char)(bits >> n_bits & 0xFF);
        }
    }
    if (bits & ((1u << n_bits) - 1))
        return px_err_set(err, PX_E_INVALID, "base64: the last digit has bits that mean nothing");
    *ret_len = n;
    return PX_OK;
}
