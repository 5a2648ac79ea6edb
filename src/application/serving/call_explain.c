/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explanations cost milliseconds a row and run on the event loop, where everybody else waits for them. So what one wake-up
 * of the loop may do of them is bounded, however many requests and waves share it: a request that alone is over the
 * bound is told how many rows fit, one that finds the budget used up is told to come again. One row is always within the bound,
 * or a large model could never be explained; but it may have to be the first of its wake-up.
 */
#include "application/serving/serving_impl.h"

static enum px_code check_rows(const struct px_call *call, double row_steps, struct px_err *err)
{
    double fit = row_steps < 1 ? PX_EXPLAIN_STEPS_MAX : PX_EXPLAIN_STEPS_MAX / row_steps;
    size_t most = fit < 1 ? 1 : (size_t)fit;
    if (call->rows.n_rows <= most)
        return PX_OK;
    px_err_set(err, PX_E_TOO_LARGE,
               "expected at most %zu rows of this model in one explanation, got %zu", most,
               call->rows.n_rows);
    return px_err_hint(err, "split the request");
}

/* Charges the work to the wake-up. */
static enum px_code admit(struct px_serving_loop *loop, struct px_call *call)
{
    double row_steps = px_engine_explain_steps(call->model->engine);
    double steps = row_steps * (double)call->rows.n_rows;
    enum px_code code = check_rows(call, row_steps, &call->err);
    if (code != PX_OK)
        return code;
    if (loop->explain_steps > 0 && loop->explain_steps + steps > PX_EXPLAIN_STEPS_MAX) {
        call->refusal = PX_REFUSAL_LIMIT;
        px_err_set(&call->err, PX_E_OVERLOADED,
                   "the explanations that were asked for together are too much work");
        return px_err_hint(&call->err, "try again");
    }
    loop->explain_steps += steps;
    return PX_OK;
}

enum px_code px_call_explain(struct px_serving *serving, struct px_call *call, double **ret)
{
    struct px_engine *engine = call->model->engine;
    size_t row_bytes = engine->n_margins * (engine->n_features + 1) * sizeof **ret;
    enum px_code code = admit(&serving->loops[call->loop], call);
    if (code != PX_OK)
        return code;
    if (!px_call_charge_bytes(serving, call, call->rows.n_rows * row_bytes))
        return call->err.code;
    *ret = px_arena_alloc(call->arena, call->rows.n_rows, row_bytes);
    if (!*ret)
        return px_arena_check(call->arena, "the explanation", &call->err);
    return px_engine_explain(engine, &call->rows, *ret, call->arena, &call->err);
}
