/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request pipeline: px_call through its stages.
 *
 * The design's order is identify, admit, route, enrich, cache, batch, engine, finish, observe. The tables
 * below are that order with the stages that exist; a new stage is a file with one px_stage_fn and a row here.
 * The interface can decode rows only when it knows the model, so the pipeline has two entries:
 *
 *   open    route                         (a version that failed to load: its ladder, stage_fallback.c) identify and per-tenant limits go before it
 *   submit  deadline -> admit -> cache -> batch    features by entity key (enrich) go before the cache
 *   wave    engine -> observe -> done     post-processing (finish) goes before observe
 *
 * A model of tensors takes another way from submit on, stages_of_runs below; when its run has ended: observe -> done (stage_run.c), or the
 * next rung of its ladder. Every way to an engine is through that table: a submit and a rung that is another model begin at its first stage,
 * a call that has waited for an equal one behind the cache (px_call_take_stages). So nothing is computed that the breaker or the limit
 * have not seen.
 *
 * Invariants
 *   1. A call that was parked is completed by the next wave of its loop, with a score or an error; one whose run was started is
 *      completed on its loop once that has ended.
 *   2. No stage waits, takes a lock or allocates from the heap; memory is the call's arena or the lane's slabs. The cache, of models
 *      that have one, takes a lock for moments, and allocates for what it keeps.
 *   3. Every attempt to answer a call that fails is counted once, by its code, at the version where it failed, and by its refusal when
 *      it was not computed (px_observe_failure), whether or not another rung answers the call then.
 */
#include "application/serving/serving_impl.h"

#include "shared/clock.h"

#include <math.h>

enum { LAG_FADES = 8 }; /* a share of so many with each wake-up */

static px_stage_fn *const open_stages[] = {px_stage_route};
static px_stage_fn *const submit_stages[] = {px_stage_deadline, px_stage_admit, px_stage_cache,
                                             px_stage_batch};
static px_stage_fn *const stages_of_runs[PX_RUN_STAGES] = {
    [PX_RUN_DEADLINE] = px_stage_deadline, /* does anybody wait? */
    [PX_RUN_ADMIT] = px_stage_admit_run,   /* does it fit the model, and memory? */
    [PX_RUN_CACHE] = px_stage_cache,       /* is there an answer, or one on its way? */
    [PX_RUN_BREAKER] = px_stage_breaker,   /* is the version worth asking? */
    [PX_RUN_LIMIT] = px_stage_limit,       /* may another of its requests be on its way? */
    [PX_RUN_START] = px_stage_start,       /* to the engine's queue */
};

static enum px_code take_stages(struct px_serving *serving, struct px_call *call,
                                px_stage_fn *const *stages, size_t n)
{
    call->has_answer = false;
    for (size_t i = 0; i < n; i++) {
        call->code = stages[i](serving, call);
        if (call->code != PX_OK || call->has_answer)
            return call->code;
    }
    return PX_OK;
}

enum px_code px_call_take_stages(struct px_serving *serving, struct px_call *call,
                                 enum px_run_stage first)
{
    enum px_code code = take_stages(serving, call, stages_of_runs + first, PX_RUN_STAGES - first);
    if (code == PX_OK)
        return PX_OK;
    px_call_end_lead(call, code);
    px_call_leave_breaker(call, PX_E_CANCELLED, 0);
    return code;
}

static enum px_code submit_run(struct px_serving *serving, struct px_call *call)
{
    enum px_code code = px_call_take_stages(serving, call, PX_RUN_DEADLINE);
    if (code == PX_OK || px_call_fall_back(serving, call))
        return PX_OK;
    return call->code;
}

static enum px_code submit_rows(struct px_serving *serving, struct px_call *call)
{
    enum px_code code = take_stages(serving, call, submit_stages, PX_ARRAY_LEN(submit_stages));
    if (PX_LIKELY(code == PX_OK))
        return PX_OK;
    px_call_end_lead(call, code);
    px_observe_failure(serving, call);
    return code;
}

/* Calls of rows do without it, and need not clear it. */
static enum px_code make_run(struct px_serving *serving, struct px_call *call)
{
    call->run = px_arena_zalloc(call->arena, 1, sizeof *call->run);
    if (px_arena_check(call->arena, "the request", &call->err) == PX_OK)
        return PX_OK;
    return px_call_fail(serving, call, &call->err);
}

enum px_code px_call_open(struct px_serving *serving, struct px_call *call)
{
    PX_ASSERT(call->loop < serving->n_loops && call->arena && call->done);
    enum px_code code = take_stages(serving, call, open_stages, PX_ARRAY_LEN(open_stages));
    if (code != PX_OK && !call->is_absent) /* which may wait, and then be answered */
        px_observe_failure(serving, call);
    if (code == PX_OK && PX_UNLIKELY(px_engine_has(call->model->engine, PX_ENGINE_TENSORS)))
        code = make_run(serving, call);
    if (code == PX_OK && px_trace_is_on(serving->trace))
        px_trace_open_call(serving, call);
    return code;
}

enum px_code px_call_submit(struct px_serving *serving, struct px_call *call)
{
    PX_ASSERT(call->model && call->code == PX_OK);
    call->queued_ns = px_clock_monotonic_ns();
    atomic_store_explicit(&call->model->lanes[call->loop].used_ns, call->queued_ns,
                          memory_order_relaxed); /* see making_room.c */
    if (PX_UNLIKELY(px_engine_has(call->model->engine, PX_ENGINE_TENSORS)))
        return submit_run(serving, call);
    return submit_rows(serving, call);
}

enum px_code px_call_fail(struct px_serving *serving, struct px_call *call,
                          const struct px_err *err)
{
    PX_ASSERT(err->code != PX_OK);
    if (err != &call->err)
        call->err = *err;
    call->code = err->code;
    px_observe_failure(serving, call);
    return call->code;
}

static void fill_missing(struct px_matrix *rows)
{
    size_t n = rows->n_rows * rows->stride;
    if (rows->type == PX_TYPE_FP32) {
        for (size_t i = 0; i < n; i++)
            ((float *)rows->data)[i] = NAN;
    } else {
        for (size_t i = 0; i < n; i++)
            ((double *)rows->data)[i] = (double)NAN;
    }
}

static void set_rows(struct px_call *call, void *data, size_t n_rows)
{
    const struct px_engine *engine = call->model->engine;
    call->rows = (struct px_matrix){
        .type = engine->feature_type,
        .data = data,
        .n_rows = n_rows,
        .n_cols = engine->n_features,
        .stride = engine->n_features,
    };
}

struct px_matrix *px_call_rows_unset(struct px_serving *serving, struct px_call *call,
                                     size_t n_rows)
{
    const struct px_engine *engine = call->model->engine;
    size_t row_bytes = engine->n_features * px_datatype_size(engine->feature_type);
    void *data = px_arena_alloc(call->arena, n_rows, row_bytes);
    if (!data) {
        px_err_set(&call->err, PX_E_TOO_LARGE,
                   "%zu rows of %zu features do not fit in the memory of one request (%zu bytes)",
                   n_rows, engine->n_features, call->arena->max);
        px_err_hint(&call->err, "send fewer rows per request, or raise serving.request_memory_max");
        return NULL;
    }
    if (!px_call_charge_bytes(serving, call, n_rows * row_bytes))
        return NULL;
    set_rows(call, data, n_rows);
    return &call->rows;
}

struct px_matrix *px_call_rows(struct px_serving *serving, struct px_call *call, size_t n_rows)
{
    struct px_matrix *rows = px_call_rows_unset(serving, call, n_rows);
    if (rows)
        fill_missing(rows);
    return rows;
}

void px_call_lend_rows(struct px_call *call, const void *data, size_t n_rows)
{
    const struct px_engine *engine = call->model->engine;
    PX_ASSERT((uintptr_t)data % px_datatype_size(engine->feature_type) == 0);
    union {
        const void *lent;
        void *rows; /* engines only read them */
    } address = {.lent = data};
    set_rows(call, address.rows, n_rows);
}

void px_serving_end_wakeup(struct px_serving *serving, unsigned loop)
{
    PX_ASSERT(loop < serving->n_loops);
    serving->loops[loop].explain_steps = 0;
}

void px_serving_note_lag(struct px_serving *serving, unsigned loop, uint64_t lag_ns)
{
    PX_ASSERT(loop < serving->n_loops);
    struct px_serving_loop *own = &serving->loops[loop];
    uint64_t faded_ns = own->lag_ns - own->lag_ns / LAG_FADES;
    own->lag_ns = lag_ns > faded_ns ? lag_ns : faded_ns;
    if (PX_UNLIKELY(own->lag_ns > PX_SHED_LAG_NS)) /* else nobody asks when */
        own->lag_at_ns = px_clock_monotonic_ns();
}

void px_serving_wave(struct px_serving *serving, unsigned loop)
{
    PX_ASSERT(loop < serving->n_loops);
    struct px_serving_loop *own = &serving->loops[loop];
    while (own->busy) {
        struct px_lane *lane = own->busy;
        own->busy = lane->next;
        lane->is_busy = false;
        px_lane_score(serving, loop, lane);
    }
    own->wave_bytes = 0;
    own->waves++;
}
