/* SPDX-License-Identifier: Apache-2.0 */
/* Route: from the name and version that were asked for to the model version that answers. */
#include "application/serving/serving_impl.h"

enum px_code px_stage_route(struct px_serving *serving, struct px_call *call)
{
    call->model = px_serving_find(serving, call->model_name, call->version, &call->err);
    return call->model ? PX_OK : call->err.code;
}
