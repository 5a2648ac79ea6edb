/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batch queue, driven by the input's bytes: a policy, then one step after another (time goes on, items come and leave, batches are
 * formed, late ones taken), with deadlines and times anywhere up to the end of time. Whatever comes: counts and bounds hold, batches keep
 * to their limits and one shape, nobody is computed late or twice, and in the end everybody has left.
 */
#include "domain/batching/batch_queue.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { ITEMS = 64, PARTS = 16, STEPS_MAX = 4000 };

struct source {
    const uint8_t *at, *end;
};

struct run {
    struct source source;
    struct px_batch_queue queue;
    struct px_cost_line cost;
    struct px_batch_item items[ITEMS];
    size_t rows_given[ITEMS];
    uint64_t now_ns;
};

static uint8_t take(struct source *source)
{
    return source->at < source->end ? *source->at++ : 0;
}

static size_t take_size(struct source *source, size_t max)
{
    return 1 + take(source) % max;
}

/* Mostly small, sometimes near the end of time. */
static uint64_t take_time(struct source *source)
{
    uint8_t pick = take(source);
    if (pick == 255)
        return UINT64_MAX - take(source);
    return (uint64_t)(pick & 31) << (pick >> 5) * 3;
}

static void must(bool good)
{
    if (!good)
        abort();
}

static void take_levels(struct source *source, struct px_batch_policy *policy)
{
    policy->n_levels = (unsigned)take_size(source, 4);
    policy->default_level = (unsigned)take_size(source, policy->n_levels);
    for (unsigned l = 0; l < policy->n_levels; l++) {
        uint8_t flags = take(source);
        policy->levels[l] = (struct px_batch_level){.items_max = flags & 7,
                                                    .timeout_ns = flags & 8 ? take_time(source) : 0,
                                                    .demotes = flags & 16};
    }
}

static struct px_batch_policy take_policy(struct source *source)
{
    uint8_t flags = take(source);
    struct px_batch_policy policy = {
        .rows_max = flags & 1 ? PX_BATCH_ROWS_MAX : take_size(source, 40),
        .together_max = flags & 2 ? take_size(source, 8) : 0,
        .delay_ns = flags & 4 ? take_time(source) : 0,
        .tunes_delay = flags & 8,
        .splits = flags & 16,
        .turns_around = flags & 32,
        .standing_ns = flags & 32 ? take_time(source) : 0,
        .items_max = take_size(source, ITEMS),
    };
    take_levels(source, &policy);
    for (size_t size = 0; flags & 64 && policy.n_preferred < 4; policy.n_preferred++) {
        size += take_size(source, 8);
        if (size > policy.rows_max)
            break;
        policy.preferred[policy.n_preferred] = size;
    }
    for (size_t i = take(source) % 5; i > 0; i--)
        policy.weights[policy.n_weights++] =
            (struct px_batch_weight){i, (unsigned)take_size(source, PX_BATCH_WEIGHT_MAX)};
    return policy;
}

static void check(const struct run *run)
{
    const struct px_batch_queue *queue = &run->queue;
    size_t n_items = 0, n_rows = 0, n_of_levels = 0;
    uint64_t late_ns = UINT64_MAX;
    for (size_t i = 0; i < ITEMS; i++) {
        const struct px_batch_item *item = &run->items[i];
        if (!item->in.waits)
            continue;
        n_items++;
        n_rows += item->n_rows ? item->n_rows - run->rows_given[i] : 1;
        late_ns = item->in.late_ns < late_ns ? item->in.late_ns : late_ns;
    }
    must(queue->n_items == n_items && queue->n_rows == n_rows);
    must(n_items <= queue->policy.items_max);
    must(px_batch_queue_next_late_ns(queue) == late_ns);
    for (unsigned l = 0; l < queue->policy.n_levels; l++) {
        size_t max = queue->policy.levels[l].items_max;
        must(max == 0 || queue->levels[l].n_items <= max);
        n_of_levels += queue->levels[l].n_items;
    }
    must(n_of_levels == n_items);
}

static void add(struct run *run)
{
    struct source *source = &run->source;
    struct px_batch_item *shed, *item = &run->items[take(source) % ITEMS];
    uint8_t flags = take(source);
    size_t n_items = run->queue.n_items;
    if (item->in.waits)
        return;
    *item = (struct px_batch_item){
        .n_rows = flags & 1 ? take(source) : 1,
        .shape = flags >> 1 & 1,
        .urgency = {.priority = flags >> 2 & 7,
                    .criticality = (enum px_criticality)((flags >> 5) % 3),
                    .client = take(source) % 8},
    };
    uint64_t time_ns = take_time(source);
    item->deadline_ns = time_ns > UINT64_MAX / 2 ? time_ns : time_ns ? run->now_ns + time_ns : 0;
    run->rows_given[item - run->items] = 0;
    enum px_batch_refusal refusal =
        px_batch_queue_add(&run->queue, item, run->now_ns, &run->cost,
                           (struct px_batch_instances){take(source) % 4, take(source) % 4}, &shed);
    must(item->in.waits == (refusal == PX_BATCH_ACCEPTED));
    must(px_batch_refusal_name(refusal)[0]);
    must(!shed || (refusal == PX_BATCH_ACCEPTED && !shed->in.waits && shed != item));
    must(run->queue.n_items == n_items + item->in.waits - (shed != NULL));
}

static void form(struct run *run)
{
    struct px_batch_part parts[PARTS];
    struct px_batch batch = {.parts = parts, .n_parts_max = take_size(&run->source, PARTS)};
    uint64_t ask_again_ns;
    size_t size = 0;
    if (!px_batch_queue_form(&run->queue, run->now_ns, &run->cost, &batch, &ask_again_ns)) {
        must(ask_again_ns > run->now_ns);
        return;
    }
    must(batch.n_parts >= 1 && batch.n_parts <= batch.n_parts_max);
    must(px_batch_reason_name(batch.reason)[0]);
    for (size_t i = 0; i < batch.n_parts; i++) {
        const struct px_batch_item *item = parts[i].item;
        size_t *given = &run->rows_given[item - run->items];
        size += parts[i].n_rows ? parts[i].n_rows : 1;
        must(parts[i].first_row == *given && parts[i].n_rows <= item->n_rows - *given);
        must(item->shape == parts[0].item->shape && item->in.late_ns > run->now_ns);
        *given += parts[i].n_rows;
        must(item->in.waits == (*given < item->n_rows));
    }
    must(size <= run->queue.policy.rows_max);
    px_cost_line_learn(&run->cost, (double)size, (double)take_time(&run->source));
}

static void take_late(struct run *run)
{
    struct px_batch_item *item = px_batch_queue_take_late(&run->queue, run->now_ns);
    for (; item; item = item->next)
        must(!item->in.waits && item->in.late_ns <= run->now_ns);
    must(px_batch_queue_next_late_ns(&run->queue) > run->now_ns || run->now_ns == UINT64_MAX);
}

static void step(struct run *run)
{
    uint64_t by_ns;
    switch (take(&run->source) % 8) {
    case 0:
    case 1:
    case 2:
        add(run);
        break;
    case 3:
        by_ns = take_time(&run->source);
        run->now_ns = by_ns < UINT64_MAX - 1 - run->now_ns ? run->now_ns + by_ns : UINT64_MAX - 1;
        break;
    case 4:
        px_batch_queue_remove(&run->queue, &run->items[take(&run->source) % ITEMS]);
        break;
    case 5:
        take_late(run);
        break;
    case 6:
        form(run);
        break;
    default:
        if (take(&run->source) == 0)
            px_batch_queue_drain(&run->queue);
    }
    check(run);
}

/* Everybody leaves. */
static void finish(struct run *run)
{
    px_batch_queue_drain(&run->queue);
    take_late(run);
    for (size_t i = 0; run->queue.n_items > 0; i++) {
        must(i <= 256 * ITEMS);
        form(run);
    }
    check(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run run;
    memset(&run, 0, sizeof run);
    run.source = (struct source){data, data + size};
    struct px_batch_policy policy = take_policy(&run.source);
    px_batch_queue_init(&run.queue, &policy);
    for (int i = 0; i < STEPS_MAX && run.source.at < run.source.end; i++)
        step(&run);
    finish(&run);
    return 0;
}
