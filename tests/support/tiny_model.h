/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model small enough to score by hand, LightGBM text: features `age` and `amount`,
 * score = (age <= 30 ? 10 : 20) + (amount <= 0.5 ? 1 : 2); a missing value goes right.
 */
#ifndef PX_TESTS_TINY_MODEL_H
#define PX_TESTS_TINY_MODEL_H

static const char tiny_model[] =
    "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\n"
    "objective=regression\nfeature_names=age amount\nfeature_infos=[0:99] [0:9]\n\n"
    "Tree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nsplit_gain=1\nthreshold=30\n"
    "decision_type=8\nleft_child=-1\nright_child=-2\nleaf_value=10 20\nshrinkage=1\n\n\n"
    "Tree=1\nnum_leaves=2\nnum_cat=0\nsplit_feature=1\nsplit_gain=1\nthreshold=0.5\n"
    "decision_type=8\nleft_child=-1\nright_child=-2\nleaf_value=1 2\nshrinkage=1\n\n\n"
    "end of trees\n";

#endif
