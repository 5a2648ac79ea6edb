/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/model_breaker.h"

#include "shared/clock.h"
#include "shared/number.h"
#include "shared/yaml_scalars.h"

static enum px_code read_duration(const struct px_yaml *node, uint64_t *ret, struct px_err *err)
{
    return px_yaml_duration(node, PX_NS_PER_MS, 24 * 3600 * PX_NS_PER_S, ret, err);
}

static enum px_code read_calls(const struct px_yaml *node, unsigned *ret, struct px_err *err)
{
    return px_yaml_count32(node, 1, PX_BREAKER_CALLS_MAX, ret, err);
}

/* "10s" is a window of time, "100" one of requests. */
static enum px_code read_window(const struct px_yaml *node, struct px_breaker_policy *policy,
                                struct px_err *err)
{
    struct px_str text;
    uint64_t n;
    enum px_code code = node ? px_yaml_str(node, &text, err) : PX_OK;
    if (!node || code != PX_OK)
        return code;
    if (!px_str_to_u64(text, &n))
        return read_duration(node, &policy->window_ns, err);
    return read_calls(node, &policy->window_calls, err);
}

static enum px_code check(const struct px_yaml *node, const struct px_breaker_policy *policy,
                          struct px_err *err)
{
    if (policy->window_calls && policy->failures > policy->window_calls)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: a window of %u requests never has %u failures", node->line,
                          policy->window_calls, policy->failures);
    if (policy->open_ns > policy->open_max_ns)
        return px_err_set(err, PX_E_INVALID, "line %u: expected 'open' to be at most 'open_max'",
                          node->line);
    if (!policy->slow_ns && px_yaml_get(node, "slow_rate"))
        return px_err_set(err, PX_E_INVALID,
                          "line %u: 'slow_rate' needs 'slow', the time that is slow", node->line);
    return PX_OK;
}

static enum px_code read_mapping(const struct px_yaml *node, struct px_breaker_policy *policy,
                                 struct px_err *err)
{
    static const struct px_str known[] = {
        PX_STR("window"),    PX_STR("failures"), PX_STR("failure_rate"), PX_STR("slow"),
        PX_STR("slow_rate"), PX_STR("open"),     PX_STR("open_max"),     PX_STR("probes")};
    enum px_code code = px_yaml_only(node, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_window(px_yaml_get(node, "window"), policy, err);
    if (code == PX_OK)
        code = read_calls(px_yaml_get(node, "failures"), &policy->failures, err);
    if (code == PX_OK)
        code = px_yaml_share(px_yaml_get(node, "failure_rate"), &policy->failure_rate, err);
    if (code == PX_OK)
        code = read_duration(px_yaml_get(node, "slow"), &policy->slow_ns, err);
    if (code == PX_OK)
        code = px_yaml_share(px_yaml_get(node, "slow_rate"), &policy->slow_rate, err);
    if (code == PX_OK)
        code = read_duration(px_yaml_get(node, "open"), &policy->open_ns, err);
    if (policy->open_max_ns < policy->open_ns)
        policy->open_max_ns = policy->open_ns;
    if (code == PX_OK)
        code = read_duration(px_yaml_get(node, "open_max"), &policy->open_max_ns, err);
    if (code == PX_OK)
        code = px_yaml_count32(px_yaml_get(node, "probes"), 1, PX_BREAKER_PROBES_MAX,
                               &policy->probes, err);
    return code == PX_OK ? check(node, policy, err) : code;
}

enum px_code px_model_breaker_read(const struct px_yaml *node, struct px_model_breaker *ret,
                                   struct px_err *err)
{
    *ret = (struct px_model_breaker){.policy = px_breaker_policy_default()};
    if (!node)
        return PX_OK;
    ret->is_set = ret->is_on = true;
    if (node->type == PX_YAML_MAPPING)
        return read_mapping(node, &ret->policy, err);
    if (px_yaml_is_switch(node, &ret->is_on))
        return PX_OK;
    px_yaml_refuse(node, "on, off or a mapping", err);
    return px_err_hint(err, "write breaker: on, or breaker: {failures: 10, open: 5s}");
}
