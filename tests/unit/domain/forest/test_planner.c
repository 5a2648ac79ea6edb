/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner on kernels whose costs are made up: what a call "takes" is what the fake kernel adds to a
 * fake clock, so every choice is exact and the same on every machine.
 */
#include "harness.h"

#include "domain/forest/choose.h"
#include "domain/forest/selftest.h"
#include "shared/alloc.h"

enum { FEATURES = 3, FAKES = 3, ALL = FAKES + 1, BIG_BATCH = 200 };

/* One fake kernel: what its model says, what it takes, and how it misbehaves. */
struct fake {
    double cycles_call, cycles_row; /* predicted: cycles_call + n * cycles_row */
    double ns_call, ns_row;         /* taken */
    const char *refusal;
    bool wrong_in_big_batches;
    double ns_spike; /* added to every third call */
    size_t n_calls, n_compiled, n_destroyed;
};

static struct fake fakes[FAKES];
static double fake_now_ns;

static uint64_t fake_clock_ns(void)
{
    return (uint64_t)fake_now_ns;
}

static enum px_code compile_fake(struct fake *fake, void **ret, struct px_err *err)
{
    if (fake->refusal)
        return px_err_set(err, PX_E_UNSUPPORTED, "%s", fake->refusal);
    struct fake **compiled = px_alloc(1, sizeof(struct fake *));
    if (!compiled)
        return px_ir_no_memory(err);
    *compiled = fake;
    *ret = compiled;
    fake->n_compiled++;
    return PX_OK;
}

static enum px_code compile_0(const struct px_kernel_input *input, void **ret, struct px_err *err)
{
    (void)input;
    return compile_fake(&fakes[0], ret, err);
}

static enum px_code compile_1(const struct px_kernel_input *input, void **ret, struct px_err *err)
{
    CHECK(input->codes || input->codes_refusal);
    return compile_fake(&fakes[1], ret, err);
}

static enum px_code compile_2(const struct px_kernel_input *input, void **ret, struct px_err *err)
{
    (void)input;
    return compile_fake(&fakes[2], ret, err);
}

static void destroy_fake(void *compiled)
{
    struct fake **fake = compiled;
    if (fake)
        (*fake)->n_destroyed++;
    px_free(compiled);
}

static size_t fake_bytes(const void *compiled)
{
    (void)compiled;
    return 100;
}

static size_t fake_scratch_size(const struct px_kernel_input *input, const void *compiled,
                                size_t n_rows)
{
    (void)input;
    (void)compiled;
    return n_rows * PX_CACHE_LINE;
}

static double fake_cost(const struct px_kernel_input *input, const void *compiled, size_t n_rows)
{
    const struct fake *fake = *(struct fake *const *)compiled;
    (void)input;
    return fake->cycles_call + fake->cycles_row * (double)n_rows;
}

static void fake_margins(const struct px_kernel_input *input, const void *compiled,
                         const struct px_matrix *rows, void *margins, void *scratch)
{
    struct fake *fake = *(struct fake *const *)compiled;
    memset(scratch, 0x55, rows->n_rows * PX_CACHE_LINE);
    px_walker_kernel.margins(input, NULL, rows, margins, NULL);
    fake_now_ns += fake->ns_call + fake->ns_row * (double)rows->n_rows;
    fake_now_ns += ++fake->n_calls % 3 == 0 ? fake->ns_spike : 0;
    if (fake->wrong_in_big_batches && rows->n_rows >= BIG_BATCH)
        ((float *)margins)[rows->n_rows - 1] += 1.0F;
}

static const struct px_kernel kernel_0 = {.name = "plain",
                                          .without_codes = true,
                                          .compile = compile_0,
                                          .destroy = destroy_fake,
                                          .bytes = fake_bytes,
                                          .scratch_size = fake_scratch_size,
                                          .cost = fake_cost,
                                          .margins = fake_margins};
static const struct px_kernel kernel_1 = {.name = "wide",
                                          .compile = compile_1,
                                          .destroy = destroy_fake,
                                          .bytes = fake_bytes,
                                          .scratch_size = fake_scratch_size,
                                          .cost = fake_cost,
                                          .margins = fake_margins};
static const struct px_kernel kernel_2 = {.name = "other",
                                          .without_codes = true,
                                          .compile = compile_2,
                                          .destroy = destroy_fake,
                                          .bytes = fake_bytes,
                                          .scratch_size = fake_scratch_size,
                                          .cost = fake_cost,
                                          .margins = fake_margins};
static const struct px_kernel *const table[ALL] = {&kernel_0, &kernel_1, &kernel_2,
                                                   &px_walker_kernel};

/* The third fake as a kernel that makes an estimate: half of its cost. */
static double estimate_2(const struct px_kernel_input *input, size_t n_rows)
{
    CHECK(input->codes || input->codes_refusal);
    if (fakes[2].refusal)
        return 0;
    return (fakes[2].cycles_call + fakes[2].cycles_row * (double)n_rows) / 2;
}

static const struct px_kernel estimating_kernel = {.name = "estimating",
                                                   .compile = compile_2,
                                                   .destroy = destroy_fake,
                                                   .bytes = fake_bytes,
                                                   .scratch_size = fake_scratch_size,
                                                   .estimate = estimate_2,
                                                   .cost = fake_cost,
                                                   .margins = fake_margins};
static const struct px_kernel *const estimating_table[ALL] = {
    &kernel_0, &kernel_1, &estimating_kernel, &px_walker_kernel};

static void add_stump(struct px_forest_ir *ir, uint32_t feature, double threshold)
{
    static const double values[] = {1.0, 2.0};
    struct px_file_node nodes[] = {
        {.node = {.kind = PX_NODE_LT, .feature = feature, .threshold = threshold},
         .left = 1,
         .right = 2},
        {.node = {.kind = PX_NODE_LEAF}, .left = 0},
        {.node = {.kind = PX_NODE_LEAF}, .left = 1},
    };
    struct px_file_tree tree = {
        .nodes = nodes, .n_nodes = 3, .values = values, .n_rows = 2, .width = 1};
    CHECK_OK(px_ir_add_tree(ir, &tree, NULL));
    ir->trees.items[ir->trees.len - 1].weight = 1.0;
}

static void make_forest_of(struct px_forest_ir *ir, uint32_t n_trees)
{
    px_ir_init(ir, PX_FOREST_XGBOOST_JSON, PX_TYPE_FP32, 1000);
    ir->n_features = FEATURES;
    ir->n_margins = ir->n_outputs = 1;
    ir->base = px_arena_zalloc(&ir->arena, 1, sizeof *ir->base);
    CHECK(ir->base);
    for (uint32_t t = 0; t < n_trees; t++)
        add_stump(ir, t % FEATURES, (double)(t % 40) / 8);
    CHECK_OK(px_ir_finish(ir, NULL));
}

/* A forest of 40 stumps: the walker's cost is 1000 cycles a row. */
static void make_forest(struct px_forest_ir *ir)
{
    make_forest_of(ir, 40);
}

/* Three kernels as the models of real ones are: good at few rows, good at many, and like the first. */
static void reset_fakes(void)
{
    fake_now_ns = 1000;
    fakes[0] = (struct fake){.cycles_row = 300, .ns_row = 100};
    fakes[1] = (struct fake){.cycles_call = 6000, .cycles_row = 3, .ns_call = 2000, .ns_row = 1};
    fakes[2] = (struct fake){.cycles_row = 330, .ns_row = 110};
}

static struct px_plan_options options_with_clock(void)
{
    return (struct px_plan_options){.clock_ns = fake_clock_ns, .kernels = table, .n_kernels = ALL};
}

static const char *chosen(const struct px_plan *plan, size_t n_rows)
{
    return table[px_plan_choice(plan, n_rows)]->name;
}

static size_t n_alive(void)
{
    size_t n = 0;
    for (size_t i = 0; i < FAKES; i++)
        n += fakes[i].n_compiled - fakes[i].n_destroyed;
    return n;
}

PX_TEST(without_a_clock_the_model_decides)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = {.kernels = table, .n_kernels = ALL};
    make_forest(&ir);
    reset_fakes();
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_STR(px_str(chosen(&plan, 1)), "plain");
    CHECK_STR(px_str(chosen(&plan, 31)), "plain"); /* of 16 on: 4800 cycles against 6048 */
    CHECK_STR(px_str(chosen(&plan, 32)), "wide");
    CHECK_STR(px_str(chosen(&plan, 100000)), "wide");
    struct px_forest_choice one = px_plan_describe_class(&plan, 0);
    CHECK_INT(one.rows, 1);
    CHECK(!one.measured);
    CHECK_DOUBLE(one.ns_per_row,
                 100.0); /* a nominal processor makes three cycles in a nanosecond */
    CHECK_INT(fakes[0].n_calls + fakes[1].n_calls + fakes[2].n_calls, 0);
    px_plan_deinit(&plan);
    CHECK_INT(n_alive(), 0);
    px_ir_deinit(&ir);
}

PX_TEST(a_measurement_changes_the_choice)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = options_with_clock();
    make_forest(&ir);
    reset_fakes();
    fakes[0].ns_row = 150;  /* the model said 100 */
    fakes[1].ns_call = 400; /* the model said 2000 */
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_STR(px_str(chosen(&plan, 1)), "other");
    CHECK_STR(px_str(chosen(&plan, 8)), "wide");
    CHECK_STR(px_str(chosen(&plan, 512)), "wide");
    struct px_forest_choice one = px_plan_describe_class(&plan, 0);
    CHECK(one.measured);
    CHECK_DOUBLE(one.ns_per_row, 110.0);
    CHECK(fakes[2].n_calls > 0);
    CHECK_INT(px_plan_describe_kernel(&plan, 0).state, PX_KERNEL_SLOWER);
    CHECK_CONTAINS(px_plan_describe_kernel(&plan, 0).reason, "1.36 times as long as other");
    CHECK_CONTAINS(px_plan_describe_kernel(&plan, 0).reason, "measured");
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(kernels_that_are_equal_within_the_noise_keep_the_places_of_the_model)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = options_with_clock();
    make_forest(&ir);
    reset_fakes();
    fakes[2].ns_row = 97;
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_STR(px_str(chosen(&plan, 1)), "plain");
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(a_disturbed_round_does_not_count)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = options_with_clock();
    make_forest(&ir);
    reset_fakes();
    fakes[1].ns_spike = 20000; /* one of three calls, and one call is a sample */
    fakes[1].cycles_call = 200000;
    fakes[1].ns_call = 66000;
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_DOUBLE(px_plan_call_ns(&plan, 1, 9), 66000.0 + 512.0);
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

/* Whatever a measurement would say: noise must not lead to what the model says is far worse. */
PX_TEST(a_kernel_that_is_hopeless_by_the_model_is_neither_measured_nor_chosen)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = options_with_clock();
    make_forest(&ir);
    reset_fakes();
    fakes[2] = (struct fake){.cycles_row = 300 * PX_PLAN_HOPELESS + 1, .ns_row = 0.001};
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_INT(fakes[2].n_calls, 0);
    CHECK_INT(fakes[2].n_destroyed, 1);
    CHECK_STR(px_str(chosen(&plan, 1)), "plain");
    CHECK_INT(px_plan_describe_kernel(&plan, 2).state, PX_KERNEL_SLOWER);
    CHECK_CONTAINS(px_plan_describe_kernel(&plan, 2).reason,
                   "4.00 times as long as plain (predicted");
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(what_is_hopeless_by_its_estimate_is_not_compiled_to_plan)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = {.kernels = estimating_table, .n_kernels = ALL};
    struct px_forest_self_test result;
    make_forest(&ir);
    reset_fakes();
    fakes[2].cycles_row = 300 * 2 * PX_PLAN_HOPELESS + 1;
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_INT(fakes[2].n_compiled, 0);
    CHECK_INT(px_plan_describe_kernel(&plan, 2).state, PX_KERNEL_SLOWER);
    CHECK_CONTAINS(px_plan_describe_kernel(&plan, 2).reason,
                   "4.00 times as long as plain (predicted");
    CHECK_OK(px_selftest_plan(&plan, 20, 1, &result, NULL));
    CHECK_INT(result.n_kernels, 3); /* a small forest: all are tested */
    CHECK_INT(result.n_untested, 0);
    CHECK_INT(fakes[2].n_compiled, 1);
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(an_estimate_is_not_taken_for_the_cost)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = {.kernels = estimating_table, .n_kernels = ALL};
    make_forest(&ir);
    reset_fakes();
    fakes[2].cycles_row = 590; /* estimated as 295, less than the 300 of "plain" */
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_INT(fakes[2].n_compiled, 1);
    CHECK_STR(px_str(chosen(&plan, 1)), "plain");
    px_plan_deinit(&plan);
    fakes[2].refusal = "it does not like stumps"; /* compiling says so, an estimate cannot */
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_INT(px_plan_describe_kernel(&plan, 2).state, PX_KERNEL_REFUSED);
    CHECK_STR(px_str(px_plan_describe_kernel(&plan, 2).reason), "it does not like stumps");
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(a_large_forest_is_compiled_and_tested_for_what_may_serve_it_alone)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = {.kernels = estimating_table, .n_kernels = ALL};
    struct px_forest_self_test result;
    make_forest_of(&ir, PX_PLAN_LARGE_NODES / 3 + 1);
    reset_fakes();
    fakes[2].cycles_row = 300 * 2 * PX_PLAN_HOPELESS_LARGE - 1;
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_INT(fakes[2].n_compiled, 1);
    px_plan_deinit(&plan);
    reset_fakes();
    fakes[2].cycles_row = 300 * 2 * PX_PLAN_HOPELESS_LARGE + 1;
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_STR(px_str(chosen(&plan, 1)), "plain");
    CHECK_STR(px_str(chosen(&plan, 512)), "wide");
    CHECK_OK(px_selftest_plan(&plan, 20, 1, &result, NULL));
    CHECK(result.passed);
    CHECK_INT(result.n_kernels, 2);
    CHECK_INT(result.n_untested, 1);
    CHECK_INT(fakes[2].n_compiled, 0);
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

/* The model says that the plain kernel is hopeless in large batches; measured, the wide one is. */
PX_TEST(a_model_that_is_wrong_by_far_is_overruled_by_what_was_measured)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = options_with_clock();
    make_forest(&ir);
    reset_fakes();
    fakes[1].ns_call = 100000;
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_STR(px_str(chosen(&plan, 100)), "plain");
    CHECK_STR(px_str(chosen(&plan, 512)), "plain");
    CHECK_DOUBLE(px_plan_call_ns(&plan, 0, 9), 51200.0);
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(measuring_keeps_to_its_budget)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = options_with_clock();
    make_forest(&ir);
    reset_fakes();
    options.n_kernels = FAKES;         /* the walker would look cheap */
    for (size_t i = 0; i < FAKES; i++) /* a huge model: 0.7 ms a row */
        fakes[i] = (struct fake){.cycles_row = 2e6, .ns_row = 0.7e6};
    double begin = fake_now_ns;
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK(fake_now_ns - begin <= (double)PX_PLAN_MEASURE_NS);
    CHECK(fakes[0].n_calls > 0);
    px_plan_deinit(&plan);
    reset_fakes();
    options.measure_ns = 1;
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_INT(fakes[0].n_calls, 0);
    CHECK(!px_plan_describe_class(&plan, 0).measured);
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(a_clock_that_stands_still_measures_nothing)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = options_with_clock();
    make_forest(&ir);
    reset_fakes();
    for (size_t i = 0; i < FAKES; i++)
        fakes[i].ns_call = fakes[i].ns_row = 0;
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_STR(px_str(chosen(&plan, 1)), "plain");
    CHECK_STR(px_str(chosen(&plan, 512)), "wide");
    CHECK(!px_plan_describe_class(&plan, 9).measured);
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(only_chosen_kernels_stay_in_memory)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = {.kernels = table, .n_kernels = ALL};
    make_forest(&ir);
    reset_fakes();
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_INT(n_alive(), 2);
    CHECK(plan.codes); /* "wide" reads them */
    CHECK_INT(px_plan_describe_kernel(&plan, 0).bytes, 100);
    CHECK_INT(px_plan_describe_kernel(&plan, 2).bytes, 0);
    CHECK_INT(px_plan_bytes(&plan), 200 + px_codes_bytes(plan.codes));
    px_plan_deinit(&plan);
    fakes[1].cycles_call = 1e9;
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_INT(n_alive(), 1);
    CHECK(!plan.codes && !plan.input.codes);
    px_plan_deinit(&plan);
    CHECK_INT(n_alive(), 0);
    px_ir_deinit(&ir);
}

PX_TEST(a_refusal_keeps_its_reason)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = options_with_clock();
    make_forest(&ir);
    reset_fakes();
    fakes[1].refusal = "tree 17 has 5230 leaves, at most 256";
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    struct px_forest_kernel wide = px_plan_describe_kernel(&plan, 1);
    CHECK_INT(wide.state, PX_KERNEL_REFUSED);
    CHECK_STR(px_str(wide.reason), "tree 17 has 5230 leaves, at most 256");
    CHECK_STR(px_str(chosen(&plan, 512)), "plain");
    CHECK_INT(px_plan_describe_kernel(&plan, 0).state, PX_KERNEL_CHOSEN);
    CHECK_STR(px_str(px_plan_describe_kernel(&plan, 0).reason), "");
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(a_forced_kernel_is_taken_or_refused_by_name)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = options_with_clock();
    struct px_err err;
    make_forest(&ir);
    reset_fakes();
    options.kernel = "wide";
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK(plan.forced);
    CHECK_STR(px_str(chosen(&plan, 1)), "wide");
    CHECK_INT(px_plan_describe_kernel(&plan, 0).state, PX_KERNEL_NOT_TRIED);
    CHECK_STR(px_str(px_plan_describe_kernel(&plan, 0).reason), "wide is forced");
    CHECK_INT(fakes[0].n_compiled, 0);
    CHECK(px_plan_describe_class(&plan, 0).measured);
    px_plan_deinit(&plan);
    fakes[1].refusal = "it is too wide";
    CHECK_INT(px_plan_init_with(&plan, &ir, &options, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "kernel 'wide' does not support this model: it is too wide");
    px_plan_deinit(&plan);
    options.kernel = "quantum";
    CHECK_INT(px_plan_init_with(&plan, &ir, &options, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "no kernel is called 'quantum'");
    CHECK_CONTAINS(err.hint, "kernels are: plain, wide, other, walker");
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(a_kernel_that_is_wrong_in_big_batches_only_is_found)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = {.kernels = table, .n_kernels = ALL};
    struct px_forest_self_test result;
    struct px_err err;
    make_forest(&ir);
    reset_fakes();
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_OK(px_selftest_plan(&plan, 768, 1, &result, NULL));
    CHECK(result.done && result.passed);
    CHECK_INT(result.n_kernels, 3); /* the one that was dropped as well */
    CHECK_INT(result.n_rows, 768);
    CHECK_INT(n_alive(), 2);
    fakes[2].wrong_in_big_batches = true;
    CHECK_INT(px_selftest_plan(&plan, 768, 1, &result, &err), PX_E_INTERNAL);
    CHECK_CONTAINS(err.message, "kernel 'other' differs from the walker");
    CHECK_CONTAINS(err.message, "of a batch of 511");
    CHECK(result.done && !result.passed);
    CHECK_INT(n_alive(), 2);
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(a_forced_kernel_is_tested_alone)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = {.kernel = "plain", .kernels = table, .n_kernels = ALL};
    struct px_forest_self_test result;
    make_forest(&ir);
    reset_fakes();
    fakes[2].wrong_in_big_batches = true;
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_OK(px_selftest_plan(&plan, 768, 1, &result, NULL));
    CHECK_INT(result.n_kernels, 1);
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(the_self_test_of_an_expensive_kernel_is_bounded)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = {.kernel = "plain", .kernels = table, .n_kernels = ALL};
    struct px_forest_self_test result;
    make_forest(&ir);
    reset_fakes();
    fakes[0].cycles_call = 1.5e8;
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_OK(px_selftest_plan(&plan, 768, 1, &result, NULL));
    CHECK_INT(fakes[0].n_calls, 2); /* a batch and a single row */
    CHECK_INT(result.n_rows, 1);
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

/* Plans and tests, with the n-th allocation failing (0: none); how many there were. */
static uint64_t plan_with_failure(const struct px_forest_ir *ir, uint64_t n)
{
    struct px_plan plan;
    struct px_plan_options options = options_with_clock();
    struct px_forest_self_test result;
    reset_fakes();
    uint64_t before = px_alloc_count();
    px_alloc_fail_at(n);
    CHECK_OK(px_plan_init_with(&plan, ir, &options, NULL)); /* the walker needs no memory */
    enum px_code code = px_selftest_plan(&plan, 20, 1, &result, NULL);
    px_alloc_fail_at(0);
    CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
    px_plan_deinit(&plan);
    CHECK_INT(n_alive(), 0);
    return px_alloc_count() - before;
}

PX_TEST(any_allocation_may_fail)
{
    struct px_forest_ir ir;
    make_forest(&ir);
    uint64_t n_allocations = plan_with_failure(&ir, 0);
    CHECK(n_allocations > 10);
    for (uint64_t n = 1; n <= n_allocations; n++)
        (void)plan_with_failure(&ir, n);
    px_ir_deinit(&ir);
}

PX_TEST(a_kernel_without_memory_is_refused_and_the_model_is_served)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = {.kernels = table, .n_kernels = ALL};
    make_forest(&ir);
    reset_fakes();
    px_alloc_fail_at(1); /* "plain" compiles first */
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    px_alloc_fail_at(0);
    CHECK_INT(px_plan_describe_kernel(&plan, 0).state, PX_KERNEL_REFUSED);
    CHECK_STR(px_str(px_plan_describe_kernel(&plan, 0).reason),
              "there is not enough memory for it");
    CHECK_STR(px_str(chosen(&plan, 1)), "other");
    CHECK_STR(px_str(chosen(&plan, 512)), "wide");
    px_plan_deinit(&plan);
    options.kernel = "plain"; /* what was asked for by name is not replaced */
    px_alloc_fail_at(1);
    CHECK_INT(px_plan_init_with(&plan, &ir, &options, NULL), PX_E_NO_MEMORY);
    px_alloc_fail_at(0);
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(a_dropped_kernel_that_cannot_be_compiled_again_fails_no_self_test)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = {.kernels = table, .n_kernels = ALL};
    struct px_forest_self_test result;
    make_forest(&ir);
    reset_fakes();
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_INT(px_plan_describe_kernel(&plan, 2).state, PX_KERNEL_SLOWER);
    px_alloc_fail_at(6); /* three for the rows, one for each kernel that serves, then "other" */
    CHECK_OK(px_selftest_plan(&plan, 768, 1, &result, NULL));
    px_alloc_fail_at(0);
    CHECK(result.passed);
    CHECK_INT(result.n_kernels, 2);
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(no_rows_are_counted_when_the_walker_is_alone)
{
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_plan_options options = {.kernels = table, .n_kernels = ALL};
    struct px_forest_self_test result;
    make_forest(&ir);
    reset_fakes();
    for (size_t i = 0; i < FAKES; i++)
        fakes[i].refusal = "its trees are not summed";
    CHECK_OK(px_plan_init_with(&plan, &ir, &options, NULL));
    CHECK_OK(px_selftest_plan(&plan, 768, 1, &result, NULL));
    CHECK(result.passed);
    CHECK_INT(result.n_kernels, 0);
    CHECK_INT(result.n_rows, 0);
    px_plan_deinit(&plan);
    px_ir_deinit(&ir);
}

PX_TEST(classes_are_powers_of_two)
{
    CHECK_INT(px_plan_class(1), 0);
    CHECK_INT(px_plan_class(2), 1);
    CHECK_INT(px_plan_class(3), 1);
    CHECK_INT(px_plan_class(255), 7);
    CHECK_INT(px_plan_class(511), 8);
    CHECK_INT(px_plan_class(512), 9);
    CHECK_INT(px_plan_class(SIZE_MAX), 9);
}

// clang-format off
PX_TEST_MAIN(
    T(without_a_clock_the_model_decides)
    T(a_measurement_changes_the_choice)
    T(kernels_that_are_equal_within_the_noise_keep_the_places_of_the_model)
    T(a_disturbed_round_does_not_count)
    T(a_kernel_that_is_hopeless_by_the_model_is_neither_measured_nor_chosen)
    T(what_is_hopeless_by_its_estimate_is_not_compiled_to_plan)
    T(an_estimate_is_not_taken_for_the_cost)
    T(a_large_forest_is_compiled_and_tested_for_what_may_serve_it_alone)
    T(a_model_that_is_wrong_by_far_is_overruled_by_what_was_measured)
    T(measuring_keeps_to_its_budget)
    T(a_clock_that_stands_still_measures_nothing)
    T(only_chosen_kernels_stay_in_memory)
    T(a_refusal_keeps_its_reason)
    T(a_forced_kernel_is_taken_or_refused_by_name)
    T(a_kernel_that_is_wrong_in_big_batches_only_is_found)
    T(a_forced_kernel_is_tested_alone)
    T(the_self_test_of_an_expensive_kernel_is_bounded)
    T(any_allocation_may_fail)
    T(a_kernel_without_memory_is_refused_and_the_model_is_served)
    T(a_dropped_kernel_that_cannot_be_compiled_again_fails_no_self_test)
    T(no_rows_are_counted_when_the_walker_is_alone)
    T(classes_are_powers_of_two)
)
