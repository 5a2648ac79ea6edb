/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What time ends: steps that wait and are late or cancelled, and sequences that have been idle too long.
 *
 * The thread looks when `look_at_ns` has come; everybody who knows of an earlier end sets it. Threads: all with the mutex.
 */
#ifndef PX_APPLICATION_SEQUENCES_SEQUENCE_WATCH_H
#define PX_APPLICATION_SEQUENCES_SEQUENCE_WATCH_H

#include "application/sequences/sequence_queue.h"

/* Has the thread look at that time, or as soon as it may; who needs it sooner than the thread would wake has to wake it. */
void px_sequence_watch_at(struct px_sequencer *self, uint64_t at_ns);
/* Has it look when the next sequence will have been idle too long. */
void px_sequence_watch_idle(struct px_sequencer *self);

/* Removes the sequences that have been idle too long. */
void px_sequence_expire(struct px_sequencer *self, uint64_t now_ns);
/* Ends all that is to end now, and sets when to look again. */
void px_sequence_look(struct px_sequencer *self, uint64_t now_ns, struct px_sequence_ended *ended);

#endif
