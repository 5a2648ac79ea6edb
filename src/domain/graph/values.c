/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of fixed size are copied as bytes. Rows of texts have no fixed size: their bounds are found by one walk over the lengths.
 */
#include "domain/graph/values.h"

#include "shared/unconst.h"

bool px_graph_is_number(enum px_datatype type)
{
    return type != PX_TYPE_NONE && type != PX_TYPE_BYTES;
}

/* Elements may lie at any address. */
#define READ_AS(type)                                                                              \
    do {                                                                                           \
        type value;                                                                                \
        memcpy(&value, tensor->bytes.ptr + i * sizeof value, sizeof value);                        \
        return (double)value;                                                                      \
    } while (0)

double px_graph_number(const struct px_tensor *tensor, size_t i)
{
    uint16_t half;
    switch (tensor->type) {
    case PX_TYPE_BOOL:
    case PX_TYPE_UINT8:
        READ_AS(uint8_t);
    case PX_TYPE_UINT16:
        READ_AS(uint16_t);
    case PX_TYPE_UINT32:
        READ_AS(uint32_t);
    case PX_TYPE_UINT64:
        READ_AS(uint64_t);
    case PX_TYPE_INT8:
        READ_AS(int8_t);
    case PX_TYPE_INT16:
        READ_AS(int16_t);
    case PX_TYPE_INT32:
        READ_AS(int32_t);
    case PX_TYPE_INT64:
        READ_AS(int64_t);
    case PX_TYPE_FP32:
        READ_AS(float);
    case PX_TYPE_FP64:
        READ_AS(double);
    case PX_TYPE_FP16:
    case PX_TYPE_BF16:
        memcpy(&half, tensor->bytes.ptr + i * sizeof half, sizeof half);
        return (double)(tensor->type == PX_TYPE_FP16 ? px_half_to_float(half)
                                                     : px_bfloat_to_float(half));
    case PX_TYPE_NONE:
    case PX_TYPE_BYTES:
    case PX_TYPE_COUNT:
    default:
        PX_ASSERT(px_graph_is_number(tensor->type));
        return 0;
    }
}

void px_graph_put_number(struct px_tensor *tensor, size_t i, double value)
{
    char *bytes = px_unconst(tensor->bytes.ptr);
    float narrow = (float)value;
    if (tensor->type == PX_TYPE_FP64)
        memcpy(bytes + i * sizeof value, &value, sizeof value);
    else
        memcpy(bytes + i * sizeof narrow, &narrow, sizeof narrow);
}

struct px_str *px_graph_texts(const struct px_tensor *tensor, size_t n, struct px_arena *arena)
{
    struct px_str rest = tensor->bytes;
    struct px_str *texts = px_arena_zalloc(arena, n + 1, sizeof *texts);
    for (size_t i = 0; texts && i < n && px_tensor_next_text(&rest, &texts[i]); i++)
        continue;
    return texts;
}

size_t px_graph_n_rows(const struct px_tensor *tensor)
{
    return tensor->n_dims ? (size_t)tensor->shape[0] : 1;
}

size_t px_graph_row_elements(const struct px_tensor *tensor)
{
    size_t n = 1;
    for (size_t i = 1; i < tensor->n_dims; i++)
        n *= (size_t)tensor->shape[i];
    return n;
}

void px_graph_shape_column(struct px_tensor *tensor, const struct px_tensor_spec *spec)
{
    bool column = tensor->n_dims == 1 || (tensor->n_dims == 2 && tensor->shape[1] == 1);
    bool wanted = spec->n_dims == 1 || spec->n_dims == 2;
    if (spec->any_rank || !column || !wanted)
        return;
    tensor->n_dims = spec->n_dims;
    tensor->shape[1] = 1;
}

/* ---- rows ---- */

/* Where each row lies; of texts their lengths are walked over. */
struct row_reader {
    const struct px_tensor *tensor;
    size_t row_elements, row_bytes; /* row_bytes 0: texts */
    struct px_str rest;             /* of texts */
};

static struct row_reader read_rows(const struct px_tensor *tensor)
{
    size_t elements = px_graph_row_elements(tensor);
    return (struct row_reader){tensor, elements, elements * px_datatype_size(tensor->type),
                               tensor->bytes};
}

/* The next row; must be called once per row. */
static struct px_str next_row(struct row_reader *reader)
{
    const char *begin = reader->rest.ptr;
    if (reader->tensor->type != PX_TYPE_BYTES) {
        reader->rest.ptr += reader->row_bytes;
        return px_str_n(begin, reader->row_bytes);
    }
    struct px_str text;
    for (size_t i = 0; i < reader->row_elements; i++) {
        if (!px_tensor_next_text(&reader->rest, &text))
            break;
    }
    return px_str_n(begin, (size_t)(reader->rest.ptr - begin));
}

static enum px_code fail_arena(struct px_arena *arena, struct px_err *err)
{
    return px_arena_check(arena, "the tensors of a graph", err);
}

static void append(char *out, size_t *at, struct px_str row)
{
    if (row.len)
        memcpy(out + *at, row.ptr, row.len);
    *at += row.len;
}

size_t *px_graph_row_starts(const struct px_tensor *tensor, struct px_arena *arena)
{
    size_t n = px_graph_n_rows(tensor), at = 0;
    size_t *starts = px_arena_alloc(arena, n + 1, sizeof *starts);
    struct row_reader reader = read_rows(tensor);
    for (size_t i = 0; starts && i < n; i++) {
        starts[i] = at;
        at += next_row(&reader).len;
    }
    if (starts)
        starts[n] = at;
    return starts;
}

struct px_tensor px_graph_slice(const struct px_tensor *tensor, const size_t *starts, size_t begin,
                                size_t end)
{
    struct px_tensor slice = *tensor;
    PX_ASSERT(tensor->n_dims && begin <= end && end <= tensor->shape[0]);
    slice.shape[0] = end - begin;
    slice.bytes = px_str_n(tensor->bytes.ptr + starts[begin], starts[end] - starts[begin]);
    return slice;
}

enum px_code px_graph_gather(const struct px_tensor *from, const struct px_graph_rows *rows,
                             struct px_arena *arena, struct px_tensor *ret, struct px_err *err)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    if (from->n_dims == 0 || from->shape[0] != rows->n)
        return px_err_set(err, PX_E_INVALID,
                          "tensor '%.*s' of shape %s: expected %zu rows, as the condition has",
                          PX_STR_ARG(from->name), px_tensor_shape_text(from, shape), rows->n);
    char *bytes = px_arena_alloc(arena, from->bytes.len + 1, 1);
    if (!bytes)
        return fail_arena(arena, err);
    struct row_reader reader = read_rows(from);
    size_t at = 0;
    for (size_t i = 0; i < rows->n; i++) {
        struct px_str row = next_row(&reader);
        if (rows->chosen[i])
            append(bytes, &at, row);
    }
    *ret = *from;
    ret->shape[0] = rows->n_chosen;
    ret->bytes = px_str_n(bytes, at);
    return PX_OK;
}

bool px_graph_same_rows(const struct px_tensor *a, const struct px_tensor *b)
{
    if (a->type != b->type || a->n_dims != b->n_dims || a->n_dims == 0)
        return false;
    for (size_t i = 1; i < a->n_dims; i++) {
        if (a->shape[i] != b->shape[i])
            return false;
    }
    return true;
}

static enum px_code check_merge(const struct px_graph_merge *merge, struct px_err *err)
{
    char got[PX_TENSOR_SHAPE_TEXT_MAX], other[PX_TENSOR_SHAPE_TEXT_MAX];
    size_t expected = merge->packed ? merge->rows->n_chosen : merge->rows->n;
    if (px_graph_same_rows(merge->chosen, merge->other) && merge->chosen->shape[0] == expected &&
        merge->other->shape[0] == merge->rows->n)
        return PX_OK;
    return px_err_set(
        err, PX_E_INVALID,
        "tensor '%.*s': %zu of %zu rows come as %s of %s, the others as %s of %s",
        PX_STR_ARG(merge->chosen->name), expected, merge->rows->n,
        px_datatype_name(merge->chosen->type), px_tensor_shape_text(merge->chosen, got),
        px_datatype_name(merge->other->type), px_tensor_shape_text(merge->other, other));
}

enum px_code px_graph_merge_rows(const struct px_graph_merge *merge, struct px_arena *arena,
                                 struct px_tensor *ret, struct px_err *err)
{
    enum px_code code = check_merge(merge, err);
    if (code != PX_OK)
        return code;
    char *bytes = px_arena_alloc(arena, merge->chosen->bytes.len + merge->other->bytes.len + 1, 1);
    if (!bytes)
        return fail_arena(arena, err);
    struct row_reader chosen = read_rows(merge->chosen), other = read_rows(merge->other);
    size_t at = 0;
    for (size_t i = 0; i < merge->rows->n; i++) {
        struct px_str kept = next_row(&other), row = kept;
        if (!merge->packed || merge->rows->chosen[i])
            row = next_row(&chosen);
        append(bytes, &at, merge->rows->chosen[i] ? row : kept);
    }
    size_t n_rows = merge->rows->n;
    *ret = *merge->chosen;
    ret->shape[0] = n_rows;
    ret->bytes = px_str_n(bytes, at);
    return PX_OK;
}

enum px_code px_graph_fill(const struct px_graph_value *value, const struct px_tensor_spec *spec,
                           size_t n_rows, struct px_arena *arena, struct px_tensor *ret,
                           struct px_err *err)
{
    bool rows = spec->n_dims && spec->shape[0] == PX_DIM_ANY;
    size_t times = rows ? n_rows : 1, n_bytes;
    PX_ASSERT(value->constant);
    *ret = (struct px_tensor){.name = spec->name, .type = spec->type, .n_dims = spec->n_dims};
    for (size_t i = 0; i < spec->n_dims; i++)
        ret->shape[i] = i == 0 && rows ? n_rows : (uint64_t)spec->shape[i];
    if (__builtin_mul_overflow(times, value->bytes.len, &n_bytes) || n_bytes == SIZE_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "%zu rows of a constant are too many", n_rows);
    char *bytes = px_arena_alloc(arena, n_bytes + 1, 1);
    if (!bytes)
        return fail_arena(arena, err);
    size_t at = 0;
    for (size_t i = 0; i < times; i++)
        append(bytes, &at, value->bytes);
    ret->bytes = px_str_n(bytes, at);
    return PX_OK;
}
