/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/inference/tensor_writer.h"

#include <math.h>

enum { TEXT_LENGTH_BYTES = 4, TEXTS_FIRST_BYTES = 256 };

static char *allocate(struct px_tensor_writer *w, size_t size, struct px_err *err)
{
    char *bytes = px_arena_alloc(w->arena, size, 1);
    return px_arena_check(w->arena, "the tensors", err) == PX_OK ? bytes : NULL;
}

enum px_code px_tensor_writer_init(struct px_tensor_writer *writer, struct px_tensor *tensor,
                                   struct px_arena *arena, size_t n_max, struct px_err *err)
{
    size_t n, size = px_datatype_size(tensor->type);
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    if (!px_tensor_elements(tensor, &n))
        return px_err_set(err, PX_E_TOO_LARGE, "tensor '%.*s': shape %s is too large",
                          PX_STR_ARG(tensor->name), px_tensor_shape_text(tensor, shape));
    if (n > n_max)
        return px_err_set(err, PX_E_INVALID, "tensor '%.*s': the data is too short for shape %s",
                          PX_STR_ARG(tensor->name), px_tensor_shape_text(tensor, shape));
    *writer = (struct px_tensor_writer){
        .tensor = tensor,
        .arena = arena,
        .n_total = n,
        .room = size ? n * size : TEXTS_FIRST_BYTES,
    };
    writer->to = allocate(writer, writer->room + 1, err);
    return writer->to ? PX_OK : PX_E_TOO_LARGE;
}

void px_tensor_writer_advance(struct px_tensor_writer *writer, size_t n)
{
    PX_ASSERT(px_datatype_size(writer->tensor->type) && n <= writer->n_total - writer->n);
    writer->n += n;
}

static enum px_code check_room(const struct px_tensor_writer *w, struct px_err *err)
{
    if (w->n < w->n_total)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "tensor '%.*s': expected no more than %zu values",
                      PX_STR_ARG(w->tensor->name), w->n_total);
}

static enum px_code refuse_kind(const struct px_tensor_writer *w, const char *what,
                                struct px_err *err)
{
    return px_err_set(err, PX_E_INVALID, "tensor '%.*s': element %zu: %s is no %s",
                      PX_STR_ARG(w->tensor->name), w->n, what, px_datatype_name(w->tensor->type));
}

static bool is_float(enum px_datatype type)
{
    return type == PX_TYPE_FP16 || type == PX_TYPE_BF16 || type == PX_TYPE_FP32 ||
           type == PX_TYPE_FP64;
}

enum px_code px_tensor_put_integer(struct px_tensor_writer *writer, uint64_t bits,
                                   struct px_err *err)
{
    size_t size = px_datatype_size(writer->tensor->type);
    PX_ASSERT(size);
    enum px_code code = check_room(writer, err);
    if (code != PX_OK)
        return code;
    memcpy(writer->to + writer->n * size, &bits, size); /* little-endian: the low bytes first */
    writer->n++;
    return PX_OK;
}

enum px_code px_tensor_put_number(struct px_tensor_writer *writer, double number,
                                  struct px_err *err)
{
    float narrow = (float)number;
    uint64_t bits;
    uint32_t narrow_bits;
    memcpy(&narrow_bits, &narrow, sizeof narrow_bits);
    memcpy(&bits, &number, sizeof bits);
    switch ((int)writer->tensor->type) { // clang-format off
    case PX_TYPE_FP64: return px_tensor_put_integer(writer, bits, err);
    case PX_TYPE_FP32: return px_tensor_put_integer(writer, narrow_bits, err);
    case PX_TYPE_BF16: return px_tensor_put_integer(writer, px_float_to_bfloat(narrow), err);
    case PX_TYPE_FP16: return px_tensor_put_integer(writer, px_float_to_half(number), err);
    default: return refuse_kind(writer, "a number with a fraction", err);
    } // clang-format on
}

enum px_code px_tensor_put_missing(struct px_tensor_writer *writer, struct px_err *err)
{
    return is_float(writer->tensor->type) ? px_tensor_put_number(writer, (double)NAN, err)
                                          : refuse_kind(writer, "null", err);
}

/* Makes room for `size` bytes more; what was written moves. */
static enum px_code grow(struct px_tensor_writer *w, size_t size, struct px_err *err)
{
    if (size <= w->room - w->len)
        return PX_OK;
    size_t room = w->room * 2 > w->len + size ? w->room * 2 : w->len + size;
    char *to = allocate(w, room, err);
    if (!to)
        return PX_E_TOO_LARGE;
    memcpy(to, w->to, w->len);
    w->to = to;
    w->room = room;
    return PX_OK;
}

enum px_code px_tensor_put_text(struct px_tensor_writer *writer, struct px_str text,
                                struct px_err *err)
{
    uint32_t len = (uint32_t)text.len;
    if (writer->tensor->type != PX_TYPE_BYTES)
        return refuse_kind(writer, "a text", err);
    if (text.len > UINT32_MAX)
        return refuse_kind(writer, "a text of 4 GiB", err);
    enum px_code code = check_room(writer, err);
    if (code == PX_OK)
        code = grow(writer, TEXT_LENGTH_BYTES + text.len, err);
    if (code != PX_OK)
        return code;
    memcpy(writer->to + writer->len, &len, sizeof len);
    if (text.len)
        memcpy(writer->to + writer->len + TEXT_LENGTH_BYTES, text.ptr, text.len);
    writer->len += TEXT_LENGTH_BYTES + text.len;
    writer->n++;
    return PX_OK;
}

enum px_code px_tensor_writer_end(struct px_tensor_writer *writer, struct px_err *err)
{
    const struct px_tensor *t = writer->tensor;
    size_t size = px_datatype_size(t->type);
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    writer->tensor->bytes = px_str_n(writer->to, size ? writer->n * size : writer->len);
    if (writer->n == writer->n_total)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "tensor '%.*s': shape %s needs %zu values, got %zu",
                      PX_STR_ARG(t->name), px_tensor_shape_text(t, shape), writer->n_total,
                      writer->n);
}
