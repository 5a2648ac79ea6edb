/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/forest/readers/onnx/protobuf.h"

#include "domain/forest/ir.h"

#include <inttypes.h>

static uint64_t read_varint(struct px_cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = px_cursor_u8(cursor);
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            return value;
    }
    cursor->failed = true;
    return 0;
}

static struct px_str read_bytes(struct px_cursor *cursor)
{
    uint64_t len = read_varint(cursor);
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
    uint64_t tag = read_varint(cursor);
    *ret = (struct px_protobuf_field){.number = (uint32_t)(tag >> 3), .bytes = PX_STR("")};
    unsigned wire = (unsigned)(tag & 7);
    if (tag >> 3 == 0 || tag >> 32)
        cursor->failed = true;
    else if (wire == PX_PROTOBUF_VARINT)
        ret->value = read_varint(cursor);
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

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float px_protobuf_f32(const struct px_protobuf_field *field)
{
    return float_of((uint32_t)field->value);
}

static enum px_code bad_wire(const struct px_protobuf_field *field, const char *expected,
                             struct px_err *err)
{
    return px_err_set(err, PX_E_CORRUPT,
                      "protobuf field %" PRIu32 ": expected %s, got wire type %d or a cut-off list",
                      field->number, expected, (int)field->wire);
}

static bool push_int(struct px_ints *ret, uint64_t bits)
{
    int64_t *item = px_vec_push(ret);
    if (item)
        memcpy(item, &bits, sizeof bits);
    return item != NULL;
}

enum px_code px_protobuf_add_ints(const struct px_protobuf_field *field, struct px_ints *ret,
                                  struct px_err *err)
{
    if (field->wire == PX_PROTOBUF_VARINT)
        return push_int(ret, field->value) ? PX_OK : px_ir_no_memory(err);
    if (field->wire != PX_PROTOBUF_BYTES)
        return bad_wire(field, "integers", err);
    struct px_cursor list = px_cursor(field->bytes.ptr, field->bytes.len);
    while (px_cursor_left(&list) && !list.failed) {
        if (!push_int(ret, read_varint(&list)))
            return px_ir_no_memory(err);
    }
    return list.failed ? bad_wire(field, "integers", err) : PX_OK;
}

static bool push_double(struct px_doubles *ret, double value)
{
    double *item = px_vec_push(ret);
    if (item)
        *item = value;
    return item != NULL;
}

/* Numbers of `size` bytes, 4 or 8. */
static enum px_code add_fixed(const struct px_protobuf_field *field, size_t size,
                              struct px_doubles *ret, struct px_err *err)
{
    struct px_cursor list = px_cursor(field->bytes.ptr, field->bytes.len);
    if (field->bytes.len % size)
        return bad_wire(field, size == 4 ? "floats" : "doubles", err);
    if (!px_vec_reserve(ret, ret->len + field->bytes.len / size))
        return px_ir_no_memory(err);
    while (px_cursor_left(&list)) {
        uint64_t bits = px_cursor_le(&list, size);
        ret->items[ret->len++] = size == 4 ? (double)float_of((uint32_t)bits) : double_of(bits);
    }
    return PX_OK;
}

enum px_code px_protobuf_add_floats(const struct px_protobuf_field *field, struct px_doubles *ret,
                                    struct px_err *err)
{
    if (field->wire == PX_PROTOBUF_FIXED32)
        return push_double(ret, (double)px_protobuf_f32(field)) ? PX_OK : px_ir_no_memory(err);
    if (field->wire != PX_PROTOBUF_BYTES)
        return bad_wire(field, "floats", err);
    return add_fixed(field, 4, ret, err);
}

enum px_code px_protobuf_add_doubles(const struct px_protobuf_field *field, struct px_doubles *ret,
                                     struct px_err *err)
{
    if (field->wire == PX_PROTOBUF_FIXED64)
        return push_double(ret, double_of(field->value)) ? PX_OK : px_ir_no_memory(err);
    if (field->wire != PX_PROTOBUF_BYTES)
        return bad_wire(field, "doubles", err);
    return add_fixed(field, 8, ret, err);
}
