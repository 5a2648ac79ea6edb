/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * A loop counts its listeners in an atomic of its own, and posts the semaphore when the first one comes: no lock, and
 * nothing at all for who never listens. The thread looks at the counts once a period. A surplus post only makes it
 * look once more.
 *
 * A loop's task is in the loop's list at most once: one that is slow gets fewer ticks, not a queue of them.
 */
#include "application/telemetry/ticker.h"

#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/thread.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

struct ticker_loop {
    struct px_loop_task task;
    struct px_ticker *ticker;
    _Atomic bool is_posted;
    _Atomic unsigned n_listeners; /* the loop is the one writer */
} __attribute__((aligned(PX_CACHE_LINE)));

struct px_ticker {
    struct px_ticker_settings settings;
    struct ticker_loop *loops; /* [settings.loops->n_loops] */
    sem_t changed;             /* a loop has its first listener, or the thread is to stop */
    _Atomic bool stopping;
    pthread_t thread;
    bool started;
};

static void run_task(struct px_loop_task *task)
{
    struct ticker_loop *loop = PX_CONTAINER_OF(task, struct ticker_loop, task);
    const struct px_ticker *ticker = loop->ticker;
    atomic_store(&loop->is_posted, false);
    ticker->settings.tick(ticker->settings.context, (unsigned)(loop - ticker->loops));
}

static void post(struct px_ticker *ticker, unsigned index)
{
    struct ticker_loop *loop = &ticker->loops[index];
    if (!atomic_exchange(&loop->is_posted, true))
        (void)px_loops_post(ticker->settings.loops, index, &loop->task);
}

/* Posts to the loops that have listeners; false when none has. */
static bool post_listening(struct px_ticker *ticker, bool really)
{
    bool any = false;
    for (unsigned i = 0; i < ticker->settings.loops->n_loops; i++) {
        if (atomic_load(&ticker->loops[i].n_listeners) == 0)
            continue;
        any = true;
        if (really)
            post(ticker, i);
    }
    return any;
}

static void sleep_until(struct px_ticker *ticker, uint64_t due_ns)
{
    const struct timespec due = px_clock_timespec(due_ns);
    (void)sem_clockwait(&ticker->changed, CLOCK_MONOTONIC, &due);
}

static void *keep_time(void *argument)
{
    struct px_ticker *ticker = argument;
    uint64_t due_ns = 0; /* of the next tick; 0 while nobody listens */
    while (!atomic_load(&ticker->stopping)) {
        uint64_t now_ns = px_clock_monotonic_ns();
        bool is_due = due_ns && now_ns >= due_ns;
        if (!post_listening(ticker, is_due)) {
            due_ns = 0;
            (void)sem_wait(&ticker->changed);
            continue;
        }
        if (is_due || due_ns == 0)
            due_ns = now_ns + ticker->settings.period_ns;
        sleep_until(ticker, due_ns);
    }
    return NULL;
}

static enum px_code start(struct px_ticker *ticker, struct px_err *err)
{
    int rc = px_thread_start("px-ticker", keep_time, ticker, &ticker->thread);
    if (rc != 0)
        return px_err_set(err, PX_E_IO, "start the thread that keeps time: %s", strerror(rc));
    ticker->started = true;
    return PX_OK;
}

enum px_code px_ticker_create(const struct px_ticker_settings *settings, struct px_ticker **ret,
                              struct px_err *err)
{
    unsigned n_loops = settings->loops->n_loops;
    struct px_ticker *ticker = px_alloc(1, sizeof *ticker);
    if (ticker)
        ticker->loops = px_alloc_aligned(PX_CACHE_LINE, n_loops, sizeof *ticker->loops);
    if (!ticker || !ticker->loops) {
        px_free(ticker);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a ticker of %u loops", n_loops);
    }
    ticker->settings = *settings;
    for (unsigned i = 0; i < n_loops; i++) {
        ticker->loops[i].ticker = ticker;
        ticker->loops[i].task.run = run_task;
    }
    sem_init(&ticker->changed, 0, 0);
    enum px_code code = start(ticker, err);
    if (code == PX_OK)
        *ret = ticker;
    else
        px_ticker_destroy(ticker);
    return code;
}

void px_ticker_destroy(struct px_ticker *ticker)
{
    if (!ticker)
        return;
    atomic_store(&ticker->stopping, true);
    sem_post(&ticker->changed);
    if (ticker->started)
        pthread_join(ticker->thread, NULL);
    sem_destroy(&ticker->changed);
    px_free(ticker->loops);
    px_free(ticker);
}

void px_ticker_listen(struct px_ticker *ticker, unsigned loop)
{
    if (atomic_fetch_add(&ticker->loops[loop].n_listeners, 1) == 0)
        sem_post(&ticker->changed);
}

void px_ticker_leave(struct px_ticker *ticker, unsigned loop)
{
    PX_ASSERT(atomic_load(&ticker->loops[loop].n_listeners) > 0);
    atomic_fetch_sub(&ticker->loops[loop].n_listeners, 1);
}

void px_ticker_wake(struct px_ticker *ticker)
{
    for (unsigned i = 0; i < ticker->settings.loops->n_loops; i++)
        post(ticker, i);
}
