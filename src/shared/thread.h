/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of the process. Signals are for the thread that was there first: a new one blocks them all from its first
 * instruction on.
 */
#ifndef PX_SHARED_THREAD_H
#define PX_SHARED_THREAD_H

#include "shared/compiler.h"

#include <pthread.h>

enum { PX_THREAD_NAME_MAX = 16 }; /* the kernel's limit, with the end of the text */

/* Starts a thread that `ps -T` shows as `name`, which the caller joins. 0, or the errno why it cannot be had. */
PX_MUST_USE int px_thread_start(const char *name, void *(*run)(void *), void *argument,
                                pthread_t *ret);

/* How work that takes the processor for long stands to the threads that have to answer soon. */
enum px_standing {
    PX_STANDING_EQUAL = 0, /* it is done by the caller */
    PX_STANDING_BEHIND,    /* 10 more nice: about a tenth of a core that others want as well */
    /*
     * What others leave of the cores (SCHED_IDLE), until that was less than a tenth of one for two seconds; then as BEHIND. As BEHIND from
     * the start where the system would not let it come back: that takes CAP_SYS_NICE, or an RLIMIT_NICE that allows the nice value.
     */
    PX_STANDING_LAST,
};

/*
 * Runs `work(argument)` with that standing, and returns when it has ended. It starts no threads, which would keep the standing. Without a
 * thread it runs here.
 */
void px_thread_run_behind(enum px_standing standing, void (*work)(void *argument), void *argument);

#endif
