/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/thread.h"

#include <signal.h>

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
