/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of JSON strings, for the reader (json.c) and the writer (json_write.c) only. */
#ifndef PX_SHARED_JSON_TEXT_H
#define PX_SHARED_JSON_TEXT_H

#include "shared/str.h"

/* Passes over printable ASCII other than quote and backslash; stops at the latest at `end`. */
const char *px_json_skip_plain(const char *at, const char *end);

/*
 * Decodes the escapes of `text`, in which every backslash has a byte after it, into `out`, which has
 * text.len bytes (never needed in full). `out` may be NULL: then it is only checked. Returns NULL, or
 * the place of the first bad escape, with the reason.
 */
const char *px_json_unescape(struct px_str text, char *out, size_t *ret_len,
                             const char **ret_reason);

#endif
