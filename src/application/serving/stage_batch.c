/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch: parks the call in its lane until the loop has read every request that this wake-up brought.
 *
 * This is wave batching: no timer and no hand-off. The batch is what has already arrived, so it grows with
 * load, and a lone call is scored at the end of the same wake-up that read it.
 */
#include "application/serving/serving_impl.h"

bool px_call_reserve_scores(struct px_call *call)
{
    const struct px_engine *engine = call->model->engine;
    size_t n_cols = call->score_flags & PX_SCORE_MARGIN ? engine->n_margins : engine->n_outputs;
    void *data = px_arena_alloc(call->arena, call->rows.n_rows,
                                n_cols * px_datatype_size(engine->score_type));
    call->scores = (struct px_matrix){
        .type = engine->score_type,
        .data = data,
        .n_rows = call->rows.n_rows,
        .n_cols = n_cols,
        .stride = n_cols,
    };
    return data != NULL;
}

void px_lane_is_busy(struct px_serving_loop *loop, struct px_lane *lane)
{
    if (lane->is_busy)
        return;
    lane->is_busy = true;
    lane->next = loop->busy;
    loop->busy = lane;
}

enum px_code px_stage_batch(struct px_serving *serving, struct px_call *call)
{
    struct px_serving_loop *loop = &serving->loops[call->loop];
    struct px_lane *lane = &call->model->lanes[call->loop];
    if (!px_call_reserve_scores(call))
        return px_arena_check(call->arena, "the answer", &call->err);
    call->next = NULL;
    if (lane->first)
        lane->last->next = call;
    else
        lane->first = call;
    lane->last = call;
    px_lane_is_busy(loop, lane);
    return PX_OK;
}
