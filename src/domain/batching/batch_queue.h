/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch queue: which waiting requests are computed together, and when.
 *
 *     px_batch_queue_init(&queue, &policy);
 *     refusal = px_batch_queue_add(&queue, &request->item, now_ns, &shed);     // a request has come
 *     if (px_batch_queue_form(&queue, now_ns, &cost, &batch, &ask_again_ns))   // an instance is idle
 *         compute(batch.parts, batch.n_parts);
 *     for (item = px_batch_queue_take_late(&queue, now_ns); item; item = item->next) answer "too late"
 *
 * Concepts
 * - An item is a request of n_rows rows. Only items of the same `shape` (whatever the caller hashes: types, dimensions after the first,
 *   which inputs and outputs) are put together. Sizes count rows, not requests.
 * - Levels: 1 is served before 2. Within a level clients share by weight (start-time fair queueing, Goyal 1996, over a fixed number of flows
 *   that clients are hashed to), and each client's items go first in, first out. When the queue has been standing for longer than the
 *   policy says, and the policy asks for it, last in, first out: the newest may still be in time, the oldest hardly (Maurer,
 *   "Fail at Scale", 2015).
 * - A batch is formed when an instance is idle: at once without a delay; else when it is full or of a preferred size, when its oldest
 *   item has waited for the delay, when one of its items would be late by waiting longer, or when what is next does not fit.
 *   With tunes_delay the delay is not a number but a question: waiting for another row costs those that wait its time, and saves
 *   the fixed part of the cost line; it goes on while that is worth it (the marginal gain of BentoML's dispatcher).
 * - An item of more rows than a batch may have is split: it takes part in several batches, and is done when all have been computed.
 * - An item whose deadline (its own, or its level's timeout) has passed is never put into a batch: it is taken out as late, or, where the
 *   level says `demotes`, it loses its timeout and is served after all others of its level.
 * - When the queue is full, an item that is more critical than one which waits pushes the newest least critical one out.
 *
 * Pure: no clock, no threads, no memory. Items are the caller's, embedded in what they are about, and linked here. Adding and
 * removing cost a few pointers, and log n for the order of deadlines. One thread at a time.
 */
#ifndef PX_DOMAIN_BATCHING_BATCH_QUEUE_H
#define PX_DOMAIN_BATCHING_BATCH_QUEUE_H

#include "domain/batching/cost_line.h"
#include "domain/batching/urgency.h"

#include <stddef.h>

enum {
    PX_BATCH_LEVELS_MAX = 16,
    PX_BATCH_PREFERRED_MAX = 16,
    PX_BATCH_FLOWS = 32, /* clients of a level are hashed to so many */
    PX_BATCH_WEIGHTS_MAX = 64,
    PX_BATCH_WEIGHT_MAX = 1000,
};

/* Why a batch was formed when it was. */
enum px_batch_reason {
    PX_BATCH_IDLE = 1,  /* an instance was idle and nothing asks to wait */
    PX_BATCH_FULL,      /* as many rows as a batch may have */
    PX_BATCH_PREFERRED, /* a preferred number of rows */
    PX_BATCH_DELAY,     /* its oldest item has waited long enough */
    PX_BATCH_DEADLINE,  /* waiting longer would have made an item late */
    PX_BATCH_GAIN,      /* waiting longer would have cost more than it saves */
    PX_BATCH_SHAPE,     /* what is next has another shape */
    PX_BATCH_LARGE,     /* what is next would not have fitted */
    PX_BATCH_DRAIN,     /* the model is leaving: nothing waits for company */
};
const char *px_batch_reason_name(enum px_batch_reason reason); /* "idle", "full", ... */

enum px_batch_refusal {
    PX_BATCH_ACCEPTED = 0,
    PX_BATCH_QUEUE_FULL, /* of its level or of all, and nobody less critical waits */
    PX_BATCH_TOO_LARGE,  /* more rows than a batch may have, and the policy does not split */
    PX_BATCH_HOPELESS,   /* what waits before it takes until after its deadline, by the cost line */
};

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
    size_t rows_max;                          /* of one batch, at least 1 */
    size_t preferred[PX_BATCH_PREFERRED_MAX]; /* rows, ascending, at most rows_max */
    size_t n_preferred;
    uint64_t delay_ns; /* how long the oldest item may wait for company */
    bool tunes_delay;  /* as long as it is worth, at most delay_ns */
    bool splits;
    bool turns_around;    /* last in, first out while the queue stands */
    uint64_t standing_ns; /* the queue stands when its oldest item has waited longer */
    size_t items_max;     /* that may wait, at least 1: the queue is always bounded */
    unsigned n_levels, default_level;
    struct px_batch_level levels[PX_BATCH_LEVELS_MAX]; /* [0] is level 1 */
    struct px_batch_weight weights[PX_BATCH_WEIGHTS_MAX];
    size_t n_weights;
};

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
        struct px_batch_item *next, *previous;          /* of its flow */
        struct px_batch_item *child, *sibling, *parent; /* in the heap of deadlines */
        uint64_t late_ns;                               /* its deadline or its level's timeout */
        unsigned level, flow;
        bool waits, demoted;
    } in;
};

/* Rows [first_row, first_row + n_rows) of an item. */
struct px_batch_part {
    struct px_batch_item *item;
    size_t first_row, n_rows;
};

struct px_batch {
    struct px_batch_part *parts; /* the caller's memory, of n_parts_max */
    size_t n_parts_max;
    size_t n_parts, n_rows;
    enum px_batch_reason reason;
    uint64_t oldest_ns; /* arrival of its oldest item */
};

struct px_batch_flow {
    struct px_batch_item *first, *last;
    uint64_t start; /* virtual time at which its first item is due */
};

struct px_batch_level_state {
    struct px_batch_flow flows[PX_BATCH_FLOWS];
    struct px_batch_flow demoted; /* those that have lost their timeout, served last */
    uint64_t virtual_time;
    size_t n_items;
};

struct px_batch_queue {
    struct px_batch_policy policy;
    struct px_batch_level_state levels[PX_BATCH_LEVELS_MAX];
    struct px_batch_item *soonest; /* root of the heap of deadlines */
    size_t n_items, n_rows;        /* that wait; rows that were taken do not count */
    uint64_t arrival_gap_ns;       /* mean time between rows, for tunes_delay */
    uint64_t arrived_ns;           /* the latest arrival */
    bool drains;
};

/* The policy must be within the limits above; whoever reads it from outside checks. */
void px_batch_queue_init(struct px_batch_queue *queue, const struct px_batch_policy *policy);

/*
 * `shed` gets the item that was pushed out for this one, or NULL; it is not in the queue any more. `cost` and `n_instances` foresee
 * whether the item can be in time (an item without a deadline always can); a `cost` that knows nothing yet lets everything in.
 */
enum px_batch_refusal px_batch_queue_add(struct px_batch_queue *queue, struct px_batch_item *item,
                                         uint64_t now_ns, const struct px_cost_line *cost,
                                         unsigned n_instances, struct px_batch_item **shed);

/* Nobody wants the item any more. Does nothing to one that has left; the rows of a split one that were not taken yet are dropped. */
void px_batch_queue_remove(struct px_batch_queue *queue, struct px_batch_item *item);

/*
 * Is there something that an idle instance should compute now? Then it is in `ret` and, but for items that are split, not in the queue
 * any more. Else `*ask_again_ns` is when to ask again if nothing else happens; UINT64_MAX: when an item is added.
 */
bool px_batch_queue_form(struct px_batch_queue *queue, uint64_t now_ns,
                         const struct px_cost_line *cost, struct px_batch *ret,
                         uint64_t *ask_again_ns);

/* Items that are late, taken out of the queue, linked by `next`; demotes those whose level says so. */
struct px_batch_item *px_batch_queue_take_late(struct px_batch_queue *queue, uint64_t now_ns);
/* When the next item will be late; UINT64_MAX: never. */
uint64_t px_batch_queue_next_late_ns(const struct px_batch_queue *queue);

/* How long an item of that level which comes now would wait and compute, by the cost line; 0 when it knows nothing yet. */
uint64_t px_batch_queue_foresee_ns(const struct px_batch_queue *queue,
                                   const struct px_batch_item *item,
                                   const struct px_cost_line *cost, unsigned n_instances);

/* Batches do not wait for company any more. */
void px_batch_queue_drain(struct px_batch_queue *queue);

#endif
