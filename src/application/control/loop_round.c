/* SPDX-License-Identifier: Apache-2.0 */
#include "application/control/loop_round.h"

#include "shared/alloc.h"

#include <errno.h>
#include <semaphore.h>
#include <stddef.h>

struct step {
    struct px_loop_task task;
    struct px_loop_round *round;
    unsigned loop;
};

struct px_loop_round {
    const struct px_loops *loops;
    struct step *steps; /* [n_loops] */
    sem_t done;         /* once for each step */
    void (*run)(void *context, unsigned loop);
    void *context;
};

static void run_step(struct px_loop_task *task)
{
    struct step *step = PX_CONTAINER_OF(task, struct step, task);
    struct px_loop_round *round = step->round;
    round->run(round->context, step->loop);
    sem_post(&round->done); /* the last use: who waits may destroy the round */
}

enum px_code px_loop_round_create(const struct px_loops *loops, struct px_loop_round **ret,
                                  struct px_err *err)
{
    struct px_loop_round *round = px_alloc(1, sizeof *round);
    if (round)
        round->steps = px_alloc(loops->n_loops, sizeof *round->steps);
    if (!round || !round->steps) {
        px_free(round);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a round of %u loops", loops->n_loops);
    }
    round->loops = loops;
    sem_init(&round->done, 0, 0);
    for (unsigned i = 0; i < loops->n_loops; i++)
        round->steps[i] = (struct step){.task.run = run_step, .round = round, .loop = i};
    *ret = round;
    return PX_OK;
}

void px_loop_round_destroy(struct px_loop_round *round)
{
    if (!round)
        return;
    sem_destroy(&round->done);
    px_free(round->steps);
    px_free(round);
}

static void wait_for(sem_t *semaphore)
{
    int rc;
    do {
        rc = sem_wait(semaphore);
    } while (rc != 0 && errno == EINTR);
    PX_ASSERT(rc == 0);
}

void px_loop_round_run(struct px_loop_round *round, void (*run)(void *context, unsigned loop),
                       void *context)
{
    unsigned n_posted = 0;
    round->run = run;
    round->context = context;
    for (unsigned i = 0; i < round->loops->n_loops; i++)
        n_posted += px_loops_post(round->loops, i, &round->steps[i].task);
    for (unsigned i = 0; i < n_posted; i++)
        wait_for(&round->done);
}
