/* SPDX-License-Identifier: Apache-2.0 */
#include "application/telemetry/metrics.h"

/* Bins grow by powers of two: 1, 2, 3-4, 5-8, ..., and the last takes everything above. */

unsigned px_batch_bin(size_t n_rows)
{
    PX_ASSERT(n_rows > 0);
    unsigned bin = n_rows == 1 ? 0 : (unsigned)(64 - __builtin_clzll(n_rows - 1));
    return bin < PX_BATCH_BINS ? bin : PX_BATCH_BINS - 1;
}

uint64_t px_batch_bin_max(unsigned bin)
{
    PX_ASSERT(bin < PX_BATCH_BINS);
    return bin == PX_BATCH_BINS - 1 ? UINT64_MAX : 1ull << bin;
}
