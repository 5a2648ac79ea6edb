/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tasks that other threads want to run on a loop's thread (application/ports/loops.h).
 *
 * An intrusive list: posting links the task in with one compare-and-swap and needs no memory. The loop takes the
 * whole list at once. Once closed it takes no more. Threads: any may post; the loop's thread does the rest.
 */
#ifndef PX_INFRASTRUCTURE_NET_LOOP_TASKS_H
#define PX_INFRASTRUCTURE_NET_LOOP_TASKS_H

#include "application/ports/loops.h"

#include <stdatomic.h>

struct px_task_list {
    _Atomic(struct px_loop_task *) newest; /* zeroed is an open, empty list */
};

enum px_task_posting {
    PX_TASK_REFUSED = 0, /* the list is closed */
    PX_TASK_POSTED,
    PX_TASK_POSTED_FIRST, /* the list was empty: the loop has to be woken */
};

enum px_task_posting px_task_list_post(struct px_task_list *list, struct px_loop_task *task);

/* Runs what has been posted, oldest first; what that posts in turn waits for the next call. True when there was any. */
bool px_task_list_run(struct px_task_list *list);

/* Takes no more from now on, and runs what was posted before. Closed already is fine. */
void px_task_list_close(struct px_task_list *list);

#endif
