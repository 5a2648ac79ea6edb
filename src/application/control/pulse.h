/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do all loops still come round? A beat is asked of each loop, and a loop that has not answered by the next look is late. What a
 * watchdog is fed by, since a process with one loop that hangs looks alive from everywhere else.
 *
 * Threads: all on one, but for the beats themselves, which are tasks of the loops.
 */
#ifndef PX_APPLICATION_CONTROL_PULSE_H
#define PX_APPLICATION_CONTROL_PULSE_H

#include "application/ports/loops.h"
#include "shared/err.h"

struct px_pulse;

/* `loops` must outlive it. */
PX_MUST_USE enum px_code px_pulse_create(const struct px_loops *loops, struct px_pulse **ret,
                                         struct px_err *err);
void px_pulse_destroy(struct px_pulse *pulse); /* when the loops have ended; NULL is fine */

/*
 * Asks every loop that has answered for the next beat. True when all had answered since the look before; else *late is the first that had
 * not, and for how many looks. Loops that have ended count as alive: they are not expected to come round.
 */
struct px_pulse_late {
    unsigned loop, looks;
};
bool px_pulse_look(struct px_pulse *pulse, struct px_pulse_late *late);

#endif
