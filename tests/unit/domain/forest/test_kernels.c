/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kernel against the reference walker, on random forests of every shape that the internal form can
 * say: chains and bushes, one leaf, categories, all missing types, vector leaves, weights.
 */
#include "harness.h"

#include "random_forest.h"

#include "domain/forest/planner.h"
#include "domain/forest/selftest.h"
#include "shared/alloc.h"

enum { FEATURES = 7 };

/* Kernels that every processor can run and that no summed forest of these tests is too large for. */
static const char *const portable[] = {"keyed", "branchless", "bitslice64", NULL};
/* The same for trees of more leaves than a byte can number, and for leaves that are linear models. */
static const char *const walks[] = {"keyed", "branchless", NULL};
static const char *const keyed_alone[] = {"keyed", NULL};

static bool is_listed(const char *const *names, const char *name)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

/* Every kernel that supports the forest against the walker; those of `must` have to. */
static void check_kernels(const struct px_forest_ir *ir, size_t n_rows, uint64_t seed,
                          const char *const *must)
{
    struct px_plan plan;
    struct px_forest_self_test result;
    struct px_err err = {0};
    size_t n_usable = 0;
    px_plan_init_empty(&plan, ir, px_kernels, PX_KERNELS);
    for (size_t k = 0; k + 1 < PX_KERNELS; k++) { /* the walker is last */
        CHECK_OK(px_plan_compile(&plan, k, NULL));
        if (!plan.kernels[k].usable && is_listed(must, px_kernels[k]->name))
            fprintf(stderr, "%s: %s\n", px_kernels[k]->name, plan.kernels[k].reason);
        CHECK(plan.kernels[k].usable || !is_listed(must, px_kernels[k]->name));
        n_usable += plan.kernels[k].usable;
    }
    if (px_selftest_plan(&plan, n_rows, seed, &result, &err) != PX_OK)
        fprintf(stderr, "%s\n", err.message);
    CHECK_INT(err.code, PX_OK);
    CHECK_INT(result.n_kernels, n_usable);
    CHECK(result.n_rows > 0);
    px_plan_deinit(&plan);
}

static void check_shape(struct shape shape)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct px_forest_ir ir;
        struct px_rng rng = px_rng(seed);
        shape.n_features = shape.n_features ? shape.n_features : FEATURES;
        make_forest(&ir, &rng, &shape);
        check_kernels(&ir, 300, seed, portable);
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

PX_TEST(value_lists)
{
    check_types((struct shape){.n_trees = 12, .n_splits = 25, .lists = true});
    check_types((struct shape){.n_trees = 12,
                               .n_splits = 40,
                               .lists = true,
                               .sets = true,
                               .all_missing = true,
                               .le = true,
                               .torture = true});
}

PX_TEST(sets_far_from_zero)
{
    check_types((struct shape){.n_trees = 12, .n_splits = 25, .sets = true, .set_spread = 5000000});
}

PX_TEST(thresholds_that_repeat)
{
    check_types((struct shape){.n_trees = 20, .n_splits = 60, .grid = 2});
    check_types((struct shape){.n_trees = 20, .n_splits = 60, .grid = 8, .n_features = 1});
}

PX_TEST(special_thresholds)
{
    check_types((struct shape){
        .n_trees = 30, .n_splits = 40, .torture = true, .le = true, .all_missing = true});
}

PX_TEST(the_base_last)
{
    check_types((struct shape){.n_trees = 10, .n_splits = 9, .base_last = true});
}

/* Gives every leaf of a forest of doubles a linear model, some of no term. */
static void make_linear(struct px_forest_ir *ir, struct px_rng *rng)
{
    struct px_tree *tree;
    px_vec_foreach (tree, &ir->trees) {
        tree->linear = true;
        tree->first_linear = (uint32_t)ir->linear_leaves.len;
        for (uint32_t l = 0; l < tree->n_leaves; l++) {
            struct px_linear_leaf *leaf = px_vec_push(&ir->linear_leaves);
            if (!leaf || !px_vec_reserve(&ir->linear_terms, ir->linear_terms.len + 4))
                abort();
            *leaf = (struct px_linear_leaf){px_rng_normal(rng), (uint32_t)ir->linear_terms.len,
                                            (uint32_t)px_rng_below(rng, 4)};
            for (uint32_t i = 0; i < leaf->n_terms; i++)
                ir->linear_terms.items[ir->linear_terms.len++] = (struct px_linear_term){
                    px_rng_normal(rng), (uint32_t)px_rng_below(rng, FEATURES)};
        }
    }
    ir->used_features.len = 0;
    CHECK_OK(px_ir_finish(ir, NULL));
}

PX_TEST(linear_leaves)
{
    struct shape shape = {
        .type = PX_TYPE_FP64, .n_features = FEATURES, .n_trees = 9, .n_splits = 14, .sets = true};
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct px_forest_ir ir;
        struct px_rng rng = px_rng(seed);
        make_forest(&ir, &rng, &shape);
        make_linear(&ir, &rng);
        check_kernels(&ir, 300, seed, keyed_alone);
        px_ir_deinit(&ir);
    }
}

static void score(const struct px_plan *plan, const struct px_matrix *rows, void *margins)
{
    void *scratch =
        px_alloc_aligned(PX_CACHE_LINE, px_plan_scratch_size(plan, rows->n_rows) + 1, 1);
    px_plan_margins(plan, rows, margins, scratch);
    px_free(scratch);
}

enum { ROWS = 1100, STRIDE = FEATURES + 3 };

/* All sizes of a few chunks, then some in between, and all near the sizes of blocks. */
static size_t next_size(size_t n)
{
    return n < 70 || n % 64 < 2 || n % 64 == 63 ? n + 1 : n + 7;
}

/* Compares batches of every size by one kernel with the walker's margins, and looks behind the result. */
static void check_sizes(const struct px_forest_ir *ir, const char *kernel, struct px_matrix rows,
                        const void *want)
{
    static double got[ROWS * WIDTH + 1];
    struct px_plan plan;
    size_t row_size = WIDTH * px_datatype_size(ir->type);
    struct px_err err = {0};
    if (px_plan_init(&plan, ir, kernel, &err) != PX_OK) { /* not for this processor */
        CHECK_INT(err.code, PX_E_INVALID);
        CHECK(!is_listed(portable, kernel));
        px_plan_deinit(&plan);
        return;
    }
    for (size_t n = 1; n <= ROWS; n = next_size(n)) {
        memset(got, 0x55, sizeof got);
        rows.n_rows = n;
        score(&plan, &rows, got);
        if (memcmp(got, want, n * row_size) != 0)
            fprintf(stderr, "kernel %s, %zu rows\n", kernel, n);
        CHECK(memcmp(got, want, n * row_size) == 0);
        CHECK_INT(((const unsigned char *)got)[n * row_size], 0x55); /* nothing written behind */
    }
    px_plan_deinit(&plan);
}

static void check_all_sizes(struct shape shape)
{
    static double data[ROWS * STRIDE], want[ROWS * WIDTH];
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(5);
    shape.n_features = FEATURES;
    make_forest(&ir, &rng, &shape);
    struct px_matrix rows = {shape.type, data, ROWS, FEATURES, STRIDE};
    px_selftest_rows(&ir, &rng, &rows);
    px_walker_kernel.margins(&(struct px_kernel_input){.ir = &ir}, NULL, &rows, want, NULL);
    for (size_t k = 0; k < PX_KERNELS; k++)
        check_sizes(&ir, px_kernels[k]->name, rows, want);
    px_ir_deinit(&ir);
}

PX_TEST(any_number_of_rows_and_any_stride)
{
    check_all_sizes(
        (struct shape){.type = PX_TYPE_FP64, .n_trees = 10, .n_splits = 20, .le = true});
    check_all_sizes((struct shape){.type = PX_TYPE_FP32, .n_trees = 17, .n_splits = 12});
    check_all_sizes(
        (struct shape){.type = PX_TYPE_FP32, .n_trees = 3, .n_splits = 90, .chains = true});
}

/* More nodes than 16 bits can number, and more columns: the wide nodes of the keyed kernel. */
PX_TEST(trees_and_rows_too_large_for_narrow_nodes)
{
    enum { COLUMNS = 9000, TREES = 30 };
    struct px_rng rng = px_rng(9);
    for (int type = 0; type < 2; type++) {
        struct px_forest_ir ir;
        struct shape shape = {.type = type ? PX_TYPE_FP64 : PX_TYPE_FP32,
                              .n_features = COLUMNS,
                              .n_trees = TREES,
                              .n_splits = SPLITS_MAX,
                              .sets = true,
                              .all_missing = true};
        make_forest(&ir, &rng, &shape);
        check_kernels(&ir, 40, 1, walks);
        px_ir_deinit(&ir);
    }
}

PX_TEST(a_tree_of_many_nodes)
{
    enum { SPLITS = 40000, NODES = 2 * SPLITS + 1 };
    struct px_file_node *nodes = px_alloc(NODES, sizeof *nodes);
    double *values = px_alloc(NODES, sizeof *values);
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(10);
    struct shape shape = {
        .type = PX_TYPE_FP32, .n_features = FEATURES, .n_trees = 2, .n_splits = 7};
    CHECK(nodes && values);
    make_forest(&ir, &rng, &shape);
    for (size_t i = 0; i < NODES; i++) {
        if (i < SPLITS)
            nodes[i] = (struct px_file_node){random_split(&rng, &shape), (int64_t)(2 * i + 1),
                                             (int64_t)(2 * i + 2)};
        else
            nodes[i] = (struct px_file_node){.node = {.kind = PX_NODE_LEAF}, .left = (int64_t)i};
        values[i] = (double)(float)px_rng_normal(&rng);
    }
    CHECK_OK(px_ir_add_tree(
        &ir,
        &(struct px_file_tree){
            .nodes = nodes, .n_nodes = NODES, .values = values, .n_rows = NODES, .width = 1},
        NULL));
    ir.used_features.len = 0;
    CHECK_OK(px_ir_finish(&ir, NULL));
    check_kernels(&ir, 200, 1, walks);
    px_ir_deinit(&ir);
    px_free(nodes);
    px_free(values);
}

/* Memory may run out at any allocation of a kernel's preparation. */
PX_TEST(preparing_survives_any_failed_allocation)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(11);
    struct shape shape = {.type = PX_TYPE_FP64,
                          .n_features = FEATURES,
                          .n_trees = 5,
                          .n_splits = 20,
                          .sets = true,
                          .lists = true,
                          .vectors = true};
    make_forest(&ir, &rng, &shape);
    enum px_code code = PX_E_NO_MEMORY;
    for (uint64_t n = 1; code != PX_OK; n++) {
        void *compiled = NULL;
        px_alloc_fail_at(n);
        code = px_keyed_kernel.compile(&(struct px_kernel_input){.ir = &ir}, &compiled, NULL);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || (code == PX_E_NO_MEMORY && !compiled));
        px_keyed_kernel.destroy(compiled);
        CHECK(n < 100);
    }
    px_ir_deinit(&ir);
}

PX_TEST(wide_rows_make_small_blocks)
{
    enum { COLUMNS = 5000 };
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(6);
    struct shape shape = {
        .type = PX_TYPE_FP32, .n_features = FEATURES, .n_trees = 3, .n_splits = 9};
    make_forest(&ir, &rng, &shape);
    for (size_t i = 0; i < ir.nodes.len; i++)
        ir.nodes.items[i].feature *= COLUMNS / FEATURES;
    for (size_t i = 0; i < ir.used_features.len; i++)
        ir.used_features.items[i] *= COLUMNS / FEATURES;
    ir.n_features = COLUMNS;
    check_kernels(&ir, 20, 1, portable);
    px_ir_deinit(&ir);
}

PX_TEST(the_self_test_finds_a_kernel_that_is_wrong)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(7);
    struct shape shape = {
        .type = PX_TYPE_FP32, .n_features = FEATURES, .n_trees = 4, .n_splits = 15};
    struct px_plan plan;
    struct px_forest_self_test result;
    struct px_err err;
    make_forest(&ir, &rng, &shape);
    for (const char *const *name = portable; *name; name++) {
        double threshold = ir.nodes.items[0].threshold;
        CHECK_OK(px_plan_init(&plan, &ir, *name, NULL));
        CHECK_OK(px_selftest_plan(&plan, 300, 1, &result, NULL));
        CHECK_INT(result.n_kernels, 1);
        ir.nodes.items[0].threshold += 0.001; /* the compiled kernel has the old one */
        CHECK_INT(px_selftest_plan(&plan, 300, 1, &result, &err), PX_E_INTERNAL);
        CHECK_CONTAINS(err.message, *name);
        CHECK(result.done && !result.passed);
        ir.nodes.items[0].threshold = threshold;
        px_plan_deinit(&plan);
    }
    px_ir_deinit(&ir);
}

/* The numbers of all lists are 1000.25, 1001.25, ...: no special number is one of them by chance. */
PX_TEST(the_self_tests_rows_sit_on_and_between_the_numbers_of_lists)
{
    enum { N = 300 };
    static float data[N * FEATURES];
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(12);
    struct shape shape = {
        .type = PX_TYPE_FP32, .n_features = FEATURES, .n_trees = 9, .n_splits = 20, .lists = true};
    size_t n_on = 0, n_next = 0, n_between = 0;
    make_forest(&ir, &rng, &shape);
    for (size_t i = 0; i < ir.values.len; i++)
        ir.values.items[i] = (double)i + 1000.25;
    px_selftest_rows(&ir, &rng, &(struct px_matrix){PX_TYPE_FP32, data, N, FEATURES, FEATURES});
    for (size_t i = 0; i < PX_ARRAY_LEN(data); i++) {
        float place = data[i] - 1000.25F;
        if (!(place > -1 && place < (float)ir.values.len))
            continue;
        float distance = fabsf(place - roundf(place));
        n_on += distance == 0;
        n_next += distance > 0 && distance < 0.001F;
        n_between += distance == 0.5F;
    }
    CHECK(n_on > 50 && n_next > 50 && n_between > 10);
    px_ir_deinit(&ir);
}

PX_TEST(only_extremes_are_left_to_the_walker)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(8);
    struct shape shape = {
        .type = PX_TYPE_FP64, .n_features = FEATURES, .n_trees = 4, .n_splits = 5, .lists = true};
    struct px_err err = {0};
    void *compiled = NULL;
    make_forest(&ir, &rng, &shape);
    make_linear(&ir, &rng);
    struct px_kernel_input input = {.ir = &ir};
    CHECK_OK(px_keyed_kernel.compile(&input, &compiled, &err));
    CHECK(px_keyed_kernel.bytes(compiled) > ir.nodes.len * 8);
    px_keyed_kernel.destroy(compiled);
    ir.base_last = true;
    ir.aggregate = PX_AGGREGATE_MAX;
    CHECK_INT(px_keyed_kernel.compile(&input, &compiled, &err), PX_E_UNSUPPORTED);
    CHECK_CONTAINS(err.message, "not summed");
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
    T(value_lists)
    T(sets_far_from_zero)
    T(thresholds_that_repeat)
    T(special_thresholds)
    T(the_base_last)
    T(linear_leaves)
    T(any_number_of_rows_and_any_stride)
    T(trees_and_rows_too_large_for_narrow_nodes)
    T(a_tree_of_many_nodes)
    T(preparing_survives_any_failed_allocation)
    T(wide_rows_make_small_blocks)
    T(the_self_test_finds_a_kernel_that_is_wrong)
    T(the_self_tests_rows_sit_on_and_between_the_numbers_of_lists)
    T(only_extremes_are_left_to_the_walker)
)
