/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is the same for every kind of input of a batch: a scorer for each thread, jobs with outcomes through the
 * pipeline, and the outcomes to the sink. Private to this folder.
 *
 * A kind of input has its own worker and its own job, each a structure that begins with what every one has:
 * struct px_batch_worker, struct px_batch_job.
 */
#ifndef PX_APPLICATION_BATCH_RUN_H
#define PX_APPLICATION_BATCH_RUN_H

#include "application/batch/header.h"
#include "application/batch/outcome.h"
#include "application/batch/pipeline.h"

struct px_batch_worker {
    struct px_scorer scorer;
};

struct px_batch_job {
    struct px_outcome outcome;
};

/* A kind of input. Context of the functions is the run, which the kind has within its own structure. */
struct px_batch_kind {
    size_t worker_bytes, job_bytes;
    /* As in struct px_pipeline_ops. */
    enum px_code (*fill)(void *run, void *job, bool idle, enum px_fill *ret, struct px_err *err);
    void (*work)(void *run, void *worker, void *job);
    /* What is the kind's own in a worker and a job, which may never have been used. NULL: nothing. */
    void (*deinit_worker)(void *worker);
    void (*deinit_job)(void *job);
};

struct px_batch_run {
    const struct px_batch_kind *kind;
    struct px_sink sink;
    struct px_header header;
    void *workers, *jobs;
    size_t n_threads, n_jobs;
};

/* Fills in what `options` say and starts the header; `kind`, `sink.io` and `sink.progress` are set before. */
PX_MUST_USE enum px_code px_batch_run_init(struct px_batch_run *run,
                                           const struct px_package *package,
                                           const struct px_batch_options *options,
                                           const char *place, struct px_err *err);
void px_batch_run_deinit(struct px_batch_run *run);

/* Scores all that `fill` gives, with `n_jobs` jobs. */
PX_MUST_USE enum px_code px_batch_run(struct px_batch_run *run, const struct px_package *package,
                                      size_t n_jobs, struct px_err *err);

#endif
