/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The coding port's memory adapter, for tests: no compression, but a mark of the coding, the length, the bytes and their sum.
 *
 *     struct memory_coder coder;
 *     struct px_coder *port = memory_coder_init(&coder);
 */
#ifndef PX_TESTS_MEMORY_CODER_H
#define PX_TESTS_MEMORY_CODER_H

#include "application/ports/coding.h"

enum { MEMORY_CODER_HEAD = 6 };

struct memory_coder {
    struct px_coder base; /* first */
    size_t n_decoded, n_encoded;
};

static inline char memory_coder_sum(struct px_str bytes)
{
    unsigned sum = 1;
    for (size_t i = 0; i < bytes.len; i++)
        sum = sum * 31 + (unsigned char)bytes.ptr[i];
    return (char)sum;
}

static inline enum px_code memory_coder_append(struct px_buf *out, struct px_str bytes,
                                               struct px_err *err)
{
    if (bytes.len > out->max - out->len)
        return px_err_set(err, PX_E_TOO_LARGE, "expected at most %zu bytes", out->max);
    px_buf_str(out, bytes);
    return px_buf_check(out, "the result", err);
}

static inline enum px_code memory_coder_decode(struct px_coder *coder, enum px_coding coding,
                                               struct px_str in, struct px_buf *out,
                                               struct px_err *err)
{
    struct memory_coder *self = (struct memory_coder *)coder;
    uint32_t len = 0;
    self->n_decoded++;
    if (in.len >= MEMORY_CODER_HEAD)
        memcpy(&len, in.ptr + 2, sizeof len);
    struct px_str bytes = px_str_n(in.ptr + MEMORY_CODER_HEAD, len);
    if (in.len != MEMORY_CODER_HEAD + (size_t)len || in.ptr[0] != (char)coding ||
        in.ptr[1] != memory_coder_sum(bytes))
        return px_err_set(err, PX_E_INVALID, "not of this coding, or cut off");
    return memory_coder_append(out, bytes, err);
}

static inline enum px_code memory_coder_encode(struct px_coder *coder, enum px_coding coding,
                                               struct px_str in, struct px_buf *out,
                                               struct px_err *err)
{
    struct memory_coder *self = (struct memory_coder *)coder;
    char head[MEMORY_CODER_HEAD] = {(char)coding, memory_coder_sum(in)};
    uint32_t len = (uint32_t)in.len;
    self->n_encoded++;
    memcpy(head + 2, &len, sizeof len);
    enum px_code code = memory_coder_append(out, px_str_n(head, sizeof head), err);
    return code == PX_OK ? memory_coder_append(out, in, err) : code;
}

static inline void memory_coder_destroy(struct px_coder *coder)
{
    (void)coder; /* the test's */
}

static inline struct px_coder *memory_coder_init(struct memory_coder *coder)
{
    static const struct px_coder_ops ops = {
        .abi = PX_CODER_ABI,
        .name = "memory",
        .decode = memory_coder_decode,
        .encode = memory_coder_encode,
        .destroy = memory_coder_destroy,
    };
    *coder = (struct memory_coder){.base.ops = &ops};
    return (struct px_coder *)coder;
}

#endif
