/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an XGBoost file says, as collected by xgboost.c in the file's order of keys, before
 * xgboost_finish.c puts it together. Private to the XGBoost reader.
 */
#ifndef PX_DOMAIN_FOREST_XGBOOST_FILE_H
#define PX_DOMAIN_FOREST_XGBOOST_FILE_H

#include "domain/forest/readers/xgboost/xgboost_objective.h"
#include "domain/forest/readers/xgboost/xgboost_tree.h"

struct px_xgboost_file {
    struct px_forest_ir *ir;
    struct px_doc doc;
    struct px_err *err;
    enum px_code code; /* sticky: a finding that is no matter of syntax */

    struct px_ints version;
    struct px_str booster;   /* of the outermost gradient_booster */
    struct px_str objective; /* name */
    struct px_str base_score;
    int64_t num_class, num_feature, num_target;
    int64_t objective_classes; /* num_class inside the objective, 0 when absent */
    int64_t num_trees, num_parallel_tree;
    bool has_learner, has_trees, has_weights, has_best_iteration;
    int64_t best_iteration;
    struct px_ints tree_info, iteration_starts;
    struct px_floats weights;
    struct px_strs feature_names, feature_types;
    struct px_category_names *categories; /* [n_categories], in the arena */
    size_t n_categories;
    struct px_strs class_labels;
    struct px_xgboost_tree tree;
};

/* Puts the collected parts together, checks them against each other, and finishes the ir. */
PX_MUST_USE enum px_code px_xgboost_finish(struct px_xgboost_file *file,
                                           enum px_forest_rounds rounds, struct px_err *err);

/* Reads `cats`, what codes of categorical features stand for (3.1 and later), into a px_xgboost_file. */
void px_xgboost_read_categories(struct px_doc *doc, void *target);

#endif
