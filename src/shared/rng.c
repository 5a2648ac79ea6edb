/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/rng.h"

#include "shared/compiler.h"

#include <math.h>

struct px_rng px_rng(uint64_t seed)
{
    struct px_rng rng = {{0}};
    for (int i = 0; i < 4; i++) { /* splitmix64 */
        uint64_t z = (seed += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        rng.s[i] = z ^ (z >> 31);
    }
    return rng;
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t px_rng_u64(struct px_rng *rng)
{
    uint64_t *s = rng->s, result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t px_rng_below(struct px_rng *rng, uint64_t n)
{
    PX_ASSERT(n > 0);
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;
    do {
        x = px_rng_u64(rng);
    } while (x >= limit); /* the tail that would favour small numbers */
    return x % n;
}

double px_rng_unit(struct px_rng *rng)
{
    return (double)(px_rng_u64(rng) >> 11) * 0x1p-53;
}

double px_rng_normal(struct px_rng *rng)
{
    /* Box-Muller; 1 - u keeps the logarithm's argument above zero. */
    double radius = sqrt(-2.0 * log(1.0 - px_rng_unit(rng)));
    return radius * cos(6.283185307179586 * px_rng_unit(rng));
}
