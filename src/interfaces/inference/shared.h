/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors in shared memory, for every dialect: inputs are copied out of their region when they are read, outputs into theirs
 * when they are there. The request keeps a reference to an output's region until its encode or fail, so that
 * unregistering meanwhile does no harm. A server without shared memory answers PX_E_UNSUPPORTED.
 */
#ifndef PX_INTERFACES_INFERENCE_SHARED_H
#define PX_INTERFACES_INFERENCE_SHARED_H

#include "interfaces/inference/tensor.h"

/* The memory that registrations go to: PX_E_UNSUPPORTED, and how to turn it on, when `memory` is NULL. */
PX_MUST_USE enum px_code px_shared_check(const struct px_shared_memory *memory, struct px_err *err);

/* The bytes of an input, copied into the request's arena. */
PX_MUST_USE enum px_code px_shared_read(struct px_infer *infer, const struct px_shared_range *range,
                                        struct px_str *ret);

/* The output will be written to `range`, whose name must outlive the request. */
PX_MUST_USE enum px_code px_shared_aim(struct px_infer *infer, struct px_infer_output *output,
                                       const struct px_shared_range *range);

/* Writes the tensor of an output that was aimed. PX_E_INVALID when it is larger than the range. */
PX_MUST_USE enum px_code px_shared_write(struct px_infer *infer,
                                         const struct px_infer_output *output,
                                         const struct px_tensor *tensor);

#endif
