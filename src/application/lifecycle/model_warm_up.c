/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/model_warm_up.h"

#include "shared/yaml_scalars.h"

static enum px_code read_runs(const struct px_yaml *node, struct px_model_warm_up *ret,
                              struct px_err *err)
{
    uint64_t n = 0;
    enum px_code code = px_yaml_count(node, 0, PX_WARM_UP_RUNS_MAX, &n, err);
    ret->says_runs = code == PX_OK && node;
    ret->runs = (size_t)n;
    return code;
}

enum px_code px_model_warm_up_read(const struct px_yaml *node, struct px_model_warm_up *ret,
                                   struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("runs"), PX_STR("recorded"), PX_STR("required")};
    *ret = (struct px_model_warm_up){0};
    if (node->type == PX_YAML_SCALAR)
        return read_runs(node, ret, err);
    if (node->type != PX_YAML_MAPPING) {
        px_err_set(err, PX_E_INVALID, "line %u: 'warm_up' must be a number of runs or a mapping",
                   node->line);
        return px_err_hint(err, "write warm_up: {recorded: true, required: true}");
    }
    enum px_code code = px_yaml_only(node, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_runs(px_yaml_get(node, "runs"), ret, err);
    if (code == PX_OK)
        code = px_yaml_switch(px_yaml_get(node, "recorded"), &ret->recorded, err);
    if (code == PX_OK)
        code = px_yaml_switch(px_yaml_get(node, "required"), &ret->required, err);
    return code;
}
