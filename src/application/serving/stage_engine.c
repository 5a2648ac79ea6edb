/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine: scores the calls of a lane in as few engine calls as the batch limit allows.
 *
 * Consecutive calls with the same flags are copied into the lane's slab and scored together. A run of one call is
 * scored where it lies, in pieces when it alone is over the limit; so the common cases (one call, one huge
 * call) copy nothing.
 */
#include "application/serving/serving_impl.h"

#include "shared/clock.h"

/* Rows [first, first + n) of a matrix. */
static struct px_matrix slice(const struct px_matrix *m, size_t first, size_t n)
{
    struct px_matrix part = *m;
    part.data = px_matrix_row(m, first);
    part.n_rows = n;
    return part;
}

static enum px_code score_timed(struct px_lane *lane, unsigned loop, const struct px_matrix *rows,
                                struct px_matrix *scores, struct px_call *call)
{
    if (rows->n_rows == 0)
        return PX_OK; /* no batch: nothing to score, nothing to count */
    uint64_t started_ns = px_clock_monotonic_ns();
    enum px_code code = px_engine_score(lane->model->engine, rows, scores, lane->scratch,
                                        call->score_flags, &call->err);
    px_observe_batch(lane->model, loop, rows->n_rows, px_clock_monotonic_ns() - started_ns);
    return code;
}

static void score_alone(struct px_lane *lane, unsigned loop, size_t rows_max, struct px_call *call)
{
    size_t n_rows = call->rows.n_rows;
    for (size_t at = 0; at < n_rows && call->code == PX_OK; at += rows_max) {
        size_t n = n_rows - at < rows_max ? n_rows - at : rows_max;
        struct px_matrix rows = slice(&call->rows, at, n), scores = slice(&call->scores, at, n);
        call->code = score_timed(lane, loop, &rows, &scores, call);
        call->batch_rows = n;
    }
}

static void score_together(struct px_lane *lane, unsigned loop, struct px_call *first,
                           const struct px_call *end)
{
    struct px_matrix rows = lane->rows, scores = lane->scores;
    scores.n_cols = scores.stride = first->scores.n_cols;
    size_t n_rows = 0;
    for (struct px_call *call = first; call != end; call = call->next) {
        memcpy(px_matrix_row(&rows, n_rows), call->rows.data,
               call->rows.n_rows * rows.stride * px_datatype_size(rows.type));
        n_rows += call->rows.n_rows;
    }
    rows.n_rows = scores.n_rows = n_rows;
    enum px_code code = score_timed(lane, loop, &rows, &scores, first);
    size_t at = 0;
    for (struct px_call *call = first; call != end; call = call->next) {
        if (code != PX_OK && call != first)
            call->err = first->err;
        call->code = code;
        call->batch_rows = n_rows;
        memcpy(call->scores.data, px_matrix_row(&scores, at),
               call->rows.n_rows * scores.stride * px_datatype_size(scores.type));
        at += call->rows.n_rows;
    }
}

/* The end of the run that starts at `first`: same flags, and together within the limit. */
static struct px_call *run_end(struct px_call *first, size_t rows_max)
{
    size_t n_rows = first->rows.n_rows;
    struct px_call *call = first->next;
    while (call && call->score_flags == first->score_flags &&
           call->rows.n_rows <= rows_max - (n_rows < rows_max ? n_rows : rows_max)) {
        n_rows += call->rows.n_rows;
        call = call->next;
    }
    return call;
}

static void complete(struct px_serving *serving, struct px_call *call, const struct px_call *end)
{
    uint64_t now_ns = px_clock_monotonic_ns();
    while (call != end) {
        struct px_call *next = call->next; /* `done` may give the call's memory back */
        if (call->code == PX_OK)
            px_observe_call(call, now_ns);
        else
            px_observe_failure(serving, call);
        call->done(call);
        call = next;
    }
}

void px_lane_score(struct px_serving *serving, unsigned loop, struct px_lane *lane)
{
    size_t rows_max = lane->rows_max;
    struct px_call *call = lane->first;
    lane->first = lane->last = NULL;
    while (call) {
        struct px_call *end = run_end(call, rows_max);
        if (call->next == end)
            score_alone(lane, loop, rows_max, call);
        else
            score_together(lane, loop, call, end);
        complete(serving, call, end);
        call = end;
    }
}
