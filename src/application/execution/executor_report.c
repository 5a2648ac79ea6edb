/* SPDX-License-Identifier: Apache-2.0 */
/* What an executor says of itself: numbers, the latest batches, and how it batches and why. */
#include "application/execution/executor_impl.h"

#include "shared/unconst.h"

#include <math.h>

/* Only its mutex changes. */
struct px_executor *px_executor_of(const struct px_engine *engine)
{
    return engine->ops->start == px_executor_start ? px_unconst(engine) : NULL;
}

void px_executor_note_batch(struct px_executor *self, const struct px_executor_batch *batch)
{
    self->latest[self->n_noted++ % PX_EXECUTOR_BATCHES] = *batch;
    self->counts.batches[batch->reason]++;
}

static void take_counts(const struct px_executor *self, struct px_executor_counts *ret)
{
    *ret = self->counts;
    ret->queued = self->queue.n_items;
}

bool px_executor_counts(const struct px_engine *engine, struct px_executor_counts *ret)
{
    struct px_executor *self = px_executor_of(engine);
    *ret = (struct px_executor_counts){0};
    if (!self)
        return false;
    px_executor_lock(self);
    take_counts(self, ret);
    px_executor_unlock(self);
    return true;
}

bool px_executor_report(const struct px_engine *engine, struct px_executor_report *ret)
{
    struct px_executor *self = px_executor_of(engine);
    *ret = (struct px_executor_report){0};
    if (!self)
        return false;
    px_executor_lock(self);
    take_counts(self, &ret->counts);
    ret->batching = self->batching;
    ret->batches = !self->alone_why;
    ret->why = self->alone_why ? self->alone_why
                               : "it takes long enough for requests to meet while it computes";
    ret->cost = self->cost;
    while (ret->n_batches < PX_EXECUTOR_BATCHES && ret->n_batches < self->n_noted) {
        uint64_t at = self->n_noted - 1 - ret->n_batches;
        ret->latest[ret->n_batches++] = self->latest[at % PX_EXECUTOR_BATCHES];
    }
    px_executor_unlock(self);
    return true;
}

/* A row may cost less than a microsecond: two decimals. */
void px_executor_put_cost(const struct px_executor_report *report, struct px_json_writer *json)
{
    const struct px_cost_line *cost = &report->cost;
    if (cost->n == 0)
        return;
    px_json_key(json, "cost");
    px_json_begin_object(json);
    px_json_member_f64(json, "fixed_us", round(cost->fixed_ns / 10) / 100);
    px_json_member_f64(json, "row_us", round(cost->one_ns / 10) / 100);
    px_json_member_u64(json, "observations", cost->n);
    px_json_end_object(json);
}

void px_executor_put_batching(const struct px_executor_report *report, struct px_json_writer *json)
{
    px_json_key(json, "batching");
    px_json_begin_object(json);
    px_json_member_text(json, "form", report->batches ? "queue" : "none");
    px_json_member_text(json, "why", report->why);
    if (report->batches)
        px_batching_put_json(&report->batching, json);
    px_executor_put_cost(report, json);
    px_json_end_object(json);
}

void px_executor_describe(const struct px_engine *engine, struct px_json_writer *json)
{
    struct px_executor_report report;
    const struct px_executor *self = (const struct px_executor *)engine;
    px_executor_report(engine, &report);
    px_json_member_u64(json, "instances", self->n_instances);
    px_json_member_u64(json, "queue_max", report.batching.policy.items_max);
    px_json_member_u64(json, "queued", report.counts.queued);
    px_json_member_u64(json, "running", report.counts.running);
    px_executor_put_batching(&report, json);
    if (self->blocking->ops->describe)
        self->blocking->ops->describe(self->blocking, json);
}
