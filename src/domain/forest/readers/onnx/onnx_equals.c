/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of categories, as exporters write them for versions that know no MEMBER: a chain of EQ nodes,
 *
 *     x == 3 ? A : (x == 7 ? A : (x == 9 ? A : B))
 *
 * whose hits all lead to the same node A. So A has several parents, which a tree must not have. Such a
 * chain becomes one MEMBER node at its head. Every node is merged into one chain at most, and the root into
 * none, so the work is linear.
 */
#include "domain/forest/readers/onnx/onnx_ensemble.h"

struct chains {
    struct px_onnx_ensemble *ensemble;
    bool *merged; /* by split of the whole ensemble: it belongs to a chain, and is not its head */
};

/* Does the chain go on at the node behind a miss? */
static bool goes_on(const struct px_onnx_split *a, const struct px_onnx_split *b)
{
    return a->mode == PX_ONNX_EQ && b->mode == PX_ONNX_EQ && a->feature == b->feature &&
           a->yes == b->yes && a->nan_is_yes == b->nan_is_yes;
}

static enum px_code mark(const struct chains *chains, const struct px_onnx_tree *tree,
                         size_t number, struct px_err *err)
{
    const struct px_onnx_split *splits = &chains->ensemble->splits.items[tree->first];
    for (size_t i = 0; i < tree->n; i++) {
        if (splits[i].mode != PX_ONNX_EQ || !goes_on(&splits[i], &splits[splits[i].no]))
            continue;
        bool *merged = &chains->merged[tree->first + splits[i].no];
        if (*merged || splits[i].no == 0)
            return px_err_set(err, PX_E_CORRUPT,
                              "%s: tree %zu: the node at %u already has a parent or is the root (a "
                              "cycle or a shared node)",
                              px_onnx_node_text(chains->ensemble->node).text, number, splits[i].no);
        *merged = true;
    }
    return PX_OK;
}

static enum px_code add_member(struct px_onnx_ensemble *ensemble, double value, struct px_err *err)
{
    double *member = px_vec_push(&ensemble->members);
    if (!member)
        return px_ir_no_memory(err);
    *member = value;
    return PX_OK;
}

/* Turns the chain that starts at `head` into a MEMBER node. */
static enum px_code merge(const struct chains *chains, const struct px_onnx_tree *tree, size_t head,
                          struct px_err *err)
{
    struct px_onnx_ensemble *ensemble = chains->ensemble;
    struct px_onnx_split *splits = &ensemble->splits.items[tree->first];
    struct px_onnx_list *list = px_vec_push(&ensemble->lists);
    if (!list)
        return px_ir_no_memory(err);
    list->first = (uint32_t)ensemble->members.len;
    enum px_code code = add_member(ensemble, splits[head].threshold, err);
    uint32_t last = (uint32_t)head;
    while (code == PX_OK && goes_on(&splits[head], &splits[splits[last].no])) {
        last = splits[last].no;
        code = add_member(ensemble, splits[last].threshold, err);
    }
    list->n = (uint32_t)ensemble->members.len - list->first;
    splits[head].mode = PX_ONNX_MEMBER;
    splits[head].list = (uint32_t)(ensemble->lists.len - 1);
    splits[head].no = splits[last].no;
    return code;
}

static enum px_code merge_tree(const struct chains *chains, const struct px_onnx_tree *tree,
                               struct px_err *err)
{
    const struct px_onnx_split *splits = &chains->ensemble->splits.items[tree->first];
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < tree->n; i++) {
        bool chain = splits[i].mode == PX_ONNX_EQ && !chains->merged[tree->first + i] &&
                     goes_on(&splits[i], &splits[splits[i].no]);
        if (chain)
            code = merge(chains, tree, i, err);
    }
    return code;
}

enum px_code px_onnx_merge_equals(struct px_onnx_ensemble *ensemble, struct px_err *err)
{
    struct chains chains = {.ensemble = ensemble,
                            .merged = px_alloc(ensemble->splits.len + 1, sizeof(bool))};
    enum px_code code = chains.merged ? PX_OK : px_ir_no_memory(err);
    for (size_t t = 0; code == PX_OK && t < ensemble->trees.len; t++)
        code = mark(&chains, &ensemble->trees.items[t], t, err);
    for (size_t t = 0; code == PX_OK && t < ensemble->trees.len; t++)
        code = merge_tree(&chains, &ensemble->trees.items[t], err);
    px_free(chains.merged);
    return code;
}
