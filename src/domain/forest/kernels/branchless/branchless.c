/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The branchless kernel: packed nodes, several walks in flight.
 *
 * Problem. A split's outcome is close to random, so a walk that branches on it pays a misprediction per
 * node, and one walk alone waits for memory at every step.
 *
 * Approach. A step computes the child's index from the comparison's result without a branch:
 *
 *     next = left + (((x >= threshold) | (x is NaN & default right)) & is a split)
 *
 * A leaf is its own left child, so a walk that is done stays where it is, and all walks of a tree take
 * the same number of steps: its depth. PX_LANES walks run side by side, of several rows in one tree
 * (batches) or of one row in several trees. Deep trees are rarely complete: there the walks stop as
 * soon as all stand on leaves. Rows are taken in blocks that fit the first cache level, so that each
 * tree is loaded once per block. A block is looked through for NaN first: the test for it costs a quarter
 * of each step, and most blocks can do without.
 *
 * Exactness
 * 1. A node's index is that of the internal form. What a packed node cannot say (sets of categories,
 *    zero as missing, `x <= infinity`) is marked special and asks px_walker_goes_left. Trees without
 *    such nodes run in loops without that question.
 * 2. x <= t is x < t' with t' the next double after t, for finite t.
 * 3. NaN that counts as 0 always takes the side of 0: a default side.
 * 4. A leaf holds weight * value, rounded to the element type as the walker rounds it; trees are added in
 *    their order.
 *
 * Rows are read as they come, so this kernel is for rows of which a walk sees little: one row of a small
 * forest, or thousands of features in use. Larger forests are for keyed.c, whose nodes are smaller.
 *
 * Rejected: gathers (slower than scalar code on current processors).
 */
#include "domain/forest/kernels/kernel.h"
#include "domain/forest/kernels/walk_cost.h"
#include "domain/forest/kernels/walker.h"

enum {
    PX_LANES = 8,
    CHECK_STEPS = 4,        /* steps between two looks whether all walks are done */
    FIXED_DEPTH_MAX = 8,    /* the last steps are made without looking */
    BLOCK_BYTES = 16 << 10, /* of rows */
    BLOCK_ROWS_MAX = 256,   /* a multiple of PX_LANES */
};

/* In packed.feature: the feature's index, and flags. */
#define DEFAULT_RIGHT UINT32_C(0x80000000)
#define IS_SPLIT      UINT32_C(0x40000000)
#define IS_SPECIAL    UINT32_C(0x20000000)
#define FEATURE_MASK  UINT32_C(0x1FFFFFFF)

#define UNROLL_LANES _Pragma("GCC unroll 8")

struct packed_tree {
    uint32_t first_node, depth, output, width;
    size_t first_value; /* of vector leaves */
    bool special;       /* has special nodes */
};

struct packed_forest {
    struct packed_tree *trees;
    void *nodes;  /* struct packed_f32 or packed_f64, in the order of the internal form */
    void *values; /* of vector leaves */
    size_t bytes;
    double steps; /* of one row through all trees, as trees go */
};

enum walk_kind {
    WALK_COMPLETE, /* no row of the block has a missing value */
    WALK_MISSING,
    WALK_SPECIAL, /* the tree has special nodes */
};

/* Rows per block: what fits BLOCK_BYTES, in whole groups of lanes. */
static size_t block_rows(size_t row_bytes)
{
    size_t rows = BLOCK_BYTES / row_bytes / PX_LANES * PX_LANES;
    if (rows < PX_LANES)
        return PX_LANES;
    return rows < BLOCK_ROWS_MAX ? rows : BLOCK_ROWS_MAX;
}

#define ELEMENT     float
#define NEXT_AFTER  nextafterf
#define NAMED(name) name##_f32
#include "domain/forest/kernels/branchless/branchless_walk.h"
#undef ELEMENT
#undef NEXT_AFTER
#undef NAMED

#define ELEMENT     double
#define NEXT_AFTER  nextafter
#define NAMED(name) name##_f64
#include "domain/forest/kernels/branchless/branchless_walk.h"
#undef ELEMENT
#undef NEXT_AFTER
#undef NAMED

static enum px_code refuse(const struct px_forest_ir *ir, struct px_err *err)
{
    if (ir->linear_leaves.len)
        return px_err_set(err, PX_E_UNSUPPORTED, "its leaves are linear models");
    if (ir->aggregate != PX_AGGREGATE_SUM)
        return px_err_set(err, PX_E_UNSUPPORTED, "its trees are not summed");
    return PX_OK;
}

static void branchless_destroy(void *compiled)
{
    struct packed_forest *forest = compiled;
    if (!forest)
        return;
    px_free(forest->trees);
    px_free(forest->nodes);
    px_free(forest->values);
    px_free(forest);
}

static enum px_code branchless_compile(const struct px_kernel_input *input, void **ret,
                                       struct px_err *err)
{
    const struct px_forest_ir *ir = input->ir;
    if (refuse(ir, err) != PX_OK)
        return PX_E_UNSUPPORTED;
    struct packed_forest *forest = px_alloc(1, sizeof *forest);
    if (!forest)
        return px_ir_no_memory(err);
    forest->trees = px_alloc(ir->trees.len, sizeof *forest->trees);
    for (size_t t = 0; forest->trees && t < ir->trees.len; t++) {
        const struct px_tree *tree = &ir->trees.items[t];
        forest->trees[t] = (struct packed_tree){.first_node = tree->first_node,
                                                .depth = tree->depth,
                                                .output = tree->output,
                                                .width = tree->width};
        forest->steps += px_walk_mean_depth(ir, tree) + 1;
    }
    forest->bytes = sizeof *forest + ir->trees.len * sizeof *forest->trees;
    bool packed =
        forest->trees && (ir->type == PX_TYPE_FP32 ? pack_f32(ir, forest) : pack_f64(ir, forest));
    if (!packed) {
        branchless_destroy(forest);
        return px_ir_no_memory(err);
    }
    *ret = forest;
    return PX_OK;
}

static size_t branchless_bytes(const void *compiled)
{
    return ((const struct packed_forest *)compiled)->bytes;
}

static size_t branchless_scratch_size(const struct px_kernel_input *input, const void *compiled,
                                      size_t n_rows)
{
    (void)input;
    (void)compiled;
    (void)n_rows;
    return 0;
}

/* A step into a cold node waits for its line, of which eight are on their way. */
static double branchless_cost(const struct px_kernel_input *input, const void *compiled,
                              size_t n_rows)
{
    const struct packed_forest *forest = compiled;
    double search = (double)input->ir->used_features.len; /* for missing values */
    double walk = (5.0 + 45.0 * px_walk_distance(forest->bytes)) * forest->steps;
    return (walk + search) * (double)n_rows;
}

static void branchless_margins(const struct px_kernel_input *input, const void *compiled,
                               const struct px_matrix *rows, void *margins, void *scratch)
{
    (void)scratch;
    if (input->ir->type == PX_TYPE_FP32)
        score_f32(input->ir, compiled, rows, margins);
    else
        score_f64(input->ir, compiled, rows, margins);
}

const struct px_kernel px_branchless_kernel = {
    .name = "branchless",
    .without_codes = true,
    .compile = branchless_compile,
    .destroy = branchless_destroy,
    .bytes = branchless_bytes,
    .scratch_size = branchless_scratch_size,
    .cost = branchless_cost,
    .margins = branchless_margins,
};
