/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walks of keyed_nodes.c for one size of node, hence no include guard. The includer defines COLUMN and LEFT
 * (types of a node's fields), SCALE (keys per unit of a node's column) and NAMED.
 */

struct NAMED(node) {
    uint32_t key;
    COLUMN column; /* SCALE times this is where the column begins in a chunk; and HAS_WINDOW */
    LEFT left;
};

static void NAMED(pack_tree)(const struct packing *packing)
{
    struct NAMED(node) *out = (struct NAMED(node) *)packing->nodes + packing->out->first_node;
    const struct px_tree *tree = packing->out->tree;
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        const struct px_node *node = &packing->ir->nodes.items[tree->first_node + i];
        uint32_t place = packing->place[i];
        if (node->kind == PX_NODE_LEAF) {
            out[place] = (struct NAMED(node)){.key = leaf_key(packing, node), .left = (LEFT)place};
            continue;
        }
        uint32_t column = px_keys_column(packing->keys, node) * (PX_KEY_LANES / SCALE);
        out[place].key =
            has_window(node) ? px_keys_window(packing->keys, node) : packing->split_keys[i];
        out[place].column = (COLUMN)(column | (has_window(node) ? HAS_WINDOW : 0));
        out[place].left = (LEFT)packing->place[node->left];
    }
}

/* Where a walk at `at` goes; for trees without windows. `keys` is the chunk at the walk's lane. */
static PX_ALWAYS_INLINE uint32_t NAMED(step)(const struct NAMED(node) * nodes, const uint32_t *keys,
                                             uint32_t at)
{
    const struct NAMED(node) *node = &nodes[at];
    return (uint32_t)node->left + (node->key < keys[(size_t)node->column * SCALE]);
}

/* The same with windows. A split without one reads the empty one, which says left. */
static PX_ALWAYS_INLINE uint32_t NAMED(window_step)(const struct NAMED(node) * nodes,
                                                    const uint32_t *keys, const uint32_t *words,
                                                    uint32_t at)
{
    const struct NAMED(node) *node = &nodes[at];
    uint32_t by_window = node->column & HAS_WINDOW;
    uint32_t x = keys[(size_t)(node->column ^ by_window) * SCALE];
    const uint32_t *window = &words[node->key & (0 - by_window)];
    uint32_t word = x / 32 - window[0], last = window[1] + x / PX_KEY_NAN;
    word = word < last ? word : last; /* NaN has a word of its own */
    uint32_t hit = window[2 + word] >> (x % 32) & 1;
    return (uint32_t)node->left + (hit | ((node->key < x) & (by_window ^ 1)));
}

/* One step of each lane; returns 0 when all stood on leaves already. */
static PX_ALWAYS_INLINE uint32_t NAMED(step_lanes)(const struct NAMED(node) * nodes,
                                                   const uint32_t *keys, const uint32_t *words,
                                                   uint32_t *at)
{
    uint32_t columns = 0;
    UNROLL_LANES
    for (int lane = 0; lane < PX_WALK_LANES; lane++) {
        columns |= nodes[at[lane]].column;
        at[lane] = words ? NAMED(window_step)(nodes, keys + lane, words, at[lane])
                         : NAMED(step)(nodes, keys + lane, at[lane]);
    }
    return columns;
}

static PX_ALWAYS_INLINE void NAMED(walk_rows)(const struct NAMED(node) * nodes, uint32_t depth,
                                              const uint32_t *keys, const uint32_t *words,
                                              uint32_t *leaves)
{
    uint32_t at[PX_WALK_LANES] = {0};
    uint32_t fixed = depth < FIXED_STEPS_MAX ? depth : FIXED_STEPS_MAX;
    for (uint32_t i = 0; i < fixed; i++)
        NAMED(step_lanes)(nodes, keys, words, at);
    if (depth > FIXED_STEPS_MAX) {
        do
            NAMED(step_lanes)(nodes, keys, words, at);
        while (NAMED(step_lanes)(nodes, keys, words, at));
    }
    UNROLL_LANES
    for (int lane = 0; lane < PX_WALK_LANES; lane++)
        leaves[lane] = nodes[at[lane]].key;
}

/* The lanes need all registers: the functions below are kept out of their callers. */
static NEVER_INLINE void NAMED(walk_rows_plain)(const struct NAMED(node) * nodes, uint32_t depth,
                                                const uint32_t *keys, uint32_t *leaves)
{
    NAMED(walk_rows)(nodes, depth, keys, NULL, leaves);
}

static NEVER_INLINE void NAMED(walk_rows_windows)(const struct NAMED(node) * nodes, uint32_t depth,
                                                  const uint32_t *keys, const uint32_t *words,
                                                  uint32_t *leaves)
{
    NAMED(walk_rows)(nodes, depth, keys, words, leaves);
}

static PX_ALWAYS_INLINE void NAMED(walk_trees)(const struct NAMED(node) * nodes,
                                               const struct px_walk_group *group,
                                               const uint32_t *keys, const uint32_t *words,
                                               uint32_t *leaves)
{
    uint32_t at[PX_WALK_LANES], columns, done = 0;
    memcpy(at, group->first, sizeof at);
    do {
        columns = 0;
        UNROLL_LANES
        for (int lane = 0; lane < PX_WALK_LANES; lane++) {
            uint32_t here = at[lane];
            columns |= nodes[here].column;
            at[lane] = group->first[lane] + (words ? NAMED(window_step)(nodes, keys, words, here)
                                                   : NAMED(step)(nodes, keys, here));
        }
    } while (columns && ++done < group->depth);
    UNROLL_LANES
    for (int lane = 0; lane < PX_WALK_LANES; lane++)
        leaves[lane] = nodes[at[lane]].key;
}

static NEVER_INLINE void NAMED(walk_trees_plain)(const struct NAMED(node) * nodes,
                                                 const struct px_walk_group *group,
                                                 const uint32_t *keys, uint32_t *leaves)
{
    NAMED(walk_trees)(nodes, group, keys, NULL, leaves);
}

static NEVER_INLINE void NAMED(walk_trees_windows)(const struct NAMED(node) * nodes,
                                                   const struct px_walk_group *group,
                                                   const uint32_t *keys, const uint32_t *words,
                                                   uint32_t *leaves)
{
    NAMED(walk_trees)(nodes, group, keys, words, leaves);
}
