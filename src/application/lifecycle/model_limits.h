/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `limits:` of model.yaml: how many requests of a model of tensors may be on their way (domain/overload/limiter.h).
 *
 *     limits: auto                                      # learned from how long requests take
 *     limits: {concurrency: auto, min: 2, max: 200}     # the same between bounds
 *     limits: {concurrency: 16}                         # always 16
 *     limits: {concurrency: off, per_client: 4}         # no limit for all, but for each client
 *     limits: off                                       # as without the key
 */
#ifndef PX_APPLICATION_LIFECYCLE_MODEL_LIMITS_H
#define PX_APPLICATION_LIFECYCLE_MODEL_LIMITS_H

#include "shared/yaml.h"

enum { PX_MODEL_LIMITS_MAX = 1000 }; /* of `auto` without a max */

struct px_model_limits {
    bool is_on;
    bool adapts;
    bool is_open; /* concurrency: off; only clients have a limit */
    unsigned min,
        max; /* of what is learned; min 0: twice as many as instances; equal for a fixed number */
    unsigned per_client; /* 0: no limit */
};

/* PX_E_INVALID, PX_E_UNKNOWN_OPTION, with the line. */
PX_MUST_USE enum px_code px_model_limits_read(const struct px_yaml *node,
                                              struct px_model_limits *ret, struct px_err *err);

#endif
