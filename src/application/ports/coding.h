/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: compression of bodies and messages, whole ones in memory.
 *
 * A coder keeps its working memory between uses, so that a warm one allocates nothing.
 *
 * An adapter fills a `const struct px_coder_ops` and embeds `struct px_coder` first in its own object. Callers use the px_coder_*
 * wrappers. Adapters: zlib and libzstd (infrastructure/coding); a memory one in tests/support.
 *
 * Threads: any, one at a time; usually a coder belongs to one event loop.
 */
#ifndef PX_APPLICATION_PORTS_CODING_H
#define PX_APPLICATION_PORTS_CODING_H

#include "shared/buf.h"

enum { PX_CODER_ABI = 1 };

enum px_coding {
    PX_CODING_NONE = 0, /* as it is: "identity" */
    PX_CODING_GZIP,     /* RFC 1952 */
    PX_CODING_DEFLATE,  /* RFC 1950: deflate in zlib's wrapper */
    PX_CODING_ZSTD,     /* RFC 8878 */
    PX_CODING_COUNT
};

/* All but "identity", as headers list them. */
#define PX_CODINGS "gzip,deflate,zstd"

/* "identity", "gzip", "deflate", "zstd". */
const char *px_coding_name(enum px_coding coding);
/* By name without case, also "x-gzip"; PX_CODING_COUNT when unknown. */
enum px_coding px_coding_from_name(struct px_str name);

struct px_coder;

struct px_coder_ops {
    uint32_t abi; /* PX_CODER_ABI */
    const char *name;

    /*
     * Appends what `in` decodes to; the wrapper takes back what a failure leaves in `out`. Waits for nothing. TOO_LARGE for more
     * than out->max, INVALID for bytes that are corrupt, cut off or followed by others, NO_MEMORY.
     */
    enum px_code (*decode)(struct px_coder *coder, enum px_coding coding, struct px_str in,
                           struct px_buf *out, struct px_err *err);
    /* Appends `in` encoded, with more care for time than for size; likewise. TOO_LARGE, NO_MEMORY. */
    enum px_code (*encode)(struct px_coder *coder, enum px_coding coding, struct px_str in,
                           struct px_buf *out, struct px_err *err);
    void (*destroy)(struct px_coder *coder);
};

struct px_coder {
    const struct px_coder_ops *ops;
};

/*
 * Any coding but NONE. On failure `out` holds what it held. decode: PX_E_TOO_LARGE naming the limit,
 * PX_E_INVALID for bytes that are not of this coding or do not end where `in` does, PX_E_NO_MEMORY.
 */
PX_MUST_USE enum px_code px_coder_decode(struct px_coder *coder, enum px_coding coding,
                                         struct px_str in, struct px_buf *out, struct px_err *err);
PX_MUST_USE enum px_code px_coder_encode(struct px_coder *coder, enum px_coding coding,
                                         struct px_str in, struct px_buf *out, struct px_err *err);
void px_coder_destroy(struct px_coder *coder); /* NULL is fine */

#endif
