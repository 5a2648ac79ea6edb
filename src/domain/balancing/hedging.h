/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a second copy of a request is sent to another server: after a fixed time, or when the request has taken longer than a
 * percentile of the recent ones (Dean and Barroso, "The Tail at Scale", 2013). With the 95th, one request in twenty is hedged.
 *
 * The percentile is exact over the last PX_HEDGE_SAMPLES latencies and is computed anew every PX_HEDGE_REFRESH of them. Before
 * the first refresh nothing is known, and nothing is hedged.
 *
 * Threads: one at a time.
 */
#ifndef PX_DOMAIN_BALANCING_HEDGING_H
#define PX_DOMAIN_BALANCING_HEDGING_H

#include <stddef.h>
#include <stdint.h>

enum { PX_HEDGE_SAMPLES = 512, PX_HEDGE_REFRESH = 32 };

struct px_hedging {
    uint64_t after_ns; /* fixed; 0: none */
    double percentile; /* 0 < p < 100; 0: none */
    uint64_t samples[PX_HEDGE_SAMPLES];
    uint64_t n_samples; /* ever */
    uint64_t estimate_ns;
};

/* Either may be 0; both 0: no hedging. With both, the later of the two counts. */
void px_hedging_init(struct px_hedging *self, uint64_t after_ns, double percentile);

/* A request was answered after this time. */
void px_hedging_add(struct px_hedging *self, uint64_t latency_ns);

/* How long to wait before the hedge; 0: no hedge. */
uint64_t px_hedging_delay_ns(const struct px_hedging *self);

#endif
