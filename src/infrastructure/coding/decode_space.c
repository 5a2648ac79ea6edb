/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/coding/decode_space.h"

enum px_code px_coding_no_memory(struct px_err *err)
{
    return px_err_set(err, PX_E_NO_MEMORY, "no memory for compression");
}

enum px_code px_decode_space_make(struct px_buf *out, size_t step, struct px_decode_space *ret,
                                  struct px_err *err)
{
    size_t left = out->max - out->len;
    if (left > 0 && !px_buf_reserve(out, step < left ? step : left))
        return px_coding_no_memory(err);
    ret->at = &ret->spare;
    ret->size = 1;
    if (left > 0) {
        size_t there = out->cap - 1 - out->len; /* of a buffer whose limit was larger before */
        ret->at = out->ptr + out->len;
        ret->size = there < left ? there : left;
    }
    return PX_OK;
}

enum px_code px_decode_space_take(const struct px_decode_space *room, size_t written,
                                  struct px_buf *out, struct px_err *err)
{
    if (written && room->at == &room->spare)
        return px_err_set(err, PX_E_TOO_LARGE, "expected at most %zu bytes after decompression",
                          out->max);
    out->len += written;
    return PX_OK;
}
