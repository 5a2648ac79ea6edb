/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node-parallel kernel against the walker, bit by bit, on every shape that it packs in its own way: the
 * packed form by the loops in plain C on any processor, by those of AVX-512 where there is one.
 */
#include "random_forest.h"

#include "domain/forest/kernels/node_parallel/node_parallel.h"
#include "domain/forest/selftest.h"
#include "shared/alloc.h"
#include "shared/processor.h"

enum { ROWS = 70, GAP = 5 };

static const struct px_kernel *const kernel = &px_node_parallel_kernel;

struct loops {
    size_t (*scratch_size)(const struct px_kernel_input *input, const void *compiled,
                           size_t n_rows);
    void (*margins)(const struct px_kernel_input *input, const void *compiled,
                    const struct px_matrix *rows, void *margins, void *scratch);
};

static const struct loops scalar = {px_node_parallel_scalar_scratch_size,
                                    px_node_parallel_scalar_margins};

/* Any NaN equals any NaN. */
static bool same(const struct px_forest_ir *ir, const void *a, const void *b, size_t i)
{
    if (ir->type == PX_TYPE_FP32) {
        float x = ((const float *)a)[i], y = ((const float *)b)[i];
        return memcmp(&x, &y, sizeof x) == 0 || (isnan(x) && isnan(y));
    }
    double x = ((const double *)a)[i], y = ((const double *)b)[i];
    return memcmp(&x, &y, sizeof x) == 0 || (isnan(x) && isnan(y));
}

static void compare(const struct px_kernel_input *input, void *compiled, struct px_matrix *rows,
                    struct loops loops)
{
    size_t n = rows->n_rows * input->ir->n_margins;
    void *want = calloc(n, sizeof(double)), *got = calloc(n, sizeof(double));
    size_t size = loops.scratch_size(input, compiled, rows->n_rows);
    char *scratch = px_alloc_aligned(PX_CACHE_LINE, size + PX_CACHE_LINE, 1);
    CHECK(want && got && scratch);
    CHECK_INT(size % PX_CACHE_LINE, 0);
    memset(scratch, 0xA5, size + PX_CACHE_LINE);
    px_walker_kernel.margins(input, NULL, rows, want, NULL);
    loops.margins(input, compiled, rows, got, scratch);
    for (size_t i = 0; i < n; i++)
        CHECK(same(input->ir, want, got, i));
    for (size_t i = size; i < size + PX_CACHE_LINE; i++)
        CHECK_INT((uint8_t)scratch[i], 0xA5);
    px_free(scratch);
    free(want);
    free(got);
}

static void check_forest(const struct px_forest_ir *ir, struct px_rng *rng)
{
    struct px_codes *codes = NULL;
    struct px_err err = {0};
    void *compiled = NULL;
    CHECK_OK(px_codes_create(ir, &codes, NULL));
    struct px_kernel_input input = {.ir = ir, .codes = codes};
    if (px_node_parallel_pack(&input, &compiled, &err) != PX_OK)
        fprintf(stderr, "%s\n", err.message);
    CHECK(compiled);
    CHECK(kernel->bytes(compiled) > 0);
    CHECK(kernel->cost(&input, compiled, 1) > 0);
    CHECK(kernel->cost(&input, compiled, 9) > kernel->cost(&input, compiled, 8));
    struct px_matrix rows = {ir->type, NULL, ROWS, ir->n_features, ir->n_features + GAP};
    rows.data = calloc(ROWS * rows.stride, px_datatype_size(ir->type));
    CHECK(rows.data);
    for (int i = 0; i < 3; i++) {
        px_selftest_rows(ir, rng, &rows);
        compare(&input, compiled, &rows, scalar);
        if (px_processor_has_avx512())
            compare(&input, compiled, &rows, (struct loops){kernel->scratch_size, kernel->margins});
    }
    free(rows.data);
    kernel->destroy(compiled);
    px_codes_destroy(codes);
}

static void check_shape(struct shape shape)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct px_forest_ir ir;
        struct px_rng rng = px_rng(seed);
        shape.type = seed % 2 ? PX_TYPE_FP32 : PX_TYPE_FP64;
        shape.one_output = seed > 2;
        shape.base_last = seed == 4;
        make_forest(&ir, &rng, &shape);
        check_forest(&ir, &rng);
        px_ir_deinit(&ir);
    }
}

/* Complete trees of depth 0 to 8, in numbers around the 32 of a block and the 16 of a group. */
PX_TEST(complete_trees_of_each_depth)
{
    static const size_t n_trees[] = {1, 15, 17, 31, 32, 33, 64, 65, 130};
    for (size_t depth = 0; depth <= 8; depth++) {
        for (size_t i = 0; i < PX_ARRAY_LEN(n_trees); i++)
            check_shape((struct shape){.n_features = 9,
                                       .n_trees = depth > 6 ? n_trees[i] / 4 + 1 : n_trees[i],
                                       .n_splits = ((size_t)1 << depth) - 1,
                                       .complete = true});
    }
}

PX_TEST(unbalanced_trees)
{
    check_shape((struct shape){.n_features = 9, .n_trees = 40, .n_splits = 8, .le = true});
    check_shape((struct shape){.n_features = 9, .n_trees = 40, .n_splits = 60, .le = true});
    check_shape((struct shape){.n_features = 9, .n_trees = 7, .n_splits = 500});
}

PX_TEST(chains)
{
    check_shape((struct shape){.n_features = 9, .n_trees = 40, .n_splits = 6, .chains = true});
    check_shape((struct shape){.n_features = 9, .n_trees = 40, .n_splits = 90, .chains = true});
}

PX_TEST(missing_values_of_all_kinds)
{
    struct shape shape = {.n_features = 5,
                          .n_trees = 50,
                          .n_splits = 31,
                          .complete = true,
                          .torture = true,
                          .all_missing = true,
                          .le = true};
    check_shape(shape);
    shape.complete = false;
    check_shape(shape);
}

PX_TEST(categories_and_lists_of_numbers)
{
    struct shape shape = {.n_features = 4,
                          .n_trees = 50,
                          .n_splits = 31,
                          .complete = true,
                          .sets = true,
                          .lists = true};
    check_shape(shape);
    shape.complete = false;
    shape.n_splits = 70;
    check_shape(shape);
}

PX_TEST(vector_leaves)
{
    struct shape shape = {
        .n_features = 4, .n_trees = 45, .n_splits = 63, .complete = true, .vectors = true};
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct px_forest_ir ir;
        struct px_rng rng = px_rng(seed);
        shape.type = seed % 2 ? PX_TYPE_FP32 : PX_TYPE_FP64;
        shape.complete = seed < 2;
        make_forest(&ir, &rng, &shape);
        check_forest(&ir, &rng);
        px_ir_deinit(&ir);
    }
}

/* More than 64 and more than 128 bytes of codes; more than 255 and 510 thresholds of one feature. */
PX_TEST(many_columns_and_wide_ones)
{
    static const size_t features[] = {64, 65, 128, 129, 256, 1, 2, 40};
    for (size_t i = 0; i < PX_ARRAY_LEN(features); i++) {
        struct shape shape = {.n_features = features[i], .n_trees = 60, .n_splits = 63};
        for (uint64_t seed = 0; seed < 4; seed++) {
            struct px_forest_ir ir;
            struct px_rng rng = px_rng(seed);
            shape.type = seed % 2 ? PX_TYPE_FP32 : PX_TYPE_FP64;
            shape.complete = seed < 2;
            make_forest(&ir, &rng, &shape);
            for (size_t n = 0; n < ir.nodes.len; n++)
                ir.nodes.items[n].default_left = true; /* one column a feature */
            check_forest(&ir, &rng);
            px_ir_deinit(&ir);
        }
    }
}

/* One attempt to pack; the message of the refusal goes to `err`. */
static enum px_code compile_code(const struct px_forest_ir *ir, struct px_err *err)
{
    struct px_codes *codes = NULL;
    void *compiled = NULL;
    enum px_code code = px_codes_create(ir, &codes, err);
    struct px_kernel_input input = {.ir = ir, .codes = codes, .codes_refusal = "no codes"};
    if (code == PX_OK)
        code = px_node_parallel_pack(&input, &compiled, err);
    kernel->destroy(compiled);
    px_codes_destroy(codes);
    return code;
}

PX_TEST(what_it_cannot_do_is_refused_with_the_reason)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(1);
    struct px_err err = {0};
    struct shape shape = {
        .type = PX_TYPE_FP32, .n_features = 300, .n_trees = 60, .n_splits = 63, .complete = true};
    make_forest(&ir, &rng, &shape);
    for (size_t i = 0; i < ir.nodes.len; i++)
        ir.nodes.items[i].default_left = true;
    CHECK_INT(compile_code(&ir, &err), PX_E_UNSUPPORTED);
    CHECK_CONTAINS(err.message, "take 300 bytes of codes, at most 256");
    ir.linear_leaves.len = 1; /* as if some leaf were linear */
    CHECK_INT(compile_code(&ir, &err), PX_E_UNSUPPORTED);
    ir.linear_leaves.len = 0;
    ir.aggregate = PX_AGGREGATE_MAX;
    CHECK_INT(compile_code(&ir, &err), PX_E_UNSUPPORTED);
    struct px_kernel_input without = {.ir = &ir, .codes_refusal = "because"};
    void *compiled = NULL;
    CHECK_INT(px_node_parallel_pack(&without, &compiled, &err), PX_E_UNSUPPORTED);
    CHECK_CONTAINS(err.message, "because");
    CHECK_INT(kernel->compile(&without, &compiled, &err), PX_E_UNSUPPORTED);
    CHECK_CONTAINS(err.message, px_processor_has_avx512() ? "because" : "no AVX-512");
    px_ir_deinit(&ir);
}

static void check_failing_allocations(struct shape shape)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(3);
    struct px_codes *codes = NULL;
    make_forest(&ir, &rng, &shape);
    CHECK_OK(px_codes_create(&ir, &codes, NULL));
    struct px_kernel_input input = {.ir = &ir, .codes = codes};
    enum px_code code = PX_E_NO_MEMORY;
    for (uint64_t n = 1; code == PX_E_NO_MEMORY; n++) {
        void *compiled = NULL;
        px_alloc_fail_at(n);
        code = px_node_parallel_pack(&input, &compiled, NULL);
        px_alloc_fail_at(0);
        CHECK((code == PX_OK) == (compiled != NULL));
        kernel->destroy(compiled);
    }
    CHECK_INT(code, PX_OK);
    px_codes_destroy(codes);
    px_ir_deinit(&ir);
}

PX_TEST(no_failed_allocation_crashes)
{
    struct shape shape = {.type = PX_TYPE_FP32,
                          .n_features = 3,
                          .n_trees = 10,
                          .n_splits = 31,
                          .complete = true,
                          .sets = true,
                          .vectors = true};
    check_failing_allocations(shape);
    shape.complete = false;
    shape.n_splits = 100;
    check_failing_allocations(shape);
}

// clang-format off
PX_TEST_MAIN(
    T(complete_trees_of_each_depth)
    T(unbalanced_trees)
    T(chains)
    T(missing_values_of_all_kinds)
    T(categories_and_lists_of_numbers)
    T(vector_leaves)
    T(many_columns_and_wide_ones)
    T(what_it_cannot_do_is_refused_with_the_reason)
    T(no_failed_allocation_crashes)
)
