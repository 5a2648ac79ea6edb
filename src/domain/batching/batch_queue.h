/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch queue: which waiting requests are computed together, and when.
 *
 *     px_batch_queue_init(&queue, &policy);
 *     refusal = px_batch_queue_add(&queue, &request->item, now_ns, &cost, n_instances, &shed);   // a request has come
 *     for (item = px_batch_queue_take_late(&queue, now_ns); item; item = item->next) answer "too late"
 *     if (px_batch_queue_form(&queue, now_ns, &cost, &batch, &ask_again_ns))                     // an instance is idle
 *         compute(batch.parts, batch.n_parts);
 *
 * Concepts
 * - An item is a request of n_rows rows. Only items of the same `shape` (whatever the caller hashes: types, dimensions after the first,
 *   which inputs and outputs) are put together: a batch has the shape of what is due first, and is filled with others of that shape from
 *   the PX_BATCH_LOOK_AHEAD that are due next. Those that were passed over are due first in the next batch. Sizes count rows,
 *   not requests.
 * - Levels: 1 is served before 2. Within a level clients share by weight (start-time fair queueing, Goyal 1996): each client that has a weight
 *   is a flow, the others are hashed to the flows that are left. Within a flow items go first in, first out. When the level has been standing
 *   for longer than the policy says, and the policy asks for it, last in, first out: the newest may still be in time, the oldest
 *   hardly (Maurer, "Fail at Scale", 2015).
 * - A batch is formed when an instance is idle: at once without a delay; else when it is full or of a preferred size, when its oldest
 *   item has waited for the delay, when one of its items would be late by waiting longer, or when what is next does not fit.
 *   With tunes_delay the delay is not a number but a question: waiting for another item costs those that wait its time, and saves
 *   the fixed part of the cost line; it goes on while that is worth it (the marginal gain of BentoML's dispatcher).
 * - An item of more rows than a batch may have is split: it takes part in several batches, and is done when all have been computed.
 *   Only such an item is split; another that does not fit any more waits for the next batch.
 * - An item whose deadline (its own, or its level's timeout) has passed is never put into a batch: it is taken out as late, or, where the
 *   level says `demotes`, it loses its timeout and is served after all others of its level. Late is when late_ns <= now_ns.
 * - An item that by the cost line would not be in time is passed over as long as another can be: when nobody
 *   can, a batch is made as if there were no deadlines (the instance has nothing better to do, and a line that is wrong is put right). A batch does not grow so far that it makes one of
 *   its items late.
 * - When the queue is full, an item that is more critical than one which waits pushes the newest least critical one out.
 *
 * Pure: no clock, no threads, no memory. Items are the caller's, embedded in what they are about, and linked here. Adding and
 * removing cost a few pointers, and log n for the order of deadlines; forming costs as much as the batch has items, and those that
 * were looked at. One thread at a time.
 */
#ifndef PX_DOMAIN_BATCHING_BATCH_QUEUE_H
#define PX_DOMAIN_BATCHING_BATCH_QUEUE_H

#include "domain/batching/cost_line.h"
#include "domain/batching/urgency.h"

#include <stddef.h>

enum {
    PX_BATCH_LEVELS_MAX = 16,
    PX_BATCH_PREFERRED_MAX = 16,
    PX_BATCH_ROWS_MAX = 1 << 24, /* of a batch */
    PX_BATCH_FLOWS =
        64, /* of a level: one for each client with a weight, the rest for all others */
    PX_BATCH_WEIGHTS_MAX = 32,
    PX_BATCH_WEIGHT_MAX = 1000,
    PX_BATCH_LOOK_AHEAD = 64, /* items of other shapes that are passed over for one batch */
};

/* Why a batch was formed when it was. */
enum px_batch_reason {
    PX_BATCH_IDLE = 1,  /* an instance was idle and nothing asks to wait */
    PX_BATCH_FULL,      /* as many rows as a batch may have */
    PX_BATCH_PREFERRED, /* a preferred number of rows, or more than the largest */
    PX_BATCH_DELAY,     /* its oldest item has waited long enough */
    PX_BATCH_DEADLINE,  /* waiting longer, or more rows, would have made an item late */
    PX_BATCH_GAIN,      /* waiting longer would have cost more than it saves */
    PX_BATCH_SHAPE,     /* what else waits has another shape */
    PX_BATCH_LARGE,     /* what is next would not have fitted */
    PX_BATCH_DRAIN,     /* the model is leaving: nothing waits for company */
    PX_BATCH_ALONE,     /* each item is computed by itself */
};
const char *px_batch_reason_name(enum px_batch_reason reason); /* "idle", "full", ... */

enum px_batch_refusal {
    PX_BATCH_ACCEPTED = 0,
    PX_BATCH_QUEUE_FULL, /* and nobody less critical waits */
    PX_BATCH_LEVEL_FULL, /* the same of its level */
    PX_BATCH_TOO_LARGE,  /* more rows than a batch may have, and the policy does not split */
    PX_BATCH_HOPELESS, /* its deadline is over, or will be before it is computed, by the cost line */
};
/* "accepted", "queue_full", ... */
const char *px_batch_refusal_name(enum px_batch_refusal refusal);

struct px_batch_level {
    size_t items_max;    /* that may wait in this level; 0: as many as in the queue */
    uint64_t timeout_ns; /* longest wait; 0: none */
    bool demotes;        /* what has waited for longer is served last instead of refused */
};

struct px_batch_weight {
    uint64_t client;
    unsigned weight; /* 1..PX_BATCH_WEIGHT_MAX; clients that are not listed have 1 */
};

struct px_batch_policy {
    size_t rows_max;     /* of one batch, 1..PX_BATCH_ROWS_MAX */
    size_t together_max; /* items of one batch; 0: any number; 1: each is computed alone */
    size_t preferred[PX_BATCH_PREFERRED_MAX]; /* rows, ascending, at most rows_max */
    size_t n_preferred;
    uint64_t delay_ns; /* how long the oldest item may wait for company */
    bool tunes_delay;  /* as long as it is worth, at most delay_ns */
    bool splits;
    bool turns_around;                /* last in, first out while the queue stands */
    uint64_t standing_ns;             /* the queue stands when its oldest item has waited longer */
    size_t items_max;                 /* that may wait, at least 1: the queue is always bounded */
    unsigned n_levels, default_level; /* 0 counts as 1 */
    struct px_batch_level levels[PX_BATCH_LEVELS_MAX]; /* [0] is level 1 */
    struct px_batch_weight weights[PX_BATCH_WEIGHTS_MAX];
    size_t n_weights;
};

/* What computes the batches. */
struct px_batch_instances {
    unsigned n; /* 0 counts as 1 */
    unsigned n_busy;
};

/* All zero but for what the caller sets, until it is added. */
struct px_batch_item {
    /* set by the caller, fixed while it waits */
    size_t n_rows; /* 0 counts as 1 */
    uint64_t shape;
    struct px_urgency urgency;
    uint64_t deadline_ns; /* 0: none */

    /* the queue's; may be read */
    uint64_t arrived_ns;
    size_t n_rows_taken;        /* of an item that is split */
    struct px_batch_item *next; /* in the lists that the queue returns */
    struct {
        struct px_batch_item *next, *previous; /* of its flow */
        struct px_batch_item *newer, *older;   /* of its level that are as critical */
        struct px_batch_item *child, *sibling; /* in the heap of deadlines */
        struct px_batch_item *back;            /* previous sibling, or parent of the first */
        uint64_t late_ns;     /* its deadline or its level's timeout; UINT64_MAX: never */
        unsigned level, flow; /* from 0 */
        bool waits, demoted;
    } in;
};

/* Rows [first_row, first_row + n_rows) of an item; none of an item without rows. */
struct px_batch_part {
    struct px_batch_item *item;
    size_t first_row, n_rows;
};

struct px_batch {
    struct px_batch_part *parts; /* the caller's memory, of n_parts_max */
    size_t n_parts_max;          /* a batch of so many is full */
    size_t n_parts, n_rows;
    enum px_batch_reason reason;
    uint64_t oldest_ns; /* arrival of its oldest item */
};

struct px_batch_flow {
    struct px_batch_item *first, *last;
    size_t n_rows;  /* not taken yet */
    uint64_t start; /* virtual time at which its first item is due */
};

struct px_batch_kin {
    struct px_batch_item *oldest, *newest;
};

struct px_batch_level_state {
    struct px_batch_flow flows[PX_BATCH_FLOWS];
    struct px_batch_flow demoted;  /* those that have lost their timeout, served last */
    struct px_batch_kin kin[2][3]; /* [demoted][enum px_criticality], by arrival */
    uint64_t occupied;             /* bit f: flow f has items */
    uint64_t virtual_time;
    size_t n_items, n_rows; /* the demoted ones too */
};

struct px_batch_queue {
    struct px_batch_policy policy;
    struct px_batch_level_state levels[PX_BATCH_LEVELS_MAX];
    struct px_batch_item *soonest; /* root of the heap of deadlines */
    size_t n_items, n_rows;        /* that wait; rows that were taken do not count */
    uint64_t arrival_gap_ns;       /* mean time between arrivals, for tunes_delay */
    uint64_t arrived_ns;           /* the latest arrival */
    uint64_t n_learned;            /* observations of the cost line at the latest probe */
    uint64_t probe_times; /* how long nothing was computed before the next one, see is_probe */
    uint64_t formed_ns;   /* the latest batch, and its rows */
    size_t formed_rows;
    bool drains;
};

/* The policy must be within the limits above; whoever reads it from outside checks. */
void px_batch_queue_init(struct px_batch_queue *queue, const struct px_batch_policy *policy);

/*
 * `shed` gets the item that was pushed out for this one, or NULL; it is not in the queue any more. `cost` (NULL: nothing is known) and
 * the instances foresee whether the item can be in time (an item without a deadline always can). A `cost` that knows nothing yet lets
 * everything in whose deadline has not passed. One that knows may be wrong, and what is refused teaches it nothing: so an instance that
 * has computed nothing for five times as long as an item should take gets it though it should be late; when that has taught
 * nothing either, the next one after twice as long, and so on.
 */
enum px_batch_refusal px_batch_queue_add(struct px_batch_queue *queue, struct px_batch_item *item,
                                         uint64_t now_ns, const struct px_cost_line *cost,
                                         struct px_batch_instances instances,
                                         struct px_batch_item **shed);

/* Nobody wants the item any more. Does nothing to one that has left; the rows of a split one that were not taken yet are dropped. */
void px_batch_queue_remove(struct px_batch_queue *queue, struct px_batch_item *item);

/*
 * Is there something that an idle instance should compute now? Then it is in `ret` (whose parts and n_parts_max the caller has set) and, but
 * for items that are split, not in the queue any more: an item has left when `!item->in.waits`. A split item may also leave as late, shed
 * or removed while some of its rows are being computed: it ends when these are back. Else `*ask_again_ns` is when to ask again if
 * nothing else happens; UINT64_MAX: when an item is added.
 */
bool px_batch_queue_form(struct px_batch_queue *queue, uint64_t now_ns,
                         const struct px_cost_line *cost, struct px_batch *ret,
                         uint64_t *ask_again_ns);

/* Items that are late, taken out of the queue, linked by `next`, the one that is late for longest first; demotes those whose level says so. */
struct px_batch_item *px_batch_queue_take_late(struct px_batch_queue *queue, uint64_t now_ns);
/* When the next item will be late; UINT64_MAX: never. */
uint64_t px_batch_queue_next_late_ns(const struct px_batch_queue *queue);

/*
 * How long an item of that level and client which comes now would wait and compute, by the cost line; 0 when it knows nothing yet.
 * For Retry-After and for refusing early: what the item's fair share lets others do first counts, not all that waits.
 */
uint64_t px_batch_queue_foresee_ns(const struct px_batch_queue *queue,
                                   const struct px_batch_item *item, uint64_t now_ns,
                                   const struct px_cost_line *cost,
                                   struct px_batch_instances instances);

/* Batches do not wait for company any more. */
void px_batch_queue_drain(struct px_batch_queue *queue);

#endif
