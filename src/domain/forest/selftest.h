/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that find comparison errors, and the comparison of every kernel with the walker on them. */
#ifndef PX_DOMAIN_FOREST_SELFTEST_H
#define PX_DOMAIN_FOREST_SELFTEST_H

#include "domain/forest/planner.h"
#include "shared/rng.h"

/*
 * Fills `rows` with values on and next to the thresholds and listed numbers of the forest, category codes in
 * and around its sets, and the special numbers (zeros, infinities, NaN, denormals). Features that no tree
 * uses are 0. The same seed gives the same rows.
 */
void px_selftest_rows(const struct px_forest_ir *ir, struct px_rng *rng, struct px_matrix *rows);

/* The same for the first `n_distinct` rows; the others repeat them. */
void px_selftest_rows_repeated(const struct px_forest_ir *ir, struct px_rng *rng,
                               struct px_matrix *rows, size_t n_distinct);

/*
 * Compares the kernels of a plan with the walker: those that it uses, and of forests of up to PX_PLAN_LARGE_NODES
 * nodes those that it dropped, compiled again as far as memory allows; of a forced plan the forced one
 * alone. `ret` says how much was done.
 * PX_E_INTERNAL names the kernel and row; PX_E_NO_MEMORY for a kernel that serves.
 */
PX_MUST_USE enum px_code px_selftest_plan(const struct px_plan *plan, size_t n_rows, uint64_t seed,
                                          struct px_forest_self_test *ret, struct px_err *err);

#endif
