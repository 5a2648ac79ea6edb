/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/balancing/hedging.h"

#include "harness.h"
#include "shared/rng.h"

PX_TEST(a_fixed_delay_needs_no_latencies)
{
    struct px_hedging hedging;
    px_hedging_init(&hedging, 5000, 0);
    CHECK_INT(px_hedging_delay_ns(&hedging), 5000);
    px_hedging_add(&hedging, 1000000);
    CHECK_INT(px_hedging_delay_ns(&hedging), 5000);
    px_hedging_init(&hedging, 0, 0);
    CHECK_INT(px_hedging_delay_ns(&hedging), 0);
}

PX_TEST(a_percentile_of_nothing_hedges_nothing)
{
    struct px_hedging hedging;
    px_hedging_init(&hedging, 0, 95);
    for (unsigned i = 0; i < PX_HEDGE_REFRESH - 1; i++) {
        px_hedging_add(&hedging, 7);
        CHECK_INT(px_hedging_delay_ns(&hedging), 0);
    }
    px_hedging_add(&hedging, 7);
    CHECK_INT(px_hedging_delay_ns(&hedging), 7);
}

PX_TEST(the_percentile_is_that_of_the_last_latencies)
{
    struct px_hedging hedging;
    px_hedging_init(&hedging, 0, 95);
    for (uint64_t i = 0; i < 1000; i++)
        px_hedging_add(&hedging, 1 << 30);
    for (uint64_t i = 0; i < PX_HEDGE_SAMPLES; i++)
        px_hedging_add(&hedging, (i * 331) % PX_HEDGE_SAMPLES); /* 0 to 511 in another order */
    while (hedging.n_samples % PX_HEDGE_REFRESH)
        px_hedging_add(&hedging, 0);
    CHECK(px_hedging_delay_ns(&hedging) > 480 && px_hedging_delay_ns(&hedging) <= 486);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

PX_TEST(the_selection_agrees_with_sorting)
{
    struct px_rng rng = px_rng(4);
    for (int round = 0; round < 300; round++) {
        struct px_hedging hedging;
        double percentile = 0.5 + 99 * px_rng_unit(&rng);
        size_t n = PX_HEDGE_REFRESH * (1 + (size_t)px_rng_below(&rng, 16));
        uint64_t spread = 1 + px_rng_below(&rng, round % 2 ? 5 : 100000), sorted[PX_HEDGE_SAMPLES];
        px_hedging_init(&hedging, 0, percentile);
        for (size_t i = 0; i < n; i++) {
            sorted[i] = 1 + px_rng_below(&rng, spread);
            px_hedging_add(&hedging, sorted[i]);
        }
        qsort(sorted, n, sizeof *sorted, compare);
        CHECK_INT(px_hedging_delay_ns(&hedging), sorted[(size_t)((double)n * percentile / 100)]);
    }
}

PX_TEST(with_both_the_later_counts)
{
    struct px_hedging hedging;
    px_hedging_init(&hedging, 100, 50);
    CHECK_INT(px_hedging_delay_ns(&hedging), 0);
    for (unsigned i = 0; i < PX_HEDGE_REFRESH; i++)
        px_hedging_add(&hedging, 10);
    CHECK_INT(px_hedging_delay_ns(&hedging), 100);
    for (unsigned i = 0; i < PX_HEDGE_SAMPLES; i++)
        px_hedging_add(&hedging, 1000);
    CHECK_INT(px_hedging_delay_ns(&hedging), 1000);
}

PX_TEST_MAIN(T(a_fixed_delay_needs_no_latencies) T(a_percentile_of_nothing_hedges_nothing)
                 T(the_percentile_is_that_of_the_last_latencies)
                     T(the_selection_agrees_with_sorting) T(with_both_the_later_counts))
