/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/thread.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BEHIND_NICE = 10 }; /* more than what started it */

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
    void (*work)(void *argument);
    void *argument;
};

/* Linux keeps a nice value per thread; one that has been raised cannot be lowered again without privileges. */
static void *run_behind(void *argument)
{
    struct behind *behind = argument;
    int own = getpriority(PRIO_PROCESS, (id_t)gettid());
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), own + BEHIND_NICE); /* cut to the lowest */
    behind->work(behind->argument);
    return NULL;
}

void px_thread_run_behind(void (*work)(void *argument), void *argument)
{
    struct behind behind = {work, argument};
    pthread_t thread;
    if (px_thread_start("px-behind", run_behind, &behind, &thread) == 0)
        pthread_join(thread, NULL);
    else
        work(argument);
}
