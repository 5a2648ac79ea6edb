/* SPDX-License-Identifier: Apache-2.0 */
/* One tree of an XGBoost model (src/tree/tree_model.cc of XGBoost 1.0 to 3.4). */
#ifndef PX_DOMAIN_FOREST_XGBOOST_TREE_H
#define PX_DOMAIN_FOREST_XGBOOST_TREE_H

#include "domain/forest/ir.h"
#include "domain/forest/readers/doc.h"

/* The arrays of one tree object; the memory is reused from tree to tree. Starts zeroed. */
struct px_xgboost_tree {
    int64_t id, num_nodes, leaf_width;
    struct px_ints left, right, feature, default_left, split_type;
    struct px_ints categories, category_nodes, category_starts, category_sizes;
    struct px_floats threshold, base_weights, leaf_weights, cover;
    /* the tree as px_ir_add_tree takes it */
    PX_VEC(struct px_file_node) nodes;
    PX_VEC(double) values;
};

void px_xgboost_tree_deinit(struct px_xgboost_tree *tree);

/* Reads the object that is next in `doc` and adds it to `ir`; messages name the tree by its position. */
PX_MUST_USE enum px_code px_xgboost_read_tree(struct px_xgboost_tree *tree, struct px_doc *doc,
                                              struct px_forest_ir *ir, struct px_err *err);

#endif
