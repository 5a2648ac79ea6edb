/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "shared/histogram.h"
#include "shared/rng.h"

static struct px_histogram histogram;
static struct px_histogram_view view;

static void reset(void)
{
    memset(&histogram, 0, sizeof histogram);
    memset(&view, 0, sizeof view);
}

PX_TEST(an_empty_one)
{
    reset();
    px_histogram_merge(&view, &histogram);
    CHECK_INT(view.count, 0);
    CHECK_INT(px_histogram_quantile(&view, 0.5), 0);
    CHECK_INT(px_histogram_count_below(&view, UINT64_MAX), 0);
}

PX_TEST(small_values_are_exact)
{
    reset();
    for (uint64_t v = 0; v < 32; v++)
        px_histogram_add(&histogram, v);
    px_histogram_merge(&view, &histogram);
    CHECK_INT(view.count, 32);
    CHECK_INT(view.sum, 31 * 32 / 2);
    CHECK_INT(view.max, 31);
    CHECK_INT(px_histogram_quantile(&view, 0), 0);
    CHECK_INT(px_histogram_quantile(&view, 0.5), 15);
    CHECK_INT(px_histogram_quantile(&view, 1), 31);
    CHECK_INT(px_histogram_count_below(&view, 9), 10);
}

PX_TEST(every_value_falls_into_a_bucket_that_holds_it)
{
    struct px_rng rng = px_rng(1);
    for (int i = 0; i < 20000; i++) {
        uint64_t value = px_rng_u64(&rng) >> (21 + px_rng_below(&rng, 43));
        reset();
        px_histogram_add(&histogram, value);
        px_histogram_add(&histogram, UINT64_MAX); /* so that the maximum does not help */
        px_histogram_merge(&view, &histogram);
        uint64_t bound = px_histogram_quantile(&view, 0.5);
        CHECK(bound >= value);
        CHECK(bound - value <= value / 16);
        CHECK_INT(px_histogram_count_below(&view, value), 1);
        CHECK_INT(px_histogram_count_below(&view, bound), 1);
        CHECK(value == 0 || px_histogram_count_below(&view, value - value / 16 - 1) == 0);
    }
}

PX_TEST(large_values_clamp)
{
    reset();
    px_histogram_add(&histogram, UINT64_MAX);
    px_histogram_add(&histogram, (uint64_t)1 << 44);
    px_histogram_add(&histogram, ((uint64_t)1 << 44) - 1);
    px_histogram_merge(&view, &histogram);
    CHECK_INT(view.counts[PX_HISTOGRAM_BUCKETS - 1], 3);
    CHECK(px_histogram_quantile(&view, 1) == UINT64_MAX);
}

PX_TEST(quantiles_against_sorted_values)
{
    static uint64_t values[10001];
    struct px_rng rng = px_rng(2);
    reset();
    for (size_t i = 0; i < 10001; i++) { /* inserted in order, so they are sorted */
        values[i] = (i ? values[i - 1] : 0) + px_rng_below(&rng, 1000);
        px_histogram_add(&histogram, values[i]);
    }
    px_histogram_merge(&view, &histogram);
    static const double quantiles[] = {0, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        double exact = (double)values[(size_t)(quantiles[i] * 10000)];
        double got = (double)px_histogram_quantile(&view, quantiles[i]);
        CHECK_NEAR(got, exact, exact / 16 + 1000);
    }
    CHECK_INT(px_histogram_quantile(&view, 1), values[10000]);
    CHECK_INT(px_histogram_quantile(&view, 7), values[10000]);
}

PX_TEST(shards_merge)
{
    reset();
    px_histogram_add(&histogram, 5);
    px_histogram_merge(&view, &histogram);
    px_histogram_add(&histogram, 100);
    px_histogram_merge(&view, &histogram);
    CHECK_INT(view.count, 3);
    CHECK_INT(view.sum, 110);
    CHECK_INT(view.max, 100);
    CHECK_INT(px_histogram_count_below(&view, 5), 2);
}

PX_TEST_MAIN(T(an_empty_one) T(small_values_are_exact)
                 T(every_value_falls_into_a_bucket_that_holds_it) T(large_values_clamp)
                     T(quantiles_against_sorted_values) T(shards_merge))
