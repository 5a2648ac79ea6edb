/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which steps of which sequences are computed next, as plain rules.
 *
 * Concepts
 * - A sequence is known by an id: a number, or a text. Its steps are computed one after the other.
 * - A sequence has a *place* until it ends. There are `sequences_max` of them; who finds none waits in the backlog, first come first
 *   served. A place is a number; the lowest that is free is given.
 * - A sequence with a place is *busy* while a step of it is computed, *ready* when a step waits, else *idle*. One that is idle for
 *   `idle_timeout_ns` may be removed.
 * - A batch is what is computed together, at most one step of each sequence. The two schedulers differ in where a step stands
 *   in it: `oldest` packs the sequences that have been ready longest; `direct` gives each its place as its row, always the
 *   same while it lives, and rows without a step stay empty.
 *
 * Ownership: the owner allocates `struct px_sequence`, first in an object of its own, and frees it after px_sequences_remove. The
 * table allocates its buckets and places once. Time is an argument and never goes back. Threads: one at a time.
 */
#ifndef PX_DOMAIN_SEQUENCES_SEQUENCES_H
#define PX_DOMAIN_SEQUENCES_SEQUENCES_H

#include "shared/err.h"
#include "shared/str.h"

enum px_sequence_scheduler { PX_SEQUENCE_OLDEST = 1, PX_SEQUENCE_DIRECT };

enum {
    PX_SEQUENCES_MAX = 1 << 16,
    PX_SEQUENCE_BACKLOG_MAX = 1 << 16,
    PX_SEQUENCE_PREFERRED_MAX = 8,
    PX_SEQUENCE_TEXT_MAX = 128, /* bytes of an id that is a text, as Triton has it */
};

struct px_sequence;

struct px_sequence_rules {
    enum px_sequence_scheduler scheduler;
    size_t sequences_max; /* places; with PX_SEQUENCE_DIRECT the rows of the largest batch too */
    size_t backlog_max;
    size_t batch_max;                            /* with PX_SEQUENCE_OLDEST */
    size_t preferred[PX_SEQUENCE_PREFERRED_MAX]; /* sizes of batches that need not wait, rising */
    size_t n_preferred;
    uint64_t idle_timeout_ns;
    uint64_t delay_ns; /* how long a step may wait for others to be computed with it */
    /* May the next steps of both be in one batch? NULL: always. */
    bool (*fits)(const struct px_sequence *first, const struct px_sequence *other);
};

struct px_sequence_id {
    uint64_t number; /* when `text` is empty */
    struct px_str text;
};

struct px_sequence_list {
    struct px_sequence *first, *last;
    size_t n;
};

/* What is read only for the owner. */
struct px_sequence {
    uint64_t number;
    struct px_str text; /* in `text_bytes` */
    bool has_place, busy;
    size_t place;
    size_t n_waiting;  /* steps */
    uint64_t since_ns; /* when it came to the list that it is in */
    /* private */
    char text_bytes[PX_SEQUENCE_TEXT_MAX];
    uint64_t hash;
    struct px_sequence *same_bucket;
    struct px_sequence_list *list; /* NULL while busy */
    struct px_sequence *next, *previous;
};

struct px_sequences {
    struct px_sequence_rules rules;
    struct px_sequence_list backlog, ready, idle; /* each by `since_ns` */
    size_t n;                                     /* sequences */
    size_t n_places;                              /* that are taken */
    /* private */
    struct px_sequence **buckets;
    size_t mask;
    uint64_t *free_places; /* a bit for each */
};

PX_MUST_USE enum px_code px_sequences_init(struct px_sequences *table,
                                           const struct px_sequence_rules *rules,
                                           struct px_err *err);
/* The sequences have been removed, or are not used any more. A zeroed table is fine. */
void px_sequences_deinit(struct px_sequences *table);

struct px_sequence *px_sequences_find(const struct px_sequences *table,
                                      const struct px_sequence_id *id);
/* Adds a zeroed one of an id that is not there. PX_E_OVERLOADED when every place is taken and the backlog is full. */
PX_MUST_USE enum px_code px_sequences_add(struct px_sequences *table, struct px_sequence *sequence,
                                          const struct px_sequence_id *id, uint64_t now_ns,
                                          struct px_err *err);
/* Takes out one that is not busy; its place goes to the first of the backlog. */
void px_sequences_remove(struct px_sequences *table, struct px_sequence *sequence, uint64_t now_ns);
/* Any sequence that is there, busy ones too; NULL when there is none. */
struct px_sequence *px_sequences_any(const struct px_sequences *table);

/* A step waits now, or one that waited does not any more, without having been computed. */
void px_sequences_add_step(struct px_sequences *table, struct px_sequence *sequence,
                           uint64_t now_ns);
void px_sequences_drop_step(struct px_sequences *table, struct px_sequence *sequence,
                            uint64_t now_ns);

/*
 * The batch that is to be computed now: its sequences become busy, each with one waiting step less. 0 when there is none yet;
 * then `*ret_at_ns` is when to ask again if nothing happens, 0: not before something does. `ret` has room for a whole batch.
 */
size_t px_sequences_choose(struct px_sequences *table, uint64_t now_ns, struct px_sequence **ret,
                           uint64_t *ret_at_ns);
/* The step of a busy sequence has ended, somehow. */
void px_sequences_end_step(struct px_sequences *table, struct px_sequence *sequence,
                           uint64_t now_ns);
/* One that is not busy goes behind those that wait for a place, if there are any: it has ended, and its id begins again. */
void px_sequences_requeue(struct px_sequences *table, struct px_sequence *sequence,
                          uint64_t now_ns);

/* The sequence that has been idle too long; NULL when there is none. */
struct px_sequence *px_sequences_expired(const struct px_sequences *table, uint64_t now_ns);
/* When the next one will be; 0 when none is idle. */
uint64_t px_sequences_expire_at(const struct px_sequences *table);

/* The largest batch. */
static inline size_t px_sequences_batch_max(const struct px_sequence_rules *rules)
{
    return rules->scheduler == PX_SEQUENCE_DIRECT ? rules->sequences_max : rules->batch_max;
}

#endif
