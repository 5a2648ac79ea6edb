/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events in virtual time. The next thing to happen is the soonest of: a computation ends, a request arrives, is given up or runs out of its
 * deadline while being computed, and the timer of the queue (ask again, or somebody is late), which may be late itself.
 */
#include "simulation.h"

#include "shared/compiler.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct request *world_request(struct px_batch_item *item)
{
    return PX_CONTAINER_OF(item, struct request, item);
}

static void trace(const struct world *world, const char *what, const struct request *request)
{
    if (!world->traces)
        return;
    printf("%12.6f ms  %-10s", (double)world->now_ns / 1e6, what);
    if (request)
        printf(" request %zu: %zu rows, client %" PRIu64 ", level %u, deadline %.6f", request->rank,
               request->item.n_rows, request->item.urgency.client, request->item.urgency.priority,
               (double)request->item.deadline_ns / 1e6);
    printf("\n");
}

/* ---- events ---- */

static bool is_before(const struct event *a, const struct event *b)
{
    if (a->at_ns != b->at_ns)
        return a->at_ns < b->at_ns;
    return a->kind != b->kind ? a->kind < b->kind : a->index < b->index;
}

static void push_event(struct world *world, struct event event)
{
    size_t at = world->n_events++;
    PX_ASSERT(at < EVENTS_MAX);
    for (; at > 0 && is_before(&event, &world->events[(at - 1) / 2]); at = (at - 1) / 2)
        world->events[at] = world->events[(at - 1) / 2];
    world->events[at] = event;
}

static struct event pop_event(struct world *world)
{
    struct event first = world->events[0], last = world->events[--world->n_events];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < world->n_events) {
        if (child + 1 < world->n_events &&
            is_before(&world->events[child + 1], &world->events[child]))
            child++;
        if (!is_before(&world->events[child], &last))
            break;
        world->events[at] = world->events[child];
        at = child;
    }
    world->events[at] = last;
    return first;
}

/* ---- the account ---- */

static void note_waits(struct world *world, struct request *request)
{
    request->waits = true;
    world->waiting[world->n_waiting++] = (size_t)(request - world->requests);
}

static void note_left(struct world *world, struct request *request)
{
    size_t i = 0, index = (size_t)(request - world->requests);
    while (world->waiting[i] != index)
        i++;
    memmove(&world->waiting[i], &world->waiting[i + 1],
            (--world->n_waiting - i) * sizeof *world->waiting);
    request->waits = false;
}

void world_answer(struct world *world, struct request *request, enum outcome outcome)
{
    check_that(world, request->outcome == NOT_ANSWERED, "answered twice", request);
    request->outcome = outcome;
    request->answered_ns = world->now_ns;
    world->tally.n[outcome]++;
    bool measured = world->now_ns >= world->measure_from_ns && world->now_ns < world->measure_to_ns;
    if (outcome == ANSWERED && measured)
        world->tally.rows_in_time += request->item.n_rows;
    for (size_t i = 0; mechanisms[i]; i++)
        mechanisms[i]->ends(world, request);
}

/* ---- what happens ---- */

static uint64_t own_late_ns(const struct world *world, const struct request *request)
{
    const struct px_batch_policy *policy = &world->scenario.policy;
    unsigned level = request->item.urgency.priority;
    if (level == 0 || level > policy->n_levels)
        level = policy->default_level;
    uint64_t timeout_ns = policy->levels[level ? level - 1 : 0].timeout_ns;
    uint64_t late_ns = timeout_ns ? world->now_ns + timeout_ns : UINT64_MAX;
    uint64_t deadline_ns = request->item.deadline_ns ? request->item.deadline_ns : UINT64_MAX;
    return deadline_ns < late_ns ? deadline_ns : late_ns;
}

static struct px_batch_instances instances(const struct world *world)
{
    struct px_batch_instances instances = {.n = world->scenario.n_instances};
    for (unsigned i = 0; i < instances.n; i++)
        instances.n_busy += world->instances[i].busy;
    return instances;
}

static void arrive(struct world *world, struct request *request)
{
    struct px_batch_item *shed;
    world->n_arrived++;
    trace(world, "arrives", request);
    for (size_t i = 0; mechanisms[i]; i++) {
        if (!mechanisms[i]->arrives(world, request)) {
            trace(world, mechanisms[i]->name, request);
            world->tally.ended_by[i]++;
            return;
        }
    }
    enum px_batch_refusal refusal = px_batch_queue_add(&world->queue, &request->item, world->now_ns,
                                                       &world->cost, instances(world), &shed);
    world->tally.refusals[refusal]++;
    check_refusal(world, request, refusal);
    if (shed) {
        struct request *out = world_request(shed);
        check_shed(world, out, request);
        note_left(world, out);
        world_answer(world, out, SHED);
        trace(world, "is shed", out);
    }
    if (refusal != PX_BATCH_ACCEPTED) {
        world_answer(world, request, REFUSED);
        trace(world, px_batch_refusal_name(refusal), request);
        return;
    }
    request->late_ns = own_late_ns(world, request);
    note_waits(world, request);
}

static void cancel(struct world *world, struct request *request)
{
    if (request->outcome)
        return;
    trace(world, "cancelled", request);
    px_batch_queue_remove(&world->queue, &request->item);
    if (request->waits)
        note_left(world, request);
    world_answer(world, request, CANCELLED);
}

/* Its deadline has passed while it was being computed. */
static void pass_deadline(struct world *world, struct request *request)
{
    if (request->outcome || request->waits)
        return;
    world_answer(world, request, TOO_LATE);
}

static void take_late(struct world *world)
{
    struct px_batch_item *item = px_batch_queue_take_late(&world->queue, world->now_ns);
    for (struct px_batch_item *next; item; item = next) {
        struct request *request = world_request(item);
        next = item->next;
        check_late(world, request);
        trace(world, "is late", request);
        note_left(world, request);
        world_answer(world, request, TOO_LATE);
    }
    for (size_t i = 0; i < world->n_waiting; i++) {
        struct request *request = &world->requests[world->waiting[i]];
        if (request->late_ns <= world->now_ns) {
            check_that(world, request->item.in.demoted, "late, but neither taken nor demoted",
                       request);
            request->demoted = true;
            request->late_ns = request->item.deadline_ns ? request->item.deadline_ns : UINT64_MAX;
        }
    }
}

/* ---- computing ---- */

static double takes_ns(struct world *world, size_t n_rows)
{
    const struct scenario *s = &world->scenario;
    double ns = s->fixed_ns + s->one_ns * (double)n_rows;
    double factor = 1 + s->noise * px_rng_normal(&world->luck);
    if (px_rng_unit(&world->luck) < s->hangs)
        factor = 100;
    if (world->now_ns < s->slow_until_ns)
        factor *= 10;
    return ns * (factor > 0.2 ? factor : 0.2);
}

static void begin_batch(struct world *world, struct instance *instance)
{
    const struct px_batch *batch = &instance->batch;
    check_batch(world, batch);
    world->tally.reasons[batch->reason]++;
    trace(world, px_batch_reason_name(batch->reason), NULL);
    for (size_t i = 0; i < batch->n_parts; i++) {
        struct request *request = world_request(batch->parts[i].item);
        request->rows_given += batch->parts[i].n_rows;
        request->n_flying++;
        if (request->rows_given == request->item.n_rows)
            note_left(world, request);
        trace(world, "  computes", request);
    }
    check_shares(world);
    instance->busy = true;
    instance->began_ns = world->now_ns;
    instance->fails = px_rng_unit(&world->luck) < world->scenario.fails;
    uint64_t end_ns = world->now_ns + (uint64_t)takes_ns(world, batch->n_rows);
    push_event(world, (struct event){end_ns, COMPUTED, (size_t)(instance - world->instances)});
}

static void end_part(struct world *world, struct request *request, bool fails)
{
    request->n_flying--;
    if (request->outcome)
        return;
    if (fails) {
        px_batch_queue_remove(&world->queue, &request->item);
        if (request->waits)
            note_left(world, request);
        world_answer(world, request, FAILED);
    } else if (!request->waits && request->n_flying == 0) {
        world_answer(world, request, ANSWERED);
    }
}

static void end_batch(struct world *world, struct instance *instance)
{
    const struct px_batch *batch = &instance->batch;
    instance->busy = false;
    if (!instance->fails)
        px_cost_line_learn(&world->cost, (double)batch->n_rows,
                           (double)(world->now_ns - instance->began_ns));
    for (size_t i = 0; i < batch->n_parts; i++)
        end_part(world, world_request(batch->parts[i].item), instance->fails);
}

static void form(struct world *world)
{
    world->ask_again_ns = UINT64_MAX;
    for (unsigned i = 0; i < world->scenario.n_instances && !world->problem[0]; i++) {
        struct instance *instance = &world->instances[i];
        if (instance->busy)
            continue;
        instance->batch =
            (struct px_batch){.parts = instance->parts, .n_parts_max = world->scenario.n_parts_max};
        if (px_batch_queue_form(&world->queue, world->now_ns, &world->cost, &instance->batch,
                                &world->ask_again_ns)) {
            begin_batch(world, instance);
        } else {
            check_waiting_is_right(world);
            return;
        }
    }
    world->ask_again_ns = UINT64_MAX;
}

/* ---- a run ---- */

static void set_timer(struct world *world)
{
    uint64_t late_ns = px_batch_queue_next_late_ns(&world->queue);
    uint64_t at_ns = late_ns < world->ask_again_ns ? late_ns : world->ask_again_ns;
    if (at_ns != UINT64_MAX && world->scenario.jitter_ns)
        at_ns += px_rng_below(&world->rng, world->scenario.jitter_ns);
    world->timer_ns = at_ns;
}

static void happen(struct world *world, struct event event)
{
    if (event.kind == COMPUTED)
        end_batch(world, &world->instances[event.index]);
    else if (event.kind == ARRIVAL)
        arrive(world, &world->requests[event.index]);
    else if (event.kind == CANCEL)
        cancel(world, &world->requests[event.index]);
    else
        pass_deadline(world, &world->requests[event.index]);
}

static void draw_request(struct world *world, size_t index, uint64_t sent_ns)
{
    const struct scenario *s = &world->scenario;
    struct px_rng *rng = &world->rng;
    struct request *request = &world->requests[index];
    *request = (struct request){.sent_ns = sent_ns, .rank = index};
    request->item.n_rows = 1 + px_rng_below(rng, s->rows_most);
    request->item.shape = px_rng_below(rng, s->n_shapes);
    request->item.urgency = (struct px_urgency){
        .priority = (unsigned)px_rng_below(rng, s->policy.n_levels + 1),
        .criticality =
            s->kind == SHARES ? PX_CRITICALITY_DEFAULT : (enum px_criticality)px_rng_below(rng, 3),
        .client = px_rng_below(rng, s->n_clients),
    };
    if (px_rng_unit(rng) < s->has_deadline)
        request->item.deadline_ns =
            sent_ns + s->deadline_ns / 2 + px_rng_below(rng, s->deadline_ns / 2 + 1);
    push_event(world, (struct event){sent_ns, ARRIVAL, index});
    if (request->item.deadline_ns)
        push_event(world, (struct event){request->item.deadline_ns + 1, DEADLINE, index});
    if (px_rng_unit(rng) < s->is_cancelled)
        push_event(world,
                   (struct event){sent_ns + px_rng_below(rng, s->deadline_ns), CANCEL, index});
}

static void begin(struct world *world, const struct scenario *scenario)
{
    bool traces = world->traces;
    memset(world, 0, offsetof(struct world, instances));
    for (size_t i = 0; i < INSTANCES_MAX; i++)
        world->instances[i].busy = false;
    world->traces = traces;
    world->scenario = *scenario;
    world->rng = px_rng(scenario->seed ^ UINT64_C(0x9e3779b97f4a7c15));
    world->luck = px_rng(scenario->seed);
    px_batch_queue_init(&world->queue, &scenario->policy);
    double at_ns = 1e6;
    for (size_t i = 0; i < scenario->n_requests; i++) {
        draw_request(world, i, (uint64_t)at_ns);
        if (px_rng_unit(&world->rng) >= scenario->burst)
            at_ns -= log(1 - px_rng_unit(&world->rng)) * scenario->gap_ns;
    }
    world->measure_from_ns = (uint64_t)(at_ns / 4);
    world->measure_to_ns = (uint64_t)at_ns;
    world->ask_again_ns = world->timer_ns = UINT64_MAX;
    for (size_t i = 0; mechanisms[i]; i++)
        mechanisms[i]->begin(world);
}

void world_run(struct world *world, const struct scenario *scenario)
{
    begin(world, scenario);
    while (!world->problem[0] && (world->n_events > 0 || world->timer_ns != UINT64_MAX)) {
        if (world->n_events > 0 && world->events[0].at_ns <= world->timer_ns) {
            world->now_ns = world->events[0].at_ns;
            happen(world, pop_event(world));
        } else {
            world->now_ns = world->timer_ns;
        }
        if (scenario->drains_ns && world->now_ns >= scenario->drains_ns)
            px_batch_queue_drain(&world->queue);
        if (world->n_events > 0 && world->events[0].at_ns == world->now_ns &&
            world->events[0].kind == ARRIVAL && scenario->kind == SHARES)
            continue; /* all are there before the first is served */
        take_late(world);
        form(world);
        set_timer(world);
        check_queue(world);
    }
    if (!world->problem[0])
        check_end(world);
}
