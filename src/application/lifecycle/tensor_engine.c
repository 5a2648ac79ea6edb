/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/tensor_engine.h"

#include "application/execution/forest_engine.h"
#include "application/execution/rows_engine.h"

static enum px_code wrap_forest(struct px_package *package, struct px_err *err)
{
    const struct px_forest_info *info = px_forest_info(package->forest);
    enum px_task task = package->signature.task;
    const struct px_rows_model model = {
        .signature = &package->signature,
        .has_labels = task == PX_TASK_BINARY || task == PX_TASK_MULTICLASS,
        .decision = {.n_classes = info->n_classes, .threshold = info->decision_threshold},
    };
    struct px_engine *rows = NULL;
    enum px_code code = px_forest_engine_create(package->forest, NULL, &rows, err);
    if (code != PX_OK)
        return code;
    code = px_rows_engine_create(rows, &model, &package->rows_engine, err);
    if (code != PX_OK)
        px_engine_destroy(rows);
    return code;
}

enum px_code px_package_tensor_engine(struct px_package *package, struct px_engine **ret,
                                      struct px_err *err)
{
    if (!package->engine && !package->rows_engine) {
        enum px_code code = wrap_forest(package, err);
        if (code != PX_OK)
            return code;
    }
    *ret = package->engine ? package->engine : package->rows_engine;
    return PX_OK;
}
