/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves looked up one by one: for forms without byte permutes. Sums stand in the order of rows. */
#ifndef PX_DOMAIN_FOREST_BITSLICE_LEAVES_H
#define PX_DOMAIN_FOREST_BITSLICE_LEAVES_H

#include "domain/forest/kernels/bitslice/bitslice.h"

enum { PX_LEAVES_AT_ONCE = 8 }; /* rows whose sums live in registers */

#define DEFINE_ADD(suffix, element)                                                                \
    static inline void px_leaves_add_##suffix(                                                     \
        const struct px_slice *slice, const struct px_slice_run *run,                              \
        const struct px_slice_indexes *indexes, element *sums)                                     \
    {                                                                                              \
        const struct px_slice_unit *units = &slice->units.items[run->first_unit];                  \
        for (size_t row = 0; row < indexes->n_groups * PX_SLICE_GROUP; row += PX_LEAVES_AT_ONCE) { \
            element local[PX_LEAVES_AT_ONCE] PX_UNINITIALIZED;                                     \
            memcpy(local, sums + row, sizeof local);                                               \
            for (uint32_t u = 0; u < run->n_units; u++) {                                          \
                const element *table = (const void *)(slice->tables + units[u].table);             \
                const uint8_t *index = indexes->bytes + units[u].tree * indexes->stride + row;     \
                _Pragma("GCC unroll 8") for (int i = 0; i < PX_LEAVES_AT_ONCE; i++) local[i] +=    \
                    table[index[i]];                                                               \
            }                                                                                      \
            memcpy(sums + row, local, sizeof local);                                               \
        }                                                                                          \
    }

DEFINE_ADD(f32, float)
DEFINE_ADD(f64, double)
#undef DEFINE_ADD

static inline uint32_t px_leaves_place(uint32_t row)
{
    return row;
}

/* Transposes an 8 x 8 bit matrix: bit c of byte r becomes bit r of byte c (Hacker's Delight, 7-3). */
static inline uint64_t px_transpose_bits(uint64_t x)
{
    uint64_t t = (x ^ (x >> 7)) & UINT64_C(0x00AA00AA00AA00AA);
    x ^= t ^ (t << 7);
    t = (x ^ (x >> 14)) & UINT64_C(0x0000CCCC0000CCCC);
    x ^= t ^ (t << 14);
    t = (x ^ (x >> 28)) & UINT64_C(0x00000000F0F0F0F0);
    return x ^ t ^ (t << 28);
}

#endif
