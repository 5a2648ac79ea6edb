/* SPDX-License-Identifier: Apache-2.0 */
/* Example inputs of a model of tensors: the smallest request that its specs allow, of zeros and of short texts. */
#ifndef PX_APPLICATION_LIFECYCLE_EXAMPLE_H
#define PX_APPLICATION_LIFECYCLE_EXAMPLE_H

#include "application/ports/engine.h"
#include "shared/json.h"

/* In the arena. Optional inputs are left out. A dimension of any length is 1. PX_E_TOO_LARGE. */
PX_MUST_USE enum px_code px_example_inputs(const struct px_engine *engine, struct px_arena *arena,
                                           struct px_tensor **ret, size_t *ret_n,
                                           struct px_err *err);

/*
 * As the JSON of an Open Inference request: {"inputs":[{"name":...,"shape":...,"datatype":...,"data":...}]}; of a model that keeps state a
 * sequence of one step.
 */
void px_example_put_json(const struct px_engine *engine, struct px_buf *json);

#endif
