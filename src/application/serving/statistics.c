/* SPDX-License-Identifier: Apache-2.0 */
#include "application/serving/statistics.h"

#include "application/lifecycle/package.h"
#include "application/serving/serving_impl.h"
#include "shared/clock.h"

static const void *at(const struct px_model_metrics *shard, size_t offset)
{
    return (const char *)shard + offset;
}

/* The sum of one cell, given by its offset, over the shards of all loops. */
static uint64_t sum(const struct px_model *model, size_t offset)
{
    uint64_t n = 0;
    for (unsigned loop = 0; loop < model->n_lanes; loop++)
        n += px_metric_get(at(&model->metrics[loop], offset));
    return n;
}

#define SUM(model, field) sum(model, offsetof(struct px_model_metrics, field))
#define CELL_SUM(model, cell, field)                                                               \
    sum(model, offsetof(struct px_model_metrics, batches_of) +                                     \
                   (cell) * sizeof(struct px_batch_cell) + offsetof(struct px_batch_cell, field))

/* Monotonic times mean nothing to others; the distance to now does. */
static uint64_t last_inference_ms(const struct px_model *model)
{
    uint64_t last_ns = 0, now_ns = px_clock_monotonic_ns();
    for (unsigned loop = 0; loop < model->n_lanes; loop++) {
        uint64_t ns = px_metric_get(&model->metrics[loop].last_ns);
        last_ns = ns > last_ns ? ns : last_ns;
    }
    if (last_ns == 0)
        return 0;
    uint64_t ago_ns = now_ns > last_ns ? now_ns - last_ns : 0;
    return (px_clock_wall_ns() - ago_ns) / PX_NS_PER_MS;
}

static uint64_t memory_bytes(const struct px_model *model)
{
    uint64_t bytes = model->forest ? model->forest->bytes : 0;
    if (px_engine_has(model->engine, PX_ENGINE_TENSORS))
        return model->package ? model->package->model_size
                              : 0; /* what its engine holds is not known */
    for (unsigned i = 0; i < model->n_lanes; i++) {
        const struct px_lane *lane = &model->lanes[i];
        bytes += lane->rows_max * px_lane_row_bytes(model->engine) +
                 px_engine_scratch_size(model->engine, lane->rows_max);
    }
    return bytes;
}

static void sum_batches(const struct px_model *model, struct px_model_statistics *s)
{
    for (unsigned cell = 0; cell < PX_BATCH_CELLS; cell++) {
        uint64_t count = CELL_SUM(model, cell, count);
        if (count == 0)
            continue;
        s->batches[s->n_batches++] = (struct px_batch_statistics){
            .batch_size = px_batch_cell_size(cell),
            .compute_input = {count, CELL_SUM(model, cell, input_ns)},
            .compute_infer = {count, CELL_SUM(model, cell, infer_ns)},
            .compute_output = {count, CELL_SUM(model, cell, output_ns)},
        };
    }
}

static void sum_model(const struct px_model *model, struct px_model_statistics *s)
{
    uint64_t requests = SUM(model, requests);
    uint64_t cached = SUM(model, cache_hits) + SUM(model, cache_joined);
    uint64_t computed = requests > cached ? requests - cached : 0; /* loops go on meanwhile */
    *s = (struct px_model_statistics){
        .name = model->name,
        .version = model->version,
        .last_inference_ms = last_inference_ms(model),
        .inference_count = SUM(model, rows),
        .execution_count = SUM(model, batches),
        .success = {requests, SUM(model, success_ns)},
        .fail = {SUM(model, failures), SUM(model, fail_ns)},
        .queue = {computed, SUM(model, queue_ns)},
        .compute_input = {computed, SUM(model, input_ns)},
        .compute_infer = {computed, SUM(model, infer_ns)},
        .compute_output = {computed, SUM(model, output_ns)},
        .cache_hit = {cached, SUM(model, cache_hit_ns)},
        .cache_miss = {SUM(model, cache_misses), SUM(model, cache_miss_ns)},
        .memory_bytes = memory_bytes(model),
    };
    sum_batches(model, s);
}

static bool is_chosen(const struct px_model *model, const struct px_model_choice *choice)
{
    return model->state == PX_MODEL_READY &&
           (choice->name.len == 0 || px_str_eq(model->name, choice->name)) &&
           (choice->version.len == 0 || px_str_eq(model->version, choice->version));
}

enum px_code px_serving_statistics(struct px_serving *serving, const struct px_model_choice *choice,
                                   struct px_arena *arena, struct px_statistics *ret,
                                   struct px_err *err)
{
    const struct px_model_set *set = px_serving_models(serving);
    size_t n = 0;
    if (choice->name.len) {
        struct px_err why;
        if (!px_serving_find(serving, choice->name, choice->version, &why)) {
            if (err)
                *err = why;
            return why.code;
        }
    }
    for (size_t i = 0; i < set->n_models; i++)
        n += is_chosen(set->models[i], choice);
    *ret = (struct px_statistics){.models = px_arena_alloc(arena, n + 1, sizeof *ret->models)};
    if (!ret->models)
        return px_arena_check(arena, "the statistics", err);
    for (size_t i = 0; i < set->n_models; i++) {
        if (is_chosen(set->models[i], choice))
            sum_model(set->models[i], &ret->models[ret->n_models++]);
    }
    return PX_OK;
}
