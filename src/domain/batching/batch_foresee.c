/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waiting and computing will take for an item that comes now.
 *
 * Before it go the levels above, the rows of its own flow (none while the level stands: it is then the newest), and of each other flow of
 * its level as many as are due before it by fair queueing, so that a client is not refused because of another's backlog. All of that
 * is computed in full batches; the last is the item's own, and others fill it. What is being computed now matters when no instance is
 * idle; it is known of the latest batch only, and of several instances that is as likely to end late as early.
 */
#include "domain/batching/batch_queue_private.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Rows of the item's own level that are computed before it. */
static size_t rows_before(const struct px_batch_queue *queue, const struct px_batch_item *item,
                          uint64_t now_ns)
{
    const struct px_batch_level_state *level = &queue->levels[item->in.level];
    const struct px_batch_flow *own = &level->flows[item->in.flow];
    bool is_next = px_batch_flows_stand(queue, item->in.level, now_ns);
    size_t own_rows = is_next ? 0 : own->n_rows, rows = own_rows;
    uint64_t start =
        own->first || own->start > level->virtual_time ? own->start : level->virtual_time;
    uint64_t due = start + px_batch_flows_price(&queue->policy, item->in.flow, own_rows);
    for (uint64_t left = level->occupied; left; left &= left - 1) {
        unsigned f = (unsigned)__builtin_ctzll(left);
        const struct px_batch_flow *flow = &level->flows[f];
        if (f == item->in.flow || flow->start > due)
            continue;
        uint64_t by_then = (due - flow->start) / px_batch_flows_price(&queue->policy, f, 1) + 1;
        rows += least(flow->n_rows, by_then);
    }
    return rows;
}

static uint64_t being_computed_ns(const struct px_batch_queue *queue, uint64_t now_ns,
                                  const struct px_cost_line *cost)
{
    uint64_t end_ns =
        px_batch_later_ns(queue->formed_ns, px_batch_cost_ns(cost, queue->formed_rows));
    return queue->formed_rows > 0 && end_ns > now_ns ? end_ns - now_ns : 0;
}

uint64_t px_batch_queue_foresee_ns(const struct px_batch_queue *queue,
                                   const struct px_batch_item *item, uint64_t now_ns,
                                   const struct px_cost_line *cost,
                                   struct px_batch_instances instances)
{
    struct px_batch_item placed = *item;
    px_batch_flows_place(queue, &placed);
    size_t full = px_batch_rows_full(queue), rows = px_batch_rows_left(&placed);
    for (unsigned l = 0; l < placed.in.level; l++)
        rows += queue->levels[l].n_rows;
    rows += rows_before(queue, &placed, now_ns);
    size_t before = (rows - 1) / full;
    uint64_t one_ns = px_batch_cost_ns(cost, least(rows, full));
    if (one_ns == 0)
        return 0;
    unsigned n = instances.n ? instances.n : 1;
    uint64_t wait_ns = instances.n_busy < n ? 0 : being_computed_ns(queue, now_ns, cost) / n;
    return wait_ns + before * one_ns / n + one_ns;
}
