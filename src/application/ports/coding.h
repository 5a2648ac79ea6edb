/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: compression of bodies and messages, whole ones in memory.
 *
 * A coder keeps its working memory between uses, so that a warm one allocates nothing; it has one user at a time,
 * usually one event loop. Callers use the px_coder_* wrappers. Adapter: infrastructure/coding.
 */
#ifndef PX_APPLICATION_PORTS_CODING_H
#define PX_APPLICATION_PORTS_CODING_H

#include "shared/buf.h"

enum px_coding {
    PX_CODING_NONE = 0, /* as it is: "identity" */
    PX_CODING_GZIP,     /* RFC 1952 */
    PX_CODING_DEFLATE,  /* RFC 1950: deflate in zlib's wrapper */
    PX_CODING_ZSTD,     /* RFC 8878 */
    PX_CODING_COUNT
};

/* "identity", "gzip", "deflate", "zstd". */
const char *px_coding_name(enum px_coding coding);
/* By name without case, also "x-gzip"; PX_CODING_COUNT when unknown. */
enum px_coding px_coding_from_name(struct px_str name);

struct px_coder;

struct px_coder_ops {
    /* Appends what `in` decodes to. A result larger than out->max, or cut off or corrupt bytes, are errors. */
    enum px_code (*decode)(struct px_coder *coder, enum px_coding coding, struct px_str in,
                           struct px_buf *out, struct px_err *err);
    /* Appends `in` encoded, with more care for time than for size. */
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
