/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers: one thread for all of the process, which sleeps until the next one is due. For those who have no loop: steps of graphs,
 * calls that wait for an equal one.
 *
 * A timer belongs to its owner's memory. px_timer_stop returns only when `due` is not being called and will not be: afterwards the
 * memory may go. `due` is called under the timers' lock and must only note something; when it returns true, `run` is called after
 * the lock has been released, for work that may take long.
 */
#ifndef PX_APPLICATION_CONTROL_TIMERS_H
#define PX_APPLICATION_CONTROL_TIMERS_H

#include "shared/err.h"

struct px_timer {
    uint64_t at_ns; /* monotonic */
    bool (*due)(struct px_timer *timer);
    void (*run)(void *subject);
    void *subject;
    size_t place; /* in the heap, from 1; 0: not started. Private */
};

/* Whoever starts timers holds the thread; the last one to release it ends it. PX_E_UNAVAILABLE without threads. */
PX_MUST_USE enum px_code px_timers_hold(struct px_err *err);
void px_timers_release(void);

/* PX_E_NO_MEMORY */
PX_MUST_USE enum px_code px_timer_start(struct px_timer *timer, struct px_err *err);
void px_timer_stop(struct px_timer *timer); /* fine when it is not started */

#endif
