/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where graphs compute what is not small: threads for all graphs of the process, one bounded queue (execution/executor.h).
 *
 * One pool for the program, not one for each graph: what is to be bounded is how much of the machine is computed on at once, and a
 * server of a hundred graphs would otherwise have hundreds of threads that mostly sleep. A graph that brings much waits
 * in the queue with the others, oldest first; its deadlines and cancels count while it waits.
 *
 * A job is a run without tensors. `work` is called on a thread of the pool, unless the job was cancelled, late or refused before; then
 * `done` of the run is called, which may free the job, on that thread, on the watch of the executor, or, when the queue is full, before
 * px_graph_pool_start returns.
 */
#ifndef PX_APPLICATION_GRAPH_GRAPH_POOL_H
#define PX_APPLICATION_GRAPH_GRAPH_POOL_H

#include "application/ports/engine.h"

struct px_graph_job {
    struct px_run run; /* deadline_ns, arena, done and owner are the caller's */
    void (*work)(struct px_graph_job *job);
    bool began; /* `work` was called */
};

/* Every graph holds the threads; the last one ends them. PX_E_UNAVAILABLE without threads, PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_graph_pool_hold(struct px_err *err);
void px_graph_pool_release(void);

void px_graph_pool_start(struct px_graph_job *job);
/* One that computes goes on; one that waits ends soon, with PX_E_CANCELLED. Its memory is still there. */
void px_graph_pool_cancel(struct px_graph_job *job);

#endif
