/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/alloc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t allocations;
static _Thread_local uint64_t fail_countdown;

void px_assert_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "phoenix: bug at %s:%d: %s does not hold; please report this\n", file, line,
            condition);
    abort();
}

/* Counts the allocation; false when the test hook says that it fails. */
static bool admit(void)
{
    /* A statistic: no other memory depends on its order. */
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return PX_LIKELY(fail_countdown == 0) || --fail_countdown != 0;
}

void *px_alloc(size_t count, size_t size)
{
    return admit() ? calloc(count ? count : 1, size ? size : 1) : NULL;
}

void *px_realloc(void *ptr, size_t count, size_t size)
{
    return admit() ? reallocarray(ptr, count ? count : 1, size ? size : 1) : NULL;
}

void *px_alloc_aligned(size_t alignment, size_t count, size_t size)
{
    size_t bytes;
    if (!admit() || __builtin_mul_overflow(count ? count : 1, size ? size : 1, &bytes))
        return NULL;
    if (__builtin_add_overflow(bytes, alignment - 1, &bytes))
        return NULL;
    bytes &= ~(alignment - 1);
    void *ptr = aligned_alloc(alignment, bytes);
    return ptr ? memset(ptr, 0, bytes) : NULL;
}

void px_free(void *ptr)
{
    free(ptr);
}

void *px_xalloc(size_t count, size_t size)
{
    void *ptr = px_alloc(count, size);
    if (!ptr) {
        fprintf(stderr, "phoenix: out of memory for %zu x %zu bytes at start-up\n", count, size);
        abort();
    }
    return ptr;
}

uint64_t px_alloc_count(void)
{
    return atomic_load_explicit(&allocations, memory_order_relaxed);
}

void px_alloc_fail_at(uint64_t n)
{
    fail_countdown = n;
}
