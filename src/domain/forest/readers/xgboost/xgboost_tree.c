/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree object is a set of parallel arrays over its nodes. Three things differ by version:
 *
 * - default_left holds booleans in 1.0 to 1.5, numbers later; px_doc_ints takes both.
 * - split_type and the categories_* arrays are absent before 1.3: all splits are numeric then.
 * - Vector leaves (size_leaf_vector K > 1): up to 3.1 the K values of node n are row n of base_weights;
 *   from 3.2 on they are a row of leaf_weights, whose number stands in right_children of the leaf.
 *   In a scalar tree the leaf's value is its split_condition, never its base_weight.
 *
 * A node is a leaf if and only if its left child is -1. Pruned nodes stay in the arrays without a path
 * to them; px_ir_add_tree drops those. Categorical splits list the codes that go right.
 */
#include "domain/forest/readers/xgboost/xgboost_tree.h"

#include <inttypes.h>

void px_xgboost_tree_deinit(struct px_xgboost_tree *tree)
{
    struct px_ints *ints[] = {&tree->left,           &tree->right,           &tree->feature,
                              &tree->default_left,   &tree->split_type,      &tree->categories,
                              &tree->category_nodes, &tree->category_starts, &tree->category_sizes};
    struct px_floats *floats[] = {&tree->threshold, &tree->base_weights, &tree->leaf_weights,
                                  &tree->cover};
    for (size_t i = 0; i < PX_ARRAY_LEN(ints); i++)
        px_vec_free(ints[i]);
    for (size_t i = 0; i < PX_ARRAY_LEN(floats); i++)
        px_vec_free(floats[i]);
    px_vec_free(&tree->nodes);
    px_vec_free(&tree->values);
}

static void read_tree_param(struct px_doc *doc, void *target)
{
    struct px_xgboost_tree *tree = target;
    const struct px_doc_field fields[] = {
        {"num_nodes", px_doc_read_param, &tree->num_nodes},
        {"size_leaf_vector", px_doc_read_param, &tree->leaf_width},
    };
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

static void read_fields(struct px_xgboost_tree *tree, struct px_doc *doc)
{
    const struct px_doc_field fields[] = {
        {"id", px_doc_read_i64, &tree->id},
        {"tree_param", read_tree_param, tree},
        {"left_children", px_doc_read_ints, &tree->left},
        {"right_children", px_doc_read_ints, &tree->right},
        {"split_indices", px_doc_read_ints, &tree->feature},
        {"default_left", px_doc_read_ints, &tree->default_left},
        {"split_type", px_doc_read_ints, &tree->split_type},
        {"categories", px_doc_read_ints, &tree->categories},
        {"categories_nodes", px_doc_read_ints, &tree->category_nodes},
        {"categories_segments", px_doc_read_ints, &tree->category_starts},
        {"categories_sizes", px_doc_read_ints, &tree->category_sizes},
        {"split_conditions", px_doc_read_floats, &tree->threshold},
        {"base_weights", px_doc_read_floats, &tree->base_weights},
        {"sum_hessian", px_doc_read_floats, &tree->cover},
        {"leaf_weights", px_doc_read_floats, &tree->leaf_weights},
    };
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

static void forget_fields(struct px_xgboost_tree *tree)
{
    tree->id = -1;
    tree->num_nodes = -1;
    tree->leaf_width = 0;
    tree->left.len = tree->right.len = tree->feature.len = 0;
    tree->default_left.len = tree->split_type.len = tree->categories.len = 0;
    tree->category_nodes.len = tree->category_starts.len = tree->category_sizes.len = 0;
    tree->threshold.len = tree->base_weights.len = tree->leaf_weights.len = tree->cover.len = 0;
}

static enum px_code check_length(size_t number, const char *field, size_t got, size_t want,
                                 struct px_err *err)
{
    if (got == want)
        return PX_OK;
    return px_err_set(err, PX_E_CORRUPT,
                      "tree %zu: %s has %zu elements, but the tree has %zu nodes", number, field,
                      got, want);
}

static enum px_code check_lengths(const struct px_xgboost_tree *tree, size_t number,
                                  struct px_err *err)
{
    size_t n = tree->left.len;
    if (tree->num_nodes < 0 || (uint64_t)tree->num_nodes != n)
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu: num_nodes is %" PRId64 ", but left_children has %zu elements",
                          number, tree->num_nodes, n);
    if (tree->id >= 0 && (uint64_t)tree->id != number)
        return px_err_set(err, PX_E_CORRUPT, "tree %zu: its id is %" PRId64, number, tree->id);
    const struct {
        const char *field;
        size_t len;
    } arrays[] = {
        {"right_children", tree->right.len},
        {"split_indices", tree->feature.len},
        {"split_conditions", tree->threshold.len},
        {"default_left", tree->default_left.len},
        {"split_type", tree->split_type.len ? tree->split_type.len : n},
    };
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < PX_ARRAY_LEN(arrays); i++)
        code = check_length(number, arrays[i].field, arrays[i].len, n, err);
    if (code != PX_OK)
        return code;
    size_t n_sets = tree->category_nodes.len;
    if (tree->category_starts.len != n_sets || tree->category_sizes.len != n_sets)
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu: categories_nodes, categories_segments and categories_sizes "
                          "differ in length (%zu, %zu, %zu)",
                          number, n_sets, tree->category_starts.len, tree->category_sizes.len);
    return PX_OK;
}

/* The leaf values as one table of rows, and its width. */
static enum px_code gather_values(struct px_xgboost_tree *tree, size_t number,
                                  struct px_file_tree *out, struct px_err *err)
{
    const struct px_floats *source = &tree->threshold;
    out->width = 1;
    if (tree->leaf_width > PX_FOREST_OUTPUTS_MAX || tree->leaf_width < 0)
        return px_err_set(err, PX_E_TOO_LARGE,
                          "tree %zu: size_leaf_vector is %" PRId64 "; the limit is %d", number,
                          tree->leaf_width, PX_FOREST_OUTPUTS_MAX);
    if (tree->leaf_width > 1) {
        out->width = (size_t)tree->leaf_width;
        source = tree->leaf_weights.len ? &tree->leaf_weights : &tree->base_weights;
        size_t want = tree->leaf_weights.len ? source->len / out->width : tree->left.len;
        if (source->len != want * out->width)
            return px_err_set(
                err, PX_E_CORRUPT,
                "tree %zu: %s has %zu elements, which does not fit leaves of %zu values", number,
                tree->leaf_weights.len ? "leaf_weights" : "base_weights", source->len, out->width);
    }
    if (!px_vec_reserve(&tree->values, source->len))
        return px_ir_no_memory(err);
    for (size_t i = 0; i < source->len; i++)
        tree->values.items[i] = (double)source->items[i];
    out->values = tree->values.items;
    out->n_rows = source->len / out->width;
    return PX_OK;
}

static enum px_code check_flag(int64_t value, const char *field, size_t number, size_t i,
                               struct px_err *err)
{
    if (value == 0 || value == 1)
        return PX_OK;
    return px_err_set(err, PX_E_CORRUPT, "tree %zu, node %zu: %s is %" PRId64 " (expected 0 or 1)",
                      number, i, field, value);
}

/* Fills the file node `i`; a categorical split gets its set later. */
static enum px_code fill_node(const struct px_xgboost_tree *tree, size_t number, size_t i,
                              struct px_file_node *out, struct px_err *err)
{
    int64_t feature = tree->feature.items[i];
    int64_t split_type = tree->split_type.len ? tree->split_type.items[i] : 0;
    bool leaf = tree->left.items[i] == -1;
    bool leaf_table = tree->leaf_width > 1 && tree->leaf_weights.len;
    enum px_code code = check_flag(split_type, "split_type", number, i, err);
    if (code == PX_OK)
        code = check_flag(tree->default_left.items[i], "default_left", number, i, err);
    if (code != PX_OK)
        return code;
    *out = (struct px_file_node){
        .left = tree->left.items[i],
        .right = tree->right.items[i],
        .node = {.threshold = (double)tree->threshold.items[i],
                 .kind = split_type ? PX_NODE_SET : PX_NODE_LT,
                 .feature = feature >= 0 && feature < UINT32_MAX ? (uint32_t)feature : UINT32_MAX,
                 .default_left = tree->default_left.items[i] != 0,
                 .set = PX_SET_NONE},
    };
    if (leaf) {
        out->node.kind = PX_NODE_LEAF;
        out->left = leaf_table ? tree->right.items[i] : (int64_t)i;
    }
    return PX_OK;
}

static enum px_code check_segment(const struct px_xgboost_tree *tree, size_t number, size_t j,
                                  struct px_err *err)
{
    int64_t node = tree->category_nodes.items[j];
    int64_t start = tree->category_starts.items[j], size = tree->category_sizes.items[j];
    int64_t total = (int64_t)tree->categories.len;
    if (node < 0 || (uint64_t)node >= tree->nodes.len)
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu: categories_nodes names node %" PRId64 " of %zu", number, node,
                          tree->nodes.len);
    if (start < 0 || size <= 0 || start > total || size > total - start)
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu, node %" PRId64 ": its categories [%" PRId64 ", +%" PRId64
                          ") are not inside the list of %" PRId64,
                          number, node, start, size, total);
    if (tree->nodes.items[node].node.set != PX_SET_NONE)
        return px_err_set(err, PX_E_CORRUPT, "tree %zu, node %" PRId64 ": two sets of categories",
                          number, node);
    return PX_OK;
}

/* Turns the listed codes of segment `j` into a set. */
static enum px_code add_set(struct px_xgboost_tree *tree, struct px_forest_ir *ir, size_t j,
                            struct px_err *err)
{
    const int64_t *codes = tree->categories.items + tree->category_starts.items[j];
    int64_t n = tree->category_sizes.items[j], low = INT64_MAX, high = 0;
    for (int64_t i = 0; i < n; i++) {
        if (codes[i] < 0 || codes[i] >= PX_FOREST_CATEGORY_MAX)
            return px_err_set(err, PX_E_CORRUPT,
                              "tree %zu, node %" PRId64 ": category %" PRId64
                              " is not in [0, 2^24)",
                              ir->trees.len, tree->category_nodes.items[j], codes[i]);
        low = codes[i] < low ? codes[i] : low;
        high = codes[i] > high ? codes[i] : high;
    }
    struct px_node *node = &tree->nodes.items[tree->category_nodes.items[j]].node;
    enum px_code code = px_ir_add_set(ir, (uint32_t)low, (uint32_t)high, &node->set, err);
    for (int64_t i = 0; code == PX_OK && i < n; i++)
        px_ir_set_insert(ir, node->set, (uint32_t)codes[i]);
    return code;
}

static enum px_code add_sets(struct px_xgboost_tree *tree, struct px_forest_ir *ir,
                             struct px_err *err)
{
    enum px_code code = PX_OK;
    for (size_t j = 0; code == PX_OK && j < tree->category_nodes.len; j++) {
        code = check_segment(tree, ir->trees.len, j, err);
        if (code == PX_OK)
            code = add_set(tree, ir, j, err);
    }
    return code;
}

static enum px_code build(struct px_xgboost_tree *tree, struct px_forest_ir *ir, struct px_err *err)
{
    size_t number = ir->trees.len, n = tree->left.len;
    struct px_file_tree out = {.n_nodes = n, .siblings_adjacent = true};
    enum px_code code = check_lengths(tree, number, err);
    if (code == PX_OK)
        code = gather_values(tree, number, &out, err);
    if (code == PX_OK && !px_vec_reserve(&tree->nodes, n))
        code = px_ir_no_memory(err);
    if (code != PX_OK)
        return code;
    tree->nodes.len = n;
    for (size_t i = 0; code == PX_OK && i < n; i++)
        code = fill_node(tree, number, i, &tree->nodes.items[i], err);
    if (code == PX_OK)
        code = add_sets(tree, ir, err);
    out.nodes = tree->nodes.items;
    out.covers = tree->cover.len == n ? tree->cover.items : NULL;
    return code == PX_OK ? px_ir_add_tree(ir, &out, err) : code;
}

enum px_code px_xgboost_read_tree(struct px_xgboost_tree *tree, struct px_doc *doc,
                                  struct px_forest_ir *ir, struct px_err *err)
{
    forget_fields(tree);
    read_fields(tree, doc);
    if (px_doc_check(doc, err) != PX_OK)
        return px_err_wrap(err, "tree %zu", ir->trees.len);
    return build(tree, ir, err);
}
