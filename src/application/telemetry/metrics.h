/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics: counters and histograms that loops write without sharing a cache line and anybody reads.
 *
 * Concepts. Each loop owns one shard (its index is the loop's number) and is its only writer, with
 * relaxed atomic stores; a reader merges the shards. So counting costs a plain add, and a sum that is
 * read while loops run may be a few events old but never torn. Errors are counted by code and model.
 */
#ifndef PX_APPLICATION_TELEMETRY_METRICS_H
#define PX_APPLICATION_TELEMETRY_METRICS_H

#include "shared/buf.h"
#include "shared/histogram.h"

enum {
    PX_SCORE_BINS = 20,   /* equal bins of [0, 1], or of the range seen at load for other scores */
    PX_BATCH_BINS = 14,   /* 1, 2, 3-4, 5-8, ... 4097 and more rows */
    PX_METRIC_CODES = 80, /* enum px_code values are below this */
    PX_METRIC_REFUSALS = 8,
    /* Batch sizes with a cell of their own, and then one cell per power of two up to 2^20. */
    PX_BATCH_SIZES_EXACT = 64,
    PX_BATCH_CELLS = PX_BATCH_SIZES_EXACT + 14,
};

/* Engine calls of one batch size, and what their steps took. */
struct px_batch_cell {
    _Atomic uint64_t count, input_ns, infer_ns, output_ns;
};

/* One model version's numbers in one loop. */
struct px_model_metrics {
#define PX_MODEL_COUNTER(field, name, help) _Atomic uint64_t field;
#define PX_SERVER_COUNTER(field, name, help)
#include "application/telemetry/metrics.def"
#undef PX_MODEL_COUNTER
#undef PX_SERVER_COUNTER
    _Atomic uint64_t errors[PX_METRIC_CODES];
    _Atomic uint64_t refused[PX_METRIC_REFUSALS]; /* by enum px_refusal */
    _Atomic uint64_t batch_bins[PX_BATCH_BINS];
    _Atomic uint64_t score_bins[PX_SCORE_BINS];
    struct px_histogram latency_ns; /* request read to response ready */
    struct px_histogram engine_ns;  /* one engine call */
    /*
     * Sums over requests, for the statistics of application/serving/statistics.h. Each request counts the whole of the
     * steps of its batch, as Triton does.
     */
    _Atomic uint64_t success_ns, fail_ns; /* from read to answered */
    _Atomic uint64_t queue_ns, input_ns, infer_ns, output_ns;
    _Atomic uint64_t cache_hit_ns,
        cache_miss_ns; /* from submit to the answer, or to its being known that there is none */
    _Atomic uint64_t last_ns; /* monotonic, the end of the last scored batch */
    struct px_batch_cell batches_of[PX_BATCH_CELLS];
};

/* The process's numbers in one loop. */
struct px_loop_metrics {
#define PX_MODEL_COUNTER(field, name, help)
#define PX_SERVER_COUNTER(field, name, help) _Atomic uint64_t field;
#include "application/telemetry/metrics.def"
#undef PX_MODEL_COUNTER
#undef PX_SERVER_COUNTER
    _Atomic uint64_t errors[PX_METRIC_CODES]; /* that belong to no model */
    struct px_histogram busy_ns;              /* one wake-up: how long other events had to wait */
};

/* Adds to a cell of which this thread is the only writer. */
static inline void px_metric_add(_Atomic uint64_t *cell, uint64_t n)
{
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* The same to one that several threads write: for what is rare. */
static inline void px_metric_add_shared(_Atomic uint64_t *cell, uint64_t n)
{
    atomic_fetch_add_explicit(cell, n, memory_order_relaxed);
}

static inline uint64_t px_metric_get(const _Atomic uint64_t *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

/* Bin of a batch of n >= 1 rows, and the largest batch of a bin (UINT64_MAX for the last). */
unsigned px_batch_bin(size_t n_rows);
uint64_t px_batch_bin_max(unsigned bin);

/* The cell of a batch of n >= 1 rows, and the largest batch of a cell, which it is named after. */
unsigned px_batch_cell(size_t n_rows);
uint64_t px_batch_cell_size(unsigned cell);

#endif
