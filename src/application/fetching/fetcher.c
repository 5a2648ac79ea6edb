/* SPDX-License-Identifier: Apache-2.0 */
#include "application/fetching/fetcher.h"

#include "shared/alloc.h"
#include "shared/thread.h"

struct px_fetcher {
    pthread_mutex_t mutex; /* of the queue */
    pthread_cond_t changed;
    struct px_fetcher_job *first, **last;
    _Atomic bool stopping;
    pthread_t threads[PX_FETCHER_THREADS];
    size_t n_threads;
};

static struct px_fetcher_job *next_job(struct px_fetcher *fetcher)
{
    pthread_mutex_lock(&fetcher->mutex);
    while (!fetcher->first && !atomic_load(&fetcher->stopping))
        pthread_cond_wait(&fetcher->changed, &fetcher->mutex);
    struct px_fetcher_job *job = atomic_load(&fetcher->stopping) ? NULL : fetcher->first;
    if (job) {
        fetcher->first = job->next;
        if (!fetcher->first)
            fetcher->last = &fetcher->first;
    }
    pthread_mutex_unlock(&fetcher->mutex);
    return job;
}

static void *run(void *argument)
{
    struct px_fetcher *fetcher = argument;
    for (struct px_fetcher_job *job; (job = next_job(fetcher)) != NULL;)
        job->run(job);
    return NULL;
}

enum px_code px_fetcher_create(struct px_fetcher **ret, struct px_err *err)
{
    struct px_fetcher *fetcher = px_alloc(1, sizeof *fetcher);
    int rc = 0;
    if (!fetcher)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the threads that fetch models");
    fetcher->last = &fetcher->first;
    pthread_mutex_init(&fetcher->mutex, NULL);
    pthread_cond_init(&fetcher->changed, NULL);
    while (rc == 0 && fetcher->n_threads < PX_FETCHER_THREADS) {
        rc = px_thread_start("px-fetch", run, fetcher, &fetcher->threads[fetcher->n_threads]);
        fetcher->n_threads += rc == 0;
    }
    if (rc != 0) {
        px_fetcher_destroy(fetcher);
        return px_err_set(err, PX_E_IO, "start the thread px-fetch: %s", strerror(rc));
    }
    *ret = fetcher;
    return PX_OK;
}

const _Atomic bool *px_fetcher_stopping(const struct px_fetcher *fetcher)
{
    return &fetcher->stopping;
}

void px_fetcher_give(struct px_fetcher *fetcher, struct px_fetcher_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&fetcher->mutex);
    bool takes = !atomic_load(&fetcher->stopping);
    if (takes) {
        *fetcher->last = job;
        fetcher->last = &job->next;
        pthread_cond_signal(&fetcher->changed);
    }
    pthread_mutex_unlock(&fetcher->mutex);
    if (!takes)
        job->drop(job);
}

void px_fetcher_stop(struct px_fetcher *fetcher)
{
    if (!fetcher)
        return;
    pthread_mutex_lock(&fetcher->mutex);
    atomic_store(&fetcher->stopping, true);
    pthread_cond_broadcast(&fetcher->changed);
    pthread_mutex_unlock(&fetcher->mutex);
    while (fetcher->n_threads > 0)
        pthread_join(fetcher->threads[--fetcher->n_threads], NULL);
    while (fetcher->first) {
        struct px_fetcher_job *job = fetcher->first;
        fetcher->first = job->next;
        job->drop(job);
    }
    fetcher->last = &fetcher->first;
}

void px_fetcher_destroy(struct px_fetcher *fetcher)
{
    if (!fetcher)
        return;
    px_fetcher_stop(fetcher);
    pthread_mutex_destroy(&fetcher->mutex);
    pthread_cond_destroy(&fetcher->changed);
    px_free(fetcher);
}
