/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs: calls of models of tensors, which compute on threads of their engine.
 *
 *   loop     the stages of a submit (pipeline.c) ... start ................ observe -> done -> release
 *   engine                                            run ... finish -> post to the loop
 *
 * Invariants
 * 1. Only the loop's thread touches its list of running calls and the lanes' counts. A run that ends elsewhere, even within the
 *    start, comes back as a task of the loop: `done` is never called inside px_call_submit.
 * 2. A model, its engine and the call's memory live until `done` has returned and the outputs are released: the lane counts the run
 *    until then, and who unloads the model waits for that (reclaim.c).
 * 3. When the loop has stopped, the task is refused. The run then is an orphan: `done` is not called, and px_serving_unmanage, which
 *    waits for all of them, is told. It releases the outputs when the last has ended: until then it may be cancelling the run, whose
 *    engine looks at what the release gives back.
 * 4. An engine may never answer. A server that stops waits for a bounded time, and then nothing that a run may touch is freed.
 */
#include "application/serving/repository_impl.h"
#include "application/serving/serving_impl.h"

#include "shared/clock.h"
#include "shared/log.h"

#include <errno.h>
#include <time.h>

enum { IDLE_PAUSE_NS = 5000000 };

/* ---- admitting ---- */

static enum px_code check_bytes(const struct px_serving *serving, struct px_call *call)
{
    size_t held = serving->loops[call->loop].run_bytes, max = serving->limits.wave_bytes_max;
    size_t bytes = px_run_input_bytes(call->run);
    if (held == 0 || (held <= max && bytes <= max - held))
        return PX_OK; /* one alone is bounded by its exchange */
    call->refusal = PX_REFUSAL_MEMORY;
    px_err_set(&call->err, PX_E_OVERLOADED,
               "the requests on their way need more than %zu bytes for their inputs", max);
    return px_err_hint(&call->err, "try again, or raise serving.request_memory_max");
}

enum px_code px_stage_admit_run(struct px_serving *serving, struct px_call *call)
{
    const struct px_engine *engine = call->model->engine;
    size_t rows_max = serving->limits.request_rows_max, n_rows;
    if (call->score_flags & PX_SCORE_MARGIN)
        return px_err_set(&call->err, PX_E_UNSUPPORTED, "model '%.*s' has no margins",
                          PX_STR_ARG(call->model->name));
    if (call->run->n_inputs == 0)
        return px_err_set(&call->err, PX_E_INVALID, "expected at least one input tensor");
    call->run->arena = call->arena;
    enum px_code code = call->run->n_outputs ? PX_OK /* who names none gets all */
                                             : px_run_ask_all(call->run, engine, &call->err);
    if (code == PX_OK)
        code = px_engine_check_run(engine, call->run, &call->err);
    if (code != PX_OK)
        return code;
    n_rows = px_engine_run_rows(engine, call->run);
    if (n_rows > rows_max) {
        px_err_set(&call->err, PX_E_TOO_LARGE, "expected at most %zu rows in one request, got %zu",
                   rows_max, n_rows);
        return px_err_hint(&call->err, "split the request, or raise serving.request_rows_max");
    }
    return check_bytes(serving, call);
}

/* ---- the list of what runs ---- */

void px_lane_leave(struct px_lane *lane)
{
    lane->n_runs--;
    if (lane->n_runs == 0 && lane->leaving)
        px_grave_lane_empty(lane);
}

static struct px_lane *lane_of(const struct px_call *call)
{
    return &call->model->lanes[call->loop];
}

static void enter(struct px_serving_loop *loop, struct px_call *call)
{
    call->previous = NULL;
    call->next = loop->running;
    if (call->next)
        call->next->previous = call;
    loop->running = call;
    loop->run_bytes += px_run_input_bytes(call->run);
    lane_of(call)->n_runs++;
    call->is_running = true;
}

static void leave(struct px_serving_loop *loop, struct px_call *call)
{
    if (call->next)
        call->next->previous = call->previous;
    if (call->previous)
        call->previous->next = call->next;
    else
        loop->running = call->next;
    loop->run_bytes -= px_run_input_bytes(call->run);
    call->is_running = false;
}

/* ---- ending ---- */

/* Of a run that failed: was it given up before it was computed, and why? */
static enum px_refusal refusal_of(const struct px_run *run)
{
    if (run->hopeless)
        return PX_REFUSAL_HOPELESS;
    if (run->code == PX_E_OVERLOADED)
        return PX_REFUSAL_QUEUE;
    return run->code == PX_E_DEADLINE && run->started_ns == 0 ? PX_REFUSAL_DEADLINE
                                                              : PX_REFUSAL_NONE;
}

static void take_result(struct px_call *call)
{
    if (call->refusal == PX_REFUSAL_NONE) /* else a stage has refused it */
        call->refusal = refusal_of(call->run);
    call->code = call->run->code;
    if (call->code != PX_OK) {
        call->err = call->run->err;
        if (call->code == PX_E_TOO_LARGE && !call->err.hint[0] && call->arena->failed)
            px_err_hint(&call->err,
                        "send fewer rows per request, or raise serving.request_memory_max");
    } else if (call->cancelled)
        call->code = px_err_set(&call->err, PX_E_CANCELLED, "cancelled while it was computed");
    call->n_run_rows = px_engine_run_rows(call->model->engine, call->run);
    call->batch_rows = call->run->batch_rows ? call->run->batch_rows : call->n_run_rows;
}

/* On the loop. `done` may give the call's memory back: what is needed after it is taken before. */
void px_call_complete(struct px_loop_task *task)
{
    struct px_call *call = (void *)((char *)task - offsetof(struct px_call, task));
    struct px_serving *serving = call->serving;
    struct px_lane *lane = lane_of(call);
    unsigned loop = call->loop;
    struct px_trace_record *record = NULL;
    leave(&serving->loops[loop], call);
    take_result(call);
    px_call_end_lead(call, call->run->code);
    if (PX_UNLIKELY(call->code != PX_OK)) {
        if (px_call_fall_back(serving, call)) {
            px_lane_leave(lane);
            return;
        }
    }
    struct px_lane *origin = px_call_origin_lane(call);
    if (call->code == PX_OK)
        px_call_count_fallback(call);
    if (call->code == PX_OK && call->cache == PX_CALL_CACHE_JOINED)
        px_observe_cached(call, call->run_ended_ns);
    else if (call->code == PX_OK)
        px_observe_run(call);
    if (PX_UNLIKELY(call->traced))
        record = px_trace_begin_run(serving, call);
    struct px_run held = {.release = call->run->release, .held = call->run->held};
    call->done(call);
    if (record)
        px_trace_end_call(serving, loop, record);
    px_run_release(&held);
    px_lane_leave(lane);
    if (origin)
        px_lane_leave(origin);
}

void px_call_post(struct px_call *call)
{
    struct px_repository *r = px_repository_of(call->serving);
    if (px_loops_post(&r->loops, call->loop, &call->task))
        return;
    sem_post(&r->orphaned);
}

/* On any thread. */
static void end_run(struct px_run *run)
{
    struct px_call *call = run->owner;
    call->run_ended_ns = px_clock_monotonic_ns();
    px_call_leave_limit(call);
    /* That the engine's own breakers refuse it was learned by them already; the version's counts what was tried. */
    px_call_leave_breaker(call, run->is_open ? PX_E_CANCELLED : run->code, run->started_ns);
    px_call_post(call);
}

/* ---- starting ---- */

void px_call_enter_running(struct px_serving *serving, struct px_call *call)
{
    struct px_run *run = call->run;
    run->deadline_ns = call->deadline_ns;
    run->urgency = call->urgency;
    run->done = end_run;
    run->owner = call;
    if (PX_UNLIKELY(call->traced))
        px_trace_prepare_run(call);
    enter(&serving->loops[call->loop], call);
}

enum px_code px_stage_start(struct px_serving *serving, struct px_call *call)
{
    if (!px_repository_of(serving))
        return px_err_set(&call->err, PX_E_UNAVAILABLE, "the server is still starting");
    call->serving = serving;
    call->task.run = px_call_complete;
    if (!call->is_running) /* it is, when it has waited for an equal one */
        px_call_enter_running(serving, call);
    px_engine_start(call->model->engine, call->run);
    return PX_OK;
}

void px_call_cancel_run(struct px_call *call)
{
    if (!px_call_stop_waiting(call))
        px_engine_cancel(call->model->engine, call->run);
}

/* ---- the end ---- */

static size_t cancel_all(struct px_serving *serving)
{
    size_t n = 0;
    for (unsigned i = 0; i < serving->n_loops; i++) {
        for (struct px_call *call = serving->loops[i].running; call; call = call->next, n++)
            px_call_cancel_run(call);
    }
    return n;
}

static void release_all(struct px_serving *serving)
{
    for (unsigned i = 0; i < serving->n_loops; i++) {
        for (struct px_call *call = serving->loops[i].running; call; call = call->next) {
            px_call_forget_cache(call);
            px_run_release(call->run);
        }
        serving->loops[i].running = NULL; /* their memory is the transport's to free */
    }
}

static bool are_idle(struct px_model *const *models, size_t n)
{
    bool idle = true;
    for (size_t i = 0; i < n; i++)
        idle = idle && (!models[i]->engine || px_engine_is_idle(models[i]->engine));
    return idle;
}

/* Are the models that are served, and those that wait to be freed, free of work that nobody waits for? */
static bool is_idle(struct px_serving *serving)
{
    const struct px_snapshot *snapshot = px_snapshot_current(serving);
    bool idle = !snapshot || are_idle(snapshot->models, snapshot->set.n_models);
    for (const struct px_grave *grave = px_repository_of(serving)->graves; grave;
         grave = grave->next)
        idle = idle && are_idle(grave->models, grave->n_models);
    return idle;
}

static void tell_unended(struct px_serving *serving)
{
    for (unsigned i = 0; i < serving->n_loops; i++) {
        for (struct px_call *call = serving->loops[i].running; call; call = call->next)
            px_log(PX_LOG_WARN, "server.run_unended", PX_LOG_S("model", call->model->name),
                   PX_LOG_S("version", call->model->version));
    }
}

bool px_end_all_runs(struct px_serving *serving)
{
    struct px_repository *r = px_repository_of(serving);
    uint64_t patience_ns = serving->limits.stop_ns ? serving->limits.stop_ns : PX_STOP_NS;
    uint64_t until_ns = px_clock_monotonic_ns() + patience_ns;
    const struct timespec until = px_clock_timespec(until_ns),
                          pause = px_clock_timespec(IDLE_PAUSE_NS);
    size_t n = cancel_all(serving);
    while (r->n_orphaned < n) {
        if (sem_clockwait(&r->orphaned, CLOCK_MONOTONIC, &until) == 0) {
            r->n_orphaned++;
        } else if (errno == ETIMEDOUT) {
            tell_unended(serving);
            return false;
        }
    }
    /* What the others did before they posted is seen here; the thread sanitizer learns it from this call, it does not know sem_clockwait. */
    int n_left;
    (void)sem_getvalue(&r->orphaned, &n_left);
    r->n_orphaned = 0;
    release_all(serving);
    while (!is_idle(serving)) {
        if (px_clock_monotonic_ns() >= until_ns)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}
