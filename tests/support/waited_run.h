/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run of tensors that a test waits for.
 *
 *     struct waited_run wait;
 *     waited_run_init(&wait);
 *     wait.run.inputs = ...;
 *     px_engine_start(engine, &wait.run);
 *     waited_run_wait(&wait);           // returns the code
 *     waited_run_deinit(&wait);         // releases the run
 */
#ifndef PX_TESTS_WAITED_RUN_H
#define PX_TESTS_WAITED_RUN_H

#include "application/ports/engine.h"

#include <semaphore.h>

enum { WAITED_RUN_BYTES_MAX = 64 << 20 };

struct waited_run {
    struct px_run run;
    struct px_arena arena;
    sem_t done;
    _Atomic unsigned n_done;
};

static inline void waited_run_done(struct px_run *run)
{
    struct waited_run *self = run->owner;
    atomic_fetch_add(&self->n_done, 1);
    sem_post(&self->done);
}

static inline void waited_run_init(struct waited_run *self)
{
    memset(self, 0, sizeof *self);
    self->arena = px_arena(WAITED_RUN_BYTES_MAX);
    self->run.arena = &self->arena;
    self->run.done = waited_run_done;
    self->run.owner = self;
    sem_init(&self->done, 0, 0);
}

static inline enum px_code waited_run_wait(struct waited_run *self)
{
    while (sem_wait(&self->done) != 0) {
    }
    return self->run.code;
}

static inline void waited_run_deinit(struct waited_run *self)
{
    px_run_release(&self->run);
    px_arena_deinit(&self->arena);
    sem_destroy(&self->done);
}

#endif
