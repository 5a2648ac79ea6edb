/* SPDX-License-Identifier: Apache-2.0 */
/* Hashing of bytes: XXH3-64 (xxHash specification 0.8), seeded per process, and unseeded for content. */
#ifndef PX_SHARED_HASH_H
#define PX_SHARED_HASH_H

#include <stddef.h>
#include <stdint.h>

/* For hash tables: differs from one process to the next. `bytes` may be NULL when `len` is 0. */
uint64_t px_hash(const void *bytes, size_t len);

/* For content: the same everywhere and for ever. */
uint64_t px_hash_content(const void *bytes, size_t len);

#endif
