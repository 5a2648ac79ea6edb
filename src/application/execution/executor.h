/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executor: makes an asynchronous engine out of a blocking one.
 *
 *     px_executor_engine_create(blocking, &(struct px_executor_options){.n_threads = 4}, &engine, err)
 *
 * Concepts
 * - Runs wait in one bounded queue, oldest first; `n_threads` threads ("instances") compute one each. A run that finds the queue full
 *   finishes at once with PX_E_OVERLOADED.
 * - A run that is cancelled, or whose deadline passes, while it waits costs no engine work and does not wait for its turn. One that
 *   is being computed is stopped through the engine's `cancel`; an engine without one computes to the end, and the run
 *   ends then. Either way the run fails: with PX_E_CANCELLED, or with PX_E_DEADLINE, whichever came first.
 *
 * What the blocking engine has to know: `cancel` is called only for a run that is in `run`, about to enter it, or just leaving
 * it, on another thread, once; it must return soon and may not start runs.
 *
 * Ownership: the executor owns the blocking engine once it has been created, and shares its specs. Destroy waits for its threads; every
 * run has finished by then.
 */
#ifndef PX_APPLICATION_EXECUTION_EXECUTOR_H
#define PX_APPLICATION_EXECUTION_EXECUTOR_H

#include "application/ports/engine.h"

enum {
    PX_EXECUTOR_THREADS_MAX = 256,
    PX_EXECUTOR_QUEUE_MAX = 1 << 16,
    PX_EXECUTOR_QUEUE_DEFAULT = 1000,
};

struct px_executor_options {
    unsigned n_threads; /* 0: 1 */
    size_t queue_max;   /* runs that may wait; 0: PX_EXECUTOR_QUEUE_DEFAULT */
    const char *name;   /* of the threads, cut to what the system allows; NULL: the engine's */
};

struct px_executor_counts {
    unsigned n_threads;
    size_t queued, running;                      /* now */
    uint64_t accepted, refused, late, cancelled; /* so far; late and cancelled ones were accepted */
    uint64_t computed;                           /* runs that the engine finished, well or not */
};

/* The blocking engine takes tensors. PX_E_INVALID for numbers over the limits, PX_E_NO_MEMORY, PX_E_UNAVAILABLE without threads. */
PX_MUST_USE enum px_code px_executor_engine_create(struct px_engine *blocking,
                                                   const struct px_executor_options *options,
                                                   struct px_engine **ret, struct px_err *err);

/* Of an engine that this executor made; false and zeros for another. Any thread. */
bool px_executor_counts(const struct px_engine *engine, struct px_executor_counts *ret);

#endif
