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

/*
 * Runs `work(argument)` on a thread of lower priority than the process's others (10 more nice), and returns when it has ended: for work that
 * takes the processor for long while others have to answer soon. It starts no threads, which would keep that priority. Without a
 * thread it runs here.
 */
void px_thread_run_behind(void (*work)(void *argument), void *argument);

#endif
