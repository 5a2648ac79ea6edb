/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel table of a model: how long each kernel takes for batches of several sizes, on this machine.
 *
 * Concepts
 * - Every kernel that supports the model is forced in turn (px_forest_options.kernel) and scores rows of a
 *   pool, a batch per call, walking through the pool so that neither caches nor branch predictors know the
 *   rows. One thread, margins: the objective's transform is the same for all kernels and is not timed.
 * - A repetition is as many calls as fill REPETITION_NS of the thread's processor time, so that what other
 *   programs do in between does not count; its value is the time of a row. Median, least and 90th
 *   percentile are over the repetitions. The time allowed is shared equally by the cells; a cell whose
 *   single call is longer than its share is still measured a few times.
 * - `touched` is what a call can walk through: the kernel's form of the model, the rows, the scratch, the
 *   margins. One row reaches only a part of the form.
 */
#ifndef PX_APPLICATION_BENCH_KERNELS_H
#define PX_APPLICATION_BENCH_KERNELS_H

#include "application/lifecycle/package.h"

enum {
    PX_KERNEL_BENCH_BATCHES_MAX = 32,
    PX_KERNEL_BENCH_KERNELS_MAX = 32,
    PX_KERNEL_BENCH_BATCH_MAX = 1 << 20, /* rows */
};

#define PX_KERNEL_BENCH_POOL_MAX ((size_t)1 << 30) /* bytes of rows */

struct px_kernel_bench_options {
    const char *path; /* of a model, as px_package_open takes it */
    enum px_forest_rounds rounds;
    const char *kernel;    /* only this one; NULL = all */
    struct px_str data;    /* CSV text with a header; empty = probe rows of the model */
    const char *data_name; /* of the CSV, for messages */
    size_t batches[PX_KERNEL_BENCH_BATCHES_MAX];
    size_t n_batches;
    double seconds; /* for all of it, loading not counted */
    uint64_t seed;
    /* Called before each cell, `done` of `total`; false cancels (PX_E_CANCELLED). NULL = nobody watches. */
    bool (*progress)(void *context, const char *kernel, size_t done, size_t total);
    void *progress_context;
};

struct px_kernel_cell {
    double median_ns, min_ns, p90_ns; /* per row */
    size_t n_repetitions, n_calls;    /* n_calls: of one repetition */
    size_t touched;                   /* bytes */
    bool chosen;                      /* the planner gives this batch size to this kernel */
};

struct px_kernel_line {
    const char *name;                /* as long as the package is open */
    bool usable;                     /* it supports the model; then there are cells */
    char reason[PX_ERR_MESSAGE_MAX]; /* why not */
    struct px_kernel_cell cells[PX_KERNEL_BENCH_BATCHES_MAX]; /* by batch */
};

struct px_kernel_bench {
    struct px_package *package; /* with the planner's own choice */
    struct px_kernel_bench_options options;
    size_t n_pool_rows, n_data_rows; /* n_data_rows: of the CSV, before it was repeated */
    struct px_kernel_line lines[PX_KERNEL_BENCH_KERNELS_MAX];
    size_t n_lines;
};

/*
 * Measures. Errors of px_package_open; PX_E_INVALID for a kernel that does not exist or does not support
 * the model, and for data without rows or that does not fit; PX_E_NO_MEMORY, PX_E_CANCELLED. The caller
 * deinits `ret` in any case.
 */
PX_MUST_USE enum px_code px_kernel_bench_run(const struct px_kernel_bench_options *options,
                                             struct px_kernel_bench *ret, struct px_err *err);
void px_kernel_bench_deinit(struct px_kernel_bench *bench);

/* What the planner predicts or measured for a batch: the choice that covers it. */
const struct px_forest_choice *px_kernel_bench_choice(const struct px_kernel_bench *bench,
                                                      size_t batch);

#endif
