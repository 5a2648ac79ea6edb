/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building and checking the internal form.
 *
 * The walk of px_ir_add_tree is breadth first, and the output array is its own queue: position i of the
 * output was reached as node `raw[i]` of the file. Each file node may be reached once; together with the
 * bounds check that excludes cycles, shared children and run-away sizes in one pass of O(nodes).
 *
 * Memory stays within a constant times the file: readers hand over arrays that the file spells out,
 * and nothing here grows by a number that is only declared, except n_features (PX_FOREST_FEATURES_MAX
 * bytes of flags) and base scores (PX_FOREST_OUTPUTS_MAX doubles). Each leaf gets its own copy of its row
 * of values; so that a small file cannot have one long row copied for thousands of leaves, a tree may
 * not have more leaves than rows.
 */
#include "domain/forest/ir.h"

#include "shared/bits.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

enum {
    ARENA_SLACK = 48 << 20,
    SET_WORDS_SLACK = 16 << 20, /* 64 MB */
    WARNINGS_MAX = 32,
    WARNING_TEXT_MAX = 512,
};

void px_ir_init(struct px_forest_ir *ir, enum px_forest_format format, enum px_datatype type,
                size_t file_size)
{
    size_t texts = file_size > SIZE_MAX / 16 ? SIZE_MAX / 2 : file_size * 8;
    *ir = (struct px_forest_ir){
        .format = format, .type = type, .sum_divisor = 1.0, .sum_factor = 1.0};
    ir->arena = px_arena(texts + ARENA_SLACK);
    ir->set_words_max = file_size < UINT32_MAX / 2 ? file_size + SET_WORDS_SLACK : UINT32_MAX;
}

void px_ir_deinit(struct px_forest_ir *ir)
{
    px_vec_free(&ir->trees);
    px_vec_free(&ir->nodes);
    px_vec_free(&ir->covers);
    px_vec_free(&ir->leaf_values);
    px_vec_free(&ir->sets);
    px_vec_free(&ir->set_words);
    px_vec_free(&ir->value_lists);
    px_vec_free(&ir->values);
    px_vec_free(&ir->linear_leaves);
    px_vec_free(&ir->linear_terms);
    px_vec_free(&ir->used_features);
    px_vec_free(&ir->warnings);
    px_arena_deinit(&ir->arena);
}

enum px_code px_ir_no_memory(struct px_err *err)
{
    return px_err_set(err, PX_E_NO_MEMORY, "not enough memory to hold the model");
}

/* A tree under construction: the file's tree, and which of its nodes were reached. */
struct walk {
    struct px_forest_ir *ir;
    const struct px_file_tree *tree;
    size_t number;  /* of the tree */
    uint32_t first; /* its first node in ir->nodes */
    uint32_t *raw;  /* [n_nodes]: file node of output node i */
    bool *reached;  /* [n_nodes] by file node */
    struct px_tree out;
};

static enum px_code bad_child(const struct walk *walk, size_t parent, int64_t child,
                              struct px_err *err)
{
    bool inside = child >= 0 && (uint64_t)child < walk->tree->n_nodes;
    if (!inside)
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu, node %zu: child %" PRId64 " is outside the tree of %zu nodes",
                          walk->number, parent, child, walk->tree->n_nodes);
    return px_err_set(err, PX_E_CORRUPT,
                      "tree %zu, node %zu: child %" PRId64
                      " already has a parent or is the root (a cycle or a shared node)",
                      walk->number, parent, child);
}

/* Appends file node `child` to the output; its place in the queue is its place in the tree. */
static enum px_code reach(struct walk *walk, size_t parent, int64_t child, struct px_err *err)
{
    bool inside = child >= 0 && (uint64_t)child < walk->tree->n_nodes;
    if (!inside || walk->reached[child])
        return bad_child(walk, parent, child, err);
    struct px_node *node = px_vec_push(&walk->ir->nodes);
    if (!node)
        return px_ir_no_memory(err);
    *node = walk->tree->nodes[child].node;
    node->file_id = (uint32_t)child;
    walk->reached[child] = true;
    walk->raw[walk->out.n_nodes++] = (uint32_t)child;
    return PX_OK;
}

static enum px_code check_split(const struct walk *walk, const struct px_node *node,
                                struct px_err *err)
{
    bool numeric = node->kind == PX_NODE_LT || node->kind == PX_NODE_LE;
    if (numeric && isnan(node->threshold))
        return px_err_set(err, PX_E_CORRUPT, "tree %zu, node %" PRIu32 ": the threshold is NaN",
                          walk->number, node->file_id);
    if (node->kind == PX_NODE_SET && node->set == PX_SET_NONE)
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu, node %" PRIu32 ": a categorical split without categories",
                          walk->number, node->file_id);
    PX_ASSERT(node->kind != PX_NODE_SET || node->set < walk->ir->sets.len);
    PX_ASSERT(node->kind != PX_NODE_VALUES || node->set < walk->ir->value_lists.len);
    return PX_OK;
}

static enum px_code expand_split(struct walk *walk, uint32_t at, struct px_err *err)
{
    const struct px_file_node *file = &walk->tree->nodes[walk->raw[at]];
    struct px_node *node = &walk->ir->nodes.items[walk->first + at];
    enum px_code code = check_split(walk, node, err);
    if (code != PX_OK)
        return code;
    node->left = walk->out.n_nodes;
    if (walk->tree->siblings_adjacent && (uint64_t)file->right != (uint64_t)file->left + 1)
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu, node %" PRIu32 ": its children %" PRId64 " and %" PRId64
                          " are not neighbours",
                          walk->number, walk->raw[at], file->left, file->right);
    code = reach(walk, walk->raw[at], file->left, err);
    return code == PX_OK ? reach(walk, walk->raw[at], file->right, err) : code;
}

/* Levels of the breadth-first order give the depth. */
static enum px_code walk_nodes(struct walk *walk, struct px_err *err)
{
    enum px_code code = reach(walk, 0, 0, err);
    uint32_t level_end = 1;
    for (uint32_t at = 0; code == PX_OK && at < walk->out.n_nodes; at++) {
        if (at == level_end) {
            walk->out.depth++;
            level_end = walk->out.n_nodes;
        }
        if (walk->ir->nodes.items[walk->first + at].kind != PX_NODE_LEAF)
            code = expand_split(walk, at, err);
    }
    return code;
}

static enum px_code add_leaf_values(struct walk *walk, const struct px_file_node *leaf, size_t id,
                                    struct px_err *err)
{
    const struct px_file_tree *tree = walk->tree;
    if (leaf->left < 0 || (uint64_t)leaf->left >= tree->n_rows)
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu, node %zu: leaf value %" PRId64 " is outside the table of %zu",
                          walk->number, id, leaf->left, tree->n_rows);
    if (walk->out.n_leaves == tree->n_rows)
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu: more leaves than the %zu rows of leaf values", walk->number,
                          tree->n_rows);
    if (!px_vec_reserve(&walk->ir->leaf_values, walk->ir->leaf_values.len + tree->width))
        return px_ir_no_memory(err);
    for (size_t k = 0; k < tree->width; k++) {
        double value = tree->values[(size_t)leaf->left * tree->width + k];
        if (isnan(value))
            return px_err_set(err, PX_E_CORRUPT, "tree %zu, node %zu: the leaf value is NaN",
                              walk->number, id);
        walk->ir->leaf_values.items[walk->ir->leaf_values.len++] = value;
    }
    return PX_OK;
}

/* Numbers the reached leaves in the file's order and copies their values. */
static enum px_code number_leaves(struct walk *walk, struct px_err *err)
{
    uint32_t *position = walk->raw; /* reused: by file node, the place in the output */
    const struct px_node *nodes = &walk->ir->nodes.items[walk->first];
    for (uint32_t at = 0; at < walk->out.n_nodes; at++)
        position[nodes[at].file_id] = at;
    for (size_t id = 0; id < walk->tree->n_nodes; id++) {
        const struct px_file_node *file = &walk->tree->nodes[id];
        if (!walk->reached[id] && walk->tree->all_reached)
            return px_err_set(err, PX_E_CORRUPT,
                              "tree %zu, node %zu: no path from the root leads to it", walk->number,
                              id);
        if (!walk->reached[id] || file->node.kind != PX_NODE_LEAF)
            continue;
        enum px_code code = add_leaf_values(walk, file, id, err);
        if (code != PX_OK)
            return code;
        walk->ir->nodes.items[walk->first + position[id]].left = walk->out.n_leaves++;
    }
    return PX_OK;
}

/* A tree without covers leaves the list short, and px_ir_finish drops it. */
static enum px_code copy_covers(struct walk *walk, struct px_err *err)
{
    struct px_forest_ir *ir = walk->ir;
    if (!walk->tree->covers || ir->covers.len != walk->first)
        return PX_OK;
    if (!px_vec_reserve(&ir->covers, ir->nodes.len))
        return px_ir_no_memory(err);
    for (uint32_t at = 0; at < walk->out.n_nodes; at++)
        ir->covers.items[walk->first + at] = walk->tree->covers[walk->raw[at]];
    ir->covers.len = ir->nodes.len;
    return PX_OK;
}

static enum px_code build_tree(struct walk *walk, struct px_err *err)
{
    enum px_code code = walk_nodes(walk, err);
    if (code == PX_OK)
        code = copy_covers(walk, err);
    if (code == PX_OK)
        code = number_leaves(walk, err);
    if (code != PX_OK)
        return code;
    struct px_tree *tree = px_vec_push(&walk->ir->trees);
    if (!tree)
        return px_ir_no_memory(err);
    *tree = walk->out;
    return PX_OK;
}

enum px_code px_ir_add_tree(struct px_forest_ir *ir, const struct px_file_tree *tree,
                            struct px_err *err)
{
    size_t number = ir->trees.len;
    if (tree->n_nodes == 0)
        return px_err_set(err, PX_E_CORRUPT, "tree %zu has no nodes", number);
    if (tree->n_nodes > PX_FOREST_NODES_MAX - ir->nodes.len ||
        ir->leaf_values.len + tree->n_nodes > PX_FOREST_NODES_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "tree %zu: the model has more than %d nodes", number,
                          PX_FOREST_NODES_MAX);
    struct walk walk = {
        .ir = ir,
        .tree = tree,
        .number = number,
        .first = (uint32_t)ir->nodes.len,
        .raw = px_alloc(tree->n_nodes, sizeof *walk.raw),
        .reached = px_alloc(tree->n_nodes, sizeof *walk.reached),
        .out = {.first_node = (uint32_t)ir->nodes.len,
                .first_leaf = (uint32_t)ir->leaf_values.len,
                .width = (uint32_t)tree->width,
                .weight = 1.0},
    };
    enum px_code code = walk.raw && walk.reached ? build_tree(&walk, err) : px_ir_no_memory(err);
    px_free(walk.raw);
    px_free(walk.reached);
    return code;
}

enum px_code px_ir_add_set(struct px_forest_ir *ir, uint32_t low, uint32_t high, uint32_t *ret_set,
                           struct px_err *err)
{
    PX_ASSERT(low <= high && high < PX_FOREST_CATEGORY_MAX);
    size_t first = ir->set_words.len, n_words = high / 32 - low / 32 + 1;
    if (first + n_words > ir->set_words_max)
        return px_err_set(err, PX_E_TOO_LARGE,
                          "tree %zu: the model's sets of categories need more than %zu MB",
                          ir->trees.len, ir->set_words_max * sizeof(uint32_t) >> 20);
    struct px_set *set = px_vec_push(&ir->sets);
    if (!set || !px_vec_reserve(&ir->set_words, first + n_words))
        return px_ir_no_memory(err);
    memset(&ir->set_words.items[first], 0, n_words * sizeof(uint32_t));
    ir->set_words.len += n_words;
    *set = (struct px_set){(uint32_t)first, (uint32_t)n_words, low / 32};
    *ret_set = (uint32_t)(ir->sets.len - 1);
    return PX_OK;
}

void px_ir_set_insert(struct px_forest_ir *ir, uint32_t set, uint32_t code)
{
    const struct px_set *s = &ir->sets.items[set];
    PX_ASSERT(set < ir->sets.len && code / 32 - s->low_word < s->n_words);
    ir->set_words.items[s->first_word + code / 32 - s->low_word] |= UINT32_C(1) << (code % 32);
}

enum px_code px_ir_add_values(struct px_forest_ir *ir, const double *values, size_t n,
                              uint32_t *ret_list, struct px_err *err)
{
    size_t first = ir->values.len;
    struct px_value_list *list = px_vec_push(&ir->value_lists);
    if (!list || !px_vec_reserve(&ir->values, first + n))
        return px_ir_no_memory(err);
    *ret_list = (uint32_t)(ir->value_lists.len - 1);
    *list = (struct px_value_list){.first = (uint32_t)first};
    if (n == 0)
        return PX_OK;
    double *sorted = &ir->values.items[first];
    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, px_f64_compare);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        PX_ASSERT(!isnan(sorted[i]));
        if (kept == 0 || sorted[kept - 1] < sorted[i])
            sorted[kept++] = sorted[i];
    }
    ir->values.len += kept;
    list->n = (uint32_t)kept;
    return PX_OK;
}

bool px_ir_in_values(const struct px_forest_ir *ir, uint32_t list, double x)
{
    const struct px_value_list *l = &ir->value_lists.items[list];
    if (l->n == 0)
        return false;
    const double *values = &ir->values.items[l->first];
    size_t low = 0, high = l->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (values[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low < l->n && values[low] == x;
}

void px_ir_clear_trees(struct px_forest_ir *ir)
{
    ir->trees.len = ir->nodes.len = ir->covers.len = ir->leaf_values.len = 0;
    ir->sets.len = ir->set_words.len = 0;
    ir->value_lists.len = ir->values.len = 0;
    ir->linear_leaves.len = ir->linear_terms.len = 0;
}

void px_ir_truncate(struct px_forest_ir *ir, size_t n)
{
    if (n >= ir->trees.len)
        return;
    ir->nodes.len = ir->trees.items[n].first_node;
    if (ir->covers.len > ir->nodes.len)
        ir->covers.len = ir->nodes.len;
    ir->leaf_values.len = ir->trees.items[n].first_leaf;
    ir->trees.len = n;
}

static enum px_code check_tree(const struct px_forest_ir *ir, size_t number, struct px_err *err)
{
    const struct px_tree *tree = &ir->trees.items[number];
    if (tree->width == 1 && tree->output >= ir->n_margins)
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu adds to output %" PRIu32 ", but the model has %zu", number,
                          tree->output, ir->n_margins);
    if (tree->width != 1 && tree->width != ir->n_margins)
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu has leaves of %" PRIu32
                          " values, but the model has %zu outputs",
                          number, tree->width, ir->n_margins);
    const struct px_node *nodes = &ir->nodes.items[tree->first_node];
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        if (nodes[i].kind == PX_NODE_LEAF || nodes[i].feature < ir->n_features)
            continue;
        if (nodes[i].feature == UINT32_MAX)
            return px_err_set(err, PX_E_CORRUPT,
                              "tree %zu, node %" PRIu32
                              ": splits on a feature whose index is negative or too large",
                              number, nodes[i].file_id);
        return px_err_set(err, PX_E_CORRUPT,
                          "tree %zu, node %" PRIu32 ": splits on feature %" PRIu32
                          ", but the model has %zu features",
                          number, nodes[i].file_id, nodes[i].feature, ir->n_features);
    }
    return PX_OK;
}

enum px_code px_ir_check_features(uint64_t n, struct px_err *err)
{
    if (n <= PX_FOREST_FEATURES_MAX)
        return PX_OK;
    return px_err_set(err, PX_E_TOO_LARGE,
                      "the model declares %" PRIu64 " features; the limit is %d", n,
                      PX_FOREST_FEATURES_MAX);
}

static enum px_code check_sizes(const struct px_forest_ir *ir, struct px_err *err)
{
    if (ir->n_features == 0)
        return px_err_set(err, PX_E_CORRUPT, "the model declares no features");
    enum px_code code = px_ir_check_features(ir->n_features, err);
    if (code != PX_OK)
        return code;
    if (ir->n_margins > PX_FOREST_OUTPUTS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "the model declares %zu outputs; the limit is %d",
                          ir->n_margins, PX_FOREST_OUTPUTS_MAX);
    if (ir->trees.len == 0)
        return px_err_set(err, PX_E_CORRUPT, "the model has no trees");
    return PX_OK;
}

static void mark_categorical(struct px_forest_ir *ir)
{
    const struct px_node *node;
    px_vec_foreach (node, &ir->nodes) {
        if (node->kind == PX_NODE_SET)
            ir->categorical[node->feature] = true;
    }
}

static void mark_used(const struct px_forest_ir *ir, bool *used)
{
    const struct px_node *node;
    const struct px_linear_term *term;
    px_vec_foreach (node, &ir->nodes) {
        if (node->kind != PX_NODE_LEAF)
            used[node->feature] = true;
    }
    px_vec_foreach (term, &ir->linear_terms)
        used[term->feature] = true;
}

static enum px_code list_used_features(struct px_forest_ir *ir, struct px_err *err)
{
    bool *used = px_alloc(ir->n_features, sizeof *used);
    if (!used)
        return px_ir_no_memory(err);
    mark_used(ir, used);
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < ir->n_features; i++) {
        uint32_t *feature = used[i] ? px_vec_push(&ir->used_features) : NULL;
        if (feature)
            *feature = (uint32_t)i;
        else if (used[i])
            code = px_ir_no_memory(err);
    }
    px_free(used);
    return code;
}

/* A split divides by its cover; the rest of what explanations need is checked by px_explain_refusal. */
static bool covers_are_sound(const struct px_forest_ir *ir)
{
    if (ir->covers.len != ir->nodes.len)
        return false;
    for (size_t i = 0; i < ir->nodes.len; i++) {
        float cover = ir->covers.items[i];
        bool split = ir->nodes.items[i].kind != PX_NODE_LEAF;
        if (!isfinite(cover) || cover < 0.0F || (split && cover == 0.0F))
            return false;
    }
    return true;
}

enum px_code px_ir_finish(struct px_forest_ir *ir, struct px_err *err)
{
    enum px_code code = check_sizes(ir, err);
    for (size_t t = 0; code == PX_OK && t < ir->trees.len; t++) {
        code = check_tree(ir, t, err);
        if (ir->trees.items[t].depth > ir->depth_max)
            ir->depth_max = ir->trees.items[t].depth;
        ir->n_leaves += ir->trees.items[t].n_leaves;
    }
    if (code != PX_OK)
        return code;
    if (!ir->categorical)
        ir->categorical = px_arena_zalloc(&ir->arena, ir->n_features, sizeof(bool));
    if (!ir->categorical)
        return px_ir_no_memory(err);
    mark_categorical(ir);
    if (!covers_are_sound(ir))
        px_vec_free(&ir->covers);
    return list_used_features(ir, err);
}

enum px_code px_ir_warn(struct px_forest_ir *ir, struct px_err *err, const char *format, ...)
{
    char text[WARNING_TEXT_MAX];
    va_list args;
    if (ir->warnings.len == WARNINGS_MAX)
        return PX_OK;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct px_str whole = px_str(text);
    whole.len = px_str_utf8_prefix(whole); /* the end may have been cut within a character */
    struct px_str copy = px_arena_str(&ir->arena, whole);
    struct px_str *warning = copy.ptr ? px_vec_push(&ir->warnings) : NULL;
    if (!warning)
        return px_ir_no_memory(err);
    *warning = copy;
    return PX_OK;
}

static void finish_f32(const struct px_forest_ir *ir, float *margins, size_t n_rows)
{
    float divisor = (float)ir->sum_divisor, factor = (float)ir->sum_factor;
    for (size_t i = 0; i < n_rows; i++) {
        for (size_t k = 0; k < ir->n_margins; k++)
            margins[i * ir->n_margins + k] =
                margins[i * ir->n_margins + k] / divisor * factor + (float)ir->base[k];
    }
}

static void finish_f64(const struct px_forest_ir *ir, double *margins, size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++) {
        for (size_t k = 0; k < ir->n_margins; k++)
            margins[i * ir->n_margins + k] =
                margins[i * ir->n_margins + k] / ir->sum_divisor * ir->sum_factor + ir->base[k];
    }
}

void px_ir_finish_margins(const struct px_forest_ir *ir, void *margins, size_t n_rows)
{
    if (!ir->base_last)
        return;
    if (ir->type == PX_TYPE_FP32)
        finish_f32(ir, margins, n_rows);
    else
        finish_f64(ir, margins, n_rows);
}

size_t px_ir_bytes(const struct px_forest_ir *ir)
{
    return ir->trees.cap * sizeof *ir->trees.items + ir->nodes.cap * sizeof *ir->nodes.items +
           ir->covers.cap * sizeof *ir->covers.items +
           ir->leaf_values.cap * sizeof *ir->leaf_values.items +
           ir->sets.cap * sizeof *ir->sets.items + ir->set_words.cap * sizeof *ir->set_words.items +
           ir->value_lists.cap * sizeof *ir->value_lists.items +
           ir->values.cap * sizeof *ir->values.items +
           ir->linear_leaves.cap * sizeof *ir->linear_leaves.items +
           ir->linear_terms.cap * sizeof *ir->linear_terms.items +
           ir->used_features.cap * sizeof *ir->used_features.items + ir->arena.used;
}
