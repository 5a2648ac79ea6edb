/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/model_limits.h"

#include "domain/overload/limiter.h"

#include <inttypes.h>

static enum px_code read_count(const struct px_yaml *node, unsigned *ret, struct px_err *err)
{
    int64_t n = 0;
    enum px_code code = node ? px_yaml_i64(node, &n, err) : PX_OK;
    if (!node || code != PX_OK)
        return code;
    if (n < 1 || n > PX_LIMITER_MAX)
        return px_err_set(err, PX_E_INVALID, "line %u: '%.*s' must be 1 to %d, got %" PRId64,
                          node->line, PX_STR_ARG(node->key), PX_LIMITER_MAX, n);
    *ret = (unsigned)n;
    return PX_OK;
}

static void set_auto(struct px_model_limits *ret)
{
    *ret = (struct px_model_limits){.is_on = true, .adapts = true, .max = PX_MODEL_LIMITS_MAX};
}

/* Nothing but what one client may have is bounded. */
static void set_open(struct px_model_limits *ret)
{
    *ret = (struct px_model_limits){.min = PX_LIMITER_MAX, .max = PX_LIMITER_MAX};
}

static bool is_off(struct px_str text)
{
    return px_str_is(text, "off") || px_str_is(text, "false");
}

static enum px_code read_concurrency(const struct px_yaml *node, struct px_model_limits *ret,
                                     struct px_err *err)
{
    struct px_str text;
    unsigned n = 0;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK || px_str_is(text, "auto"))
        return code;
    if (is_off(text)) {
        set_open(ret);
        return PX_OK;
    }
    if (text.len == 0 || text.ptr[0] < '0' || text.ptr[0] > '9')
        return px_err_set(err, PX_E_INVALID,
                          "line %u: 'concurrency' must be auto, off or a number, got '%.*s'",
                          node->line, PX_STR_ARG(text));
    code = read_count(node, &n, err);
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
    struct px_str text;
    set_auto(ret);
    if (node->type == PX_YAML_MAPPING)
        return read_mapping(node, ret, err);
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK || px_str_is(text, "auto"))
        return code;
    *ret = (struct px_model_limits){0};
    if (is_off(text))
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "line %u: 'limits' must be auto, off or a mapping, got '%.*s'",
               node->line, PX_STR_ARG(text));
    return px_err_hint(err, "write limits: auto, or limits: {concurrency: 16}");
}
