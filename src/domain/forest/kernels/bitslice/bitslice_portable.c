/* SPDX-License-Identifier: Apache-2.0 */
/* The bit-sliced kernel on 64-bit words: the scalar twin of the vector forms, and the one for any processor. */
#include "domain/forest/kernels/bitslice/bitslice_leaves.h"

#define VECTOR                 uint64_t
#define NAMED(name)            name##_64
#define SELECT(s, right, left) ((((left) ^ (right)) & (s)) ^ (left))
#define OR_AND(a, b, c)        ((a) | ((b) & (c)))
#include "domain/forest/kernels/bitslice/bitslice_network.h"

enum { LANES = 64 };

static uint32_t position(uint32_t chunk)
{
    return chunk;
}

/* Rows come eight at a time: their code bytes are a matrix of bits whose transpose has a byte per plane. */
static void planes_of_codes(const uint8_t *codes, size_t n_slots, void *planes)
{
    unsigned char *out = planes;
    for (size_t slot = 0; slot < n_slots; slot++) {
        for (size_t rows = 0; rows < LANES / 8; rows++) {
            uint64_t matrix;
            memcpy(&matrix, codes + slot * LANES + rows * 8, sizeof matrix);
            matrix = px_transpose_bits(matrix);
            for (size_t bit = 0; bit < 8; bit++)
                out[(slot * 8 + bit) * sizeof(uint64_t) + rows] =
                    (unsigned char)(matrix >> (8 * bit));
        }
    }
}

static void indexes(const struct px_slice *slice, const struct px_slice_tree *tree, void *table,
                    uint8_t *out)
{
    uint64_t planes[PX_SLICE_PLANES_MAX];
    index_planes_64(slice, tree, table, planes);
    for (size_t rows = 0; rows < LANES / 8; rows++) {
        uint64_t matrix = 0;
        for (size_t bit = 0; bit < tree->n_planes; bit++)
            matrix |= (planes[bit] >> (8 * rows) & 0xFF) << (8 * bit);
        matrix = px_transpose_bits(matrix);
        memcpy(out + 8 * rows, &matrix, sizeof matrix);
    }
}

const struct px_slice_form px_slice_form_64 = {
    .lanes = LANES,
    .position = position,
    .planes = planes_of_codes,
    .predicates = predicates_64,
    .indexes = indexes,
    .add_f32 = px_leaves_add_f32,
    .add_f64 = px_leaves_add_f64,
    .place_f32 = px_leaves_place,
    .place_f64 = px_leaves_place,
};
