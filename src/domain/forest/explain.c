/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TreeSHAP, one row and one tree at a time.
 *
 * A walk goes down both sides of every split and carries the path of distinct features met so far. Element i
 * says which part of all feature subsets flows through when the feature is unknown (zero: the covers decide)
 * and when it is known (one: 1 on the row's own side, else 0), and the summed weight of the subsets with i
 * features. A leaf adds, for each feature of its path, its value times what taking the feature's element out
 * leaves. When a feature is met again its element is taken out and both fractions are multiplied.
 *
 * Each level has its own copy of the path, at the end of its parent's, so nothing is undone on the way up: the
 * paths of a tree of depth d take (d + 1)(d + 2) / 2 elements. The walk is recursive, and PX_EXPLAIN_DEPTH_MAX
 * bounds it.
 *
 * A child that no training row reached has cover 0: then a fraction is 0, and dividing by it is left out, as the
 * libraries do. Faster ways (weights kept per leaf, Linear TreeSHAP) were left out: they change the order of sums,
 * and an explanation is not on the hot path.
 */
#include "domain/forest/explain.h"

#include "domain/forest/kernels/walker.h"

struct element {
    size_t feature;
    double zero, one, weight;
};

#define NO_FEATURE SIZE_MAX

/* One tree on one row. */
struct walk {
    const struct px_forest_ir *ir;
    const struct px_tree *tree;
    const void *row;
    double *out; /* of the tree's margin */
};

/* How the walk came to a node. */
struct arrival {
    size_t feature;
    double zero, one;
};

static size_t path_elements(const struct px_forest_ir *ir)
{
    return (ir->depth_max + 2) * (ir->depth_max + 3) / 2;
}

static size_t nodes_max(const struct px_forest_ir *ir)
{
    size_t most = 0;
    const struct px_tree *tree;
    px_vec_foreach (tree, &ir->trees)
        most = tree->n_nodes > most ? tree->n_nodes : most;
    return most;
}

const char *px_explain_refusal(const struct px_forest_ir *ir)
{
    if (ir->covers.len != ir->nodes.len)
        return "its file does not say how many training rows reached each node";
    if (ir->aggregate != PX_AGGREGATE_SUM)
        return "its margin is no sum of trees";
    if (ir->depth_max > PX_EXPLAIN_DEPTH_MAX)
        return "it has a tree deeper than 256";
    const struct px_tree *tree;
    px_vec_foreach (tree, &ir->trees) {
        if (tree->linear)
            return "it has linear leaves";
        if (tree->width != 1)
            return "its leaves hold several values";
    }
    return NULL;
}

size_t px_explain_scratch_size(const struct px_forest_ir *ir)
{
    return path_elements(ir) * sizeof(struct element) +
           (nodes_max(ir) + ir->n_margins) * sizeof(double);
}

double px_explain_steps(const struct px_forest_ir *ir)
{
    double steps = 0;
    const struct px_tree *tree;
    px_vec_foreach (tree, &ir->trees) {
        double depth = tree->depth + 1.0;
        steps += tree->n_leaves * depth * depth;
    }
    return steps;
}

/* Appends an element: every subset of the path exists without and with it. */
static void extend(struct element *path, size_t depth, const struct arrival *by)
{
    path[depth] = (struct element){by->feature, by->zero, by->one, depth == 0 ? 1.0 : 0.0};
    double n = (double)(depth + 1);
    for (size_t i = depth; i-- > 0;) {
        path[i + 1].weight += by->one * path[i].weight * (double)(i + 1) / n;
        path[i].weight = by->zero * path[i].weight * (double)(depth - i) / n;
    }
}

/* Takes element `at` out of a path whose last is `depth`. */
static void unwind(struct element *path, size_t depth, size_t at)
{
    double one = path[at].one, zero = path[at].zero, next = path[depth].weight;
    double n = (double)(depth + 1);
    for (size_t i = depth; i-- > 0;) {
        if (one != 0.0) {
            double weight = path[i].weight;
            path[i].weight = next * n / ((double)(i + 1) * one);
            next = weight - path[i].weight * zero * (double)(depth - i) / n;
        } else if (zero != 0.0) {
            path[i].weight = path[i].weight * n / (zero * (double)(depth - i));
        }
    }
    for (size_t i = at; i < depth; i++) {
        path[i].feature = path[i + 1].feature;
        path[i].zero = path[i + 1].zero;
        path[i].one = path[i + 1].one;
    }
}

/* Sum of the weights that unwind(path, depth, at) would leave. */
static double unwound_sum(const struct element *path, size_t depth, size_t at)
{
    double one = path[at].one, zero = path[at].zero, next = path[depth].weight;
    double n = (double)(depth + 1), total = 0.0;
    for (size_t i = depth; i-- > 0;) {
        double left = (double)(depth - i) / n;
        if (one != 0.0) {
            double weight = next * n / ((double)(i + 1) * one);
            total += weight;
            next = path[i].weight - weight * zero * left;
        } else if (zero != 0.0) {
            total += path[i].weight / (zero * left);
        }
    }
    return total;
}

static double leaf_value(const struct walk *walk, const struct px_node *leaf)
{
    const struct px_tree *tree = walk->tree;
    return walk->ir->leaf_values.items[tree->first_leaf + leaf->left] * tree->weight;
}

static void add_leaf(const struct walk *walk, const struct px_node *leaf,
                     const struct element *path, size_t depth)
{
    double value = leaf_value(walk, leaf);
    for (size_t i = 1; i <= depth; i++)
        walk->out[path[i].feature] +=
            unwound_sum(path, depth, i) * (path[i].one - path[i].zero) * value;
}

static double row_value(const struct walk *walk, uint32_t feature)
{
    return walk->ir->type == PX_TYPE_FP32 ? (double)((const float *)walk->row)[feature]
                                          : ((const double *)walk->row)[feature];
}

/* Fractions that the feature had when it was met before; its element goes. `depth` becomes one less. */
static struct arrival take_earlier(struct element *path, size_t *depth, size_t feature)
{
    struct arrival earlier = {feature, 1.0, 1.0};
    for (size_t i = 1; i <= *depth; i++) {
        if (path[i].feature != feature)
            continue;
        earlier.zero = path[i].zero;
        earlier.one = path[i].one;
        unwind(path, *depth, i);
        --*depth;
        break;
    }
    return earlier;
}

/* `parent` holds `depth` elements; the path of this node follows them in memory. */
static void visit(const struct walk *walk, uint32_t at, const struct element *parent,
                  struct element *path, size_t depth, struct arrival by)
{
    const struct px_node *node = &walk->ir->nodes.items[walk->tree->first_node + at];
    const float *covers = &walk->ir->covers.items[walk->tree->first_node];
    memcpy(path, parent, depth * sizeof *path);
    extend(path, depth, &by);
    if (node->kind == PX_NODE_LEAF) {
        add_leaf(walk, node, path, depth);
        return;
    }
    bool left = px_walker_goes_left(walk->ir, node, row_value(walk, node->feature));
    uint32_t hot = node->left + !left, cold = node->left + left;
    double cover = (double)covers[at];
    struct element *below = path + depth + 1;
    struct arrival earlier = take_earlier(path, &depth, node->feature);
    visit(walk, hot, path, below, depth + 1,
          (struct arrival){node->feature, earlier.zero * (double)covers[hot] / cover, earlier.one});
    visit(walk, cold, path, below, depth + 1,
          (struct arrival){node->feature, earlier.zero * (double)covers[cold] / cover, 0.0});
}

/* The mean of a tree's leaves by cover; children come after their parent, so one pass backwards is enough. */
static double expected_value(const struct px_forest_ir *ir, const struct px_tree *tree,
                             double *means)
{
    const struct px_node *nodes = &ir->nodes.items[tree->first_node];
    const float *covers = &ir->covers.items[tree->first_node];
    for (uint32_t i = tree->n_nodes; i-- > 0;) {
        if (nodes[i].kind == PX_NODE_LEAF) {
            means[i] = ir->leaf_values.items[tree->first_leaf + nodes[i].left];
            continue;
        }
        uint32_t l = nodes[i].left, r = l + 1;
        means[i] =
            (means[l] * (double)covers[l] + means[r] * (double)covers[r]) / (double)covers[i];
    }
    return means[0] * tree->weight;
}

static void expect(const struct px_forest_ir *ir, double *expected, double *means)
{
    const struct px_tree *tree;
    memset(expected, 0, ir->n_margins * sizeof *expected);
    px_vec_foreach (tree, &ir->trees)
        expected[tree->output] += expected_value(ir, tree, means);
}

static void explain_row(const struct px_forest_ir *ir, const void *row, double *out,
                        struct element *paths)
{
    size_t width = ir->n_features + 1;
    const struct px_tree *tree;
    px_vec_foreach (tree, &ir->trees) {
        struct walk walk = {ir, tree, row, out + tree->output * width};
        if (tree->n_nodes > 1)
            visit(&walk, 0, paths, paths, 0, (struct arrival){NO_FEATURE, 1.0, 1.0});
    }
}

void px_explain_rows(const struct px_forest_ir *ir, const struct px_matrix *rows, double *out,
                     void *scratch)
{
    struct element *paths = scratch;
    double *expected = (double *)(paths + path_elements(ir)), *means = expected + ir->n_margins;
    size_t width = ir->n_features + 1;
    double factor = ir->sum_factor / ir->sum_divisor;
    expect(ir, expected, means);
    memset(out, 0, rows->n_rows * ir->n_margins * width * sizeof *out);
    for (size_t i = 0; i < rows->n_rows; i++) {
        double *own = out + i * ir->n_margins * width;
        explain_row(ir, px_matrix_row(rows, i), own, paths);
        for (size_t k = 0; k < ir->n_margins; k++)
            own[k * width + ir->n_features] = expected[k];
        for (size_t j = 0; j < ir->n_margins * width; j++)
            own[j] *= factor;
        for (size_t k = 0; k < ir->n_margins; k++)
            own[k * width + ir->n_features] += ir->base[k];
    }
}
