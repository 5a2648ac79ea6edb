/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flights from boarding to landing.
 *
 *   board     each chosen sequence's first step becomes a row, unless nobody wants it any more
 *   take off  the rows are joined and the inner engine starts, without the mutex
 *   land      on whatever thread the inner engine finishes: the answers are split, the steps end, and the flight is spare
 *
 * A flight is used again only when it has landed and no thread holds it (`n_holds`): a cancel may still be telling the inner
 * engine while the run lands. `landed` touches nothing of the sequencer once the last of its runs is finished: its owner may then
 * destroy it.
 */
#ifndef PX_APPLICATION_SEQUENCES_SEQUENCE_LAUNCH_H
#define PX_APPLICATION_SEQUENCES_SEQUENCE_LAUNCH_H

#include "application/sequences/sequence_impl.h"

/* Computes the first steps of the `n` sequences in `chosen`. The thread, with the mutex, which is given up meanwhile. */
void px_flight_launch(struct px_sequencer *self, size_t n);
/* A step of it was cancelled: stops it when nobody wants any of them. Any thread, with the mutex, which is given up meanwhile. */
void px_flight_stop(struct px_sequencer *self, struct px_flight *flight);

void px_flight_free(struct px_flight *flight); /* NULL is fine */

#endif
