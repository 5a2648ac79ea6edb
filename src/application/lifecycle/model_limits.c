/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/model_limits.h"

#include "domain/overload/limiter.h"
#include "shared/yaml_scalars.h"

static enum px_code read_count(const struct px_yaml *node, unsigned *ret, struct px_err *err)
{
    return px_yaml_count32(node, 1, PX_LIMITER_MAX, ret, err);
}

static void set_auto(struct px_model_limits *ret)
{
    *ret = (struct px_model_limits){.is_on = true, .adapts = true, .max = PX_MODEL_LIMITS_MAX};
}

/* Nothing but what one client may have is bounded. */
static void set_open(struct px_model_limits *ret)
{
    *ret = (struct px_model_limits){.is_open = true, .min = PX_LIMITER_MAX, .max = PX_LIMITER_MAX};
}

/* auto, on or off; false for anything else. */
static bool is_auto(const struct px_yaml *node, bool *ret)
{
    *ret = node->type == PX_YAML_SCALAR && px_str_is(node->text, "auto");
    return *ret || px_yaml_is_switch(node, ret);
}

static enum px_code read_concurrency(const struct px_yaml *node, struct px_model_limits *ret,
                                     struct px_err *err)
{
    bool adapts;
    unsigned n = 0;
    if (is_auto(node, &adapts)) {
        if (!adapts)
            set_open(ret);
        return PX_OK;
    }
    if (node->text.len == 0 || node->text.ptr[0] < '0' || node->text.ptr[0] > '9')
        return px_yaml_refuse(node, "auto, off or a number", err);
    enum px_code code = read_count(node, &n, err);
    *ret = (struct px_model_limits){.is_on = true, .min = n, .max = n};
    return code;
}

static enum px_code read_bounds(const struct px_yaml *node, struct px_model_limits *ret,
                                struct px_err *err)
{
    const struct px_yaml *min = px_yaml_get(node, "min"), *max = px_yaml_get(node, "max");
    const struct px_yaml *any = min ? min : max;
    if (any && !ret->adapts) {
        px_err_set(err, PX_E_INVALID, "line %u: '%.*s' is for 'concurrency: auto'", any->line,
                   PX_STR_ARG(any->key));
        return px_err_hint(err, "a fixed number needs no bounds");
    }
    enum px_code code = read_count(min, &ret->min, err);
    if (code == PX_OK)
        code = read_count(max, &ret->max, err);
    if (code != PX_OK || ret->min <= ret->max)
        return code;
    return px_err_set(err, PX_E_INVALID,
                      "line %u: expected min to be at most max, which is %u, got %u", any->line,
                      ret->max, ret->min);
}

static enum px_code read_mapping(const struct px_yaml *node, struct px_model_limits *ret,
                                 struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("concurrency"), PX_STR("min"), PX_STR("max"),
                                          PX_STR("per_client")};
    const struct px_yaml *concurrency = px_yaml_get(node, "concurrency");
    enum px_code code = px_yaml_only(node, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK && concurrency)
        code = read_concurrency(concurrency, ret, err);
    if (code == PX_OK)
        code = read_bounds(node, ret, err);
    if (code == PX_OK)
        code = read_count(px_yaml_get(node, "per_client"), &ret->per_client, err);
    ret->is_on = ret->is_on || ret->per_client > 0;
    return code;
}

enum px_code px_model_limits_read(const struct px_yaml *node, struct px_model_limits *ret,
                                  struct px_err *err)
{
    bool adapts;
    set_auto(ret);
    if (node->type == PX_YAML_MAPPING)
        return read_mapping(node, ret, err);
    if (is_auto(node, &adapts)) {
        if (!adapts)
            *ret = (struct px_model_limits){0};
        return PX_OK;
    }
    px_yaml_refuse(node, "auto, off or a mapping", err);
    return px_err_hint(err, "write limits: auto, or limits: {concurrency: 16}");
}
