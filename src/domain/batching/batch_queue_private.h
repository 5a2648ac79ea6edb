/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the batch queue share; nobody else includes it.
 *
 * batch_queue.c      adding, shedding, removing, lateness
 * batch_flows.c      levels and flows: who is due next, and what it costs him
 * batch_deadlines.c  the order of deadlines: a pairing heap
 * batch_form.c       which of those that wait make a batch, and whether now
 * batch_foresee.c    what waiting and computing will take
 */
#ifndef PX_DOMAIN_BATCHING_BATCH_QUEUE_PRIVATE_H
#define PX_DOMAIN_BATCHING_BATCH_QUEUE_PRIVATE_H

#include "domain/batching/batch_queue.h"

#define PX_BATCH_NEVER UINT64_MAX

/* ---- batch_queue.c ---- */

static inline uint64_t px_batch_later_ns(uint64_t at_ns, uint64_t by_ns)
{
    return at_ns > PX_BATCH_NEVER - by_ns ? PX_BATCH_NEVER : at_ns + by_ns;
}

/* What the item counts for in sizes: the rows that were not taken yet. */
static inline size_t px_batch_rows_left(const struct px_batch_item *item)
{
    return item->n_rows ? item->n_rows - item->n_rows_taken : 1;
}

/* Nanoseconds by the cost line; 0 where it knows nothing. */
static inline uint64_t px_batch_cost_ns(const struct px_cost_line *cost, size_t n_rows)
{
    bool knows = cost && px_cost_line_knows(cost, (double)n_rows);
    double ns = knows ? px_cost_line_predict(cost, (double)n_rows) : 0;
    return ns < 1e18 ? (uint64_t)ns : (uint64_t)1e18;
}

/* Rows that a full batch has, as the items are now. */
static inline size_t px_batch_rows_full(const struct px_batch_queue *queue)
{
    size_t together = queue->policy.together_max, rows_max = queue->policy.rows_max;
    size_t mean = queue->n_items ? queue->n_rows / queue->n_items : 1;
    mean = mean ? mean : 1;
    return together && together < rows_max / mean ? together * mean : rows_max;
}

/* Takes the item out of everything. */
void px_batch_queue_unlink(struct px_batch_queue *queue, struct px_batch_item *item);

/* ---- batch_flows.c ---- */

/* Its level, from 0, and its flow there. */
void px_batch_flows_place(const struct px_batch_queue *queue, struct px_batch_item *item);
void px_batch_flows_add(struct px_batch_queue *queue, struct px_batch_item *item);
void px_batch_flows_remove(struct px_batch_queue *queue, struct px_batch_item *item);
/* The item has been placed behind all others of its level; its timeout is over. */
void px_batch_flows_demote(struct px_batch_queue *queue, struct px_batch_item *item);
/* Its flow pays for so many rows of the item, which is still linked. */
void px_batch_flows_pay(struct px_batch_queue *queue, struct px_batch_item *item, size_t n_rows);
/* Virtual time that so many rows cost a flow. */
uint64_t px_batch_flows_price(const struct px_batch_policy *policy, unsigned flow, size_t n_rows);
/* Some rows of an item that is split are taken; the rest goes to the head of its flow. */
void px_batch_flows_take(struct px_batch_queue *queue, struct px_batch_item *item, size_t n_rows);
/* Is the last that came served first? */
bool px_batch_flows_stand(const struct px_batch_queue *queue, unsigned level, uint64_t now_ns);
/* The newest of those that are less critical and of which nothing was computed; NULL: none. Of one level, or of all (n_levels). */
struct px_batch_item *px_batch_flows_least(const struct px_batch_queue *queue,
                                           enum px_criticality below, unsigned level);

/* Goes over the items of a level in the order in which they are due, as if each were served; changes nothing. */
struct px_batch_tour {
    const struct px_batch_level_state *level;
    const struct px_batch_policy *policy;
    struct px_batch_item *next[PX_BATCH_FLOWS]; /* of each flow in `open` */
    uint64_t start[PX_BATCH_FLOWS];
    uint64_t open;
    struct px_batch_item *demoted;
    bool stands;
};

void px_batch_tour_begin(struct px_batch_tour *tour, const struct px_batch_queue *queue,
                         unsigned level, uint64_t now_ns);
/* NULL: that was all. */
struct px_batch_item *px_batch_tour_next(struct px_batch_tour *tour);
/* The item that next returned gets so many rows. */
void px_batch_tour_served(struct px_batch_tour *tour, const struct px_batch_item *item,
                          size_t n_rows);

/* ---- batch_deadlines.c ---- */

void px_batch_deadlines_add(struct px_batch_queue *queue, struct px_batch_item *item);
void px_batch_deadlines_remove(struct px_batch_queue *queue, struct px_batch_item *item);

#endif
