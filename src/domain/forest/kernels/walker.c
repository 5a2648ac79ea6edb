/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums are made in the order of the library's CPU predictor, because floating-point addition is not
 * associative: the base score first, then the trees in file order, each product rounded before it is
 * added. Elements of an FP32 forest are held in doubles here without loss, but every product and sum is
 * computed in float.
 */
#include "domain/forest/kernels/walker.h"

#include "domain/forest/kernels/kernel.h"
#include "domain/forest/kernels/walk_cost.h"

static double row_value(const struct px_forest_ir *ir, const void *row, uint32_t feature)
{
    return ir->type == PX_TYPE_FP32 ? (double)((const float *)row)[feature]
                                    : ((const double *)row)[feature];
}

uint32_t px_walker_leaf(const struct px_forest_ir *ir, const struct px_tree *tree, const void *row)
{
    const struct px_node *nodes = &ir->nodes.items[tree->first_node];
    const struct px_node *node = nodes;
    while (node->kind != PX_NODE_LEAF) {
        bool left = px_walker_goes_left(ir, node, row_value(ir, row, node->feature));
        node = &nodes[node->left + !left];
    }
    return node->left;
}

/* LightGBM flushes tiny inputs of dense rows to zero before anything sees them. */
static double flush_tiny(double x)
{
    return fabs(x) <= PX_ZERO_THRESHOLD ? 0.0 : x;
}

static double linear_value(const struct px_forest_ir *ir, const struct px_tree *tree, uint32_t leaf,
                           const void *row)
{
    const struct px_linear_leaf *linear = &ir->linear_leaves.items[tree->first_linear + leaf];
    double sum = linear->constant;
    for (uint32_t i = 0; i < linear->n_terms; i++) {
        const struct px_linear_term *term = &ir->linear_terms.items[linear->first_term + i];
        double x = row_value(ir, row, term->feature);
        if (isnan(x))
            return ir->leaf_values.items[tree->first_leaf + leaf];
        sum += term->coefficient * flush_tiny(x);
    }
    return sum;
}

static void add_f32(const struct px_forest_ir *ir, const struct px_tree *tree, const void *row,
                    float *margins)
{
    uint32_t leaf = px_walker_leaf(ir, tree, row);
    const double *values = &ir->leaf_values.items[tree->first_leaf + (size_t)leaf * tree->width];
    for (uint32_t k = 0; k < tree->width; k++)
        margins[tree->output + k] += (float)px_ir_weighted(ir, tree, values[k]);
}

static void add_f64(const struct px_forest_ir *ir, const struct px_tree *tree, const void *row,
                    double *margins)
{
    uint32_t leaf = px_walker_leaf(ir, tree, row);
    const double *values = &ir->leaf_values.items[tree->first_leaf + (size_t)leaf * tree->width];
    if (tree->linear) {
        margins[tree->output] += linear_value(ir, tree, leaf, row);
        return;
    }
    for (uint32_t k = 0; k < tree->width; k++)
        margins[tree->output + k] += px_ir_weighted(ir, tree, values[k]);
}

static void margins_f32(const struct px_forest_ir *ir, const void *row, float *margins)
{
    for (size_t k = 0; k < ir->n_margins; k++)
        margins[k] = (float)px_ir_start(ir, k);
    for (size_t t = 0; t < ir->trees.len; t++)
        add_f32(ir, &ir->trees.items[t], row, margins);
}

static void margins_f64(const struct px_forest_ir *ir, const void *row, double *margins)
{
    for (size_t k = 0; k < ir->n_margins; k++)
        margins[k] = px_ir_start(ir, k);
    for (size_t t = 0; t < ir->trees.len; t++)
        add_f64(ir, &ir->trees.items[t], row, margins);
}

/* Start of an extreme: what any leaf replaces. */
static double no_extreme(const struct px_forest_ir *ir)
{
    return ir->aggregate == PX_AGGREGATE_MIN ? (double)INFINITY : -(double)INFINITY;
}

static double extreme(const struct px_forest_ir *ir, double a, double b)
{
    return ir->aggregate == PX_AGGREGATE_MIN ? fmin(a, b) : fmax(a, b);
}

static bool has_tree(const struct px_forest_ir *ir, size_t margin)
{
    const struct px_tree *tree;
    px_vec_foreach (tree, &ir->trees) {
        if (tree->width != 1 || tree->output == margin)
            return true;
    }
    return false;
}

/* MIN and MAX round nothing, so one function does for both element types. */
static void extremes(const struct px_forest_ir *ir, const void *row, size_t at, void *margins)
{
    struct px_matrix out = {.type = ir->type, .data = margins, .stride = ir->n_margins};
    for (size_t k = 0; k < ir->n_margins; k++)
        px_matrix_set(&out, at, k, has_tree(ir, k) ? no_extreme(ir) : 0.0);
    const struct px_tree *tree;
    px_vec_foreach (tree, &ir->trees) {
        uint32_t leaf = px_walker_leaf(ir, tree, row);
        const double *values =
            &ir->leaf_values.items[tree->first_leaf + (size_t)leaf * tree->width];
        for (uint32_t k = 0; k < tree->width; k++) {
            double old = px_matrix_get(&out, at, tree->output + k);
            px_matrix_set(&out, at, tree->output + k, extreme(ir, old, values[k]));
        }
    }
}

static void walker_margins(const struct px_kernel_input *input, const void *compiled,
                           const struct px_matrix *rows, void *margins, void *scratch)
{
    const struct px_forest_ir *ir = input->ir;
    (void)compiled;
    (void)scratch;
    for (size_t i = 0; i < rows->n_rows; i++) {
        const void *row = px_matrix_row(rows, i);
        if (ir->aggregate != PX_AGGREGATE_SUM)
            extremes(ir, row, i, margins);
        else if (ir->type == PX_TYPE_FP32)
            margins_f32(ir, row, (float *)margins + i * ir->n_margins);
        else
            margins_f64(ir, row, (double *)margins + i * ir->n_margins);
    }
}

static enum px_code walker_compile(const struct px_kernel_input *input, void **ret,
                                   struct px_err *err)
{
    (void)input;
    (void)err;
    *ret = NULL;
    return PX_OK;
}

static void walker_destroy(void *compiled)
{
    (void)compiled;
}

static size_t walker_bytes(const void *compiled)
{
    (void)compiled;
    return 0;
}

static size_t walker_scratch_size(const struct px_kernel_input *input, const void *compiled,
                                  size_t n_rows)
{
    (void)input;
    (void)compiled;
    (void)n_rows;
    return 0;
}

/*
 * A step mispredicts about every other branch, and waits for its node alone. The average path is somewhat
 * shorter than the depth.
 */
static double walker_cost(const struct px_kernel_input *input, const void *compiled, size_t n_rows)
{
    double steps = 0;
    const struct px_tree *tree;
    (void)compiled;
    px_vec_foreach (tree, &input->ir->trees)
        steps += tree->depth < 24 ? tree->depth : 24;
    double distance = px_walk_distance(input->ir->nodes.len * sizeof(struct px_node));
    return (25.0 + 75.0 * distance) * steps * (double)n_rows;
}

const struct px_kernel px_walker_kernel = {
    .name = "walker",
    .without_codes = true,
    .compile = walker_compile,
    .destroy = walker_destroy,
    .bytes = walker_bytes,
    .scratch_size = walker_scratch_size,
    .cost = walker_cost,
    .margins = walker_margins,
};
