/* SPDX-License-Identifier: Apache-2.0 */
#include "application/tensors/json_value.h"

static bool read_signed(struct px_json *json, enum px_datatype type, struct px_json_value *ret)
{
    ret->kind = PX_VALUE_SIGNED;
    ret->integer = px_json_i64(json);
    if (!px_tensor_fits_signed(type, ret->integer))
        px_json_fail(json, "%lld does not fit in %s", (long long)ret->integer,
                     px_datatype_name(type));
    return !px_json_failed(json);
}

static bool read_unsigned(struct px_json *json, enum px_datatype type, struct px_json_value *ret)
{
    ret->kind = PX_VALUE_UNSIGNED;
    ret->natural = px_json_u64(json);
    if (!px_tensor_fits_unsigned(type, ret->natural))
        px_json_fail(json, "%llu does not fit in %s", (unsigned long long)ret->natural,
                     px_datatype_name(type));
    return !px_json_failed(json);
}

static bool read_float(struct px_json *json, enum px_datatype type, struct px_json_value *ret)
{
    ret->kind = PX_VALUE_NUMBER;
    if (type == PX_TYPE_FP64)
        ret->number = px_json_f64(json);
    else if (type == PX_TYPE_FP16)
        ret->number = (double)px_half_to_float(px_float_to_half(px_json_f64(json)));
    else if (type == PX_TYPE_BF16)
        ret->number = (double)px_bfloat_to_float(px_float_to_bfloat(px_json_f32(json)));
    else
        ret->number = (double)px_json_f32(json);
    return !px_json_failed(json);
}

bool px_json_read_value(struct px_json *json, enum px_datatype type, struct px_json_value *ret)
{
    if (px_json_null(json)) {
        ret->kind = PX_VALUE_MISSING;
        return true;
    }
    switch (type) { // clang-format off
    case PX_TYPE_FP16: case PX_TYPE_BF16: case PX_TYPE_FP32: case PX_TYPE_FP64:
        return read_float(json, type, ret);
    case PX_TYPE_UINT8: case PX_TYPE_UINT16: case PX_TYPE_UINT32: case PX_TYPE_UINT64:
        return read_unsigned(json, type, ret);
    case PX_TYPE_INT8: case PX_TYPE_INT16: case PX_TYPE_INT32: case PX_TYPE_INT64:
        return read_signed(json, type, ret);
    case PX_TYPE_BOOL:
        ret->kind = PX_VALUE_BOOL;
        ret->flag = px_json_bool(json);
        return !px_json_failed(json);
    case PX_TYPE_BYTES:
        ret->kind = PX_VALUE_TEXT;
        ret->text = px_json_str(json);
        return !px_json_failed(json);
    case PX_TYPE_NONE: case PX_TYPE_COUNT: break;
    } // clang-format on
    PX_ASSERT(false && "a datatype");
    return false;
}

enum px_code px_json_read_element(struct px_json *json, struct px_tensor_writer *writer,
                                  struct px_err *err)
{
    struct px_json_value value;
    if (!px_json_read_value(json, writer->tensor->type, &value))
        return PX_OK;
    switch (value.kind) { // clang-format off
    case PX_VALUE_MISSING: return px_tensor_put_missing(writer, err);
    case PX_VALUE_NUMBER: return px_tensor_put_number(writer, value.number, err);
    case PX_VALUE_SIGNED: return px_tensor_put_integer(writer, (uint64_t)value.integer, err);
    case PX_VALUE_UNSIGNED: return px_tensor_put_integer(writer, value.natural, err);
    case PX_VALUE_BOOL: return px_tensor_put_integer(writer, value.flag, err);
    case PX_VALUE_TEXT: break;
    } // clang-format on
    return px_tensor_put_text(writer, value.text, err);
}

enum px_code px_json_read_elements(struct px_json *json, struct px_tensor_writer *writer,
                                   px_json_read_fn *read, struct px_err *err)
{
    size_t depth = px_json_enter_array(json) ? 1 : 0;
    while (depth > 0) {
        enum px_code code = PX_OK;
        if (!px_json_next_element(json))
            depth--;
        else if (px_json_peek(json) == PX_JSON_ARRAY)
            depth += px_json_enter_array(json);
        else
            code = read(json, writer, err);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

/* The low `size` bytes as two's complement. */
static int64_t load_signed(const char *at, size_t size)
{
    uint64_t bits = 0;
    unsigned unused = 64 - 8 * (unsigned)size;
    memcpy(&bits, at, size);
    return (int64_t)(bits << unused) >> unused;
}

static uint64_t load_unsigned(const char *at, size_t size)
{
    uint64_t bits = 0;
    memcpy(&bits, at, size);
    return bits;
}

static void put_float(struct px_json_writer *w, const char *at)
{
    float value;
    memcpy(&value, at, sizeof value);
    px_json_put_f32(w, value, true);
}

static void put_double(struct px_json_writer *w, const char *at)
{
    double value;
    memcpy(&value, at, sizeof value);
    px_json_put_f64(w, value, true);
}

void px_json_put_element(struct px_json_writer *w, enum px_datatype type, const char *at)
{
    size_t size = px_datatype_size(type);
    switch (type) { // clang-format off
    case PX_TYPE_FP32: put_float(w, at); return;
    case PX_TYPE_FP64: put_double(w, at); return;
    case PX_TYPE_FP16: px_json_put_f32(w, px_half_to_float((uint16_t)load_unsigned(at, 2)), true); return;
    case PX_TYPE_BF16: px_json_put_f32(w, px_bfloat_to_float((uint16_t)load_unsigned(at, 2)), true); return;
    case PX_TYPE_BOOL: px_json_put_bool(w, *at != 0); return;
    case PX_TYPE_INT8: case PX_TYPE_INT16: case PX_TYPE_INT32: case PX_TYPE_INT64:
        px_json_put_i64(w, load_signed(at, size)); return;
    case PX_TYPE_UINT8: case PX_TYPE_UINT16: case PX_TYPE_UINT32: case PX_TYPE_UINT64:
        px_json_put_u64(w, load_unsigned(at, size)); return;
    case PX_TYPE_NONE: case PX_TYPE_BYTES: case PX_TYPE_COUNT: break;
    } // clang-format on
    PX_ASSERT(false && "the datatype of an element of fixed size");
}
