/* SPDX-License-Identifier: Apache-2.0 */
/* Observe: what is counted about calls, batches and failures. Every cell has this loop as its only writer. */
#include "application/serving/serving_impl.h"

#include "shared/clock.h"

#include <math.h>

_Static_assert((int)PX_REFUSALS <= (int)PX_METRIC_REFUSALS, "a counter for each reason");

/* The bin of a score in the model's range; values outside go to the outermost bins, NaN to the first. */
static unsigned score_bin(const struct px_model *model, double score)
{
    double position = (score - model->score_min) / (model->score_max - model->score_min);
    if (!(position > 0))
        return 0;
    return position >= 1 ? PX_SCORE_BINS - 1 : (unsigned)(position * PX_SCORE_BINS);
}

double px_shown_score(const struct px_matrix *scores, size_t row)
{
    double best = px_matrix_get(scores, row, 0);
    for (size_t col = 1; col < scores->n_cols; col++)
        best = fmax(best, px_matrix_get(scores, row, col));
    return best;
}

static uint64_t count_missing(const struct px_matrix *rows)
{
    uint64_t n = 0;
    size_t n_values = rows->n_rows * rows->stride;
    if (rows->type == PX_TYPE_FP32) {
        const float *values = rows->data;
        for (size_t i = 0; i < n_values; i++)
            n += isnan(values[i]) != 0;
    } else {
        const double *values = rows->data;
        for (size_t i = 0; i < n_values; i++)
            n += isnan(values[i]) != 0;
    }
    return n;
}

static void add_durations(struct px_model_metrics *m, const struct px_call *call,
                          const struct px_batch_times *times)
{
    px_metric_add(&m->success_ns, times->ended_ns - call->received_ns);
    px_metric_add(&m->queue_ns, times->started_ns - call->queued_ns);
    px_metric_add(&m->input_ns, times->engine_ns - times->started_ns);
    px_metric_add(&m->infer_ns, times->scored_ns - times->engine_ns);
    px_metric_add(&m->output_ns, times->ended_ns - times->scored_ns);
}

/* For the version that comes after this one; at most every PX_RECORD_PAUSE_NS. */
static void record(const struct px_call *call, uint64_t now_ns)
{
    const struct px_model *model = call->model;
    if (!px_recorder_is_due(model->recorder, &model->lanes[call->loop].record_at_ns, now_ns))
        return;
    if (!call->run)
        px_recorder_note_rows(model->recorder, &call->rows);
    else
        px_recorder_note_inputs(model->recorder, call->run->inputs, call->run->n_inputs);
}

void px_observe_call(struct px_call *call, const struct px_batch_times *times)
{
    const struct px_model *model = call->model;
    struct px_model_metrics *m = &model->metrics[call->loop];
    px_metric_add(&m->requests, 1);
    px_metric_add(&m->rows, call->rows.n_rows);
    px_metric_add(&m->missing_values, count_missing(&call->rows));
    px_metric_add(&m->unseen_categories, call->n_unseen);
    px_histogram_add(&m->latency_ns, times->ended_ns - call->received_ns);
    add_durations(m, call, times);
    if (PX_UNLIKELY(model->recorder != NULL))
        record(call, times->ended_ns);
    if (call->score_flags & PX_SCORE_MARGIN)
        return; /* margins have another scale */
    for (size_t row = 0; row < call->scores.n_rows; row++)
        px_metric_add(&m->score_bins[score_bin(model, px_shown_score(&call->scores, row))], 1);
}

void px_observe_batch(const struct px_model *model, unsigned loop, size_t n_rows,
                      const struct px_batch_times *times)
{
    struct px_model_metrics *m = &model->metrics[loop];
    struct px_batch_cell *cell = &m->batches_of[px_batch_cell(n_rows)];
    px_metric_add(&m->batches, 1);
    px_metric_add(&m->batch_bins[px_batch_bin(n_rows)], 1);
    px_histogram_add(&m->engine_ns, times->scored_ns - times->engine_ns);
    px_metric_add(&cell->count, 1);
    px_metric_add(&cell->input_ns, times->engine_ns - times->started_ns);
    px_metric_add(&cell->infer_ns, times->scored_ns - times->engine_ns);
    px_metric_add(&cell->output_ns, times->ended_ns - times->scored_ns);
    atomic_store_explicit(&m->last_ns, times->ended_ns, memory_order_relaxed);
}

void px_serving_count_request(struct px_serving *serving, unsigned loop)
{
    px_metric_add(&serving->loops[loop].metrics.http_requests, 1);
}

void px_serving_count_error(struct px_serving *serving, unsigned loop, enum px_code code)
{
    PX_ASSERT(code > PX_OK && (unsigned)code < PX_METRIC_CODES);
    px_metric_add(&serving->loops[loop].metrics.errors[code], 1);
}

void px_observe_run(struct px_call *call)
{
    const struct px_model *model = call->model;
    struct px_model_metrics *m = &model->metrics[call->loop];
    uint64_t started_ns = call->run->started_ns;
    if (started_ns < call->queued_ns || started_ns > call->run_ended_ns)
        started_ns = call->queued_ns; /* an engine that does not say when it began */
    const struct px_batch_times times = {started_ns, started_ns, call->run_ended_ns,
                                         call->run_ended_ns};
    px_metric_add(&m->requests, 1);
    px_metric_add(&m->rows, call->n_run_rows);
    px_histogram_add(&m->latency_ns, times.ended_ns - call->received_ns);
    add_durations(m, call, &times);
    if (PX_UNLIKELY(model->recorder != NULL))
        record(call, times.ended_ns);
    if (call->batch_rows > 0 && !call->run->joined_batch)
        px_observe_batch(model, call->loop, call->batch_rows, &times);
}

void px_observe_cached(const struct px_call *call, uint64_t now_ns)
{
    struct px_model_metrics *m = &call->model->metrics[call->loop];
    bool is_hit = call->cache == PX_CALL_CACHE_HIT;
    px_metric_add(&m->requests, 1);
    px_metric_add(is_hit ? &m->cache_hits : &m->cache_joined, 1);
    px_metric_add(&m->cache_hit_ns, now_ns - call->queued_ns);
    px_metric_add(&m->success_ns, now_ns - call->received_ns);
    px_histogram_add(&m->latency_ns, now_ns - call->received_ns);
    atomic_store_explicit(&m->last_ns, now_ns, memory_order_relaxed);
}

void px_observe_cache_miss(const struct px_call *call, uint64_t now_ns)
{
    struct px_model_metrics *m = &call->model->metrics[call->loop];
    px_metric_add(&m->cache_misses, 1);
    px_metric_add(&m->cache_miss_ns, now_ns - call->queued_ns);
}

void px_observe_failure(struct px_serving *serving, const struct px_call *call)
{
    PX_ASSERT(call->code > PX_OK && (unsigned)call->code < PX_METRIC_CODES);
    if (call->model && call->model->metrics) {
        struct px_model_metrics *m = &call->model->metrics[call->loop];
        px_metric_add(&m->failures, 1);
        px_metric_add(&m->fail_ns, px_clock_monotonic_ns() - call->received_ns);
        px_metric_add(&m->errors[call->code], 1);
        if (call->refusal != PX_REFUSAL_NONE)
            px_metric_add(&m->refused[call->refusal], 1);
    } else {
        px_serving_count_error(serving, call->loop, call->code);
    }
}
