/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inputs of a model of tensors: each tensor of the request becomes one of the call's run, under the model's datatype and shape.
 *
 * Nothing is converted: a tensor is what the model says or is refused. Bytes that are at hand are lent to the run; values
 * that come one by one are written in their datatype, texts as length and bytes into memory that doubles.
 */
#include "interfaces/inference/inputs.h"

#include <math.h>

enum { TEXT_LENGTH_BYTES = 4, TEXTS_FIRST_BYTES = 256 };

enum px_code px_run_inputs_begin(struct px_inputs *in)
{
    struct px_call *call = &in->infer->call;
    size_t n = call->model->engine->takes.n;
    struct px_tensor *inputs = px_arena_zalloc(call->arena, n + 1, sizeof *inputs);
    in->run_inputs = inputs;
    call->run->inputs = inputs;
    return px_arena_check(call->arena, "the request", in->err);
}

static enum px_code refuse_name(struct px_inputs *in, struct px_str name)
{
    const struct px_tensor_specs *takes = &in->infer->call.model->engine->takes;
    long nearest = px_str_nearest_of(name, &takes->list[0].name, sizeof *takes->list, takes->n);
    px_err_set(in->err, PX_E_INVALID, "unknown input '%.*s'", PX_STR_ARG(name));
    if (nearest >= 0)
        return px_err_hint(in->err, "did you mean '%.*s'?", PX_STR_ARG(takes->list[nearest].name));
    return px_err_hint(in->err, "the model takes %zu inputs; the first is '%.*s'", takes->n,
                       PX_STR_ARG(takes->list[0].name));
}

/* Inputs usually come in the model's order: try the next one first. */
static const struct px_tensor_spec *find_spec(const struct px_inputs *in, struct px_str name)
{
    const struct px_tensor_specs *takes = &in->infer->call.model->engine->takes;
    if (in->n_read < takes->n && px_str_eq(takes->list[in->n_read].name, name))
        return &takes->list[in->n_read];
    return px_tensor_specs_find(takes, name);
}

/* A place for the tensor among the run's inputs; NULL, and an error, when the model does not take it. */
static struct px_tensor *take_place(struct px_inputs *in, const struct px_tensor *tensor)
{
    const struct px_tensor_spec *spec = find_spec(in, tensor->name);
    if (!spec) {
        (void)refuse_name(in, tensor->name);
        return NULL;
    }
    if (px_tensor_check_spec(tensor, spec, in->err) != PX_OK)
        return NULL;
    for (size_t i = 0; i < in->n_read; i++) {
        if (!px_str_eq(in->run_inputs[i].name, tensor->name))
            continue;
        (void)px_err_set(in->err, PX_E_INVALID, "input '%.*s' is given twice",
                         PX_STR_ARG(tensor->name));
        return NULL;
    }
    struct px_tensor *place = &in->run_inputs[in->n_read++];
    *place = *tensor;
    in->infer->call.run->n_inputs = in->n_read;
    return place;
}

enum px_code px_run_inputs_add(struct px_inputs *in, const struct px_tensor *tensor)
{
    return take_place(in, tensor) ? PX_OK : in->err->code; /* its bytes are checked with the run */
}

/* ---- values one by one ---- */

static char *allocate(struct px_inputs *in, size_t size)
{
    struct px_call *call = &in->infer->call;
    char *bytes = px_arena_alloc(call->arena, size, 1);
    return px_arena_check(call->arena, "the request", in->err) == PX_OK ? bytes : NULL;
}

static enum px_code refuse_length(struct px_inputs *in, const struct px_tensor *tensor)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    return px_err_set(in->err, PX_E_INVALID, "input '%.*s': the data is too short for shape %s",
                      PX_STR_ARG(tensor->name), px_tensor_shape_text(tensor, shape));
}

enum px_code px_run_inputs_open(struct px_inputs *in, const struct px_tensor *tensor, size_t n_max,
                                struct px_values *ret)
{
    struct px_tensor *place = take_place(in, tensor);
    size_t n, size = px_datatype_size(tensor->type);
    if (!place)
        return in->err->code;
    if (!px_tensor_elements(tensor, &n) || n > n_max)
        return refuse_length(in, tensor);
    *ret = (struct px_values){.in = in, .tensor = tensor, .n_total = n, .run_input = place};
    size_t room = size ? n * size : TEXTS_FIRST_BYTES;
    ret->to = allocate(in, room + 1);
    ret->room = room;
    if (tensor->type == PX_TYPE_FP32)
        ret->floats = (float *)(void *)ret->to;
    else if (tensor->type == PX_TYPE_FP64)
        ret->doubles = (double *)(void *)ret->to;
    return ret->to ? PX_OK : in->err->code;
}

/* Where the next value goes; NULL, and an error, when there are enough already. */
static char *next_place(struct px_values *values)
{
    if (values->n < values->n_total)
        return values->to + values->n++ * px_datatype_size(values->tensor->type);
    (void)px_err_set(values->in->err, PX_E_INVALID,
                     "input '%.*s': expected no more than %zu values",
                     PX_STR_ARG(values->tensor->name), values->n_total);
    return NULL;
}

static enum px_code put_bits(struct px_values *values, uint64_t bits)
{
    char *to = next_place(values);
    if (!to)
        return values->in->err->code;
    memcpy(to, &bits,
           px_datatype_size(values->tensor->type)); /* little-endian: the low bytes first */
    return PX_OK;
}

/* Of a number that is a half already: 11 bits of significand, exponents -14..15, steps of 2^-24 below. */
static uint16_t half_bits(double value)
{
    int exponent;
    unsigned sign = signbit(value) ? 0x8000u : 0;
    double size = fabs(value);
    if (isnan(value))
        return 0x7E00;
    if (isinf(value))
        return (uint16_t)(sign | 0x7C00u);
    double fraction = frexp(size, &exponent); /* [0.5, 1) */
    if (exponent < -13)
        return (uint16_t)(sign | (unsigned)(size * 0x1p24));
    return (uint16_t)(sign | (unsigned)(exponent + 14) << 10 |
                      (unsigned)((fraction * 2 - 1) * 1024));
}

static enum px_code refuse_kind(const struct px_values *values, const char *what)
{
    return px_err_set(values->in->err, PX_E_INVALID, "input '%.*s': element %zu: %s is no %s",
                      PX_STR_ARG(values->tensor->name), values->n, what,
                      px_datatype_name(values->tensor->type));
}

enum px_code px_run_put_number(struct px_values *values, double number)
{
    float narrow = (float)number;
    uint64_t bits = 0;
    uint32_t narrow_bits;
    memcpy(&narrow_bits, &narrow, sizeof narrow_bits);
    memcpy(&bits, &number, sizeof bits);
    switch ((int)values->tensor->type) { // clang-format off
    case PX_TYPE_FP64: return put_bits(values, bits);
    case PX_TYPE_FP32: return put_bits(values, narrow_bits);
    case PX_TYPE_BF16: return put_bits(values, narrow_bits >> 16);
    case PX_TYPE_FP16: return put_bits(values, half_bits(number));
    default: return refuse_kind(values, "a number with a fraction");
    } // clang-format on
}

enum px_code px_run_put_integer(struct px_values *values, uint64_t bits)
{
    return put_bits(values, bits);
}

enum px_code px_run_put_missing(struct px_values *values)
{
    enum px_datatype type = values->tensor->type;
    bool has_nan = type == PX_TYPE_FP16 || type == PX_TYPE_BF16 || type == PX_TYPE_FP32 ||
                   type == PX_TYPE_FP64;
    return has_nan ? px_run_put_number(values, (double)NAN) : refuse_kind(values, "null");
}

/* Makes room for `size` bytes more; what was written moves. */
static bool grow(struct px_values *values, size_t size)
{
    if (size <= values->room - values->len)
        return true;
    size_t room = values->room * 2 > values->len + size ? values->room * 2 : values->len + size;
    char *to = allocate(values->in, room);
    if (!to)
        return false;
    memcpy(to, values->to, values->len);
    values->to = to;
    values->room = room;
    return true;
}

enum px_code px_run_put_text(struct px_values *values, struct px_str text)
{
    uint32_t len = (uint32_t)text.len;
    if (values->tensor->type != PX_TYPE_BYTES)
        return refuse_kind(values, "a text");
    if (values->n == values->n_total)
        return next_place(values) ? PX_OK : values->in->err->code;
    if (text.len > UINT32_MAX)
        return refuse_kind(values, "a text of 4 GiB");
    if (!grow(values, TEXT_LENGTH_BYTES + text.len))
        return values->in->err->code;
    memcpy(values->to + values->len, &len, sizeof len);
    if (text.len)
        memcpy(values->to + values->len + TEXT_LENGTH_BYTES, text.ptr, text.len);
    values->len += TEXT_LENGTH_BYTES + text.len;
    values->n++;
    return PX_OK;
}

void px_run_values_end(struct px_values *values)
{
    size_t size = px_datatype_size(values->tensor->type);
    values->run_input->bytes = px_str_n(values->to, size ? values->n * size : values->len);
}
