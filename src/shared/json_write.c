/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/json.h"
#include "shared/json_text.h"
#include "shared/number.h"

static void put_comma(struct px_json_writer *w)
{
    if (w->comma)
        px_buf_byte(w->buf, ',');
}

static void put_value(struct px_json_writer *w, const char *text, size_t len)
{
    put_comma(w);
    px_buf_append(w->buf, text, len);
    w->comma = true;
}

static void put_escape(struct px_buf *buf, unsigned char c)
{
    static const char letters[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt",
                      hex[] = "0123456789abcdef";
    const char *letter = c ? strchr(letters, c) : NULL;
    px_buf_byte(buf, '\\');
    if (letter) {
        px_buf_byte(buf, names[letter - letters]);
        return;
    }
    px_buf_text(buf, "u00");
    px_buf_byte(buf, hex[c >> 4]);
    px_buf_byte(buf, hex[c & 15]);
}

/* The text in quotes. Plain runs and well-formed characters are copied in one piece. */
static void put_quoted(struct px_buf *buf, struct px_str text)
{
    const char *at = text.ptr, *end = text.len ? at + text.len : at;
    px_buf_byte(buf, '"');
    while (at < end) {
        const char *stop = px_json_skip_plain(at, end);
        px_buf_append(buf, at, (size_t)(stop - at));
        at = stop;
        if (at == end)
            break;
        if ((unsigned char)*at < 0x80) {
            put_escape(buf, (unsigned char)*at++);
            continue;
        }
        size_t valid = px_str_utf8_char(px_str_n(at, (size_t)(end - at)));
        if (valid)
            px_buf_append(buf, at, valid);
        else
            px_buf_text(buf, "\xEF\xBF\xBD");
        at += valid ? valid : 1;
    }
    px_buf_byte(buf, '"');
}

void px_json_begin_object(struct px_json_writer *w)
{
    put_value(w, "{", 1);
    w->comma = false;
}

void px_json_end_object(struct px_json_writer *w)
{
    px_buf_byte(w->buf, '}');
    w->comma = true;
}

void px_json_begin_array(struct px_json_writer *w)
{
    put_value(w, "[", 1);
    w->comma = false;
}

void px_json_end_array(struct px_json_writer *w)
{
    px_buf_byte(w->buf, ']');
    w->comma = true;
}

void px_json_key(struct px_json_writer *w, const char *key)
{
    px_json_key_str(w, px_str(key));
}

void px_json_key_str(struct px_json_writer *w, struct px_str key)
{
    put_comma(w);
    put_quoted(w->buf, key);
    px_buf_byte(w->buf, ':');
    w->comma = false;
}

void px_json_put_str(struct px_json_writer *w, struct px_str value)
{
    put_comma(w);
    put_quoted(w->buf, value);
    w->comma = true;
}

void px_json_put_text(struct px_json_writer *w, const char *value)
{
    px_json_put_str(w, px_str(value));
}

void px_json_put_i64(struct px_json_writer *w, int64_t value)
{
    put_comma(w);
    if (value < 0)
        px_buf_byte(w->buf, '-');
    px_buf_u64(w->buf, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    w->comma = true;
}

void px_json_put_u64(struct px_json_writer *w, uint64_t value)
{
    put_comma(w);
    px_buf_u64(w->buf, value);
    w->comma = true;
}

void px_json_put_bool(struct px_json_writer *w, bool value)
{
    put_value(w, value ? "true" : "false", value ? 4 : 5);
}

void px_json_put_null(struct px_json_writer *w)
{
    put_value(w, "null", 4);
}

void px_json_put_f64(struct px_json_writer *w, double value, bool nonfinite)
{
    char text[PX_NUMBER_TEXT_MAX];
    if (nonfinite || value - value == 0) /* a difference of NaN: value is not finite */
        put_value(w, text, px_number_print_f64(value, text));
    else
        px_json_put_null(w);
}

void px_json_put_f32(struct px_json_writer *w, float value, bool nonfinite)
{
    char text[PX_NUMBER_TEXT_MAX];
    if (nonfinite || value - value == 0)
        put_value(w, text, px_number_print_f32(value, text));
    else
        px_json_put_null(w);
}

void px_json_put_raw(struct px_json_writer *w, struct px_str json)
{
    put_value(w, json.ptr, json.len);
}

void px_json_member_str(struct px_json_writer *w, const char *key, struct px_str value)
{
    px_json_key(w, key);
    px_json_put_str(w, value);
}

void px_json_member_text(struct px_json_writer *w, const char *key, const char *value)
{
    px_json_member_str(w, key, px_str(value));
}

void px_json_member_u64(struct px_json_writer *w, const char *key, uint64_t value)
{
    px_json_key(w, key);
    px_json_put_u64(w, value);
}

void px_json_member_f64(struct px_json_writer *w, const char *key, double value)
{
    px_json_key(w, key);
    px_json_put_f64(w, value, false);
}

void px_json_member_bool(struct px_json_writer *w, const char *key, bool value)
{
    px_json_key(w, key);
    px_json_put_bool(w, value);
}

void px_json_member_strs(struct px_json_writer *w, const char *key, const struct px_str *values,
                         size_t n)
{
    px_json_key(w, key);
    px_json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        px_json_put_str(w, values[i]);
    px_json_end_array(w);
}
