/* SPDX-License-Identifier: Apache-2.0 */
/* Private to interfaces/inference: where an input tensor's values go; shared by inputs.c, raw.c and run_inputs.c. */
#ifndef PX_INTERFACES_INFERENCE_INPUTS_H
#define PX_INTERFACES_INFERENCE_INPUTS_H

#include "interfaces/inference/tensor.h"

/* Features [feature, feature + n_cols) of every row. */
struct px_target {
    size_t feature, n_rows, n_cols;
};

/* Decides by name and shape, and holds the tensor to the limits and to the first one's number of rows. */
PX_MUST_USE enum px_code px_inputs_aim(struct px_inputs *in, const struct px_tensor *tensor,
                                       struct px_target *ret);

/* Makes the matrix for the first tensor. Every tensor calls it once, or lends its rows. */
PX_MUST_USE enum px_code px_inputs_make_rows(struct px_inputs *in, const struct px_target *target);

/* The values of a tensor whose matrix is made. */
struct px_values px_values_begin(struct px_inputs *in, const struct px_tensor *tensor,
                                 const struct px_target *target);

/* The same for a model of tensors (run_inputs.c). */
PX_MUST_USE enum px_code px_run_inputs_begin(struct px_inputs *in);
PX_MUST_USE enum px_code px_run_inputs_add(struct px_inputs *in, const struct px_tensor *tensor);
PX_MUST_USE enum px_code px_run_inputs_open(struct px_inputs *in, const struct px_tensor *tensor,
                                            size_t n_max, struct px_values *ret);

#endif
