/* SPDX-License-Identifier: Apache-2.0 */
/* Admit: is this call within what one request may ask for, and can the engine answer it? */
#include "application/serving/serving_impl.h"

#include "shared/clock.h"

enum { LAGS_UNTIL_RETRY = 8 }; /* the lag fades over some wake-ups */

enum px_code px_call_check_rows(const struct px_serving *serving, struct px_call *call,
                                size_t n_rows)
{
    size_t rows_max = serving->limits.request_rows_max;
    if (PX_LIKELY(n_rows <= rows_max))
        return PX_OK;
    px_err_set(&call->err, PX_E_TOO_LARGE, "expected at most %zu rows in one request, got %zu",
               rows_max, n_rows);
    return px_err_hint(&call->err, "split the request, or raise serving.request_rows_max");
}

/* A loop that has not woken up for longer than it was late has nothing to do. */
static bool is_late_loop(const struct px_serving_loop *loop, uint64_t now_ns)
{
    return loop->lag_ns > PX_SHED_LAG_NS && now_ns < loop->lag_at_ns + loop->lag_ns;
}

/* Forests have no queue that could be too long: what is late is the loop that reads and computes. */
static enum px_code shed(const struct px_serving *serving, struct px_call *call)
{
    const struct px_serving_loop *loop = &serving->loops[call->loop];
    if (call->urgency.criticality != PX_CRITICALITY_SHEDDABLE ||
        !is_late_loop(loop, call->queued_ns))
        return PX_OK;
    call->refusal = PX_REFUSAL_SHEDDABLE;
    px_err_set(&call->err, PX_E_OVERLOADED,
               "requests wait for %llu ms: sheddable ones are not answered meanwhile",
               (unsigned long long)(loop->lag_ns / PX_NS_PER_MS));
    px_err_hint(&call->err, "try again after the time given, or send it without 'sheddable'");
    return px_err_retry(&call->err, LAGS_UNTIL_RETRY * loop->lag_ns);
}

enum px_code px_stage_admit(struct px_serving *serving, struct px_call *call)
{
    enum px_code code = px_call_check_rows(serving, call, call->rows.n_rows);
    if (code != PX_OK)
        return code;
    code = shed(serving, call);
    if (PX_UNLIKELY(code != PX_OK))
        return code;
    bool margin = call->score_flags & PX_SCORE_MARGIN;
    if (margin && !px_engine_has(call->model->engine, PX_ENGINE_MARGIN))
        return px_err_set(&call->err, PX_E_UNSUPPORTED, "model '%.*s' has no margins",
                          PX_STR_ARG(call->model->name));
    return PX_OK;
}

bool px_call_charge_bytes(struct px_serving *serving, struct px_call *call, size_t bytes)
{
    struct px_serving_loop *loop = &serving->loops[call->loop];
    size_t max = serving->limits.wave_bytes_max;
    if (bytes <= max - loop->wave_bytes) {
        loop->wave_bytes += bytes;
        return true;
    }
    call->refusal = PX_REFUSAL_MEMORY;
    px_err_set(&call->err, PX_E_OVERLOADED,
               "the requests that arrived together need more than %zu bytes for their rows", max);
    px_err_hint(&call->err, "try again, or raise serving.request_memory_max");
    return false;
}
