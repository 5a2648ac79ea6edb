/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/model_cache.h"

#include "shared/clock.h"

static const uint64_t ttl_max_ns = 366 * 24 * 3600 * PX_NS_PER_S;

static bool read_unit(struct px_str text, uint64_t *ret)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"ms", PX_NS_PER_MS},
                 {"s", PX_NS_PER_S},
                 {"m", 60 * PX_NS_PER_S},
                 {"h", 3600 * PX_NS_PER_S},
                 {"d", 24 * 3600 * PX_NS_PER_S}};
    for (size_t i = 0; i < PX_ARRAY_LEN(units); i++) {
        if (!px_str_is(text, units[i].name))
            continue;
        *ret = units[i].ns;
        return true;
    }
    return false;
}

/* "60s" */
static bool read_duration(struct px_str text, uint64_t *ret)
{
    size_t n_digits = 0;
    uint64_t number, unit_ns;
    while (n_digits < text.len && text.ptr[n_digits] >= '0' && text.ptr[n_digits] <= '9')
        n_digits++;
    if (!px_str_to_u64(px_str_n(text.ptr, n_digits), &number) ||
        !read_unit(px_str_n(text.ptr + n_digits, text.len - n_digits), &unit_ns))
        return false;
    *ret = number <= ttl_max_ns / unit_ns ? number * unit_ns : UINT64_MAX;
    return true;
}

static enum px_code read_ttl(const struct px_yaml *node, struct px_model_cache *ret,
                             struct px_err *err)
{
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    if (read_duration(text, &ret->ttl_ns) && ret->ttl_ns > 0 && ret->ttl_ns <= ttl_max_ns)
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "line %u: ttl must be a duration from 1ms to 366d, got '%.*s'",
               node->line, PX_STR_ARG(text));
    return px_err_hint(
        err, "write a whole number and ms, s, m, h or d, as ttl: 60s; without ttl answers "
             "do not expire");
}

static enum px_code read_switch(const struct px_yaml *node, struct px_model_cache *ret,
                                struct px_err *err)
{
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    ret->is_on = px_str_is(text, "true");
    if (ret->is_on || px_str_is(text, "false"))
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "line %u: cache must be true, false or a mapping, got '%.*s'",
               node->line, PX_STR_ARG(text));
    return px_err_hint(err, "write cache: {ttl: 60s}");
}

enum px_code px_model_cache_read(const struct px_yaml *node, struct px_model_cache *ret,
                                 struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("ttl")};
    *ret = (struct px_model_cache){0};
    if (node->type != PX_YAML_MAPPING)
        return read_switch(node, ret, err);
    enum px_code code = px_yaml_only(node, known, PX_ARRAY_LEN(known), err);
    const struct px_yaml *ttl = px_yaml_get(node, "ttl");
    if (code == PX_OK && ttl)
        code = read_ttl(ttl, ret, err);
    ret->is_on = code == PX_OK;
    return code;
}
