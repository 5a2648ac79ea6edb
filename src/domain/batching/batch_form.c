/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forming: first a walk over what waits, in the order in which it is due, gathers the largest batch that there could be now; then it is
 * decided whether to compute it or to wait for more; only then it is taken. Asking costs as much as the batch has items, and
 * changes nothing, so it may be asked at any time.
 *
 * The walk ends at the first item that does not fit, so that large ones are not overtaken for ever, but goes on past items of another
 * shape and past those that cannot be in time. Neither starves anybody: a batch has the shape of what is due first, and what is passed
 * over is due first in the next.
 *
 * Deadlines and size. A larger batch takes longer, so each item limits what may still join it. Under little load that is
 * right: who has little time left is computed in a small batch. Under overload it would be ruin: items are then always close to their
 * deadlines, batches get small, throughput falls, and items get closer still. Once more than `loaded_batches` full batches wait, an item
 * must be in time in a full batch, or it is passed over (as Nexus drops early, Shen 2019).
 *
 * Hope. When nobody can be in time by the cost line, a batch is made as if there were no deadlines: the instance has nothing better to
 * do, and the line may be wrong. After a time in which computing took 50 times as long, batches of one would teach it for long that the
 * large ones are slow still, and nobody would be in time; a large one puts it right at once.
 */
#include "domain/batching/batch_queue_private.h"

#include "shared/compiler.h"

#include <string.h>

static const size_t loaded_batches = 2;
/* Then it must also be in time if computing takes so much longer than predicted, as it often does. */
static const uint64_t risky_part = 4;
/*
 * An item is not kept waiting for company in the last part of its time: timers are late, predictions wrong. The less is known of the
 * cost, the more is left.
 */
static const uint64_t spare_part = 8, spare_part_unsure = 2, risky_cost_part = 2;

struct walk {
    struct px_batch_queue *queue;
    const struct px_cost_line *cost;
    struct px_batch *batch;
    uint64_t now_ns;
    size_t n_parts_max;
    size_t size;              /* rows, those of items without rows too */
    uint64_t ends_by_ns;      /* the soonest deadline of its items */
    bool desperate;           /* nobody can be in time: deadlines do not matter */
    size_t n_hopeless;        /* items that would be late */
    size_t n_passed;          /* items of another shape */
    size_t n_preferred;       /* parts that are the largest preferred number of rows */
    enum px_batch_reason why; /* nothing can join any more; 0: anything may */
};

static uint64_t ends_ns(const struct walk *walk, size_t n_rows)
{
    return px_batch_later_ns(walk->now_ns, px_batch_cost_ns(walk->cost, n_rows));
}

/* Could it be in time if it were computed next? While many wait, one that just could is not worth the risk. */
static bool is_hopeless(const struct walk *walk, const struct px_batch_item *item)
{
    size_t full = px_batch_rows_full(walk->queue), size = px_batch_rows_left(item);
    bool loaded = walk->queue->n_rows / full >= loaded_batches;
    if (loaded && size < full)
        size = full;
    uint64_t takes_ns = walk->desperate ? 0 : px_batch_cost_ns(walk->cost, size);
    if (loaded)
        takes_ns += takes_ns / risky_part;
    return item->deadline_ns && px_batch_later_ns(walk->now_ns, takes_ns) > item->deadline_ns;
}

/* Rows of the item that go into what is left of the batch; 0: it does not fit. */
static size_t rows_that_fit(const struct walk *walk, const struct px_batch_item *item)
{
    size_t left = px_batch_rows_left(item), space = walk->queue->policy.rows_max - walk->size;
    if (left <= space)
        return left;
    return item->n_rows > walk->queue->policy.rows_max ? space : 0;
}

static void mark_preferred(struct walk *walk)
{
    const struct px_batch_policy *policy = &walk->queue->policy;
    for (size_t i = 0; i < policy->n_preferred; i++) {
        bool last = i + 1 == policy->n_preferred;
        if (walk->size == policy->preferred[i] || (last && walk->size > policy->preferred[i]))
            walk->n_preferred = walk->batch->n_parts;
    }
}

static void take(struct walk *walk, struct px_batch_item *item, size_t n_rows)
{
    struct px_batch *batch = walk->batch;
    batch->parts[batch->n_parts++] = (struct px_batch_part){
        .item = item, .first_row = item->n_rows_taken, .n_rows = item->n_rows ? n_rows : 0};
    walk->size += n_rows;
    if (item->deadline_ns && item->deadline_ns < walk->ends_by_ns)
        walk->ends_by_ns = item->deadline_ns;
    mark_preferred(walk);
    if (walk->queue->policy.together_max == 1)
        walk->why = PX_BATCH_ALONE;
    else if (walk->size == walk->queue->policy.rows_max || batch->n_parts == walk->n_parts_max)
        walk->why = PX_BATCH_FULL;
}

/* Rows of the item that join the batch. */
static size_t consider(struct walk *walk, struct px_batch_item *item)
{
    const struct px_batch *batch = walk->batch;
    if (item->in.late_ns <= walk->now_ns)
        return 0;
    if (batch->n_parts && item->shape != batch->parts[0].item->shape) {
        if (++walk->n_passed == PX_BATCH_LOOK_AHEAD)
            walk->why = PX_BATCH_SHAPE;
        return 0;
    }
    if (is_hopeless(walk, item)) {
        walk->n_hopeless++;
        return 0;
    }
    size_t n_rows = rows_that_fit(walk, item);
    if (n_rows == 0) {
        walk->why = PX_BATCH_LARGE;
        return 0;
    }
    uint64_t end_ns = walk->desperate ? 0 : ends_ns(walk, walk->size + n_rows);
    if (batch->n_parts && end_ns > walk->ends_by_ns) {
        walk->why = PX_BATCH_DEADLINE;
        return 0;
    }
    if (item->deadline_ns && end_ns > item->deadline_ns) {
        walk->n_hopeless++;
        return 0;
    }
    take(walk, item, n_rows);
    return n_rows;
}

static void gather_levels(struct walk *walk)
{
    struct px_batch_tour tour PX_UNINITIALIZED;
    struct px_batch_item *item;
    for (unsigned l = 0; l < walk->queue->policy.n_levels && !walk->why; l++) {
        if (walk->queue->levels[l].n_items == 0)
            continue;
        px_batch_tour_begin(&tour, walk->queue, l, walk->now_ns);
        while (!walk->why && (item = px_batch_tour_next(&tour)))
            px_batch_tour_served(&tour, item, consider(walk, item));
    }
}

static void gather(struct walk *walk)
{
    gather_levels(walk);
    if (walk->batch->n_parts == 0 && walk->n_hopeless > 0) {
        walk->desperate = true;
        walk->n_passed = 0;
        walk->why = 0;
        gather_levels(walk);
        walk->why = walk->why ? walk->why : PX_BATCH_DEADLINE;
    }
    if (!walk->why && walk->n_passed > 0)
        walk->why = PX_BATCH_SHAPE;
}

/* ---- now, or later? ---- */

static uint64_t oldest_ns(const struct px_batch *batch)
{
    uint64_t oldest = PX_BATCH_NEVER;
    for (size_t i = 0; i < batch->n_parts; i++) {
        if (batch->parts[i].item->arrived_ns < oldest)
            oldest = batch->parts[i].item->arrived_ns;
    }
    return oldest;
}

/* Until when the batch may wait without making one of its items late. */
static uint64_t start_by_ns(const struct walk *walk)
{
    uint64_t cost_ns = px_batch_cost_ns(walk->cost, walk->size), by_ns = PX_BATCH_NEVER;
    uint64_t part = cost_ns ? spare_part : spare_part_unsure;
    cost_ns += cost_ns / risky_cost_part;
    for (size_t i = 0; i < walk->batch->n_parts; i++) {
        const struct px_batch_item *item = walk->batch->parts[i].item;
        if (item->in.late_ns == PX_BATCH_NEVER)
            continue;
        bool is_deadline = item->in.late_ns == item->deadline_ns;
        uint64_t time_ns = item->in.late_ns - item->arrived_ns;
        uint64_t needs_ns = is_deadline ? time_ns / part + cost_ns : time_ns / spare_part;
        uint64_t item_by_ns = item->in.late_ns > needs_ns ? item->in.late_ns - needs_ns : 0;
        by_ns = item_by_ns < by_ns ? item_by_ns : by_ns;
    }
    return by_ns;
}

/*
 * Until when it is worth waiting for one more: as long as what all that wait lose together is less than the fixed part that it saves. Between
 * arrivals the next is expected after the mean gap, or, when it has not come by then, after as long again as has passed.
 */
static uint64_t worth_until_ns(const struct walk *walk)
{
    const struct px_batch_queue *queue = walk->queue;
    uint64_t fixed_ns = (uint64_t)walk->cost->fixed_ns, n = walk->batch->n_parts;
    if (queue->arrival_gap_ns >= fixed_ns / n)
        return walk->now_ns;
    return px_batch_later_ns(queue->arrived_ns, fixed_ns / n);
}

/* What the clock says about a batch that anything could still join; 0: wait until `*ask_again_ns`. */
static enum px_batch_reason decide_by_time(const struct walk *walk, uint64_t *ask_again_ns)
{
    const struct px_batch_policy *policy = &walk->queue->policy;
    if (policy->tunes_delay && px_batch_cost_ns(walk->cost, walk->size) == 0)
        return PX_BATCH_IDLE;
    const uint64_t until_ns[] = {
        px_batch_later_ns(walk->batch->oldest_ns, policy->delay_ns),
        start_by_ns(walk),
        policy->tunes_delay ? worth_until_ns(walk) : PX_BATCH_NEVER,
    };
    static const enum px_batch_reason reasons[] = {PX_BATCH_DELAY, PX_BATCH_DEADLINE,
                                                   PX_BATCH_GAIN};
    *ask_again_ns = PX_BATCH_NEVER;
    for (size_t i = 0; i < PX_ARRAY_LEN(until_ns); i++) {
        if (until_ns[i] <= walk->now_ns)
            return reasons[i];
        *ask_again_ns = until_ns[i] < *ask_again_ns ? until_ns[i] : *ask_again_ns;
    }
    return 0;
}

static enum px_batch_reason decide(struct walk *walk, uint64_t *ask_again_ns)
{
    const struct px_batch_policy *policy = &walk->queue->policy;
    uint64_t waits_until_ns = px_batch_later_ns(walk->batch->oldest_ns, policy->delay_ns);
    if (walk->why == PX_BATCH_FULL || walk->why == PX_BATCH_ALONE)
        return walk->why;
    if (walk->queue->drains)
        return PX_BATCH_DRAIN;
    if (walk->n_preferred > 0 && walk->now_ns < waits_until_ns) {
        walk->batch->n_parts = walk->n_preferred;
        return PX_BATCH_PREFERRED;
    }
    if (walk->why)
        return walk->why;
    return policy->delay_ns ? decide_by_time(walk, ask_again_ns) : PX_BATCH_IDLE;
}

static void commit(struct walk *walk)
{
    struct px_batch *batch = walk->batch;
    struct px_batch_queue *queue = walk->queue;
    batch->n_rows = 0;
    batch->oldest_ns = oldest_ns(batch);
    for (size_t i = 0; i < batch->n_parts; i++) {
        const struct px_batch_part *part = &batch->parts[i];
        struct px_batch_item *item = part->item;
        batch->n_rows += part->n_rows;
        px_batch_flows_pay(queue, item, part->n_rows ? part->n_rows : 1);
        if (part->first_row + part->n_rows < item->n_rows) {
            px_batch_flows_take(queue, item, part->n_rows);
        } else {
            px_batch_queue_unlink(queue, item);
            item->n_rows_taken = item->n_rows;
        }
    }
    queue->formed_ns = walk->now_ns;
    queue->formed_rows = batch->n_rows;
}

bool px_batch_queue_form(struct px_batch_queue *queue, uint64_t now_ns,
                         const struct px_cost_line *cost, struct px_batch *ret,
                         uint64_t *ask_again_ns)
{
    PX_ASSERT(ret->n_parts_max > 0);
    size_t together = queue->policy.together_max;
    struct walk walk = {
        .queue = queue,
        .cost = cost,
        .batch = ret,
        .now_ns = now_ns,
        .n_parts_max = together && together < ret->n_parts_max ? together : ret->n_parts_max,
        .ends_by_ns = PX_BATCH_NEVER,
    };
    ret->n_parts = ret->n_rows = 0;
    *ask_again_ns = PX_BATCH_NEVER;
    gather(&walk);
    if (ret->n_parts == 0)
        return false;
    ret->oldest_ns = oldest_ns(ret);
    ret->reason = decide(&walk, ask_again_ns);
    if (!ret->reason)
        return false;
    commit(&walk);
    return true;
}
