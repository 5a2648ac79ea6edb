/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One TreeEnsembleClassifier, TreeEnsembleRegressor (ai.onnx.ml 1 and 3) or TreeEnsemble (5), decoded
 * and checked, in one form: trees of splits whose children are numbers within the tree, and a table of
 * leaf values.
 */
#ifndef PX_DOMAIN_FOREST_ONNX_ENSEMBLE_H
#define PX_DOMAIN_FOREST_ONNX_ENSEMBLE_H

#include "domain/forest/readers/onnx/onnx_model.h"

/* The numbers of the modes in version 5, and LEAF. */
enum px_onnx_mode {
    PX_ONNX_LEQ = 0,
    PX_ONNX_LT,
    PX_ONNX_GTE,
    PX_ONNX_GT,
    PX_ONNX_EQ,
    PX_ONNX_NEQ,
    PX_ONNX_MEMBER,
    PX_ONNX_LEAF,
};

struct px_onnx_split {
    double threshold;
    uint32_t feature; /* UINT32_MAX: out of range */
    uint32_t yes, no; /* children within the tree; a leaf's row is `yes` */
    uint32_t list;    /* MEMBER: index into lists */
    uint8_t mode;     /* enum px_onnx_mode */
    bool nan_is_yes;
};

struct px_onnx_tree {
    size_t first, n; /* splits; the root is the first */
    size_t first_value, n_rows;
    uint32_t width, target; /* values per leaf; the target of a leaf of width 1 */
};

struct px_onnx_list {
    uint32_t first, n;
};

enum px_onnx_post {
    PX_ONNX_POST_NONE = 0,
    PX_ONNX_POST_SOFTMAX,
    PX_ONNX_POST_LOGISTIC,
    PX_ONNX_POST_SOFTMAX_ZERO,
    PX_ONNX_POST_PROBIT,
};

enum px_onnx_aggregate {
    PX_ONNX_AVERAGE = 0,
    PX_ONNX_SUM,
    PX_ONNX_MIN,
    PX_ONNX_MAX,
};

struct px_onnx_ensemble {
    const struct px_onnx_node *node;
    bool wide;         /* doubles are compared and summed */
    bool float_result; /* whatever the sum is made in */
    bool classifier;
    size_t n_targets; /* or classes */
    enum px_onnx_post post;
    enum px_onnx_aggregate aggregate;
    struct px_doubles base; /* empty, one per target, or one for two classes */
    struct px_strs labels;  /* of a classifier; texts in the internal form's arena */
    bool voted[2];          /* does any leaf vote for class 0, for class 1? */
    bool negative_votes;    /* does any? */
    bool several_votes;     /* does a leaf vote twice for one target? */
    int64_t feature_max;    /* the greatest feature that a split asks for */

    PX_VEC(struct px_onnx_split) splits;
    PX_VEC(struct px_onnx_tree) trees;
    struct px_doubles values; /* of leaves: the row r of a tree starts at first_value + r * width */
    PX_VEC(struct px_onnx_list) lists;
    struct px_doubles members;
};

void px_onnx_ensemble_deinit(struct px_onnx_ensemble *ensemble);

/*
 * Decodes a node; `wide` says that its input is double. `ir` takes texts and warnings. The caller has
 * zeroed `ret`, and deinits it also on failure.
 */
PX_MUST_USE enum px_code px_onnx_ensemble_read(const struct px_onnx_model *model,
                                               const struct px_onnx_node *node, bool wide,
                                               struct px_forest_ir *ir,
                                               struct px_onnx_ensemble *ret, struct px_err *err);

/* The parts of it: the trees of versions 1 and 3, and of version 5. */
PX_MUST_USE enum px_code px_onnx_read_trees_3(const struct px_onnx_model *model,
                                              struct px_onnx_ensemble *ensemble,
                                              struct px_err *err);
PX_MUST_USE enum px_code px_onnx_read_trees_5(const struct px_onnx_model *model,
                                              struct px_onnx_ensemble *ensemble,
                                              struct px_err *err);

/* A leaf's vote; `split` is its place in ensemble->splits and `tree` the number of its tree. */
struct px_onnx_vote {
    uint32_t tree, split, target;
    double value;
};

/* Makes the table of leaf values. The rows of leaves are numbered within their trees. */
PX_MUST_USE enum px_code px_onnx_count_votes(struct px_onnx_ensemble *ensemble,
                                             const struct px_onnx_vote *votes, size_t n,
                                             struct px_err *err);

/* Merges chains of EQ that lead to one node into one question about several values. */
PX_MUST_USE enum px_code px_onnx_merge_equals(struct px_onnx_ensemble *ensemble,
                                              struct px_err *err);

/* Numbers that may stand as floats (`name`) or as a tensor of the ensemble's type (`name`_as_tensor). */
PX_MUST_USE enum px_code px_onnx_get_numbers(const struct px_onnx_model *model,
                                             const struct px_onnx_ensemble *ensemble,
                                             const char *name, struct px_doubles *ret,
                                             struct px_err *err);

/* PX_E_CORRUPT 'node "...": NAME has 3 elements, expected 4'. */
PX_MUST_USE enum px_code px_onnx_check_len(const struct px_onnx_ensemble *ensemble,
                                           const char *name, size_t len, size_t expected,
                                           struct px_err *err);

#endif
