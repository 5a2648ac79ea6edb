/* SPDX-License-Identifier: Apache-2.0 */
/* The sums of keyed.c for one element type, hence no include guard. The includer defines ELEMENT and NAMED. */

/* Rows that are scored together. */
struct NAMED(rows) {
    const ELEMENT *elements; /* as they came, for linear leaves */
    size_t stride;
    const uint32_t *keys; /* chunks */
    ELEMENT *margins;
    size_t n, n_margins;
};

/* weight * value of leaves that do not hold it. */
static void NAMED(fill_values)(const struct px_forest_ir *ir, ELEMENT *values)
{
    const struct px_tree *tree;
    px_vec_foreach (tree, &ir->trees) {
        size_t end = tree->first_leaf + (size_t)tree->n_leaves * tree->width;
        for (size_t v = tree->first_leaf; v < end; v++)
            values[v] = (ELEMENT)px_ir_weighted(ir, tree, ir->leaf_values.items[v]);
    }
}

static ELEMENT NAMED(linear_value)(const struct px_forest_ir *ir, const struct px_tree *tree,
                                   uint32_t leaf, const ELEMENT *row)
{
    const struct px_linear_leaf *linear = &ir->linear_leaves.items[tree->first_linear + leaf];
    const struct px_linear_term *terms =
        linear->n_terms ? &ir->linear_terms.items[linear->first_term] : NULL;
    double sum = linear->constant;
    bool missing = false;
    for (uint32_t i = 0; i < linear->n_terms; i++) {
        double x = (double)row[terms[i].feature];
        missing |= isnan(x) != 0;
        sum += terms[i].coefficient * (fabs(x) <= PX_ZERO_THRESHOLD ? 0.0 : x);
    }
    return (ELEMENT)(missing ? ir->leaf_values.items[tree->first_leaf + leaf] : sum);
}

static PX_ALWAYS_INLINE void NAMED(add_leaf)(const struct keyed_forest *forest,
                                             const struct px_keyed_tree *tree, uint32_t key,
                                             const struct NAMED(rows) * rows, size_t row)
{
    ELEMENT *margins = rows->margins + row * rows->n_margins + tree->output;
    if (tree->inlined) {
        float value;
        memcpy(&value, &key, sizeof value);
        *margins += (ELEMENT)value;
        return;
    }
    if (tree->tree->linear) {
        const ELEMENT *elements = rows->elements + row * rows->stride;
        *margins += NAMED(linear_value)(forest->ir, tree->tree, key, elements);
        return;
    }
    const ELEMENT *values =
        (const ELEMENT *)forest->values + tree->tree->first_leaf + (size_t)key * tree->width;
    for (uint32_t k = 0; k < tree->width; k++)
        margins[k] += values[k];
}

/* All rows through tree `t`, and the next tree on its way to the caches meanwhile. */
static void NAMED(score_tree)(const struct keyed_forest *forest, size_t t,
                              const struct NAMED(rows) * rows)
{
    const struct px_keyed_tree *tree = &forest->nodes.trees[t];
    size_t chunk_keys = forest->nodes.keys->n_columns * PX_KEY_LANES;
    struct ahead ahead = next_tree(forest, t, rows->n);
    for (size_t i = 0; i < rows->n; i += PX_WALK_LANES) {
        const uint32_t *keys = rows->keys + i / PX_KEY_LANES * chunk_keys + i % PX_KEY_LANES;
        size_t n = rows->n - i < PX_WALK_LANES ? rows->n - i : PX_WALK_LANES;
        uint32_t leaves[PX_WALK_LANES];
        fetch_ahead(&ahead);
        px_keyed_walk_rows(&forest->nodes, tree, keys, leaves);
        for (size_t lane = 0; lane < n; lane++)
            NAMED(add_leaf)(forest, tree, leaves[lane], rows, i + lane);
    }
}

/* A few rows through a group of trees; the last group repeats its last tree and adds it once. */
static void NAMED(score_group)(const struct keyed_forest *forest, size_t first,
                               const struct NAMED(rows) * rows)
{
    const struct px_keyed_tree *trees = &forest->nodes.trees[first];
    size_t left = forest->nodes.n_trees - first, n = left < PX_WALK_LANES ? left : PX_WALK_LANES;
    struct px_walk_group group = make_group(trees, n);
    fetch_next_group(forest, first + n, rows->n);
    for (size_t row = 0; row < rows->n; row++) {
        uint32_t leaves[PX_WALK_LANES];
        px_keyed_walk_trees(&forest->nodes, &group, rows->keys + row, leaves);
        for (size_t lane = 0; lane < n; lane++)
            NAMED(add_leaf)(forest, &trees[lane], leaves[lane], rows, row);
    }
}

static void NAMED(score_block)(const struct keyed_forest *forest, const struct NAMED(rows) * rows)
{
    if (rows->n < PX_WALK_LANES) {
        for (size_t t = 0; t < forest->nodes.n_trees; t += PX_WALK_LANES)
            NAMED(score_group)(forest, t, rows);
    } else {
        for (size_t t = 0; t < forest->nodes.n_trees; t++)
            NAMED(score_tree)(forest, t, rows);
    }
}

static void NAMED(start_margins)(const struct px_forest_ir *ir, ELEMENT *margins, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < ir->n_margins; k++)
            margins[i * ir->n_margins + k] = (ELEMENT)px_ir_start(ir, k);
    }
}

static void NAMED(score)(const struct keyed_forest *forest, const struct px_matrix *matrix,
                         ELEMENT *margins, uint32_t *keys)
{
    const struct px_forest_ir *ir = forest->ir;
    size_t block = block_rows(forest);
    NAMED(start_margins)(ir, margins, matrix->n_rows);
    for (size_t first = 0; first < matrix->n_rows; first += block) {
        size_t left = matrix->n_rows - first;
        struct NAMED(rows) rows = {
            .elements = px_matrix_row(matrix, first),
            .stride = matrix->stride,
            .keys = keys,
            .margins = margins + first * ir->n_margins,
            .n = left < block ? left : block,
            .n_margins = ir->n_margins,
        };
        encode_block(forest, matrix, first, rows.n, keys);
        NAMED(score_block)(forest, &rows);
    }
}
