/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/model_cache.h"

#include "shared/clock.h"
#include "shared/yaml_scalars.h"

static const uint64_t ttl_max_ns = 366 * 24 * 3600 * PX_NS_PER_S;

enum px_code px_model_cache_read(const struct px_yaml *node, struct px_model_cache *ret,
                                 struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("ttl")};
    *ret = (struct px_model_cache){0};
    if (node->type != PX_YAML_MAPPING) {
        if (px_yaml_is_switch(node, &ret->is_on))
            return PX_OK;
        px_yaml_refuse(node, "on, off or a mapping", err);
        return px_err_hint(err, "write cache: on, or cache: {ttl: 60s}");
    }
    enum px_code code = px_yaml_only(node, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code =
            px_yaml_duration(px_yaml_get(node, "ttl"), PX_NS_PER_MS, ttl_max_ns, &ret->ttl_ns, err);
    ret->is_on = code == PX_OK;
    return code;
}
