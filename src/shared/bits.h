/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floating-point numbers as bits, and as integers that compare as the numbers do.
 *
 * An ordered integer is the bits of a number with the sign turned: unsigned integers so made compare as the
 * numbers they came from. -0 and +0 have one. NaN has no place among them.
 */
#ifndef PX_SHARED_BITS_H
#define PX_SHARED_BITS_H

#include "shared/compiler.h"

#include <stdint.h>
#include <string.h>

static PX_ALWAYS_INLINE float px_f32_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static PX_ALWAYS_INLINE double px_f64_of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static PX_ALWAYS_INLINE uint32_t px_f32_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static PX_ALWAYS_INLINE uint64_t px_f64_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static PX_ALWAYS_INLINE uint32_t px_f32_ordered(float x)
{
    uint32_t bits = px_f32_bits(x + 0.0F); /* -0 + 0 is +0 */
    return bits ^ ((uint32_t)((int32_t)bits >> 31) | UINT32_C(1) << 31);
}

static PX_ALWAYS_INLINE uint64_t px_f64_ordered(double x)
{
    uint64_t bits = px_f64_bits(x + 0.0);
    return bits ^ ((uint64_t)((int64_t)bits >> 63) | UINT64_C(1) << 63);
}

static PX_ALWAYS_INLINE float px_f32_of_ordered(uint32_t ordered)
{
    return px_f32_of_bits(ordered ^ (ordered >> 31 ? UINT32_C(1) << 31 : UINT32_MAX));
}

static PX_ALWAYS_INLINE double px_f64_of_ordered(uint64_t ordered)
{
    return px_f64_of_bits(ordered ^ (ordered >> 63 ? UINT64_C(1) << 63 : UINT64_MAX));
}

/* For qsort and bsearch over doubles, none of them NaN; -0 equals +0. */
static inline int px_f64_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#endif
