/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zlib behind ports/coding.h.
 *
 * Decoding grows the result step by step, so a small body that decodes to much costs memory only as far as the
 * limit goes, and is refused there. The steps start at a few times the body's length, which is enough for usual
 * data. Some clients label a raw deflate stream, or a gzip one, as "deflate": the first bytes tell what it is.
 */
#include "infrastructure/coding/zlib.h"

#include "infrastructure/coding/decode_space.h"
#include "shared/alloc.h"
#include "shared/unconst.h"

#include <zlib.h>

enum {
    LEVEL = 1, /* the fastest; a reply is made once and read once */
    GZIP_BITS = 15 + 16,
    ZLIB_BITS = 15,
    RAW_BITS = -15,
    MEMORY_LEVEL = 8,
    FIRST_STEP = 4096,
    EXPECTED_RATIO = 4,
    INPUT_MAX = 1 << 30, /* bytes at a time: zlib counts in 32 bits */
};

struct zlib_coder {
    struct px_coder base; /* first */
    z_stream in;
    bool in_made;
    bool out_made[PX_CODING_COUNT];
    z_stream outs[PX_CODING_COUNT];
};

static struct zlib_coder *self_of(struct px_coder *coder)
{
    return (struct zlib_coder *)coder;
}

static void *zlib_alloc(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return px_alloc(count, size);
}

static void zlib_free(void *opaque, void *memory)
{
    (void)opaque;
    px_free(memory);
}

static bool is_zlib(struct px_str in)
{
    const unsigned char *p = (const unsigned char *)in.ptr;
    return in.len >= 2 && (p[0] & 0x0F) == Z_DEFLATED && (p[0] >> 4) <= 7 &&
           (p[0] * 256u + p[1]) % 31 == 0;
}

static bool is_gzip(struct px_str in)
{
    return in.len >= 2 && (unsigned char)in.ptr[0] == 0x1F && (unsigned char)in.ptr[1] == 0x8B;
}

static int window_bits(enum px_coding coding, struct px_str in)
{
    if (coding == PX_CODING_GZIP || is_gzip(in))
        return GZIP_BITS;
    return is_zlib(in) ? ZLIB_BITS : RAW_BITS;
}

static enum px_code start_decoding(struct zlib_coder *self, int bits, struct px_err *err)
{
    z_stream *z = &self->in;
    if (self->in_made)
        return inflateReset2(z, bits) == Z_OK ? PX_OK : px_coding_no_memory(err);
    *z = (z_stream){.zalloc = zlib_alloc, .zfree = zlib_free};
    if (inflateInit2(z, bits) != Z_OK)
        return px_coding_no_memory(err);
    self->in_made = true;
    return PX_OK;
}

/* Bytes that zlib may be given at a time, whose counters are of 32 bits. */
static unsigned bounded(size_t n)
{
    return n < INPUT_MAX ? (unsigned)n : INPUT_MAX;
}

/* One call of inflate; moves `in` on. */
static enum px_code decode_step(z_stream *z, struct px_str *in, struct px_buf *out, size_t step,
                                int *ret_status, struct px_err *err)
{
    struct px_decode_space room;
    enum px_code code = px_decode_space_make(out, step, &room, err);
    if (code != PX_OK)
        return code;
    unsigned offered = bounded(in->len), size = bounded(room.size);
    z->next_in = px_unconst(in->ptr);
    z->avail_in = offered;
    z->next_out = (Bytef *)room.at;
    z->avail_out = size;
    *ret_status = inflate(z, Z_NO_FLUSH);
    size_t written = size - z->avail_out, taken = offered - z->avail_in;
    code = px_decode_space_take(&room, written, out, err);
    if (code != PX_OK)
        return code;
    *in = px_str_n(in->ptr + taken, in->len - taken);
    if (*ret_status == Z_MEM_ERROR)
        return px_coding_no_memory(err);
    if (*ret_status == Z_STREAM_END || (*ret_status == Z_OK && written + taken > 0))
        return PX_OK;
    return px_err_set(err, PX_E_INVALID,
                      "the compressed bytes are corrupt or cut off, %zu before their end", in->len);
}

/* With `bits` of gzip several members may follow each other (RFC 1952, 2.2). */
static enum px_code decode_steps(z_stream *z, int bits, struct px_str in, struct px_buf *out,
                                 struct px_err *err)
{
    size_t step = in.len * EXPECTED_RATIO + FIRST_STEP;
    int status = Z_OK;
    while (status != Z_STREAM_END) {
        enum px_code code = decode_step(z, &in, out, step, &status, err);
        if (code != PX_OK)
            return code;
        step = out->len + FIRST_STEP;
        if (status == Z_STREAM_END && bits == GZIP_BITS && is_gzip(in))
            status = inflateReset(z);
    }
    if (in.len)
        return px_err_set(err, PX_E_INVALID, "%zu bytes follow the end of the compressed data",
                          in.len);
    if (out->ptr)
        out->ptr[out->len] = '\0';
    return PX_OK;
}

static enum px_code decode(struct px_coder *coder, enum px_coding coding, struct px_str in,
                           struct px_buf *out, struct px_err *err)
{
    struct zlib_coder *self = self_of(coder);
    int bits = window_bits(coding, in);
    enum px_code code = start_decoding(self, bits, err);
    return code == PX_OK ? decode_steps(&self->in, bits, in, out, err) : code;
}

static enum px_code start_encoding(struct zlib_coder *self, enum px_coding coding,
                                   struct px_err *err)
{
    z_stream *z = &self->outs[coding];
    int bits = coding == PX_CODING_GZIP ? GZIP_BITS : ZLIB_BITS;
    if (self->out_made[coding])
        return deflateReset(z) == Z_OK ? PX_OK : px_coding_no_memory(err);
    *z = (z_stream){.zalloc = zlib_alloc, .zfree = zlib_free};
    if (deflateInit2(z, LEVEL, Z_DEFLATED, bits, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return px_coding_no_memory(err);
    self->out_made[coding] = true;
    return PX_OK;
}

static enum px_code encode(struct px_coder *coder, enum px_coding coding, struct px_str in,
                           struct px_buf *out, struct px_err *err)
{
    struct zlib_coder *self = self_of(coder);
    enum px_code code = start_encoding(self, coding, err);
    if (code != PX_OK)
        return code;
    z_stream *z = &self->outs[coding];
    size_t bound = deflateBound(z, in.len), left = out->max - out->len;
    size_t room = bound < left ? bound : left;
    if (in.len > INPUT_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "expected at most %d bytes to compress, got %zu",
                          INPUT_MAX, in.len);
    if (!px_buf_reserve(out, room))
        return px_coding_no_memory(err);
    z->next_in = px_unconst(in.ptr);
    z->avail_in = (unsigned)in.len;
    z->next_out = (Bytef *)out->ptr + out->len;
    z->avail_out = bounded(room);
    size_t offered = z->avail_out;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return px_err_set(err, PX_E_TOO_LARGE, "expected at most %zu bytes after compression",
                          left);
    out->len += offered - z->avail_out;
    out->ptr[out->len] = '\0';
    return PX_OK;
}

static void destroy(struct px_coder *coder)
{
    struct zlib_coder *self = self_of(coder);
    if (self->in_made)
        (void)inflateEnd(&self->in);
    for (int i = 0; i < PX_CODING_COUNT; i++) {
        if (self->out_made[i])
            (void)deflateEnd(&self->outs[i]);
    }
    px_free(self);
}

enum px_code px_zlib_coder_create(struct px_coder **ret, struct px_err *err)
{
    static const struct px_coder_ops ops = {
        .abi = PX_CODER_ABI,
        .name = "zlib",
        .decode = decode,
        .encode = encode,
        .destroy = destroy,
    };
    struct zlib_coder *self = px_alloc(1, sizeof *self);
    if (!self)
        return px_coding_no_memory(err);
    self->base.ops = &ops;
    *ret = &self->base;
    return PX_OK;
}
