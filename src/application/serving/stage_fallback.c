/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fallback: who answers when the version that was asked for cannot.
 *
 *   route     a version that failed to load: another model is found before the request is decoded, and decodes it
 *   breaker   before a computation: one that has failed too often is not asked
 *   fallback  a call that failed goes down the ladder of the version that was asked for, one rung after the other, by the first reason
 *
 * A rung that is another model gets the run as it is: names, types and shapes are compared before. It takes all stages (pipeline.c) as a
 * call of that model and is counted there; the reply names it. A kept or a declared answer is parked for the wave of this wake-up.
 *
 * Invariants
 * 1. The version that was asked for lives until the call has ended: its lane counts the call once more (px_call_origin_lane).
 * 2. Rungs are only ever passed downwards, so a call ends after PX_RUNGS_MAX attempts at the latest.
 * 3. When no rung has an answer the client hears why the version that it asked for has none; unless the call was cancelled or its time was
 *    over meanwhile.
 * 4. Nothing is done for a request that is bad, cancelled or late.
 */
#include "application/serving/repository_impl.h"
#include "application/serving/serving_impl.h"

#include "shared/clock.h"

struct px_call_ladder {
    struct px_model *origin;
    size_t next, taken; /* rungs: the next to be tried, and the latest that was */
    enum px_fallback_reason reason;
    struct px_err first; /* why who was asked did not answer */
};

/* ---- the breaker ---- */

enum px_code px_stage_breaker(struct px_serving *serving, struct px_call *call)
{
    struct px_rescue *rescue = call->model->rescue;
    (void)serving;
    if (PX_LIKELY(!rescue) || !px_rescue_has_breaker(rescue))
        return PX_OK;
    enum px_code code = px_rescue_enter(rescue, px_clock_monotonic_ns(), &call->ticket, &call->err);
    call->is_open = code != PX_OK;
    return code;
}

void px_call_leave_breaker(struct px_call *call, enum px_code code, uint64_t started_ns)
{
    if (PX_UNLIKELY(call->ticket.era != 0))
        px_rescue_leave(call->model->rescue, &call->ticket, code, started_ns);
}

/* ---- rungs ---- */

/* Is it a failure that another may repair, and which? */
static bool find_reason(const struct px_call *call, enum px_fallback_reason *ret)
{
    bool was_computed = call->run && call->run->code != PX_OK;
    enum px_breaker_outcome outcome = px_breaker_judge(call->code);
    if (call->refusal == PX_REFUSAL_CLIENT) /* else a client could go over its limit */
        return false;
    if (call->is_open || (was_computed && call->run->is_open))
        *ret = PX_FALLBACK_OPEN;
    else if (call->refusal == PX_REFUSAL_HOPELESS || call->refusal == PX_REFUSAL_DEADLINE)
        *ret = PX_FALLBACK_DEADLINE;
    else if (call->code == PX_E_OVERLOADED || call->code == PX_E_LIMITED)
        *ret = PX_FALLBACK_OVERLOAD;
    else if (was_computed && (outcome == PX_BREAKER_LATE || outcome == PX_BREAKER_FAILED))
        *ret = PX_FALLBACK_FAILURE;
    else
        return false;
    return true;
}

static void hold_origin(struct px_call *call)
{
    call->model->lanes[call->loop].n_runs++;
}

struct px_lane *px_call_origin_lane(const struct px_call *call)
{
    return call->ladder ? &call->ladder->origin->lanes[call->loop] : NULL;
}

static bool step_on_ladder(struct px_serving *serving, struct px_call *call)
{
    struct px_rescue *rescue = call->model->rescue;
    enum px_fallback_reason reason;
    if (!rescue || px_rescue_ladder(rescue)->n_rungs == 0 || !px_repository_of(serving) ||
        !find_reason(call, &reason))
        return false;
    struct px_call_ladder *ladder = px_arena_zalloc(call->arena, 1, sizeof *ladder);
    if (!ladder)
        return false;
    ladder->origin = call->model;
    ladder->reason = reason;
    ladder->first = call->err;
    call->ladder = ladder;
    call->serving = serving;
    hold_origin(call);
    return true;
}

/* The run as it was asked. */
static void reset_run(struct px_call *call)
{
    struct px_run *run = call->run;
    px_run_release(run);
    for (size_t i = 0; i < run->n_outputs; i++)
        run->outputs[i] = (struct px_tensor){.name = run->outputs[i].name};
    run->code = PX_OK;
    run->is_open = false;
    run->degraded = (struct px_str){0};
    run->started_ns = 0;
    run->hopeless = false;
    run->state = run->held = NULL;
    run->release = NULL;
    atomic_store_explicit(&run->cancelled, false, memory_order_relaxed);
    call->code = PX_OK;
    call->is_open = false;
    call->refusal = PX_REFUSAL_NONE;
    call->batch_rows = 0;
    call->cached = NULL; /* settled: it led, or waited, and that has ended without an answer */
    call->cache = PX_CALL_UNCACHED;
}

struct px_model *px_rung_find(struct px_serving *serving, const struct px_rung *rung,
                              const struct px_model *asked, struct px_err *err)
{
    struct px_model *model =
        rung->kind == PX_RUNG_MODEL
            ? px_serving_find(serving, rung->model, rung->version, err)
            : px_serving_find_before(serving, asked->name, asked->version, true);
    if (!model && rung->kind == PX_RUNG_PREVIOUS_VERSION)
        px_err_set(err, PX_E_UNAVAILABLE, "model '%.*s' has no version below %.*s that is ready",
                   PX_STR_ARG(asked->name), PX_STR_ARG(asked->version));
    if (model == asked) {
        px_err_set(err, PX_E_CONFLICT, "model '%.*s' would stand in for itself",
                   PX_STR_ARG(asked->name));
        model = NULL;
    }
    return model && px_model_can_stand_in(model, asked, err) == PX_OK ? model : NULL;
}

/*
 * A rung that is registered only is loaded for those that come later. This request does not wait for that: a ladder is for now, and the
 * rungs below may have an answer.
 */
static void want_rung(struct px_serving *serving, const struct px_rung *rung,
                      const struct px_model *asked)
{
    struct px_err err;
    const struct px_model *model =
        rung->kind == PX_RUNG_MODEL
            ? px_serving_find_known(serving, rung->model, rung->version, &err)
            : px_serving_find_before(serving, asked->name, asked->version, false);
    if (model && model != asked)
        px_residency_want(serving, model);
}

/* The model that can be asked now; what would be one is loaded. */
static struct px_model *take_rung(struct px_serving *serving, const struct px_model *asked,
                                  size_t number)
{
    const struct px_rung *rung = &px_rescue_ladder(asked->rescue)->rungs[number];
    struct px_err why = {0};
    struct px_model *model = px_rung_find(serving, rung, asked, &why);
    if (rung->kind == PX_RUNG_PREVIOUS_VERSION || why.code == PX_E_UNAVAILABLE)
        want_rung(serving, rung, asked);
    if (!model)
        px_rescue_skip(asked->rescue, number, &why);
    return model;
}

static bool start_on(struct px_serving *serving, struct px_call *call, struct px_model *model)
{
    call->model = model;
    call->queued_ns = px_clock_monotonic_ns();
    if (px_call_take_stages(serving, call, PX_RUN_DEADLINE) == PX_OK)
        return true;
    px_observe_failure(serving, call);
    return false;
}

static bool ask_model(struct px_serving *serving, struct px_call *call, size_t number)
{
    struct px_model *model = take_rung(serving, call->ladder->origin, number);
    return model && start_on(serving, call, model);
}

static bool declare_answer(struct px_serving *serving, struct px_call *call,
                           const struct px_rung *rung)
{
    struct px_run *run = call->run;
    run->arena = call->arena;
    if (px_rung_answer(rung, call->model->engine, run, &call->err) != PX_OK)
        return false;
    run->started_ns = call->run_ended_ns = px_clock_monotonic_ns();
    call->batch_rows = px_engine_run_rows(call->model->engine, run);
    px_call_park_answered(serving, call);
    return true;
}

static bool use_rung(struct px_serving *serving, struct px_call *call, size_t number)
{
    struct px_call_ladder *ladder = call->ladder;
    const struct px_rung *rung = &px_rescue_ladder(ladder->origin->rescue)->rungs[number];
    bool is_used = false;
    reset_run(call);
    call->model = ladder->origin;
    call->fallback = rung->kind;
    call->fallback_reason = ladder->reason;
    if (rung->kind == PX_RUNG_CACHED)
        is_used = px_call_take_kept(serving, call);
    else if (rung->kind == PX_RUNG_DEFAULT)
        is_used = declare_answer(serving, call, rung);
    else
        is_used = ask_model(serving, call, number);
    ladder->taken = number;
    return is_used;
}

static bool climb_down(struct px_serving *serving, struct px_call *call)
{
    struct px_call_ladder *ladder = call->ladder;
    const struct px_model_fallback *fallback = px_rescue_ladder(ladder->origin->rescue);
    while (ladder->next < fallback->n_rungs) {
        size_t number = ladder->next++;
        bool is_wanted = fallback->rungs[number].reasons >> ladder->reason & 1;
        if (is_wanted && use_rung(serving, call, number))
            return true;
    }
    return false;
}

bool px_call_fall_back(struct px_serving *serving, struct px_call *call)
{
    px_observe_failure(serving, call);
    bool may_fall = !px_call_is_unwanted(call, px_clock_monotonic_ns());
    if (may_fall && (call->ladder || step_on_ladder(serving, call)) && climb_down(serving, call))
        return true;
    call->fallback = 0;
    if (call->ladder)
        call->model = call->ladder->origin;
    if (call->ladder && may_fall) { /* else it hears how it ended: cancelled, or late */
        call->err = call->ladder->first;
        call->code = call->err.code;
    }
    return false;
}

void px_call_count_fallback(const struct px_call *call)
{
    const struct px_call_ladder *ladder = call->ladder;
    if (PX_UNLIKELY(ladder != NULL))
        px_rescue_count(ladder->origin->rescue, ladder->taken, ladder->reason);
}

/* ---- versions that failed to load ---- */

bool px_call_fall_back_at_route(struct px_serving *serving, struct px_call *call)
{
    struct px_model *asked = px_serving_find_failed(serving, call->model_name, call->version);
    if (!asked || !asked->rescue)
        return false;
    const struct px_model_fallback *fallback = px_rescue_ladder(asked->rescue);
    for (size_t i = 0; i < fallback->n_rungs; i++) {
        const struct px_rung *rung = &fallback->rungs[i];
        bool is_model = rung->kind == PX_RUNG_MODEL || rung->kind == PX_RUNG_PREVIOUS_VERSION;
        if (!is_model || !(rung->reasons >> PX_FALLBACK_FAILURE & 1))
            continue;
        call->model = take_rung(serving, asked, i);
        if (call->model) {
            call->fallback = rung->kind;
            call->fallback_reason = PX_FALLBACK_FAILURE;
            px_rescue_count(asked->rescue, i, PX_FALLBACK_FAILURE);
            return true;
        }
    }
    return false;
}
