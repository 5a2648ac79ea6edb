/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lays a forest out for the bit-sliced kernels: order of trees, groups, batches, shapes, leaf tables.
 *
 * Two passes over the trees of a group: the first collects its predicates until the budget is spent, then
 * those get their places, ascending, so that a column's are neighbours; the second lays out the trees.
 */
#include "domain/forest/kernels/bitslice/bitslice_program.h"

#include <math.h>

enum {
    GROUP_PREDICATES_MAX =
        10000, /* 640 KB of 512-bit answers: most of a second cache level of 1 MB */
    MARGINS_MAX = 256,
    SLOTS_MAX = 4096, /* a block's codes and planes take 1 KB of scratch each */
    /* All leaf tables have the size of the largest, which must not make little of a file into much. */
    TABLES_SLACK = 64 << 20,
    TABLES_TIMES = 4,             /* the internal form */
    BATCH_TABLE_BYTES = 16 << 10, /* leaf tables of a batch: half of a first cache level */
    STEP_COST = 3,                /* of a program's step, in selections of a complete tree */
    PROGRAM_STEPS = 512,          /* with this many, a program is not shared with one more tree */
};

struct layout {
    const struct px_kernel_input *input;
    struct px_slice *slice;
    bool byte_tables;
    uint32_t *order;                 /* [n_trees]: trees in the order of scoring */
    uint64_t *marks;                 /* [n_predicates / 64 + 1]: bits, of the group being made */
    uint16_t *marked_before;         /* [n_predicates / 64 + 1]: in the words before */
    uint16_t *places;                /* [nodes of the largest tree]: of one tree's predicates */
    uint8_t *codes;                  /* [PX_SLICE_BATCH][PX_SLICE_LEAVES_MAX]: leaf of each index */
    size_t element_size;             /* of a leaf */
    struct px_slice_program program; /* of the trees from program_tree on */
    size_t program_tree;
};

static enum px_code refuse(const struct px_kernel_input *input, struct px_err *err)
{
    const struct px_forest_ir *ir = input->ir;
    const struct px_tree *tree;
    if (ir->linear_leaves.len)
        return px_err_set(err, PX_E_UNSUPPORTED, "its leaves are linear models");
    if (ir->aggregate != PX_AGGREGATE_SUM)
        return px_err_set(err, PX_E_UNSUPPORTED, "its trees are not summed");
    if (ir->n_margins > MARGINS_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED, "it has %zu margins, at most %d", ir->n_margins,
                          MARGINS_MAX);
    px_vec_foreach (tree, &ir->trees) {
        if (tree->n_leaves > PX_SLICE_LEAVES_MAX)
            return px_err_set(err, PX_E_UNSUPPORTED, "tree %zu has %u leaves, at most %d",
                              (size_t)(tree - ir->trees.items), tree->n_leaves,
                              PX_SLICE_LEAVES_MAX);
    }
    if (!input->codes)
        return px_err_set(err, PX_E_UNSUPPORTED, "%s", input->codes_refusal);
    if (input->codes->n_slots > SLOTS_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED, "its rows have %zu bytes of codes, at most %d",
                          input->codes->n_slots, SLOTS_MAX);
    return PX_OK;
}

/* Trees by margin, each margin's in file order. Vector leaves add to all: then the file's order stays. */
static bool order_trees(struct layout *l)
{
    const struct px_forest_ir *ir = l->input->ir;
    uint32_t first[MARGINS_MAX + 1] = {0};
    bool vectors = false;
    l->order = px_alloc(ir->trees.len, sizeof *l->order);
    if (!l->order)
        return false;
    for (size_t t = 0; t < ir->trees.len; t++) {
        vectors |= ir->trees.items[t].width != 1;
        first[ir->trees.items[t].output + 1]++;
    }
    for (size_t k = 1; k <= ir->n_margins; k++)
        first[k] += first[k - 1];
    for (size_t t = 0; t < ir->trees.len; t++)
        l->order[vectors ? t : first[ir->trees.items[t].output]++] = (uint32_t)t;
    return true;
}

static const struct px_tree *tree_at(const struct layout *l, size_t position)
{
    return &l->input->ir->trees.items[l->order[position]];
}

/* Marks the predicates of one tree; returns how many were not marked yet. */
static uint32_t mark_tree(struct layout *l, const struct px_tree *tree)
{
    const struct px_forest_ir *ir = l->input->ir;
    uint32_t n_new = 0;
    for (uint32_t i = tree->first_node; i < tree->first_node + tree->n_nodes; i++) {
        if (ir->nodes.items[i].kind == PX_NODE_LEAF)
            continue;
        uint32_t predicate = l->input->codes->predicate_of[i];
        uint64_t bit = UINT64_C(1) << (predicate % 64);
        n_new += !(l->marks[predicate / 64] & bit);
        l->marks[predicate / 64] |= bit;
    }
    return n_new;
}

/*
 * Place of a predicate in its group's table: how many smaller ones are marked. A table of the places themselves would
 * be thirty times as large as the marks, and each look into it a miss, when most thresholds are distinct.
 */
static uint16_t place_of(const struct layout *l, uint32_t predicate)
{
    uint64_t smaller = (UINT64_C(1) << (predicate % 64)) - 1;
    int n = __builtin_popcountll(l->marks[predicate / 64] & smaller);
    return (uint16_t)(l->marked_before[predicate / 64] + n);
}

/* Lists the marked predicates in group_predicates, ascending. */
static bool take_marked(struct layout *l, struct px_slice_group *group)
{
    struct px_slice *slice = l->slice;
    size_t n_words = l->input->codes->n_predicates / 64 + 1;
    group->first_predicate = (uint32_t)slice->group_predicates.len;
    if (!px_vec_reserve(&slice->group_predicates,
                        slice->group_predicates.len + group->n_predicates))
        return false;
    for (size_t w = 0; w < n_words; w++) {
        l->marked_before[w] = (uint16_t)(slice->group_predicates.len - group->first_predicate);
        for (uint64_t left = l->marks[w]; left; left &= left - 1)
            slice->group_predicates.items[slice->group_predicates.len++] =
                (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(left);
    }
    return true;
}

/*
 * Vector operations that answer a predicate, for the cost: one with its prefix at hand, two more for each bit of
 * a new prefix; a set has a prefix for every sixteen classes.
 */
static double prefix_operations(const struct px_code_column *column)
{
    double bits = 32 - __builtin_clz((column->n_codes - 1) | 1);
    return bits > 4 ? 2 * (bits - 4) : 0;
}

static double count_operations(const struct px_code_column *column, uint32_t code, uint32_t before)
{
    double prefix = prefix_operations(column);
    if (px_codes_is_class_column(column))
        return (column->n_codes / 16.0 + 1) * (prefix + 4);
    return code / 16 == before / 16 ? 1 : 1 + prefix;
}

static bool add_columns(struct layout *l, struct px_slice_group *group)
{
    struct px_slice *slice = l->slice;
    uint32_t before = UINT32_MAX;
    group->first_column = (uint32_t)slice->columns.len;
    for (uint32_t i = 0; i < group->n_predicates; i++) {
        uint32_t at = group->first_predicate + i, predicate = slice->group_predicates.items[at];
        uint32_t column = l->input->codes->predicates[predicate].column;
        bool first = slice->columns.len == group->first_column;
        if (first || slice->columns.items[slice->columns.len - 1].column != column) {
            struct px_slice_column *added = px_vec_push(&slice->columns);
            if (!added)
                return false;
            *added = (struct px_slice_column){.column = column, .first = at};
        }
        slice->columns.items[slice->columns.len - 1].n++;
        uint32_t code = l->input->codes->predicates[predicate].code;
        slice->work.predicate_operations +=
            count_operations(&l->input->codes->columns[column], code, before);
        before = code;
    }
    group->n_columns = (uint32_t)slice->columns.len - group->first_column;
    return true;
}

/* Takes trees from `first` on into a group. Returns the first tree behind it, 0 when memory is short. */
static size_t start_group(struct layout *l, size_t first, struct px_slice_group *group)
{
    size_t end = first, n_trees = l->input->ir->trees.len;
    memset(l->marks, 0, (l->input->codes->n_predicates / 64 + 1) * sizeof *l->marks);
    do
        group->n_predicates += mark_tree(l, tree_at(l, end++));
    while (end < n_trees &&
           group->n_predicates + tree_at(l, end)->n_leaves <= GROUP_PREDICATES_MAX);
    return take_marked(l, group) && add_columns(l, group) ? end : 0;
}

static bool push_id(struct px_slice *slice, uint16_t place)
{
    uint16_t *id = px_vec_push(&slice->ids);
    if (id)
        *id = place;
    return id != NULL;
}

/* Do all splits of each level ask the same, and do all paths end on the last level? */
static bool is_direct(const struct px_forest_ir *ir, const struct px_tree *tree,
                      const uint16_t *places)
{
    const struct px_node *nodes = &ir->nodes.items[tree->first_node];
    if (tree->depth > PX_SLICE_PLANES_MAX || tree->n_leaves != UINT32_C(1) << tree->depth)
        return false;
    for (uint32_t level = 0; level < tree->depth; level++) {
        uint32_t first = (UINT32_C(1) << level) - 1, last = 2 * first;
        for (uint32_t i = first; i <= last; i++) {
            if (nodes[i].kind == PX_NODE_LEAF || places[i] != places[first])
                return false;
        }
    }
    return true;
}

/*
 * Fills heap position `position` (1 is the root) and what is below it from node `at`. Below a leaf the
 * questions do not matter: the parent's is at hand.
 */
struct heap {
    const struct px_node *nodes;
    const uint16_t *places;
    uint32_t depth;
    uint16_t *ids;    /* [2^depth - 1] in level order */
    uint8_t *leaf_at; /* [2^depth]: the leaf of each index */
};

static void fill_heap(const struct heap *h, uint32_t at, uint32_t position, uint32_t level)
{
    const struct px_node *node = &h->nodes[at];
    if (level == h->depth) {
        h->leaf_at[position - (UINT32_C(1) << level)] = (uint8_t)node->left;
        return;
    }
    bool leaf = node->kind == PX_NODE_LEAF;
    h->ids[position - 1] = leaf ? h->ids[position / 2 - 1] : h->places[at];
    fill_heap(h, leaf ? at : node->left, 2 * position, level + 1);
    fill_heap(h, leaf ? at : node->left + 1, 2 * position + 1, level + 1);
}

/*
 * A complete tree costs less for each split, but has all 2^depth - 1 of them; above six levels its leaf
 * tables no longer fit one vector a byte.
 */
static bool is_nearly_complete(const struct px_tree *tree)
{
    uint32_t n_splits = tree->n_leaves - 1, most = tree->depth <= 6 ? 6 : 3;
    return tree->depth <= PX_SLICE_PLANES_MAX &&
           (UINT32_C(1) << tree->depth) - 1 <= most * n_splits;
}

static uint32_t index_bits(const struct px_tree *tree)
{
    return is_nearly_complete(tree) ? tree->depth : px_slice_program_planes(tree);
}

/* A level's question, from the last level on, is a bit of the index; the bits above are zero. */
static bool push_planes(struct layout *l, const struct px_slice_tree *tree, const uint16_t *ids)
{
    bool pushed = true;
    for (uint32_t i = 0; pushed && i < PX_SLICE_PLANES_MAX; i++)
        pushed = push_id(l->slice, i < tree->n_planes
                                       ? ids[(UINT32_C(1) << (tree->n_planes - 1 - i)) - 1]
                                       : l->program.constant_place);
    return pushed;
}

static bool lay_complete(struct layout *l, const struct px_tree *tree, struct px_slice_tree *out,
                         uint8_t *leaf_at)
{
    const struct px_forest_ir *ir = l->input->ir;
    struct px_slice *slice = l->slice;
    uint16_t ids[PX_SLICE_LEAVES_MAX] = {0};
    struct heap heap = {&ir->nodes.items[tree->first_node], l->places, tree->depth, ids, leaf_at};
    bool direct = is_direct(ir, tree, l->places), pushed = true;
    fill_heap(&heap, 0, 1, 0);
    *out = (struct px_slice_tree){.shape = direct ? PX_SLICE_DIRECT : PX_SLICE_COMPLETE,
                                  .n_planes = (uint8_t)tree->depth,
                                  .first_id = (uint32_t)slice->ids.len};
    if (direct)
        return push_planes(l, out, ids);
    uint32_t n = (UINT32_C(1) << tree->depth) - 1;
    slice->work.network_loads += n;
    for (uint32_t i = 0; pushed && i < n; i++)
        pushed = push_id(slice, ids[i]);
    return pushed;
}

/* Its steps and planes become known when the program is finished. */
static bool lay_program(struct layout *l, const struct px_tree *tree, struct px_slice_tree *out,
                        uint8_t *leaf_at)
{
    *out = (struct px_slice_tree){.shape = PX_SLICE_PROGRAM,
                                  .n_planes = (uint8_t)px_slice_program_planes(tree)};
    return px_slice_program_add(&l->program, l->input->ir, tree, l->places, leaf_at);
}

/* Hands the steps of the program to its first tree and the planes to each, and starts a new one. */
static bool finish_program(struct layout *l)
{
    struct px_slice *slice = l->slice;
    struct px_slice_program *program = &l->program;
    bool done = px_slice_program_schedule(program) &&
                px_vec_reserve(&slice->steps, slice->steps.len + program->steps.len);
    uint32_t n_steps = (uint32_t)program->steps.len;
    const px_program_value *result = program->results.items;
    for (size_t t = l->program_tree; done && t < slice->trees.len; t++) {
        struct px_slice_tree *tree = &slice->trees.items[t];
        if (tree->shape != PX_SLICE_PROGRAM)
            continue;
        tree->first_step = (uint32_t)slice->steps.len;
        tree->n_steps = n_steps;
        for (uint32_t i = 0; i < n_steps; i++)
            slice->steps.items[slice->steps.len++] = program->steps.items[i];
        n_steps = 0;
        tree->first_id = (uint32_t)slice->ids.len;
        for (uint32_t i = 0; done && i < PX_SLICE_PLANES_MAX; i++)
            done =
                push_id(slice, i < tree->n_planes ? (uint16_t)*result++ : program->constant_place);
    }
    slice->work.network_loads += (double)(STEP_COST * program->steps.len);
    uint32_t places = program->constant_place + 2u + program->n_slots;
    slice->places_max = places > slice->places_max ? places : slice->places_max;
    uint16_t constant_place = program->constant_place;
    px_slice_program_deinit(program);
    px_slice_program_init(program, constant_place);
    l->program_tree = slice->trees.len;
    return done;
}

/* Appends a tree; `leaf_at` [PX_SLICE_LEAVES_MAX] gets the leaf of each index. */
static bool lay_tree(struct layout *l, const struct px_tree *tree, uint8_t *leaf_at)
{
    const struct px_forest_ir *ir = l->input->ir;
    struct px_slice_tree *out = px_vec_push(&l->slice->trees);
    if (!out)
        return false;
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        uint32_t node = tree->first_node + i;
        if (ir->nodes.items[node].kind != PX_NODE_LEAF)
            l->places[i] = place_of(l, l->input->codes->predicate_of[node]);
    }
    if (is_nearly_complete(tree) || tree->n_leaves == 1)
        return lay_complete(l, tree, out, leaf_at);
    return lay_program(l, tree, out, leaf_at) &&
           (l->program.drafts.len < PROGRAM_STEPS || finish_program(l));
}

static void put_leaf(const struct layout *l, double value, uint32_t index, uint8_t *table)
{
    float single = (float)value;
    uint8_t bytes[sizeof(double)];
    memcpy(bytes, l->element_size == sizeof single ? (void *)&single : (void *)&value,
           l->element_size);
    if (!l->byte_tables) {
        memcpy(table + index * l->element_size, bytes, l->element_size);
        return;
    }
    for (size_t k = 0; k < l->element_size; k++)
        table[k * l->slice->leaf_slots + index] = bytes[k];
}

/* The leaves of one tree for one of its margins, weighted and rounded as the walker does it. */
static void fill_table(const struct layout *l, const struct px_tree *tree, const uint8_t *leaf_at,
                       size_t margin, uint8_t *table)
{
    const double *values = &l->input->ir->leaf_values.items[tree->first_leaf];
    size_t value_at = tree->width == 1 ? 0 : margin;
    for (uint32_t i = 0; i < UINT32_C(1) << index_bits(tree); i++) {
        uint32_t leaf = leaf_at[i] < tree->n_leaves ? leaf_at[i] : 0;
        double value = values[(size_t)leaf * tree->width + value_at];
        put_leaf(l, px_ir_weighted(l->input->ir, tree, value), i, table);
    }
}

/* The runs of a batch of `n` trees from position `first` on. */
static bool add_runs(struct layout *l, size_t first, uint32_t n, struct px_slice_batch *batch)
{
    struct px_slice *slice = l->slice;
    size_t table_size = slice->leaf_slots * l->element_size;
    batch->first_run = (uint32_t)slice->runs.len;
    for (uint32_t k = 0; k < l->input->ir->n_margins; k++) {
        struct px_slice_run run = {.margin = k, .first_unit = (uint32_t)slice->units.len};
        for (uint32_t i = 0; i < n; i++) {
            const struct px_tree *tree = tree_at(l, first + i);
            if (tree->width == 1 && tree->output != k)
                continue;
            struct px_slice_unit *unit = px_vec_push(&slice->units);
            if (!unit)
                return false;
            *unit = (struct px_slice_unit){
                .tree = i, .table = (uint32_t)((slice->units.len - 1) * table_size)};
            fill_table(l, tree, l->codes + (size_t)i * PX_SLICE_LEAVES_MAX, k,
                       slice->tables + unit->table);
            run.n_units++;
        }
        struct px_slice_run *out = run.n_units ? px_vec_push(&slice->runs) : NULL;
        if (!out && run.n_units)
            return false;
        if (out)
            *out = run;
    }
    batch->n_runs = (uint32_t)slice->runs.len - batch->first_run;
    return true;
}

/* Trees whose leaf tables together leave room in the first cache level. */
static uint32_t batch_trees(const struct layout *l)
{
    size_t width = l->input->ir->trees.items[0].width;
    size_t fit = BATCH_TABLE_BYTES / (l->slice->leaf_slots * l->element_size * width);
    if (fit == 0)
        return 1;
    return fit < PX_SLICE_BATCH ? (uint32_t)fit : PX_SLICE_BATCH;
}

static bool lay_batches(struct layout *l, size_t first, size_t end, struct px_slice_group *group)
{
    struct px_slice *slice = l->slice;
    uint32_t most = batch_trees(l);
    px_slice_program_init(&l->program, (uint16_t)group->n_predicates);
    l->program_tree = slice->trees.len;
    group->first_batch = (uint32_t)slice->batches.len;
    for (size_t at = first; at < end;) {
        uint32_t n = end - at < most ? (uint32_t)(end - at) : most;
        struct px_slice_batch *batch = px_vec_push(&slice->batches);
        if (!batch)
            return false;
        *batch = (struct px_slice_batch){.first_tree = (uint32_t)slice->trees.len, .n_trees = n};
        for (uint32_t i = 0; i < n; i++) {
            if (!lay_tree(l, tree_at(l, at + i), l->codes + (size_t)i * PX_SLICE_LEAVES_MAX))
                return false;
        }
        if (!finish_program(l) || !add_runs(l, at, n, batch))
            return false;
        at += n;
    }
    group->n_batches = (uint32_t)slice->batches.len - group->first_batch;
    return true;
}

static bool lay_groups(struct layout *l)
{
    struct px_slice *slice = l->slice;
    for (size_t at = 0; at < l->input->ir->trees.len;) {
        struct px_slice_group group = {0};
        size_t end = start_group(l, at, &group);
        if (!end || !lay_batches(l, at, end, &group))
            return false;
        struct px_slice_group *out = px_vec_push(&slice->groups);
        if (!out)
            return false;
        *out = group;
        uint32_t places = group.n_predicates + 2;
        slice->places_max = places > slice->places_max ? places : slice->places_max;
        at = end;
    }
    return true;
}

/* Room for what is known beforehand. */
static enum px_code reserve(struct layout *l, struct px_err *err)
{
    const struct px_forest_ir *ir = l->input->ir;
    struct px_slice *slice = l->slice;
    size_t n_units = 0, nodes_max = 0;
    const struct px_tree *tree;
    slice->leaf_slots = 64;
    px_vec_foreach (tree, &ir->trees) {
        uint32_t slots = UINT32_C(1) << index_bits(tree);
        slice->leaf_slots = slots > slice->leaf_slots ? slots : slice->leaf_slots;
        nodes_max = tree->n_nodes > nodes_max ? tree->n_nodes : nodes_max;
        n_units += tree->width;
    }
    slice->tables_size = n_units * slice->leaf_slots * l->element_size;
    size_t most = TABLES_SLACK + TABLES_TIMES * px_ir_bytes(ir);
    most = most < UINT32_MAX ? most : UINT32_MAX;
    if (slice->tables_size > most)
        return px_err_set(err, PX_E_UNSUPPORTED, "its leaf tables would take %zu MB, at most %zu",
                          slice->tables_size >> 20, most >> 20);
    slice->tables = px_alloc_aligned(PX_CACHE_LINE, slice->tables_size, 1);
    l->marks = px_alloc(l->input->codes->n_predicates / 64 + 1, sizeof *l->marks);
    l->marked_before = px_alloc(l->input->codes->n_predicates / 64 + 1, sizeof *l->marked_before);
    l->places = px_alloc(nodes_max, sizeof *l->places);
    l->codes = px_alloc(PX_SLICE_BATCH, PX_SLICE_LEAVES_MAX);
    bool complete = slice->tables && l->marks && l->marked_before && l->places && l->codes;
    return complete && order_trees(l) ? PX_OK : px_ir_no_memory(err);
}

enum px_code px_slice_compile(const struct px_kernel_input *input, bool byte_tables,
                              struct px_slice **ret, struct px_err *err)
{
    enum px_code code = refuse(input, err);
    if (code != PX_OK)
        return code;
    struct layout l = {.input = input, .byte_tables = byte_tables};
    l.element_size = px_datatype_size(input->ir->type);
    l.slice = px_alloc(1, sizeof *l.slice);
    if (!l.slice)
        return px_ir_no_memory(err);
    l.slice->codes = input->codes;
    code = reserve(&l, err);
    if (code == PX_OK && !lay_groups(&l))
        code = px_ir_no_memory(err);
    px_free(l.order);
    px_free(l.marks);
    px_free(l.marked_before);
    px_free(l.places);
    px_free(l.codes);
    px_slice_program_deinit(&l.program);
    l.slice->work.n_trees = l.slice->trees.len;
    l.slice->work.n_units = l.slice->units.len;
    l.slice->work.large_tables = l.slice->leaf_slots > 64;
    if (code == PX_OK)
        *ret = l.slice;
    else
        px_slice_destroy(l.slice);
    return code;
}

/*
 * What the predicates of a column take when they are dealt to `n_groups` groups at random: of each group, the
 * prefixes that one of its predicates has.
 */
static double estimate_column(const struct px_code_column *column, double n_groups)
{
    double n = column->n_predicates, n_prefixes = column->n_codes / 16.0 + 1;
    if (px_codes_is_class_column(column))
        return n * count_operations(column, 0, 0);
    double missed = pow(1 - 1 / n_prefixes, n / n_groups);
    return n + n_groups * n_prefixes * (1 - missed) * prefix_operations(column);
}

/*
 * Table entries that the network of a tree reads. If the first two levels look direct, so do the others; every
 * second selection of a program may be saved.
 */
static double estimate_loads(const struct px_kernel_input *input, const struct px_tree *tree)
{
    const uint32_t *predicate_of = &input->codes->predicate_of[tree->first_node];
    if (!is_nearly_complete(tree))
        return STEP_COST * tree->n_leaves / 2.0;
    double n = (double)(UINT32_C(1) << tree->depth) - 1;
    bool full = tree->n_leaves - 1 == (uint32_t)n;
    bool direct = tree->depth < 2 || (full && predicate_of[1] == predicate_of[2]);
    return direct ? 0 : n;
}

bool px_slice_estimate(const struct px_kernel_input *input, struct px_slice_work *ret)
{
    const struct px_codes *codes = input->codes;
    const struct px_tree *tree;
    *ret = (struct px_slice_work){0};
    if (refuse(input, NULL) != PX_OK)
        return false;
    px_vec_foreach (tree, &input->ir->trees) {
        ret->network_loads += estimate_loads(input, tree);
        ret->n_units += tree->width;
        ret->large_tables |= index_bits(tree) > 6;
    }
    double n_groups = fmax(1, (double)codes->n_predicates / GROUP_PREDICATES_MAX);
    for (size_t c = 0; c < codes->n_columns; c++)
        ret->predicate_operations += estimate_column(&codes->columns[c], n_groups);
    ret->n_trees = input->ir->trees.len;
    return true;
}

void px_slice_destroy(struct px_slice *slice)
{
    if (!slice)
        return;
    px_vec_free(&slice->trees);
    px_vec_free(&slice->ids);
    px_vec_free(&slice->steps);
    px_vec_free(&slice->units);
    px_vec_free(&slice->runs);
    px_vec_free(&slice->batches);
    px_vec_free(&slice->columns);
    px_vec_free(&slice->group_predicates);
    px_vec_free(&slice->groups);
    px_free(slice->tables);
    px_free(slice);
}

size_t px_slice_bytes(const struct px_slice *slice)
{
    return sizeof *slice + slice->trees.cap * sizeof *slice->trees.items +
           slice->ids.cap * sizeof *slice->ids.items +
           slice->steps.cap * sizeof *slice->steps.items +
           slice->units.cap * sizeof *slice->units.items +
           slice->runs.cap * sizeof *slice->runs.items +
           slice->batches.cap * sizeof *slice->batches.items +
           slice->columns.cap * sizeof *slice->columns.items +
           slice->group_predicates.cap * sizeof *slice->group_predicates.items +
           slice->groups.cap * sizeof *slice->groups.items + slice->tables_size;
}
