/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner: which kernel scores one row and which scores batches of a given forest.
 *
 * Every kernel that supports the forest is compiled at most once; the first of the table wins for
 * each class of batch. A forced kernel is taken for both, or refused when it does not support the forest.
 */
#ifndef PX_DOMAIN_FOREST_PLANNER_H
#define PX_DOMAIN_FOREST_PLANNER_H

#include "domain/forest/kernel.h"

enum { PX_KERNELS = 2 };

struct px_plan {
    const struct px_kernel *one, *many;
    void *compiled[PX_KERNELS]; /* by place in px_kernels; of kernels that are not in use NULL */
};

extern const struct px_kernel *const px_kernels[PX_KERNELS]; /* fastest first, the walker last */

/* `force` is a kernel's name or NULL. PX_E_INVALID for an unknown or unfit one, PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_plan_init(struct px_plan *plan, const struct px_forest_ir *ir,
                                      const char *force, struct px_err *err);
void px_plan_deinit(struct px_plan *plan);

/* Margins of any number of rows by the kernel that the plan has for that number. */
void px_plan_margins(const struct px_plan *plan, const struct px_forest_ir *ir,
                     const struct px_matrix *rows, void *margins);

size_t px_plan_bytes(const struct px_plan *plan);

#endif
