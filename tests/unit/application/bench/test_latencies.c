/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "application/bench/latencies.h"
#include "shared/rng.h"

static struct px_latencies a, b;

static void empty(void)
{
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
}

PX_TEST(an_empty_one_has_no_quantiles)
{
    empty();
    CHECK_INT(px_latencies_quantile(&a, 0.5), 0);
    CHECK_DOUBLE(px_latencies_mean(&a), 0.0);
}

PX_TEST(a_value_is_known_to_one_part_in_128)
{
    struct px_rng rng = px_rng(1);
    for (int i = 0; i < 20000; i++) {
        uint64_t value = px_rng_u64(&rng) >> (24 + px_rng_below(&rng, 40));
        empty();
        px_latencies_add(&a, value);
        px_latencies_add(&a, value * 2); /* so that the largest value does not cut the bucket */
        uint64_t got = px_latencies_quantile(&a, 0.5);
        CHECK(got >= value && got - value <= value / 128);
    }
}

PX_TEST(quantiles_are_those_of_a_sorted_list)
{
    empty();
    for (uint64_t i = 1; i <= 100; i++)
        px_latencies_add(&a, 101 - i);
    CHECK_INT(px_latencies_quantile(&a, 0), 1);
    CHECK_INT(px_latencies_quantile(&a, 0.5), 50);
    CHECK_INT(px_latencies_quantile(&a, 0.99), 99);
    CHECK_INT(px_latencies_quantile(&a, 1), 100);
    CHECK_INT(px_latencies_quantile(&a, 7), 100);
    CHECK_INT(a.min, 1);
    CHECK_INT(a.max, 100);
    CHECK_DOUBLE(px_latencies_mean(&a), 50.5);
}

PX_TEST(huge_values_clamp_and_the_maximum_stays_exact)
{
    empty();
    px_latencies_add(&a, UINT64_MAX / 2);
    px_latencies_add(&a, 5);
    CHECK_INT(px_latencies_quantile(&a, 1), UINT64_MAX / 2);
    CHECK_INT(px_latencies_quantile(&a, 0.5), 5);
}

PX_TEST(merged_shards_equal_one)
{
    struct px_rng rng = px_rng(2);
    static struct px_latencies whole;
    empty();
    memset(&whole, 0, sizeof whole);
    for (int i = 0; i < 5000; i++) {
        uint64_t value = px_rng_below(&rng, 1000000);
        px_latencies_add(i % 3 ? &a : &b, value);
        px_latencies_add(&whole, value);
    }
    px_latencies_merge(&a, &b);
    CHECK(memcmp(&a, &whole, sizeof a) == 0);
    memset(&b, 0, sizeof b);
    px_latencies_merge(&a, &b);
    px_latencies_merge(&b, &a);
    CHECK(memcmp(&b, &whole, sizeof b) == 0);
}

PX_TEST_MAIN(T(an_empty_one_has_no_quantiles) T(a_value_is_known_to_one_part_in_128)
                 T(quantiles_are_those_of_a_sorted_list)
                     T(huge_values_clamp_and_the_maximum_stays_exact) T(merged_shards_equal_one))
