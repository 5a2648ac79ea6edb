/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kernel against the reference walker, on random forests of every shape that the internal form can
 * say: chains and bushes, one leaf, categories, all missing types, vector leaves, weights.
 */
#include "harness.h"

#include "domain/forest/planner.h"
#include "domain/forest/selftest.h"
#include "shared/alloc.h"

enum { NODES_MAX = 512, FEATURES = 7, SETS = 5, WIDTH = 3 };

struct shape {
    enum px_datatype type;
    bool sets, all_missing, le, vectors, chains, base_last;
    size_t n_trees, n_splits;
};

static double random_threshold(struct px_rng *rng, enum px_datatype type)
{
    static const double special[] = {0.0,   -0.0,  (double)1e-35F, -(double)1e-35F,  1e-45, 1.0,
                                     1e-36, -1e30, 1e30,           (double)INFINITY, 3.0,   0.5};
    double value = px_rng_below(rng, 3) ? px_rng_normal(rng)
                                        : special[px_rng_below(rng, PX_ARRAY_LEN(special))];
    return type == PX_TYPE_FP32 ? (double)(float)value : value;
}

static struct px_node random_split(struct px_rng *rng, const struct shape *shape)
{
    struct px_node node = {
        .kind = shape->le && px_rng_below(rng, 2) ? PX_NODE_LE : PX_NODE_LT,
        .threshold = random_threshold(rng, shape->type),
        .feature = (uint32_t)px_rng_below(rng, FEATURES),
        .missing = shape->all_missing ? (uint8_t)px_rng_below(rng, 3) : PX_MISSING_NAN,
        .default_left = px_rng_below(rng, 2),
        .in_set_left = px_rng_below(rng, 2),
        .set = PX_SET_NONE,
    };
    if (shape->sets && px_rng_below(rng, 3) == 0) {
        node.kind = PX_NODE_SET;
        node.missing = PX_MISSING_NAN;
        node.set = (uint32_t)px_rng_below(rng, SETS);
    }
    return node;
}

/* A random leaf, or the newest node or its sibling for chains. */
static size_t pick_leaf(struct px_rng *rng, const struct shape *shape,
                        const struct px_file_node *nodes, size_t n)
{
    size_t at;
    if (shape->chains)
        return n - 1 - (n > 1 ? px_rng_below(rng, 2) : 0);
    do
        at = px_rng_below(rng, n);
    while (nodes[at].node.kind != PX_NODE_LEAF);
    return at;
}

/* Splits a leaf `n_splits` times. Returns the number of nodes. */
static size_t grow(struct px_rng *rng, const struct shape *shape, struct px_file_node *nodes)
{
    size_t n = 1;
    nodes[0] = (struct px_file_node){.node = {.kind = PX_NODE_LEAF}, .left = 0};
    for (size_t i = 0; i < shape->n_splits; i++, n += 2) {
        size_t at = pick_leaf(rng, shape, nodes, n);
        nodes[at] = (struct px_file_node){random_split(rng, shape), (int64_t)n, (int64_t)n + 1};
        for (size_t child = n; child < n + 2; child++)
            nodes[child] =
                (struct px_file_node){.node = {.kind = PX_NODE_LEAF}, .left = (int64_t)child};
    }
    return n;
}

static void add_sets(struct px_forest_ir *ir, struct px_rng *rng)
{
    for (int s = 0; s < SETS; s++) {
        uint32_t low = (uint32_t)px_rng_below(rng, 3) * 50, set;
        uint32_t high = low + (uint32_t)px_rng_below(rng, 70);
        CHECK_OK(px_ir_add_set(ir, low, high, &set, NULL));
        for (uint32_t c = low; c <= high; c += 1 + (uint32_t)px_rng_below(rng, 3))
            px_ir_set_insert(ir, set, c);
    }
}

static void add_random_tree(struct px_forest_ir *ir, struct px_rng *rng, const struct shape *shape)
{
    static struct px_file_node nodes[NODES_MAX];
    static double values[NODES_MAX * WIDTH];
    size_t n = grow(rng, shape, nodes);
    bool vector = shape->vectors && px_rng_below(rng, 2);
    for (size_t i = 0; i < n * WIDTH; i++) {
        double value = px_rng_normal(rng);
        values[i] = shape->type == PX_TYPE_FP32 ? (double)(float)value : value;
    }
    struct px_file_tree file = {
        .nodes = nodes, .n_nodes = n, .values = values, .n_rows = n, .width = vector ? WIDTH : 1};
    CHECK_OK(px_ir_add_tree(ir, &file, NULL));
    struct px_tree *tree = &ir->trees.items[ir->trees.len - 1];
    tree->output = vector ? 0 : (uint32_t)px_rng_below(rng, WIDTH);
    tree->weight = shape->type == PX_TYPE_FP32 && px_rng_below(rng, 2) ? (double)0.3F : 1.0;
}

static void make_forest(struct px_forest_ir *ir, struct px_rng *rng, const struct shape *shape)
{
    px_ir_init(ir, PX_FOREST_XGBOOST_JSON, shape->type, 1000);
    ir->n_features = FEATURES;
    ir->n_margins = ir->n_outputs = WIDTH;
    ir->base_last = shape->base_last;
    ir->base = px_arena_zalloc(&ir->arena, WIDTH, sizeof *ir->base);
    CHECK(ir->base);
    for (int k = 0; k < WIDTH; k++)
        ir->base[k] = (double)(float)px_rng_normal(rng);
    add_sets(ir, rng);
    for (size_t t = 0; t < shape->n_trees; t++)
        add_random_tree(ir, rng, shape);
    CHECK_OK(px_ir_finish(ir, NULL));
}

static void check_shape(struct shape shape)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct px_forest_ir ir;
        struct px_rng rng = px_rng(seed);
        struct px_err err = {0};
        make_forest(&ir, &rng, &shape);
        if (px_selftest_run(&ir, 300, seed, &err) != PX_OK)
            fprintf(stderr, "%s\n", err.message);
        CHECK_INT(err.code, PX_OK);
        px_ir_deinit(&ir);
    }
}

static void check_types(struct shape shape)
{
    shape.type = PX_TYPE_FP32;
    check_shape(shape);
    shape.type = PX_TYPE_FP64;
    check_shape(shape);
}

PX_TEST(numeric_trees)
{
    check_types((struct shape){.n_trees = 20, .n_splits = 30});
    check_types((struct shape){.n_trees = 9, .n_splits = 30, .le = true});
}

PX_TEST(trees_of_one_leaf_and_of_one_split)
{
    check_types((struct shape){.n_trees = 3, .n_splits = 0});
    check_types((struct shape){.n_trees = 17, .n_splits = 1});
}

PX_TEST(chains_deeper_than_the_fixed_steps)
{
    check_types((struct shape){.n_trees = 11, .n_splits = 120, .chains = true});
    check_types(
        (struct shape){.n_trees = 5, .n_splits = 200, .chains = true, .sets = true, .le = true});
}

PX_TEST(all_missing_types)
{
    check_types((struct shape){.n_trees = 25, .n_splits = 20, .all_missing = true, .le = true});
}

PX_TEST(categories)
{
    check_types((struct shape){.n_trees = 12, .n_splits = 25, .sets = true});
}

PX_TEST(vector_leaves_and_weights)
{
    check_types((struct shape){.n_trees = 13, .n_splits = 12, .vectors = true, .sets = true});
}

PX_TEST(the_base_last)
{
    check_types((struct shape){.n_trees = 10, .n_splits = 9, .base_last = true});
}

static void score(const struct px_plan *plan, const struct px_matrix *rows, void *margins)
{
    void *scratch =
        px_alloc_aligned(PX_CACHE_LINE, px_plan_scratch_size(plan, rows->n_rows) + 1, 1);
    px_plan_margins(plan, rows, margins, scratch);
    px_free(scratch);
}

/* Every number of rows up to several blocks, in a matrix with gaps between its rows. */
PX_TEST(any_number_of_rows_and_any_stride)
{
    enum { ROWS = 300, STRIDE = FEATURES + 3 };
    static double data[ROWS * STRIDE], want[ROWS * WIDTH], got[ROWS * WIDTH];
    struct shape shape = {.type = PX_TYPE_FP64, .n_trees = 10, .n_splits = 20, .le = true};
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(5);
    struct px_plan plan;
    make_forest(&ir, &rng, &shape);
    CHECK_OK(px_plan_init(&plan, &ir, "branchless", NULL));
    struct px_matrix rows = {PX_TYPE_FP64, data, ROWS, FEATURES, STRIDE};
    px_selftest_rows(&ir, &rng, &rows);
    px_walker_kernel.margins(&(struct px_kernel_input){.ir = &ir}, NULL, &rows, want, NULL);
    for (size_t n = 1; n <= ROWS; n += 1 + n / 20) {
        memset(got, 0x55, sizeof got);
        rows.n_rows = n;
        score(&plan, &rows, got);
        CHECK(memcmp(got, want, n * WIDTH * sizeof(double)) == 0);
        if (n < ROWS)
            CHECK_INT(((const unsigned char *)&got[n * WIDTH])[0],
                      0x55); /* nothing written behind */
    }
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(wide_rows_make_small_blocks)
{
    enum { COLUMNS = 5000, ROWS = 20 };
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(6);
    struct shape shape = {.type = PX_TYPE_FP32, .n_trees = 3, .n_splits = 9};
    struct px_err err = {0};
    make_forest(&ir, &rng, &shape);
    for (size_t i = 0; i < ir.nodes.len; i++)
        ir.nodes.items[i].feature *= COLUMNS / FEATURES;
    for (size_t i = 0; i < ir.used_features.len; i++)
        ir.used_features.items[i] *= COLUMNS / FEATURES;
    ir.n_features = COLUMNS;
    CHECK_OK(px_selftest_run(&ir, ROWS, 1, &err));
    px_ir_deinit(&ir);
}

PX_TEST(the_self_test_finds_a_kernel_that_is_wrong)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(7);
    struct shape shape = {.type = PX_TYPE_FP32, .n_trees = 4, .n_splits = 15};
    struct px_plan plan;
    float want[64 * WIDTH], got[64 * WIDTH], data[64 * FEATURES];
    struct px_matrix rows = {PX_TYPE_FP32, data, 64, FEATURES, FEATURES};
    make_forest(&ir, &rng, &shape);
    CHECK_OK(px_plan_init(&plan, &ir, "branchless", NULL));
    ir.nodes.items[0].threshold += 0.001; /* the compiled kernel has the old one */
    px_selftest_rows(&ir, &rng, &rows);
    px_walker_kernel.margins(&(struct px_kernel_input){.ir = &ir}, NULL, &rows, want, NULL);
    score(&plan, &rows, got);
    CHECK(memcmp(want, got, sizeof want) != 0); /* the rows sit on the threshold */
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(the_planner_picks_and_obeys)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(8);
    struct shape shape = {.type = PX_TYPE_FP64, .n_trees = 4, .n_splits = 5};
    struct px_plan plan;
    struct px_err err = {0};
    make_forest(&ir, &rng, &shape);
    CHECK_OK(px_plan_init(&plan, &ir, NULL, NULL));
    CHECK(px_kernels[px_plan_choice(&plan, 100)] != &px_walker_kernel); /* anything is faster */
    CHECK(px_plan_bytes(&plan) > 0);
    px_plan_deinit(&plan);
    CHECK_OK(px_plan_init(&plan, &ir, "walker", NULL));
    CHECK(px_kernels[px_plan_choice(&plan, 1)] == &px_walker_kernel);
    px_plan_deinit(&plan);
    CHECK_INT(px_plan_init(&plan, &ir, "fast", &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "no kernel is called 'fast'");
    px_plan_deinit(&plan);
    ir.linear_leaves.len = 1; /* as if some leaf were linear */
    CHECK_INT(px_plan_init(&plan, &ir, "branchless", &err), PX_E_INVALID);
    px_plan_deinit(&plan);
    CHECK_OK(px_plan_init(&plan, &ir, NULL, NULL));
    CHECK(px_kernels[px_plan_choice(&plan, 100)] == &px_walker_kernel);
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

// clang-format off
PX_TEST_MAIN(
    T(numeric_trees)
    T(trees_of_one_leaf_and_of_one_split)
    T(chains_deeper_than_the_fixed_steps)
    T(all_missing_types)
    T(categories)
    T(vector_leaves_and_weights)
    T(the_base_last)
    T(any_number_of_rows_and_any_stride)
    T(wide_rows_make_small_blocks)
    T(the_self_test_finds_a_kernel_that_is_wrong)
    T(the_planner_picks_and_obeys)
)
