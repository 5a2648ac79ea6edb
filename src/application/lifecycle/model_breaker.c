/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/model_breaker.h"

#include "shared/clock.h"
#include "shared/duration.h"
#include "shared/number.h"

#include <inttypes.h>

static const uint64_t duration_max_ns = 24 * 3600 * PX_NS_PER_S;

static enum px_code read_duration(const struct px_yaml *node, uint64_t *ret, struct px_err *err)
{
    struct px_str text;
    uint64_t ns;
    enum px_code code = node ? px_yaml_str(node, &text, err) : PX_OK;
    if (!node || code != PX_OK)
        return code;
    if (px_duration_parse(text, &ns) && ns >= PX_NS_PER_MS && ns <= duration_max_ns) {
        *ret = ns;
        return PX_OK;
    }
    px_err_set(err, PX_E_INVALID, "line %u: '%.*s' must be a time from 1ms to 24h, got '%.*s'",
               node->line, PX_STR_ARG(node->key), PX_STR_ARG(text));
    return px_err_hint(err, "write a whole number and its unit, as %.*s: 5s",
                       PX_STR_ARG(node->key));
}

static enum px_code read_count(const struct px_yaml *node, unsigned max, unsigned *ret,
                               struct px_err *err)
{
    int64_t n = 0;
    enum px_code code = node ? px_yaml_i64(node, &n, err) : PX_OK;
    if (!node || code != PX_OK)
        return code;
    if (n < 1 || n > (int64_t)max)
        return px_err_set(err, PX_E_INVALID, "line %u: '%.*s' must be 1 to %u, got %" PRId64,
                          node->line, PX_STR_ARG(node->key), max, n);
    *ret = (unsigned)n;
    return PX_OK;
}

static enum px_code read_share(const struct px_yaml *node, double *ret, struct px_err *err)
{
    struct px_str text;
    double share;
    enum px_code code = node ? px_yaml_str(node, &text, err) : PX_OK;
    if (!node || code != PX_OK)
        return code;
    if (!px_str_to_f64(text, &share) || !(share > 0) || share > 1) {
        px_err_set(err, PX_E_INVALID, "line %u: '%.*s' must be above 0 and at most 1, got '%.*s'",
                   node->line, PX_STR_ARG(node->key), PX_STR_ARG(text));
        return px_err_hint(err, "half of the requests is 0.5");
    }
    *ret = share;
    return PX_OK;
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
    return read_count(node, PX_BREAKER_CALLS_MAX, &policy->window_calls, err);
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
        code =
            read_count(px_yaml_get(node, "failures"), PX_BREAKER_CALLS_MAX, &policy->failures, err);
    if (code == PX_OK)
        code = read_share(px_yaml_get(node, "failure_rate"), &policy->failure_rate, err);
    if (code == PX_OK)
        code = read_duration(px_yaml_get(node, "slow"), &policy->slow_ns, err);
    if (code == PX_OK)
        code = read_share(px_yaml_get(node, "slow_rate"), &policy->slow_rate, err);
    if (code == PX_OK)
        code = read_duration(px_yaml_get(node, "open"), &policy->open_ns, err);
    if (policy->open_max_ns < policy->open_ns)
        policy->open_max_ns = policy->open_ns;
    if (code == PX_OK)
        code = read_duration(px_yaml_get(node, "open_max"), &policy->open_max_ns, err);
    if (code == PX_OK)
        code = read_count(px_yaml_get(node, "probes"), PX_BREAKER_PROBES_MAX, &policy->probes, err);
    return code == PX_OK ? check(node, policy, err) : code;
}

enum px_code px_model_breaker_read(const struct px_yaml *node, struct px_model_breaker *ret,
                                   struct px_err *err)
{
    struct px_str text;
    *ret = (struct px_model_breaker){.policy = px_breaker_policy_default()};
    if (!node)
        return PX_OK;
    ret->is_set = ret->is_on = true;
    if (node->type == PX_YAML_MAPPING)
        return read_mapping(node, &ret->policy, err);
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK || px_str_is(text, "on") || px_str_is(text, "true"))
        return code;
    ret->is_on = false;
    if (px_str_is(text, "off") || px_str_is(text, "false"))
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "line %u: 'breaker' must be on, off or a mapping, got '%.*s'",
               node->line, PX_STR_ARG(text));
    return px_err_hint(err, "write breaker: on, or breaker: {failures: 10, open: 5s}");
}
