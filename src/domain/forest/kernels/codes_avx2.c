/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder for AVX2: 8 floats or 4 doubles a comparison; see codes_scalar.c for its twin. */
#include "domain/forest/kernels/codes_tables.h"

#include <math.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE uint32_t mask_f32(const float *numbers, __m256 x)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(_mm256_load_ps(numbers), x, _CMP_LE_OQ));
}

static ALWAYS_INLINE size_t count_f32(const float *numbers, float x)
{
    __m256 all = _mm256_set1_ps(x);
    uint32_t mask = mask_f32(numbers, all) | mask_f32(numbers + 8, all) << 8;
    return (size_t)_mm_popcnt_u32(mask);
}

static ALWAYS_INLINE uint32_t mask_f64(const double *numbers, __m256d x)
{
    return (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(_mm256_load_pd(numbers), x, _CMP_LE_OQ));
}

static ALWAYS_INLINE size_t count_f64(const double *numbers, double x)
{
    __m256d all = _mm256_set1_pd(x);
    uint32_t mask = mask_f64(numbers, all) | mask_f64(numbers + 4, all) << 4;
    return (size_t)_mm_popcnt_u32(mask);
}

#define ELEMENT     float
#define FABS        fabsf
#define COUNT       count_f32
#define NAMED(name) name##_f32
#include "domain/forest/kernels/codes_encode.h"
#undef ELEMENT
#undef FABS
#undef COUNT
#undef NAMED

#define ELEMENT     double
#define FABS        fabs
#define COUNT       count_f64
#define NAMED(name) name##_f64
#include "domain/forest/kernels/codes_encode.h"
#undef ELEMENT
#undef FABS
#undef COUNT
#undef NAMED

void px_codes_encode_avx2(const struct px_codes *codes, const struct px_matrix *rows, size_t first,
                          size_t n, uint8_t *out, size_t stride)
{
    if (codes->tables->type == PX_TYPE_FP32)
        encode_f32(codes->tables, rows, first, n, out, stride);
    else
        encode_f64(codes->tables, rows, first, n, out, stride);
}

#endif
