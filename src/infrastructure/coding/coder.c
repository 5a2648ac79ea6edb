/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/coding/coder.h"

#include "infrastructure/coding/zlib.h"
#include "infrastructure/coding/zstd.h"
#include "shared/alloc.h"

struct coder {
    struct px_coder base; /* first */
    struct px_coder *zlib, *zstd;
};

static struct coder *self_of(struct px_coder *coder)
{
    return (struct coder *)coder;
}

static struct px_coder *coder_for(struct px_coder *coder, enum px_coding coding)
{
    const struct coder *self = self_of(coder);
    return coding == PX_CODING_ZSTD ? self->zstd : self->zlib;
}

static enum px_code decode(struct px_coder *coder, enum px_coding coding, struct px_str in,
                           struct px_buf *out, struct px_err *err)
{
    return px_coder_decode(coder_for(coder, coding), coding, in, out, err);
}

static enum px_code encode(struct px_coder *coder, enum px_coding coding, struct px_str in,
                           struct px_buf *out, struct px_err *err)
{
    return px_coder_encode(coder_for(coder, coding), coding, in, out, err);
}

static void destroy(struct px_coder *coder)
{
    struct coder *self = self_of(coder);
    px_coder_destroy(self->zlib);
    px_coder_destroy(self->zstd);
    px_free(self);
}

enum px_code px_coder_create(struct px_coder **ret, struct px_err *err)
{
    static const struct px_coder_ops ops = {
        .abi = PX_CODER_ABI,
        .name = "zlib and zstd",
        .decode = decode,
        .encode = encode,
        .destroy = destroy,
    };
    struct coder *self = px_alloc(1, sizeof *self);
    if (!self)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for compression");
    self->base.ops = &ops;
    enum px_code code = px_zlib_coder_create(&self->zlib, err);
    if (code == PX_OK)
        code = px_zstd_coder_create(&self->zstd, err);
    if (code == PX_OK)
        *ret = &self->base;
    else
        px_coder_destroy(&self->base);
    return code;
}
