/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary heap by time under one mutex. What has a timeout takes the lock twice, the rest never. The thread is woken only for a timer that is due
 * before it would look by itself: most ends come in time, and the next timer is then later than the one that it still sleeps for.
 *
 * Rejected: a timerfd or the loops' timer wheels. The engine also runs in the command line and in the library, where there are no loops.
 */
#include "application/control/timers.h"

#include "shared/clock.h"
#include "shared/thread.h"
#include "shared/vec.h"

static struct {
    pthread_mutex_t holders_mutex; /* before `mutex` */
    unsigned n_holders;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    PX_VEC(struct px_timer *) heap; /* heap.items[0] is the first of all */
    uint64_t wakes_at_ns;           /* when the thread looks again by itself */
    bool ending;
} timers = {.holders_mutex = PTHREAD_MUTEX_INITIALIZER, .mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---- the heap ---- */

static void put_at(size_t place, struct px_timer *timer)
{
    timers.heap.items[place - 1] = timer;
    timer->place = place;
}

static struct px_timer *at(size_t place)
{
    return timers.heap.items[place - 1];
}

static void sift_up(struct px_timer *timer, size_t place)
{
    for (; place > 1 && at(place / 2)->at_ns > timer->at_ns; place /= 2)
        put_at(place, at(place / 2));
    put_at(place, timer);
}

static void sift_down(struct px_timer *timer, size_t place)
{
    size_t n = timers.heap.len;
    for (size_t child; (child = place * 2) <= n; place = child) {
        if (child < n && at(child + 1)->at_ns < at(child)->at_ns)
            child++;
        if (at(child)->at_ns >= timer->at_ns)
            break;
        put_at(place, at(child));
    }
    put_at(place, timer);
}

static void take_out(struct px_timer *timer)
{
    size_t place = timer->place;
    struct px_timer *last = at(timers.heap.len);
    timers.heap.len--;
    timer->place = 0;
    if (last == timer)
        return;
    sift_up(last, place);
    sift_down(last, last->place);
}

/* ---- the thread ---- */

static void wait_for_change(void)
{
    timers.wakes_at_ns = timers.heap.len ? at(1)->at_ns : UINT64_MAX;
    if (timers.heap.len == 0) {
        pthread_cond_wait(&timers.changed, &timers.mutex);
        return;
    }
    uint64_t at_ns = timers.wakes_at_ns;
    const struct timespec until = px_clock_timespec(at_ns);
    pthread_cond_timedwait(&timers.changed, &timers.mutex, &until);
}

static void *run_timers(void *unused)
{
    pthread_mutex_lock(&timers.mutex);
    while (!timers.ending) {
        if (timers.heap.len == 0 || at(1)->at_ns > px_clock_monotonic_ns()) {
            wait_for_change();
            continue;
        }
        struct px_timer *timer = at(1);
        take_out(timer);
        void (*run)(void *) = timer->run;
        void *subject = timer->subject;
        if (!timer->due(timer))
            continue;
        pthread_mutex_unlock(&timers.mutex);
        run(subject);
        pthread_mutex_lock(&timers.mutex);
    }
    pthread_mutex_unlock(&timers.mutex);
    return unused;
}

static enum px_code start_thread(struct px_err *err)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&timers.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    timers.ending = false;
    int rc = px_thread_start("px-timeouts", run_timers, NULL, &timers.thread);
    if (rc == 0)
        return PX_OK;
    pthread_cond_destroy(&timers.changed);
    return px_err_set(err, PX_E_UNAVAILABLE, "no thread for timeouts: %s", strerror(rc));
}

enum px_code px_timers_hold(struct px_err *err)
{
    pthread_mutex_lock(&timers.holders_mutex);
    enum px_code code = timers.n_holders ? PX_OK : start_thread(err);
    if (code == PX_OK)
        timers.n_holders++;
    pthread_mutex_unlock(&timers.holders_mutex);
    return code;
}

void px_timers_release(void)
{
    pthread_mutex_lock(&timers.holders_mutex);
    if (--timers.n_holders == 0) {
        pthread_mutex_lock(&timers.mutex);
        timers.ending = true;
        pthread_cond_signal(&timers.changed);
        pthread_mutex_unlock(&timers.mutex);
        pthread_join(timers.thread, NULL);
        pthread_cond_destroy(&timers.changed);
        PX_ASSERT(timers.heap.len == 0);
        px_vec_free(&timers.heap);
    }
    pthread_mutex_unlock(&timers.holders_mutex);
}

/* ---- timers ---- */

enum px_code px_timer_start(struct px_timer *timer, struct px_err *err)
{
    pthread_mutex_lock(&timers.mutex);
    bool room = px_vec_push(&timers.heap) != NULL;
    if (room)
        sift_up(timer, timers.heap.len);
    if (room && timer->at_ns < timers.wakes_at_ns) {
        timers.wakes_at_ns = timer->at_ns;
        pthread_cond_signal(&timers.changed);
    }
    pthread_mutex_unlock(&timers.mutex);
    return room ? PX_OK : px_err_set(err, PX_E_NO_MEMORY, "no memory for a timeout");
}

void px_timer_stop(struct px_timer *timer)
{
    pthread_mutex_lock(&timers.mutex);
    if (timer->place)
        take_out(timer);
    pthread_mutex_unlock(&timers.mutex);
}
