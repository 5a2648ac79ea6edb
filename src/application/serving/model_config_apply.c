/* SPDX-License-Identifier: Apache-2.0 */
#include "application/execution/executor.h"
#include "application/serving/model_config.h"
#include "application/serving/serving_impl.h"

#include "shared/log.h"

static enum px_code set_cache(const struct px_serving *serving, struct px_model *model, bool on,
                              struct px_err *err)
{
    if (on == (model->cache != NULL))
        return PX_OK;
    if (!on) {
        px_cache_close(model->cache); /* nobody has asked it yet */
        model->cache = NULL;
        return PX_OK;
    }
    if (!serving->cache) {
        px_err_set(err, PX_E_UNSUPPORTED, "field 'response_cache': this server keeps no answers");
        return px_err_hint(err, "start it with 'cache.bytes_max' over 0");
    }
    if (px_engine_has(model->engine, PX_ENGINE_SEQUENCES))
        return px_err_set(
            err, PX_E_UNSUPPORTED,
            "field 'response_cache': answers of a model that keeps state are not kept");
    return px_model_open_cache(serving, model, err);
}

enum px_code px_model_config_apply(const struct px_serving *serving, struct px_model *model,
                                   const struct px_model_wishes *wishes, struct px_err *err)
{
    bool had_cache = model->cache != NULL;
    enum px_code code = PX_OK;
    if (wishes->has_cache)
        code = set_cache(serving, model, wishes->cache, err);
    if (code == PX_OK && wishes->has_batching)
        code = px_executor_set_batching(model->engine, &wishes->batching, err);
    if (code != PX_OK)
        return code;
    if (wishes->has_batching || had_cache != (model->cache != NULL))
        model->is_pinned = true;
    return PX_OK;
}
