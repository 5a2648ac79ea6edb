/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors that a model takes or gives, as JSON for programs: `phoenix check --json`, descriptions of graphs. */
#ifndef PX_DOMAIN_INFERENCE_TENSOR_JSON_H
#define PX_DOMAIN_INFERENCE_TENSOR_JSON_H

#include "domain/inference/tensor.h"
#include "shared/json.h"

/* A member: "key":[{"name":"x","datatype":"FP32","shape":[-1,3],"optional":false}] */
void px_tensor_specs_put_json(const struct px_tensor_specs *specs, const char *key,
                              struct px_json_writer *w);

#endif
