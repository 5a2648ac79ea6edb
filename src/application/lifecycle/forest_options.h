/* SPDX-License-Identifier: Apache-2.0 */
/* What this process asks of every forest that it opens, beside what the caller asks. */
#ifndef PX_APPLICATION_LIFECYCLE_FOREST_OPTIONS_H
#define PX_APPLICATION_LIFECYCLE_FOREST_OPTIONS_H

#include "domain/forest/forest.h"

/* Names the kernel that every model is to be scored with: for tests and comparisons. */
#define PX_KERNEL_VARIABLE "PHOENIX_KERNEL"

/*
 * Fills what the caller left open: the kernel from the environment (unset or empty: the planner's choice), and
 * the clock for measuring. True when the kernel came from the environment.
 */
bool px_forest_options_complete(struct px_forest_options *options);

#endif
