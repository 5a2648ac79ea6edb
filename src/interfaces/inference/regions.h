/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors in shared memory, for every dialect: inputs are copied out of their region when they are read, outputs into theirs
 * when they are there. The request keeps a reference to an output's region until its encode or fail, so that
 * unregistering meanwhile does no harm. A server without shared memory answers PX_E_UNSUPPORTED.
 */
#ifndef PX_INTERFACES_INFERENCE_REGIONS_H
#define PX_INTERFACES_INFERENCE_REGIONS_H

#include "interfaces/inference/tensor.h"

/* The memory that registrations go to: PX_E_UNSUPPORTED, and how to turn it on, when `memory` is NULL. */
PX_MUST_USE enum px_code px_region_check_memory(const struct px_shared_memory *memory,
                                                struct px_err *err);

/* As px_shared_memory_visit, of the region `only` unless that is empty: PX_E_NOT_FOUND when it is not registered. */
PX_MUST_USE enum px_code px_region_list(struct px_shared_memory *memory, struct px_str only,
                                        px_shared_region_visit *visit, void *context,
                                        struct px_err *err);

/* PX_E_UNAVAILABLE: there is no memory of a GPU. */
enum px_code px_region_refuse_cuda(struct px_err *err);

/* The bytes of an input, copied into the request's arena. */
PX_MUST_USE enum px_code px_region_read(struct px_infer *infer, const struct px_shared_range *range,
                                        struct px_str *ret);

/* For outputs: a reference to a region, which the request lets go with its end; and what goes into its range. */
PX_MUST_USE enum px_code px_region_take(struct px_infer *infer, const struct px_shared_range *range,
                                        struct px_shared_region **ret);
/* PX_E_INVALID when the tensor is larger than the range that was asked for. */
PX_MUST_USE enum px_code px_region_write(struct px_infer *infer,
                                         const struct px_infer_output *output,
                                         const struct px_tensor *tensor);

#endif
