/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `breaker:` of model.yaml: when a model of tensors is not asked any more because it fails (domain/overload/breaker.h).
 *
 *     breaker: on                                  # with the defaults
 *     breaker: {window: 30s, failures: 10, failure_rate: 0.3, slow: 500ms, slow_rate: 0.8, open: 5s, open_max: 60s, probes: 3}
 *     breaker: {window: 100}                       # of the latest 100 requests instead of the latest ten seconds
 *     breaker: off
 *
 * Without the key it is on for engines that reach other servers or run code of others, which fail by others' fault, and off elsewhere.
 */
#ifndef PX_APPLICATION_LIFECYCLE_MODEL_BREAKER_H
#define PX_APPLICATION_LIFECYCLE_MODEL_BREAKER_H

#include "domain/overload/breaker.h"
#include "shared/yaml.h"

struct px_model_breaker {
    bool is_set; /* else the engine decides */
    bool is_on;
    struct px_breaker_policy policy;
};

/* PX_E_INVALID, PX_E_UNKNOWN_OPTION, with the line. `node` NULL: the defaults. */
PX_MUST_USE enum px_code px_model_breaker_read(const struct px_yaml *node,
                                               struct px_model_breaker *ret, struct px_err *err);

#endif
