/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder for any processor, and the twin that the vector ones are compared with. */
#include "domain/forest/kernels/codes/codes_tables.h"

static PX_ALWAYS_INLINE size_t count_f32(const float *numbers, float x)
{
    size_t count = 0;
    for (int i = 0; i < PX_CACHE_LINE / (int)sizeof x; i++)
        count += numbers[i] <= x;
    return count;
}

static PX_ALWAYS_INLINE size_t count_f64(const double *numbers, double x)
{
    size_t count = 0;
    for (int i = 0; i < PX_CACHE_LINE / (int)sizeof x; i++)
        count += numbers[i] <= x;
    return count;
}

#define ENCODE px_codes_encode_scalar
#include "domain/forest/kernels/codes/codes_encode.h"
