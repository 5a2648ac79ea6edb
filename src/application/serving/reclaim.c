/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving back what a snapshot no longer holds.
 *
 * A loop uses a model from px_call_open to the end of the wave that scores the call, always within one wake-up, and keeps
 * it only in lanes with parked calls. So a task that finds no parked call on its loop runs between two such uses: whatever
 * was swapped out before the task was posted is not known to that loop any more. A task that finds parked calls
 * comes again until a wave has passed, which scored them all; calls that are parked by then were opened after the swap.
 *
 * Invariants
 * 1. A grave is closed after the swap: a loop that starts anew finds the new snapshot.
 * 2. Everything is freed on the control thread; large models take milliseconds to free.
 * 3. A server that stops does not wait: loops may be gone. What is left is freed with the core.
 *
 * Rejected: reference counts on models (two contended writes per request), epochs per loop (a loop that sleeps has to be
 * woken anyway).
 */
#include "application/serving/repository_impl.h"

#include "shared/alloc.h"

#include <errno.h>

struct px_grave_task {
    struct px_loop_task task; /* first: what the loop knows */
    struct px_grave *grave;
    unsigned loop;
    bool has_waited;
    uint64_t waves; /* of the loop, when it first ran */
};

static void pass(struct px_loop_task *task)
{
    struct px_grave_task *self = (struct px_grave_task *)task;
    struct px_repository *r = self->grave->repository;
    const struct px_serving_loop *loop = &r->serving->loops[self->loop];
    bool has_passed = !loop->busy || (self->has_waited && self->waves != loop->waves);
    if (!self->has_waited)
        self->waves = loop->waves;
    self->has_waited = true;
    if (has_passed || !px_loops_post(&r->loops, self->loop, task))
        sem_post(&r->passed);
}

enum px_code px_grave_open(struct px_repository *r, size_t n_models, struct px_grave **ret,
                           struct px_err *err)
{
    struct px_grave *grave = px_alloc(1, sizeof *grave);
    if (grave) {
        grave->repository = r;
        grave->models = px_alloc(n_models + 1, sizeof *grave->models);
        grave->tasks = px_alloc(r->serving->n_loops, sizeof *grave->tasks);
    }
    if (!grave || !grave->models || !grave->tasks) {
        px_grave_free(grave);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to replace %zu models", n_models);
    }
    *ret = grave;
    return PX_OK;
}

void px_grave_free(struct px_grave *grave)
{
    if (!grave)
        return;
    for (size_t i = 0; i < grave->n_models; i++)
        px_model_unload(grave->models[i]);
    px_snapshot_free(grave->snapshot);
    px_free(grave->models);
    px_free(grave->tasks);
    px_free(grave);
}

/* True when one more loop has passed, false when the server stops. */
static bool wait_for_one(struct px_repository *r)
{
    while (sem_wait(&r->passed) != 0)
        PX_ASSERT(errno == EINTR);
    return !atomic_load_explicit(&r->stopping, memory_order_acquire);
}

void px_grave_close(struct px_grave *grave)
{
    struct px_repository *r = grave->repository;
    unsigned n_loops = r->serving->n_loops;
    for (unsigned i = 0; i < n_loops; i++) {
        grave->tasks[i] = (struct px_grave_task){.task.run = pass, .grave = grave, .loop = i};
        if (!px_loops_post(&r->loops, i, &grave->tasks[i].task))
            sem_post(&r->passed); /* a loop that has stopped uses nothing */
    }
    for (unsigned i = 0; i < n_loops; i++) {
        if (wait_for_one(r))
            continue;
        grave->next = r->graves;
        r->graves = grave;
        return;
    }
    px_grave_free(grave);
}
