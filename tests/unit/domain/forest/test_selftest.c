/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows that the self-test scores. A kernel that watches is given them block after block, and compares them
 * with rows that are made from nothing by the same seed.
 */
#include "domain/forest/selftest.h"
#include "harness.h"

enum {
    FEATURES = 1 << 18, /* so wide that a block has a few rows */
    BLOCK_ROWS = 7,
    BLOCKS = 3,
    SEED = 11,
};

static const uint32_t used_features[] = {0, 5, FEATURES / 2, FEATURES - 1};

/* What the watching kernel expects. */
static struct {
    const struct px_forest_ir *ir;
    struct px_rng rng;
    struct px_matrix rows; /* the block that comes next, or that is being given */
    size_t n_given, n_differing;
} watch;

static enum px_code compile_watching(const struct px_kernel_input *input, void **ret,
                                     struct px_err *err)
{
    (void)input;
    (void)err;
    *ret = NULL;
    return PX_OK;
}

static void destroy_watching(void *compiled)
{
    (void)compiled;
}

static size_t watching_bytes(const void *compiled)
{
    (void)compiled;
    return 0;
}

static size_t watching_scratch_size(const struct px_kernel_input *input, const void *compiled,
                                    size_t n_rows)
{
    (void)input;
    (void)compiled;
    (void)n_rows;
    return 0;
}

static double watching_cost(const struct px_kernel_input *input, const void *compiled,
                            size_t n_rows)
{
    (void)input;
    (void)compiled;
    return (double)n_rows;
}

static void watching_margins(const struct px_kernel_input *input, const void *compiled,
                             const struct px_matrix *rows, void *margins, void *scratch)
{
    (void)compiled;
    (void)scratch;
    for (size_t i = 0; i < rows->n_rows && watch.n_given < (size_t)BLOCKS * BLOCK_ROWS; i++) {
        size_t row = watch.n_given++ % BLOCK_ROWS;
        if (row == 0)
            px_selftest_rows(watch.ir, &watch.rng, &watch.rows);
        watch.n_differing += memcmp(px_matrix_row(rows, i), px_matrix_row(&watch.rows, row),
                                    FEATURES * sizeof(float)) != 0;
    }
    px_walker_kernel.margins(input, NULL, rows, margins, NULL);
}

static const struct px_kernel watching_kernel = {.name = "watching",
                                                 .without_codes = true,
                                                 .compile = compile_watching,
                                                 .destroy = destroy_watching,
                                                 .bytes = watching_bytes,
                                                 .scratch_size = watching_scratch_size,
                                                 .cost = watching_cost,
                                                 .margins = watching_margins};

static void add_stump(struct px_forest_ir *ir, uint32_t feature)
{
    static const double values[] = {1.0, 2.0};
    const struct px_file_node nodes[] = {
        {.node = {.kind = PX_NODE_LT, .feature = feature, .threshold = 0.5}, .left = 1, .right = 2},
        {.node = {.kind = PX_NODE_LEAF}, .left = 0},
        {.node = {.kind = PX_NODE_LEAF}, .left = 1},
    };
    const struct px_file_tree tree = {
        .nodes = nodes, .n_nodes = 3, .values = values, .n_rows = 2, .width = 1};
    CHECK_OK(px_ir_add_tree(ir, &tree, NULL));
    ir->trees.items[ir->trees.len - 1].weight = 1.0;
}

static void make_wide_forest(struct px_forest_ir *ir)
{
    px_ir_init(ir, PX_FOREST_XGBOOST_JSON, PX_TYPE_FP32, 1000);
    ir->n_features = FEATURES;
    ir->n_margins = ir->n_outputs = 1;
    ir->base = px_arena_zalloc(&ir->arena, 1, sizeof *ir->base);
    CHECK(ir->base);
    for (size_t i = 0; i < PX_ARRAY_LEN(used_features); i++)
        add_stump(ir, used_features[i]);
    CHECK_OK(px_ir_finish(ir, NULL));
}

PX_TEST(a_block_that_takes_the_place_of_another_keeps_nothing_of_it)
{
    static const struct px_kernel *const table[] = {&watching_kernel, &px_walker_kernel};
    struct px_plan_options options = {.kernels = table, .n_kernels = PX_ARRAY_LEN(table)};
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_forest_self_test result;
    make_wide_forest(&ir);
    watch.ir = &ir;
    watch.rng = px_rng(SEED);
    watch.rows = (struct px_matrix){.type = PX_TYPE_FP32,
                                    .data = px_alloc(BLOCK_ROWS * FEATURES, sizeof(float)),
                                    .n_rows = BLOCK_ROWS,
                                    .n_cols = FEATURES,
                                    .stride = FEATURES};
    CHECK(watch.rows.data);
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_OK(px_selftest_plan(&plan, (size_t)BLOCKS * BLOCK_ROWS, SEED, &result, NULL));
    CHECK_INT(result.n_rows, BLOCKS * BLOCK_ROWS);
    CHECK_INT(watch.n_given, BLOCKS * BLOCK_ROWS);
    CHECK_INT(watch.n_differing, 0);
    px_plan_deinit(&plan);
    px_free(watch.rows.data);
    px_ir_deinit(&ir);
}

// clang-format off
PX_TEST_MAIN(
    T(a_block_that_takes_the_place_of_another_keeps_nothing_of_it)
)
