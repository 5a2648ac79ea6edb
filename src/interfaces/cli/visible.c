/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/visible.h"

/* Does a terminal obey the well-formed character? C0, DEL, and C1 (U+0080 to U+009F, written C2 80 to C2 9F). */
static bool is_control(const unsigned char *at, size_t n)
{
    if (n == 1)
        return at[0] < 0x20 || at[0] == 0x7F;
    return n == 2 && at[0] == 0xC2 && at[1] < 0xA0;
}

static void print_escaped(FILE *out, unsigned char byte)
{
    if (byte == '\n')
        fputs("\\n", out);
    else if (byte == '\r')
        fputs("\\r", out);
    else if (byte == '\t')
        fputs("\\t", out);
    else
        fprintf(out, "\\x%02X", byte);
}

void px_print_visible(FILE *out, struct px_str text)
{
    while (text.len) {
        const unsigned char *at = (const unsigned char *)text.ptr;
        size_t n = px_str_utf8_char(text);
        bool shown = n && !is_control(at, n);
        n = n ? n : 1;
        if (shown)
            fwrite(text.ptr, 1, n, out);
        for (size_t i = 0; !shown && i < n; i++)
            print_escaped(out, at[i]);
        text = px_str_n(text.ptr + n, text.len - n);
    }
}

void px_print_json(FILE *out, struct px_str json)
{
    bool in_text = false;
    size_t from = 1;
    for (size_t i = 1; i + 1 < json.len; i++) {
        bool is_quote = json.ptr[i] == '"' && json.ptr[i - 1] != '\\';
        bool is_end = !in_text && (json.ptr[i] == ',' || json.ptr[i] == ':');
        in_text ^= is_quote;
        if (!is_quote && !is_end && i + 2 < json.len)
            continue;
        px_print_visible(out, px_str_n(json.ptr + from, i - from + !is_quote));
        if (is_end)
            fputc(' ', out);
        from = i + 1;
    }
}
