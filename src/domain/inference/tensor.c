/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/inference/tensor.h"

#include "shared/unconst.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read as they lie in memory");

static const struct {
    const char *name;
    size_t size;
} datatypes[PX_TYPE_COUNT] = {
    [PX_TYPE_NONE] = {"NONE", 0},
#define PX_DATATYPE(name, bytes) [PX_TYPE_##name] = {#name, bytes},
#include "domain/inference/datatypes.def"
#undef PX_DATATYPE
};

const char *px_datatype_name(enum px_datatype type)
{
    PX_ASSERT(type < PX_TYPE_COUNT);
    return datatypes[type].name;
}

size_t px_datatype_size(enum px_datatype type)
{
    PX_ASSERT(type < PX_TYPE_COUNT);
    return datatypes[type].size;
}

enum px_datatype px_datatype_from_name(struct px_str name)
{
    for (int type = PX_TYPE_NONE + 1; type < PX_TYPE_COUNT; type++) {
        if (px_str_is(name, datatypes[type].name))
            return (enum px_datatype)type;
    }
    return PX_TYPE_NONE;
}

bool px_tensor_elements(const struct px_tensor *tensor, size_t *ret)
{
    size_t n = 1;
    bool fits = true, is_empty = false;
    for (size_t i = 0; i < tensor->n_dims; i++) {
        uint64_t length = tensor->shape[i];
        is_empty |= length == 0;
        fits &= length <= INT64_MAX;
        if (length)
            fits &= !__builtin_mul_overflow(n, length, &n);
    }
    *ret = is_empty ? 0 : n;
    return fits;
}

static enum px_code check_texts(const struct px_tensor *tensor, size_t n_elements,
                                struct px_err *err)
{
    struct px_str rest = tensor->bytes, text;
    size_t n = 0;
    while (n < n_elements && px_tensor_next_text(&rest, &text))
        n++;
    if (n == n_elements && rest.len == 0)
        return PX_OK;
    return px_err_set(
        err, PX_E_INVALID,
        "tensor '%.*s': expected the bytes of %zu elements of BYTES, each a length of "
        "4 bytes and its text; %zu were whole, then %zu bytes",
        PX_STR_ARG(tensor->name), n_elements, n, rest.len);
}

enum px_code px_tensor_check_bytes(const struct px_tensor *tensor, struct px_err *err)
{
    size_t n, n_bytes, size = px_datatype_size(tensor->type);
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    bool fits = px_tensor_elements(tensor, &n);
    if (fits && tensor->type == PX_TYPE_BYTES)
        return check_texts(tensor, n, err);
    fits = fits && !__builtin_mul_overflow(n, size, &n_bytes);
    if (!fits)
        return px_err_set(err, PX_E_INVALID, "tensor '%.*s': the shape %s of %s is too large",
                          PX_STR_ARG(tensor->name), px_tensor_shape_text(tensor, shape),
                          px_datatype_name(tensor->type));
    if (n_bytes == tensor->bytes.len)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "tensor '%.*s': expected %zu bytes for %s of %s, got %zu",
                      PX_STR_ARG(tensor->name), n_bytes, px_tensor_shape_text(tensor, shape),
                      px_datatype_name(tensor->type), tensor->bytes.len);
}

static bool fits_shape(const struct px_tensor *tensor, const struct px_tensor_spec *spec)
{
    if (spec->any_rank)
        return true;
    if (tensor->n_dims != spec->n_dims)
        return false;
    for (size_t i = 0; i < spec->n_dims; i++) {
        if (spec->shape[i] != PX_DIM_ANY && (uint64_t)spec->shape[i] != tensor->shape[i])
            return false;
    }
    return true;
}

enum px_code px_tensor_check_spec(const struct px_tensor *tensor, const struct px_tensor_spec *spec,
                                  struct px_err *err)
{
    char expected[PX_TENSOR_SHAPE_TEXT_MAX], got[PX_TENSOR_SHAPE_TEXT_MAX];
    if (tensor->type != spec->type)
        return px_err_set(err, PX_E_INVALID, "tensor '%.*s': expected %s, got %s",
                          PX_STR_ARG(spec->name), px_datatype_name(spec->type),
                          px_datatype_name(tensor->type));
    if (fits_shape(tensor, spec))
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "tensor '%.*s': expected shape %s, got %s",
                      PX_STR_ARG(spec->name), px_tensor_spec_shape_text(spec, expected),
                      px_tensor_shape_text(tensor, got));
}

const struct px_tensor_spec *px_tensor_specs_find(const struct px_tensor_specs *specs,
                                                  struct px_str name)
{
    for (size_t i = 0; i < specs->n; i++) {
        if (px_str_eq(specs->list[i].name, name))
            return &specs->list[i];
    }
    return NULL;
}

const char *px_tensor_shape_text(const struct px_tensor *tensor, char *out)
{
    size_t n = tensor->n_dims ? 0 : (size_t)snprintf(out, PX_TENSOR_SHAPE_TEXT_MAX, "[");
    for (size_t i = 0; i < tensor->n_dims; i++)
        n += (size_t)snprintf(out + n, PX_TENSOR_SHAPE_TEXT_MAX - n, "%s%" PRIu64, i ? "," : "[",
                              tensor->shape[i]);
    snprintf(out + n, PX_TENSOR_SHAPE_TEXT_MAX - n, "]");
    return out;
}

const char *px_tensor_spec_shape_text(const struct px_tensor_spec *spec, char *out)
{
    size_t n = spec->n_dims ? 0 : (size_t)snprintf(out, PX_TENSOR_SHAPE_TEXT_MAX, "[");
    if (spec->any_rank)
        n = (size_t)snprintf(out, PX_TENSOR_SHAPE_TEXT_MAX, "[...");
    for (size_t i = 0; !spec->any_rank && i < spec->n_dims; i++)
        n += (size_t)snprintf(out + n, PX_TENSOR_SHAPE_TEXT_MAX - n, "%s%" PRId64, i ? "," : "[",
                              spec->shape[i]);
    snprintf(out + n, PX_TENSOR_SHAPE_TEXT_MAX - n, "]");
    return out;
}

bool px_tensor_next_text(struct px_str *rest, struct px_str *ret)
{
    uint32_t len;
    if (rest->len < sizeof len)
        return false;
    memcpy(&len, rest->ptr, sizeof len);
    if (len > rest->len - sizeof len)
        return false;
    *ret = px_str_n(rest->ptr + sizeof len, len);
    *rest = px_str_n(ret->ptr + len, rest->len - sizeof len - len);
    return true;
}

struct px_matrix px_tensor_matrix(const struct px_tensor *tensor)
{
    PX_ASSERT(tensor->n_dims == 2);
    PX_ASSERT(tensor->type == PX_TYPE_FP32 || tensor->type == PX_TYPE_FP64);
    return (struct px_matrix){
        .type = tensor->type,
        .data = px_unconst(tensor->bytes.ptr),
        .n_rows = (size_t)tensor->shape[0],
        .n_cols = (size_t)tensor->shape[1],
        .stride = (size_t)tensor->shape[1],
    };
}

uint16_t px_float_to_half(double value)
{
    unsigned sign = signbit(value) ? 0x8000u : 0;
    double size = fabs(value);
    int exponent;
    if (isnan(value))
        return 0x7E00;
    if (size >= 65520) /* the middle between the largest number and what would be next */
        return (uint16_t)(sign | 0x7C00u);
    (void)frexp(size, &exponent); /* size is below 2^exponent and has 11 bits */
    if (size < 0x1p-14)
        exponent = -13; /* down here numbers are steps of 2^-24 */
    unsigned steps = (unsigned)nearbyint(ldexp(size, 11 - exponent));
    return (uint16_t)(sign | (((unsigned)(exponent + 13) << 10) + steps)); /* 2048 steps carry */
}

uint16_t px_float_to_bfloat(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (isnan(value))
        return 0x7FC0;
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

float px_half_to_float(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, exponent = bits >> 10 & 0x1Fu;
    uint32_t fraction = bits & 0x3FFu, wide;
    float value;
    if (exponent == 0) { /* zero, or steps of 2^-24 */
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    wide = sign | (exponent == 31 ? 0xFFu : exponent + 112u) << 23 | fraction << 13;
    memcpy(&value, &wide, sizeof value);
    return value;
}

float px_bfloat_to_float(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

bool px_tensor_fits_signed(enum px_datatype type, int64_t number)
{
    unsigned bits = (unsigned)px_datatype_size(type) * 8;
    int64_t limit = bits < 64 ? (int64_t)1 << (bits - 1) : 0;
    return !limit || (number < limit && number >= -limit);
}

bool px_tensor_fits_unsigned(enum px_datatype type, uint64_t number)
{
    unsigned bits = (unsigned)px_datatype_size(type) * 8;
    return bits >= 64 || !(number >> bits);
}
