/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `warm_up` of model.yaml: what a version computes before it answers.
 *
 *     warm_up: 3                                    # of models of tensors: runs on the first golden request, or on zeros
 *     warm_up: {recorded: true, required: true}     # requests that the version before it has answered, and must not fail here
 */
#ifndef PX_APPLICATION_LIFECYCLE_MODEL_WARM_UP_H
#define PX_APPLICATION_LIFECYCLE_MODEL_WARM_UP_H

#include "shared/yaml.h"

enum { PX_WARM_UP_RUNS_MAX = 1000, PX_WARM_UP_RUNS_DEFAULT = 1 /* of a model of tensors */ };

struct px_model_warm_up {
    bool says_runs;
    size_t runs;
    bool
        recorded; /* requests are recorded, for the version that comes after, and computed when they were */
    bool required; /* a run that fails fails the load */
};

PX_MUST_USE enum px_code px_model_warm_up_read(const struct px_yaml *node,
                                               struct px_model_warm_up *ret, struct px_err *err);

#endif
