/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyed kernel: branch-free walks over integer keys, for forests of any size and kind of split.
 *
 * Problem. The outcome of a split is close to random, so a walk that branches on it pays a misprediction
 * per node. What remains without branches is the number of instructions of a step, and for deep forests
 * of tens of megabytes the memory that their nodes come from.
 *
 * Approach. Rows become keys first (keys.h): missing values, zeros as missing, the difference of < and <= and the
 * width of the numbers are settled there, once per row instead of once per step. A step then is
 *
 *     next = left + (split's key < row's key)
 *
 * four loads, a comparison and an addition, on nodes of 8 bytes (keyed_nodes.h). PX_WALK_LANES walks run side
 * by side: of as many rows through one tree, or of one row through as many trees when rows are few. Deep
 * trees are rarely complete: their walks stop as soon as all stand on leaves.
 *
 * Rows are taken in blocks whose keys take about half of the second cache level, tree by tree, so that a
 * tree is fetched once per block.
 *
 * Exactness: keys preserve every comparison (keys.c), a leaf holds weight * value as the walker rounds it, and
 * trees are added in their order.
 *
 * Rejected: gathers (slower than scalar loads on current AMD processors); offsets relative to the node, which
 * cost an addition more and reach no farther; 64-bit keys for doubles, with nodes of 16 bytes: ranking
 * a row's numbers costs less than the larger nodes.
 */
#include "domain/forest/kernels/kernel.h"
#include "domain/forest/kernels/keyed/keyed_nodes.h"
#include "domain/forest/kernels/walk_cost.h"

#include <math.h>

enum {
    BLOCK_BYTES = 512 << 10, /* of keys */
    BLOCK_ROWS_MAX = 4096,   /* a multiple of PX_KEY_LANES */
    LINES_PER_ROW = 8,       /* of the next tree that are fetched ahead of a block */
    LINES_OF_FEW = 2,        /* the same for a few rows, of each tree of the next group */
};

struct keyed_forest {
    const struct px_forest_ir *ir;
    struct px_keyed_nodes nodes;
    /* [ir->leaf_values.len]: weight * value, of ir->type; NULL when all leaves hold theirs. */
    void *values;
};

static struct px_walk_group make_group(const struct px_keyed_tree *trees, size_t n)
{
    struct px_walk_group group = {0};
    for (size_t lane = 0; lane < PX_WALK_LANES; lane++) {
        const struct px_keyed_tree *tree = &trees[lane < n ? lane : n - 1];
        group.first[lane] = tree->first_node;
        group.depth = tree->depth > group.depth ? tree->depth : group.depth;
        group.windows |= tree->windows;
    }
    return group;
}

/* Rows per block, whole chunks. */
static size_t block_rows(const struct keyed_forest *forest)
{
    size_t row_bytes = forest->nodes.keys->n_columns * sizeof(uint32_t);
    size_t rows = BLOCK_BYTES / row_bytes / PX_KEY_LANES * PX_KEY_LANES;
    if (rows < PX_KEY_LANES)
        return PX_KEY_LANES;
    return rows < BLOCK_ROWS_MAX ? rows : BLOCK_ROWS_MAX;
}

static void encode_block(const struct keyed_forest *forest, const struct px_matrix *rows,
                         size_t first, size_t n_rows, uint32_t *keys)
{
    for (size_t i = 0; i < n_rows; i += PX_KEY_LANES) {
        size_t n = n_rows - i < PX_KEY_LANES ? n_rows - i : PX_KEY_LANES;
        px_keys_encode(forest->nodes.keys, rows, first + i, n,
                       keys + i * forest->nodes.keys->n_columns);
    }
}

/* What is fetched of a tree before its turn: its first lines, which hold the upper levels. */
struct ahead {
    const char *at, *end;
    size_t step; /* bytes per walk of the tree before */
};

static struct ahead next_tree(const struct keyed_forest *forest, size_t t, size_t n_rows)
{
    struct ahead ahead = {0};
    if (t + 1 >= forest->nodes.n_trees)
        return ahead;
    size_t lines = px_keyed_tree_lines(&forest->nodes, t + 1, &ahead.at);
    size_t walks = (n_rows + PX_WALK_LANES - 1) / PX_WALK_LANES;
    size_t wanted = n_rows * LINES_PER_ROW;
    lines = lines < wanted ? lines : wanted;
    ahead.end = ahead.at + lines * PX_CACHE_LINE;
    ahead.step = (lines + walks - 1) / walks * PX_CACHE_LINE;
    return ahead;
}

static void fetch_ahead(struct ahead *ahead)
{
    if (ahead->at == ahead->end) /* both are NULL behind the last tree */
        return;
    const char *end =
        (size_t)(ahead->end - ahead->at) < ahead->step ? ahead->end : ahead->at + ahead->step;
    for (; ahead->at < end; ahead->at += PX_CACHE_LINE)
        __builtin_prefetch(ahead->at, 0, 2);
}

static void fetch_next_group(const struct keyed_forest *forest, size_t first, size_t n_rows)
{
    size_t left = forest->nodes.n_trees - first, n = left < PX_WALK_LANES ? left : PX_WALK_LANES;
    for (size_t t = first; t < first + n; t++) {
        const char *at;
        size_t lines = px_keyed_tree_lines(&forest->nodes, t, &at), wanted = n_rows * LINES_OF_FEW;
        lines = lines < wanted ? lines : wanted;
        for (size_t i = 0; i < lines; i++)
            __builtin_prefetch(at + i * PX_CACHE_LINE, 0, 2);
    }
}

#define ELEMENT     float
#define NAMED(name) name##_f32
#include "domain/forest/kernels/keyed/keyed_score.h"
#undef ELEMENT
#undef NAMED

#define ELEMENT     double
#define NAMED(name) name##_f64
#include "domain/forest/kernels/keyed/keyed_score.h"
#undef ELEMENT
#undef NAMED

static void keyed_destroy(void *compiled)
{
    struct keyed_forest *forest = compiled;
    if (!forest)
        return;
    px_keyed_nodes_deinit(&forest->nodes);
    px_free(forest->values);
    px_free(forest);
}

static enum px_code make_values(struct keyed_forest *forest, struct px_err *err)
{
    const struct px_forest_ir *ir = forest->ir;
    bool needed = false;
    for (size_t t = 0; t < forest->nodes.n_trees; t++)
        needed |= !forest->nodes.trees[t].inlined;
    if (!needed)
        return PX_OK;
    forest->values = px_alloc(ir->leaf_values.len, px_datatype_size(ir->type));
    if (!forest->values)
        return px_ir_no_memory(err);
    if (ir->type == PX_TYPE_FP32)
        fill_values_f32(ir, forest->values);
    else
        fill_values_f64(ir, forest->values);
    return PX_OK;
}

static enum px_code keyed_compile(const struct px_kernel_input *input, void **ret,
                                  struct px_err *err)
{
    const struct px_forest_ir *ir = input->ir;
    if (ir->aggregate != PX_AGGREGATE_SUM)
        return px_err_set(err, PX_E_UNSUPPORTED, "its trees are not summed");
    struct keyed_forest *forest = px_alloc(1, sizeof *forest);
    if (!forest)
        return px_ir_no_memory(err);
    forest->ir = ir;
    enum px_code code = px_keyed_nodes_init(&forest->nodes, ir, err);
    if (code == PX_OK)
        code = make_values(forest, err);
    if (code != PX_OK) {
        keyed_destroy(forest);
        return code;
    }
    *ret = forest;
    return PX_OK;
}

static size_t keyed_bytes(const void *compiled)
{
    const struct keyed_forest *forest = compiled;
    size_t values =
        forest->values ? forest->ir->leaf_values.len * px_datatype_size(forest->ir->type) : 0;
    return sizeof *forest + px_keyed_nodes_bytes(&forest->nodes) + values;
}

static size_t keyed_scratch_size(const struct px_kernel_input *input, const void *compiled,
                                 size_t n_rows)
{
    const struct keyed_forest *forest = compiled;
    size_t block = block_rows(forest), rows = n_rows < block ? n_rows : block;
    size_t chunks = (rows + PX_KEY_LANES - 1) / PX_KEY_LANES;
    (void)input;
    return chunks * forest->nodes.keys->n_columns * PX_KEY_LANES * sizeof(uint32_t);
}

/* Making the keys of one row. */
static double key_cycles(const struct keyed_forest *forest, size_t n_rows)
{
    const struct px_keys *keys = forest->nodes.keys;
    double columns = (double)(keys->n_columns - 1);
    double searches =
        0; /* steps of them; sixteen numbers are searched at once, however few are needed */
    for (size_t c = 1; c < keys->n_columns; c++)
        searches += log2(1.0 + keys->columns[c].n_ranks);
    if (n_rows < PX_KEY_LANES)
        return 10.0 * columns + 32.0 * searches / (double)n_rows;
    return 3.0 * columns + 2.0 * searches;
}

/* Fitted on forests of 100 to 1,000 trees, 0.1 to 40 MB (docs/architecture/kernels.md). */
static double keyed_cost(const struct px_kernel_input *input, const void *compiled, size_t n_rows)
{
    const struct keyed_forest *forest = compiled;
    bool few = n_rows < PX_WALK_LANES;
    size_t padded = (n_rows + PX_WALK_LANES - 1) / PX_WALK_LANES * PX_WALK_LANES;
    double rows = (double)(few ? n_rows : padded);
    double block = (double)(n_rows < block_rows(forest) ? n_rows : block_rows(forest));
    double walks = 0, lines = 0;
    for (size_t t = 0; t < forest->nodes.n_trees; t++) {
        const struct px_keyed_tree *tree = &forest->nodes.trees[t];
        const char *at;
        double steps = (double)tree->mean_depth + 1, in_tree = steps / 2 * block;
        double all = (double)px_keyed_tree_lines(&forest->nodes, t, &at);
        walks += 8.0 + steps * (few ? 6.5 : tree->windows ? 9.0 : 3.2);
        walks += tree->tree->linear ? 60.0 : 0;
        lines += in_tree < all ? in_tree : all;
    }
    double memory = lines * (double)n_rows / block * (few ? 60.0 : 24.0) *
                    px_walk_distance(px_keyed_nodes_bytes(&forest->nodes));
    walks = walks * rows + (double)n_rows * key_cycles(forest, n_rows);
    (void)input;
    if (few)
        return walks + memory; /* a walk waits for its lines; those of blocks are fetched ahead */
    return walks > memory ? walks : memory;
}

static void keyed_margins(const struct px_kernel_input *input, const void *compiled,
                          const struct px_matrix *rows, void *margins, void *scratch)
{
    if (input->ir->type == PX_TYPE_FP32)
        score_f32(compiled, rows, margins, scratch);
    else
        score_f64(compiled, rows, margins, scratch);
}

const struct px_kernel px_keyed_kernel = {
    .name = "keyed",
    .without_codes = true,
    .compile = keyed_compile,
    .destroy = keyed_destroy,
    .bytes = keyed_bytes,
    .scratch_size = keyed_scratch_size,
    .cost = keyed_cost,
    .margins = keyed_margins,
};
