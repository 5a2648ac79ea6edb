/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ensembles into the internal form.
 *
 * The steps that stand before an ensemble are folded into its thresholds. Each of them is monotone, roundings
 * included, so the set of features x with `steps(x) <= t` is a ray, and its end is found by bisection over
 * all numbers of the element type: the split asks the same question of x itself, to the bit. (A
 * formula for the threshold would be wrong in the last place.) Where steps decrease, the ray points the
 * other way and the children change sides. NaN goes through the steps once: an imputer decides where it goes.
 *
 * GTE and GT are LT and LE with their children swapped, for everything but NaN, whose side is stated
 * anyway. EQ, NEQ and MEMBER are questions about lists of values.
 */
#include "domain/forest/readers/onnx/onnx_graph.h"

#include "shared/bits.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

struct emitter {
    struct px_onnx_graph *graph;
    struct px_forest_ir *ir;
    const struct px_onnx_used_ensemble *used;
    PX_VEC(struct px_file_node) nodes;
    struct px_doubles members;
};

/* The n-th number of the element type, counted from 0, negative ones downward; ordered as they are. */
static double nth_number(enum px_datatype type, int64_t n)
{
    uint64_t magnitude = (uint64_t)(n < 0 ? -n : n);
    double value = type == PX_TYPE_FP32 ? (double)px_f32_of_bits((uint32_t)magnitude)
                                        : px_f64_of_bits(magnitude);
    return n < 0 ? -value : value;
}

static int64_t number_of_infinity(enum px_datatype type)
{
    return type == PX_TYPE_FP32 ? INT64_C(0x7F800000) : INT64_C(0x7FF0000000000000);
}

/* A feature on its way to a split. */
struct path {
    enum px_datatype type;
    bool round_first; /* the graph's features are floats, requests bring doubles */
    const struct px_onnx_column *column;
};

static double follow(const struct path *path, double x)
{
    if (path->round_first)
        x = (double)(float)x;
    return px_steps_apply(path->column->steps, path->column->n_steps, x);
}

static bool decreases(const struct px_step *step)
{
    if (step->op == PX_STEP_NEG)
        return true;
    if (step->op == PX_STEP_SUB)
        return step->reversed;
    return (step->op == PX_STEP_MUL || step->op == PX_STEP_DIV) && step->constant < 0.0;
}

static bool path_decreases(const struct path *path)
{
    bool ret = false;
    for (size_t i = 0; i < path->column->n_steps; i++)
        ret ^= decreases(&path->column->steps[i]);
    return ret;
}

static bool says_yes(enum px_onnx_mode mode, double x, double threshold)
{
    if (mode == PX_ONNX_LEQ)
        return x <= threshold;
    if (mode == PX_ONNX_LT)
        return x < threshold;
    return mode == PX_ONNX_GTE ? x >= threshold : x > threshold;
}

/* The greatest number on whose path the answer is `wanted`, which holds for all below it; NaN: none. */
static double find_end(const struct path *path, const struct px_onnx_split *split, bool wanted)
{
    int64_t high = number_of_infinity(path->type), low = -high - 1;
    while (low < high) { /* the answer holds up to low, and not above high */
        int64_t middle = low + (int64_t)(((uint64_t)high - (uint64_t)low + 1) / 2);
        double x = follow(path, nth_number(path->type, middle));
        if (says_yes((enum px_onnx_mode)split->mode, x, split->threshold) == wanted)
            low = middle;
        else
            high = middle - 1;
    }
    return low < -number_of_infinity(path->type) ? (double)NAN : nth_number(path->type, low);
}

static bool is_list(uint8_t mode)
{
    return mode == PX_ONNX_EQ || mode == PX_ONNX_NEQ || mode == PX_ONNX_MEMBER;
}

static void swap_children(struct px_file_node *node)
{
    int64_t left = node->left;
    node->left = node->right;
    node->right = left;
    node->node.default_left = !node->node.default_left;
}

/* A split whose feature is compared as it is. */
static void compare_as_is(const struct px_onnx_split *split, struct px_file_node *node)
{
    bool or_equal = split->mode == PX_ONNX_LEQ || split->mode == PX_ONNX_GT;
    node->node.kind = or_equal ? PX_NODE_LE : PX_NODE_LT;
    node->node.threshold = split->threshold;
    if (split->mode == PX_ONNX_GTE || split->mode == PX_ONNX_GT)
        swap_children(node);
}

static void compare_folded(const struct path *path, const struct px_onnx_split *split,
                           struct px_file_node *node)
{
    bool low_says_yes =
        (split->mode == PX_ONNX_LEQ || split->mode == PX_ONNX_LT) != path_decreases(path);
    double end = isnan(split->threshold) ? (double)NAN : find_end(path, split, low_says_yes);
    node->node.kind = isnan(end) ? PX_NODE_LT : PX_NODE_LE;
    node->node.threshold = isnan(end) ? -(double)INFINITY : end;
    if (!low_says_yes)
        swap_children(node);
}

static bool in_members(const struct px_onnx_ensemble *e, const struct px_onnx_split *split,
                       double x)
{
    if (split->mode != PX_ONNX_MEMBER)
        return x == split->threshold;
    const struct px_onnx_list *list = &e->lists.items[split->list];
    for (uint32_t i = 0; i < list->n; i++) {
        if (e->members.items[list->first + i] == x)
            return true;
    }
    return false;
}

static bool nan_says_yes(const struct px_onnx_ensemble *e, const struct path *path,
                         const struct px_onnx_split *split)
{
    double x = follow(path, (double)NAN);
    if (isnan(x))
        return split->nan_is_yes;
    if (is_list(split->mode))
        return in_members(e, split, x) == (split->mode != PX_ONNX_NEQ);
    return says_yes((enum px_onnx_mode)split->mode, x, split->threshold);
}

static enum px_code collect_members(struct emitter *emitter, const struct px_onnx_split *split,
                                    struct px_err *err)
{
    const struct px_onnx_ensemble *e = &emitter->used->ensemble;
    struct px_onnx_list list = {.n = 1};
    const double *from = &split->threshold;
    if (split->mode == PX_ONNX_MEMBER) {
        list = e->lists.items[split->list];
        from = e->members.items + list.first;
    }
    emitter->members.len = 0;
    if (!px_vec_reserve(&emitter->members, list.n))
        return px_ir_no_memory(err);
    for (uint32_t i = 0; i < list.n; i++) {
        if (!isnan(from[i]))
            emitter->members.items[emitter->members.len++] = from[i];
    }
    return PX_OK;
}

/* Equality of a number that was computed from the feature holds for a range of features. */
static enum px_code check_list(const struct emitter *emitter, const struct path *path,
                               struct px_err *err)
{
    bool computed = path->round_first;
    for (size_t i = 0; i < path->column->n_steps; i++)
        computed = computed || path->column->steps[i].op != PX_STEP_IMPUTE;
    if (!computed)
        return PX_OK;
    return px_err_set(err, PX_E_UNSUPPORTED,
                      "%s: feature %" PRIu32 " is computed with and then compared for equality, "
                      "which is not served",
                      px_onnx_node_text(emitter->used->ensemble.node).text, path->column->feature);
}

static enum px_code compare_list(struct emitter *emitter, const struct path *path,
                                 const struct px_onnx_split *split, struct px_file_node *node,
                                 struct px_err *err)
{
    enum px_code code = check_list(emitter, path, err);
    if (code == PX_OK)
        code = collect_members(emitter, split, err);
    if (code == PX_OK)
        code = px_ir_add_values(emitter->ir, emitter->members.items, emitter->members.len,
                                &node->node.set, err);
    node->node.kind = PX_NODE_VALUES;
    node->node.in_set_left = split->mode != PX_ONNX_NEQ;
    return code;
}

static enum px_code make_split(struct emitter *emitter, const struct px_onnx_split *split,
                               struct px_file_node *node, struct px_err *err)
{
    const struct px_onnx_used_ensemble *used = emitter->used;
    const struct px_onnx_column as_is = {.feature = split->feature};
    bool inside = split->feature < used->n_columns;
    struct path path = {.type = emitter->ir->type,
                        .column = inside ? &used->columns[split->feature] : &as_is,
                        .round_first = emitter->ir->type == PX_TYPE_FP64 && !used->ensemble.wide};
    *node = (struct px_file_node){
        .node = {.feature = path.column->feature, .set = PX_SET_NONE},
        .left = split->yes,
        .right = split->no,
    };
    node->node.default_left = nan_says_yes(&used->ensemble, &path, split);
    if (is_list(split->mode))
        return compare_list(emitter, &path, split, node, err);
    if (path.column->n_steps == 0 && !path.round_first)
        compare_as_is(split, node);
    else
        compare_folded(&path, split, node);
    return PX_OK;
}

static enum px_code emit_tree(struct emitter *emitter, const struct px_onnx_tree *tree,
                              const double *values, struct px_err *err)
{
    const struct px_onnx_split *splits = &emitter->used->ensemble.splits.items[tree->first];
    enum px_code code = PX_OK;
    if (!px_vec_reserve(&emitter->nodes, tree->n))
        return px_ir_no_memory(err);
    for (size_t i = 0; code == PX_OK && i < tree->n; i++) {
        struct px_file_node *node = &emitter->nodes.items[i];
        if (splits[i].mode == PX_ONNX_LEAF)
            *node = (struct px_file_node){.node = {.kind = PX_NODE_LEAF}, .left = splits[i].yes};
        else
            code = make_split(emitter, &splits[i], node, err);
    }
    const struct px_file_tree file = {.nodes = emitter->nodes.items,
                                      .n_nodes = tree->n,
                                      .values = values,
                                      .n_rows = tree->n_rows,
                                      .width = tree->width};
    if (code == PX_OK)
        code = px_ir_add_tree(emitter->ir, &file, err);
    if (code == PX_OK)
        emitter->ir->trees.items[emitter->ir->trees.len - 1].output =
            tree->width == 1 ? tree->target : 0;
    return code;
}

/* In a forest of floats nothing may have been computed in double before the trees. */
static enum px_code check_columns(const struct emitter *emitter, struct px_err *err)
{
    const struct px_onnx_used_ensemble *used = emitter->used;
    bool wide_forest = emitter->ir->type == PX_TYPE_FP64;
    for (size_t i = 0; i < used->n_columns; i++) {
        for (size_t s = 0; s < used->columns[i].n_steps; s++) {
            if (used->columns[i].steps[s].single || (wide_forest && used->ensemble.wide))
                continue;
            return px_err_set(err, PX_E_UNSUPPORTED,
                              "%s: its input is computed in double and then rounded to float, "
                              "which is not served",
                              px_onnx_node_text(used->ensemble.node).text);
        }
    }
    return PX_OK;
}

static enum px_code emit_term(struct emitter *emitter, const struct px_onnx_term *term,
                              struct px_err *err)
{
    emitter->used = &emitter->graph->ensembles.items[term->ensemble];
    const struct px_onnx_ensemble *e = &emitter->used->ensemble;
    enum px_code code = check_columns(emitter, err);
    for (size_t t = 0; code == PX_OK && t < e->trees.len; t++) {
        const struct px_onnx_tree *tree = &e->trees.items[t];
        const double *values = term->values ? term->values : e->values.items + tree->first_value;
        code = emit_tree(emitter, tree, values, err);
    }
    if (code == PX_OK)
        return PX_OK;
    return px_err_wrap(err, "%s", px_onnx_node_text(e->node).text);
}

enum px_code px_onnx_emit(struct px_onnx_graph *graph, const struct px_onnx_scores *scores,
                          struct px_err *err)
{
    struct emitter emitter = {.graph = graph, .ir = graph->ir};
    bool wide = scores->wide;
    enum px_code code = PX_OK;
    for (size_t i = 0; i < scores->n_terms; i++)
        wide = wide || graph->ensembles.items[scores->terms[i].ensemble].ensemble.wide;
    graph->ir->type = wide ? PX_TYPE_FP64 : PX_TYPE_FP32;
    for (size_t i = 0; code == PX_OK && i < scores->n_terms; i++)
        code = emit_term(&emitter, &scores->terms[i], err);
    px_vec_free(&emitter.nodes);
    px_vec_free(&emitter.members);
    return code;
}
