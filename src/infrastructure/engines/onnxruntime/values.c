/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors as values of the library, and back. */
#include "infrastructure/engines/onnxruntime/session.h"

#include "shared/unconst.h"

static void copy_shape(const struct px_tensor *tensor, int64_t *out)
{
    for (size_t i = 0; i < tensor->n_dims; i++)
        out[i] = (int64_t)tensor->shape[i];
}

/* ---- inputs ---- */

static void *fill_texts(const struct px_ort *ort, const struct px_tensor *tensor, void *value)
{
    struct px_str rest = tensor->bytes, text;
    void *status = NULL;
    for (size_t i = 0; !status && px_tensor_next_text(&rest, &text); i++) {
        char *buffer = NULL;
        status = ort->text_buffer(value, i, text.len, &buffer);
        if (!status && text.len)
            memcpy(buffer, text.ptr, text.len);
    }
    return status;
}

/* The library reads elements at addresses that fit their size: bytes that lie elsewhere are moved. */
static enum px_code align(const struct px_tensor *tensor, struct px_arena *arena, void **ret,
                          struct px_err *err)
{
    static const uint64_t nothing; /* an address for tensors without elements */
    size_t size = px_datatype_size(tensor->type);
    *ret = px_unconst(tensor->bytes.len ? (const void *)tensor->bytes.ptr : &nothing);
    if ((uintptr_t)*ret % size == 0)
        return PX_OK;
    void *copy = px_arena_alloc(arena, tensor->bytes.len, 1);
    if (copy)
        memcpy(copy, tensor->bytes.ptr, tensor->bytes.len);
    *ret = copy;
    return px_arena_check(arena, "the request's memory", err);
}

enum px_code px_ort_make_input(const struct px_ort *ort, const struct px_tensor *tensor,
                               struct px_arena *arena, void **ret, struct px_err *err)
{
    int64_t shape[PX_TENSOR_DIMS_MAX] = {0};
    void *data = NULL, *status;
    enum px_code code = PX_OK;
    copy_shape(tensor, shape);
    if (tensor->type == PX_TYPE_BYTES) {
        status = ort->create_tensor(ort->allocator, shape, tensor->n_dims,
                                    px_ort_type(PX_TYPE_BYTES), ret);
        if (!status)
            status = fill_texts(ort, tensor, *ret);
    } else {
        code = align(tensor, arena, &data, err);
        if (code != PX_OK)
            return code;
        status = ort->borrow_tensor(ort->cpu_memory, data, tensor->bytes.len, shape, tensor->n_dims,
                                    px_ort_type(tensor->type), ret);
    }
    code = px_ort_check(ort, status, NULL, err);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "input '%.*s'", PX_STR_ARG(tensor->name));
}

/* ---- outputs ---- */

static enum px_code read_shape(const struct px_ort *ort, const void *value, size_t *ret_elements,
                               struct px_tensor *ret, struct px_err *err)
{
    void *info = NULL;
    int type = 0;
    int64_t shape[PX_TENSOR_DIMS_MAX] = {0};
    void *status = ort->tensor_info(value, &info);
    if (!status)
        status = ort->element_type(info, &type);
    if (!status)
        status = ort->dimension_count(info, &ret->n_dims);
    if (!status && ret->n_dims <= PX_TENSOR_DIMS_MAX)
        status = ort->dimensions(info, shape, ret->n_dims);
    if (!status)
        status = ort->element_count(info, ret_elements);
    if (info)
        ort->release_tensor_info(info);
    enum px_code code = px_ort_check(ort, status, NULL, err);
    if (code != PX_OK)
        return code;
    ret->type = px_ort_datatype(type);
    if (ret->type == PX_TYPE_NONE || ret->n_dims > PX_TENSOR_DIMS_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED, "it has ONNX's type %d and %zu dimensions", type,
                          ret->n_dims);
    for (size_t i = 0; i < ret->n_dims; i++)
        ret->shape[i] = (uint64_t)shape[i];
    return PX_OK;
}

/*
 * The library gives all texts in one piece, and where each begins. They are read to the end of their memory and moved to
 * the front one by one, each behind its length: the i-th moves by 4 * (n - i - 1) bytes, so nothing is written over that is
 * still to be read.
 */
static enum px_code read_texts(const struct px_ort *ort, const void *value, size_t n,
                               struct px_arena *arena, struct px_str *ret, struct px_err *err)
{
    size_t total = 0, head;
    enum px_code code = px_ort_check(ort, ort->texts_length(value, &total), NULL, err);
    if (code != PX_OK)
        return code;
    if (__builtin_mul_overflow(n, sizeof(uint32_t), &head) || total > SIZE_MAX - head - 1)
        return px_err_set(err, PX_E_TOO_LARGE, "its texts take too much memory");
    char *memory = px_arena_alloc(arena, head + total + 1, 1);
    size_t *offsets = px_arena_alloc(arena, n + 1, sizeof *offsets);
    code = px_arena_check(arena, "the texts of an output", err);
    if (code == PX_OK && n)
        code = px_ort_check(ort, ort->texts(value, memory + head, total, offsets, n), NULL, err);
    if (code != PX_OK)
        return code;
    offsets[n] = total;
    char *to = memory;
    for (size_t i = 0; i < n; i++) {
        uint32_t len = (uint32_t)(offsets[i + 1] - offsets[i]);
        memcpy(to, &len, sizeof len);
        memmove(to + sizeof len, memory + head + offsets[i], len);
        to += sizeof len + len;
    }
    *ret = px_str_n(memory, head + total);
    return PX_OK;
}

enum px_code px_ort_read_tensor(const struct px_ort *ort, void *value, struct px_arena *arena,
                                struct px_tensor *ret, struct px_err *err)
{
    size_t n = 0;
    void *data = NULL;
    int kind = PX_ORT_UNKNOWN;
    enum px_code code = px_ort_check(ort, ort->value_type(value, &kind), NULL, err);
    if (code == PX_OK && kind != PX_ORT_TENSOR)
        return px_err_set(err, PX_E_UNSUPPORTED, "it is not a tensor");
    if (code == PX_OK)
        code = read_shape(ort, value, &n, ret, err);
    if (code == PX_OK && ret->type == PX_TYPE_BYTES)
        return read_texts(ort, value, n, arena, &ret->bytes, err);
    if (code == PX_OK)
        code = px_ort_check(ort, ort->tensor_data(value, &data), NULL, err);
    if (code == PX_OK)
        ret->bytes = px_str_n(data, n * px_datatype_size(ret->type));
    return code;
}
