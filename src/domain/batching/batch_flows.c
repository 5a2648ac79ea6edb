/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Levels and flows.
 *
 * Start-time fair queueing, with the start of a flow's first item kept per flow instead of one per item: a flow that gets items is due
 * at max(virtual time, when it was due last), one that is served pays rows / weight for it, and the virtual time is the start of
 * what was served last. So a flow that has been away owes nothing and is owed nothing, and two flows that both have items differ by
 * what an item of each costs, at most. Items that leave unserved cost nothing.
 *
 * In a flow the oldest item is first. Of an item that is split, the rest goes first, also while the level stands: what has been computed of
 * it would be lost.
 */
#include "domain/batching/batch_queue_private.h"

#include "shared/compiler.h"

/* Virtual time per row at weight 1: divisible by weights up to 10, and by others to a part in a thousand. */
static const uint64_t row_price = 2520 * 400;
static const uint64_t virtual_time_max = UINT64_C(1) << 60;

static struct px_batch_level_state *level_of(struct px_batch_queue *queue,
                                             const struct px_batch_item *item)
{
    return &queue->levels[item->in.level];
}

static struct px_batch_flow *flow_of(struct px_batch_level_state *level,
                                     const struct px_batch_item *item)
{
    return item->in.demoted ? &level->demoted : &level->flows[item->in.flow];
}

static size_t find_weight(const struct px_batch_policy *policy, uint64_t client)
{
    size_t i = 0;
    while (i < policy->n_weights && policy->weights[i].client != client)
        i++;
    return i;
}

void px_batch_flows_place(const struct px_batch_queue *queue, struct px_batch_item *item)
{
    const struct px_batch_policy *policy = &queue->policy;
    unsigned level = item->urgency.priority;
    if (level == 0 || level > policy->n_levels)
        level = policy->default_level;
    item->in.level = level - 1;
    size_t listed = find_weight(policy, item->urgency.client);
    size_t n_others = PX_BATCH_FLOWS - policy->n_weights;
    item->in.flow = (unsigned)(listed < policy->n_weights
                                   ? listed
                                   : policy->n_weights + item->urgency.client % n_others);
}

uint64_t px_batch_flows_price(const struct px_batch_policy *policy, unsigned flow, size_t n_rows)
{
    uint64_t weight = flow < policy->n_weights ? policy->weights[flow].weight : 1;
    uint64_t rows = n_rows < PX_BATCH_ROWS_MAX ? n_rows : PX_BATCH_ROWS_MAX;
    return rows * row_price / weight;
}

/* ---- lists ---- */

static void link_last(struct px_batch_flow *flow, struct px_batch_item *item)
{
    item->in.next = NULL;
    item->in.previous = flow->last;
    if (flow->last)
        flow->last->in.next = item;
    else
        flow->first = item;
    flow->last = item;
    flow->n_rows += px_batch_rows_left(item);
}

static void link_first(struct px_batch_flow *flow, struct px_batch_item *item)
{
    item->in.previous = NULL;
    item->in.next = flow->first;
    if (flow->first)
        flow->first->in.previous = item;
    else
        flow->last = item;
    flow->first = item;
    flow->n_rows += px_batch_rows_left(item);
}

static void unlink_flow(struct px_batch_flow *flow, struct px_batch_item *item)
{
    if (item->in.previous)
        item->in.previous->in.next = item->in.next;
    else
        flow->first = item->in.next;
    if (item->in.next)
        item->in.next->in.previous = item->in.previous;
    else
        flow->last = item->in.previous;
    flow->n_rows -= px_batch_rows_left(item);
}

static struct px_batch_kin *kin_of(struct px_batch_level_state *level,
                                   const struct px_batch_item *item)
{
    return &level->kin[item->in.demoted][item->urgency.criticality];
}

static void link_kin(struct px_batch_kin *kin, struct px_batch_item *item)
{
    item->in.newer = NULL;
    item->in.older = kin->newest;
    if (kin->newest)
        kin->newest->in.newer = item;
    else
        kin->oldest = item;
    kin->newest = item;
}

static void unlink_kin(struct px_batch_kin *kin, struct px_batch_item *item)
{
    if (item->in.older)
        item->in.older->in.newer = item->in.newer;
    else
        kin->oldest = item->in.newer;
    if (item->in.newer)
        item->in.newer->in.older = item->in.older;
    else
        kin->newest = item->in.older;
}

void px_batch_flows_add(struct px_batch_queue *queue, struct px_batch_item *item)
{
    struct px_batch_level_state *level = level_of(queue, item);
    struct px_batch_flow *flow = flow_of(level, item);
    if (!flow->first && flow->start < level->virtual_time)
        flow->start = level->virtual_time;
    link_last(flow, item);
    level->occupied |= UINT64_C(1) << item->in.flow;
    link_kin(kin_of(level, item), item);
    level->n_items++;
    level->n_rows += px_batch_rows_left(item);
    queue->n_items++;
    queue->n_rows += px_batch_rows_left(item);
}

static void leave_flow(struct px_batch_level_state *level, struct px_batch_item *item)
{
    struct px_batch_flow *flow = flow_of(level, item);
    unlink_flow(flow, item);
    unlink_kin(kin_of(level, item), item);
    if (!flow->first && !item->in.demoted)
        level->occupied &= ~(UINT64_C(1) << item->in.flow);
}

void px_batch_flows_remove(struct px_batch_queue *queue, struct px_batch_item *item)
{
    struct px_batch_level_state *level = level_of(queue, item);
    leave_flow(level, item);
    level->n_items--;
    level->n_rows -= px_batch_rows_left(item);
    queue->n_items--;
    queue->n_rows -= px_batch_rows_left(item);
}

void px_batch_flows_demote(struct px_batch_queue *queue, struct px_batch_item *item)
{
    struct px_batch_level_state *level = level_of(queue, item);
    leave_flow(level, item);
    item->in.demoted = true;
    link_last(&level->demoted, item);
    link_kin(kin_of(level, item), item);
}

void px_batch_flows_take(struct px_batch_queue *queue, struct px_batch_item *item, size_t n_rows)
{
    struct px_batch_level_state *level = level_of(queue, item);
    struct px_batch_flow *flow = flow_of(level, item);
    unlink_flow(flow, item);
    item->n_rows_taken += n_rows;
    level->n_rows -= n_rows;
    queue->n_rows -= n_rows;
    link_first(flow, item);
}

/* Virtual times are only compared with each other: all are moved back long before they would wrap around. */
static void move_back(struct px_batch_level_state *level)
{
    for (size_t f = 0; f < PX_BATCH_FLOWS; f++) {
        uint64_t start = level->flows[f].start;
        level->flows[f].start = start > level->virtual_time ? start - level->virtual_time : 0;
    }
    level->virtual_time = 0;
}

void px_batch_flows_pay(struct px_batch_queue *queue, struct px_batch_item *item, size_t n_rows)
{
    struct px_batch_level_state *level = level_of(queue, item);
    if (item->in.demoted)
        return;
    struct px_batch_flow *flow = flow_of(level, item);
    if (level->virtual_time < flow->start)
        level->virtual_time = flow->start;
    flow->start += px_batch_flows_price(&queue->policy, item->in.flow, n_rows);
    if (level->virtual_time > virtual_time_max)
        move_back(level);
}

/* ---- who is next ---- */

bool px_batch_flows_stand(const struct px_batch_queue *queue, unsigned level, uint64_t now_ns)
{
    const struct px_batch_kin *kin = queue->levels[level].kin[false];
    uint64_t oldest_ns = PX_BATCH_NEVER;
    if (!queue->policy.turns_around)
        return false;
    for (size_t c = 0; c < PX_ARRAY_LEN(queue->levels[level].kin[false]); c++) {
        if (kin[c].oldest && kin[c].oldest->arrived_ns < oldest_ns)
            oldest_ns = kin[c].oldest->arrived_ns;
    }
    return now_ns > px_batch_later_ns(oldest_ns, queue->policy.standing_ns);
}

static struct px_batch_item *newest_unstarted(const struct px_batch_kin *kin)
{
    struct px_batch_item *item = kin->newest;
    while (item && item->n_rows_taken > 0)
        item = item->in.older;
    return item;
}

static struct px_batch_item *least_of_level(const struct px_batch_level_state *level,
                                            enum px_criticality criticality)
{
    struct px_batch_item *item = newest_unstarted(&level->kin[true][criticality]);
    return item ? item : newest_unstarted(&level->kin[false][criticality]);
}

struct px_batch_item *px_batch_flows_least(const struct px_batch_queue *queue,
                                           enum px_criticality below, unsigned level)
{
    static const enum px_criticality rising[] = {PX_CRITICALITY_SHEDDABLE, PX_CRITICALITY_DEFAULT,
                                                 PX_CRITICALITY_CRITICAL};
    for (size_t c = 0; rising[c] != below; c++) {
        for (unsigned l = queue->policy.n_levels; l-- > 0;) {
            if (level < queue->policy.n_levels && l != level)
                continue;
            struct px_batch_item *item = least_of_level(&queue->levels[l], rising[c]);
            if (item)
                return item;
        }
    }
    return NULL;
}

void px_batch_tour_begin(struct px_batch_tour *tour, const struct px_batch_queue *queue,
                         unsigned level, uint64_t now_ns)
{
    tour->level = &queue->levels[level];
    tour->policy = &queue->policy;
    tour->stands = px_batch_flows_stand(queue, level, now_ns);
    tour->open = tour->level->occupied;
    tour->demoted = tour->level->demoted.first;
    for (uint64_t left = tour->open; left; left &= left - 1) {
        int f = __builtin_ctzll(left);
        const struct px_batch_flow *flow = &tour->level->flows[f];
        bool from_end = tour->stands && flow->first->n_rows_taken == 0;
        tour->next[f] = from_end ? flow->last : flow->first;
        tour->start[f] = flow->start;
    }
}

/* What is due in that flow after `item`. */
static struct px_batch_item *after(const struct px_batch_tour *tour,
                                   const struct px_batch_flow *flow,
                                   const struct px_batch_item *item)
{
    if (!tour->stands)
        return item->in.next;
    bool first_began = flow->first->n_rows_taken > 0;
    if (first_began && item == flow->first)
        return flow->last == item ? NULL : flow->last;
    return first_began && item->in.previous == flow->first ? NULL : item->in.previous;
}

struct px_batch_item *px_batch_tour_next(struct px_batch_tour *tour)
{
    if (!tour->open) {
        struct px_batch_item *item = tour->demoted;
        tour->demoted = item ? item->in.next : NULL;
        return item;
    }
    int due = __builtin_ctzll(tour->open);
    for (uint64_t left = tour->open; left; left &= left - 1) {
        int f = __builtin_ctzll(left);
        due = tour->start[f] < tour->start[due] ? f : due;
    }
    struct px_batch_item *item = tour->next[due];
    tour->next[due] = after(tour, &tour->level->flows[due], item);
    if (!tour->next[due])
        tour->open &= ~(UINT64_C(1) << due);
    return item;
}

void px_batch_tour_served(struct px_batch_tour *tour, const struct px_batch_item *item,
                          size_t n_rows)
{
    if (!item->in.demoted)
        tour->start[item->in.flow] += px_batch_flows_price(tour->policy, item->in.flow, n_rows);
}
