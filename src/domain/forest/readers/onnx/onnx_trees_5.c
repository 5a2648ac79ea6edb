/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees of ai.onnx.ml 5 (TreeEnsemble): inner nodes and leaves are numbered apart, and a flag beside each
 * child tells which of the two it is. Here every tree is walked breadth first from its root, its nodes
 * and leaves get numbers within the tree, and each inner node may be met once. A leaf may be met
 * several times; each meeting is a leaf of its own. A tree that is one leaf is written as a node with that
 * leaf on both sides.
 */
#include "domain/forest/readers/onnx/onnx_ensemble.h"

#include <inttypes.h>
#include <math.h>

struct tensors_5 {
    struct px_onnx_ensemble *ensemble;
    struct px_ints roots, features, yes, no, yes_leaf, no_leaf, missing, targets;
    struct px_onnx_tensor modes, splits, weights, members;
    bool *met;      /* by inner node */
    size_t *member; /* [n nodes]: where the members of a MEMBER node start */
    PX_VEC(struct px_onnx_vote) votes;
};

static void free_lists(struct tensors_5 *l)
{
    struct px_ints *ints[] = {&l->roots,    &l->features, &l->yes,     &l->no,
                              &l->yes_leaf, &l->no_leaf,  &l->missing, &l->targets};
    struct px_onnx_tensor *tensors[] = {&l->modes, &l->splits, &l->weights, &l->members};
    for (size_t i = 0; i < PX_ARRAY_LEN(ints); i++)
        px_vec_free(ints[i]);
    for (size_t i = 0; i < PX_ARRAY_LEN(tensors); i++)
        px_vec_free(&tensors[i]->values);
    px_free(l->met);
    px_free(l->member);
    px_vec_free(&l->votes);
}

static enum px_code get_tensor(const struct px_onnx_model *model, const struct tensors_5 *l,
                               const char *name, struct px_onnx_tensor *ret, struct px_err *err)
{
    int expected = l->ensemble->wide ? PX_ONNX_DOUBLE : PX_ONNX_FLOAT;
    if (ret == &l->modes)
        expected = PX_ONNX_UINT8;
    enum px_code code = px_onnx_get_tensor(model, l->ensemble->node, name, ret, err);
    if (code != PX_OK || ret->type == expected || (ret == &l->members && !ret->type))
        return code;
    if (!ret->type)
        return px_err_set(err, PX_E_CORRUPT, "%s: has no %s",
                          px_onnx_node_text(l->ensemble->node).text, name);
    return px_err_set(err, PX_E_UNSUPPORTED, "%s: %s is a tensor of type %s, expected %s",
                      px_onnx_node_text(l->ensemble->node).text, name, px_onnx_type_name(ret->type),
                      px_onnx_type_name(expected));
}

static enum px_code get_ints(const struct px_onnx_model *model, struct tensors_5 *l,
                             struct px_err *err)
{
    const struct {
        const char *name;
        struct px_ints *list;
        bool optional;
    } lists[] = {
        {"nodes_featureids", &l->features, false},
        {"nodes_truenodeids", &l->yes, false},
        {"nodes_falsenodeids", &l->no, false},
        {"nodes_trueleafs", &l->yes_leaf, false},
        {"nodes_falseleafs", &l->no_leaf, false},
        {"nodes_missing_value_tracks_true", &l->missing, true},
    };
    const struct px_onnx_node *node = l->ensemble->node;
    enum px_code code = px_onnx_get_ints(model, node, "tree_roots", &l->roots, err);
    if (code == PX_OK)
        code = px_onnx_get_ints(model, node, "leaf_targetids", &l->targets, err);
    for (size_t i = 0; code == PX_OK && i < PX_ARRAY_LEN(lists); i++) {
        code = px_onnx_get_ints(model, node, lists[i].name, lists[i].list, err);
        if (code == PX_OK && !(lists[i].optional && lists[i].list->len == 0))
            code = px_onnx_check_len(l->ensemble, lists[i].name, lists[i].list->len,
                                     l->features.len, err);
    }
    return code;
}

static enum px_code get_lists(const struct px_onnx_model *model, struct tensors_5 *l,
                              struct px_err *err)
{
    enum px_code code = get_ints(model, l, err);
    if (code == PX_OK)
        code = get_tensor(model, l, "nodes_modes", &l->modes, err);
    if (code == PX_OK)
        code = get_tensor(model, l, "nodes_splits", &l->splits, err);
    if (code == PX_OK)
        code = get_tensor(model, l, "leaf_weights", &l->weights, err);
    if (code == PX_OK)
        code = get_tensor(model, l, "membership_values", &l->members, err);
    size_t n = l->features.len;
    if (code == PX_OK)
        code = px_onnx_check_len(l->ensemble, "nodes_modes", l->modes.values.len, n, err);
    if (code == PX_OK)
        code = px_onnx_check_len(l->ensemble, "nodes_splits", l->splits.values.len, n, err);
    if (code == PX_OK)
        code = px_onnx_check_len(l->ensemble, "leaf_weights", l->weights.values.len, l->targets.len,
                                 err);
    if (code == PX_OK && (n > PX_FOREST_NODES_MAX / 4 || l->targets.len > PX_FOREST_NODES_MAX / 4))
        return px_err_set(err, PX_E_TOO_LARGE, "the model has more than %d nodes",
                          PX_FOREST_NODES_MAX / 4);
    return code;
}

/* The members of each MEMBER node stand in the order of the nodes' array, each list ended by a NaN. */
static enum px_code find_members(struct tensors_5 *l, struct px_err *err)
{
    const struct px_doubles *values = &l->members.values;
    size_t at = 0;
    for (size_t i = 0; i < l->features.len; i++) {
        if (!(l->modes.values.items[i] >= 0 && l->modes.values.items[i] <= PX_ONNX_MEMBER))
            return px_err_set(err, PX_E_UNSUPPORTED, "%s: node %zu: mode %g is not known here",
                              px_onnx_node_text(l->ensemble->node).text, i,
                              l->modes.values.items[i]);
        if (l->modes.values.items[i] != PX_ONNX_MEMBER)
            continue;
        l->member[i] = at;
        while (at < values->len && !isnan(values->items[at]))
            at++;
        if (at == values->len)
            return px_err_set(err, PX_E_CORRUPT,
                              "%s: membership_values end before the list of node %zu",
                              px_onnx_node_text(l->ensemble->node).text, i);
        at++;
    }
    if (at == values->len)
        return PX_OK;
    return px_err_set(err, PX_E_CORRUPT, "%s: membership_values has %zu values too many",
                      px_onnx_node_text(l->ensemble->node).text, values->len - at);
}

static enum px_code take_members(struct tensors_5 *l, size_t node, struct px_onnx_split *split,
                                 struct px_err *err)
{
    struct px_onnx_ensemble *e = l->ensemble;
    struct px_onnx_list *list = px_vec_push(&e->lists);
    size_t n = 0;
    const double *from = &l->members.values.items[l->member[node]];
    while (!isnan(from[n]))
        n++;
    if (!list || !px_vec_reserve(&e->members, e->members.len + n))
        return px_ir_no_memory(err);
    *list = (struct px_onnx_list){(uint32_t)e->members.len, (uint32_t)n};
    if (n)
        memcpy(&e->members.items[e->members.len], from, n * sizeof *from);
    e->members.len += n;
    split->list = (uint32_t)(e->lists.len - 1);
    return PX_OK;
}

static struct px_onnx_split *push_split(struct tensors_5 *l, struct px_onnx_tree *tree)
{
    struct px_onnx_split *split = px_vec_push(&l->ensemble->splits);
    if (split)
        *split = (struct px_onnx_split){0};
    tree->n += split != NULL;
    return split;
}

static enum px_code add_leaf(struct tensors_5 *l, struct px_onnx_tree *tree, int64_t leaf,
                             struct px_err *err)
{
    struct px_onnx_ensemble *e = l->ensemble;
    if (leaf < 0 || (uint64_t)leaf >= l->targets.len)
        return px_err_set(err, PX_E_CORRUPT, "%s: leaf %" PRId64 " is outside the list of %zu",
                          px_onnx_node_text(e->node).text, leaf, l->targets.len);
    int64_t target = l->targets.items[leaf];
    if (target < 0 || (uint64_t)target >= e->n_targets)
        return px_err_set(err, PX_E_CORRUPT,
                          "%s: leaf %" PRId64 " is for target %" PRId64 ", but there are %zu",
                          px_onnx_node_text(e->node).text, leaf, target, e->n_targets);
    struct px_onnx_split *split = push_split(l, tree);
    struct px_onnx_vote *vote = px_vec_push(&l->votes);
    if (!split || !vote)
        return px_ir_no_memory(err);
    split->mode = PX_ONNX_LEAF;
    split->yes = (uint32_t)tree->n_rows++;
    *vote = (struct px_onnx_vote){(uint32_t)(e->trees.len - 1), (uint32_t)(e->splits.len - 1),
                                  (uint32_t)target, l->weights.values.items[leaf]};
    return PX_OK;
}

/* Appends an inner node; until it is expanded, `yes` holds its number in the file. */
static enum px_code add_node(struct tensors_5 *l, struct px_onnx_tree *tree, int64_t node,
                             struct px_err *err)
{
    bool inside = node >= 0 && (uint64_t)node < l->features.len;
    if (!inside || l->met[node])
        return px_err_set(err, PX_E_CORRUPT, "%s: tree %zu: node %" PRId64 " %s",
                          px_onnx_node_text(l->ensemble->node).text, l->ensemble->trees.len - 1,
                          node,
                          inside ? "already has a parent or is a root (a cycle or a shared node)"
                                 : "is outside the list of nodes");
    struct px_onnx_split *split = push_split(l, tree);
    if (!split)
        return px_ir_no_memory(err);
    l->met[node] = true;
    split->mode = (uint8_t)l->modes.values.items[node];
    split->yes = (uint32_t)node;
    return PX_OK;
}

static enum px_code take_question(struct tensors_5 *l, size_t node, struct px_onnx_split *split,
                                  struct px_err *err)
{
    int64_t feature = l->features.items[node];
    split->threshold = l->splits.values.items[node];
    split->feature = feature < 0 || feature >= UINT32_MAX ? UINT32_MAX : (uint32_t)feature;
    split->nan_is_yes =
        (l->missing.len && l->missing.items[node] == 1) || split->mode == PX_ONNX_NEQ;
    if (feature > l->ensemble->feature_max)
        l->ensemble->feature_max = feature;
    return split->mode == PX_ONNX_MEMBER ? take_members(l, node, split, err) : PX_OK;
}

static enum px_code add_child(struct tensors_5 *l, struct px_onnx_tree *tree, int64_t child,
                              bool leaf, struct px_err *err)
{
    return leaf ? add_leaf(l, tree, child, err) : add_node(l, tree, child, err);
}

static enum px_code expand(struct tensors_5 *l, struct px_onnx_tree *tree, size_t at,
                           struct px_err *err)
{
    struct px_onnx_split *split = &l->ensemble->splits.items[at];
    size_t node = split->yes;
    split->yes = (uint32_t)tree->n;
    split->no = split->yes + 1;
    enum px_code code = take_question(l, node, split, err);
    if (code == PX_OK)
        code = add_child(l, tree, l->yes.items[node], l->yes_leaf.items[node] != 0, err);
    if (code == PX_OK)
        code = add_child(l, tree, l->no.items[node], l->no_leaf.items[node] != 0, err);
    return code;
}

static bool is_one_leaf(const struct tensors_5 *l, int64_t root)
{
    return root >= 0 && (uint64_t)root < l->features.len && l->yes_leaf.items[root] &&
           l->no_leaf.items[root] && l->yes.items[root] == l->no.items[root];
}

static enum px_code take_tree(struct tensors_5 *l, int64_t root, struct px_err *err)
{
    struct px_onnx_ensemble *e = l->ensemble;
    struct px_onnx_tree *tree = px_vec_push(&e->trees);
    if (!tree)
        return px_ir_no_memory(err);
    *tree = (struct px_onnx_tree){.first = e->splits.len};
    if (is_one_leaf(l, root))
        return add_leaf(l, tree, l->yes.items[root], err);
    enum px_code code = add_node(l, tree, root, err);
    for (size_t at = tree->first; code == PX_OK && at < e->splits.len; at++) {
        if (e->splits.items[at].mode != PX_ONNX_LEAF)
            code = expand(l, tree, at, err);
    }
    return code;
}

static enum px_code take_trees(struct tensors_5 *l, struct px_err *err)
{
    l->met = px_alloc(l->features.len + 1, sizeof *l->met);
    l->member = px_alloc(l->features.len + 1, sizeof *l->member);
    enum px_code code = l->met && l->member ? find_members(l, err) : px_ir_no_memory(err);
    for (size_t i = 0; code == PX_OK && i < l->roots.len; i++)
        code = take_tree(l, l->roots.items[i], err);
    return code == PX_OK ? px_onnx_count_votes(l->ensemble, l->votes.items, l->votes.len, err)
                         : code;
}

enum px_code px_onnx_read_trees_5(const struct px_onnx_model *model,
                                  struct px_onnx_ensemble *ensemble, struct px_err *err)
{
    struct tensors_5 l = {.ensemble = ensemble};
    enum px_code code = get_lists(model, &l, err);
    if (code == PX_OK)
        code = take_trees(&l, err);
    free_lists(&l);
    return code;
}
