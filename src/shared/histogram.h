/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A latency histogram with bounded relative error (the HdrHistogram layout, Tene): 16 linear buckets
 * per power of two, so a value is known to 1/16. Fixed size, no allocation; one writer, any readers:
 * counts are relaxed atomics, a reader sees a slightly old but never torn count. A zeroed one is empty.
 */
#ifndef PX_SHARED_HISTOGRAM_H
#define PX_SHARED_HISTOGRAM_H

#include "shared/compiler.h"

#include <stdatomic.h>
#include <stdint.h>

enum {
    PX_HISTOGRAM_SUB = 16,
    PX_HISTOGRAM_BUCKETS =
        16 + 40 * 16, /* values up to 2^44 - 1 (ns: 4.8 hours), larger ones clamp */
};

struct px_histogram {
    _Atomic uint64_t counts[PX_HISTOGRAM_BUCKETS];
    _Atomic uint64_t count, sum, max;
};

void px_histogram_add(struct px_histogram *h, uint64_t value);

/* A plain copy for reading, into which the shards of several threads are merged. */
struct px_histogram_view {
    uint64_t counts[PX_HISTOGRAM_BUCKETS];
    uint64_t count, sum, max;
};

void px_histogram_merge(struct px_histogram_view *into, const struct px_histogram *h);

/* Smallest bucket bound that `quantile` (0..1) of the values do not exceed; 0 when empty. */
uint64_t px_histogram_quantile(const struct px_histogram_view *view, double quantile);

/* How many values were <= bound; those just above it, in its bucket, count too. */
uint64_t px_histogram_count_below(const struct px_histogram_view *view, uint64_t bound);

#endif
