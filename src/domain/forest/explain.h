/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each feature contributed to a margin: path-dependent TreeSHAP (Lundberg, Erion, Lee: Consistent
 * Individualized Feature Attribution for Tree Ensembles, 2018, algorithm 2). What XGBoost returns for
 * pred_contribs and LightGBM for pred_contrib.
 *
 * A row has n_margins * (n_features + 1) numbers: per margin the contribution of each feature, then the expected
 * margin; together they sum to the margin. It needs the cover of every node, which XGBoost and LightGBM keep.
 *
 * Computed in doubles. LightGBM does the same; XGBoost works in floats, and differs from this by their rounding.
 */
#ifndef PX_DOMAIN_FOREST_EXPLAIN_H
#define PX_DOMAIN_FOREST_EXPLAIN_H

#include "domain/forest/ir.h"

/* A deeper tree would need a path of more than 2 MB, and as many calls on the stack. */
enum { PX_EXPLAIN_DEPTH_MAX = 256 };

/* Why the forest cannot be explained: a clause; NULL when it can. */
const char *px_explain_refusal(const struct px_forest_ir *ir);

/* Bytes of scratch, aligned as doubles. */
size_t px_explain_scratch_size(const struct px_forest_ir *ir);

/* Elements of paths that one row costs, for bounding work: some nanoseconds each. */
double px_explain_steps(const struct px_forest_ir *ir);

/* `out` has [n_rows, n_margins, n_features + 1] doubles. The forest can be explained. */
void px_explain_rows(const struct px_forest_ir *ir, const struct px_matrix *rows, double *out,
                     void *scratch);

#endif
