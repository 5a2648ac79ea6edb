/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Something that every loop does once, on its own thread, while another thread waits for all of them. What was published
 * before the round is seen by all loops after it, and what was replaced before it is read by none: a loop runs the task
 * between two wake-ups.
 *
 * Threads: create and destroy on one; run on one at a time, never on a loop. A loop that does not come to its tasks is
 * waited for; the watchdog of the process looks after that (application/control/pulse.h).
 */
#ifndef PX_APPLICATION_CONTROL_LOOP_ROUND_H
#define PX_APPLICATION_CONTROL_LOOP_ROUND_H

#include "application/ports/loops.h"
#include "shared/err.h"

struct px_loop_round;

/* `loops` must outlive it. */
PX_MUST_USE enum px_code px_loop_round_create(const struct px_loops *loops,
                                              struct px_loop_round **ret, struct px_err *err);
void px_loop_round_destroy(struct px_loop_round *round); /* NULL is fine */

/* Returns when `run` has returned on each loop; loops that have ended are left out. */
void px_loop_round_run(struct px_loop_round *round, void (*run)(void *context, unsigned loop),
                       void *context);

#endif
