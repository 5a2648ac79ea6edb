/* SPDX-License-Identifier: Apache-2.0 */
#include "application/execution/await.h"

#include <semaphore.h>

static void wake(struct px_run *run)
{
    sem_post(run->owner);
}

enum px_code px_engine_await(struct px_engine *engine, struct px_run *run, struct px_err *err)
{
    sem_t done;
    sem_init(&done, 0, 0);
    run->done = wake;
    run->owner = &done;
    px_engine_start(engine, run);
    while (sem_wait(&done) != 0) {
    }
    sem_destroy(&done);
    if (run->code != PX_OK && err)
        *err = run->err;
    return run->code;
}
