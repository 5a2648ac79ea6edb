/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/hash.h"

#include <pthread.h>
#include <sys/random.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wcast-align"
#pragma GCC diagnostic ignored "-Wswitch-enum"
#include <xxhash.h>
#pragma GCC diagnostic pop

static uint64_t seed;
static uint64_t wide_seed[2];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void draw_seed(void)
{
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint64_t)getpid() * 0x9E3779B97F4A7C15u; /* weaker, but a start must not fail */
    if (getrandom(wide_seed, sizeof wide_seed, 0) != (ssize_t)sizeof wide_seed)
        wide_seed[0] = wide_seed[1] = seed;
}

uint64_t px_hash(const void *bytes, size_t len)
{
    pthread_once(&seed_once, draw_seed);
    return XXH3_64bits_withSeed(bytes, len, seed);
}

uint64_t px_hash_content(const void *bytes, size_t len)
{
    return XXH3_64bits(bytes, len);
}

struct px_hash128 px_hash128_start(void)
{
    pthread_once(&seed_once, draw_seed);
    return (struct px_hash128){wide_seed[0], wide_seed[1]};
}

static uint64_t rotate(uint64_t value, unsigned n_bits)
{
    return value << n_bits | value >> (64 - n_bits);
}

/* Each piece is hashed with the low half so far as its seed, and both halves go on in both of the next. */
void px_hash128_add(struct px_hash128 *hash, const void *bytes, size_t len)
{
    XXH128_hash_t piece = XXH3_128bits_withSeed(bytes, len, hash->low);
    uint64_t low = piece.low64 + rotate(hash->high, 29);
    hash->high = piece.high64 ^ rotate(hash->high, 41) ^ hash->low * 0x9E3779B97F4A7C15u;
    hash->low = low;
}
