/* SPDX-License-Identifier: Apache-2.0 */
/* Route: from the name and version that were asked for to the model version that answers. */
#include "application/serving/serving_impl.h"

enum px_code px_stage_route(struct px_serving *serving, struct px_call *call)
{
    struct px_model *model =
        px_serving_find_known(serving, call->model_name, call->version, &call->err);
    if (PX_UNLIKELY(px_snapshot_current(serving)->has_ladders) &&
        (!model || (call->version.len == 0 && model->state == PX_MODEL_READY)) &&
        px_call_fall_back_at_route(serving, call))
        return PX_OK;
    if (PX_UNLIKELY(!model))
        return call->err.code;
    if (PX_UNLIKELY(model->state != PX_MODEL_READY)) {
        call->is_absent = true;
        return px_refuse_absent(model, &call->err);
    }
    call->model = model;
    return PX_OK;
}
