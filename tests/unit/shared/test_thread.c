/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: work that stands back for others. */
#include "shared/thread.h"

#include "harness.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct seen {
    pid_t thread;
    int nice, policy;
};

static int own_nice(void)
{
    errno = 0;
    int nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    CHECK_INT(errno, 0);
    return nice;
}

static void look(void *argument)
{
    struct seen *seen = argument;
    *seen = (struct seen){gettid(), own_nice(), sched_getscheduler(0)};
}

PX_TEST(work_behind_others_has_a_lower_priority_and_its_caller_keeps_its_own)
{
    struct seen seen = {0};
    int before = own_nice();
    px_thread_run_behind(PX_STANDING_BEHIND, look, &seen);
    CHECK(seen.thread != gettid());
    CHECK(seen.nice > before || before == 19);
    CHECK_INT(seen.policy, SCHED_OTHER);
    CHECK_INT(own_nice(), before);
}

PX_TEST(work_of_equal_standing_is_done_by_the_caller)
{
    struct seen seen = {0};
    px_thread_run_behind(PX_STANDING_EQUAL, look, &seen);
    CHECK(seen.thread == gettid());
    CHECK_INT(seen.nice, own_nice());
}

/* What the system lets a thread of this process do: leave SCHED_IDLE with ten more nice. */
static void *try_to_come_back(void *ret)
{
    static const struct sched_param none;
    int nice = own_nice() + 10;
    bool *may = ret;
    *may = nice < 19 && setpriority(PRIO_PROCESS, (id_t)gettid(), nice) == 0 &&
           sched_setscheduler(0, SCHED_IDLE, &none) == 0 &&
           sched_setscheduler(0, SCHED_OTHER, &none) == 0;
    return NULL;
}

static bool may_come_back(void)
{
    bool may = false;
    pthread_t thread;
    CHECK_INT(px_thread_start("test", try_to_come_back, &may, &thread), 0);
    pthread_join(thread, NULL);
    return may;
}

PX_TEST(work_that_comes_last_is_idle_only_where_it_could_come_back)
{
    struct seen seen = {0};
    int before = own_nice();
    px_thread_run_behind(PX_STANDING_LAST, look, &seen);
    CHECK(seen.nice > before || before == 19);
    CHECK_INT(seen.policy, may_come_back() ? SCHED_IDLE : SCHED_OTHER);
}

enum { PATIENCE_S = 60 };

/* Does nothing, as on a machine that has no time for it, until it is no longer idle. */
static void starve(void *argument)
{
    struct seen *seen = argument;
    for (int i = 0; i < PATIENCE_S * 50 && sched_getscheduler(0) == SCHED_IDLE; i++)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    look(seen);
}

PX_TEST(work_that_comes_last_and_gets_no_time_comes_back)
{
    struct seen seen = {0};
    int before = own_nice();
    px_thread_run_behind(PX_STANDING_LAST, starve, &seen);
    CHECK_INT(seen.policy, SCHED_OTHER);
    CHECK(seen.nice > before || before == 19);
}

PX_TEST_MAIN(T(work_behind_others_has_a_lower_priority_and_its_caller_keeps_its_own)
                 T(work_of_equal_standing_is_done_by_the_caller)
                     T(work_that_comes_last_is_idle_only_where_it_could_come_back)
                         T(work_that_comes_last_and_gets_no_time_comes_back))
