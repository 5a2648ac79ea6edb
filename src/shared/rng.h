/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeded pseudo-random numbers: xoshiro256** (Blackman, Vigna, "Scrambled linear pseudorandom number
 * generators", 2021), state filled by splitmix64. The same seed gives the same stream on every
 * machine. Not for secrets.
 */
#ifndef PX_SHARED_RNG_H
#define PX_SHARED_RNG_H

#include <stdint.h>

struct px_rng {
    uint64_t s[4];
};

struct px_rng px_rng(uint64_t seed);

uint64_t px_rng_u64(struct px_rng *rng);
uint64_t px_rng_below(struct px_rng *rng, uint64_t n); /* uniform in [0, n), n > 0 */
double px_rng_unit(struct px_rng *rng);                /* uniform in [0, 1), 53 bits */
double px_rng_normal(struct px_rng *rng);              /* mean 0, deviation 1 */

#endif
