/* SPDX-License-Identifier: Apache-2.0 */
/* Deadline: work for an answer that nobody waits for is refused before it costs anything. */
#include "application/serving/serving_impl.h"

#include "shared/clock.h"

bool px_call_is_unwanted(const struct px_call *call, uint64_t now_ns)
{
    return PX_UNLIKELY(call->cancelled || (call->deadline_ns != 0 && now_ns >= call->deadline_ns));
}

static void say_late(struct px_call *call, uint64_t now_ns)
{
    if (call->batch_rows == 0) /* else some of it was computed */
        call->refusal = PX_REFUSAL_DEADLINE;
    call->code =
        px_err_set(&call->err, PX_E_DEADLINE, "the deadline passed %llu us before it was scored",
                   (unsigned long long)((now_ns - call->deadline_ns) / PX_NS_PER_US));
}

bool px_call_has_ended(struct px_call *call, uint64_t now_ns)
{
    if (PX_LIKELY(!px_call_is_unwanted(call, now_ns)))
        return false;
    if (call->cancelled)
        call->code = px_err_set(&call->err, PX_E_CANCELLED, "cancelled before it was scored");
    else
        say_late(call, now_ns);
    return true;
}

enum px_code px_stage_deadline(struct px_serving *serving, struct px_call *call)
{
    (void)serving;
    return px_call_has_ended(call, call->queued_ns) ? call->code : PX_OK;
}
