/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a flight: the steps of a batch as one run of the inner engine, and what comes out of it as answers and states.
 *
 * Threads: whoever loads or unloads a flight is alone with its rows, because their sequences are busy and their runs have not
 * finished. So nothing here takes the mutex.
 */
#ifndef PX_APPLICATION_SEQUENCES_SEQUENCE_FLIGHT_H
#define PX_APPLICATION_SEQUENCES_SEQUENCE_FLIGHT_H

#include "application/sequences/sequence_impl.h"

/* May the two runs be rows of one batch: the same inputs, of the same shape but for their rows? */
bool px_flight_fits(const struct px_run *a, const struct px_run *b);

/* Makes the inner run of the flight's rows. An error is in `flight->run.err`. */
PX_MUST_USE enum px_code px_flight_load(struct px_flight *flight);
/* Gives each row its outputs, or an error, and keeps its states; `run->code` of each says how it ends. */
void px_flight_unload(struct px_flight *flight);

/* Is the run late or cancelled? Sets its error, which says `where` it was found to be. */
PX_MUST_USE enum px_code px_sequence_check_wanted(struct px_run *run, const char *where);

#endif
