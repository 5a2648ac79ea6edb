/* SPDX-License-Identifier: Apache-2.0 */
/* Limit: may another request of this model be on its way? Of models of tensors that have limits; else it is one branch. */
#include "application/serving/repository_impl.h"
#include "application/serving/serving_impl.h"

#include "shared/clock.h"

enum px_code px_stage_limit(struct px_serving *serving, struct px_call *call)
{
    struct px_limit *limit = call->model->limit;
    if (PX_LIKELY(!limit) || !px_repository_of(serving)) /* start refuses it */
        return PX_OK;
    uint64_t now_ns = px_clock_monotonic_ns(); /* it may have waited for an equal request */
    const struct px_limit_request request = {call->urgency, now_ns, call->deadline_ns};
    call->refusal = px_limit_enter(limit, &request, &call->err);
    if (call->refusal != PX_REFUSAL_NONE)
        return call->err.code;
    call->limited_ns = now_ns;
    return PX_OK;
}

void px_call_leave_limit(struct px_call *call)
{
    if (PX_LIKELY(call->limited_ns == 0))
        return;
    const struct px_limit_end end = {
        .client = call->urgency.client,
        .began_ns = call->limited_ns,
        .started_ns = call->run->started_ns,
        .ended_ns = call->run_ended_ns,
        .code = call->run->code,
    };
    call->limited_ns = 0;
    px_limit_leave(call->model->limit, &end);
}
