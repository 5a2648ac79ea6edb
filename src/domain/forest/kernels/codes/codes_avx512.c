/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder for AVX-512: 16 floats or 8 doubles a comparison; see codes_scalar.c for its twin. */
#include "domain/forest/kernels/codes/codes_tables.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* Bits set in a mask. Without the barrier gcc 12 counts in 16 bits and widens: two instructions more. */
static PX_ALWAYS_INLINE size_t count_bits(uint32_t mask)
{
    __asm__("" : "+r"(mask));
    return (size_t)_mm_popcnt_u32(mask);
}

static PX_ALWAYS_INLINE size_t count_f32(const float *numbers, float x)
{
    return count_bits(_mm512_cmp_ps_mask(_mm512_load_ps(numbers), _mm512_set1_ps(x), _CMP_LE_OQ));
}

static PX_ALWAYS_INLINE size_t count_f64(const double *numbers, double x)
{
    return count_bits(_mm512_cmp_pd_mask(_mm512_load_pd(numbers), _mm512_set1_pd(x), _CMP_LE_OQ));
}

#define ENCODE px_codes_encode_avx512
#include "domain/forest/kernels/codes/codes_encode.h"

#endif
