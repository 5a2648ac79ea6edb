/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all versions share: the settings of an ensemble, and the table of leaf values.
 *
 * A leaf may vote for several targets, and several times. When all votes of a tree are for one target its
 * leaves have one value, else one per target; a table that is far larger than the list of votes (few votes
 * for very many targets) is refused, because a small file could ask for much memory with it.
 */
#include "domain/forest/readers/onnx/onnx_ensemble.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { VALUES_PER_VOTE_MAX = 16, VALUES_SLACK = 1 << 20 };

void px_onnx_ensemble_deinit(struct px_onnx_ensemble *ensemble)
{
    px_vec_free(&ensemble->base);
    px_vec_free(&ensemble->labels);
    px_vec_free(&ensemble->splits);
    px_vec_free(&ensemble->trees);
    px_vec_free(&ensemble->values);
    px_vec_free(&ensemble->lists);
    px_vec_free(&ensemble->members);
}

enum px_code px_onnx_check_len(const struct px_onnx_ensemble *ensemble, const char *name,
                               size_t len, size_t expected, struct px_err *err)
{
    if (len == expected)
        return PX_OK;
    return px_err_set(err, PX_E_CORRUPT, "%s: %s has %zu elements, expected %zu",
                      px_onnx_node_text(ensemble->node).text, name, len, expected);
}

static enum px_code refuse_tensor(const struct px_onnx_ensemble *ensemble, const char *name,
                                  int type, struct px_err *err)
{
    return px_err_set(err, PX_E_UNSUPPORTED,
                      "%s: %s is a tensor of type %s, but the ensemble's input is %s",
                      px_onnx_node_text(ensemble->node).text, name, px_onnx_type_name(type),
                      ensemble->wide ? "double" : "float");
}

enum px_code px_onnx_get_numbers(const struct px_onnx_model *model,
                                 const struct px_onnx_ensemble *ensemble, const char *name,
                                 struct px_doubles *ret, struct px_err *err)
{
    char tensor_name[64];
    struct px_onnx_tensor tensor = {0};
    snprintf(tensor_name, sizeof tensor_name, "%s_as_tensor", name);
    enum px_code code = px_onnx_get_floats(model, ensemble->node, name, ret, err);
    if (code == PX_OK)
        code = px_onnx_get_tensor(model, ensemble->node, tensor_name, &tensor, err);
    if (code != PX_OK || !tensor.type)
        return code;
    if (tensor.type != (ensemble->wide ? PX_ONNX_DOUBLE : PX_ONNX_FLOAT))
        code = refuse_tensor(ensemble, tensor_name, tensor.type, err);
    else if (ret->len)
        code = px_err_set(err, PX_E_CORRUPT, "%s: has both %s and %s",
                          px_onnx_node_text(ensemble->node).text, name, tensor_name);
    if (code != PX_OK) {
        px_vec_free(&tensor.values);
        return code;
    }
    px_vec_free(ret);
    *ret = tensor.values;
    return PX_OK;
}

/* What the votes of a tree are like. */
struct ballot {
    size_t n_votes;
    uint32_t target; /* of the first */
    bool mixed;      /* not all are for it */
};

static struct ballot *take_ballots(const struct px_onnx_ensemble *ensemble,
                                   const struct px_onnx_vote *votes, size_t n)
{
    struct ballot *ballots = px_alloc(ensemble->trees.len, sizeof *ballots);
    for (size_t i = 0; ballots && i < n; i++) {
        struct ballot *ballot = &ballots[votes[i].tree];
        if (ballot->n_votes++ == 0)
            ballot->target = votes[i].target;
        ballot->mixed = ballot->mixed || ballot->target != votes[i].target;
    }
    return ballots;
}

/* MIN and MAX: what a leaf has for a target that it does not vote for, so that it never counts. */
static double no_vote(const struct px_onnx_ensemble *ensemble)
{
    if (ensemble->aggregate == PX_ONNX_MIN)
        return (double)INFINITY;
    return ensemble->aggregate == PX_ONNX_MAX ? -(double)INFINITY : 0.0;
}

static enum px_code size_values(struct px_onnx_ensemble *ensemble, const struct ballot *ballots,
                                size_t n_votes, struct px_err *err)
{
    size_t total = 0, most = n_votes * VALUES_PER_VOTE_MAX + VALUES_SLACK;
    for (size_t t = 0; t < ensemble->trees.len; t++) {
        struct px_onnx_tree *tree = &ensemble->trees.items[t];
        tree->width = ballots[t].mixed ? (uint32_t)ensemble->n_targets : 1;
        tree->target = ballots[t].target;
        tree->first_value = total;
        total += tree->n_rows * tree->width;
        if (total > most)
            return px_err_set(err, PX_E_TOO_LARGE,
                              "%s: its %zu votes for %zu targets would need more than %zu values",
                              px_onnx_node_text(ensemble->node).text, n_votes, ensemble->n_targets,
                              most);
    }
    if (!px_vec_reserve(&ensemble->values, total))
        return px_ir_no_memory(err);
    ensemble->values.len = total;
    for (size_t i = 0; i < total; i++)
        ensemble->values.items[i] = no_vote(ensemble);
    return PX_OK;
}

static double aggregate(const struct px_onnx_ensemble *ensemble, double a, double b)
{
    if (ensemble->aggregate == PX_ONNX_MIN)
        return fmin(a, b);
    if (ensemble->aggregate == PX_ONNX_MAX)
        return fmax(a, b);
    return ensemble->wide ? a + b : (double)(float)(a + b);
}

static enum px_code add_votes(struct px_onnx_ensemble *ensemble, const struct px_onnx_vote *votes,
                              size_t n, struct px_err *err)
{
    bool *voted = px_alloc(ensemble->values.len + 1, sizeof *voted);
    if (!voted)
        return px_ir_no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const struct px_onnx_tree *tree = &ensemble->trees.items[votes[i].tree];
        size_t row = ensemble->splits.items[votes[i].split].yes;
        size_t at =
            tree->first_value + row * tree->width + (tree->width == 1 ? 0 : votes[i].target);
        double *value = &ensemble->values.items[at];
        *value = voted[at] ? aggregate(ensemble, *value, votes[i].value) : votes[i].value;
        ensemble->several_votes = ensemble->several_votes || voted[at];
        voted[at] = true;
    }
    px_free(voted);
    return PX_OK;
}

/*
 * MIN and MAX of a target need a vote from each row. In trees of one target each that holds when every leaf
 * votes; else some tree must have a vote for it in every leaf.
 */
static bool every_row_votes(const struct px_onnx_ensemble *ensemble, const struct ballot *ballots,
                            uint32_t target)
{
    bool met = false;
    for (size_t t = 0; t < ensemble->trees.len; t++) {
        const struct px_onnx_tree *tree = &ensemble->trees.items[t];
        if (!ballots[t].mixed && ballots[t].target != target)
            continue;
        bool all = true;
        const double *at = &ensemble->values.items[tree->first_value];
        for (size_t row = 0; row < tree->n_rows; row++)
            all = all && isfinite(at[row * tree->width + (tree->width == 1 ? 0 : target)]);
        if (all)
            return true;
        met = true;
    }
    return !met; /* no tree at all: the answer is 0, unless leaves of several values stand for it */
}

static enum px_code check_extremes(const struct px_onnx_ensemble *ensemble,
                                   const struct ballot *ballots, struct px_err *err)
{
    if (ensemble->aggregate != PX_ONNX_MIN && ensemble->aggregate != PX_ONNX_MAX)
        return PX_OK;
    for (size_t k = 0; k < ensemble->n_targets; k++) {
        if (!every_row_votes(ensemble, ballots, (uint32_t)k))
            return px_err_set(err, PX_E_UNSUPPORTED,
                              "%s: not every row reaches a leaf with a vote for target %zu, which "
                              "MIN and MAX need",
                              px_onnx_node_text(ensemble->node).text, k);
    }
    return PX_OK;
}

enum px_code px_onnx_count_votes(struct px_onnx_ensemble *ensemble,
                                 const struct px_onnx_vote *votes, size_t n, struct px_err *err)
{
    struct ballot *ballots = take_ballots(ensemble, votes, n);
    if (!ballots)
        return px_ir_no_memory(err);
    enum px_code code = size_values(ensemble, ballots, n, err);
    if (code == PX_OK)
        code = add_votes(ensemble, votes, n, err);
    if (code == PX_OK)
        code = check_extremes(ensemble, ballots, err);
    px_free(ballots);
    return code;
}

static enum px_code read_targets(const struct px_onnx_model *model,
                                 struct px_onnx_ensemble *ensemble, struct px_err *err)
{
    int64_t n = 1;
    enum px_code code = px_onnx_get_int(model, ensemble->node, "n_targets", &n, err);
    if (code != PX_OK)
        return code;
    if (n < 1 || n > PX_FOREST_OUTPUTS_MAX)
        return px_err_set(err, n < 1 ? PX_E_CORRUPT : PX_E_TOO_LARGE,
                          "%s: n_targets is %" PRId64 ", expected 1 to %d",
                          px_onnx_node_text(ensemble->node).text, n, PX_FOREST_OUTPUTS_MAX);
    ensemble->n_targets = (size_t)n;
    return PX_OK;
}

static enum px_code add_label(struct px_onnx_ensemble *ensemble, struct px_str text,
                              struct px_forest_ir *ir, struct px_err *err)
{
    struct px_str *label = px_vec_push(&ensemble->labels);
    if (label)
        *label = px_arena_str(&ir->arena, text);
    return label && label->ptr ? PX_OK : px_ir_no_memory(err);
}

static enum px_code add_labels(struct px_onnx_ensemble *ensemble, const struct px_ints *ints,
                               const struct px_strs *texts, struct px_forest_ir *ir,
                               struct px_err *err)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < texts->len; i++) {
        if (!px_str_is_utf8(texts->items[i]))
            return px_err_set(err, PX_E_CORRUPT, "%s: class label %zu is not valid UTF-8",
                              px_onnx_node_text(ensemble->node).text, i);
        code = add_label(ensemble, texts->items[i], ir, err);
    }
    for (size_t i = 0; code == PX_OK && texts->len == 0 && i < ints->len; i++) {
        char number[32];
        snprintf(number, sizeof number, "%" PRId64, ints->items[i]);
        code = add_label(ensemble, px_str(number), ir, err);
    }
    return code;
}

static enum px_code read_labels(const struct px_onnx_model *model,
                                struct px_onnx_ensemble *ensemble, struct px_forest_ir *ir,
                                struct px_err *err)
{
    struct px_ints ints = {0};
    struct px_strs texts = {0};
    enum px_code code = px_onnx_get_ints(model, ensemble->node, "classlabels_int64s", &ints, err);
    if (code == PX_OK)
        code = px_onnx_get_texts(model, ensemble->node, "classlabels_strings", &texts, err);
    size_t n = texts.len ? texts.len : ints.len;
    if (code == PX_OK && n < 2)
        code = px_err_set(err, PX_E_UNSUPPORTED, "%s: has %zu class labels, expected at least 2",
                          px_onnx_node_text(ensemble->node).text, n);
    if (code == PX_OK && n > PX_FOREST_OUTPUTS_MAX)
        code = px_err_set(err, PX_E_TOO_LARGE, "%s: has %zu class labels; the limit is %d",
                          px_onnx_node_text(ensemble->node).text, n, PX_FOREST_OUTPUTS_MAX);
    if (code == PX_OK)
        code = add_labels(ensemble, &ints, &texts, ir, err);
    ensemble->n_targets = ensemble->labels.len;
    px_vec_free(&ints);
    px_vec_free(&texts);
    return code;
}

static enum px_code bad_choice(const struct px_onnx_ensemble *ensemble, const char *what,
                               struct px_str value, struct px_err *err)
{
    return px_err_set(err, PX_E_UNSUPPORTED, "%s: %s is '%.*s', which is not known here",
                      px_onnx_node_text(ensemble->node).text, what, PX_STR_ARG(value));
}

/* The place of a word in a list, or -1. */
static int choose(struct px_str word, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (px_str_is(word, names[i]))
            return (int)i;
    }
    return -1;
}

static enum px_code read_words(const struct px_onnx_model *model, struct px_onnx_ensemble *ensemble,
                               struct px_err *err)
{
    static const char *const posts[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    static const char *const aggregates[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    struct px_str post = PX_STR("NONE"), aggregate_word = PX_STR("SUM");
    enum px_code code = px_onnx_get_text(model, ensemble->node, "post_transform", &post, err);
    if (code == PX_OK)
        code = px_onnx_get_text(model, ensemble->node, "aggregate_function", &aggregate_word, err);
    if (code != PX_OK)
        return code;
    int post_number = choose(post, posts, PX_ARRAY_LEN(posts));
    int aggregate_number = choose(aggregate_word, aggregates, PX_ARRAY_LEN(aggregates));
    if (post_number < 0)
        return bad_choice(ensemble, "post_transform", post, err);
    if (aggregate_number < 0 || (ensemble->classifier && aggregate_number != PX_ONNX_SUM))
        return bad_choice(ensemble, "aggregate_function", aggregate_word, err);
    ensemble->post = (enum px_onnx_post)post_number;
    ensemble->aggregate = (enum px_onnx_aggregate)aggregate_number;
    return PX_OK;
}

static enum px_code read_numbers(const struct px_onnx_model *model,
                                 struct px_onnx_ensemble *ensemble, struct px_err *err)
{
    int64_t post = PX_ONNX_POST_NONE, aggregate_number = PX_ONNX_SUM;
    enum px_code code = px_onnx_get_int(model, ensemble->node, "post_transform", &post, err);
    if (code == PX_OK)
        code = px_onnx_get_int(model, ensemble->node, "aggregate_function", &aggregate_number, err);
    if (code != PX_OK)
        return code;
    if (post < 0 || post > PX_ONNX_POST_PROBIT || aggregate_number < 0 ||
        aggregate_number > PX_ONNX_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "%s: post_transform %" PRId64 " or aggregate_function %" PRId64
                          " is not known here",
                          px_onnx_node_text(ensemble->node).text, post, aggregate_number);
    ensemble->post = (enum px_onnx_post)post;
    ensemble->aggregate = (enum px_onnx_aggregate)aggregate_number;
    return PX_OK;
}

static enum px_code check_base(const struct px_onnx_ensemble *ensemble, struct px_err *err)
{
    size_t n = ensemble->base.len;
    bool one_for_two = ensemble->classifier && ensemble->n_targets == 2 && n == 1;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(ensemble->base.items[i]))
            return px_err_set(err, PX_E_CORRUPT, "%s: base value %zu is %g",
                              px_onnx_node_text(ensemble->node).text, i, ensemble->base.items[i]);
    }
    if (n == 0 || one_for_two)
        return PX_OK;
    return px_onnx_check_len(ensemble, "base_values", n, ensemble->n_targets, err);
}

static enum px_code read_settings_3(const struct px_onnx_model *model,
                                    struct px_onnx_ensemble *ensemble, struct px_forest_ir *ir,
                                    struct px_err *err)
{
    enum px_code code = read_words(model, ensemble, err);
    if (code == PX_OK)
        code = ensemble->classifier ? read_labels(model, ensemble, ir, err)
                                    : read_targets(model, ensemble, err);
    if (code == PX_OK)
        code = px_onnx_get_numbers(model, ensemble, "base_values", &ensemble->base, err);
    return code == PX_OK ? check_base(ensemble, err) : code;
}

/* A setting that a later version may add must not be ignored. */
static enum px_code check_attributes(const struct px_onnx_model *model,
                                     const struct px_onnx_node *node, struct px_err *err)
{
    static const char *const known[] = {"aggregate_function",
                                        "base_values",
                                        "base_values_as_tensor",
                                        "class_ids",
                                        "class_nodeids",
                                        "class_treeids",
                                        "class_weights",
                                        "class_weights_as_tensor",
                                        "classlabels_int64s",
                                        "classlabels_strings",
                                        "leaf_targetids",
                                        "leaf_weights",
                                        "membership_values",
                                        "n_targets",
                                        "nodes_falseleafs",
                                        "nodes_falsenodeids",
                                        "nodes_featureids",
                                        "nodes_hitrates",
                                        "nodes_hitrates_as_tensor",
                                        "nodes_missing_value_tracks_true",
                                        "nodes_modes",
                                        "nodes_nodeids",
                                        "nodes_splits",
                                        "nodes_treeids",
                                        "nodes_trueleafs",
                                        "nodes_truenodeids",
                                        "nodes_values",
                                        "nodes_values_as_tensor",
                                        "post_transform",
                                        "target_ids",
                                        "target_nodeids",
                                        "target_treeids",
                                        "target_weights",
                                        "target_weights_as_tensor",
                                        "tree_roots"};
    for (size_t i = 0; i < node->n_attributes; i++) {
        struct px_str name = model->attributes.items[node->first_attribute + i].name;
        if (choose(name, known, PX_ARRAY_LEN(known)) < 0)
            return px_err_set(err, PX_E_UNSUPPORTED, "%s: attribute '%.*s' is not known here",
                              px_onnx_node_text(node).text, PX_STR_ARG(name));
    }
    return PX_OK;
}

enum px_code px_onnx_ensemble_read(const struct px_onnx_model *model,
                                   const struct px_onnx_node *node, bool wide,
                                   struct px_forest_ir *ir, struct px_onnx_ensemble *ret,
                                   struct px_err *err)
{
    bool version_5 = px_str_is(node->op, "TreeEnsemble");
    ret->node = node;
    ret->wide = wide;
    ret->float_result = !version_5;
    ret->classifier = px_str_is(node->op, "TreeEnsembleClassifier");
    ret->feature_max = -1;
    enum px_code code = check_attributes(model, node, err);
    if (code == PX_OK && version_5) {
        code = read_numbers(model, ret, err);
        if (code == PX_OK)
            code = read_targets(model, ret, err);
        if (code == PX_OK)
            code = px_onnx_read_trees_5(model, ret, err);
    } else if (code == PX_OK) {
        code = read_settings_3(model, ret, ir, err);
        if (code == PX_OK)
            code = px_onnx_read_trees_3(model, ret, err);
    }
    if (code == PX_OK && ret->trees.len == 0)
        return px_err_set(err, PX_E_CORRUPT, "%s: has no trees", px_onnx_node_text(node).text);
    return code;
}
