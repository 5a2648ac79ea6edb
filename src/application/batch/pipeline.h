/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipeline of three steps over a stream of jobs: one after the other they are filled, in any order they are
 * worked on by several threads, and in the order of filling they are emitted.
 *
 * Concepts
 * - Filling and emitting happen on the caller's thread only, so what they do (reading, writing, talking to a
 *   terminal, being interrupted by a signal) needs no thought of threads. Work happens on every thread, the
 *   caller's included: while it has nothing to fill or emit, it helps.
 * - Memory is the jobs, of which there is a fixed number; when all are in flight nothing is filled.
 * - Threads are started when there is work for them, so that a small input starts none. One that cannot be
 *   started is done without. All signals are blocked in them: they reach the caller's thread.
 * - Nothing waits for input while a job is in flight: what is known is emitted before.
 *
 * It has its own threads and not those of application/parallel, which split one batch and wait for it: here
 * jobs follow each other, and nobody waits for all of them.
 */
#ifndef PX_APPLICATION_BATCH_PIPELINE_H
#define PX_APPLICATION_BATCH_PIPELINE_H

#include "shared/err.h"

enum px_fill {
    PX_FILL_JOB = 1, /* the job is filled */
    PX_FILL_LATER,   /* nothing has come yet; never when `idle` */
    PX_FILL_END,     /* nothing will come */
};

struct px_pipeline_ops {
    /* Caller's thread. Fills a job; it may wait for input when `idle`, that is, when none is in flight. */
    enum px_code (*fill)(void *context, void *job, bool idle, enum px_fill *ret,
                         struct px_err *err);
    /* Any thread; `worker` is this thread's own. What fails is for the job to remember. */
    void (*work)(void *context, void *worker, void *job);
    /* Caller's thread, in the order of filling. An error ends the pipeline. */
    enum px_code (*emit)(void *context, void *job, struct px_err *err);
    void *context;
};

enum {
    PX_PIPELINE_THREADS_MAX = 1024,
    PX_PIPELINE_THREAD_BYTES = 4 << 20,
};

/* Arrays of the caller's own structures, lent: a worker for each thread, the first the caller's, and the jobs. */
struct px_pipeline_size {
    void *workers, *jobs;
    size_t worker_bytes, job_bytes; /* of an element */
    size_t n_workers, n_jobs;
};

/*
 * How many jobs of `job_bytes` each suit `n_threads` threads: one for each and one that is filled meanwhile, and up
 * to eight for each thread while all together take no more than PX_PIPELINE_THREAD_BYTES for each.
 */
size_t px_pipeline_jobs(size_t n_threads, size_t job_bytes);

/* Runs until the end of the input or the first error; no thread is left behind. */
PX_MUST_USE enum px_code px_pipeline_run(const struct px_pipeline_ops *ops,
                                         const struct px_pipeline_size *size, struct px_err *err);

#endif
