/* SPDX-License-Identifier: Apache-2.0 */
#include "application/bench/latencies.h"

#include "shared/compiler.h"

enum { SUB_BITS = 7, TOP_BIT_MAX = 40 };

_Static_assert(PX_LATENCIES_SUB == 1 << SUB_BITS, "sub-buckets");
_Static_assert(PX_LATENCIES_BUCKETS == (TOP_BIT_MAX - SUB_BITS + 2) * PX_LATENCIES_SUB, "buckets");

/* Values below 128 have a bucket each; above, the highest bit and the seven bits after it. */
static size_t bucket_of(uint64_t ns)
{
    if (ns < PX_LATENCIES_SUB)
        return (size_t)ns;
    int top = 63 - __builtin_clzll(ns);
    if (top > TOP_BIT_MAX)
        return PX_LATENCIES_BUCKETS - 1;
    int shift = top - SUB_BITS;
    return (size_t)shift * PX_LATENCIES_SUB + (size_t)(ns >> shift);
}

/* The largest value of a bucket. */
static uint64_t bucket_bound(size_t bucket)
{
    if (bucket < 2 * PX_LATENCIES_SUB)
        return bucket;
    size_t shift = bucket / PX_LATENCIES_SUB - 1;
    uint64_t leading = bucket % PX_LATENCIES_SUB + PX_LATENCIES_SUB;
    return ((leading + 1) << shift) - 1;
}

void px_latencies_add(struct px_latencies *l, uint64_t ns)
{
    if (l->count == 0 || ns < l->min)
        l->min = ns;
    if (ns > l->max)
        l->max = ns;
    l->counts[bucket_of(ns)]++;
    l->count++;
    l->sum += ns;
}

void px_latencies_merge(struct px_latencies *into, const struct px_latencies *from)
{
    if (from->count == 0)
        return;
    if (into->count == 0 || from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    for (size_t i = 0; i < PX_LATENCIES_BUCKETS; i++)
        into->counts[i] += from->counts[i];
    into->count += from->count;
    into->sum += from->sum;
}

uint64_t px_latencies_quantile(const struct px_latencies *l, double quantile)
{
    double share = quantile > 0 ? (quantile < 1 ? quantile : 1) : 0;
    double wanted = share * (double)l->count;
    uint64_t seen = 0;
    for (size_t i = 0; i < PX_LATENCIES_BUCKETS; i++) {
        seen += l->counts[i];
        if (seen == 0 || (double)seen < wanted)
            continue;
        uint64_t bound = bucket_bound(i);
        return i == PX_LATENCIES_BUCKETS - 1 || bound > l->max ? l->max : bound;
    }
    return 0;
}
