/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: work that stands back for others. */
#include "shared/thread.h"

#include "harness.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

struct seen {
    pid_t thread;
    int nice;
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
    *seen = (struct seen){gettid(), own_nice()};
}

PX_TEST(work_behind_others_has_a_lower_priority_and_its_caller_keeps_its_own)
{
    struct seen seen = {0};
    int before = own_nice();
    px_thread_run_behind(look, &seen);
    CHECK(seen.thread != gettid());
    CHECK(seen.nice > before || before == 19);
    CHECK_INT(own_nice(), before);
}

PX_TEST_MAIN(T(work_behind_others_has_a_lower_priority_and_its_caller_keeps_its_own))
