/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/protobuf.h"
#include "shared/bits.h"

uint64_t px_protobuf_varint(struct px_cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = px_cursor_u8(cursor);
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            return value;
    }
    cursor->failed = true;
    return 0;
}

static struct px_str read_bytes(struct px_cursor *cursor)
{
    uint64_t len = px_protobuf_varint(cursor);
    if (len > px_cursor_left(cursor))
        cursor->failed = true;
    const unsigned char *at = px_cursor_take(cursor, (size_t)len);
    return at ? px_str_n((const char *)at, (size_t)len) : (struct px_str)PX_STR("");
}

bool px_protobuf_next(struct px_protobuf *p, struct px_protobuf_field *ret)
{
    struct px_cursor *cursor = &p->cursor;
    if (cursor->failed || px_cursor_left(cursor) == 0)
        return false;
    uint64_t tag = px_protobuf_varint(cursor);
    *ret = (struct px_protobuf_field){.number = (uint32_t)(tag >> 3), .bytes = PX_STR("")};
    unsigned wire = (unsigned)(tag & 7);
    if (tag >> 3 == 0 || tag >> 32)
        cursor->failed = true;
    else if (wire == PX_PROTOBUF_VARINT)
        ret->value = px_protobuf_varint(cursor);
    else if (wire == PX_PROTOBUF_FIXED64)
        ret->value = px_cursor_le(cursor, 8);
    else if (wire == PX_PROTOBUF_BYTES)
        ret->bytes = read_bytes(cursor);
    else if (wire == PX_PROTOBUF_FIXED32)
        ret->value = px_cursor_le(cursor, 4);
    else
        cursor->failed = true;
    ret->wire = (enum px_protobuf_wire)wire;
    return !cursor->failed;
}

enum px_code px_protobuf_check(const struct px_protobuf *p, const char *message, struct px_err *err)
{
    if (!p->cursor.failed)
        return PX_OK;
    return px_err_set(err, PX_E_CORRUPT,
                      "%s: malformed or cut off, %zu bytes before the end of the message", message,
                      px_cursor_left(&p->cursor));
}

int64_t px_protobuf_i64(const struct px_protobuf_field *field)
{
    int64_t value;
    memcpy(&value, &field->value, sizeof value);
    return value;
}

float px_protobuf_f32(const struct px_protobuf_field *field)
{
    return px_f32_of_bits((uint32_t)field->value);
}

double px_protobuf_f64(const struct px_protobuf_field *field)
{
    return px_f64_of_bits(field->value);
}

/* ---- writing ---- */

size_t px_protobuf_varint_size(uint64_t value)
{
    size_t n = 1;
    for (; value >= 0x80; value >>= 7)
        n++;
    return n;
}

static size_t encode_varint(char *out, uint64_t value)
{
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        out[n++] = (char)(value | 0x80);
    out[n++] = (char)value;
    return n;
}

static void put_varint(struct px_buf *buf, uint64_t value)
{
    char bytes[PX_PROTOBUF_VARINT_MAX];
    px_buf_append(buf, bytes, encode_varint(bytes, value));
}

static void put_tag(struct px_buf *buf, uint32_t number, enum px_protobuf_wire wire)
{
    put_varint(buf, (uint64_t)number << 3 | wire);
}

void px_protobuf_put_u64(struct px_buf *buf, uint32_t number, uint64_t value)
{
    put_tag(buf, number, PX_PROTOBUF_VARINT);
    put_varint(buf, value);
}

void px_protobuf_put_i64(struct px_buf *buf, uint32_t number, int64_t value)
{
    px_protobuf_put_u64(buf, number, (uint64_t)value);
}

void px_protobuf_put_bool(struct px_buf *buf, uint32_t number, bool value)
{
    px_protobuf_put_u64(buf, number, value);
}

void px_protobuf_put_header(struct px_buf *buf, uint32_t number, size_t len)
{
    put_tag(buf, number, PX_PROTOBUF_BYTES);
    put_varint(buf, len);
}

void px_protobuf_put_bytes(struct px_buf *buf, uint32_t number, struct px_str bytes)
{
    px_protobuf_put_header(buf, number, bytes.len);
    px_buf_str(buf, bytes);
}

void px_protobuf_put_text(struct px_buf *buf, uint32_t number, const char *text)
{
    px_protobuf_put_bytes(buf, number, px_str(text));
}

void px_protobuf_put_packed(struct px_buf *buf, uint32_t number, const int64_t *values, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += px_protobuf_varint_size((uint64_t)values[i]);
    px_protobuf_put_header(buf, number, len);
    for (size_t i = 0; i < n; i++)
        put_varint(buf, (uint64_t)values[i]);
}

size_t px_protobuf_begin(struct px_buf *buf, uint32_t number)
{
    put_tag(buf, number, PX_PROTOBUF_BYTES);
    px_buf_byte(buf, 0);
    return buf->len;
}

void px_protobuf_end(struct px_buf *buf, size_t mark)
{
    char length[PX_PROTOBUF_VARINT_MAX];
    if (buf->failed)
        return;
    size_t len = buf->len - mark, n = encode_varint(length, len);
    if (n > 1) {
        if (!px_buf_reserve(buf, n - 1))
            return;
        memmove(buf->ptr + mark + n - 1, buf->ptr + mark, len);
        buf->len += n - 1;
        buf->ptr[buf->len] = '\0';
    }
    memcpy(buf->ptr + mark - 1, length, n);
}
