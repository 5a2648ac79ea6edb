/* SPDX-License-Identifier: Apache-2.0 */
/*
 * InferTensorContents: the values of a tensor in the field of its type, packed or one by one.
 *
 * Each datatype has one field that may hold it; values in another one are refused, because they would be read as
 * something that they are not. Narrow integers travel as 32 bits and must fit; floats that the model takes as they are
 * go into its rows in one copy.
 */
#include "interfaces/grpc/infer.h"

enum contents_field {
    CONTENTS_NONE = 0,
    CONTENTS_BOOL,
    CONTENTS_INT,
    CONTENTS_INT64,
    CONTENTS_UINT,
    CONTENTS_UINT64,
    CONTENTS_FP32,
    CONTENTS_FP64,
    CONTENTS_BYTES,
};

static enum contents_field field_of(enum px_datatype type)
{
    switch (type) { // clang-format off
    case PX_TYPE_BOOL: return CONTENTS_BOOL;
    case PX_TYPE_INT8: case PX_TYPE_INT16: case PX_TYPE_INT32: return CONTENTS_INT;
    case PX_TYPE_INT64: return CONTENTS_INT64;
    case PX_TYPE_UINT8: case PX_TYPE_UINT16: case PX_TYPE_UINT32: return CONTENTS_UINT;
    case PX_TYPE_UINT64: return CONTENTS_UINT64;
    case PX_TYPE_FP32: return CONTENTS_FP32;
    case PX_TYPE_FP64: return CONTENTS_FP64;
    case PX_TYPE_BYTES: return CONTENTS_BYTES;
    case PX_TYPE_NONE: case PX_TYPE_FP16: case PX_TYPE_BF16: case PX_TYPE_COUNT: break;
    } // clang-format on
    return CONTENTS_NONE;
}

static const char *field_name(enum contents_field field)
{
    static const char *const names[] = {
        [CONTENTS_NONE] = "no field",        [CONTENTS_BOOL] = "bool_contents",
        [CONTENTS_INT] = "int_contents",     [CONTENTS_INT64] = "int64_contents",
        [CONTENTS_UINT] = "uint_contents",   [CONTENTS_UINT64] = "uint64_contents",
        [CONTENTS_FP32] = "fp32_contents",   [CONTENTS_FP64] = "fp64_contents",
        [CONTENTS_BYTES] = "bytes_contents",
    };
    return names[field];
}

static enum px_code refuse(const struct px_values *values, const char *what)
{
    return px_err_set(values->in->err, PX_E_INVALID, "input '%.*s': %s in %s",
                      PX_STR_ARG(values->tensor->name), what,
                      field_name(field_of(values->tensor->type)));
}

/* ---- one value ---- */

static enum px_code put_signed(struct px_values *values, int64_t number)
{
    if (!px_tensor_fits_signed(values->tensor->type, number))
        return px_err_set(values->in->err, PX_E_INVALID,
                          "input '%.*s': element %zu: %lld does not fit in %s",
                          PX_STR_ARG(values->tensor->name), values->n, (long long)number,
                          px_datatype_name(values->tensor->type));
    return px_values_put_signed(values, number);
}

static enum px_code put_unsigned(struct px_values *values, uint64_t number)
{
    if (!px_tensor_fits_unsigned(values->tensor->type, number))
        return px_err_set(values->in->err, PX_E_INVALID,
                          "input '%.*s': element %zu: %llu does not fit in %s",
                          PX_STR_ARG(values->tensor->name), values->n, (unsigned long long)number,
                          px_datatype_name(values->tensor->type));
    return px_values_put_unsigned(values, number);
}

/* A number of any wire type, its bits in `item`. */
static enum px_code put_number(struct px_values *values, enum contents_field kind,
                               const struct px_protobuf_field *item)
{
    switch (kind) { // clang-format off
    case CONTENTS_BOOL: return px_values_put_bool(values, item->value != 0);
    case CONTENTS_INT: case CONTENTS_INT64: return put_signed(values, px_protobuf_i64(item));
    case CONTENTS_UINT: case CONTENTS_UINT64: return put_unsigned(values, item->value);
    case CONTENTS_FP32: return px_values_put_number(values, (double)px_protobuf_f32(item));
    case CONTENTS_FP64: return px_values_put_number(values, px_protobuf_f64(item));
    case CONTENTS_NONE: case CONTENTS_BYTES: break;
    } // clang-format on
    PX_ASSERT(false && "a number's field");
    return PX_E_INTERNAL;
}

/* ---- packed lists ---- */

static enum px_code put_varints(struct px_values *values, enum contents_field kind,
                                struct px_str bytes)
{
    struct px_cursor list = px_cursor(bytes.ptr, bytes.len);
    enum px_code code = PX_OK;
    while (code == PX_OK && px_cursor_left(&list)) {
        const struct px_protobuf_field item = {.value = px_protobuf_varint(&list)};
        code =
            list.failed ? refuse(values, "a number is cut off") : put_number(values, kind, &item);
    }
    return code;
}

static size_t fixed_size(enum contents_field kind)
{
    return kind == CONTENTS_FP32 ? 4 : kind == CONTENTS_FP64 ? 8 : 0;
}

static enum px_code put_fixed(struct px_values *values, enum contents_field kind,
                              struct px_str bytes)
{
    size_t size = fixed_size(kind), n = bytes.len / size;
    char *rows = kind == CONTENTS_FP32 ? (char *)values->floats : (char *)values->doubles;
    if (bytes.len % size)
        return refuse(values, "a number is cut off");
    if (rows && n <= values->n_total - values->n) {
        memcpy(rows + values->n * size, bytes.ptr, bytes.len);
        px_values_advance(values, n);
        return PX_OK;
    }
    struct px_cursor list = px_cursor(bytes.ptr, bytes.len);
    enum px_code code = PX_OK;
    while (code == PX_OK && px_cursor_left(&list)) {
        const struct px_protobuf_field item = {.value = px_cursor_le(&list, size)};
        code = put_number(values, kind, &item);
    }
    return code;
}

static enum px_protobuf_wire single_wire(enum contents_field kind)
{
    return kind == CONTENTS_FP32   ? PX_PROTOBUF_FIXED32
           : kind == CONTENTS_FP64 ? PX_PROTOBUF_FIXED64
                                   : PX_PROTOBUF_VARINT;
}

static enum px_code put_text(struct px_values *values, struct px_str text)
{
    if (px_str_is_utf8(text))
        return px_values_put_text(values, text);
    return px_err_set(values->in->err, PX_E_INVALID, "input '%.*s': element %zu is not valid UTF-8",
                      PX_STR_ARG(values->tensor->name), values->n);
}

static enum px_code put_field(struct px_values *values, enum contents_field kind,
                              const struct px_protobuf_field *field)
{
    if (kind == CONTENTS_BYTES)
        return field->wire == PX_PROTOBUF_BYTES ? put_text(values, field->bytes)
                                                : refuse(values, "a value that is no text");
    if (field->wire == single_wire(kind))
        return put_number(values, kind, field);
    if (field->wire != PX_PROTOBUF_BYTES)
        return refuse(values, "a value of the wrong wire type");
    return fixed_size(kind) ? put_fixed(values, kind, field->bytes)
                            : put_varints(values, kind, field->bytes);
}

/* ---- the message ---- */

static enum px_code refuse_field(const struct px_inputs *in, const struct px_tensor *tensor,
                                 uint32_t number, enum contents_field wanted)
{
    if (wanted == CONTENTS_NONE)
        return px_err_set(in->err, PX_E_INVALID,
                          "input '%.*s': %s has no field of its own; send it in raw_input_contents",
                          PX_STR_ARG(tensor->name), px_datatype_name(tensor->type));
    return px_err_set(
        in->err, PX_E_INVALID, "input '%.*s': expected the values of %s in %s, got %s",
        PX_STR_ARG(tensor->name), px_datatype_name(tensor->type), field_name(wanted),
        number <= CONTENTS_BYTES ? field_name((enum contents_field)number) : "an unknown field");
}

enum px_code px_grpc_read_contents(struct px_inputs *in, const struct px_tensor *tensor,
                                   struct px_str contents)
{
    enum contents_field wanted = field_of(tensor->type);
    struct px_protobuf p = px_protobuf(contents);
    struct px_protobuf_field field;
    struct px_values values;
    if (wanted == CONTENTS_NONE)
        return refuse_field(in, tensor, 0, wanted);
    enum px_code code = px_inputs_open(in, tensor, contents.len, &values);
    while (code == PX_OK && px_protobuf_next(&p, &field))
        code = field.number == wanted ? put_field(&values, wanted, &field)
                                      : refuse_field(in, tensor, field.number, wanted);
    if (code == PX_OK)
        code = px_grpc_check(&p, "the contents of an input", in->err);
    return code == PX_OK ? px_values_end(&values) : code;
}
