/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bit-sliced kernel on 512-bit vectors, and on 128-bit ones for few rows. Needs byte permutes (VBMI) for the
 * leaves and the bit matrix product (GFNI) for the indexes.
 *
 * Leaves. A table holds the bytes of its values separately: all first bytes, all second bytes, and so on. A
 * permute looks up one byte for 64 rows; interleaving the results puts whole values together, in an order
 * that place_f32 and place_f64 know. Four permutes, eight interleavings and four additions make 64 sums.
 */
#include "domain/forest/kernels/bitslice/bitslice.h"

#if defined(__x86_64__)

#include <immintrin.h>

/* Truth tables of _mm512_ternarylogic_epi64. */
enum { A_THEN_B_ELSE_C = 0xCA, A_OR_B_AND_C = 0xF8 };

/*
 * The bit matrix product takes the rows of its matrix from the last byte to the first; times this constant it
 * is the transpose of the matrix with its bytes in reverse, hence PLANE.
 */
#define TRANSPOSING INT64_C(-9205322385119247871) /* 0x8040201008040201 */

#define PLANE(i)               planes[PX_SLICE_PLANES_MAX - 1 - (i)]
#define VECTOR                 __m512i
#define NAMED(name)            name##_512
#define SELECT(s, right, left) _mm512_ternarylogic_epi64(s, right, left, A_THEN_B_ELSE_C)
#define OR_AND(a, b, c)        _mm512_ternarylogic_epi64(a, b, c, A_OR_B_AND_C)
#include "domain/forest/kernels/bitslice/bitslice_network.h"
#define UNPACK_LOW(bits, a, b)  _mm512_unpacklo_epi##bits(a, b)
#define UNPACK_HIGH(bits, a, b) _mm512_unpackhi_epi##bits(a, b)
#define TRANSPOSE(x)            _mm512_gf2p8affine_epi64_epi8(_mm512_set1_epi64(TRANSPOSING), x, 0)
#define STORE(address, x)       _mm512_storeu_si512((void *)(address), x)
#include "domain/forest/kernels/bitslice/bitslice_transpose.h"
#undef VECTOR
#undef NAMED
#undef SELECT
#undef OR_AND
#undef UNPACK_LOW
#undef UNPACK_HIGH
#undef TRANSPOSE
#undef STORE

#define VECTOR                 __m128i
#define NAMED(name)            name##_128
#define SELECT(s, right, left) _mm_ternarylogic_epi64(s, right, left, A_THEN_B_ELSE_C)
#define OR_AND(a, b, c)        _mm_ternarylogic_epi64(a, b, c, A_OR_B_AND_C)
#include "domain/forest/kernels/bitslice/bitslice_network.h"
#define UNPACK_LOW(bits, a, b)  _mm_unpacklo_epi##bits(a, b)
#define UNPACK_HIGH(bits, a, b) _mm_unpackhi_epi##bits(a, b)
#define TRANSPOSE(x)            _mm_gf2p8affine_epi64_epi8(_mm_set1_epi64x(TRANSPOSING), x, 0)
#define STORE(address, x)       _mm_storeu_si128((void *)(address), x)
#include "domain/forest/kernels/bitslice/bitslice_transpose.h"

/* Where a chunk of 16 rows stands: bitslice_transpose.h, for four parts and for one. */
static uint32_t position_512(uint32_t chunk)
{
    return chunk % 4 * 8 + chunk / 4;
}

static uint32_t position_128(uint32_t chunk)
{
    return chunk;
}

/*
 * All masks are stored before the predicates read them as vectors: a load that spans younger stores would wait
 * for them.
 */
static void planes_of_codes(const uint8_t *codes, size_t n_slots, size_t lanes, uint64_t *planes)
{
    for (size_t slot = 0; slot < n_slots; slot++) {
        for (size_t rows = 0; rows < lanes / 64; rows++) {
            __m512i x = _mm512_loadu_si512(codes + slot * lanes + rows * 64);
            for (size_t bit = 0; bit < 8; bit++)
                planes[(slot * 8 + bit) * (lanes / 64) + rows] =
                    _mm512_test_epi8_mask(x, _mm512_set1_epi8((char)(1U << bit)));
        }
    }
}

static void planes_512(const uint8_t *codes, size_t n_slots, void *planes)
{
    planes_of_codes(codes, n_slots, 512, planes);
}

static void planes_128(const uint8_t *codes, size_t n_slots, void *planes)
{
    planes_of_codes(codes, n_slots, 128, planes);
}

static void indexes_512(const struct px_slice *slice, const struct px_slice_tree *tree, void *table,
                        uint8_t *out)
{
    __m512i planes[PX_SLICE_PLANES_MAX] PX_UNINITIALIZED;
    index_planes_512(slice, tree, table, planes);
    store_indexes_512(planes, out);
}

static void indexes_128(const struct px_slice *slice, const struct px_slice_tree *tree, void *table,
                        uint8_t *out)
{
    __m128i planes[PX_SLICE_PLANES_MAX] PX_UNINITIALIZED;
    index_planes_128(slice, tree, table, planes);
    store_indexes_128(planes, out);
}

/* One byte of the leaf of each of 64 rows, from a table of `slots` entries. */
static PX_ALWAYS_INLINE __m512i look_up(const uint8_t *table, __m512i index, uint32_t slots)
{
    const __m512i *part = (const void *)table;
    if (slots == 64)
        return _mm512_permutexvar_epi8(index, part[0]);
    __m512i low = _mm512_permutex2var_epi8(part[0], index, part[1]);
    if (slots == 128)
        return low;
    __m512i high = _mm512_permutex2var_epi8(part[2], index, part[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(index), low, high);
}

static PX_ALWAYS_INLINE void add_one_f32(const uint8_t *table, __m512i index, uint32_t slots,
                                         __m512 *sums)
{
    __m512i b0 = look_up(table, index, slots), b1 = look_up(table + slots, index, slots);
    __m512i b2 = look_up(table + 2 * slots, index, slots);
    __m512i b3 = look_up(table + 3 * slots, index, slots);
    __m512i low01 = _mm512_unpacklo_epi8(b0, b1), high01 = _mm512_unpackhi_epi8(b0, b1);
    __m512i low23 = _mm512_unpacklo_epi8(b2, b3), high23 = _mm512_unpackhi_epi8(b2, b3);
    sums[0] += _mm512_castsi512_ps(_mm512_unpacklo_epi16(low01, low23));
    sums[1] += _mm512_castsi512_ps(_mm512_unpackhi_epi16(low01, low23));
    sums[2] += _mm512_castsi512_ps(_mm512_unpacklo_epi16(high01, high23));
    sums[3] += _mm512_castsi512_ps(_mm512_unpackhi_epi16(high01, high23));
}

/* Values from their upper and lower halves: four sums of 8 rows each. */
static PX_ALWAYS_INLINE void add_halves(__m512i low01, __m512i low23, __m512i low45, __m512i low67,
                                        __m512d *sums)
{
    __m512i a = _mm512_unpacklo_epi16(low01, low23), b = _mm512_unpackhi_epi16(low01, low23);
    __m512i c = _mm512_unpacklo_epi16(low45, low67), d = _mm512_unpackhi_epi16(low45, low67);
    sums[0] += _mm512_castsi512_pd(_mm512_unpacklo_epi32(a, c));
    sums[1] += _mm512_castsi512_pd(_mm512_unpackhi_epi32(a, c));
    sums[2] += _mm512_castsi512_pd(_mm512_unpacklo_epi32(b, d));
    sums[3] += _mm512_castsi512_pd(_mm512_unpackhi_epi32(b, d));
}

static PX_ALWAYS_INLINE void add_one_f64(const uint8_t *table, __m512i index, uint32_t slots,
                                         __m512d *sums)
{
    __m512i b[8] PX_UNINITIALIZED;
#pragma GCC unroll 8
    for (uint32_t i = 0; i < 8; i++)
        b[i] = look_up(table + i * slots, index, slots);
    add_halves(_mm512_unpacklo_epi8(b[0], b[1]), _mm512_unpacklo_epi8(b[2], b[3]),
               _mm512_unpacklo_epi8(b[4], b[5]), _mm512_unpacklo_epi8(b[6], b[7]), sums);
    add_halves(_mm512_unpackhi_epi8(b[0], b[1]), _mm512_unpackhi_epi8(b[2], b[3]),
               _mm512_unpackhi_epi8(b[4], b[5]), _mm512_unpackhi_epi8(b[6], b[7]), sums + 4);
}

#define DEFINE_ADD(suffix, element, vector, n_sums)                                                \
    static PX_ALWAYS_INLINE void add_run_##suffix(                                                 \
        const struct px_slice *slice, const struct px_slice_run *run,                              \
        const struct px_slice_indexes *indexes, element *sums, uint32_t slots)                     \
    {                                                                                              \
        const struct px_slice_unit *units = &slice->units.items[run->first_unit];                  \
        for (size_t group = 0; group < indexes->n_groups; group++) {                               \
            vector local[n_sums] PX_UNINITIALIZED, *out = (void *)(sums + group * PX_SLICE_GROUP); \
            const uint8_t *bytes = indexes->bytes + group * PX_SLICE_GROUP;                        \
            memcpy(local, out, sizeof local);                                                      \
            for (uint32_t u = 0; u < run->n_units; u++) {                                          \
                __m512i index = _mm512_loadu_si512(bytes + units[u].tree * indexes->stride);       \
                add_one_##suffix(slice->tables + units[u].table, index, slots, local);             \
            }                                                                                      \
            memcpy(out, local, sizeof local);                                                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void add_##suffix(const struct px_slice *slice, const struct px_slice_run *run,         \
                             const struct px_slice_indexes *indexes, element *sums)                \
    {                                                                                              \
        if (slice->leaf_slots == 64)                                                               \
            add_run_##suffix(slice, run, indexes, sums, 64);                                       \
        else if (slice->leaf_slots == 128)                                                         \
            add_run_##suffix(slice, run, indexes, sums, 128);                                      \
        else                                                                                       \
            add_run_##suffix(slice, run, indexes, sums, 256);                                      \
    }

DEFINE_ADD(f32, float, __m512, 4)
DEFINE_ADD(f64, double, __m512d, 8)

/* Row 16 part + z: sum z / 4 has it in its part, at z % 4. */
static uint32_t place_f32(uint32_t row)
{
    uint32_t part = row / 16, z = row % 16;
    return z / 4 * 16 + part * 4 + z % 4;
}

static uint32_t place_f64(uint32_t row)
{
    uint32_t part = row / 16, z = row % 16;
    return z / 2 * 8 + part * 2 + z % 2;
}

const struct px_slice_form px_slice_form_512 = {
    .lanes = 512,
    .position = position_512,
    .planes = planes_512,
    .predicates = predicates_512,
    .indexes = indexes_512,
    .add_f32 = add_f32,
    .add_f64 = add_f64,
    .place_f32 = place_f32,
    .place_f64 = place_f64,
};

const struct px_slice_form px_slice_form_128 = {
    .lanes = 128,
    .position = position_128,
    .planes = planes_128,
    .predicates = predicates_128,
    .indexes = indexes_128,
    .add_f32 = add_f32,
    .add_f64 = add_f64,
    .place_f32 = place_f32,
    .place_f64 = place_f64,
};

#else
typedef int px_no_avx512; /* C wants a declaration in every file */
#endif
