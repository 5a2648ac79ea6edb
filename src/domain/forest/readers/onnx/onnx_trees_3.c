/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees of ai.onnx.ml 1 and 3: parallel lists, one element per node. A node is named by (tree id, node id),
 * and so are children and the leaves of votes: ids, not positions. Exporters number the nodes of a tree
 * 0, 1, 2... in file order, and then an id is a position; else a sorted index finds it.
 *
 * The nodes of a tree stand together (a tree id that comes back is refused: ONNX Runtime would take it for
 * one more tree). The first is the root.
 */
#include "domain/forest/readers/onnx/onnx_ensemble.h"

#include <inttypes.h>
#include <stdlib.h>

struct index_entry {
    uint32_t tree; /* its number in file order */
    uint32_t position;
    int64_t id; /* of the node */
};

struct tree_entry {
    int64_t id;
    uint32_t number;
};

struct node_lists_3 {
    struct px_onnx_ensemble *ensemble;
    struct px_ints trees, nodes, features, yes, no, missing;
    struct px_strs modes;
    struct px_doubles thresholds;
    struct px_ints vote_trees, vote_nodes, vote_targets;
    struct px_doubles vote_weights;
    PX_VEC(struct tree_entry) by_id;           /* trees, by id */
    PX_VEC(struct index_entry) by_tree_and_id; /* nodes; empty when ids are positions */
    PX_VEC(struct px_onnx_vote) votes;
};

static void free_lists(struct node_lists_3 *l)
{
    px_vec_free(&l->trees);
    px_vec_free(&l->nodes);
    px_vec_free(&l->features);
    px_vec_free(&l->yes);
    px_vec_free(&l->no);
    px_vec_free(&l->missing);
    px_vec_free(&l->modes);
    px_vec_free(&l->thresholds);
    px_vec_free(&l->vote_trees);
    px_vec_free(&l->vote_nodes);
    px_vec_free(&l->vote_targets);
    px_vec_free(&l->vote_weights);
    px_vec_free(&l->by_id);
    px_vec_free(&l->by_tree_and_id);
    px_vec_free(&l->votes);
}

struct int_list {
    const char *name;
    struct px_ints *list;
    bool optional;
};

static enum px_code get_int_lists(const struct px_onnx_model *model, const struct node_lists_3 *l,
                                  const struct int_list *lists, size_t n, struct px_err *err)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < n; i++) {
        code = px_onnx_get_ints(model, l->ensemble->node, lists[i].name, lists[i].list, err);
        bool absent = lists[i].optional && lists[i].list->len == 0;
        if (code == PX_OK && !absent)
            code = px_onnx_check_len(l->ensemble, lists[i].name, lists[i].list->len,
                                     lists[0].list->len, err);
    }
    return code;
}

static enum px_code get_nodes(const struct px_onnx_model *model, struct node_lists_3 *l,
                              struct px_err *err)
{
    const struct int_list lists[] = {
        {"nodes_treeids", &l->trees, false},
        {"nodes_nodeids", &l->nodes, false},
        {"nodes_featureids", &l->features, false},
        {"nodes_truenodeids", &l->yes, false},
        {"nodes_falsenodeids", &l->no, false},
        {"nodes_missing_value_tracks_true", &l->missing, true},
    };
    enum px_code code = get_int_lists(model, l, lists, PX_ARRAY_LEN(lists), err);
    if (code == PX_OK)
        code = px_onnx_get_texts(model, l->ensemble->node, "nodes_modes", &l->modes, err);
    if (code == PX_OK)
        code = px_onnx_check_len(l->ensemble, "nodes_modes", l->modes.len, l->trees.len, err);
    if (code == PX_OK)
        code = px_onnx_get_numbers(model, l->ensemble, "nodes_values", &l->thresholds, err);
    if (code == PX_OK)
        code = px_onnx_check_len(l->ensemble, "nodes_values", l->thresholds.len, l->trees.len, err);
    if (code == PX_OK && l->trees.len > PX_FOREST_NODES_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "the model has more than %d nodes",
                          PX_FOREST_NODES_MAX);
    return code;
}

static enum px_code get_votes(const struct px_onnx_model *model, struct node_lists_3 *l,
                              struct px_err *err)
{
    bool classes = l->ensemble->classifier;
    const struct int_list lists[] = {
        {classes ? "class_ids" : "target_ids", &l->vote_targets, false},
        {classes ? "class_treeids" : "target_treeids", &l->vote_trees, false},
        {classes ? "class_nodeids" : "target_nodeids", &l->vote_nodes, false},
    };
    const char *weights = classes ? "class_weights" : "target_weights";
    enum px_code code = get_int_lists(model, l, lists, PX_ARRAY_LEN(lists), err);
    if (code == PX_OK)
        code = px_onnx_get_numbers(model, l->ensemble, weights, &l->vote_weights, err);
    if (code != PX_OK)
        return code;
    return px_onnx_check_len(l->ensemble, weights, l->vote_weights.len, l->vote_targets.len, err);
}

static enum px_code bad_node(const struct node_lists_3 *l, size_t at, const char *what,
                             struct px_err *err)
{
    return px_err_set(err, PX_E_CORRUPT, "%s: tree %" PRId64 ", node %" PRId64 ": %s",
                      px_onnx_node_text(l->ensemble->node).text, l->trees.items[at],
                      l->nodes.items[at], what);
}

/* Cuts the list of nodes into trees. */
static enum px_code find_trees(struct node_lists_3 *l, struct px_err *err)
{
    struct px_onnx_tree *tree = NULL;
    for (size_t i = 0; i < l->trees.len; i++) {
        if (i == 0 || l->trees.items[i] != l->trees.items[i - 1]) {
            struct tree_entry *entry = px_vec_push(&l->by_id);
            tree = px_vec_push(&l->ensemble->trees);
            if (!tree || !entry)
                return px_ir_no_memory(err);
            *tree = (struct px_onnx_tree){.first = i};
            *entry = (struct tree_entry){l->trees.items[i], (uint32_t)(l->ensemble->trees.len - 1)};
        }
        tree->n++;
    }
    return PX_OK;
}

static int compare_trees(const void *a, const void *b)
{
    int64_t x = ((const struct tree_entry *)a)->id, y = ((const struct tree_entry *)b)->id;
    return (x > y) - (x < y);
}

static enum px_code sort_trees(struct node_lists_3 *l, struct px_err *err)
{
    struct tree_entry *entries = l->by_id.items;
    if (l->by_id.len > 1)
        qsort(entries, l->by_id.len, sizeof *entries, compare_trees);
    for (size_t i = 1; i < l->by_id.len; i++) {
        if (entries[i].id == entries[i - 1].id)
            return px_err_set(err, PX_E_UNSUPPORTED,
                              "%s: the nodes of tree %" PRId64 " do not stand together",
                              px_onnx_node_text(l->ensemble->node).text, entries[i].id);
    }
    return PX_OK;
}

static int compare_nodes(const void *a, const void *b)
{
    const struct index_entry *x = a, *y = b;
    if (x->tree != y->tree)
        return x->tree < y->tree ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static bool ids_are_positions(const struct node_lists_3 *l)
{
    const struct px_onnx_tree *tree;
    px_vec_foreach (tree, &l->ensemble->trees) {
        for (size_t i = 0; i < tree->n; i++) {
            if (l->nodes.items[tree->first + i] != (int64_t)i)
                return false;
        }
    }
    return true;
}

static enum px_code index_nodes(struct node_lists_3 *l, struct px_err *err)
{
    if (ids_are_positions(l))
        return PX_OK;
    if (!px_vec_reserve(&l->by_tree_and_id, l->nodes.len))
        return px_ir_no_memory(err);
    struct index_entry *entries = l->by_tree_and_id.items;
    for (size_t t = 0; t < l->ensemble->trees.len; t++) {
        const struct px_onnx_tree *tree = &l->ensemble->trees.items[t];
        for (size_t i = tree->first; i < tree->first + tree->n; i++)
            entries[i] = (struct index_entry){(uint32_t)t, (uint32_t)i, l->nodes.items[i]};
    }
    l->by_tree_and_id.len = l->nodes.len;
    qsort(entries, l->nodes.len, sizeof *entries, compare_nodes);
    for (size_t i = 1; i < l->nodes.len; i++) {
        if (compare_nodes(&entries[i - 1], &entries[i]) == 0)
            return bad_node(l, entries[i].position, "this id is there twice", err);
    }
    return PX_OK;
}

/* The position of a node among all, or -1. */
static int64_t find_node(const struct node_lists_3 *l, uint32_t number, int64_t id)
{
    const struct px_onnx_tree *tree = &l->ensemble->trees.items[number];
    if (l->by_tree_and_id.len == 0)
        return id >= 0 && (uint64_t)id < tree->n ? (int64_t)tree->first + id : -1;
    const struct index_entry key = {.tree = number, .id = id};
    const struct index_entry *found =
        bsearch(&key, l->by_tree_and_id.items, l->by_tree_and_id.len, sizeof key, compare_nodes);
    return found ? (int64_t)found->position : -1;
}

static const struct tree_entry *find_tree(const struct node_lists_3 *l, int64_t id)
{
    if (id >= 0 && (uint64_t)id < l->by_id.len && l->by_id.items[id].id == id)
        return &l->by_id.items[id];
    const struct tree_entry key = {.id = id};
    return bsearch(&key, l->by_id.items, l->by_id.len, sizeof key, compare_trees);
}

static int mode_of(struct px_str text)
{
    static const char *const names[] = {
        [PX_ONNX_LEQ] = "BRANCH_LEQ", [PX_ONNX_LT] = "BRANCH_LT", [PX_ONNX_GTE] = "BRANCH_GTE",
        [PX_ONNX_GT] = "BRANCH_GT",   [PX_ONNX_EQ] = "BRANCH_EQ", [PX_ONNX_NEQ] = "BRANCH_NEQ"};
    if (px_str_is(text, "LEAF"))
        return PX_ONNX_LEAF;
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++) {
        if (px_str_is(text, names[i]))
            return (int)i;
    }
    return -1;
}

static enum px_code find_child(const struct node_lists_3 *l, uint32_t number, size_t at, int64_t id,
                               uint32_t *ret, struct px_err *err)
{
    int64_t position = find_node(l, number, id);
    if (position < 0)
        return px_err_set(
            err, PX_E_CORRUPT,
            "%s: tree %" PRId64 ", node %" PRId64 ": its child %" PRId64 " is not in the tree",
            px_onnx_node_text(l->ensemble->node).text, l->trees.items[at], l->nodes.items[at], id);
    *ret = (uint32_t)((size_t)position - l->ensemble->trees.items[number].first);
    return PX_OK;
}

static void take_question(const struct node_lists_3 *l, size_t at, struct px_onnx_split *split)
{
    int64_t feature = l->features.items[at];
    split->threshold = l->thresholds.items[at];
    split->feature = feature < 0 || feature >= UINT32_MAX ? UINT32_MAX : (uint32_t)feature;
    split->nan_is_yes = (l->missing.len && l->missing.items[at] == 1) || split->mode == PX_ONNX_NEQ;
    if (feature > l->ensemble->feature_max)
        l->ensemble->feature_max = feature;
}

static enum px_code take_node(struct node_lists_3 *l, uint32_t number, size_t at,
                              struct px_onnx_split *split, struct px_err *err)
{
    int mode = mode_of(l->modes.items[at]);
    *split = (struct px_onnx_split){.mode = (uint8_t)mode};
    if (mode < 0)
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "%s: tree %" PRId64 ", node %" PRId64 ": mode '%.*s' is not known here",
                          px_onnx_node_text(l->ensemble->node).text, l->trees.items[at],
                          l->nodes.items[at], PX_STR_ARG(l->modes.items[at]));
    if (mode == PX_ONNX_LEAF) {
        split->yes = (uint32_t)l->ensemble->trees.items[number].n_rows++;
        return PX_OK;
    }
    take_question(l, at, split);
    enum px_code code = find_child(l, number, at, l->yes.items[at], &split->yes, err);
    if (code == PX_OK)
        code = find_child(l, number, at, l->no.items[at], &split->no, err);
    return code;
}

static enum px_code take_nodes(struct node_lists_3 *l, struct px_err *err)
{
    struct px_onnx_ensemble *ensemble = l->ensemble;
    enum px_code code = PX_OK;
    if (!px_vec_reserve(&ensemble->splits, l->trees.len))
        return px_ir_no_memory(err);
    for (size_t t = 0; code == PX_OK && t < ensemble->trees.len; t++) {
        size_t first = ensemble->trees.items[t].first, n = ensemble->trees.items[t].n;
        for (size_t i = first; code == PX_OK && i < first + n; i++) {
            code = take_node(l, (uint32_t)t, i, &ensemble->splits.items[i], err);
            ensemble->splits.len = i + 1;
        }
    }
    return code;
}

static enum px_code take_vote(struct node_lists_3 *l, size_t i, struct px_err *err)
{
    const struct tree_entry *tree = find_tree(l, l->vote_trees.items[i]);
    int64_t target = l->vote_targets.items[i];
    int64_t position = tree ? find_node(l, tree->number, l->vote_nodes.items[i]) : -1;
    if (position < 0)
        return px_err_set(err, PX_E_CORRUPT,
                          "%s: vote %zu is of node %" PRId64 " in tree %" PRId64
                          ", which is not there",
                          px_onnx_node_text(l->ensemble->node).text, i, l->vote_nodes.items[i],
                          l->vote_trees.items[i]);
    if (target < 0 || (uint64_t)target >= l->ensemble->n_targets)
        return px_err_set(
            err, PX_E_CORRUPT, "%s: vote %zu is for target %" PRId64 ", but there are %zu",
            px_onnx_node_text(l->ensemble->node).text, i, target, l->ensemble->n_targets);
    struct px_onnx_ensemble *e = l->ensemble;
    e->negative_votes = e->negative_votes || l->vote_weights.items[i] < 0.0;
    if (target < 2)
        e->voted[target] = true;
    /* Old exporters give weights to inner nodes too; they count for nothing. */
    if (e->splits.items[position].mode != PX_ONNX_LEAF)
        return PX_OK;
    struct px_onnx_vote *vote = px_vec_push(&l->votes);
    if (!vote)
        return px_ir_no_memory(err);
    *vote = (struct px_onnx_vote){tree->number, (uint32_t)position, (uint32_t)target,
                                  l->vote_weights.items[i]};
    return PX_OK;
}

static enum px_code take_votes(struct node_lists_3 *l, struct px_err *err)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < l->vote_targets.len; i++)
        code = take_vote(l, i, err);
    return code == PX_OK ? px_onnx_count_votes(l->ensemble, l->votes.items, l->votes.len, err)
                         : code;
}

enum px_code px_onnx_read_trees_3(const struct px_onnx_model *model,
                                  struct px_onnx_ensemble *ensemble, struct px_err *err)
{
    struct node_lists_3 l = {.ensemble = ensemble};
    enum px_code code = get_nodes(model, &l, err);
    if (code == PX_OK)
        code = find_trees(&l, err);
    if (code == PX_OK)
        code = sort_trees(&l, err);
    if (code == PX_OK)
        code = index_nodes(&l, err);
    if (code == PX_OK)
        code = take_nodes(&l, err);
    if (code == PX_OK)
        code = get_votes(model, &l, err);
    if (code == PX_OK)
        code = take_votes(&l, err);
    if (code == PX_OK)
        code = px_onnx_merge_equals(ensemble, err);
    free_lists(&l);
    return code;
}
