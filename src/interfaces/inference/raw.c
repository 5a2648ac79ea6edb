/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input tensors as raw bytes.
 *
 * The common tensor, all features in the model's own type, is lent to the call where it lies, or copied once when its
 * address is not aligned: a JSON header of any length may stand before it. Other numbers of a model whose
 * features are all plain are converted in one loop per datatype; what is left goes value by value through the
 * features' encoders, as JSON does.
 *
 * Sizes are exact: a byte too few or too many means that client and server disagree about the tensor, so nothing of it
 * can be trusted.
 */
#include "interfaces/inference/inputs.h"

#include <math.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read as they lie in memory");

enum { TEXT_LENGTH_BYTES = 4 };

/* ---- numbers ---- */

static PX_ALWAYS_INLINE uint64_t load_bits(const char *at, size_t size)
{
    uint64_t bits = 0;
    memcpy(&bits, at, size);
    return bits;
}

static PX_ALWAYS_INLINE double load_float(const char *at)
{
    float value;
    memcpy(&value, at, sizeof value);
    return (double)value;
}

static PX_ALWAYS_INLINE double load_double(const char *at)
{
    double value;
    memcpy(&value, at, sizeof value);
    return value;
}

static PX_ALWAYS_INLINE double load_number(const char *at, enum px_datatype type)
{
    switch (type) { // clang-format off
    case PX_TYPE_FP32: return load_float(at);
    case PX_TYPE_FP64: return load_double(at);
    case PX_TYPE_FP16: return (double)px_half_to_float((uint16_t)load_bits(at, 2));
    case PX_TYPE_BF16: return (double)px_bfloat_to_float((uint16_t)load_bits(at, 2));
    case PX_TYPE_UINT8: return (double)load_bits(at, 1);
    case PX_TYPE_UINT16: return (double)load_bits(at, 2);
    case PX_TYPE_UINT32: return (double)load_bits(at, 4);
    case PX_TYPE_UINT64: return (double)load_bits(at, 8);
    case PX_TYPE_INT8: return (double)(int8_t)load_bits(at, 1);
    case PX_TYPE_INT16: return (double)(int16_t)load_bits(at, 2);
    case PX_TYPE_INT32: return (double)(int32_t)load_bits(at, 4);
    case PX_TYPE_INT64: return (double)(int64_t)load_bits(at, 8);
    case PX_TYPE_NONE: case PX_TYPE_BOOL: case PX_TYPE_BYTES: case PX_TYPE_COUNT: break;
    } // clang-format on
    PX_ASSERT(false && "a number's datatype");
    return 0;
}

/* With a constant `type` each of the two is one tight loop over local values. */
static PX_ALWAYS_INLINE void convert_as(const char *at, enum px_datatype type,
                                        const struct px_matrix *rows,
                                        const struct px_target *target)
{
    const size_t size = px_datatype_size(type), n_cols = target->n_cols, stride = rows->stride;
    float *floats = rows->type == PX_TYPE_FP32 ? (float *)rows->data + target->feature : NULL;
    double *doubles = floats ? NULL : (double *)rows->data + target->feature;
    for (size_t row = 0; row < target->n_rows; row++) {
        for (size_t col = 0; floats && col < n_cols; col++)
            floats[row * stride + col] = (float)load_number(at + col * size, type);
        for (size_t col = 0; doubles && col < n_cols; col++)
            doubles[row * stride + col] = load_number(at + col * size, type);
        at += n_cols * size;
    }
}

static void convert(const struct px_tensor *t, const struct px_matrix *rows,
                    const struct px_target *target)
{
    const char *at = t->bytes.ptr;
    switch (t->type) { // clang-format off
    case PX_TYPE_FP32: convert_as(at, PX_TYPE_FP32, rows, target); return;
    case PX_TYPE_FP64: convert_as(at, PX_TYPE_FP64, rows, target); return;
    case PX_TYPE_INT32: convert_as(at, PX_TYPE_INT32, rows, target); return;
    case PX_TYPE_INT64: convert_as(at, PX_TYPE_INT64, rows, target); return;
    case PX_TYPE_FP16: case PX_TYPE_BF16: case PX_TYPE_INT8: case PX_TYPE_INT16:
    case PX_TYPE_UINT8: case PX_TYPE_UINT16: case PX_TYPE_UINT32: case PX_TYPE_UINT64:
    case PX_TYPE_NONE: case PX_TYPE_BOOL: case PX_TYPE_BYTES: case PX_TYPE_COUNT: break;
    } // clang-format on
    convert_as(at, t->type, rows, target);
}

static enum px_code put_numbers(struct px_values *values)
{
    const struct px_tensor *t = values->tensor;
    size_t size = px_datatype_size(t->type);
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < values->n_total; i++)
        code = px_values_put_number(values, load_number(t->bytes.ptr + i * size, t->type));
    return code;
}

/* ---- booleans and texts ---- */

static enum px_code put_bools(struct px_values *values)
{
    const struct px_tensor *t = values->tensor;
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < values->n_total; i++) {
        unsigned char byte = (unsigned char)t->bytes.ptr[i];
        if (byte > 1)
            return px_err_set(values->in->err, PX_E_INVALID,
                              "input '%.*s': element %zu: expected the byte 0 or 1 for BOOL, got "
                              "%u",
                              PX_STR_ARG(t->name), i, byte);
        code = px_values_put_bool(values, byte);
    }
    return code;
}

static enum px_code put_texts(struct px_values *values)
{
    const struct px_tensor *t = values->tensor;
    struct px_err *err = values->in->err;
    struct px_str rest = t->bytes, text;
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < values->n_total; i++) {
        if (!px_tensor_next_text(&rest, &text))
            return px_err_set(err, PX_E_INVALID,
                              "input '%.*s': element %zu of BYTES is cut short: expected a length "
                              "of 4 bytes and that many more, %zu bytes are left",
                              PX_STR_ARG(t->name), i, rest.len);
        if (!px_str_is_utf8(text))
            return px_err_set(err, PX_E_INVALID, "input '%.*s': element %zu is not valid UTF-8",
                              PX_STR_ARG(t->name), i);
        code = px_values_put_text(values, text);
    }
    if (code == PX_OK && rest.len)
        code = px_err_set(err, PX_E_INVALID,
                          "unexpected size for input '%.*s': %zu bytes follow its %zu elements",
                          PX_STR_ARG(t->name), rest.len, values->n_total);
    return code;
}

/* ---- the tensor ---- */

static enum px_code check_size(struct px_inputs *in, const struct px_tensor *t,
                               const struct px_target *target)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    bool texts = t->type == PX_TYPE_BYTES;
    size_t n = target->n_rows * target->n_cols;
    size_t want = n * (texts ? (size_t)TEXT_LENGTH_BYTES : px_datatype_size(t->type));
    if (texts ? t->bytes.len >= want : t->bytes.len == want)
        return PX_OK;
    return px_err_set(in->err, PX_E_INVALID,
                      "unexpected size for input '%.*s': expected %s%zu bytes for shape %s of %s, "
                      "got %zu",
                      PX_STR_ARG(t->name), texts ? "at least " : "", want,
                      px_tensor_shape_text(t, shape), px_datatype_name(t->type), t->bytes.len);
}

/* Is the tensor the matrix, byte for byte? */
static bool is_matrix(const struct px_inputs *in, const struct px_tensor *t)
{
    const struct px_engine *engine = in->infer->call.model->engine;
    return in->whole && t->type == engine->feature_type && in->signature->all_numbers;
}

static enum px_code place_matrix(struct px_inputs *in, const struct px_tensor *t,
                                 const struct px_target *target)
{
    struct px_call *call = &in->infer->call;
    if ((uintptr_t)t->bytes.ptr % px_datatype_size(t->type) == 0) {
        px_call_lend_rows(call, t->bytes.ptr, target->n_rows);
        in->n_read++;
        return PX_OK;
    }
    enum px_code code = px_inputs_make_rows(in, target);
    if (code == PX_OK && t->bytes.len)
        memcpy(call->rows.data, t->bytes.ptr, t->bytes.len);
    return code;
}

static enum px_code place_values(struct px_inputs *in, const struct px_tensor *t,
                                 const struct px_target *target)
{
    enum px_code code = px_inputs_make_rows(in, target);
    if (code != PX_OK)
        return code;
    struct px_values values = px_values_begin(in, t, target);
    if (t->type == PX_TYPE_BYTES)
        return put_texts(&values);
    if (t->type == PX_TYPE_BOOL)
        return put_bools(&values);
    if (!in->signature->all_numbers)
        return put_numbers(&values);
    convert(t, &in->infer->call.rows, target);
    return PX_OK;
}

enum px_code px_inputs_add(struct px_inputs *in, const struct px_tensor *tensor)
{
    struct px_target target;
    if (in->run_inputs)
        return px_run_inputs_add(in, tensor);
    enum px_code code = px_inputs_aim(in, tensor, &target);
    if (code == PX_OK)
        code = check_size(in, tensor, &target);
    if (code != PX_OK)
        return code;
    return is_matrix(in, tensor) ? place_matrix(in, tensor, &target)
                                 : place_values(in, tensor, &target);
}
