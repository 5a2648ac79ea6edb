/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder for any processor, and the twin that the vector ones are compared with. */
#include "domain/forest/kernels/codes_tables.h"

#include <math.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE size_t count_f32(const float *numbers, float x)
{
    size_t count = 0;
    for (int i = 0; i < PX_CACHE_LINE / (int)sizeof x; i++)
        count += numbers[i] <= x;
    return count;
}

static ALWAYS_INLINE size_t count_f64(const double *numbers, double x)
{
    size_t count = 0;
    for (int i = 0; i < PX_CACHE_LINE / (int)sizeof x; i++)
        count += numbers[i] <= x;
    return count;
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

void px_codes_encode_scalar(const struct px_codes *codes, const struct px_matrix *rows,
                            size_t first, size_t n, uint8_t *out, size_t stride)
{
    if (codes->tables->type == PX_TYPE_FP32)
        encode_f32(codes->tables, rows, first, n, out, stride);
    else
        encode_f64(codes->tables, rows, first, n, out, stride);
}
