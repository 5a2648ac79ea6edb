/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving back what a snapshot no longer holds.
 *
 * A loop uses a model from px_call_open to the end of the wave that scores the call, always within one wake-up, and keeps
 * it only in lanes with parked calls. So a task that finds no parked call on its loop runs between two such uses: whatever
 * was swapped out before the task was posted is not known to that loop any more. A task that finds parked calls
 * comes again until a wave has passed, which scored them all; calls that are parked by then were opened after the swap.
 *
 * A run of a model of tensors outlives the wake-up. Its lane counts it; a task that has passed waits at the lanes of its models
 * that still have some, and the last run to end tells it.
 *
 * Invariants
 * 1. A grave is closed after the swap: a loop that starts anew finds the new snapshot.
 * 2. Everything is freed on the control thread, or by a thread behind the others that it waits for.
 * 3. A server that stops does not wait: loops may be gone. What is left is freed with the core, when px_serving_unmanage has seen
 *    the end of every run.
 * 4. A run that takes long, or a step of a graph that was late and has not ended, does not hold up the loader: its grave is looked at again when the next one is closed.
 *
 * Rejected: reference counts on models (two contended writes per request), epochs per loop (a loop that sleeps has to be
 * woken anyway).
 */
#include "application/serving/repository_impl.h"

#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/thread.h"

#include <errno.h>
#include <time.h>

struct px_grave_task {
    struct px_loop_task task; /* first: what the loop knows */
    struct px_grave *grave;
    unsigned loop;
    bool has_waited;
    uint64_t waves;   /* of the loop, when it first ran */
    size_t n_waiting; /* lanes with runs on their way */
};

/* Nothing of the grave is read after this: the loader may have freed it. */
static void arrive(struct px_grave *grave)
{
    struct px_repository *r = grave->repository;
    /* Releases what this loop did with the models to is_free. */
    if (atomic_fetch_sub_explicit(&grave->n_left, 1, memory_order_acq_rel) == 1)
        sem_post(&r->passed);
}

/* A loop that has stopped may have runs on their way, whose ends it does not see. */
static void cut(struct px_grave *grave)
{
    atomic_store_explicit(&grave->is_cut, true, memory_order_relaxed);
    arrive(grave);
}

/* An engine may still be at work for a run that ended without it, and its destroy would wait. */
static bool is_free(const struct px_grave *grave)
{
    bool is_free = atomic_load_explicit(&grave->n_left, memory_order_acquire) == 0 &&
                   !atomic_load_explicit(&grave->is_cut, memory_order_relaxed);
    for (size_t i = 0; i < grave->n_models && is_free; i++)
        is_free = !grave->models[i]->engine || px_engine_is_idle(grave->models[i]->engine);
    return is_free;
}

/* Nothing new starts here for the grave's models; what runs is waited for. */
static void wait_for_runs(struct px_grave_task *self)
{
    struct px_grave *grave = self->grave;
    for (size_t i = 0; i < grave->n_models; i++) {
        struct px_model *model = grave->models[i];
        struct px_lane *lane = model->n_lanes ? &model->lanes[self->loop] : NULL;
        if (!lane || lane->n_runs == 0)
            continue;
        lane->leaving = self;
        self->n_waiting++;
    }
    if (self->n_waiting == 0)
        arrive(grave);
}

void px_grave_lane_empty(struct px_lane *lane)
{
    struct px_grave_task *self = lane->leaving;
    lane->leaving = NULL;
    if (--self->n_waiting == 0)
        arrive(self->grave);
}

static void pass(struct px_loop_task *task)
{
    struct px_grave_task *self = (struct px_grave_task *)task;
    struct px_repository *r = self->grave->repository;
    const struct px_serving_loop *loop = &r->serving->loops[self->loop];
    bool has_passed = !loop->busy || (self->has_waited && self->waves != loop->waves);
    if (!self->has_waited)
        self->waves = loop->waves;
    self->has_waited = true;
    if (has_passed)
        wait_for_runs(self);
    else if (!px_loops_post(&r->loops, self->loop, task))
        cut(self->grave);
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

static void free_grave(void *grave)
{
    px_grave_free(grave);
}

static bool holds_a_large_forest(const struct px_grave *grave)
{
    for (size_t i = 0; i < grave->n_models; i++) {
        const struct px_package *package = grave->models[i]->package;
        if (package && package->forest && package->model_size >= PX_PACKAGE_BEHIND_BYTES)
            return true;
    }
    return false;
}

/* Giving the pages of a large forest back takes the system tens of milliseconds, and stands back as reading it did. */
static void free_behind(struct px_grave *grave)
{
    px_thread_run_behind(holds_a_large_forest(grave) ? PX_STANDING_BEHIND : PX_STANDING_EQUAL,
                         free_grave, grave);
}

/* True when nobody uses it any more; false when the server stops, or runs take too long. */
static bool wait_for_loops(struct px_grave *grave)
{
    struct px_repository *r = grave->repository;
    uint64_t until_ns = px_clock_monotonic_ns() + r->patience_ns;
    const struct timespec until = px_clock_timespec(until_ns);
    while (!is_free(grave) && !atomic_load_explicit(&r->stopping, memory_order_acquire)) {
        if (sem_clockwait(&r->passed, CLOCK_MONOTONIC, &until) != 0 && errno == ETIMEDOUT)
            break;
    }
    return is_free(grave);
}

static void keep(struct px_grave *grave)
{
    grave->next = grave->repository->graves;
    grave->repository->graves = grave;
}

/* Frees what was kept and is not used any more. */
static void free_kept(struct px_repository *r)
{
    struct px_grave *kept = r->graves;
    r->graves = NULL;
    while (kept) {
        struct px_grave *next = kept->next;
        if (is_free(kept))
            free_behind(kept);
        else
            keep(kept);
        kept = next;
    }
}

void px_grave_close(struct px_grave *grave)
{
    struct px_repository *r = grave->repository;
    unsigned n_loops = r->serving->n_loops;
    for (size_t i = 0; i < grave->n_models; i++) {
        if (grave->models[i]->engine)
            px_engine_drain(grave->models[i]->engine);
    }
    atomic_store_explicit(&grave->n_left, n_loops, memory_order_relaxed);
    for (unsigned i = 0; i < n_loops; i++) {
        grave->tasks[i] = (struct px_grave_task){.task.run = pass, .grave = grave, .loop = i};
        if (!px_loops_post(&r->loops, i, &grave->tasks[i].task))
            cut(grave);
    }
    free_kept(r);
    if (wait_for_loops(grave))
        free_behind(grave);
    else
        keep(grave);
}
