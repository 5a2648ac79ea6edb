/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executor: makes an asynchronous engine out of a blocking one, and batches of its runs.
 *
 *     px_executor_engine_create(blocking, &(struct px_executor_options){.n_threads = 4}, &engine, err)
 *
 * Concepts
 * - Runs wait in one bounded queue (domain/batching/batch_queue.h): by priority, then fairly by client, then oldest first. A run that
 *   finds no place finishes at once with PX_E_OVERLOADED.
 * - `n_threads` threads ("instances") compute one batch each. Where rows do not know of each other (PX_ENGINE_BATCHES) a batch may have
 *   the rows of several runs; of another engine, one run. A run alone in its batch goes to the engine as it is.
 * - A batch that fails in a way that one of its runs may be to blame for is computed again, each run by itself.
 * - A run that is cancelled, or whose deadline passes, while it waits costs no engine work and does not wait for its turn. One that
 *   is computed with others leaves them at once; one that is computed alone is stopped through the engine's `cancel`, and so is a batch
 *   that everybody has left; an engine without one computes to the end, and the run ends then. Either way the run fails: with
 *   PX_E_CANCELLED, or with PX_E_DEADLINE, whichever came first.
 *
 * What the blocking engine has to know: `cancel` is called only for a run that is in `run`, about to enter it, or just leaving
 * it, on another thread, once; it must return soon and may not start runs. The runs that it is given may be the executor's own.
 *
 * Ownership: the executor owns the blocking engine once it has been created, and shares its specs. Destroy waits for its threads; every
 * run has finished by then.
 */
#ifndef PX_APPLICATION_EXECUTION_EXECUTOR_H
#define PX_APPLICATION_EXECUTION_EXECUTOR_H

#include "application/execution/batching.h"
#include "application/ports/engine.h"

enum {
    PX_EXECUTOR_THREADS_MAX = 256,
    PX_EXECUTOR_QUEUE_MAX = 1 << 16,
    PX_EXECUTOR_QUEUE_DEFAULT = 1000,
    PX_EXECUTOR_NAME_MAX = 129,
    PX_EXECUTOR_BATCHES = 64, /* that are remembered */
    PX_EXECUTOR_REASONS = PX_BATCH_ALONE + 1,
};

struct px_executor_options {
    unsigned n_threads; /* 0: 1 */
    size_t queue_max;   /* runs that may wait; 0: PX_EXECUTOR_QUEUE_DEFAULT */
    const char *name;   /* of the threads, cut to what the system allows; NULL: the engine's */
    const struct px_batching *batching; /* NULL: as px_batching_init says */
};

struct px_executor_counts {
    unsigned n_threads;
    size_t queued, running;                      /* runs, batches: now */
    uint64_t accepted, refused, late, cancelled; /* so far; late and cancelled ones were accepted */
    uint64_t
        shed; /* accepted, and pushed out by others that are more critical, or by their level's timeout */
    uint64_t computed;                     /* runs that the engine finished, well or not */
    uint64_t retried;                      /* runs that were computed again by themselves */
    uint64_t batches[PX_EXECUTOR_REASONS]; /* by enum px_batch_reason */
};

/* A batch that was computed. */
struct px_executor_batch {
    uint64_t formed_ns; /* monotonic */
    size_t rows, requests;
    enum px_batch_reason reason;
    bool in_place; /* computed by who started it */
    bool retried;  /* it failed, and its runs were computed one by one */
    enum px_code code;
    uint64_t waited_ns;             /* its oldest run */
    uint64_t took_ns, predicted_ns; /* 0: nothing was known yet */
};

struct px_executor_report {
    struct px_executor_counts counts;
    struct px_batching batching;
    bool batches;             /* may a batch have several runs? */
    const char *why;          /* or why not */
    struct px_cost_line cost; /* of a batch, over its rows */
    size_t n_batches;
    struct px_executor_batch latest[PX_EXECUTOR_BATCHES]; /* the latest first */
};

/* The blocking engine takes tensors. PX_E_INVALID for numbers over the limits, PX_E_NO_MEMORY, PX_E_UNAVAILABLE without threads. */
PX_MUST_USE enum px_code px_executor_engine_create(struct px_engine *blocking,
                                                   const struct px_executor_options *options,
                                                   struct px_engine **ret, struct px_err *err);

/* Of an engine that this executor made; false and zeros for another. Any thread. */
bool px_executor_counts(const struct px_engine *engine, struct px_executor_counts *ret);
bool px_executor_report(const struct px_engine *engine, struct px_executor_report *ret);
/* The members `batching` (how and why, with the cost line) and `cost` (nothing before a batch was measured) of an object. */
void px_executor_put_batching(const struct px_executor_report *report, struct px_json_writer *json);
void px_executor_put_cost(const struct px_executor_report *report, struct px_json_writer *json);

/*
 * Batches by other rules from now on; the bound of the queue stays. While no run is being started: before the model is published.
 * PX_E_UNSUPPORTED for an engine of another kind, PX_E_CONFLICT while runs wait or are computed, PX_E_NO_MEMORY.
 */
PX_MUST_USE enum px_code px_executor_set_batching(struct px_engine *engine,
                                                  const struct px_batching *batching,
                                                  struct px_err *err);

#endif
