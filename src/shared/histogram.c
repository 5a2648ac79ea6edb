/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buckets: values below 16 have one each; above, every power of two is cut into 16 equal parts, so the
 * bucket is the exponent and the four bits after the leading one.
 */
#include "shared/histogram.h"

enum { SUB_BITS = 4 };

static size_t bucket_of(uint64_t value)
{
    if (value < PX_HISTOGRAM_SUB)
        return (size_t)value;
    unsigned exponent = 63 - (unsigned)__builtin_clzll(value);
    size_t sub = (size_t)(value >> (exponent - SUB_BITS)) & (PX_HISTOGRAM_SUB - 1);
    size_t bucket = (size_t)(exponent - SUB_BITS + 1) * PX_HISTOGRAM_SUB + sub;
    return bucket < PX_HISTOGRAM_BUCKETS ? bucket : PX_HISTOGRAM_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t bucket_max(size_t bucket)
{
    if (bucket < PX_HISTOGRAM_SUB)
        return bucket;
    unsigned shift = (unsigned)(bucket / PX_HISTOGRAM_SUB) - 1;
    uint64_t first = (uint64_t)(PX_HISTOGRAM_SUB + bucket % PX_HISTOGRAM_SUB) << shift;
    return first + ((1ull << shift) - 1);
}

/* The cell has one writer, so a load and a store are enough. */
static void add(_Atomic uint64_t *cell, uint64_t n)
{
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

void px_histogram_add(struct px_histogram *h, uint64_t value)
{
    add(&h->counts[bucket_of(value)], 1);
    add(&h->count, 1);
    add(&h->sum, value);
    if (value > get(&h->max))
        atomic_store_explicit(&h->max, value, memory_order_relaxed);
}

void px_histogram_merge(struct px_histogram_view *into, const struct px_histogram *h)
{
    /* The count is what the buckets add up to: the writer may be between its stores. */
    for (size_t i = 0; i < PX_HISTOGRAM_BUCKETS; i++) {
        uint64_t n = get(&h->counts[i]);
        into->counts[i] += n;
        into->count += n;
    }
    into->sum += get(&h->sum);
    uint64_t max = get(&h->max);
    if (max > into->max)
        into->max = max;
}

uint64_t px_histogram_quantile(const struct px_histogram_view *view, double quantile)
{
    PX_ASSERT(quantile >= 0 && quantile <= 1);
    uint64_t seen = 0, rank = (uint64_t)(quantile * (double)view->count);
    if (view->count == 0)
        return 0;
    if (rank >= view->count)
        rank = view->count - 1;
    for (size_t i = 0; i < PX_HISTOGRAM_BUCKETS; i++) {
        seen += view->counts[i];
        if (seen > rank)
            return bucket_max(i) < view->max ? bucket_max(i) : view->max;
    }
    return view->max;
}

uint64_t px_histogram_count_below(const struct px_histogram_view *view, uint64_t bound)
{
    uint64_t count = 0;
    for (size_t i = 0; i < PX_HISTOGRAM_BUCKETS && bucket_max(i) <= bound; i++)
        count += view->counts[i];
    return count;
}
