/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs a forest for the node-parallel kernel; node_parallel.h has the form, node_parallel_avx512.c the loops,
 * node_parallel_scalar.c the same in plain C.
 *
 * A heap is filled place by place: place 1 has the root, the children of a split go to the two places below,
 * and both places below a leaf have that leaf again. What the bytes at places of a leaf say does not matter:
 * whichever way the walk goes, it ends at the same leaf.
 *
 * Measured on Zen 4 (3.7 GHz, AVX-512), one row, codes included: 250 ns for 100 trees of depth 6 with 32 features,
 * 750 ns for 500, 2.2 us for 500 trees of 31 leaves grown leaf by leaf, 15 us for 1,000 of 255 leaves;
 * branchless walks take 1.0, 4.9, 6.8 and more than 100 us.
 *
 * Tried and rejected, with ns for 100 and for 500 trees of depth 6:
 * - All 63 splits of a tree in two cache lines, leaves apart, and a walk by shifts, 16 trees at a time: 279,
 *   1,057. It loads three lines a tree where tops and bottoms load one and a quarter, and Zen 4 takes a line
 *   from its second cache level in two to three cycles.
 * - The stages of a block right after each other: 263, 880. Each vector load waits for the byte stores before it
 *   to leave the queue, and they wait for the additions before them.
 * - All additions of a block after its decisions: 267, 884 (the chain of additions fills the window).
 * - Four bottoms in one register, one permutation and one comparison for all: 270, 850.
 *
 * Not built: gathers of the leaves (a gather of 16 takes 17 cycles, 16 loads take 8); four registers a tree for
 * trees of more than 63 splits (512 bytes to load per tree and row, where two to three panels of 64 do); masks
 * of the leaves that a false split excludes (work for half of all splits, and not free to use).
 */
#include "domain/forest/kernels/node_parallel/node_parallel.h"

#include "shared/processor.h"

#include <inttypes.h>
#include <math.h>

enum {
    LEAVES_MAX = 0x7FFF, /* of a tree of panels: what an exit can say */
    CLASS_MASKS_BYTES_MAX = 32 << 20,
    BOTTOMS_BYTES_MAX = 256 << 20,
    PANELS_MAX = 1 << 24, /* offsets of their bytes are signed 32-bit numbers */
    SECOND_LEVEL_BYTES = 1 << 20,
    BYTE_STEP = 255, /* thresholds that a byte of the row answers */
};

/* The node at place 1 of a panel. */
struct root {
    uint32_t first_node; /* of its tree */
    uint32_t node;       /* within the tree */
    uint32_t level;      /* panels above it */
};

struct packer {
    const struct px_kernel_input *input;
    struct px_node_parallel *np;
    uint32_t *first_byte; /* [n_columns]: the row's byte, or the class column's number */
    uint32_t zero_byte;
    PX_VEC(struct px_panel) panels;
    PX_VEC(struct root) roots; /* of all panels, packed or still to be */
};

static enum px_code refuse_forest(const struct px_kernel_input *input, struct px_err *err)
{
    if (!input->codes)
        return px_err_set(err, PX_E_UNSUPPORTED, "%s", input->codes_refusal);
    if (input->ir->linear_leaves.len)
        return px_err_set(err, PX_E_UNSUPPORTED, "its leaves are linear models");
    if (input->ir->aggregate != PX_AGGREGATE_SUM)
        return px_err_set(err, PX_E_UNSUPPORTED, "its trees are not summed");
    return PX_OK;
}

/* ---- the row's bytes ---- */

static size_t count_row_bytes(const struct px_codes *codes, size_t *ret_class_columns)
{
    size_t n = 0;
    *ret_class_columns = 0;
    for (size_t c = 0; c < codes->n_columns; c++) {
        const struct px_code_column *column = &codes->columns[c];
        if (px_codes_is_class_column(column))
            ++*ret_class_columns;
        else
            n += (column->n_codes + BYTE_STEP - 2) / BYTE_STEP;
    }
    return n + (*ret_class_columns > 0);
}

static void list_row_bytes(struct packer *packer)
{
    const struct px_codes *codes = packer->input->codes;
    struct px_node_parallel *np = packer->np;
    uint32_t byte = 0, class_column = 0;
    bool wide = false;
    for (size_t c = 0; c < codes->n_columns; c++) {
        const struct px_code_column *column = &codes->columns[c];
        bool by_class = px_codes_is_class_column(column);
        wide |= column->wide;
        packer->first_byte[c] = by_class ? class_column++ : byte;
        for (uint32_t minus = 0; !by_class && minus + 1 < column->n_codes; minus += BYTE_STEP)
            np->row_bytes[byte++] = (struct px_np_byte){column->slot, minus, column->wide};
    }
    packer->zero_byte = byte;
    if (class_column) /* less than any code leaves 0 */
        np->row_bytes[byte] = (struct px_np_byte){0, PX_CODES_WIDE_MAX, false};
    np->as_coded = class_column == 0 && !wide;
}

static enum px_code add_row_bytes(struct packer *packer, struct px_err *err)
{
    struct px_node_parallel *np = packer->np;
    const struct px_codes *codes = packer->input->codes;
    np->n_row_bytes = count_row_bytes(codes, &np->n_class_columns);
    if (np->n_row_bytes > PX_NP_BYTES_MAX)
        return px_err_set(
            err, PX_E_UNSUPPORTED,
            "the thresholds that a row is compared with take %zu bytes of codes, at most %d",
            np->n_row_bytes, PX_NP_BYTES_MAX);
    np->row_bytes = px_alloc(np->n_row_bytes + 1, sizeof *np->row_bytes);
    np->class_columns = px_alloc(np->n_class_columns + 1, sizeof *np->class_columns);
    packer->first_byte = px_alloc(codes->n_columns + 1, sizeof *packer->first_byte);
    if (!np->row_bytes || !np->class_columns || !packer->first_byte)
        return px_ir_no_memory(err);
    list_row_bytes(packer);
    np->bytes += np->n_row_bytes * sizeof *np->row_bytes;
    return PX_OK;
}

/* ---- one place ---- */

static const struct px_predicate *predicate_of(const struct packer *packer, uint32_t node)
{
    const struct px_codes *codes = packer->input->codes;
    return &codes->predicates[codes->predicate_of[node]];
}

/* The two bytes of a split, `node` by its number in the forest. */
static void set_place(const struct packer *packer, uint32_t node, uint8_t *which, uint8_t *least)
{
    const struct px_predicate *predicate = predicate_of(packer, node);
    if (px_codes_is_class_column(&packer->input->codes->columns[predicate->column])) {
        *which = (uint8_t)packer->zero_byte;
        *least = 1;
        return;
    }
    uint32_t above = predicate->code - 1; /* codes start at 1 */
    *which = (uint8_t)(packer->first_byte[predicate->column] + above / BYTE_STEP);
    *least = (uint8_t)(above % BYTE_STEP + 1);
}

/* Bit `bit` of a unit's mask, or of a tree's top. */
struct place {
    size_t unit;
    uint32_t bit;
    bool top;
};

static void set_mask_bit(struct px_node_parallel *np, const struct px_np_class_column *column,
                         size_t value_class, struct place place)
{
    if (place.top)
        np->top_masks[column->first_top + value_class * np->n_tops + place.unit] |=
            (uint8_t)(1U << place.bit);
    else if (np->panels)
        ((uint16_t *)np->masks)[column->first + value_class * np->n_units + place.unit] |=
            (uint16_t)(1U << place.bit);
    else
        ((uint8_t *)np->masks)[column->first + value_class * np->n_units + place.unit] |=
            (uint8_t)(1U << place.bit);
}

/* For a split on classes: marks its place in the masks of the classes that go right. */
static void mark_classes(const struct packer *packer, uint32_t node, struct place place)
{
    const struct px_codes *codes = packer->input->codes;
    const struct px_predicate *predicate = predicate_of(packer, node);
    const struct px_code_column *column = &codes->columns[predicate->column];
    if (!px_codes_is_class_column(column))
        return;
    for (uint32_t c = 0; c < column->n_codes; c++) {
        if (codes->class_words[predicate->first_word + c / 64] >> (c % 64) & 1)
            set_mask_bit(packer->np,
                         &packer->np->class_columns[packer->first_byte[predicate->column]], c,
                         place);
    }
}

static enum px_code alloc_class_masks(struct packer *packer, struct px_err *err)
{
    const struct px_codes *codes = packer->input->codes;
    struct px_node_parallel *np = packer->np;
    size_t size = np->panels ? sizeof(uint16_t) : sizeof(uint8_t), n_classes = 0, at = 0;
    for (size_t c = 0; c < codes->n_columns; c++) {
        const struct px_code_column *column = &codes->columns[c];
        if (!px_codes_is_class_column(column))
            continue;
        np->class_columns[at++] = (struct px_np_class_column){
            column->slot, column->wide, n_classes * np->n_tops, n_classes * np->n_units};
        n_classes += column->n_codes;
    }
    size_t bytes = n_classes * (np->n_tops + np->n_units * size);
    if (bytes > CLASS_MASKS_BYTES_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "the decisions of its splits on categories take %zu MB, at most %d",
                          bytes >> 20, CLASS_MASKS_BYTES_MAX >> 20);
    np->top_masks = px_alloc(n_classes * np->n_tops + 1, 1);
    np->masks = px_alloc(n_classes * np->n_units + 1, size);
    np->bytes += bytes;
    return np->top_masks && np->masks ? PX_OK : px_ir_no_memory(err);
}

/* ---- shallow trees ---- */

/* The nodes (within the tree) at all places of the heap at node `root`, and at those below its last level. */
static void fill_heap(const struct px_node *nodes, uint32_t root, uint32_t depth, uint32_t *at)
{
    at[1] = root;
    for (uint32_t place = 1; place < UINT32_C(1) << depth; place++) {
        const struct px_node *node = &nodes[at[place]];
        bool leaf = node->kind == PX_NODE_LEAF;
        at[2 * place] = leaf ? at[place] : node->left;
        at[2 * place + 1] = leaf ? at[place] : node->left + 1;
    }
}

/* weight * leaf, at `at` of an array of the forest's type. */
static void set_value(const struct px_forest_ir *ir, const struct px_tree *tree, double leaf,
                      void *values, size_t at)
{
    double value = px_ir_weighted(ir, tree, leaf);
    if (ir->type == PX_TYPE_FP32)
        ((float *)values)[at] = (float)value;
    else
        ((double *)values)[at] = value;
}

static void copy_values(const struct packer *packer, size_t number)
{
    const struct px_forest_ir *ir = packer->input->ir;
    const struct px_tree *tree = &ir->trees.items[number];
    for (size_t i = 0; i < (size_t)tree->n_leaves * tree->width; i++)
        set_value(ir, tree, ir->leaf_values.items[tree->first_leaf + i], packer->np->values,
                  packer->np->trees[number].first_value + i);
}

/* Leaf `at` of a bottom: the value, or where the values are. */
static void set_bottom_leaf(const struct packer *packer, size_t number, uint32_t leaf, char *bottom,
                            size_t at)
{
    const struct px_forest_ir *ir = packer->input->ir;
    const struct px_tree *tree = &ir->trees.items[number];
    void *leaves = bottom + sizeof(struct px_bottom);
    size_t place = packer->np->trees[number].first_value + (size_t)leaf * tree->width;
    if (!packer->np->vectors)
        set_value(ir, tree, ir->leaf_values.items[tree->first_leaf + leaf], leaves, at);
    else if (ir->type == PX_TYPE_FP32)
        ((uint32_t *)leaves)[at] = (uint32_t)place;
    else
        ((uint64_t *)leaves)[at] = place;
}

static void pack_bottom(const struct packer *packer, size_t number, uint32_t root, size_t unit)
{
    const struct px_tree *tree = &packer->input->ir->trees.items[number];
    const struct px_node *nodes = &packer->input->ir->nodes.items[tree->first_node];
    char *at_bottom = packer->np->bottoms + unit * packer->np->bottom_size;
    struct px_bottom *bottom = (struct px_bottom *)(void *)at_bottom;
    uint32_t at[2 << PX_BOTTOM_DEPTH];
    fill_heap(nodes, root, PX_BOTTOM_DEPTH, at);
    for (uint32_t place = 1; place < PX_SMALL_PLACES; place++) {
        if (nodes[at[place]].kind == PX_NODE_LEAF)
            continue;
        set_place(packer, tree->first_node + at[place], &bottom->which[place - 1],
                  &bottom->least[place - 1]);
        mark_classes(packer, tree->first_node + at[place], (struct place){unit, place - 1, false});
    }
    for (uint32_t i = 0; i < PX_SMALL_PLACES; i++)
        set_bottom_leaf(packer, number, nodes[at[PX_SMALL_PLACES + i]].left, at_bottom, i);
}

static void pack_shallow_tree(const struct packer *packer, size_t number)
{
    struct px_node_parallel *np = packer->np;
    const struct px_tree *tree = &packer->input->ir->trees.items[number];
    const struct px_node *nodes = &packer->input->ir->nodes.items[tree->first_node];
    struct px_tops *tops = &np->tops[number / 8];
    size_t first = number % 8 * PX_SMALL_PLACES;
    uint32_t at[2 << PX_TOP_DEPTH_MAX], end = UINT32_C(1) << np->top_depth;
    fill_heap(nodes, 0, np->top_depth, at);
    for (uint32_t place = 1; place < end; place++) {
        if (nodes[at[place]].kind == PX_NODE_LEAF)
            continue;
        set_place(packer, tree->first_node + at[place], &tops->which[first + place - 1],
                  &tops->least[first + place - 1]);
        mark_classes(packer, tree->first_node + at[place], (struct place){number, place - 1, true});
    }
    for (uint32_t i = 0; i < end; i++)
        pack_bottom(packer, number, at[end + i], (number << np->top_depth) + i);
}

static void fill_places(uint32_t depth, uint8_t *reached)
{
    for (uint32_t decisions = 0; decisions < 128; decisions++) {
        uint32_t place = 1;
        for (uint32_t d = 0; d < depth; d++)
            place = 2 * place + (decisions >> (place - 1) & 1);
        reached[decisions] = (uint8_t)(place - (UINT32_C(1) << depth));
    }
}

static enum px_code pack_shallow(struct packer *packer, struct px_err *err)
{
    const struct px_forest_ir *ir = packer->input->ir;
    struct px_node_parallel *np = packer->np;
    uint32_t depth = (uint32_t)ir->depth_max;
    np->top_depth = depth < PX_BOTTOM_DEPTH ? 0 : depth - PX_BOTTOM_DEPTH;
    np->n_tops = (np->n_trees + PX_NP_BLOCK - 1) / PX_NP_BLOCK * PX_NP_BLOCK;
    np->n_units = np->n_tops << np->top_depth;
    fill_places(np->top_depth, np->bottom_of);
    fill_places(PX_BOTTOM_DEPTH, np->leaf_of);
    np->bottom_size = ir->type == PX_TYPE_FP32 ? PX_CACHE_LINE : 2 * PX_CACHE_LINE;
    if (np->n_units > BOTTOMS_BYTES_MAX / np->bottom_size)
        return px_err_set(err, PX_E_UNSUPPORTED, "its trees take %zu MB, at most %d",
                          np->n_units * np->bottom_size >> 20, BOTTOMS_BYTES_MAX >> 20);
    np->tops = px_alloc_aligned(PX_CACHE_LINE, np->n_tops / 8, sizeof *np->tops);
    np->bottoms = px_alloc_aligned(PX_CACHE_LINE, np->n_units, np->bottom_size);
    np->bytes += np->n_tops / 8 * sizeof *np->tops + np->n_units * np->bottom_size;
    np->visits = (double)np->n_trees;
    if (!np->tops || !np->bottoms)
        return px_ir_no_memory(err);
    enum px_code code = alloc_class_masks(packer, err);
    for (size_t t = 0; code == PX_OK && t < ir->trees.len; t++)
        pack_shallow_tree(packer, t);
    return code;
}

/* ---- panels ---- */

static bool push_root(struct packer *packer, struct root root)
{
    struct root *added = px_vec_push(&packer->roots);
    if (added)
        *added = root;
    return added != NULL;
}

/* Where the walk goes from panel `number` when it leaves at `node`. */
static bool find_exit(struct packer *packer, size_t number, uint32_t node, uint16_t *ret)
{
    struct root root = packer->roots.items[number];
    const struct px_node *nodes = &packer->input->ir->nodes.items[root.first_node];
    if (nodes[node].kind == PX_NODE_LEAF) {
        *ret = (uint16_t)nodes[node].left;
        return true;
    }
    *ret = (uint16_t)(PX_PANEL_FURTHER | (packer->roots.len - number));
    root.node = node;
    root.level++;
    return push_root(packer, root);
}

static bool pack_panel(struct packer *packer, size_t number)
{
    struct root root = packer->roots.items[number];
    const struct px_node *nodes = &packer->input->ir->nodes.items[root.first_node];
    struct px_panel *panel = px_vec_push(&packer->panels);
    uint32_t at[2 << PX_PANEL_DEPTH];
    if (!panel)
        return false;
    *panel = (struct px_panel){0};
    fill_heap(nodes, root.node, PX_PANEL_DEPTH, at);
    for (uint32_t place = 1; place < PX_PANEL_PLACES; place++) {
        if (nodes[at[place]].kind != PX_NODE_LEAF)
            set_place(packer, root.first_node + at[place], &panel->which[place],
                      &panel->least[place]);
    }
    packer->np->visits += pow(0.5, PX_PANEL_DEPTH * (double)root.level);
    for (uint32_t i = 0; i < PX_PANEL_PLACES; i++) {
        if (!find_exit(packer, number, at[PX_PANEL_PLACES + i], &panel->exits[i]))
            return false;
    }
    return true;
}

/* A tree's panels follow each other, each after the panel that leads to it. */
static enum px_code pack_tree_panels(struct packer *packer, size_t number, struct px_err *err)
{
    const struct px_tree *tree = &packer->input->ir->trees.items[number];
    if (tree->n_leaves > LEAVES_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED, "tree %zu has %" PRIu32 " leaves, at most %d",
                          number, tree->n_leaves, LEAVES_MAX);
    packer->np->roots[number] = (uint32_t)packer->panels.len;
    bool packed = push_root(packer, (struct root){tree->first_node, 0, 0});
    while (packed && packer->panels.len < packer->roots.len)
        packed = pack_panel(packer, packer->panels.len);
    if (!packed)
        return px_ir_no_memory(err);
    if (packer->panels.len > PANELS_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED, "it has more than %d groups of 15 splits",
                          PANELS_MAX);
    return PX_OK;
}

static void mark_panel_classes(const struct packer *packer, size_t number)
{
    struct root root = packer->roots.items[number];
    const struct px_node *nodes = &packer->input->ir->nodes.items[root.first_node];
    uint32_t at[2 << PX_PANEL_DEPTH];
    fill_heap(nodes, root.node, PX_PANEL_DEPTH, at);
    for (uint32_t place = 1; place < PX_PANEL_PLACES; place++) {
        if (nodes[at[place]].kind != PX_NODE_LEAF)
            mark_classes(packer, root.first_node + at[place], (struct place){number, place, false});
    }
}

static enum px_code pack_panels(struct packer *packer, struct px_err *err)
{
    struct px_node_parallel *np = packer->np;
    enum px_code code = PX_OK;
    np->roots = px_alloc(np->n_trees + PX_NP_LANES, sizeof *np->roots);
    if (!np->roots)
        return px_ir_no_memory(err);
    for (size_t t = 0; code == PX_OK && t < np->n_trees; t++)
        code = pack_tree_panels(packer, t, err);
    np->n_units = packer->panels.len;
    np->bytes += np->n_units * sizeof *np->panel + np->n_trees * sizeof *np->roots;
    if (code == PX_OK)
        code = alloc_class_masks(packer, err);
    if (code != PX_OK)
        return code;
    np->panel = px_alloc_aligned(PX_CACHE_LINE, np->n_units, sizeof *np->panel);
    if (!np->panel)
        return px_ir_no_memory(err);
    memcpy(np->panel, packer->panels.items, np->n_units * sizeof *np->panel);
    for (size_t p = 0; np->n_class_columns && p < np->n_units; p++)
        mark_panel_classes(packer, p);
    return PX_OK;
}

/* ---- the whole ---- */

static enum px_code add_values(struct packer *packer, struct px_err *err)
{
    const struct px_forest_ir *ir = packer->input->ir;
    struct px_node_parallel *np = packer->np;
    size_t n = 0, size = px_datatype_size(ir->type);
    np->one_sum = true;
    np->trees = px_alloc(np->n_trees, sizeof *np->trees);
    np->bytes += np->n_trees * sizeof *np->trees;
    if (!np->trees)
        return px_ir_no_memory(err);
    for (size_t t = 0; t < np->n_trees; t++) {
        const struct px_tree *tree = &ir->trees.items[t];
        np->trees[t] = (struct px_np_tree){n, tree->output, tree->width};
        np->one_sum &= tree->width == 1 && tree->output == 0;
        np->vectors |= tree->width != 1;
        n += (size_t)tree->n_leaves * tree->width;
    }
    if (!np->panels && !np->vectors)
        return PX_OK; /* bottoms have the values */
    np->values = px_alloc_aligned(PX_CACHE_LINE, n, size);
    np->bytes += n * size;
    if (!np->values)
        return px_ir_no_memory(err);
    for (size_t t = 0; t < np->n_trees; t++)
        copy_values(packer, t);
    return PX_OK;
}

static enum px_code pack(struct packer *packer, struct px_err *err)
{
    const struct px_forest_ir *ir = packer->input->ir;
    struct px_node_parallel *np = packer->np;
    np->bytes = sizeof *np;
    np->n_trees = ir->trees.len;
    np->panels = ir->depth_max > PX_TOP_DEPTH_MAX + PX_BOTTOM_DEPTH;
    enum px_code code = add_row_bytes(packer, err);
    if (code == PX_OK)
        code = add_values(packer, err);
    if (code != PX_OK)
        return code;
    return np->panels ? pack_panels(packer, err) : pack_shallow(packer, err);
}

static void node_parallel_destroy(void *compiled)
{
    struct px_node_parallel *np = compiled;
    if (!np)
        return;
    px_free(np->row_bytes);
    px_free(np->class_columns);
    px_free(np->top_masks);
    px_free(np->masks);
    px_free(np->tops);
    px_free(np->bottoms);
    px_free(np->panel);
    px_free(np->roots);
    px_free(np->trees);
    px_free(np->values);
    px_free(np);
}

enum px_code px_node_parallel_pack(const struct px_kernel_input *input, void **ret,
                                   struct px_err *err)
{
    enum px_code code = refuse_forest(input, err);
    if (code != PX_OK)
        return code;
    struct packer packer = {.input = input,
                            .np = px_alloc_aligned(PX_CACHE_LINE, 1, sizeof *packer.np)};
    if (!packer.np)
        return px_ir_no_memory(err);
    code = pack(&packer, err);
    px_free(packer.first_byte);
    px_vec_free(&packer.panels);
    px_vec_free(&packer.roots);
    if (code == PX_OK)
        *ret = packer.np;
    else
        node_parallel_destroy(packer.np);
    return code;
}

static enum px_code node_parallel_compile(const struct px_kernel_input *input, void **ret,
                                          struct px_err *err)
{
    if (!px_processor_has_avx512())
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "the processor has no AVX-512 with byte permutations");
    return px_node_parallel_pack(input, ret, err);
}

static size_t node_parallel_bytes(const void *compiled)
{
    return ((const struct px_node_parallel *)compiled)->bytes;
}

/* Cycles a tree, a panel and a line from the third cache level, fitted on Zen 4. */
static double node_parallel_cost(const struct px_kernel_input *input, const void *compiled,
                                 size_t n_rows)
{
    const struct px_node_parallel *np = compiled;
    double trees = (double)np->n_trees, lines = np->visits + (np->panels ? trees : 0);
    double row = 150 + 9.0 * (double)input->codes->n_columns;
    row += np->panels ? 9 * np->visits + 4 * trees : 4.7 * trees;
    row += np->one_sum ? 0 : 2.5 * trees;
    if (np->bytes > SECOND_LEVEL_BYTES)
        row += 14 * lines * (1 - (double)SECOND_LEVEL_BYTES / (double)np->bytes);
    return (double)n_rows * row;
}

#if defined(__x86_64__)
#define MARGINS      px_node_parallel_margins
#define SCRATCH_SIZE px_node_parallel_scratch_size
#else
#define MARGINS      px_node_parallel_scalar_margins /* compile has refused */
#define SCRATCH_SIZE px_node_parallel_scalar_scratch_size
#endif

const struct px_kernel px_node_parallel_kernel = {
    .name = "node-parallel",
    .compile = node_parallel_compile,
    .destroy = node_parallel_destroy,
    .bytes = node_parallel_bytes,
    .scratch_size = SCRATCH_SIZE,
    .cost = node_parallel_cost,
    .margins = MARGINS,
};
