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

/* 1, 2, ... 64, then 65-128, 129-256, ..., and the last takes everything above. */

enum { EXACT_LOG2 = 6 };
_Static_assert(1 << EXACT_LOG2 == PX_BATCH_SIZES_EXACT, "cells go on where exact sizes end");

unsigned px_batch_cell(size_t n_rows)
{
    PX_ASSERT(n_rows > 0);
    if (n_rows <= PX_BATCH_SIZES_EXACT)
        return (unsigned)n_rows - 1;
    unsigned log2 = (unsigned)(64 - __builtin_clzll(n_rows - 1));
    unsigned cell = PX_BATCH_SIZES_EXACT + log2 - EXACT_LOG2 - 1;
    return cell < PX_BATCH_CELLS ? cell : PX_BATCH_CELLS - 1;
}

uint64_t px_batch_cell_size(unsigned cell)
{
    PX_ASSERT(cell < PX_BATCH_CELLS);
    if (cell < PX_BATCH_SIZES_EXACT)
        return cell + 1;
    return 1ull << (cell - PX_BATCH_SIZES_EXACT + EXACT_LOG2 + 1);
}
