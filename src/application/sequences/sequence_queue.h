/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps that wait for their turn in their sequence, how they end, and what they leave behind.
 *
 * Ended runs are gathered while the mutex is held and finished when it is not, because whoever is told may start the next step from there.
 *
 * Threads: all with the mutex, but px_sequence_finish, which is without it.
 */
#ifndef PX_APPLICATION_SEQUENCES_SEQUENCE_QUEUE_H
#define PX_APPLICATION_SEQUENCES_SEQUENCE_QUEUE_H

#include "application/sequences/sequence_impl.h"

/* Runs that have ended and are still to be finished, by the thread that has the list. */
struct px_sequence_ended {
    struct px_run *first, *last;
};
/* Tells their owners. The sequencer may be gone when the last one knows. */
void px_sequence_finish(struct px_sequence_ended *ended);

/* Puts a step behind those that wait, and takes out the first. */
void px_sequence_enqueue(struct px_sequencer *self, struct px_sequence_live *live,
                         struct px_run *run, uint64_t now_ns);
struct px_run *px_sequence_dequeue(struct px_sequencer *self, struct px_sequence_live *live);

/* The error of a step of a sequence that is not there, in Triton's words. */
enum px_code px_sequence_refuse_without_start(const struct px_sequencer *self, struct px_run *run);

/*
 * The step of a busy sequence has ended, as `run->code` says: keeps what it leaves behind, and fails those that must not follow it. A
 * sequence that has ended and begins again gives its place to others first.
 */
void px_sequence_conclude(struct px_sequencer *self, struct px_sequence_live *live,
                          struct px_run *run, uint64_t now_ns, struct px_sequence_ended *ended);

/* Ends the unwanted steps of one sequence, and those behind them; returns the earliest deadline of the others. */
uint64_t px_sequence_sift(struct px_sequencer *self, struct px_sequence_live *live, uint64_t now_ns,
                          struct px_sequence_ended *ended);

/* Removes and frees one that is not busy, has not begun or has ended, and for which nothing waits; false when it did. */
bool px_sequence_settle(struct px_sequencer *self, struct px_sequence_live *live, uint64_t now_ns,
                        struct px_sequence_ended *ended);

void px_sequence_live_free(struct px_sequence_live *live);

#endif
