/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One job at a time, announced in shared memory; helpers sleep on a futex until there is one.
 *
 *   taken     who sets it from false to true owns the pool: the job's fields are his to write
 *   gate      OPEN while helpers may enter the job, and the number of those that are inside
 *   calls     counts jobs; helpers sleep on it
 *   next      the next chunk that nobody has taken
 *   callers   threads inside px_pool_run, with the pool or without
 *
 * Life of a job: take the pool -> write the job -> open the gate -> wake helpers -> take chunks until there are
 * none -> close the gate -> wait until nobody is inside -> give the pool back.
 *
 * Invariants
 * 1. The job's fields are written only while the gate is 0 (closed and nobody inside), so a helper that
 *    is inside reads fields that do not change.
 * 2. Each chunk number is handed out once, by an atomic addition.
 * 3. Once the gate is closed, no helper enters; a helper that wakes too late finds it closed and sleeps on.
 *    The caller therefore waits for chunks in progress, never for a thread to be scheduled for the first time.
 * 4. A helper reads `calls` before it looks at the gate, and sleeps only while `calls` has that value, so a
 *    job announced in between is not slept through.
 *
 * Rejected: a queue of jobs (a caller would wait behind another's batch), a mutex with a condition variable
 * (a caller could wait for a helper that was descheduled while holding it), semaphores (tokens of jobs that
 * are long over wake helpers for nothing).
 */
#include "application/parallel/pool.h"

#include "shared/alloc.h"
#include "shared/cores.h"
#include "shared/thread.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPINS_BEFORE_SLEEP = 400 };

static const uint32_t gate_open = UINT32_C(1) << 31;

struct helper {
    struct px_pool *pool;
    unsigned number; /* 1 for the first: 0 is the caller */
    pthread_t thread;
};

struct px_pool {
    struct helper *helpers;
    unsigned n_helpers; /* that were started */
    pid_t process;      /* that they were started in */
    struct px_pool_job job;
    _Atomic bool stopping;
    _Alignas(PX_CACHE_LINE) _Atomic bool taken;
    _Alignas(PX_CACHE_LINE) _Atomic uint32_t calls;
    _Alignas(PX_CACHE_LINE) _Atomic uint32_t gate;
    _Alignas(PX_CACHE_LINE) _Atomic size_t next;
    _Alignas(PX_CACHE_LINE) _Atomic unsigned callers;
};

/* Sleeps while the word has this value. May return early; callers look again. */
static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, unsigned n_threads)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n_threads, NULL, NULL, 0);
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* ---- working ---- */

static void take_chunks(struct px_pool *pool, unsigned who)
{
    const struct px_pool_job job = pool->job;
    for (;;) {
        /* Only the number matters; the results are published by leaving the gate. */
        size_t chunk = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (chunk >= job.n_chunks)
            return;
        job.work(job.context, chunk, who);
    }
}

static bool enter(struct px_pool *pool)
{
    uint32_t gate = atomic_load_explicit(&pool->gate, memory_order_relaxed);
    while (gate & gate_open) {
        /* Acquires the job's fields from open_gate. */
        if (atomic_compare_exchange_weak_explicit(&pool->gate, &gate, gate + 1,
                                                  memory_order_acquire, memory_order_relaxed))
            return true;
    }
    return false;
}

static void leave(struct px_pool *pool)
{
    /* Releases what the chunks wrote to wait_for_helpers. */
    if (atomic_fetch_sub_explicit(&pool->gate, 1, memory_order_release) == 1)
        futex_wake(&pool->gate, 1); /* closed, and this was the last one inside */
}

static void *help(void *argument)
{
    struct helper *self = argument;
    struct px_pool *pool = self->pool;
    for (;;) {
        uint32_t seen = atomic_load_explicit(&pool->calls, memory_order_acquire);
        if (atomic_load_explicit(&pool->stopping, memory_order_relaxed))
            return NULL;
        if (enter(pool)) {
            take_chunks(pool, self->number);
            leave(pool);
        }
        futex_wait(&pool->calls, seen);
    }
}

/* ---- calling ---- */

static void open_gate(struct px_pool *pool, const struct px_pool_job *job, unsigned n_helpers)
{
    pool->job = *job;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->gate, gate_open, memory_order_release);
    /* Release: who sees this count sees the open gate. */
    atomic_fetch_add_explicit(&pool->calls, 1, memory_order_release);
    size_t useful = job->n_chunks - 1;
    futex_wake(&pool->calls, useful < n_helpers ? (unsigned)useful : n_helpers);
}

static void wait_for_helpers(struct px_pool *pool)
{
    uint32_t inside = atomic_fetch_and_explicit(&pool->gate, ~gate_open, memory_order_acquire);
    inside &= ~gate_open;
    for (unsigned i = 0; inside && i < SPINS_BEFORE_SLEEP; i++) {
        pause_briefly();
        inside = atomic_load_explicit(&pool->gate, memory_order_acquire);
    }
    while (inside) {
        futex_wait(&pool->gate, inside);
        inside = atomic_load_explicit(&pool->gate, memory_order_acquire);
    }
}

static void run_alone(const struct px_pool_job *job)
{
    for (size_t chunk = 0; chunk < job->n_chunks; chunk++)
        job->work(job->context, chunk, 0);
}

/* With as many helpers as other callers leave cores for; false when there are none, or the pool is taken. */
static bool run_shared(struct px_pool *pool, const struct px_pool_job *job, unsigned n_others)
{
    if (n_others >= pool->n_helpers ||
        atomic_exchange_explicit(&pool->taken, true, memory_order_acquire))
        return false;
    open_gate(pool, job, pool->n_helpers - n_others);
    take_chunks(pool, 0);
    wait_for_helpers(pool);
    atomic_store_explicit(&pool->taken, false, memory_order_release);
    return true;
}

void px_pool_run(struct px_pool *pool, const struct px_pool_job *job)
{
    if (!pool || job->n_chunks < 2) {
        run_alone(job);
        return;
    }
    /* A hint for how many helpers to wake: no other memory depends on its order. */
    unsigned n_others = atomic_fetch_add_explicit(&pool->callers, 1, memory_order_relaxed);
    if (!run_shared(pool, job, n_others))
        run_alone(job);
    atomic_fetch_sub_explicit(&pool->callers, 1, memory_order_relaxed);
}

unsigned px_pool_threads(const struct px_pool *pool)
{
    return pool ? pool->n_helpers + 1 : 1;
}

/* ---- making and ending ---- */

static enum px_code start_helpers(struct px_pool *pool, unsigned n, struct px_err *err)
{
    int failure = 0;
    for (unsigned i = 0; i < n && !failure; i++) {
        struct helper *helper = &pool->helpers[i];
        *helper = (struct helper){.pool = pool, .number = i + 1};
        failure = px_thread_start("phoenix-pool", help, helper, &helper->thread);
        pool->n_helpers += failure == 0;
    }
    if (!failure)
        return PX_OK;
    px_err_set(err, PX_E_UNAVAILABLE, "cannot start thread %u of %u: %s", pool->n_helpers + 2,
               n + 1, strerror(failure));
    return px_err_hint(err, "ask for fewer threads, or raise the limit of processes (ulimit -u)");
}

enum px_code px_pool_create(unsigned n_threads, struct px_pool **ret, struct px_err *err)
{
    unsigned n = n_threads ? n_threads : px_cores(PX_POOL_THREADS_MAX);
    if (n > PX_POOL_THREADS_MAX)
        return px_err_set(err, PX_E_INVALID, "expected at most %d threads, got %u",
                          PX_POOL_THREADS_MAX, n);
    struct px_pool *pool = px_alloc_aligned(PX_CACHE_LINE, 1, sizeof *pool);
    struct helper *helpers = px_alloc(n, sizeof *helpers);
    if (!pool || !helpers) {
        px_free(pool);
        px_free(helpers);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a pool of %u threads", n);
    }
    pool->helpers = helpers;
    pool->process = getpid();
    enum px_code code = start_helpers(pool, n - 1, err);
    if (code != PX_OK) {
        px_pool_destroy(pool);
        return code;
    }
    *ret = pool;
    return PX_OK;
}

void px_pool_destroy(struct px_pool *pool)
{
    if (!pool)
        return;
    PX_ASSERT(!atomic_load_explicit(&pool->taken, memory_order_relaxed) ||
              pool->process != getpid());
    atomic_store_explicit(&pool->stopping, true, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->calls, 1, memory_order_release);
    futex_wake(&pool->calls, INT_MAX);
    for (unsigned i = 0; i < pool->n_helpers && pool->process == getpid(); i++)
        pthread_join(pool->helpers[i].thread, NULL);
    px_free(pool->helpers);
    px_free(pool);
}
