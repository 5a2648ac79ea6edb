/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order of nodes. A cache line holds a pair of siblings and the pairs below it that most leaves lie under, so
 * that a walk through a cold tree touches a line per two levels or so. Lines follow breadth first: the top
 * of a tree, which all rows pass, is dense. The root shares its line with its two next levels.
 *
 * Windows. A step of a tree that has some does both, the comparison and the look-up, and takes the one that
 * the node asks for: which of the two it is would be as hard to predict as the answer.
 */
#include "domain/forest/kernels/keyed/keyed_nodes.h"

#include "shared/bits.h"

#include "domain/forest/kernels/walk_cost.h"

enum {
    NARROW_NODES_MAX = UINT16_MAX, /* of a tree */
    NARROW_COLUMNS_MAX = 1 << 13,
    COLUMNS_MAX = 1 << 20,
    FIXED_STEPS_MAX = 6, /* up to here nobody looks whether all walks are done */
    FRONTIER_MAX = 8,
    HAS_WINDOW = 1, /* in node.column, whose low bits are free */
};

#define NEVER_INLINE __attribute__((noinline))
#define UNROLL_LANES _Pragma("GCC unroll 8")

/* A tree on its way into nodes; the arrays have room for the largest. */
struct packing {
    const struct px_forest_ir *ir;
    const struct px_keys *keys;
    void *nodes;
    struct px_keyed_tree *out;
    uint32_t *place;      /* of a node among those of its tree */
    uint32_t *leaves;     /* under a node */
    uint32_t *queue;      /* left siblings of pairs that begin a group */
    uint32_t *split_keys; /* of its splits by thresholds */
    size_t pairs_per_line;
};

static bool has_window(const struct px_node *node)
{
    return node->kind == PX_NODE_SET || node->kind == PX_NODE_VALUES;
}

static uint32_t leaf_key(const struct packing *packing, const struct px_node *node)
{
    const struct px_tree *tree = packing->out->tree;
    if (!packing->out->inlined)
        return node->left;
    double leaf = packing->ir->leaf_values.items[tree->first_leaf + node->left];
    return px_f32_bits((float)px_ir_weighted(packing->ir, tree, leaf));
}

#define COLUMN      uint16_t
#define LEFT        uint16_t
#define SCALE       2
#define NAMED(name) name##_narrow
#include "domain/forest/kernels/keyed/keyed_walk.h"
#undef COLUMN
#undef LEFT
#undef SCALE
#undef NAMED

#define COLUMN      uint32_t
#define LEFT        uint32_t
#define SCALE       1
#define NAMED(name) name##_wide
#include "domain/forest/kernels/keyed/keyed_walk.h"

void px_keyed_walk_rows(const struct px_keyed_nodes *nodes, const struct px_keyed_tree *tree,
                        const uint32_t *keys, uint32_t *leaves)
{
    const uint32_t *words = nodes->keys->words.items;
    const struct node_narrow *narrow = (const struct node_narrow *)nodes->nodes + tree->first_node;
    const struct node_wide *wide = (const struct node_wide *)nodes->nodes + tree->first_node;
    if (nodes->wide && tree->windows)
        walk_rows_windows_wide(wide, tree->depth, keys, words, leaves);
    else if (nodes->wide)
        walk_rows_plain_wide(wide, tree->depth, keys, leaves);
    else if (tree->windows)
        walk_rows_windows_narrow(narrow, tree->depth, keys, words, leaves);
    else
        walk_rows_plain_narrow(narrow, tree->depth, keys, leaves);
}

void px_keyed_walk_trees(const struct px_keyed_nodes *nodes, const struct px_walk_group *group,
                         const uint32_t *keys, uint32_t *leaves)
{
    const uint32_t *words = nodes->keys->words.items;
    if (nodes->wide && group->windows)
        walk_trees_windows_wide(nodes->nodes, group, keys, words, leaves);
    else if (nodes->wide)
        walk_trees_plain_wide(nodes->nodes, group, keys, leaves);
    else if (group->windows)
        walk_trees_windows_narrow(nodes->nodes, group, keys, words, leaves);
    else
        walk_trees_plain_narrow(nodes->nodes, group, keys, leaves);
}

static uint32_t pair_leaves(const struct packing *packing, uint32_t left)
{
    return packing->leaves[left] + packing->leaves[left + 1];
}

static void count_leaves(const struct px_node *nodes, uint32_t n, uint32_t *leaves)
{
    for (uint32_t i = n; i-- > 0;)
        leaves[i] =
            nodes[i].kind == PX_NODE_LEAF ? 1 : leaves[nodes[i].left] + leaves[nodes[i].left + 1];
}

/* Takes the pair with most leaves out of the frontier. */
static uint32_t take_heaviest(const struct packing *packing, uint32_t *frontier, size_t *n)
{
    size_t best = 0;
    for (size_t i = 1; i < *n; i++) {
        if (pair_leaves(packing, frontier[i]) > pair_leaves(packing, frontier[best]))
            best = i;
    }
    uint32_t pair = frontier[best];
    frontier[best] = frontier[--*n];
    return pair;
}

/* Fills the line at `next` with the pair at the queue's head and pairs below it; returns the next free place. */
static uint32_t place_group(struct packing *packing, const struct px_node *nodes, uint32_t next,
                            size_t *head, size_t *tail)
{
    uint32_t frontier[FRONTIER_MAX] = {packing->queue[(*head)++]};
    size_t n = 1, room = packing->pairs_per_line - next / 2 % packing->pairs_per_line;
    for (; room > 0 && n > 0; room--, next += 2) {
        uint32_t left = take_heaviest(packing, frontier, &n);
        for (uint32_t i = left; i < left + 2; i++) {
            packing->place[i] = next + (i - left);
            if (nodes[i].kind != PX_NODE_LEAF)
                frontier[n++] = nodes[i].left;
        }
    }
    for (size_t i = 0; i < n; i++)
        packing->queue[(*tail)++] = frontier[i];
    return next;
}

/* The root gets place 0; place 1 stays empty, so that siblings share a line. */
static void place_tree(struct packing *packing)
{
    const struct px_tree *tree = packing->out->tree;
    const struct px_node *nodes = &packing->ir->nodes.items[tree->first_node];
    size_t head = 0, tail = 0;
    uint32_t next = 2;
    count_leaves(nodes, tree->n_nodes, packing->leaves);
    packing->place[0] = 0;
    if (nodes[0].kind != PX_NODE_LEAF)
        packing->queue[tail++] = nodes[0].left;
    while (head < tail)
        next = place_group(packing, nodes, next, &head, &tail);
}

static uint32_t most_nodes(const struct px_forest_ir *ir)
{
    uint32_t most = 0;
    const struct px_tree *tree;
    px_vec_foreach (tree, &ir->trees)
        most = tree->n_nodes > most ? tree->n_nodes : most;
    return most;
}

static size_t node_size(const struct px_keyed_nodes *nodes)
{
    return nodes->wide ? sizeof(struct node_wide) : sizeof(struct node_narrow);
}

size_t px_keyed_tree_lines(const struct px_keyed_nodes *nodes, size_t t, const char **ret_at)
{
    size_t size = node_size(nodes), first = nodes->trees[t].first_node;
    size_t end = t + 1 < nodes->n_trees ? nodes->trees[t + 1].first_node : nodes->n_nodes;
    *ret_at = (const char *)nodes->nodes + first * size;
    return (end - first) * size / PX_CACHE_LINE;
}

static void lay_out_trees(const struct px_forest_ir *ir, struct px_keyed_nodes *nodes)
{
    uint32_t per_line = (uint32_t)(PX_CACHE_LINE / node_size(nodes));
    for (size_t t = 0; t < nodes->n_trees; t++) {
        const struct px_tree *tree = &ir->trees.items[t];
        nodes->trees[t] = (struct px_keyed_tree){
            .first_node = (uint32_t)nodes->n_nodes,
            .depth = tree->depth,
            .output = tree->output,
            .width = tree->width,
            .mean_depth = (float)px_walk_mean_depth(ir, tree),
            .inlined = ir->type == PX_TYPE_FP32 && tree->width == 1 && !tree->linear,
            .tree = tree,
        };
        const struct px_node *node = &ir->nodes.items[tree->first_node];
        for (uint32_t i = 0; i < tree->n_nodes; i++)
            nodes->trees[t].windows |= has_window(&node[i]);
        nodes->n_nodes += (tree->n_nodes + 1 + per_line - 1) / per_line * per_line;
    }
}

static enum px_code pack_trees(const struct px_forest_ir *ir, struct px_keyed_nodes *nodes,
                               struct px_err *err)
{
    size_t most = most_nodes(ir);
    struct packing packing = {
        .ir = ir,
        .keys = nodes->keys,
        .nodes = nodes->nodes,
        .place = px_alloc(most, sizeof *packing.place),
        .leaves = px_alloc(most, sizeof *packing.leaves),
        .queue = px_alloc(most, sizeof *packing.queue),
        .split_keys = px_alloc(most, sizeof *packing.split_keys),
        .pairs_per_line = PX_CACHE_LINE / node_size(nodes) / 2,
    };
    bool room = packing.place && packing.leaves && packing.queue && packing.split_keys;
    for (size_t t = 0; room && t < nodes->n_trees; t++) {
        packing.out = &nodes->trees[t];
        place_tree(&packing);
        const struct px_tree *tree = packing.out->tree;
        px_keys_splits(nodes->keys, &ir->nodes.items[tree->first_node], tree->n_nodes,
                       packing.split_keys);
        if (nodes->wide)
            pack_tree_wide(&packing);
        else
            pack_tree_narrow(&packing);
    }
    px_free(packing.place);
    px_free(packing.leaves);
    px_free(packing.queue);
    px_free(packing.split_keys);
    return room ? PX_OK : px_ir_no_memory(err);
}

enum px_code px_keyed_nodes_init(struct px_keyed_nodes *nodes, const struct px_forest_ir *ir,
                                 struct px_err *err)
{
    *nodes = (struct px_keyed_nodes){.n_trees = ir->trees.len};
    enum px_code code = px_keys_create(ir, &nodes->keys, err);
    if (code != PX_OK)
        return code;
    if (nodes->keys->n_columns > COLUMNS_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED, "its splits look at %zu columns, at most %d",
                          nodes->keys->n_columns - 1, COLUMNS_MAX - 1);
    nodes->wide = most_nodes(ir) > NARROW_NODES_MAX || nodes->keys->n_columns > NARROW_COLUMNS_MAX;
    nodes->trees = px_alloc(nodes->n_trees, sizeof *nodes->trees);
    if (!nodes->trees)
        return px_ir_no_memory(err);
    lay_out_trees(ir, nodes);
    nodes->nodes = px_alloc_aligned(PX_CACHE_LINE, nodes->n_nodes, node_size(nodes));
    return nodes->nodes ? pack_trees(ir, nodes, err) : px_ir_no_memory(err);
}

void px_keyed_nodes_deinit(struct px_keyed_nodes *nodes)
{
    px_keys_destroy(nodes->keys);
    px_free(nodes->trees);
    px_free(nodes->nodes);
    *nodes = (struct px_keyed_nodes){0};
}

size_t px_keyed_nodes_bytes(const struct px_keyed_nodes *nodes)
{
    return px_keys_bytes(nodes->keys) + nodes->n_trees * sizeof *nodes->trees +
           nodes->n_nodes * node_size(nodes);
}
