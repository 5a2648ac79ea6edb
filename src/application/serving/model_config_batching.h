/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's `dynamic_batching` of a ModelConfig, in JSON, as the rules of a queue. */
#ifndef PX_APPLICATION_SERVING_MODEL_CONFIG_BATCHING_H
#define PX_APPLICATION_SERVING_MODEL_CONFIG_BATCHING_H

#include "application/execution/batching.h"

/*
 * Reads the object, and changes in `batching` what it says; what it leaves out, or says with a 0, stays. What is no configuration sticks to
 * `json`. PX_E_INVALID, PX_E_UNSUPPORTED and PX_E_CONFLICT name the field; the object is read to its end even so.
 */
PX_MUST_USE enum px_code px_config_batching_read(struct px_json *json, struct px_batching *batching,
                                                 struct px_err *err);

#endif
