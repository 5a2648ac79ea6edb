/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel: one way to compute margins. All kernels give the same bits; they differ in speed and in the
 * forests that they support. planner.h picks among them.
 */
#ifndef PX_DOMAIN_FOREST_KERNEL_H
#define PX_DOMAIN_FOREST_KERNEL_H

#include "domain/forest/ir.h"

struct px_kernel {
    const char *name;
    bool (*supports)(const struct px_forest_ir *ir);
    /* Prepares the forest; `ret` may become NULL when nothing is to be kept. `ir` outlives it. */
    enum px_code (*compile)(const struct px_forest_ir *ir, void **ret, struct px_err *err);
    void (*destroy)(void *compiled); /* NULL is fine */
    size_t (*bytes)(const void *compiled);
    /* rows [n, n_features] of ir->type -> margins [n, n_margins] of ir->type. No allocation. */
    void (*margins)(const struct px_forest_ir *ir, const void *compiled,
                    const struct px_matrix *rows, void *margins);
};

extern const struct px_kernel px_walker_kernel;     /* the reference: supports everything */
extern const struct px_kernel px_branchless_kernel; /* packed nodes, several walks at a time */

#endif
