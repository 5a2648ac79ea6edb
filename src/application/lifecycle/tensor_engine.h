/* SPDX-License-Identifier: Apache-2.0 */
/* Any package as an engine of tensors, so that a graph need not know what its models are. */
#ifndef PX_APPLICATION_LIFECYCLE_TENSOR_ENGINE_H
#define PX_APPLICATION_LIFECYCLE_TENSOR_ENGINE_H

#include "application/lifecycle/package.h"

/*
 * The package's engine, or its forest behind one (execution/rows_engine.h), which is made by the first call. It belongs to the
 * package and is asynchronous. One thread at a time, while the package is being loaded.
 */
PX_MUST_USE enum px_code px_package_tensor_engine(struct px_package *package,
                                                  struct px_engine **ret, struct px_err *err);

#endif
