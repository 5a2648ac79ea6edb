/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler attributes, asserts, and the libc functions that this project does not call. */
#ifndef PX_SHARED_COMPILER_H
#define PX_SHARED_COMPILER_H

#include <stddef.h>

#define PX_MUST_USE           __attribute__((warn_unused_result))
#define PX_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define PX_NORETURN           __attribute__((noreturn))
#define PX_ALWAYS_INLINE      inline __attribute__((always_inline))
/* Opts a large local out of the automatic zeroing: it is written before it is read. */
#if defined(__has_attribute) && __has_attribute(uninitialized)
#define PX_UNINITIALIZED __attribute__((uninitialized))
#else
#define PX_UNINITIALIZED
#endif
#define PX_LIKELY(x)   __builtin_expect(!!(x), 1)
#define PX_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PX_CACHE_LINE  64

#define PX_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The object that embeds `member` at address `ptr`. */
#define PX_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/*
 * PX_ASSERT states what the program's own code guarantees; it stays in release builds, because a
 * crash with a place is better than a wrong score. It never judges input: bad input is an error.
 */
#define PX_ASSERT(condition)                                                                       \
    do {                                                                                           \
        if (PX_UNLIKELY(!(condition)))                                                             \
            px_assert_fail(__FILE__, __LINE__, #condition);                                        \
    } while (0)

PX_NORETURN void px_assert_fail(const char *file, int line, const char *condition);

#endif
