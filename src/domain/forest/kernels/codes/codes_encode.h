/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An encoder for both element types; included once per instruction set, by a file that defines
 *     ENCODE               the name of the encoder
 *     count_f32(group, x)  how many numbers of a group, a cache line of floats, are <= x
 *     count_f64(group, x)  the same for doubles
 * Instruction sets differ in the counts alone.
 */
#ifndef PX_DOMAIN_FOREST_CODES_ENCODE_H
#define PX_DOMAIN_FOREST_CODES_ENCODE_H

#include <math.h>

#define ELEMENT     float
#define FABS        fabsf
#define COUNT       count_f32
#define NAMED(name) name##_f32
#include "domain/forest/kernels/codes/codes_encode_type.h"
#undef ELEMENT
#undef FABS
#undef COUNT
#undef NAMED

#define ELEMENT     double
#define FABS        fabs
#define COUNT       count_f64
#define NAMED(name) name##_f64
#include "domain/forest/kernels/codes/codes_encode_type.h"
#undef ELEMENT
#undef FABS
#undef COUNT
#undef NAMED

void ENCODE(const struct px_codes *codes, const struct px_matrix *rows, size_t first, size_t n,
            uint8_t *out, size_t stride)
{
    if (codes->tables->type == PX_TYPE_FP32)
        encode_f32(codes->tables, rows, first, n, out, stride);
    else
        encode_f64(codes->tables, rows, first, n, out, stride);
}

#endif
