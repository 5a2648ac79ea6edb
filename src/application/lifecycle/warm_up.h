/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Warm-up of models of tensors: the first run of a model makes plans and allocates, and no client should wait for that. `phoenix check`
 * makes one to see whether the model answers at all.
 */
#ifndef PX_APPLICATION_LIFECYCLE_WARM_UP_H
#define PX_APPLICATION_LIFECYCLE_WARM_UP_H

#include "application/lifecycle/package.h"

/*
 * Runs the engine of a package `n` times on the calling thread, on the first golden request, which is one that the model answers, else on an
 * example of zeros, which may be no request: `ret_golden` says which. Returns what the first run that failed came to.
 */
PX_MUST_USE enum px_code px_package_warm_up(const struct px_package *package, size_t n,
                                            bool *ret_golden, struct px_err *err);

#endif
