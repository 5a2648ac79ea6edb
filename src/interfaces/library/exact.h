/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processor's arithmetic while the library works for a caller.
 *
 * Programs built with -ffast-math, or libraries that they load, make the processor treat denormal numbers as 0 or
 * round in another direction. That would change scores silently, and thresholds for the whole life of a model that
 * is opened so. Whatever computes for a caller stands between px_exact_begin and px_exact_end, on the same thread:
 * the default modes hold between them, and the caller's afterwards. The control register is written only where its
 * modes differ, so the pair costs one read of it.
 *
 * Known to x86-64 and 64-bit ARM. Elsewhere the caller's modes stay, as the manual says.
 */
#ifndef PX_INTERFACES_LIBRARY_EXACT_H
#define PX_INTERFACES_LIBRARY_EXACT_H

#include "shared/compiler.h"

#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>

/* Rounding and the two switches for denormals; exception flags and masks do not matter. */
#define PX_EXACT_MODES UINT64_C(0xe040)

static inline uint64_t px_exact_read(void)
{
    return _mm_getcsr();
}

static inline void px_exact_write(uint64_t modes)
{
    _mm_setcsr((unsigned)modes);
}
#elif defined(__aarch64__)
/* Default NaN, flush to zero (bits 25, 24), rounding (23, 22), flushing of halves (19) and of inputs (0). */
#define PX_EXACT_MODES UINT64_C(0x03c80001)

static inline uint64_t px_exact_read(void)
{
    uint64_t modes;
    __asm__ volatile("mrs %0, fpcr" : "=r"(modes)::"memory");
    return modes;
}

static inline void px_exact_write(uint64_t modes)
{
    __asm__ volatile("msr fpcr, %0" ::"r"(modes) : "memory");
}
#else
#define PX_EXACT_MODES UINT64_C(0)

static inline uint64_t px_exact_read(void)
{
    return 0;
}

static inline void px_exact_write(uint64_t modes)
{
    (void)modes;
}
#endif

/* Returns the caller's modes, for px_exact_end. */
static inline uint64_t px_exact_begin(void)
{
    uint64_t modes = px_exact_read();
    if (PX_UNLIKELY(modes & PX_EXACT_MODES))
        px_exact_write(modes & ~PX_EXACT_MODES);
    return modes;
}

static inline void px_exact_end(uint64_t modes)
{
    if (PX_UNLIKELY(modes & PX_EXACT_MODES))
        px_exact_write(modes);
}

#endif
