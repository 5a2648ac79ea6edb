/* SPDX-License-Identifier: Apache-2.0 */
/* Random forests of every shape that the internal form can say, for tests of codes and kernels. */
#ifndef PX_TESTS_RANDOM_FOREST_H
#define PX_TESTS_RANDOM_FOREST_H

#include "harness.h"

#include "domain/forest/ir.h"
#include "shared/rng.h"

enum { SPLITS_MAX = 600, SETS = 6, LISTS = 5, WIDTH = 3 };

struct shape {
    enum px_datatype type;
    size_t n_features, n_trees, n_splits;       /* splits of a tree */
    bool sets, lists, all_missing, le, torture; /* torture: special thresholds among the others */
    bool vectors, chains, complete, base_last, one_output;
    uint32_t set_spread; /* categories of sets lie up to this far apart; 0: 70 */
    uint64_t grid;       /* thresholds are multiples of 1 / grid in [-1, 1]; 0: normal numbers */
};

static const double torture_numbers[] = {
    0.0,
    -0.0,
    (double)1e-35F,
    -(double)1e-35F,
    1e-36,
    -1e-36,
    1e-45,
    -1e-45,
    1e-40,
    1.0,
    -1.0,
    -0.5,
    0.7,
    2.0,
    3.0,
    31.0,
    32.0,
    63.999,
    -1e30,
    1e30,
    1e300,
    -1e300,
    3.5,
    16777215.0,
    1.67e7,
    16777216.0,
    2147483648.0,
    -2147483649.0,
    1e-310,
    5e-324,
    -5e-324,
    3.4028234663852886e38,
    -3.4028234663852886e38,
    1.7976931348623157e308,
};

static inline double as_element(enum px_datatype type, double x)
{
    return type == PX_TYPE_FP32 ? (double)(float)x : x;
}

static inline double random_threshold(struct px_rng *rng, const struct shape *shape)
{
    if (shape->torture && px_rng_below(rng, 3) == 0) {
        uint64_t pick = px_rng_below(rng, PX_ARRAY_LEN(torture_numbers) + 2);
        if (pick >= PX_ARRAY_LEN(torture_numbers))
            return pick % 2 ? (double)INFINITY : -(double)INFINITY;
        return as_element(shape->type, torture_numbers[pick]);
    }
    if (shape->grid)
        return (double)(int64_t)(px_rng_below(rng, 2 * shape->grid) - shape->grid) /
               (double)shape->grid;
    return as_element(shape->type, px_rng_normal(rng));
}

static inline struct px_node random_split(struct px_rng *rng, const struct shape *shape)
{
    struct px_node node = {
        .kind = shape->le && px_rng_below(rng, 2) ? PX_NODE_LE : PX_NODE_LT,
        .threshold = random_threshold(rng, shape),
        .feature = (uint32_t)px_rng_below(rng, shape->n_features),
        .missing = shape->all_missing ? (uint8_t)px_rng_below(rng, 3) : PX_MISSING_NAN,
        .default_left = px_rng_below(rng, 2),
        .in_set_left = px_rng_below(rng, 2),
        .set = PX_SET_NONE,
    };
    if (shape->sets && px_rng_below(rng, 3) == 0) {
        node.kind = PX_NODE_SET;
        node.set = (uint32_t)px_rng_below(rng, SETS);
    } else if (shape->lists && px_rng_below(rng, 3) == 0) {
        node.kind = PX_NODE_VALUES;
        node.set = (uint32_t)px_rng_below(rng, LISTS);
    }
    return node;
}

/* The leaf that is split next: any; the newest, for chains; the oldest, for complete trees. */
static inline size_t pick_leaf(struct px_rng *rng, const struct shape *shape,
                               const struct px_file_node *nodes, size_t n, size_t i)
{
    size_t at;
    if (shape->complete)
        return i;
    if (shape->chains)
        return n - 1 - (n > 1 ? px_rng_below(rng, 2) : 0);
    do
        at = px_rng_below(rng, n);
    while (nodes[at].node.kind != PX_NODE_LEAF);
    return at;
}

static inline void add_random_tree(struct px_forest_ir *ir, struct px_rng *rng,
                                   const struct shape *shape)
{
    static struct px_file_node nodes[2 * SPLITS_MAX + 1];
    static double values[(2 * SPLITS_MAX + 1) * WIDTH];
    size_t n = 1;
    CHECK(shape->n_splits <= SPLITS_MAX);
    nodes[0] = (struct px_file_node){.node = {.kind = PX_NODE_LEAF}, .left = 0};
    for (size_t i = 0; i < shape->n_splits; i++, n += 2) {
        size_t at = pick_leaf(rng, shape, nodes, n, i);
        nodes[at] = (struct px_file_node){random_split(rng, shape), (int64_t)n, (int64_t)n + 1};
        for (size_t child = n; child < n + 2; child++)
            nodes[child] =
                (struct px_file_node){.node = {.kind = PX_NODE_LEAF}, .left = (int64_t)child};
    }
    for (size_t i = 0; i < n * WIDTH; i++)
        values[i] = as_element(shape->type, px_rng_normal(rng));
    bool vector = shape->vectors && px_rng_below(rng, 2);
    struct px_file_tree file = {
        .nodes = nodes, .n_nodes = n, .values = values, .n_rows = n, .width = vector ? WIDTH : 1};
    CHECK_OK(px_ir_add_tree(ir, &file, NULL));
    struct px_tree *tree = &ir->trees.items[ir->trees.len - 1];
    tree->output = vector || shape->one_output ? 0 : (uint32_t)px_rng_below(rng, WIDTH);
    tree->weight = shape->type == PX_TYPE_FP32 && px_rng_below(rng, 2) ? (double)0.3F : 1.0;
}

static inline void add_random_sets(struct px_forest_ir *ir, struct px_rng *rng,
                                   const struct shape *shape)
{
    uint32_t spread = shape->set_spread ? shape->set_spread : 70;
    for (int s = 0; s < SETS; s++) {
        uint32_t low = (uint32_t)px_rng_below(rng, 3) * spread, set;
        uint32_t high = low + (uint32_t)px_rng_below(rng, 70);
        CHECK_OK(px_ir_add_set(ir, low, high, &set, NULL));
        for (uint32_t c = low; s && c <= high; c += 1 + (uint32_t)px_rng_below(rng, 3))
            px_ir_set_insert(ir, set, c); /* the first set is empty */
    }
}

static inline void add_random_lists(struct px_forest_ir *ir, struct px_rng *rng)
{
    for (size_t l = 0; l < LISTS; l++) {
        double values[12];
        uint32_t list;
        for (size_t i = 0; i < l * 2 + 1; i++)
            values[i] = px_rng_below(rng, 2)
                            ? torture_numbers[px_rng_below(rng, PX_ARRAY_LEN(torture_numbers))]
                            : (double)px_rng_below(rng, 5);
        if (l)
            values[0] = l % 2 ? (double)INFINITY : 0.1;
        CHECK_OK(px_ir_add_values(ir, values, l * 2 + 1, &list, NULL));
    }
}

/* Ends with px_ir_finish; px_ir_deinit is the caller's. */
static inline void make_forest(struct px_forest_ir *ir, struct px_rng *rng,
                               const struct shape *shape)
{
    px_ir_init(ir, PX_FOREST_XGBOOST_JSON, shape->type, 1000);
    ir->n_features = shape->n_features;
    ir->n_margins = ir->n_outputs = shape->one_output ? 1 : WIDTH;
    ir->base_last = shape->base_last;
    ir->base = px_arena_zalloc(&ir->arena, WIDTH, sizeof *ir->base);
    CHECK(ir->base);
    for (int k = 0; k < WIDTH; k++)
        ir->base[k] = (double)(float)px_rng_normal(rng);
    add_random_sets(ir, rng, shape);
    add_random_lists(ir, rng);
    for (size_t t = 0; t < shape->n_trees; t++)
        add_random_tree(ir, rng, shape);
    CHECK_OK(px_ir_finish(ir, NULL));
}

#endif
