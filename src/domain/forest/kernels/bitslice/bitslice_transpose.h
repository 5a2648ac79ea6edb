/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From bit planes to index bytes, for one type of vector of 128-bit parts; included once for each, hence no
 * include guard. The includer defines VECTOR, NAMED(name), UNPACK_LOW(bits, a, b) and UNPACK_HIGH(bits, a, b),
 * which interleave elements within each 128-bit part, TRANSPOSE(x), which transposes the 8 x 8 bit matrix in
 * each 64-bit element, PLANE(i), the plane that TRANSPOSE wants i-th, and STORE(address, x).
 *
 * A block has L parts. Row i = 16 L v + 16 part + z (v < 8, z < 16) has its bit at 128 part + 16 v + z of a
 * plane. Interleaving eight planes three times, by bytes, pairs and fours, leaves in 64-bit element h of part p
 * of vector v the byte of each plane with the bits of rows z = 8 h ... 8 h + 7; transposed, these are the
 * rows' index bytes. So vector v holds 16 L consecutive rows in order.
 */

static PX_ALWAYS_INLINE void NAMED(store_indexes)(const VECTOR *planes, uint8_t *out)
{
    VECTOR bytes[8] PX_UNINITIALIZED, pairs[8] PX_UNINITIALIZED;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) { /* [half of the part][planes 2 i and 2 i + 1] */
        bytes[i] = UNPACK_LOW(8, PLANE(2 * i), PLANE(2 * i + 1));
        bytes[4 + i] = UNPACK_HIGH(8, PLANE(2 * i), PLANE(2 * i + 1));
    }
#pragma GCC unroll 2
    for (int half = 0; half < 8; half += 4) { /* [quarter of the part][planes 4 i ... 4 i + 3] */
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) {
            pairs[half + i] = UNPACK_LOW(16, bytes[half + 2 * i], bytes[half + 2 * i + 1]);
            pairs[half + 2 + i] = UNPACK_HIGH(16, bytes[half + 2 * i], bytes[half + 2 * i + 1]);
        }
    }
#pragma GCC unroll 4
    for (int quarter = 0; quarter < 8; quarter += 2) {
        VECTOR low = UNPACK_LOW(32, pairs[quarter], pairs[quarter + 1]);
        VECTOR high = UNPACK_HIGH(32, pairs[quarter], pairs[quarter + 1]);
        STORE(out + (size_t)quarter * sizeof(VECTOR), TRANSPOSE(low));
        STORE(out + (size_t)(quarter + 1) * sizeof(VECTOR), TRANSPOSE(high));
    }
}
