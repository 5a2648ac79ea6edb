/* SPDX-License-Identifier: Apache-2.0 */
/* One tree block of a LightGBM text model (src/io/tree.cpp of LightGBM 2.0 to 4.6). */
#ifndef PX_DOMAIN_FOREST_LIGHTGBM_TREE_H
#define PX_DOMAIN_FOREST_LIGHTGBM_TREE_H

#include "domain/forest/ir.h"

/* The next line of `rest` without its end (LF or CR LF); `rest` moves past it. */
struct px_str px_lightgbm_line(struct px_str *rest);

/* A list of numbers of a tree; the memory is reused from tree to tree. */
struct px_lightgbm_numbers {
    double *items;
    size_t len, cap;
};

struct px_lightgbm_tree {
    bool nan_is_category_0; /* the rule of LightGBM 3.0 to 3.2 for categorical splits */
    bool met_nan_rule;      /* out: some split goes another way under the other rule */
    struct px_lightgbm_numbers feature, threshold, decision, left, right, leaf_value;
    struct px_lightgbm_numbers set_starts, set_words;
    struct px_lightgbm_numbers linear_constant, linear_counts, linear_features, linear_coefficients;
    struct px_lightgbm_numbers split_counts, leaf_counts;
    PX_VEC(struct px_file_node) nodes;
    PX_VEC(float) covers;
};

void px_lightgbm_tree_deinit(struct px_lightgbm_tree *tree);

/* Reads the lines after "Tree=i" up to a blank one and adds the tree to `ir`. */
PX_MUST_USE enum px_code px_lightgbm_read_tree(struct px_lightgbm_tree *tree, struct px_str *rest,
                                               struct px_forest_ir *ir, struct px_err *err);

#endif
