/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `cache:` of model.yaml: are answers of this model kept for equal requests (application/cache), and for how long.
 *
 *     cache: true                # until the version goes, or room is needed
 *     cache: {ttl: 60s}          # at most so long: 250ms, 60s, 5m, 12h, 7d
 *     cache: false               # as without the key
 */
#ifndef PX_APPLICATION_LIFECYCLE_MODEL_CACHE_H
#define PX_APPLICATION_LIFECYCLE_MODEL_CACHE_H

#include "shared/yaml.h"

struct px_model_cache {
    bool is_on;
    uint64_t ttl_ns; /* 0: no limit */
};

/* PX_E_INVALID, PX_E_UNKNOWN_OPTION, with the line. */
PX_MUST_USE enum px_code px_model_cache_read(const struct px_yaml *node, struct px_model_cache *ret,
                                             struct px_err *err);

#endif
