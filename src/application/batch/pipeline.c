/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs live in a ring and are named by the number of their turn, which only grows:
 *
 *     emitted <= taken <= filled <= emitted + n_jobs
 *
 * Those from `emitted` to `taken` are being worked on or done, those from `taken` to `filled` wait. One lock
 * guards the three numbers and the marks of what is done; it is taken twice per job, and jobs last about a
 * millisecond, so it is no place of contention.
 *
 * Rejected: a reader and a writer thread of their own. They would be idle most of the time, a signal could
 * reach either while the other sits in a system call, and one thread would not be one thread.
 */
#include "application/batch/pipeline.h"

#include "shared/alloc.h"
#include "shared/thread.h"

#include <pthread.h>

enum { JOBS_PER_THREAD_MAX = 8 };

struct pipeline {
    const struct px_pipeline_ops *ops;
    const struct px_pipeline_size *size;
    pthread_t *threads; /* [n_workers - 1] */
    size_t n_threads;
    bool *done; /* [n_jobs] */
    pthread_mutex_t lock;
    pthread_cond_t queued, finished;
    size_t emitted, taken, filled;
    bool ended, stopping;
};

struct helper {
    struct pipeline *pipeline;
    void *worker;
};

static void *worker_at(const struct pipeline *p, size_t i)
{
    return (char *)p->size->workers + i * p->size->worker_bytes;
}

static void *job_of(const struct pipeline *p, size_t turn)
{
    return (char *)p->size->jobs + turn % p->size->n_jobs * p->size->job_bytes;
}

/* Works on the job of `turn`, which the caller has taken. The lock is held before and after. */
static void work_on(struct pipeline *p, void *worker, size_t turn)
{
    pthread_mutex_unlock(&p->lock);
    p->ops->work(p->ops->context, worker, job_of(p, turn));
    pthread_mutex_lock(&p->lock);
    p->done[turn % p->size->n_jobs] = true;
    pthread_cond_signal(&p->finished);
}

static void *run_helper(void *argument)
{
    struct helper helper = *(struct helper *)argument;
    struct pipeline *p = helper.pipeline;
    px_free(argument);
    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        if (p->taken < p->filled)
            work_on(p, helper.worker, p->taken++);
        else
            pthread_cond_wait(&p->queued, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* One more thread; if it cannot be had, the work goes on without it. */
static void start_helper(struct pipeline *p)
{
    struct helper *helper = px_alloc(1, sizeof *helper);
    if (!helper)
        return;
    *helper = (struct helper){p, worker_at(p, 1 + p->n_threads)};
    if (px_thread_start("px-batch", run_helper, helper, &p->threads[p->n_threads]) == 0)
        p->n_threads++;
    else
        px_free(helper);
}

/* Hands the job just filled to the threads. The caller's thread takes the first of those that wait. */
static void queue_job(struct pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    p->done[p->filled % p->size->n_jobs] = false;
    p->filled++;
    size_t waiting = p->filled - p->taken;
    pthread_cond_signal(&p->queued);
    pthread_mutex_unlock(&p->lock);
    if (waiting > 1 && p->n_threads + 1 < p->size->n_workers)
        start_helper(p);
}

/* Does one job that waits; otherwise waits until the next job to emit is done. */
static void help(struct pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    if (p->taken < p->filled) {
        work_on(p, worker_at(p, 0), p->taken++);
    } else {
        while (!p->done[p->emitted % p->size->n_jobs])
            pthread_cond_wait(&p->finished, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

static bool next_is_done(struct pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    bool done = p->emitted < p->taken && p->done[p->emitted % p->size->n_jobs];
    pthread_mutex_unlock(&p->lock);
    return done;
}

static enum px_code emit_finished(struct pipeline *p, struct px_err *err)
{
    enum px_code code = PX_OK;
    while (code == PX_OK && next_is_done(p)) {
        code = p->ops->emit(p->ops->context, job_of(p, p->emitted), err);
        p->emitted++; /* only this thread changes it, and the others do not look */
    }
    return code;
}

/* Fills a job if there is room and input. */
static enum px_code fill(struct pipeline *p, enum px_fill *ret, struct px_err *err)
{
    size_t in_flight = p->filled - p->emitted;
    *ret = p->ended ? PX_FILL_END : PX_FILL_LATER;
    if (p->ended || in_flight == p->size->n_jobs)
        return PX_OK;
    enum px_code code =
        p->ops->fill(p->ops->context, job_of(p, p->filled), in_flight == 0, ret, err);
    if (code != PX_OK)
        return code;
    p->ended = *ret == PX_FILL_END;
    if (*ret == PX_FILL_JOB)
        queue_job(p);
    return PX_OK;
}

static enum px_code run(struct pipeline *p, struct px_err *err)
{
    enum px_code code = PX_OK;
    while (code == PX_OK) {
        enum px_fill filled = PX_FILL_LATER;
        code = emit_finished(p, err);
        if (code == PX_OK)
            code = fill(p, &filled, err);
        if (code != PX_OK || filled == PX_FILL_JOB)
            continue;
        if (p->emitted == p->filled)
            return PX_OK; /* the end: an idle `fill` does not say LATER */
        help(p);
    }
    return code;
}

static void stop(struct pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->queued);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
}

enum px_code px_pipeline_run(const struct px_pipeline_ops *ops, const struct px_pipeline_size *size,
                             struct px_err *err)
{
    struct pipeline p = {.ops = ops, .size = size};
    enum px_code code = PX_OK;
    PX_ASSERT(size->n_workers >= 1 && size->n_jobs >= 1);
    p.threads = px_alloc(size->n_workers, sizeof *p.threads);
    p.done = px_alloc(size->n_jobs, sizeof *p.done);
    if (!p.threads || !p.done) {
        code = px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu threads", size->n_workers);
    } else {
        pthread_mutex_init(&p.lock, NULL);
        pthread_cond_init(&p.queued, NULL);
        pthread_cond_init(&p.finished, NULL);
        code = run(&p, err);
        stop(&p);
        pthread_cond_destroy(&p.finished);
        pthread_cond_destroy(&p.queued);
        pthread_mutex_destroy(&p.lock);
    }
    px_free(p.threads);
    px_free(p.done);
    return code;
}

size_t px_pipeline_jobs(size_t n_threads, size_t job_bytes)
{
    size_t n = n_threads * PX_PIPELINE_THREAD_BYTES / (job_bytes ? job_bytes : 1);
    if (n > n_threads * JOBS_PER_THREAD_MAX)
        return n_threads * JOBS_PER_THREAD_MAX;
    return n > n_threads ? n : n_threads + 1;
}
