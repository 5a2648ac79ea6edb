/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of branchless.c for one element type; included once for float and once for double, hence no
 * include guard. The includer defines ELEMENT, NEXT_AFTER and NAMED, and has explained the method.
 */

struct NAMED(packed) {
    union {
        ELEMENT threshold;  /* split */
        ELEMENT value;      /* leaf: weight * value */
        uint32_t value_row; /* leaf of a tree with vector leaves */
    };
    uint32_t feature; /* and flags */
    uint32_t left;    /* in the forest's node array; of a leaf: itself */
};

/* Does the plain comparison send |x| <= PX_ZERO_THRESHOLD to the default side anyway? */
static bool NAMED(zero_is_plain)(const struct px_node *node)
{
    double t = node->threshold, zero = PX_ZERO_THRESHOLD;
    if (node->kind == PX_NODE_LT)
        return node->default_left ? t > zero : t <= -zero;
    return node->default_left ? t >= zero : t < -zero;
}

static bool NAMED(needs_special)(const struct px_node *node)
{
    if (node->kind == PX_NODE_SET || node->kind == PX_NODE_VALUES)
        return true;
    if (node->kind == PX_NODE_LE && node->threshold == (double)INFINITY)
        return true;
    return node->missing == PX_MISSING_ZERO && !NAMED(zero_is_plain)(node);
}

static bool NAMED(default_left)(const struct px_node *node)
{
    if (node->missing != PX_MISSING_AS_ZERO)
        return node->default_left;
    return node->kind == PX_NODE_LT ? 0.0 < node->threshold : 0.0 <= node->threshold;
}

static struct NAMED(packed) NAMED(pack_split)(const struct px_node *node, uint32_t first_node)
{
    struct NAMED(packed)
        packed = {.feature = node->feature | IS_SPLIT, .left = first_node + node->left};
    if (NAMED(needs_special)(node)) {
        packed.feature |= IS_SPECIAL;
        return packed;
    }
    packed.threshold = (ELEMENT)node->threshold;
    if (node->kind == PX_NODE_LE)
        packed.threshold = NEXT_AFTER(packed.threshold, (ELEMENT)INFINITY);
    if (!NAMED(default_left)(node))
        packed.feature |= DEFAULT_RIGHT;
    return packed;
}

/* Packs one tree; `value` is where its vector leaves go. Returns the number of values written there. */
static size_t NAMED(pack_tree)(const struct px_forest_ir *ir, const struct px_tree *tree,
                               struct packed_tree *out, struct NAMED(packed) * nodes,
                               ELEMENT *values)
{
    const double *leaves = &ir->leaf_values.items[tree->first_leaf];
    for (uint32_t i = tree->first_node; i < tree->first_node + tree->n_nodes; i++) {
        const struct px_node *node = &ir->nodes.items[i];
        if (node->kind != PX_NODE_LEAF) {
            nodes[i] = NAMED(pack_split)(node, tree->first_node);
            out->special |= (nodes[i].feature & IS_SPECIAL) != 0;
        } else if (tree->width == 1) {
            nodes[i] = (struct NAMED(packed)){
                .value = (ELEMENT)px_ir_weighted(ir, tree, leaves[node->left]), .left = i};
        } else {
            nodes[i] = (struct NAMED(packed)){.value_row = node->left, .left = i};
        }
    }
    if (tree->width == 1)
        return 0;
    size_t n_values = (size_t)tree->n_leaves * tree->width;
    for (size_t v = 0; v < n_values; v++)
        values[v] = (ELEMENT)px_ir_weighted(ir, tree, leaves[v]);
    return n_values;
}

static bool NAMED(pack)(const struct px_forest_ir *ir, struct packed_forest *forest)
{
    size_t n_values = 0;
    for (size_t t = 0; t < ir->trees.len; t++)
        n_values += ir->trees.items[t].width == 1
                        ? 0
                        : (size_t)ir->trees.items[t].n_leaves * ir->trees.items[t].width;
    forest->nodes = px_alloc_aligned(PX_CACHE_LINE, ir->nodes.len, sizeof(struct NAMED(packed)));
    forest->values = px_alloc(n_values, sizeof(ELEMENT));
    forest->bytes += ir->nodes.len * sizeof(struct NAMED(packed)) + n_values * sizeof(ELEMENT);
    if (!forest->nodes || !forest->values)
        return false;
    size_t at = 0;
    for (size_t t = 0; t < ir->trees.len; t++) {
        forest->trees[t].first_value = at;
        at += NAMED(pack_tree)(ir, &ir->trees.items[t], &forest->trees[t], forest->nodes,
                               (ELEMENT *)forest->values + at);
    }
    return true;
}

static PX_ALWAYS_INLINE uint32_t NAMED(step)(const struct px_forest_ir *ir,
                                             const struct NAMED(packed) * nodes, const ELEMENT *row,
                                             uint32_t at, enum walk_kind kind)
{
    const struct NAMED(packed) *node = &nodes[at];
    uint32_t bits = node->feature;
    ELEMENT x = row[bits & FEATURE_MASK];
    if (kind == WALK_SPECIAL && (bits & IS_SPECIAL))
        return node->left + !px_walker_goes_left(ir, &ir->nodes.items[at], (double)x);
    uint32_t right = x >= node->threshold;
    if (kind != WALK_COMPLETE)
        right |= (uint32_t)isnan(x) & bits >> 31;
    return node->left + (right & bits >> 30); /* bit 30 is IS_SPLIT; `right` has one bit */
}

static PX_ALWAYS_INLINE void NAMED(step_lanes)(const struct px_forest_ir *ir,
                                               const struct NAMED(packed) * nodes,
                                               const ELEMENT *const *rows, uint32_t *at,
                                               enum walk_kind kind)
{
    UNROLL_LANES
    for (int lane = 0; lane < PX_LANES; lane++)
        at[lane] = NAMED(step)(ir, nodes, rows[lane], at[lane], kind);
}

static PX_ALWAYS_INLINE bool NAMED(all_on_leaves)(const struct NAMED(packed) * nodes,
                                                  const uint32_t *at)
{
    uint32_t bits = 0;
    UNROLL_LANES
    for (int lane = 0; lane < PX_LANES; lane++)
        bits |= nodes[at[lane]].feature;
    return !(bits & IS_SPLIT);
}

static PX_ALWAYS_INLINE void NAMED(walk_lanes)(const struct px_forest_ir *ir,
                                               const struct NAMED(packed) * nodes,
                                               const ELEMENT *const *rows, uint32_t *at,
                                               uint32_t depth, enum walk_kind kind)
{
    uint32_t done = 0;
    for (; depth - done > FIXED_DEPTH_MAX; done += CHECK_STEPS) {
        for (int i = 0; i < CHECK_STEPS; i++)
            NAMED(step_lanes)(ir, nodes, rows, at, kind);
        if (NAMED(all_on_leaves)(nodes, at))
            return;
    }
    for (; done < depth; done++)
        NAMED(step_lanes)(ir, nodes, rows, at, kind);
}

/* The loops, once for each kind of walk. `at` is copied so that it can live in registers. */
static void NAMED(walk_complete)(const struct NAMED(packed) * nodes, const ELEMENT *const *rows,
                                 uint32_t *at, uint32_t depth)
{
    uint32_t local[PX_LANES];
    memcpy(local, at, sizeof local);
    NAMED(walk_lanes)(NULL, nodes, rows, local, depth, WALK_COMPLETE);
    memcpy(at, local, sizeof local);
}

static void NAMED(walk_missing)(const struct NAMED(packed) * nodes, const ELEMENT *const *rows,
                                uint32_t *at, uint32_t depth)
{
    uint32_t local[PX_LANES];
    memcpy(local, at, sizeof local);
    NAMED(walk_lanes)(NULL, nodes, rows, local, depth, WALK_MISSING);
    memcpy(at, local, sizeof local);
}

static void NAMED(walk)(const struct px_forest_ir *ir, const struct NAMED(packed) * nodes,
                        const ELEMENT *const *rows, uint32_t *at, uint32_t depth,
                        enum walk_kind kind)
{
    if (kind == WALK_COMPLETE)
        NAMED(walk_complete)(nodes, rows, at, depth);
    else if (kind == WALK_MISSING)
        NAMED(walk_missing)(nodes, rows, at, depth);
    else
        NAMED(walk_lanes)(ir, nodes, rows, at, depth, WALK_SPECIAL);
}

/* Has one of `n` rows a missing value, in a feature that some tree looks at? */
static bool NAMED(any_missing)(const struct px_forest_ir *ir, const ELEMENT *const *rows, size_t n)
{
    const uint32_t *used = ir->used_features.items;
    bool missing = false;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < ir->used_features.len; j++)
            missing |= isnan(rows[i][used[j]]) != 0;
    }
    return missing;
}

static PX_ALWAYS_INLINE void NAMED(add_leaf)(const struct packed_forest *forest,
                                             const struct packed_tree *tree, uint32_t at,
                                             ELEMENT *margins)
{
    const struct NAMED(packed) *leaf = (const struct NAMED(packed) *)forest->nodes + at;
    if (tree->width == 1) {
        margins[tree->output] += leaf->value;
        return;
    }
    const ELEMENT *values =
        (const ELEMENT *)forest->values + tree->first_value + (size_t)leaf->value_row * tree->width;
    for (uint32_t k = 0; k < tree->width; k++)
        margins[k] += values[k];
}

static void NAMED(start_margins)(const struct px_forest_ir *ir, ELEMENT *margins, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < ir->n_margins; k++)
            margins[i * ir->n_margins + k] = (ELEMENT)px_ir_start(ir, k);
    }
}

/* One row: PX_LANES trees at a time. The last group repeats its last tree and adds it once. */
static void NAMED(score_one)(const struct px_forest_ir *ir, const struct packed_forest *forest,
                             const ELEMENT *row, ELEMENT *margins)
{
    const ELEMENT *rows[PX_LANES] = {row, row, row, row, row, row, row, row};
    uint32_t at[PX_LANES];
    enum walk_kind plain = NAMED(any_missing)(ir, rows, 1) ? WALK_MISSING : WALK_COMPLETE;
    NAMED(start_margins)(ir, margins, 1);
    for (size_t first = 0; first < ir->trees.len; first += PX_LANES) {
        const struct packed_tree *trees = &forest->trees[first];
        size_t n = ir->trees.len - first < PX_LANES ? ir->trees.len - first : PX_LANES;
        uint32_t depth = 0;
        bool special = false;
        for (size_t lane = 0; lane < PX_LANES; lane++) {
            const struct packed_tree *tree = &trees[lane < n ? lane : n - 1];
            at[lane] = tree->first_node;
            depth = tree->depth > depth ? tree->depth : depth;
            special |= tree->special;
        }
        NAMED(walk)(ir, forest->nodes, rows, at, depth, special ? WALK_SPECIAL : plain);
        for (size_t lane = 0; lane < n; lane++)
            NAMED(add_leaf)(forest, &trees[lane], at[lane], margins);
    }
}

/* One tree for PX_LANES rows, of which the first `n` count. */
static PX_ALWAYS_INLINE void NAMED(score_lanes)(const struct px_forest_ir *ir,
                                                const struct packed_forest *forest,
                                                const struct packed_tree *tree, enum walk_kind kind,
                                                const ELEMENT *const *rows, size_t n,
                                                ELEMENT *margins)
{
    uint32_t at[PX_LANES];
    for (int lane = 0; lane < PX_LANES; lane++)
        at[lane] = tree->first_node;
    NAMED(walk)(ir, forest->nodes, rows, at, tree->depth, kind);
    for (size_t lane = 0; lane < n; lane++)
        NAMED(add_leaf)(forest, tree, at[lane], margins + lane * ir->n_margins);
}

/* All trees for a block of rows; the last lanes repeat the last row. */
static void NAMED(score_block)(const struct px_forest_ir *ir, const struct packed_forest *forest,
                               const struct px_matrix *rows, size_t first, size_t n,
                               ELEMENT *margins)
{
    const ELEMENT *row[BLOCK_ROWS_MAX];
    size_t padded = (n + PX_LANES - 1) / PX_LANES * PX_LANES;
    for (size_t i = 0; i < padded; i++)
        row[i] = px_matrix_row(rows, first + (i < n ? i : n - 1));
    NAMED(start_margins)(ir, margins, n);
    enum walk_kind plain = NAMED(any_missing)(ir, row, n) ? WALK_MISSING : WALK_COMPLETE;
    for (size_t t = 0; t < ir->trees.len; t++) {
        const struct packed_tree *tree = &forest->trees[t];
        for (size_t i = 0; i < n; i += PX_LANES)
            NAMED(score_lanes)
        (ir, forest, tree, tree->special ? WALK_SPECIAL : plain, &row[i],
         n - i < PX_LANES ? n - i : PX_LANES, margins + i * ir->n_margins);
    }
}

static void NAMED(score)(const struct px_forest_ir *ir, const struct packed_forest *forest,
                         const struct px_matrix *rows, ELEMENT *margins)
{
    size_t block = block_rows(ir->n_features * sizeof(ELEMENT));
    if (rows->n_rows == 1) {
        NAMED(score_one)(ir, forest, rows->data, margins);
        return;
    }
    for (size_t first = 0; first < rows->n_rows; first += block) {
        size_t n = rows->n_rows - first < block ? rows->n_rows - first : block;
        NAMED(score_block)(ir, forest, rows, first, n, margins + first * ir->n_margins);
    }
}
