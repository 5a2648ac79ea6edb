/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values below 16 have a bucket each. Above, a value's bucket is its highest bit (the power of two) and
 * the four bits after it. As there is one writer, it adds with a plain load and store; readers see each
 * count whole, and the counts of a moment that may be a few values apart.
 */
#include "shared/histogram.h"

enum { SUB_BITS = 4, TOP_BIT_MAX = 43 };

_Static_assert(PX_HISTOGRAM_SUB == 1 << SUB_BITS, "sub-buckets");
_Static_assert(PX_HISTOGRAM_BUCKETS == (TOP_BIT_MAX - SUB_BITS + 2) * PX_HISTOGRAM_SUB, "buckets");

static size_t bucket_of(uint64_t value)
{
    if (value < PX_HISTOGRAM_SUB)
        return (size_t)value;
    int top = 63 - __builtin_clzll(value);
    if (top > TOP_BIT_MAX)
        return PX_HISTOGRAM_BUCKETS - 1;
    int shift = top - SUB_BITS;
    return (size_t)shift * PX_HISTOGRAM_SUB + (size_t)(value >> shift);
}

/* The largest value of a bucket. */
static uint64_t bucket_bound(size_t bucket)
{
    if (bucket < 2 * PX_HISTOGRAM_SUB)
        return bucket;
    size_t shift = bucket / PX_HISTOGRAM_SUB - 1;
    uint64_t leading = bucket % PX_HISTOGRAM_SUB + PX_HISTOGRAM_SUB;
    return ((leading + 1) << shift) - 1;
}

static void add_relaxed(_Atomic uint64_t *counter, uint64_t amount)
{
    uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, old + amount, memory_order_relaxed);
}

void px_histogram_add(struct px_histogram *h, uint64_t value)
{
    add_relaxed(&h->counts[bucket_of(value)], 1);
    add_relaxed(&h->count, 1);
    add_relaxed(&h->sum, value);
    if (value > atomic_load_explicit(&h->max, memory_order_relaxed))
        atomic_store_explicit(&h->max, value, memory_order_relaxed);
}

void px_histogram_merge(struct px_histogram_view *into, const struct px_histogram *h)
{
    /* `count` is summed from the buckets, so that the view agrees with itself. */
    for (size_t i = 0; i < PX_HISTOGRAM_BUCKETS; i++) {
        uint64_t count = atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        into->counts[i] += count;
        into->count += count;
    }
    into->sum += atomic_load_explicit(&h->sum, memory_order_relaxed);
    uint64_t max = atomic_load_explicit(&h->max, memory_order_relaxed);
    if (max > into->max)
        into->max = max;
}

uint64_t px_histogram_quantile(const struct px_histogram_view *view, double quantile)
{
    double share = quantile > 0 ? (quantile < 1 ? quantile : 1) : 0;
    double wanted = share * (double)view->count;
    uint64_t seen = 0;
    for (size_t i = 0; i < PX_HISTOGRAM_BUCKETS; i++) {
        seen += view->counts[i];
        if (seen == 0 || (double)seen < wanted)
            continue;
        /* The last bucket has no end, and no value lies beyond the largest. */
        uint64_t bound = bucket_bound(i);
        return i == PX_HISTOGRAM_BUCKETS - 1 || bound > view->max ? view->max : bound;
    }
    return 0;
}

uint64_t px_histogram_count_below(const struct px_histogram_view *view, uint64_t bound)
{
    uint64_t seen = 0;
    for (size_t i = 0; i <= bucket_of(bound); i++)
        seen += view->counts[i];
    return seen;
}
