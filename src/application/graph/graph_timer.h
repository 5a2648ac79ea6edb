/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timeouts of steps: one thread for all graphs of the process, which sleeps until the next one is due.
 *
 * A timer belongs to its owner's memory. px_graph_timer_stop returns only when `due` is not being called and will not be: afterwards the
 * memory may go. `due` is called under the timers' lock and must only note something; when it returns true, `run` is called after
 * the lock has been released, for work that may take long.
 */
#ifndef PX_APPLICATION_GRAPH_GRAPH_TIMER_H
#define PX_APPLICATION_GRAPH_GRAPH_TIMER_H

#include "shared/err.h"

struct px_graph_timer {
    uint64_t at_ns; /* monotonic */
    bool (*due)(struct px_graph_timer *timer);
    void (*run)(void *subject);
    void *subject;
    size_t place; /* in the heap, from 1; 0: not started. Private */
};

/* Every engine with timeouts holds the thread; the last one ends it. PX_E_UNAVAILABLE without threads. */
PX_MUST_USE enum px_code px_graph_timers_hold(struct px_err *err);
void px_graph_timers_release(void);

/* PX_E_NO_MEMORY */
PX_MUST_USE enum px_code px_graph_timer_start(struct px_graph_timer *timer, struct px_err *err);
void px_graph_timer_stop(struct px_graph_timer *timer); /* fine when it is not started */

#endif
