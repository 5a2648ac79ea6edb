/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux keeps a nice value and a scheduling policy per thread. Both can always be made worse, and better again only with privileges, so work that
 * stands behind others has a thread of its own, and one that could not come back from SCHED_IDLE does not go there: on a machine whose cores
 * are all busy it would get less than a hundredth of one, for ever.
 *
 * Rejected: a nice value of 19, which is between the two in both respects; long slices (sched_setattr), which changed nothing that was
 * measured; and pinning the thread to some cores, which are not spare because others may run there.
 */
#include "shared/thread.h"

#include "shared/clock.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    BEHIND_NICE = 10, /* more than what started it */
    NICE_MAX = 19,
    STARVED_PART = 10, /* a thread that got less than this part of a core */
};

static const uint64_t look_ns = 2 * PX_NS_PER_S; /* how long it may starve */

int px_thread_start(const char *name, void *(*run)(void *), void *argument, pthread_t *ret)
{
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before); /* the new thread inherits the mask */
    int rc = pthread_create(ret, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_setname_np(*ret, name);
    return rc;
}

struct behind {
    enum px_standing standing;
    void (*work)(void *argument);
    void *argument;
    sem_t ended;
    _Atomic bool is_idle; /* SCHED_IDLE */
};

static bool set_nice(int nice)
{
    return setpriority(PRIO_PROCESS, (id_t)gettid(), nice) == 0;
}

/* Sets the nice value, and finds out on the way whether the system lets a thread come back to it. */
static bool set_nice_and_see(int nice)
{
    if (nice >= NICE_MAX) { /* nothing is worse, so nothing can be seen */
        (void)set_nice(NICE_MAX);
        return false;
    }
    return set_nice(nice + 1) && set_nice(nice);
}

static void *run_behind(void *argument)
{
    static const struct sched_param none;
    struct behind *behind = argument;
    bool may_return = set_nice_and_see(getpriority(PRIO_PROCESS, (id_t)gettid()) + BEHIND_NICE);
    if (behind->standing == PX_STANDING_LAST && may_return &&
        sched_setscheduler(0, SCHED_IDLE, &none) == 0)
        atomic_store_explicit(&behind->is_idle, true, memory_order_relaxed);
    behind->work(behind->argument);
    sem_post(&behind->ended);
    return NULL;
}

static uint64_t cpu_ns(pthread_t thread)
{
    clockid_t clock;
    struct timespec used = {0};
    if (pthread_getcpuclockid(thread, &clock) == 0)
        (void)clock_gettime(clock, &used);
    return (uint64_t)used.tv_sec * PX_NS_PER_S + (uint64_t)used.tv_nsec;
}

/* Waits until the work has ended, and sees to it that it gets on. */
static void watch(struct behind *behind, pthread_t thread)
{
    static const struct sched_param none;
    uint64_t before_ns = 0, due_ns = px_clock_monotonic_ns() + look_ns;
    for (;;) {
        struct timespec due = px_clock_timespec(due_ns);
        if (sem_clockwait(&behind->ended, CLOCK_MONOTONIC, &due) == 0)
            return;
        if (errno != ETIMEDOUT)
            continue;
        uint64_t now_ns = cpu_ns(thread);
        bool is_starved = now_ns - before_ns < look_ns / STARVED_PART;
        if (is_starved && atomic_load_explicit(&behind->is_idle, memory_order_relaxed))
            (void)pthread_setschedparam(thread, SCHED_OTHER, &none); /* its nice value stays */
        before_ns = now_ns;
        due_ns += look_ns;
    }
}

void px_thread_run_behind(enum px_standing standing, void (*work)(void *argument), void *argument)
{
    struct behind behind = {.standing = standing, .work = work, .argument = argument};
    pthread_t thread;
    sem_init(&behind.ended, 0, 0);
    if (standing != PX_STANDING_EQUAL &&
        px_thread_start("px-behind", run_behind, &behind, &thread) == 0) {
        watch(&behind, thread);
        pthread_join(thread, NULL);
    } else {
        work(argument);
    }
    sem_destroy(&behind.ended);
}
