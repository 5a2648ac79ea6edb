/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold, by the world's own account, which is kept without the queue: plain lists, searched from end to end.
 */
#include "simulation.h"

#include <math.h>
#include <stdio.h>

void check_that(struct world *world, bool good, const char *what, const struct request *request)
{
    if (good || world->problem[0])
        return;
    char which[64] = "";
    if (request)
        snprintf(which, sizeof which, " (request %zu)", request->rank);
    snprintf(world->problem, sizeof world->problem, "at %.6f ms: %s%s", (double)world->now_ns / 1e6,
             what, which);
}

static const struct request *waiting(const struct world *world, size_t i)
{
    return &world->requests[world->waiting[i]];
}

static size_t left(const struct request *request)
{
    return request->item.n_rows ? request->item.n_rows - request->rows_given : 1;
}

static unsigned level_of(const struct world *world, const struct request *request)
{
    const struct px_batch_policy *policy = &world->queue.policy;
    unsigned level = request->item.urgency.priority;
    return level >= 1 && level <= policy->n_levels ? level : policy->default_level;
}

static size_t n_of_level(const struct world *world, unsigned level)
{
    size_t n = 0;
    for (size_t i = 0; i < world->n_waiting; i++)
        n += level_of(world, waiting(world, i)) == level;
    return n;
}

/* Under overload the queue is long, and checks go through all of it: one step in some is checked. */
static bool passes_over(struct world *world)
{
    return world->scenario.kind == OVERLOAD && ++world->n_checks % 32 != 0;
}

void check_queue(struct world *world)
{
    const struct px_batch_policy *policy = &world->queue.policy;
    size_t n_rows = 0;
    uint64_t late_ns = UINT64_MAX;
    if (passes_over(world))
        return;
    for (size_t i = 0; i < world->n_waiting; i++) {
        const struct request *request = waiting(world, i);
        n_rows += left(request);
        late_ns = request->late_ns < late_ns ? request->late_ns : late_ns;
        check_that(world, request->item.in.waits && !request->outcome, "waits no more", request);
    }
    check_that(world, world->queue.n_items == world->n_waiting, "the queue miscounts items", NULL);
    check_that(world, world->queue.n_rows == n_rows, "the queue miscounts rows", NULL);
    check_that(world, world->n_waiting <= policy->items_max, "the queue is over its bound", NULL);
    check_that(world, px_batch_queue_next_late_ns(&world->queue) == late_ns,
               "the queue does not know who is late next", NULL);
    for (unsigned l = 1; l <= policy->n_levels; l++) {
        size_t n = n_of_level(world, l), max = policy->levels[l - 1].items_max;
        check_that(world, max == 0 || n <= max, "a level is over its bound", NULL);
        check_that(world, world->queue.levels[l - 1].n_items == n, "a level miscounts", NULL);
    }
}

/* ---- refusing and shedding ---- */

static int rank_of(enum px_criticality criticality)
{
    return criticality == PX_CRITICALITY_SHEDDABLE ? 0
           : criticality == PX_CRITICALITY_DEFAULT ? 1
                                                   : 2;
}

/* 0: there is room; else the level that is full, or n_levels + 1 for the whole queue. */
static unsigned full_scope(const struct world *world, const struct request *request)
{
    const struct px_batch_policy *policy = &world->queue.policy;
    unsigned level = level_of(world, request);
    size_t max = policy->levels[level - 1].items_max;
    if (max > 0 && n_of_level(world, level) >= max)
        return level;
    return world->n_waiting >= policy->items_max ? policy->n_levels + 1 : 0;
}

/* The least rank of those that may be pushed out of that scope; 3: there is none. */
static int least_rank(const struct world *world, unsigned scope)
{
    int least = 3;
    for (size_t i = 0; i < world->n_waiting; i++) {
        const struct request *request = waiting(world, i);
        bool in_scope = scope > world->queue.policy.n_levels || level_of(world, request) == scope;
        int rank = rank_of(request->item.urgency.criticality);
        if (in_scope && request->rows_given == 0 && rank < least)
            least = rank;
    }
    return least;
}

void check_refusal(struct world *world, const struct request *request,
                   enum px_batch_refusal refusal)
{
    const struct px_batch_item *item = &request->item;
    if (passes_over(world))
        return;
    bool late = item->deadline_ns && item->deadline_ns <= world->now_ns;
    bool large = item->n_rows > world->queue.policy.rows_max && !world->queue.policy.splits;
    bool foresees = item->deadline_ns && world->cost.n >= PX_COST_LINE_SURE;
    unsigned scope = full_scope(world, request);
    bool full = scope && least_rank(world, scope) >= rank_of(item->urgency.criticality);
    if (refusal == PX_BATCH_ACCEPTED)
        check_that(world, !late && !large && !full, "let in", request);
    else if (refusal == PX_BATCH_TOO_LARGE)
        check_that(world, large, "refused as too large", request);
    else if (refusal == PX_BATCH_HOPELESS)
        check_that(world, late || foresees, "refused as hopeless", request);
    else
        check_that(world, full, "refused though there was room", request);
}

void check_shed(struct world *world, const struct request *shed, const struct request *for_whom)
{
    if (passes_over(world))
        return;
    unsigned scope = full_scope(world, for_whom);
    int rank = rank_of(shed->item.urgency.criticality);
    check_that(world, scope > 0, "shed though there was room", shed);
    check_that(world, rank < rank_of(for_whom->item.urgency.criticality),
               "shed for one that is not more critical", shed);
    check_that(world, rank == least_rank(world, scope), "shed before a less critical one", shed);
    check_that(world, shed->rows_given == 0, "shed though it has begun", shed);
    for (size_t i = 0; i < world->n_waiting; i++) {
        const struct request *other = waiting(world, i);
        bool alike = other->item.urgency.criticality == shed->item.urgency.criticality &&
                     level_of(world, other) == level_of(world, shed) &&
                     other->demoted == shed->demoted && other->rows_given == 0;
        check_that(world, !alike || shed->demoted || other->rank <= shed->rank,
                   "shed before a newer one", shed);
    }
}

void check_late(struct world *world, const struct request *request)
{
    const struct px_batch_policy *policy = &world->queue.policy;
    uint64_t deadline_ns = request->item.deadline_ns;
    bool own = deadline_ns && deadline_ns <= world->now_ns;
    check_that(world, request->waits, "late, but does not wait", request);
    check_that(world, request->late_ns <= world->now_ns, "late too early", request);
    check_that(world, own || !policy->levels[level_of(world, request) - 1].demotes,
               "late instead of demoted", request);
}

/* ---- batches ---- */

static bool is_in(const struct px_batch *batch, const struct request *request)
{
    for (size_t i = 0; i < batch->n_parts; i++) {
        if (world_request(batch->parts[i].item) == request)
            return true;
    }
    return false;
}

static size_t parts_max(const struct world *world)
{
    size_t together = world->queue.policy.together_max, room = world->scenario.n_parts_max;
    return together && together < room ? together : room;
}

/* Rows as the limits count them. */
static size_t size_of(const struct px_batch *batch)
{
    size_t size = 0;
    for (size_t i = 0; i < batch->n_parts; i++)
        size += batch->parts[i].n_rows ? batch->parts[i].n_rows : 1;
    return size;
}

static void check_parts(struct world *world, const struct px_batch *batch)
{
    size_t n_rows = 0;
    for (size_t i = 0; i < batch->n_parts; i++) {
        const struct px_batch_part *part = &batch->parts[i];
        const struct request *request = world_request(part->item);
        n_rows += part->n_rows;
        check_that(world, request->waits && !request->outcome, "computed, but did not wait",
                   request);
        check_that(world, request->late_ns > world->now_ns, "computed though it is late", request);
        check_that(world, part->first_row == request->rows_given, "rows lost or repeated", request);
        check_that(world, part->n_rows <= left(request), "more rows than there are", request);
        check_that(world, part->item->shape == batch->parts[0].item->shape, "shapes mixed",
                   request);
        bool whole = part->n_rows == request->item.n_rows;
        check_that(world, whole || request->item.n_rows > world->queue.policy.rows_max,
                   "split for no need", request);
    }
    check_that(world, batch->n_rows == n_rows, "a batch miscounts its rows", NULL);
    check_that(world, batch->n_parts >= 1 && batch->n_parts <= parts_max(world),
               "a batch has too many items", NULL);
    check_that(world, size_of(batch) <= world->queue.policy.rows_max, "a batch has too many rows",
               NULL);
}

static bool is_preferred(const struct px_batch_policy *policy, size_t size)
{
    for (size_t i = 0; i < policy->n_preferred; i++) {
        if (size == policy->preferred[i])
            return true;
    }
    return policy->n_preferred && size > policy->preferred[policy->n_preferred - 1];
}

static bool has_other_shape(const struct world *world, const struct px_batch *batch)
{
    for (size_t i = 0; i < world->n_waiting; i++) {
        if (waiting(world, i)->item.shape != batch->parts[0].item->shape)
            return true;
    }
    return false;
}

static bool has_larger(const struct world *world, const struct px_batch *batch)
{
    size_t space = world->queue.policy.rows_max - size_of(batch);
    for (size_t i = 0; i < world->n_waiting; i++) {
        if (!is_in(batch, waiting(world, i)) && left(waiting(world, i)) > space)
            return true;
    }
    return false;
}

static bool has_late(const struct px_batch *batch)
{
    for (size_t i = 0; i < batch->n_parts; i++) {
        if (batch->parts[i].item->in.late_ns != UINT64_MAX)
            return true;
    }
    return false;
}

static bool reason_holds(const struct world *world, const struct px_batch *batch)
{
    const struct px_batch_policy *policy = &world->queue.policy;
    size_t size = size_of(batch);
    uint64_t age_ns = world->now_ns - batch->oldest_ns;
    switch (batch->reason) {
    case PX_BATCH_IDLE:
        return policy->delay_ns == 0 || policy->tunes_delay;
    case PX_BATCH_FULL:
        return size == policy->rows_max || batch->n_parts == parts_max(world);
    case PX_BATCH_PREFERRED:
        return age_ns < policy->delay_ns && is_preferred(policy, size);
    case PX_BATCH_DELAY:
        return age_ns >= policy->delay_ns;
    case PX_BATCH_DEADLINE:
        return has_late(batch) || world->scenario.has_deadline > 0;
    case PX_BATCH_GAIN:
        return policy->tunes_delay && world->cost.n >= PX_COST_LINE_SURE;
    case PX_BATCH_SHAPE:
        return has_other_shape(world, batch);
    case PX_BATCH_LARGE:
        return has_larger(world, batch);
    case PX_BATCH_ALONE:
        return policy->together_max == 1 && batch->n_parts == 1;
    case PX_BATCH_DRAIN:
        return world->queue.drains;
    }
    return false;
}

/* Nobody is computed together with others who will be late by the cost line, unless there is nobody whom that could harm. */
static void check_hopes(struct world *world, const struct px_batch *batch)
{
    double size = (double)size_of(batch);
    bool has_patient = false;
    if (!px_cost_line_knows(&world->cost, size))
        return;
    for (size_t i = 0; i < world->n_waiting; i++)
        has_patient = has_patient || waiting(world, i)->item.deadline_ns == 0;
    uint64_t end_ns = world->now_ns + (uint64_t)px_cost_line_predict(&world->cost, size);
    for (size_t i = 0; i < batch->n_parts; i++) {
        struct px_batch_item *item = batch->parts[i].item;
        check_that(world, !has_patient || !item->deadline_ns || end_ns <= item->deadline_ns,
                   "computed though it will be late, and others would not", world_request(item));
    }
}

static bool is_overtaken(const struct world *world, const struct request *other,
                         const struct request *taken)
{
    const struct px_batch_policy *policy = &world->queue.policy;
    bool same_flow = level_of(world, other) == level_of(world, taken) &&
                     other->item.urgency.client == taken->item.urgency.client &&
                     other->item.shape == taken->item.shape;
    return !policy->turns_around && same_flow && other->demoted == taken->demoted &&
           !taken->demoted && other->rank < taken->rank;
}

/* Levels and the order of arrival; where there are deadlines, items may be passed over for them. */
static void check_order(struct world *world, const struct px_batch *batch)
{
    const struct request *first = world_request(batch->parts[0].item);
    if (world->scenario.has_deadline > 0)
        return;
    for (size_t i = 0; i < world->n_waiting; i++) {
        const struct request *other = waiting(world, i);
        unsigned level = level_of(world, other);
        check_that(world, level >= level_of(world, first), "a more urgent level waits", other);
        check_that(world, level > level_of(world, first) || other->demoted || !first->demoted,
                   "a demoted one goes first", first);
        for (size_t p = 0; p < batch->n_parts && !is_in(batch, other); p++)
            check_that(world, !is_overtaken(world, other, world_request(batch->parts[p].item)),
                       "overtaken by a later one of its client", other);
    }
}

void check_batch(struct world *world, const struct px_batch *batch)
{
    check_parts(world, batch);
    if (world->problem[0])
        return;
    if (!reason_holds(world, batch)) {
        check_that(world, false, "a batch has a wrong reason", NULL);
        snprintf(world->problem, sizeof world->problem, "at %.6f ms: '%s' is not why",
                 (double)world->now_ns / 1e6, px_batch_reason_name(batch->reason));
    }
    check_hopes(world, batch);
    check_order(world, batch);
}

void check_waiting_is_right(struct world *world)
{
    const struct px_batch_policy *policy = &world->queue.policy;
    size_t n_rows = 0;
    check_that(world, world->ask_again_ns > world->now_ns, "asks again without end", NULL);
    if (world->n_waiting == 0)
        return;
    check_that(world, world->ask_again_ns != UINT64_MAX, "nobody will ask again", NULL);
    check_that(world, policy->delay_ns > 0 && !world->queue.drains, "waits without need", NULL);
    /* Where there are deadlines, some may be passed over. */
    for (size_t i = 0; i < world->n_waiting && world->scenario.has_deadline <= 0; i++) {
        const struct request *request = waiting(world, i);
        n_rows += left(request);
        check_that(world, world->now_ns - request->sent_ns < policy->delay_ns,
                   "waits for longer than the delay", request);
    }
    check_that(world,
               n_rows < policy->rows_max && (n_rows == 0 || world->n_waiting < parts_max(world)),
               "waits though a batch is full", NULL);
}

/* ---- shares, and the end ---- */

static double weight_of(const struct world *world, uint64_t client)
{
    const struct px_batch_policy *policy = &world->queue.policy;
    for (size_t i = 0; i < policy->n_weights; i++) {
        if (policy->weights[i].client == client)
            return policy->weights[i].weight;
    }
    return 1;
}

static bool everybody_waits(const struct world *world)
{
    bool waits[CLIENTS_MAX] = {false};
    for (size_t i = 0; i < world->n_waiting; i++)
        waits[waiting(world, i)->item.urgency.client] = true;
    for (size_t c = 0; c < world->scenario.n_clients; c++) {
        if (!waits[c])
            return false;
    }
    return true;
}

/* Bound of start-time fair queueing: two clients differ by one piece of each. */
void check_shares(struct world *world)
{
    const struct scenario *s = &world->scenario;
    double most = (double)(s->rows_most < s->policy.rows_max ? s->rows_most : s->policy.rows_max);
    if (s->kind != SHARES || world->problem[0])
        return;
    for (size_t i = 0; i < s->n_clients; i++)
        world->served[i] = 0;
    for (size_t i = 0; i < world->n_arrived; i++) {
        const struct request *request = &world->requests[i];
        uint64_t client = request->item.urgency.client;
        world->served[client] += (double)request->rows_given / weight_of(world, client);
    }
    for (size_t a = 0; a < s->n_clients && everybody_waits(world); a++) {
        for (size_t b = 0; b < a; b++) {
            double bound = most / weight_of(world, a) + most / weight_of(world, b);
            check_that(world, fabs(world->served[a] - world->served[b]) <= bound * 1.01,
                       "shares are not by weight", NULL);
        }
    }
}

void check_end(struct world *world)
{
    check_that(world, world->n_arrived == world->scenario.n_requests, "somebody never came", NULL);
    for (size_t i = 0; i < world->n_arrived; i++) {
        const struct request *request = &world->requests[i];
        check_that(world, request->outcome != NOT_ANSWERED, "never answered", request);
        check_that(world, request->n_flying == 0, "still being computed", request);
        bool in_time =
            !request->item.deadline_ns || request->answered_ns <= request->item.deadline_ns;
        check_that(world, request->outcome != ANSWERED || in_time, "answered too late", request);
        check_that(world,
                   request->outcome != ANSWERED || request->rows_given == request->item.n_rows,
                   "answered without all rows", request);
    }
    check_that(world, world->queue.n_items == 0 && world->queue.n_rows == 0, "something waits",
               NULL);
    for (size_t i = 0; mechanisms[i]; i++)
        mechanisms[i]->check(world);
}
