/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines are found by walking the sequences. The thread does so at most once in LOOK_PAUSE_NS, whatever callers cancel and however
 * short their deadlines are, so that a walk never costs more than a small part of the time.
 */
#include "application/sequences/sequence_watch.h"

#include "shared/clock.h"

enum { LOOK_PAUSE_NS = PX_NS_PER_MS };

void px_sequence_watch_at(struct px_sequencer *self, uint64_t at_ns)
{
    if (at_ns < self->look_from_ns)
        at_ns = self->look_from_ns;
    if (at_ns < self->look_at_ns)
        self->look_at_ns = at_ns;
}

void px_sequence_watch_idle(struct px_sequencer *self)
{
    uint64_t at_ns = px_sequences_expire_at(&self->table);
    if (at_ns)
        px_sequence_watch_at(self, at_ns);
}

void px_sequence_expire(struct px_sequencer *self, uint64_t now_ns)
{
    struct px_sequence *sequence;
    while ((sequence = px_sequences_expired(&self->table, now_ns)) != NULL) {
        px_sequences_remove(&self->table, sequence, now_ns);
        px_sequence_live_free(px_sequence_live_of(sequence));
        self->counts.timed_out++;
    }
}

void px_sequence_look(struct px_sequencer *self, uint64_t now_ns, struct px_sequence_ended *ended)
{
    uint64_t earliest = PX_SEQUENCE_NEVER;
    self->look_from_ns = now_ns + LOOK_PAUSE_NS;
    self->look_at_ns = PX_SEQUENCE_NEVER;
    px_sequence_expire(self, now_ns);
    for (size_t i = 0; i <= self->table.mask && self->n_steps > 0; i++) {
        struct px_sequence *next, *s = self->table.buckets[i];
        for (; s; s = next) {
            next = s->same_bucket;
            uint64_t at_ns = px_sequence_live_of(s)->first
                                 ? px_sequence_sift(self, px_sequence_live_of(s), now_ns, ended)
                                 : PX_SEQUENCE_NEVER;
            earliest = at_ns < earliest ? at_ns : earliest;
            (void)px_sequence_settle(self, px_sequence_live_of(s), now_ns, ended);
        }
    }
    if (earliest != PX_SEQUENCE_NEVER)
        px_sequence_watch_at(self, earliest);
    px_sequence_watch_idle(self);
}
