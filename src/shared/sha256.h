/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4): whether bytes are those that somebody published. For speed and tables see hash.h.
 *
 *     struct px_sha256 sha = px_sha256();
 *     px_sha256_add(&sha, bytes); ...
 *     px_sha256_end(&sha, hex);          // 64 digits and NUL
 */
#ifndef PX_SHARED_SHA256_H
#define PX_SHARED_SHA256_H

#include "shared/str.h"

#include <stdint.h>

enum { PX_SHA256_HEX = 65 };

struct px_sha256 {
    uint32_t state[8];
    uint64_t n_bytes;
    unsigned char block[64];
    size_t n_block;
};

struct px_sha256 px_sha256(void);
void px_sha256_add(struct px_sha256 *sha, struct px_str bytes);
void px_sha256_end(struct px_sha256 *sha, char hex[PX_SHA256_HEX]);

#endif
