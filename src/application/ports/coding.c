/* SPDX-License-Identifier: Apache-2.0 */
#include "application/ports/coding.h"

static const struct px_str names[PX_CODING_COUNT] = {
    [PX_CODING_NONE] = PX_STR("identity"),
    [PX_CODING_GZIP] = PX_STR("gzip"),
    [PX_CODING_DEFLATE] = PX_STR("deflate"),
    [PX_CODING_ZSTD] = PX_STR("zstd"),
};

const char *px_coding_name(enum px_coding coding)
{
    PX_ASSERT(coding < PX_CODING_COUNT);
    return names[coding].ptr;
}

enum px_coding px_coding_from_name(struct px_str name)
{
    static const struct px_str old_gzip = PX_STR("x-gzip");
    for (int i = 0; i < PX_CODING_COUNT; i++) {
        if (px_str_eq_nocase(name, names[i]))
            return (enum px_coding)i;
    }
    return px_str_eq_nocase(name, old_gzip) ? PX_CODING_GZIP : PX_CODING_COUNT;
}

static void check(const struct px_coder *coder, enum px_coding coding, const struct px_buf *out)
{
    PX_ASSERT(coder->ops->abi == PX_CODER_ABI);
    PX_ASSERT(coding > PX_CODING_NONE && coding < PX_CODING_COUNT && !out->failed);
}

/* Nobody gets half a result. */
static enum px_code settle(enum px_code code, struct px_buf *out, size_t before)
{
    if (code != PX_OK) {
        bool empty = out->ptr == NULL;
        out->len = before;
        out->failed = out->no_memory = false;
        if (!empty)
            out->ptr[before] = '\0';
    }
    return code;
}

enum px_code px_coder_decode(struct px_coder *coder, enum px_coding coding, struct px_str in,
                             struct px_buf *out, struct px_err *err)
{
    check(coder, coding, out);
    size_t before = out->len;
    return settle(coder->ops->decode(coder, coding, in, out, err), out, before);
}

enum px_code px_coder_encode(struct px_coder *coder, enum px_coding coding, struct px_str in,
                             struct px_buf *out, struct px_err *err)
{
    check(coder, coding, out);
    size_t before = out->len;
    return settle(coder->ops->encode(coder, coding, in, out, err), out, before);
}

void px_coder_destroy(struct px_coder *coder)
{
    if (coder)
        coder->ops->destroy(coder);
}
