/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/balancing/hedging.h"

#include <string.h>

void px_hedging_init(struct px_hedging *self, uint64_t after_ns, double percentile)
{
    memset(self, 0, sizeof *self);
    self->after_ns = after_ns;
    self->percentile = percentile;
}

/* The `rank`-th smallest of `n` values, which are reordered (Hoare's selection). */
static uint64_t select_rank(uint64_t *values, size_t n, size_t rank)
{
    size_t low = 0, high = n - 1;
    while (low < high) {
        uint64_t pivot = values[low + (high - low) / 2];
        size_t i = low, j = high;
        for (;;) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i >= j)
                break;
            uint64_t swapped = values[i];
            values[i++] = values[j];
            values[j--] = swapped;
        }
        if (rank <= j)
            high = j;
        else
            low = j + 1;
    }
    return values[rank];
}

static uint64_t percentile_of_samples(const struct px_hedging *self)
{
    uint64_t copy[PX_HEDGE_SAMPLES];
    size_t n = self->n_samples < PX_HEDGE_SAMPLES ? (size_t)self->n_samples : PX_HEDGE_SAMPLES;
    memcpy(copy, self->samples, n * sizeof *copy);
    size_t rank = (size_t)((double)n * self->percentile / 100);
    return select_rank(copy, n, rank < n ? rank : n - 1);
}

void px_hedging_add(struct px_hedging *self, uint64_t latency_ns)
{
    if (!(self->percentile > 0))
        return;
    self->samples[self->n_samples++ % PX_HEDGE_SAMPLES] = latency_ns;
    if (self->n_samples % PX_HEDGE_REFRESH == 0)
        self->estimate_ns = percentile_of_samples(self);
}

uint64_t px_hedging_delay_ns(const struct px_hedging *self)
{
    if (!(self->percentile > 0))
        return self->after_ns;
    if (self->estimate_ns == 0)
        return 0;
    return self->estimate_ns > self->after_ns ? self->estimate_ns : self->after_ns;
}
