/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner: which kernel scores which batch of a given forest.
 *
 * Every kernel that supports the forest is compiled once. A batch size belongs to a class, the powers of
 * two up to PX_PLAN_ROWS_MAX; each class has the kernel of the least cost. Of a larger batch the whole
 * multiples of PX_PLAN_ROWS_MAX go to the kernel of that class, and the rest goes by its own. A forced kernel is taken for all, or
 * refused with the reason when it does not support the forest.
 */
#ifndef PX_DOMAIN_FOREST_PLANNER_H
#define PX_DOMAIN_FOREST_PLANNER_H

#include "domain/forest/kernels/kernel.h"

enum {
    PX_KERNELS = 2,
    PX_PLAN_CLASSES = 10,
    PX_PLAN_ROWS_MAX = 1 << (PX_PLAN_CLASSES - 1),
};

/* What became of one kernel of px_kernels. */
struct px_plan_kernel {
    bool usable;
    void *compiled;
    struct px_err refusal; /* when not usable */
};

struct px_plan {
    struct px_kernel_input input;
    struct px_codes *codes;
    struct px_err codes_error;
    struct px_plan_kernel kernels[PX_KERNELS]; /* by place in px_kernels */
    uint8_t choice[PX_PLAN_CLASSES];           /* place in px_kernels, by class */
};

extern const struct px_kernel *const px_kernels[PX_KERNELS]; /* the walker last */

/* `force` is a kernel's name or NULL. PX_E_INVALID for an unknown or unfit one, PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_plan_init(struct px_plan *plan, const struct px_forest_ir *ir,
                                      const char *force, struct px_err *err);
void px_plan_deinit(struct px_plan *plan);

/* Place in px_kernels of the kernel that scores batches of `n_rows`. */
size_t px_plan_choice(const struct px_plan *plan, size_t n_rows);

size_t px_plan_scratch_size(const struct px_plan *plan, size_t rows_max);

/* Finished margins of any number of rows; `scratch` has px_plan_scratch_size(plan, n_rows) bytes. */
void px_plan_margins(const struct px_plan *plan, const struct px_matrix *rows, void *margins,
                     void *scratch);

/* The same by one kernel of px_kernels, which must be usable. */
void px_plan_margins_by(const struct px_plan *plan, size_t kernel, const struct px_matrix *rows,
                        void *margins, void *scratch);

size_t px_plan_bytes(const struct px_plan *plan);

#endif
