/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of threads that help with one large piece of work.
 *
 *     struct px_pool_job job = {.work = score_chunk, .context = &batch, .n_chunks = n};
 *     px_pool_run(pool, &job);    // every chunk is done when this returns
 *
 * Concepts
 * - The work is cut into chunks, numbered from 0; who is free takes the next one. The caller takes chunks
 *   like any helper, so a job always makes progress, however late the helpers come.
 * - A pool helps one caller at a time. A caller that finds it busy does its job alone: nobody queues.
 *   The caller waits at the end only for helpers that are in the middle of a chunk.
 * - While several callers work, fewer helpers are woken, by one for each of the others, so that together
 *   they keep as many threads busy as the pool was made for. When all cores have a caller, each works alone.
 * - Which thread does a chunk is chance, so a chunk's result must not depend on it: chunks write to places
 *   of their own. A participant's number serves to pick scratch memory that nobody else uses meanwhile.
 *
 * The threads are made with the pool and their number never changes. px_pool_run allocates nothing and takes
 * no lock. Helpers take no signals. Threads: px_pool_run from any; create and destroy when nobody runs.
 */
#ifndef PX_APPLICATION_PARALLEL_POOL_H
#define PX_APPLICATION_PARALLEL_POOL_H

#include "shared/err.h"

#include <stddef.h>

enum {
    PX_POOL_THREADS_MAX = 256,
};

struct px_pool;

struct px_pool_job {
    /* Does chunk `chunk` as participant `who`: 0 is the caller, then the helpers, < px_pool_threads. */
    void (*work)(void *context, size_t chunk, unsigned who);
    void *context;
    size_t n_chunks;
};

/*
 * A pool in which `n_threads` work on a job, the caller included: n_threads - 1 helpers are started.
 * 0 means one per core (shared/cores.h). PX_E_NO_MEMORY, PX_E_UNAVAILABLE when the system gives no more threads.
 */
PX_MUST_USE enum px_code px_pool_create(unsigned n_threads, struct px_pool **ret,
                                        struct px_err *err);

/* Stops and joins the helpers. NULL is fine. In a child of fork(), which has no helpers, only frees. */
void px_pool_destroy(struct px_pool *pool);

/* Threads that may work on a job, the caller included; 1 for NULL. */
unsigned px_pool_threads(const struct px_pool *pool);

/* Does the job, with the helpers when they are free; alone when `pool` is NULL. */
void px_pool_run(struct px_pool *pool, const struct px_pool_job *job);

#endif
