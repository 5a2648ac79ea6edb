/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latencies of a benchmark: counts by value with a relative error below 1/128 (the HdrHistogram layout,
 * Tene), so that two runs that differ by a percent can be told apart. shared/histogram.h, the server's,
 * knows a value to 1/16 and may be read while it is written; this one has one owner. A zeroed one is empty.
 */
#ifndef PX_APPLICATION_BENCH_LATENCIES_H
#define PX_APPLICATION_BENCH_LATENCIES_H

#include <stdint.h>

enum {
    PX_LATENCIES_SUB = 128,
    PX_LATENCIES_BUCKETS = (41 - 6) * 128, /* up to 2^41 - 1 ns (36 minutes), larger ones clamp */
};

struct px_latencies {
    uint64_t counts[PX_LATENCIES_BUCKETS];
    uint64_t count, sum, min, max; /* ns; min and max are exact, 0 when empty */
};

void px_latencies_add(struct px_latencies *latencies, uint64_t ns);
void px_latencies_merge(struct px_latencies *into, const struct px_latencies *from);

/* The least value that `quantile` (0..1) of the values do not exceed, up to its bucket's end; 0 when empty. */
uint64_t px_latencies_quantile(const struct px_latencies *latencies, double quantile);

static inline double px_latencies_mean(const struct px_latencies *latencies)
{
    return latencies->count ? (double)latencies->sum / (double)latencies->count : 0;
}

#endif
