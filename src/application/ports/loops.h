/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: running something on an event loop's thread.
 *
 * A task is embedded in what it is about, so posting needs no memory and cannot fail: whoever owns the object bounds how
 * many there are. A posted task runs once, in the loop's next wake-up, before its wave, so what it finishes or parks is
 * handled there; it may then be posted again. Tasks of one poster run in the order of posting. Threads: any may post.
 *
 * Loops that have stopped run no more tasks: px_loops_post then returns false, and the poster cleans up itself.
 */
#ifndef PX_APPLICATION_PORTS_LOOPS_H
#define PX_APPLICATION_PORTS_LOOPS_H

#include <stdbool.h>

struct px_loop_task {
    void (*run)(struct px_loop_task *task);
    struct px_loop_task *next; /* private to the loop */
};

struct px_loops {
    void *context;
    unsigned n_loops;
    bool (*post)(void *context, unsigned loop, struct px_loop_task *task);
};

static inline bool px_loops_post(const struct px_loops *loops, unsigned loop,
                                 struct px_loop_task *task)
{
    return loops->post(loops->context, loop, task);
}

#endif
