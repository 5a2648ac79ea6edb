/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of GPT-2, byte by byte as its regular expression finds them:
 *
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 */
#ifndef PX_DOMAIN_PROCESSING_TEXT_BYTES_SPLIT_H
#define PX_DOMAIN_PROCESSING_TEXT_BYTES_SPLIT_H

#include "shared/str.h"

/* Bytes of the first word of a well-formed text that is not empty. */
size_t px_text_bytes_word(struct px_str text);

#endif
