/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder for AVX2: 8 floats or 4 doubles a comparison; see codes_scalar.c for its twin. */
#include "domain/forest/kernels/codes/codes_tables.h"

#if defined(__x86_64__)
#include <immintrin.h>

static PX_ALWAYS_INLINE uint32_t mask_f32(const float *numbers, __m256 x)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(_mm256_load_ps(numbers), x, _CMP_LE_OQ));
}

static PX_ALWAYS_INLINE size_t count_f32(const float *numbers, float x)
{
    __m256 all = _mm256_set1_ps(x);
    uint32_t mask = mask_f32(numbers, all) | mask_f32(numbers + 8, all) << 8;
    return (size_t)_mm_popcnt_u32(mask);
}

static PX_ALWAYS_INLINE uint32_t mask_f64(const double *numbers, __m256d x)
{
    return (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(_mm256_load_pd(numbers), x, _CMP_LE_OQ));
}

static PX_ALWAYS_INLINE size_t count_f64(const double *numbers, double x)
{
    __m256d all = _mm256_set1_pd(x);
    uint32_t mask = mask_f64(numbers, all) | mask_f64(numbers + 4, all) << 4;
    return (size_t)_mm_popcnt_u32(mask);
}

#define ENCODE px_codes_encode_avx2
#include "domain/forest/kernels/codes/codes_encode.h"

#endif
