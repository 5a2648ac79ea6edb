/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is particular to the bit-sliced kernels: programs of unbalanced trees, shapes, groups, refusals. That
 * every kernel gives the walker's bits is test_kernels.c.
 */
#include "harness.h"

#include "domain/forest/kernels/bitslice/bitslice_program.h"
#include "domain/forest/planner.h"
#include "domain/forest/selftest.h"
#include "shared/alloc.h"

enum { FEATURES = 40, NODES_MAX = 4096 };

static const char *const kernels[] = {"bitslice64", "bitslice256", "bitslice512"};

static void start_forest(struct px_forest_ir *ir, enum px_datatype type, size_t n_margins)
{
    px_ir_init(ir, PX_FOREST_XGBOOST_JSON, type, 1 << 20);
    ir->n_features = FEATURES;
    ir->n_margins = ir->n_outputs = n_margins;
    ir->base = px_arena_zalloc(&ir->arena, n_margins, sizeof *ir->base);
}

/* A split whose threshold is new each time, so that predicates are not shared. */
static struct px_node new_split(struct px_rng *rng)
{
    return (struct px_node){.kind = PX_NODE_LT,
                            .threshold = (double)(float)px_rng_normal(rng),
                            .feature = (uint32_t)px_rng_below(rng, FEATURES),
                            .default_left = px_rng_below(rng, 2)};
}

/*
 * A tree of `n_leaves` leaves. `lean` of 0 splits leaves at random; otherwise the next split is under the
 * newest one with probability 1 - 1 / lean: long chains.
 */
static void add_tree(struct px_forest_ir *ir, struct px_rng *rng, size_t n_leaves, uint32_t lean)
{
    static struct px_file_node nodes[NODES_MAX];
    static double values[NODES_MAX];
    size_t n = 1;
    nodes[0] = (struct px_file_node){.node = {.kind = PX_NODE_LEAF}};
    for (; n < 2 * n_leaves - 1; n += 2) {
        size_t at = n - 1;
        while (nodes[at].node.kind != PX_NODE_LEAF || !lean || px_rng_below(rng, lean) == 0) {
            at = px_rng_below(rng, n);
            if (nodes[at].node.kind == PX_NODE_LEAF)
                break;
        }
        nodes[at] = (struct px_file_node){new_split(rng), (int64_t)n, (int64_t)n + 1};
        for (size_t child = n; child < n + 2; child++)
            nodes[child] =
                (struct px_file_node){.node = {.kind = PX_NODE_LEAF}, .left = (int64_t)child};
    }
    for (size_t i = 0; i < n; i++)
        values[i] = (double)(float)px_rng_normal(rng);
    struct px_file_tree file = {
        .nodes = nodes, .n_nodes = n, .values = values, .n_rows = n, .width = 1};
    CHECK_OK(px_ir_add_tree(ir, &file, NULL));
}

/* Runs the steps for one row, whose predicates are in `places`. */
static void run_steps(const struct px_slice_program *program, bool *places)
{
    for (size_t i = 0; i < program->steps.len; i++) {
        struct px_slice_step step = program->steps.items[i];
        places[step.dst] = places[step.select] ? places[step.right] : places[step.left];
    }
}

static uint32_t walk_answers(const struct px_forest_ir *ir, const struct px_tree *tree,
                             const bool *right)
{
    const struct px_node *nodes = &ir->nodes.items[tree->first_node];
    uint32_t at = 0;
    while (nodes[at].kind != PX_NODE_LEAF)
        at = nodes[at].left + right[at];
    return nodes[at].left;
}

enum { TREES = 3, CONSTANT = 512 * TREES, PLACES = 1 << 14 };

/* Three trees in one program; each split has a place of its own and answers at random. */
static void check_program(const struct px_forest_ir *ir, struct px_rng *rng)
{
    static uint16_t at[CONSTANT];
    static uint8_t leaf_at[TREES][PX_SLICE_LEAVES_MAX];
    struct px_slice_program program;
    bool places[PLACES];
    px_slice_program_init(&program, CONSTANT);
    for (uint16_t i = 0; i < CONSTANT; i++)
        at[i] = i;
    for (int t = 0; t < TREES; t++)
        CHECK(px_slice_program_add(&program, ir, &ir->trees.items[t], at + 512 * t, leaf_at[t]));
    CHECK(px_slice_program_schedule(&program));
    CHECK(CONSTANT + 2 + program.n_slots <= PLACES);
    for (int row = 0; row < 100; row++) {
        for (size_t i = 0; i < CONSTANT; i++)
            places[i] = px_rng_below(rng, 2);
        places[CONSTANT] = false;
        places[CONSTANT + 1] = true;
        run_steps(&program, places);
        const px_program_value *result = program.results.items;
        for (int t = 0; t < TREES; t++) {
            const struct px_tree *tree = &ir->trees.items[t];
            uint32_t index = 0;
            for (uint32_t bit = 0; bit < px_slice_program_planes(tree); bit++)
                index |= (uint32_t)places[*result++] << bit;
            CHECK_INT(leaf_at[t][index], walk_answers(ir, tree, places + 512 * t));
        }
    }
    px_slice_program_deinit(&program);
}

PX_TEST(a_program_finds_the_leaf_whatever_the_splits_answer)
{
    struct px_rng rng = px_rng(1);
    for (size_t n_leaves = 1; n_leaves <= 256; n_leaves += 1 + n_leaves / 8) {
        struct px_forest_ir ir;
        start_forest(&ir, PX_TYPE_FP32, 1);
        for (int t = 0; t < TREES; t++)
            add_tree(&ir, &rng, t == 1 ? 256 : n_leaves, (uint32_t)px_rng_below(&rng, 4));
        check_program(&ir, &rng);
        px_ir_deinit(&ir);
    }
}

static bool is_available(const struct px_forest_ir *ir, const char *kernel)
{
    struct px_plan plan;
    struct px_err err = {0};
    enum px_code code = px_plan_init(&plan, ir, kernel, &err);
    px_plan_deinit(&plan);
    if (code != PX_OK)
        CHECK_CONTAINS(err.message, "the processor has no");
    return code == PX_OK;
}

static void check_margins(const struct px_forest_ir *ir, const char *kernel, size_t n)
{
    struct px_plan plan, reference;
    struct px_rng rng = px_rng(n);
    size_t size = n * ir->n_margins * px_datatype_size(ir->type);
    struct px_matrix rows = {ir->type, NULL, n, FEATURES, FEATURES};
    rows.data = px_xalloc(n * FEATURES, px_datatype_size(ir->type));
    px_selftest_rows(ir, &rng, &rows);
    CHECK_OK(px_plan_init(&plan, ir, kernel, NULL));
    CHECK_OK(px_plan_init(&reference, ir, "walker", NULL));
    void *scratch = px_alloc_aligned(PX_CACHE_LINE, px_plan_scratch_size(&plan, n) + 1, 1);
    char *want = px_xalloc(size, 1), *got = px_xalloc(size, 1);
    px_plan_margins(&reference, &rows, want, NULL);
    px_plan_margins(&plan, &rows, got, scratch);
    CHECK(memcmp(got, want, size) == 0);
    px_free(scratch);
    px_free(want);
    px_free(got);
    px_free(rows.data);
    px_plan_deinit(&plan);
    px_plan_deinit(&reference);
}

static void check_forest(const struct px_forest_ir *ir)
{
    static const size_t sizes[] = {1, 15, 16, 17, 63, 64, 65, 127, 129, 255, 257, 511, 513, 1100};
    for (size_t k = 0; k < PX_ARRAY_LEN(kernels); k++) {
        for (size_t i = 0; is_available(ir, kernels[k]) && i < PX_ARRAY_LEN(sizes); i++)
            check_margins(ir, kernels[k], sizes[i]);
    }
}

/* What is estimated too high is never compiled; what is estimated far too low, in vain. */
static void check_estimates(const struct px_forest_ir *ir)
{
    static const struct px_kernel *const table[] = {&px_bitslice64_kernel, &px_bitslice256_kernel,
                                                    &px_bitslice512_kernel};
    for (size_t k = 0; k < PX_ARRAY_LEN(table); k++) {
        struct px_plan plan;
        px_plan_init_empty(&plan, ir, table, PX_ARRAY_LEN(table));
        CHECK_OK(px_plan_compile(&plan, k, NULL));
        for (size_t n = 1; n <= 512; n *= 2) {
            double estimate = table[k]->estimate(&plan.input, n);
            if (!plan.kernels[k].usable) {
                CHECK_DOUBLE(estimate, 0.0);
                continue;
            }
            double cost = table[k]->cost(&plan.input, plan.kernels[k].compiled, n);
            CHECK(estimate <= 1.1 * cost);
            CHECK(estimate >= cost / 3);
        }
        px_plan_deinit(&plan);
    }
}

PX_TEST(trees_of_every_number_of_leaves)
{
    struct px_rng rng = px_rng(2);
    for (uint32_t lean = 0; lean < 4; lean++) {
        struct px_forest_ir ir;
        start_forest(&ir, lean % 2 ? PX_TYPE_FP64 : PX_TYPE_FP32, 2);
        for (size_t n_leaves = 1; n_leaves <= 256; n_leaves += 1 + n_leaves / 6) {
            add_tree(&ir, &rng, n_leaves, lean);
            ir.trees.items[ir.trees.len - 1].output = (uint32_t)px_rng_below(&rng, 2);
        }
        CHECK_OK(px_ir_finish(&ir, NULL));
        check_estimates(&ir);
        check_forest(&ir);
        px_ir_deinit(&ir);
    }
}

/* Oblivious trees: a level's splits ask the same, and the answers are the index. */
PX_TEST(trees_that_ask_one_question_a_level)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(3);
    start_forest(&ir, PX_TYPE_FP64, 1);
    for (uint32_t depth = 0; depth <= 8; depth++) {
        add_tree(&ir, &rng, (size_t)1 << depth, 0);
        struct px_tree *tree = &ir.trees.items[depth];
        struct px_node *nodes = &ir.nodes.items[tree->first_node];
        for (uint32_t i = 0; i < tree->n_nodes; i++) { /* rebuilt as a heap */
            bool leaf = i >= (UINT32_C(1) << depth) - 1;
            uint32_t level_first = i ? (UINT32_C(1) << (31 - __builtin_clz(i + 1))) - 1 : 0;
            nodes[i] = leaf ? (struct px_node){.left = i - ((UINT32_C(1) << depth) - 1)}
                            : (i == level_first ? new_split(&rng) : nodes[level_first]);
            if (!leaf)
                nodes[i].left = 2 * i + 1;
        }
        tree->depth = depth;
    }
    CHECK_OK(px_ir_finish(&ir, NULL));
    check_estimates(&ir);
    check_forest(&ir);
    px_ir_deinit(&ir);
}

/* More predicates than one group may have. */
PX_TEST(forests_are_cut_into_groups)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(4);
    start_forest(&ir, PX_TYPE_FP32, 3);
    for (int t = 0; t < 120; t++) {
        add_tree(&ir, &rng, 200, 0);
        ir.trees.items[t].output = (uint32_t)t % 3;
    }
    CHECK_OK(px_ir_finish(&ir, NULL));
    check_estimates(&ir);
    for (size_t k = 0; k < PX_ARRAY_LEN(kernels); k++) {
        if (is_available(&ir, kernels[k]))
            check_margins(&ir, kernels[k], 700);
    }
    px_ir_deinit(&ir);
}

static void check_refusal(const struct px_forest_ir *ir, const char *why)
{
    struct px_plan plan;
    struct px_err err = {0};
    CHECK_INT(px_plan_init(&plan, ir, "bitslice64", &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, why);
    px_plan_deinit(&plan);
}

PX_TEST(what_does_not_fit_is_refused_with_the_reason)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(5);
    start_forest(&ir, PX_TYPE_FP32, 1);
    add_tree(&ir, &rng, 4, 0);
    add_tree(&ir, &rng, 257, 0);
    CHECK_OK(px_ir_finish(&ir, NULL));
    check_estimates(&ir);
    check_refusal(&ir, "tree 1 has 257 leaves, at most 256");
    ir.aggregate = PX_AGGREGATE_MAX;
    check_refusal(&ir, "its trees are not summed");
    ir.aggregate = PX_AGGREGATE_SUM;
    ir.linear_leaves.len = 1;
    check_refusal(&ir, "linear");
    ir.linear_leaves.len = 0;
    px_ir_deinit(&ir);
    start_forest(&ir, PX_TYPE_FP32, 257);
    add_tree(&ir, &rng, 4, 0);
    CHECK_OK(px_ir_finish(&ir, NULL));
    check_refusal(&ir, "it has 257 margins, at most 256");
    px_ir_deinit(&ir);
}

/* Two million single leaves beside one tree of 256 leaves: 42 MB of file must not become 4 GB of tables. */
PX_TEST(a_small_file_does_not_get_huge_leaf_tables)
{
    enum { SINGLES = 200000 };
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(7);
    start_forest(&ir, PX_TYPE_FP64, 1);
    add_tree(&ir, &rng, 256, 0);
    for (int t = 0; t < SINGLES; t++)
        add_tree(&ir, &rng, 1, 0);
    CHECK_OK(px_ir_finish(&ir, NULL));
    check_refusal(&ir, "its leaf tables would take");
    px_ir_deinit(&ir);
}

PX_TEST(any_failed_allocation_is_an_error)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(6);
    start_forest(&ir, PX_TYPE_FP32, 1);
    add_tree(&ir, &rng, 30, 2);
    add_tree(&ir, &rng, 30, 0);
    CHECK_OK(px_ir_finish(&ir, NULL));
    enum px_code code = PX_E_NO_MEMORY;
    for (uint64_t n = 1; code != PX_OK; n++) {
        struct px_plan plan;
        struct px_err err = {0};
        px_alloc_fail_at(n);
        code = px_plan_init(&plan, &ir, "bitslice64", &err);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        px_plan_deinit(&plan);
    }
    px_ir_deinit(&ir);
}

// clang-format off
PX_TEST_MAIN(
    T(a_program_finds_the_leaf_whatever_the_splits_answer)
    T(trees_of_every_number_of_leaves)
    T(trees_that_ask_one_question_a_level)
    T(forests_are_cut_into_groups)
    T(what_does_not_fit_is_refused_with_the_reason)
    T(a_small_file_does_not_get_huge_leaf_tables)
    T(any_failed_allocation_is_an_error)
)
