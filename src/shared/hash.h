/* SPDX-License-Identifier: Apache-2.0 */
/* Hashing of bytes: XXH3-64 (xxHash specification 0.8), seeded per process, and unseeded for content; XXH3-128 over pieces. */
#ifndef PX_SHARED_HASH_H
#define PX_SHARED_HASH_H

#include <stddef.h>
#include <stdint.h>

/* For hash tables: differs from one process to the next. `bytes` may be NULL when `len` is 0. */
uint64_t px_hash(const void *bytes, size_t len);

/* For content: the same everywhere and for ever. */
uint64_t px_hash_content(const void *bytes, size_t len);

/* 128 bits over several pieces, for tables where a collision costs a comparison; differs from one process to the next. */
struct px_hash128 {
    uint64_t low, high;
};
struct px_hash128 px_hash128_start(void);
void px_hash128_add(struct px_hash128 *hash, const void *bytes, size_t len);

#endif
