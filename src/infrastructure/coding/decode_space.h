/* SPDX-License-Identifier: Apache-2.0 */
/* What the adapters of this folder share: where a decoder writes next, and the error for no memory. Private to it. */
#ifndef PX_INFRASTRUCTURE_CODING_DECODE_SPACE_H
#define PX_INFRASTRUCTURE_CODING_DECODE_SPACE_H

#include "shared/buf.h"

struct px_decode_space {
    char *at;
    size_t size;
    char spare;
};

/*
 * Room behind what `out` holds, for about `step` bytes and never above its limit; once it is full the spare byte, which shows
 * whether more would come.
 */
PX_MUST_USE enum px_code px_decode_space_make(struct px_buf *out, size_t step,
                                              struct px_decode_space *ret, struct px_err *err);

/* `written` bytes have come: they count, or are one too many for `out`. */
PX_MUST_USE enum px_code px_decode_space_take(const struct px_decode_space *room, size_t written,
                                              struct px_buf *out, struct px_err *err);

enum px_code px_coding_no_memory(struct px_err *err);

#endif
