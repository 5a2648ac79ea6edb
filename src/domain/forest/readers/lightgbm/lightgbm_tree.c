/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree block is lines of key=value. Internal nodes and leaves are numbered apart; here leaf l becomes
 * file node (number of internal nodes) + l, so that px_ir_add_tree sees one range.
 *
 * Two rewrites happen on the way, both exact:
 *
 * - Tiny inputs. LightGBM drops values with |x| <= z = 1e-35f from dense rows, so they act as 0. For a
 *   threshold t in [-z, z) that decides a whole interval: `0 <= t` for all of [-z, z]. The same answers
 *   without looking at x twice: t := z when 0 <= t, else the double before -z. Other thresholds
 *   do not tell 0 from a tiny number.
 * - Missing categories. NaN goes right, or counts as category 0 (lightgbm.c knows when). Either is a
 *   default side of the split.
 */
#include "domain/forest/readers/lightgbm/lightgbm_tree.h"

#include "shared/number.h"

#include <inttypes.h>
#include <math.h>

enum { DECISION_CATEGORICAL = 1, DECISION_DEFAULT_LEFT = 2 };

enum { MISSING_NONE = 0, MISSING_ZERO = 1, MISSING_NAN = 2 };

/* The text of each key that matters; an absent one has ptr NULL. */
struct texts {
    struct px_str num_leaves, num_cat, split_feature, threshold, decision_type, left_child,
        right_child, leaf_value, cat_boundaries, cat_threshold, is_linear, leaf_const, num_features,
        leaf_features, leaf_coeff, internal_count, leaf_count;
};

struct px_str px_lightgbm_line(struct px_str *rest)
{
    struct px_str line = px_str_cut(rest, '\n');
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

void px_lightgbm_tree_deinit(struct px_lightgbm_tree *tree)
{
    struct px_lightgbm_numbers *lists[] = {
        &tree->feature,       &tree->threshold,       &tree->decision,
        &tree->left,          &tree->right,           &tree->leaf_value,
        &tree->set_starts,    &tree->set_words,       &tree->linear_constant,
        &tree->linear_counts, &tree->linear_features, &tree->linear_coefficients,
        &tree->split_counts,  &tree->leaf_counts};
    for (size_t i = 0; i < PX_ARRAY_LEN(lists); i++)
        px_vec_free(lists[i]);
    px_vec_free(&tree->nodes);
    px_vec_free(&tree->covers);
}

static void take_line(struct texts *texts, struct px_str key, struct px_str value)
{
    const struct {
        const char *key;
        struct px_str *text;
    } fields[] = {
        {"num_leaves", &texts->num_leaves},         {"num_cat", &texts->num_cat},
        {"split_feature", &texts->split_feature},   {"threshold", &texts->threshold},
        {"decision_type", &texts->decision_type},   {"left_child", &texts->left_child},
        {"right_child", &texts->right_child},       {"leaf_value", &texts->leaf_value},
        {"cat_boundaries", &texts->cat_boundaries}, {"cat_threshold", &texts->cat_threshold},
        {"is_linear", &texts->is_linear},           {"leaf_const", &texts->leaf_const},
        {"num_features", &texts->num_features},     {"leaf_features", &texts->leaf_features},
        {"leaf_coeff", &texts->leaf_coeff},         {"internal_count", &texts->internal_count},
        {"leaf_count", &texts->leaf_count},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(fields); i++) {
        if (px_str_is(key, fields[i].key))
            *fields[i].text = value;
    }
}

static void take_lines(struct texts *texts, struct px_str *rest)
{
    while (rest->ptr) {
        struct px_str after = *rest;
        struct px_str line = px_lightgbm_line(&after);
        if (px_str_trim(line).len == 0 || px_str_starts(line, "Tree=") ||
            px_str_is(line, "end of trees"))
            return;
        struct px_str value = line;
        struct px_str key = px_str_cut(&value, '=');
        take_line(texts, key, value);
        *rest = after;
    }
}

/* The next word of `rest`, which are separated by runs of blanks; empty at the end. */
static struct px_str next_word(struct px_str *rest)
{
    *rest = px_str_trim(*rest);
    return rest->len ? px_str_cut(rest, ' ') : (struct px_str){0};
}

static enum px_code parse_list(struct px_str text, const char *key, size_t number,
                               struct px_lightgbm_numbers *ret, struct px_err *err)
{
    ret->len = 0;
    for (struct px_str rest = text, word; (word = next_word(&rest)).len;) {
        double *item = px_vec_push(ret);
        if (!item)
            return px_ir_no_memory(err);
        if (!px_str_to_f64(word, item))
            return px_err_set(err, PX_E_CORRUPT, "tree %zu: %s[%zu] is '%.*s', which is no number",
                              number, key, ret->len - 1, PX_STR_ARG(word));
    }
    return PX_OK;
}

/* A list that must have `n` numbers; with `whole`, integers of at most 32 bits and a sign. */
static enum px_code read_list(struct px_str text, const char *key, size_t number, size_t n,
                              bool whole, struct px_lightgbm_numbers *ret, struct px_err *err)
{
    enum px_code code = parse_list(text, key, number, ret, err);
    if (code != PX_OK)
        return code;
    if (ret->len != n)
        return px_err_set(err, PX_E_CORRUPT, "tree %zu: %s has %zu numbers, expected %zu", number,
                          key, ret->len, n);
    for (size_t i = 0; whole && i < n; i++) {
        if (!(fabs(ret->items[i]) <= (double)UINT32_MAX) || ret->items[i] != trunc(ret->items[i]))
            return px_err_set(err, PX_E_CORRUPT, "tree %zu: %s[%zu] is %g, expected an integer",
                              number, key, i, ret->items[i]);
    }
    return PX_OK;
}

static enum px_code read_count(struct px_str text, const char *key, size_t number, int64_t least,
                               size_t *ret, struct px_err *err)
{
    int64_t value;
    if (!px_str_to_i64(px_str_trim(text), &value) || value < least || value > PX_FOREST_NODES_MAX)
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu: %s is '%.*s', expected a number from %" PRId64 " to %d",
                          number, key, PX_STR_ARG(text), least, PX_FOREST_NODES_MAX);
    *ret = (size_t)value;
    return PX_OK;
}

/* decision_type may be absent in old files: then all splits are numeric, missing type None. */
static enum px_code read_decisions(struct px_lightgbm_tree *tree, struct px_str text, size_t number,
                                   size_t n, struct px_err *err)
{
    if (text.ptr)
        return read_list(text, "decision_type", number, n, true, &tree->decision, err);
    if (!px_vec_reserve(&tree->decision, n))
        return px_ir_no_memory(err);
    tree->decision.len = n;
    for (size_t i = 0; i < n; i++)
        tree->decision.items[i] = 0.0;
    return PX_OK;
}

static enum px_code read_splits(struct px_lightgbm_tree *tree, const struct texts *texts,
                                size_t number, size_t n, struct px_err *err)
{
    enum px_code code =
        read_list(texts->split_feature, "split_feature", number, n, true, &tree->feature, err);
    if (code == PX_OK)
        code = read_list(texts->threshold, "threshold", number, n, false, &tree->threshold, err);
    if (code == PX_OK)
        code = read_decisions(tree, texts->decision_type, number, n, err);
    if (code == PX_OK)
        code = read_list(texts->left_child, "left_child", number, n, true, &tree->left, err);
    if (code == PX_OK)
        code = read_list(texts->right_child, "right_child", number, n, true, &tree->right, err);
    return code;
}

/* The bit sets of categorical splits: boundaries in words, and the words. */
static enum px_code read_sets(struct px_lightgbm_tree *tree, const struct texts *texts,
                              size_t number, struct px_err *err)
{
    size_t n_sets = 0;
    enum px_code code = PX_OK;
    tree->set_starts.len = tree->set_words.len = 0;
    if (texts->num_cat.ptr)
        code = read_count(texts->num_cat, "num_cat", number, 0, &n_sets, err);
    if (code != PX_OK || n_sets == 0)
        return code;
    code = read_list(texts->cat_boundaries, "cat_boundaries", number, n_sets + 1, true,
                     &tree->set_starts, err);
    for (size_t k = 0; code == PX_OK && k <= n_sets; k++) {
        double before = k ? tree->set_starts.items[k - 1] : 0.0;
        if (tree->set_starts.items[k] < before || (k == 0 && tree->set_starts.items[k] != 0.0))
            code = px_err_set(err, PX_E_CORRUPT,
                              "tree %zu: cat_boundaries[%zu] is %g: expected numbers that ascend "
                              "from 0",
                              number, k, tree->set_starts.items[k]);
    }
    if (code != PX_OK)
        return code;
    return read_list(texts->cat_threshold, "cat_threshold", number,
                     (size_t)tree->set_starts.items[n_sets], true, &tree->set_words, err);
}

static enum px_code read_linear(struct px_lightgbm_tree *tree, const struct texts *texts,
                                size_t number, size_t n_leaves, struct px_err *err)
{
    enum px_code code = read_list(texts->leaf_const, "leaf_const", number, n_leaves, false,
                                  &tree->linear_constant, err);
    if (code == PX_OK)
        code = read_list(texts->num_features, "num_features", number, n_leaves, true,
                         &tree->linear_counts, err);
    double total = 0.0;
    for (size_t l = 0; code == PX_OK && l < n_leaves; l++) {
        if (tree->linear_counts.items[l] < 0.0)
            code =
                px_err_set(err, PX_E_CORRUPT, "tree %zu: num_features[%zu] is negative", number, l);
        total += tree->linear_counts.items[l];
    }
    if (code == PX_OK && total > PX_FOREST_NODES_MAX)
        code = px_err_set(err, PX_E_TOO_LARGE, "tree %zu: more than %d linear terms", number,
                          PX_FOREST_NODES_MAX);
    if (code == PX_OK)
        code = read_list(texts->leaf_features, "leaf_features", number, (size_t)total, true,
                         &tree->linear_features, err);
    if (code == PX_OK)
        code = read_list(texts->leaf_coeff, "leaf_coeff", number, (size_t)total, false,
                         &tree->linear_coefficients, err);
    return code;
}

static double act_on_zero(double t)
{
    bool tiny = t >= -PX_ZERO_THRESHOLD && t < PX_ZERO_THRESHOLD;
    if (!tiny) /* a NaN stays one, to be refused */
        return t;
    return t >= 0.0 ? PX_ZERO_THRESHOLD : nextafter(-PX_ZERO_THRESHOLD, -(double)INFINITY);
}

static uint8_t missing_rule(unsigned type)
{
    if (type == MISSING_NAN)
        return PX_MISSING_NAN;
    return type == MISSING_ZERO ? PX_MISSING_ZERO : PX_MISSING_AS_ZERO;
}

static enum px_code fill_set(struct px_lightgbm_tree *tree, struct px_forest_ir *ir, size_t i,
                             struct px_node *node, struct px_err *err)
{
    double k = tree->threshold.items[i];
    size_t n_sets = tree->set_starts.len ? tree->set_starts.len - 1 : 0;
    if (!(k >= 0.0 && k < (double)n_sets) || k != trunc(k))
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu, node %zu: threshold %g is no number of one of its %zu "
                          "category sets",
                          ir->trees.len, i, k, n_sets);
    size_t start = (size_t)tree->set_starts.items[(size_t)k];
    size_t n_words = (size_t)tree->set_starts.items[(size_t)k + 1] - start;
    if (n_words > PX_FOREST_CATEGORY_MAX / 32)
        return px_err_set(err, PX_E_TOO_LARGE,
                          "tree %zu, node %zu: categories beyond %d are not supported",
                          ir->trees.len, i, PX_FOREST_CATEGORY_MAX);
    uint32_t high = n_words ? (uint32_t)n_words * 32 - 1 : 0;
    enum px_code code = px_ir_add_set(ir, 0, high, &node->set, err);
    if (code != PX_OK)
        return code;
    uint32_t *words = &ir->set_words.items[ir->sets.items[node->set].first_word];
    for (size_t w = 0; w < n_words; w++) {
        double word = tree->set_words.items[start + w];
        if (word < 0.0)
            return px_err_set(err, PX_E_CORRUPT, "tree %zu: cat_threshold[%zu] is negative",
                              ir->trees.len, start + w);
        words[w] = (uint32_t)word;
    }
    return PX_OK;
}

static enum px_code fill_categorical(struct px_lightgbm_tree *tree, struct px_forest_ir *ir,
                                     size_t i, unsigned missing, struct px_node *node,
                                     struct px_err *err)
{
    enum px_code code = fill_set(tree, ir, i, node, err);
    if (code != PX_OK)
        return code;
    bool rules_differ = missing != MISSING_NAN && px_ir_in_set(ir, node->set, 0.0);
    node->kind = PX_NODE_SET;
    node->in_set_left = true;
    node->missing = PX_MISSING_NAN;
    node->default_left = rules_differ && tree->nan_is_category_0;
    tree->met_nan_rule |= rules_differ;
    return PX_OK;
}

static enum px_code fill_split(struct px_lightgbm_tree *tree, struct px_forest_ir *ir, size_t i,
                               size_t n_splits, struct px_err *err)
{
    double decision = tree->decision.items[i], feature = tree->feature.items[i];
    double left = tree->left.items[i], right = tree->right.items[i];
    struct px_file_node *out = &tree->nodes.items[i];
    unsigned bits = decision >= 0.0 && decision < 128.0 ? (unsigned)decision : 128;
    unsigned missing = bits >> 2 & 3;
    if (bits == 128 || missing > MISSING_NAN)
        return px_err_set(err, PX_E_CORRUPT, "tree %zu, node %zu: decision_type %g is unknown",
                          ir->trees.len, i, decision);
    *out = (struct px_file_node){
        .left = left < 0.0 ? (int64_t)n_splits - (int64_t)left - 1 : (int64_t)left,
        .right = right < 0.0 ? (int64_t)n_splits - (int64_t)right - 1 : (int64_t)right,
        .node = {.kind = PX_NODE_LE,
                 .threshold = act_on_zero(tree->threshold.items[i]),
                 .feature = feature >= 0.0 ? (uint32_t)feature : UINT32_MAX,
                 .missing = missing_rule(missing),
                 .default_left = bits & DECISION_DEFAULT_LEFT,
                 .set = PX_SET_NONE},
    };
    if ((left >= 0.0 && left >= (double)n_splits) || (right >= 0.0 && right >= (double)n_splits))
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu, node %zu: its children %g and %g are not inside a tree of %zu "
                          "splits",
                          ir->trees.len, i, left, right, n_splits);
    if (bits & DECISION_CATEGORICAL)
        return fill_categorical(tree, ir, i, missing, &out->node, err);
    return PX_OK;
}

static enum px_code add_linear_leaves(struct px_lightgbm_tree *tree, struct px_forest_ir *ir,
                                      struct px_err *err)
{
    struct px_tree *out = &ir->trees.items[ir->trees.len - 1];
    size_t term = 0;
    out->linear = true;
    out->first_linear = (uint32_t)ir->linear_leaves.len;
    for (uint32_t l = 0; l < out->n_leaves; l++) {
        struct px_linear_leaf *leaf = px_vec_push(&ir->linear_leaves);
        if (!leaf)
            return px_ir_no_memory(err);
        *leaf =
            (struct px_linear_leaf){tree->linear_constant.items[l], (uint32_t)ir->linear_terms.len,
                                    (uint32_t)tree->linear_counts.items[l]};
        for (uint32_t i = 0; i < leaf->n_terms; i++, term++) {
            double feature = tree->linear_features.items[term];
            struct px_linear_term *to = px_vec_push(&ir->linear_terms);
            if (!to)
                return px_ir_no_memory(err);
            *to = (struct px_linear_term){
                .coefficient = tree->linear_coefficients.items[term],
                .feature = feature >= 0.0 ? (uint32_t)feature : UINT32_MAX,
            };
        }
    }
    return PX_OK;
}

/* How many rows reached each node; nobody but explanations needs it, so a file may be without. */
static enum px_code read_covers(struct px_lightgbm_tree *tree, const struct texts *texts,
                                size_t number, size_t n_splits, struct px_err *err)
{
    size_t n = n_splits + n_splits + 1;
    tree->covers.len = 0;
    enum px_code code =
        parse_list(texts->internal_count, "internal_count", number, &tree->split_counts, err);
    if (code == PX_OK)
        code = parse_list(texts->leaf_count, "leaf_count", number, &tree->leaf_counts, err);
    bool is_stump = n_splits == 0; /* has one leaf, and sometimes no count of it */
    bool absent = tree->split_counts.len != n_splits || tree->leaf_counts.len != n_splits + 1;
    if (code != PX_OK || (absent && !is_stump))
        return code;
    if (!px_vec_reserve(&tree->covers, n))
        return px_ir_no_memory(err);
    for (size_t i = 0; i < n_splits; i++)
        tree->covers.items[i] = (float)tree->split_counts.items[i];
    for (size_t l = 0; l <= n_splits; l++)
        tree->covers.items[n_splits + l] = absent ? 0.0F : (float)tree->leaf_counts.items[l];
    tree->covers.len = n;
    return PX_OK;
}

static enum px_code build(struct px_lightgbm_tree *tree, struct px_forest_ir *ir, size_t n_splits,
                          struct px_err *err)
{
    size_t n_leaves = n_splits + 1;
    enum px_code code = PX_OK;
    if (!px_vec_reserve(&tree->nodes, n_splits + n_leaves))
        return px_ir_no_memory(err);
    tree->nodes.len = n_splits + n_leaves;
    for (size_t i = 0; code == PX_OK && i < n_splits; i++)
        code = fill_split(tree, ir, i, n_splits, err);
    if (code != PX_OK)
        return code;
    for (size_t l = 0; l < n_leaves; l++)
        tree->nodes.items[n_splits + l] =
            (struct px_file_node){.left = (int64_t)l, .node = {.kind = PX_NODE_LEAF}};
    struct px_file_tree file = {
        .nodes = tree->nodes.items,
        .n_nodes = n_splits + n_leaves,
        .values = tree->leaf_value.items,
        .n_rows = n_leaves,
        .width = 1,
        .covers = tree->covers.len ? tree->covers.items : NULL,
        .all_reached = true,
    };
    return px_ir_add_tree(ir, &file, err);
}

enum px_code px_lightgbm_read_tree(struct px_lightgbm_tree *tree, struct px_str *rest,
                                   struct px_forest_ir *ir, struct px_err *err)
{
    struct texts texts = {0};
    size_t number = ir->trees.len, n_leaves = 0, linear = 0;
    take_lines(&texts, rest);
    enum px_code code = read_count(texts.num_leaves, "num_leaves", number, 1, &n_leaves, err);
    if (code == PX_OK)
        code = read_splits(tree, &texts, number, n_leaves - 1, err);
    if (code == PX_OK)
        code = read_list(texts.leaf_value, "leaf_value", number, n_leaves, false, &tree->leaf_value,
                         err);
    if (code == PX_OK)
        code = read_sets(tree, &texts, number, err);
    if (code == PX_OK && texts.is_linear.ptr)
        code = read_count(texts.is_linear, "is_linear", number, 0, &linear, err);
    if (code == PX_OK && linear)
        code = read_linear(tree, &texts, number, n_leaves, err);
    if (code == PX_OK)
        code = read_covers(tree, &texts, number, n_leaves - 1, err);
    if (code == PX_OK)
        code = build(tree, ir, n_leaves - 1, err);
    return code == PX_OK && linear ? add_linear_leaves(tree, ir, err) : code;
}
