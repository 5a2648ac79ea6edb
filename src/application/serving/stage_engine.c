/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine: scores the calls of a lane in as few engine calls as the batch limit allows.
 *
 * Consecutive calls with the same flags are copied into the lane's slab and scored together. A run of one call is
 * scored where it lies, in pieces when it alone is over the limit; so the common cases (one call, one huge
 * call) copy nothing.
 *
 * Calls that are cancelled or late are sorted out while a run is collected, with the time at which its engine call
 * starts. The clock is read between steps that do something: three times for a run, twice for a lone call.
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

/* Calls in a row, oldest first. */
struct call_list {
    struct px_call *first, *last;
    size_t n_rows;
};

static void append(struct call_list *list, struct px_call *call)
{
    if (list->last)
        list->last->next = call;
    else
        list->first = call;
    call->next = NULL;
    list->last = call;
    list->n_rows += call->rows.n_rows;
}

/*
 * Takes the next run out of `waiting`: calls with the same flags, and together within the limit. Only a call that stays
 * alone may be over it: not even one without rows may join it, since together they are copied. Those that nobody
 * waits for go to `ended`.
 */
static struct call_list take_run(struct call_list *waiting, size_t rows_max, uint64_t now_ns,
                                 struct call_list *ended)
{
    struct call_list run = {0};
    for (struct px_call *call; (call = waiting->first);) {
        bool fits = !run.first || (call->score_flags == run.first->score_flags &&
                                   run.n_rows + call->rows.n_rows <= rows_max);
        bool is_over = px_call_has_ended(call, now_ns);
        if (!fits && !is_over)
            break;
        waiting->first = call->next;
        append(is_over ? ended : &run, call);
    }
    return run;
}

static enum px_code score(struct px_lane *lane, const struct px_matrix *rows,
                          struct px_matrix *scores, struct px_call *call)
{
    return px_engine_score(lane->model->engine, rows, scores, lane->scratch, call->score_flags,
                           &call->err);
}

/* One call where it lies; nothing is collected or handed out, so those steps take no time. */
static void score_alone(struct px_lane *lane, unsigned loop, struct px_call *call,
                        struct px_batch_times *times)
{
    size_t n_rows = call->rows.n_rows;
    uint64_t now_ns = times->started_ns;
    for (size_t at = 0; at < n_rows && call->code == PX_OK; at += lane->rows_max) {
        size_t n = n_rows - at < lane->rows_max ? n_rows - at : lane->rows_max;
        struct px_matrix rows = slice(&call->rows, at, n), scores = slice(&call->scores, at, n);
        if (at > 0 && px_call_has_ended(call, now_ns))
            break;
        call->code = score(lane, &rows, &scores, call);
        call->batch_rows = n;
        uint64_t end_ns = px_clock_monotonic_ns();
        px_observe_batch(lane->model, loop, n,
                         &(struct px_batch_times){now_ns, now_ns, end_ns, end_ns});
        now_ns = end_ns;
    }
    times->engine_ns = times->started_ns;
    times->scored_ns = times->ended_ns = now_ns;
}

static void collect_rows(const struct call_list *run, struct px_matrix *rows)
{
    rows->n_rows = 0;
    for (const struct px_call *call = run->first; call; call = call->next) {
        memcpy(px_matrix_row(rows, rows->n_rows), call->rows.data,
               call->rows.n_rows * rows->stride * px_datatype_size(rows->type));
        rows->n_rows += call->rows.n_rows;
    }
}

static void hand_out(const struct call_list *run, const struct px_matrix *scores, enum px_code code)
{
    size_t at = 0;
    for (struct px_call *call = run->first; call; call = call->next) {
        if (code != PX_OK && call != run->first)
            call->err = run->first->err;
        call->code = code;
        call->batch_rows = run->n_rows;
        memcpy(call->scores.data, px_matrix_row(scores, at),
               call->rows.n_rows * scores->stride * px_datatype_size(scores->type));
        at += call->rows.n_rows;
    }
}

static void score_together(struct px_lane *lane, unsigned loop, const struct call_list *run,
                           struct px_batch_times *times)
{
    struct px_matrix rows = lane->rows, scores = lane->scores;
    enum px_code code = PX_OK;
    PX_ASSERT(run->n_rows <= lane->rows_max);
    scores.n_cols = scores.stride = run->first->scores.n_cols;
    scores.n_rows = run->n_rows;
    collect_rows(run, &rows);
    times->engine_ns = px_clock_monotonic_ns();
    if (run->n_rows > 0)
        code = score(lane, &rows, &scores, run->first);
    times->scored_ns = px_clock_monotonic_ns();
    hand_out(run, &scores, code);
    times->ended_ns = px_clock_monotonic_ns();
    if (run->n_rows > 0) /* else there is no batch: nothing was scored, nothing is counted */
        px_observe_batch(lane->model, loop, run->n_rows, times);
}

/* `done` may give the call's memory back: what is traced is taken before. */
static void finish(struct px_serving *serving, struct px_call *call,
                   const struct px_batch_times *times)
{
    unsigned loop = call->loop;
    struct px_trace_record *record = NULL;
    if (PX_UNLIKELY(call->traced))
        record = call->run ? px_trace_begin_run(serving, call)
                           : px_trace_begin_call(serving, call, times);
    call->done(call);
    if (record)
        px_trace_end_call(serving, loop, record);
}

static void complete(struct px_serving *serving, const struct call_list *list,
                     const struct px_batch_times *times)
{
    for (struct px_call *call = list->first; call;) {
        struct px_call *next = call->next; /* `done` may give the call's memory back */
        if (PX_UNLIKELY(call->cached != NULL))
            px_call_end_lead(call, call->code);
        if (call->code == PX_OK)
            px_observe_call(call, times);
        else
            px_observe_failure(serving, call);
        finish(serving, call, times);
        call = next;
    }
}

/* Those that the cache has answered; of tensors it lends the outputs, until `done` has returned. */
static void complete_answered(struct px_serving *serving, struct px_call *first)
{
    uint64_t now_ns = px_clock_monotonic_ns();
    const struct px_batch_times times = {now_ns, now_ns, now_ns, now_ns};
    for (struct px_call *call = first; call;) {
        struct px_call *next = call->next;
        struct px_run lent = {0};
        struct px_lane *origin = px_call_origin_lane(call);
        bool is_own = call->fallback != PX_RUNG_DEFAULT && call->fallback != PX_RUNG_CACHED;
        if (call->code == PX_OK && !px_call_has_ended(call, now_ns)) {
            px_call_count_fallback(call);
            if (is_own) /* the others are told by the ladder's counts alone */
                px_observe_cached(call, now_ns);
        } else {
            px_call_end_lead(call, call->code);
            px_observe_failure(serving, call);
        }
        if (call->run)
            lent = (struct px_run){.release = call->run->release, .held = call->run->held};
        finish(serving, call, &times);
        px_run_release(&lent);
        if (origin)
            px_lane_leave(origin);
        call = next;
    }
}

void px_lane_score(struct px_serving *serving, unsigned loop, struct px_lane *lane)
{
    struct call_list waiting = {.first = lane->first, .last = lane->last};
    struct px_call *answered = lane->answered;
    lane->first = lane->last = lane->answered = NULL;
    if (PX_UNLIKELY(answered != NULL))
        complete_answered(serving, answered);
    while (waiting.first) {
        struct px_batch_times times = {.started_ns = px_clock_monotonic_ns()};
        struct call_list ended = {0};
        struct call_list run = take_run(&waiting, lane->rows_max, times.started_ns, &ended);
        if (run.first && run.first == run.last)
            score_alone(lane, loop, run.first, &times);
        else if (run.first)
            score_together(lane, loop, &run, &times);
        complete(serving, &run, &times);
        complete(serving, &ended, &times);
    }
}
