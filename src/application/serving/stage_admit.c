/* SPDX-License-Identifier: Apache-2.0 */
/* Admit: is this call within what one request may ask for, and can the engine answer it? */
#include "application/serving/serving_impl.h"

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

enum px_code px_stage_admit(struct px_serving *serving, struct px_call *call)
{
    enum px_code code = px_call_check_rows(serving, call, call->rows.n_rows);
    if (code != PX_OK)
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
    px_err_set(&call->err, PX_E_OVERLOADED,
               "the requests that arrived together need more than %zu bytes for their rows", max);
    px_err_hint(&call->err, "try again, or raise serving.request_memory_max");
    return false;
}
