/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/model_warm_up.h"

#include <inttypes.h>

static enum px_code read_runs(const struct px_yaml *node, struct px_model_warm_up *ret,
                              struct px_err *err)
{
    int64_t n;
    enum px_code code = px_yaml_i64(node, &n, err);
    if (code != PX_OK)
        return code;
    if (n < 0 || n > PX_WARM_UP_RUNS_MAX)
        return px_err_set(err, PX_E_INVALID, "line %u: '%.*s' must be 0 to %d, got %" PRId64,
                          node->line, PX_STR_ARG(node->key), PX_WARM_UP_RUNS_MAX, n);
    ret->says_runs = true;
    ret->runs = (size_t)n;
    return PX_OK;
}

static enum px_code read_switch(const struct px_yaml *node, bool *ret, struct px_err *err)
{
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    *ret = px_str_is(text, "true");
    if (*ret || px_str_is(text, "false"))
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "line %u: '%.*s' must be true or false, got '%.*s'",
                      node->line, PX_STR_ARG(node->key), PX_STR_ARG(text));
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
    const struct px_yaml *runs = px_yaml_get(node, "runs");
    const struct px_yaml *recorded = px_yaml_get(node, "recorded");
    const struct px_yaml *required = px_yaml_get(node, "required");
    enum px_code code = px_yaml_only(node, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK && runs)
        code = read_runs(runs, ret, err);
    if (code == PX_OK && recorded)
        code = read_switch(recorded, &ret->recorded, err);
    if (code == PX_OK && required)
        code = read_switch(required, &ret->required, err);
    return code;
}
