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
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void draw_seed(void)
{
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint64_t)getpid() * 0x9E3779B97F4A7C15u; /* weaker, but a start must not fail */
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
