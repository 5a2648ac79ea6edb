/* SPDX-License-Identifier: Apache-2.0 */
#include "application/serving/settings.h"

#include "application/serving/repository.h"

static enum px_code check_model(struct px_serving *serving, struct px_str model, struct px_err *err)
{
    if (!px_serving_trace(serving))
        return px_err_set(err, PX_E_UNAVAILABLE, "this server does not trace");
    if (model.len == 0 || px_serving_find(serving, model, (struct px_str){0}, err))
        return PX_OK;
    return err->code;
}

enum px_code px_serving_show_trace(struct px_serving *serving, struct px_str model,
                                   struct px_trace_shown shown[PX_TRACE_SHOWN], struct px_err *err)
{
    enum px_code code = check_model(serving, model, err);
    if (code == PX_OK)
        px_trace_show(px_serving_trace(serving), model, shown);
    return code;
}

enum px_code px_serving_change_trace(struct px_serving *serving, struct px_str model,
                                     const struct px_trace_change *change,
                                     struct px_trace_shown shown[PX_TRACE_SHOWN],
                                     struct px_err *err)
{
    bool changes = change->given || change->cleared;
    enum px_code code = check_model(serving, model, err);
    if (code == PX_OK && changes)
        code = px_serving_check_control(serving, "changing trace settings", err);
    if (code == PX_OK && changes)
        code = px_trace_update(px_serving_trace(serving), model, change, err);
    return code == PX_OK ? px_serving_show_trace(serving, model, shown, err) : code;
}

enum px_code px_serving_change_log(struct px_serving *serving, const struct px_log_change *change,
                                   struct px_err *err)
{
    if (!change->given)
        return PX_OK;
    enum px_code code = px_serving_check_control(serving, "changing log settings", err);
    if (code == PX_OK)
        px_log_change_apply(change);
    return code;
}
