/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/forest/readers/onnx/protobuf_lists.h"

#include "domain/forest/ir.h"

#include <inttypes.h>

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
        if (!push_int(ret, px_protobuf_varint(&list)))
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
        struct px_protobuf_field item = {.value = px_cursor_le(&list, size)};
        ret->items[ret->len++] =
            size == 4 ? (double)px_protobuf_f32(&item) : px_protobuf_f64(&item);
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
        return push_double(ret, px_protobuf_f64(field)) ? PX_OK : px_ir_no_memory(err);
    if (field->wire != PX_PROTOBUF_BYTES)
        return bad_wire(field, "doubles", err);
    return add_fixed(field, 8, ret, err);
}
