/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame may ask its decoder for a window of any size; the limit is that of RFC 8878, 3.1.1.1.2, which every decoder has
 * to support. What is decoded goes to the buffer in steps, so a small body that decodes to much costs memory only as
 * far as the buffer's limit goes.
 */
#include "infrastructure/coding/zstd.h"

#include "infrastructure/coding/decode_space.h"
#include "shared/alloc.h"

#include <zstd.h>
#include <zstd_errors.h>

enum {
    LEVEL = 1, /* a reply is made once and read once */
    WINDOW_LOG_MAX = 23,
    FIRST_STEP = 4096,
    EXPECTED_RATIO = 4,
};

struct zstd_coder {
    struct px_coder base; /* first */
    ZSTD_DCtx *in;
    ZSTD_CCtx *out;
};

static struct zstd_coder *self_of(struct px_coder *coder)
{
    return (struct zstd_coder *)coder;
}

static enum px_code start_decoding(struct zstd_coder *self, struct px_err *err)
{
    if (self->in)
        return ZSTD_isError(ZSTD_DCtx_reset(self->in, ZSTD_reset_session_only))
                   ? px_coding_no_memory(err)
                   : PX_OK;
    self->in = ZSTD_createDCtx();
    if (!self->in ||
        ZSTD_isError(ZSTD_DCtx_setParameter(self->in, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
        return px_coding_no_memory(err);
    return PX_OK;
}

static enum px_code refuse_corrupt(size_t left, struct px_err *err)
{
    return px_err_set(err, PX_E_INVALID,
                      "the compressed bytes are corrupt or cut off, %zu before their end", left);
}

/* Decodes until the frame ends or room is needed; *ret_more tells which. */
static enum px_code decode_step(ZSTD_DCtx *context, ZSTD_inBuffer *in, struct px_buf *out,
                                size_t step, bool *ret_more, struct px_err *err)
{
    struct px_decode_space room;
    enum px_code code = px_decode_space_make(out, step, &room, err);
    if (code != PX_OK)
        return code;
    ZSTD_outBuffer to = {room.at, room.size, 0};
    size_t before = in->pos, status = ZSTD_decompressStream(context, &to, in);
    if (ZSTD_getErrorCode(status) == ZSTD_error_frameParameter_windowTooLarge)
        return px_err_set(err, PX_E_INVALID,
                          "the compressed bytes ask for a window of more than %d bytes",
                          1 << WINDOW_LOG_MAX);
    if (ZSTD_isError(status))
        return refuse_corrupt(in->size - before, err);
    code = px_decode_space_take(&room, to.pos, out, err);
    if (code != PX_OK)
        return code;
    if (status != 0 && to.pos == 0 && in->pos == before)
        return refuse_corrupt(in->size - before, err); /* it waits for bytes that are not there */
    *ret_more = status != 0;
    return PX_OK;
}

static enum px_code decode(struct px_coder *coder, enum px_coding coding, struct px_str bytes,
                           struct px_buf *out, struct px_err *err)
{
    struct zstd_coder *self = self_of(coder);
    ZSTD_inBuffer in = {bytes.ptr, bytes.len, 0};
    size_t step = bytes.len * EXPECTED_RATIO + FIRST_STEP;
    (void)coding;
    enum px_code code = start_decoding(self, err);
    /* Several frames may follow each other (RFC 8878, 3.1). */
    for (bool more = true; code == PX_OK && (more || in.pos < in.size);
         step = out->len + FIRST_STEP)
        code = decode_step(self->in, &in, out, step, &more, err);
    if (code == PX_OK && out->ptr)
        out->ptr[out->len] = '\0';
    return code;
}

static enum px_code encode(struct px_coder *coder, enum px_coding coding, struct px_str in,
                           struct px_buf *out, struct px_err *err)
{
    struct zstd_coder *self = self_of(coder);
    size_t bound = ZSTD_compressBound(in.len), left = out->max - out->len;
    size_t room = bound < left ? bound : left;
    (void)coding;
    if (!self->out)
        self->out = ZSTD_createCCtx();
    if (!self->out)
        return px_coding_no_memory(err);
    if (!px_buf_reserve(out, room))
        return px_coding_no_memory(err);
    size_t n = ZSTD_compressCCtx(self->out, out->ptr + out->len, room, in.ptr, in.len, LEVEL);
    if (ZSTD_isError(n))
        return px_err_set(err, PX_E_TOO_LARGE, "expected at most %zu bytes after compression",
                          left);
    out->len += n;
    out->ptr[out->len] = '\0';
    return PX_OK;
}

static void destroy(struct px_coder *coder)
{
    struct zstd_coder *self = self_of(coder);
    ZSTD_freeDCtx(self->in);
    ZSTD_freeCCtx(self->out);
    px_free(self);
}

enum px_code px_zstd_coder_create(struct px_coder **ret, struct px_err *err)
{
    static const struct px_coder_ops ops = {
        .abi = PX_CODER_ABI,
        .name = "zstd",
        .decode = decode,
        .encode = encode,
        .destroy = destroy,
    };
    struct zstd_coder *self = px_alloc(1, sizeof *self);
    if (!self)
        return px_coding_no_memory(err);
    self->base.ops = &ops;
    *ret = &self->base;
    return PX_OK;
}
