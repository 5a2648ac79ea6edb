/* SPDX-License-Identifier: Apache-2.0 */
/* Handwritten models for the unit tests of domain/forest: one field of the file per member. */
#ifndef PX_TESTS_FOREST_MODELS_H
#define PX_TESTS_FOREST_MODELS_H

#include "domain/forest/forest.h"
#include "shared/alloc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_MAX = 1 << 16, ROW_MAX = 16, OUT_MAX = 16 };

/* An XGBoost model in JSON. NULL members take the default on the right. */
struct xgb {
    const char *version;     /* [3,2,0] */
    const char *objective;   /* {"name":"reg:squarederror"} */
    const char *base_score;  /* 0E0 */
    const char *num_class;   /* 0 */
    const char *num_target;  /* 1 */
    const char *num_feature; /* 2 */
    const char *booster;     /* replaces the whole gradient_booster object */
    const char *trees;       /* one stump on feature 0 at 1 */
    const char *num_trees;   /* 1 */
    const char *tree_info;   /* [0] */
    const char *model_extra; /* more members of the tree model, each with a comma before it */
    const char *extra;       /* more members of learner, likewise */
};

static inline const char *or_default(const char *value, const char *fallback)
{
    return value ? value : fallback;
}

/* A tree of one split: x[feature] < threshold goes to `left`, else to `right`. */
#define STUMP_AS(id, feature, threshold, default_left, left, right)                                \
    "{\"id\":" id ",\"tree_param\":{\"num_nodes\":\"3\",\"size_leaf_vector\":\"1\"},"              \
    "\"left_children\":[1,-1,-1],\"right_children\":[2,-1,-1],"                                    \
    "\"split_indices\":[" feature ",0,0],\"split_conditions\":[" threshold "," left "," right "]," \
    "\"base_weights\":[7,7,7],\"default_left\":[" default_left ",0,0]}"
#define STUMP STUMP_AS("0", "0", "1E0", "0", "1E1", "2E1")

static inline const char *xgb_text(struct xgb m)
{
    static char booster[MODEL_MAX], text[MODEL_MAX * 2];
    snprintf(booster, sizeof booster,
             "{\"name\":\"gbtree\",\"model\":{\"gbtree_model_param\":{\"num_trees\":\"%s\","
             "\"num_parallel_tree\":\"1\"},\"trees\":[%s],\"tree_info\":%s%s}}",
             or_default(m.num_trees, "1"), or_default(m.trees, STUMP),
             or_default(m.tree_info, "[0]"), or_default(m.model_extra, ""));
    snprintf(
        text, sizeof text,
        "{\"version\":%s,\"learner\":{\"gradient_booster\":%s,\"learner_model_param\":{"
        "\"base_score\":\"%s\",\"num_class\":\"%s\",\"num_target\":\"%s\",\"num_feature\":\"%s\"},"
        "\"objective\":%s%s}}",
        or_default(m.version, "[3,2,0]"), or_default(m.booster, booster),
        or_default(m.base_score, "0E0"), or_default(m.num_class, "0"),
        or_default(m.num_target, "1"), or_default(m.num_feature, "2"),
        or_default(m.objective, "{\"name\":\"reg:squarederror\"}"), or_default(m.extra, ""));
    return text;
}

/* A LightGBM model. */
struct lgb {
    const char *version;  /* v4 */
    const char *header;   /* more header lines, each with its \n */
    const char *k;        /* trees per iteration: 1 */
    const char *features; /* max_feature_idx: 1 */
    const char *trees;    /* one split of feature 0 at 1, NaN missing, default right */
    const char *tail;     /* what follows the trees */
};

/* A tree of one split; `decision` is decision_type. Ends with a blank line. */
#define SPLIT_AS(number, feature, threshold, decision, left, right)                                \
    "Tree=" number "\nnum_leaves=2\nnum_cat=0\nsplit_feature=" feature "\nthreshold=" threshold    \
    "\ndecision_type=" decision "\nleft_child=-1\nright_child=-2\nleaf_value=" left " " right      \
    "\nshrinkage=0.1\n\n\n"
#define LGB_TAIL                                                                                   \
    "end of trees\n\nfeature_importances:\na=1\n\nparameters:\n[boosting: gbdt]\n\n"               \
    "end of parameters\n\npandas_categorical:null\n"
#define SPLIT SPLIT_AS("0", "0", "1", "8", "10", "20")

static inline const char *lgb_text(struct lgb m)
{
    static char text[MODEL_MAX];
    snprintf(text, sizeof text,
             "tree\nversion=%s\nnum_class=%s\nnum_tree_per_iteration=%s\nlabel_index=0\n"
             "max_feature_idx=%s\n%stree_sizes=1 2 3\n\n%s%s",
             or_default(m.version, "v4"), or_default(m.k, "1"), or_default(m.k, "1"),
             or_default(m.features, "1"), or_default(m.header, "objective=regression\n"),
             or_default(m.trees, SPLIT), or_default(m.tail, LGB_TAIL));
    return text;
}

static inline struct px_forest *load_with(const char *text, enum px_forest_rounds rounds,
                                          const char *kernel)
{
    struct px_forest_options options = {.rounds = rounds, .kernel = kernel};
    struct px_forest *forest = NULL;
    struct px_err err = {0};
    if (px_forest_create(px_str(text), &options, &forest, &err) != PX_OK)
        fprintf(stderr, "%s\n", err.message);
    return forest;
}

static inline struct px_forest *load(const char *text)
{
    return load_with(text, PX_ROUNDS_ALL, NULL);
}

/* Scores rows with scratch of its own. */
static inline void predict(const struct px_forest *forest, const struct px_matrix *rows, void *out,
                           unsigned flags)
{
    size_t size = px_forest_scratch_size(forest, rows->n_rows);
    void *scratch = px_alloc_aligned(PX_CACHE_LINE, size + 1, 1);
    px_forest_predict(forest, rows, out, scratch, flags);
    px_free(scratch);
}

struct scores {
    double of[OUT_MAX];
    size_t n;
};

/* Scores one row (values in feature order) with every kernel; they must agree. */
static inline struct scores score_row(const char *text, const double *row, unsigned flags)
{
    static const char *const kernels[] = {"walker", NULL};
    struct scores scores = {0};
    for (size_t k = 0; k < 2; k++) {
        struct px_forest *forest = load_with(text, PX_ROUNDS_ALL, kernels[k]);
        if (!forest)
            return (struct scores){0};
        const struct px_forest_info *info = px_forest_info(forest);
        double data[ROW_MAX], out[OUT_MAX];
        struct px_matrix rows = {info->feature_type, data, 1, info->n_features, info->n_features};
        struct scores before = scores;
        for (size_t j = 0; j < info->n_features; j++)
            px_matrix_set(&rows, 0, j, row[j]);
        predict(forest, &rows, out, flags);
        scores.n = flags & PX_FOREST_MARGIN ? info->n_margins : info->n_outputs;
        for (size_t i = 0; i < scores.n; i++)
            scores.of[i] =
                info->score_type == PX_TYPE_FP32 ? (double)((const float *)(void *)out)[i] : out[i];
        if (k && memcmp(&before, &scores, sizeof scores) != 0) {
            fprintf(stderr, "the kernels differ: %g and %g\n", before.of[0], scores.of[0]);
            abort();
        }
        px_forest_destroy(forest);
    }
    return scores;
}

#define ROW(...) ((const double[ROW_MAX]){__VA_ARGS__})

/* The first score, and the first margin, of a row. */
#define SCORE(text, ...)  score_row(text, ROW(__VA_ARGS__), 0).of[0]
#define MARGIN(text, ...) score_row(text, ROW(__VA_ARGS__), PX_FOREST_MARGIN).of[0]

/* The message of a refusal, with its hint; "" when the model was taken. */
static inline const char *refusal_n(const char *bytes, size_t n, enum px_code *ret_code)
{
    static char text[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX + 8];
    struct px_forest *forest = NULL;
    struct px_err err = {0};
    *ret_code = px_forest_create(px_str_n(bytes, n), NULL, &forest, &err);
    px_forest_destroy(forest);
    return *ret_code == PX_OK ? "" : px_err_text(&err, text, sizeof text);
}

/* The model must be refused with `code` and a message that contains `part`. */
#define CHECK_REFUSED(text_, code_, part_)                                                         \
    do {                                                                                           \
        enum px_code got_code;                                                                     \
        const char *model_ = (text_);                                                              \
        const char *message_ = refusal_n(model_, strlen(model_), &got_code);                       \
        CHECK_CONTAINS(message_, part_);                                                           \
        CHECK_INT(got_code, code_);                                                                \
    } while (0)

#endif
