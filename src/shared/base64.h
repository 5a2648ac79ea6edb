/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 as JSON carries bytes (RFC 4648 §4). */
#ifndef PX_SHARED_BASE64_H
#define PX_SHARED_BASE64_H

#include "shared/err.h"

/* The most bytes that `n` characters can stand for. */
static inline size_t px_base64_decoded_max(size_t n)
{
    return n / 4 * 3 + 3;
}

/*
 * Decodes the whole of `text` into `out`, which has px_base64_decoded_max(text.len) bytes. Padding is required, as the
 * standard says, and nothing else may stand in the text. PX_E_INVALID names the place.
 */
PX_MUST_USE enum px_code px_base64_decode(struct px_str text, char *out, size_t *ret_len,
                                          struct px_err *err);

#endif
