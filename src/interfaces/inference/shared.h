/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors in shared memory, for every dialect: inputs are copied out of their region when they are read, outputs into theirs
 * when they are there. The request keeps a reference to an output's region until its encode or fail, so that
 * unregistering meanwhile does no harm. A server without shared memory answers PX_E_UNSUPPORTED.
 */
#ifndef PX_INTERFACES_INFERENCE_SHARED_H
#define PX_INTERFACES_INFERENCE_SHARED_H

#include "interfaces/inference/parameters.h"
#include "interfaces/inference/tensor.h"

/* The memory that registrations go to: PX_E_UNSUPPORTED, and how to turn it on, when `memory` is NULL. */
PX_MUST_USE enum px_code px_shared_check(const struct px_shared_memory *memory, struct px_err *err);

/* As px_shared_memory_visit, of the region `only` unless that is empty: PX_E_NOT_FOUND when it is not registered. */
PX_MUST_USE enum px_code px_shared_list(struct px_shared_memory *memory, struct px_str only,
                                        px_shared_region_visit *visit, void *context,
                                        struct px_err *err);

/* PX_E_UNAVAILABLE: there is no memory of a GPU. */
enum px_code px_shared_refuse_cuda(struct px_err *err);

/* The bytes of an input, copied into the request's arena. */
PX_MUST_USE enum px_code px_shared_read(struct px_infer *infer, const struct px_shared_range *range,
                                        struct px_str *ret);

/*
 * Adds an output as px_infer_add_output does, with what its parameters say; their texts outlive the request. PX_E_INVALID for
 * what cannot come together.
 */
PX_MUST_USE enum px_code px_output_ask(struct px_infer *infer, struct px_str name,
                                       const struct px_parameters *parameters);

/*
 * The tensors of an answered request's outputs, PX_INFER_OUTPUTS_MAX at most; those that go to shared memory are written
 * there, PX_E_INVALID when they are larger than their range.
 */
PX_MUST_USE enum px_code px_output_tensors(struct px_infer *infer, struct px_tensor *tensors);

#endif
