/* SPDX-License-Identifier: Apache-2.0 */
/* The bit-sliced kernel on 256-bit vectors; leaves are looked up one by one, for want of byte permutes. */
#include "domain/forest/kernels/bitslice/bitslice_leaves.h"

#if defined(__x86_64__)

#include <immintrin.h>

enum { LANES = 256, PARTS = 2 };

#define VECTOR                 __m256i
#define NAMED(name)            name##_256
#define SELECT(s, right, left) ((((left) ^ (right)) & (s)) ^ (left))
#define OR_AND(a, b, c)        ((a) | ((b) & (c)))
#include "domain/forest/kernels/bitslice/bitslice_network.h"

/* px_transpose_bits in each 64-bit element. */
static inline __m256i transpose_bits(__m256i x)
{
    __m256i t = _mm256_and_si256(x ^ _mm256_srli_epi64(x, 7),
                                 _mm256_set1_epi64x(INT64_C(0x00AA00AA00AA00AA)));
    x ^= t ^ _mm256_slli_epi64(t, 7);
    t = _mm256_and_si256(x ^ _mm256_srli_epi64(x, 14),
                         _mm256_set1_epi64x(INT64_C(0x0000CCCC0000CCCC)));
    x ^= t ^ _mm256_slli_epi64(t, 14);
    t = _mm256_and_si256(x ^ _mm256_srli_epi64(x, 28),
                         _mm256_set1_epi64x(INT64_C(0x00000000F0F0F0F0)));
    return x ^ t ^ _mm256_slli_epi64(t, 28);
}

#define UNPACK_LOW(bits, a, b)  _mm256_unpacklo_epi##bits(a, b)
#define UNPACK_HIGH(bits, a, b) _mm256_unpackhi_epi##bits(a, b)
#define TRANSPOSE(x)            transpose_bits(x)
#define PLANE(i)                planes[i]
#define STORE(address, x)       _mm256_storeu_si256((void *)(address), x)
#include "domain/forest/kernels/bitslice/bitslice_transpose.h"

/* Where a chunk of 16 rows stands: bitslice_transpose.h. */
static uint32_t position(uint32_t chunk)
{
    return chunk % PARTS * 8 + chunk / PARTS;
}

static void planes_of_codes(const uint8_t *codes, size_t n_slots, void *planes)
{
    uint32_t *out = planes; /* 32 rows at a time */
    for (size_t slot = 0; slot < n_slots; slot++) {
        for (size_t rows = 0; rows < LANES / 32; rows++) {
            __m256i x = _mm256_loadu_si256((const void *)(codes + slot * LANES + rows * 32));
            for (size_t bit = 8; bit-- > 0;) { /* the highest bit of each byte, then the next */
                out[(slot * 8 + bit) * (LANES / 32) + rows] = (uint32_t)_mm256_movemask_epi8(x);
                x = _mm256_add_epi8(x, x);
            }
        }
    }
}

static void indexes(const struct px_slice *slice, const struct px_slice_tree *tree, void *table,
                    uint8_t *out)
{
    __m256i planes[PX_SLICE_PLANES_MAX] PX_UNINITIALIZED;
    index_planes_256(slice, tree, table, planes);
    store_indexes_256(planes, out);
}

const struct px_slice_form px_slice_form_256 = {
    .lanes = LANES,
    .position = position,
    .planes = planes_of_codes,
    .predicates = predicates_256,
    .indexes = indexes,
    .add_f32 = px_leaves_add_f32,
    .add_f64 = px_leaves_add_f64,
    .place_f32 = px_leaves_place,
    .place_f64 = px_leaves_place,
};

#else
typedef int px_no_avx2; /* C wants a declaration in every file */
#endif
