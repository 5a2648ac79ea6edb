/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The executor wants a blocking engine: here is one that computes whatever the job says. It has neither tensors of its own nor memory.
 *
 * A thread for each core, but at least two, so that a step that computes long does not keep all others waiting.
 */
#include "application/graph/graph_pool.h"

#include "application/execution/executor.h"
#include "shared/cores.h"

#include <pthread.h>

enum { THREADS_MIN = 2, THREADS_MAX = 8 };

static enum px_code run_job(struct px_engine *engine, struct px_run *run, struct px_err *err)
{
    struct px_graph_job *job = PX_CONTAINER_OF(run, struct px_graph_job, run);
    (void)engine;
    (void)err;
    job->began = true;
    job->work(job);
    return PX_OK;
}

static void destroy_nothing(struct px_engine *engine)
{
    (void)engine;
}

static const struct px_engine_ops job_ops = {
    .abi = PX_ENGINE_ABI,
    .caps = PX_ENGINE_TENSORS,
    .name = "graphs",
    .run = run_job,
    .destroy = destroy_nothing,
};
static struct px_engine jobs = {.ops = &job_ops};

static struct {
    pthread_mutex_t
        mutex; /* guards what follows; whoever starts jobs holds the pool and needs no lock */
    unsigned n_holders;
    struct px_engine *executor;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static enum px_code start_pool(struct px_err *err)
{
    unsigned n = px_cores(THREADS_MAX);
    const struct px_executor_options options = {.n_threads = n < THREADS_MIN ? THREADS_MIN : n};
    enum px_code code = px_executor_engine_create(&jobs, &options, &pool.executor, err);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "the threads of graphs");
}

enum px_code px_graph_pool_hold(struct px_err *err)
{
    pthread_mutex_lock(&pool.mutex);
    enum px_code code = pool.n_holders ? PX_OK : start_pool(err);
    if (code == PX_OK)
        pool.n_holders++;
    pthread_mutex_unlock(&pool.mutex);
    return code;
}

void px_graph_pool_release(void)
{
    pthread_mutex_lock(&pool.mutex);
    if (--pool.n_holders == 0) {
        px_engine_destroy(pool.executor);
        pool.executor = NULL;
    }
    pthread_mutex_unlock(&pool.mutex);
}

void px_graph_pool_start(struct px_graph_job *job)
{
    px_engine_start(pool.executor, &job->run);
}

void px_graph_pool_cancel(struct px_graph_job *job)
{
    px_engine_cancel(pool.executor, &job->run);
}
