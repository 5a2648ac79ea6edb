/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adding, shedding, removing and lateness. An item that waits is in four places, always in all of them: its flow, the list of those of its level
 * that are as critical (for shedding and for the age of the level), the heap of deadlines if it has one, and the counts.
 */
#include "domain/batching/batch_queue_private.h"

#include "shared/compiler.h"

#include <string.h>

/* A longer silence says no more than this about when the next item comes, so that it is soon forgotten. */
static const uint64_t gap_max_ns = UINT64_C(1000000000);
static const uint64_t gap_fading = 8;
/*
 * The line is tried when for so many times as long as computing should take nothing was computed that would have taught it. As long as
 * tries teach nothing, because they are indeed late, they become rare.
 */
static const uint64_t probe_times_first = 5, probe_times_last = 640;

const char *px_batch_reason_name(enum px_batch_reason reason)
{
    static const char *const names[] = {
        [PX_BATCH_IDLE] = "idle",           [PX_BATCH_FULL] = "full",
        [PX_BATCH_PREFERRED] = "preferred", [PX_BATCH_DELAY] = "delay",
        [PX_BATCH_DEADLINE] = "deadline",   [PX_BATCH_GAIN] = "gain",
        [PX_BATCH_SHAPE] = "shape",         [PX_BATCH_LARGE] = "large",
        [PX_BATCH_DRAIN] = "drain",         [PX_BATCH_ALONE] = "alone",
    };
    PX_ASSERT(reason > 0 && reason < PX_ARRAY_LEN(names));
    return names[reason];
}

const char *px_batch_refusal_name(enum px_batch_refusal refusal)
{
    static const char *const names[] = {
        [PX_BATCH_ACCEPTED] = "accepted",     [PX_BATCH_QUEUE_FULL] = "queue_full",
        [PX_BATCH_LEVEL_FULL] = "level_full", [PX_BATCH_TOO_LARGE] = "too_large",
        [PX_BATCH_HOPELESS] = "hopeless",
    };
    PX_ASSERT(refusal < PX_ARRAY_LEN(names));
    return names[refusal];
}

static void check_policy(const struct px_batch_policy *policy)
{
    PX_ASSERT(policy->rows_max >= 1 && policy->rows_max <= PX_BATCH_ROWS_MAX);
    PX_ASSERT(policy->items_max >= 1);
    PX_ASSERT(policy->n_levels <= PX_BATCH_LEVELS_MAX);
    PX_ASSERT(policy->n_preferred <= PX_BATCH_PREFERRED_MAX);
    PX_ASSERT(policy->n_weights <= PX_BATCH_WEIGHTS_MAX);
    for (size_t i = 0; i < policy->n_preferred; i++) {
        PX_ASSERT(policy->preferred[i] > (i ? policy->preferred[i - 1] : 0));
        PX_ASSERT(policy->preferred[i] <= policy->rows_max);
    }
    for (size_t i = 0; i < policy->n_weights; i++)
        PX_ASSERT(policy->weights[i].weight >= 1 &&
                  policy->weights[i].weight <= PX_BATCH_WEIGHT_MAX);
}

void px_batch_queue_init(struct px_batch_queue *queue, const struct px_batch_policy *policy)
{
    check_policy(policy);
    memset(queue, 0, sizeof *queue);
    queue->policy = *policy;
    if (queue->policy.n_levels == 0)
        queue->policy.n_levels = 1;
    if (queue->policy.default_level == 0)
        queue->policy.default_level = 1;
    PX_ASSERT(queue->policy.default_level <= queue->policy.n_levels);
}

void px_batch_queue_unlink(struct px_batch_queue *queue, struct px_batch_item *item)
{
    px_batch_flows_remove(queue, item);
    px_batch_deadlines_remove(queue, item);
    item->in.waits = false;
}

void px_batch_queue_remove(struct px_batch_queue *queue, struct px_batch_item *item)
{
    if (item->in.waits)
        px_batch_queue_unlink(queue, item);
}

/* ---- adding ---- */

/* May the line be tried that says so? Only by an instance that has nothing else to do. */
static bool is_probe(struct px_batch_queue *queue, uint64_t now_ns, uint64_t takes_ns,
                     const struct px_cost_line *cost, struct px_batch_instances instances)
{
    if (queue->n_items > 0 || instances.n_busy > 0)
        return false;
    if (queue->n_learned != cost->n || queue->probe_times == 0)
        queue->probe_times = probe_times_first;
    queue->n_learned = cost->n;
    if (now_ns < px_batch_later_ns(queue->formed_ns, queue->probe_times * takes_ns))
        return false;
    if (queue->probe_times < probe_times_last)
        queue->probe_times *= 2;
    return true;
}

static bool is_hopeless(struct px_batch_queue *queue, const struct px_batch_item *item,
                        uint64_t now_ns, const struct px_cost_line *cost,
                        struct px_batch_instances instances)
{
    if (item->deadline_ns == 0)
        return false;
    if (item->deadline_ns <= now_ns)
        return true;
    uint64_t takes_ns = px_batch_queue_foresee_ns(queue, item, now_ns, cost, instances);
    return takes_ns > item->deadline_ns - now_ns &&
           !is_probe(queue, now_ns, takes_ns, cost, instances);
}

/* Makes room for the item where there is none. */
static enum px_batch_refusal make_room(struct px_batch_queue *queue,
                                       const struct px_batch_item *item,
                                       struct px_batch_item **shed)
{
    const struct px_batch_policy *policy = &queue->policy;
    size_t level_max = policy->levels[item->in.level].items_max;
    bool level_full = level_max && queue->levels[item->in.level].n_items >= level_max;
    if (!level_full && queue->n_items < policy->items_max)
        return PX_BATCH_ACCEPTED;
    *shed = px_batch_flows_least(queue, item->urgency.criticality,
                                 level_full ? item->in.level : policy->n_levels);
    if (!*shed)
        return level_full ? PX_BATCH_LEVEL_FULL : PX_BATCH_QUEUE_FULL;
    px_batch_queue_unlink(queue, *shed);
    return PX_BATCH_ACCEPTED;
}

static void note_arrival(struct px_batch_queue *queue, uint64_t now_ns)
{
    uint64_t gap_ns = now_ns > queue->arrived_ns ? now_ns - queue->arrived_ns : 0;
    gap_ns = gap_ns < gap_max_ns ? gap_ns : gap_max_ns;
    queue->arrival_gap_ns = (queue->arrival_gap_ns * (gap_fading - 1) + gap_ns) / gap_fading;
    queue->arrived_ns = now_ns;
}

static uint64_t late_ns(const struct px_batch_queue *queue, const struct px_batch_item *item)
{
    uint64_t timeout_ns = queue->policy.levels[item->in.level].timeout_ns;
    uint64_t own_ns = item->deadline_ns ? item->deadline_ns : PX_BATCH_NEVER;
    uint64_t waits_until_ns =
        timeout_ns ? px_batch_later_ns(item->arrived_ns, timeout_ns) : PX_BATCH_NEVER;
    return own_ns < waits_until_ns ? own_ns : waits_until_ns;
}

enum px_batch_refusal px_batch_queue_add(struct px_batch_queue *queue, struct px_batch_item *item,
                                         uint64_t now_ns, const struct px_cost_line *cost,
                                         struct px_batch_instances instances,
                                         struct px_batch_item **shed)
{
    PX_ASSERT(!item->in.waits && item->urgency.criticality <= PX_CRITICALITY_SHEDDABLE);
    *shed = NULL;
    if (item->n_rows > queue->policy.rows_max && !queue->policy.splits)
        return PX_BATCH_TOO_LARGE;
    item->n_rows_taken = 0;
    if (is_hopeless(queue, item, now_ns, cost, instances))
        return PX_BATCH_HOPELESS;
    px_batch_flows_place(queue, item);
    enum px_batch_refusal refusal = make_room(queue, item, shed);
    if (refusal != PX_BATCH_ACCEPTED)
        return refusal;
    note_arrival(queue, now_ns);
    item->arrived_ns = now_ns;
    item->next = NULL;
    item->in.demoted = false;
    item->in.waits = true;
    item->in.late_ns = late_ns(queue, item);
    px_batch_flows_add(queue, item);
    px_batch_deadlines_add(queue, item);
    return PX_BATCH_ACCEPTED;
}

/* ---- lateness ---- */

/* Its timeout is over, its own deadline is not: it goes behind all others of its level. */
static void demote(struct px_batch_queue *queue, struct px_batch_item *item)
{
    px_batch_deadlines_remove(queue, item);
    px_batch_flows_demote(queue, item);
    item->in.late_ns = item->deadline_ns ? item->deadline_ns : PX_BATCH_NEVER;
    px_batch_deadlines_add(queue, item);
}

struct px_batch_item *px_batch_queue_take_late(struct px_batch_queue *queue, uint64_t now_ns)
{
    struct px_batch_item *first = NULL, **end = &first;
    while (queue->soonest && queue->soonest->in.late_ns <= now_ns) {
        struct px_batch_item *item = queue->soonest;
        bool own = item->deadline_ns && item->deadline_ns <= now_ns;
        if (queue->policy.levels[item->in.level].demotes && !own) {
            demote(queue, item);
            continue;
        }
        px_batch_queue_unlink(queue, item);
        item->next = NULL;
        *end = item;
        end = &item->next;
    }
    return first;
}

uint64_t px_batch_queue_next_late_ns(const struct px_batch_queue *queue)
{
    return queue->soonest ? queue->soonest->in.late_ns : PX_BATCH_NEVER;
}

void px_batch_queue_drain(struct px_batch_queue *queue)
{
    queue->drains = true;
}
