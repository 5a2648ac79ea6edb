/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heap. Everything outside src/shared/alloc.c allocates through these functions, so that tests
 * can count allocations and make the n-th one fail.
 *
 * px_alloc and px_realloc return NULL when memory is short; code that serves requests or reads
 * files turns that into PX_E_NO_MEMORY. px_xalloc aborts and is for start-up code only.
 * Threads: any.
 */
#ifndef PX_SHARED_ALLOC_H
#define PX_SHARED_ALLOC_H

#include "shared/compiler.h"

#include <stdint.h>

/* `count` zeroed elements of `size` bytes; NULL when short or when the product overflows. */
PX_MUST_USE void *px_alloc(size_t count, size_t size);

/* Resizes `ptr` (may be NULL); on failure returns NULL and leaves `ptr` valid. New bytes are not zeroed. */
PX_MUST_USE void *px_realloc(void *ptr, size_t count, size_t size);

/* `count` zeroed elements whose address is a multiple of `alignment` (a power of two). */
PX_MUST_USE void *px_alloc_aligned(size_t alignment, size_t count, size_t size);

/* Frees memory of any of the functions above; NULL is fine. */
void px_free(void *ptr);

/* px_alloc that aborts when memory is short. */
PX_MUST_USE void *px_xalloc(size_t count, size_t size);

/* Allocations made by this process so far (px_alloc, px_realloc, px_alloc_aligned). */
uint64_t px_alloc_count(void);

/* Test hook: the n-th allocation from now on this thread fails (1 = the next); 0 turns it off. */
void px_alloc_fail_at(uint64_t n);

#endif
