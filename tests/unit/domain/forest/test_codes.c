/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codes against the walker: for every split and every row, the predicate of the codes is true exactly when
 * px_walker_goes_left says right; and all encoders that this processor runs write the same bytes.
 */
#include "random_forest.h"

#include "domain/forest/kernels/codes/codes_tables.h"
#include "domain/forest/kernels/walker.h"
#include "domain/forest/selftest.h"
#include "shared/alloc.h"
#include "shared/processor.h"

enum { ROWS = PX_CODES_CHUNK, GAP = 3 };

static bool goes_right(const struct px_codes *codes, uint32_t predicate, const uint8_t *bytes,
                       size_t stride, size_t row)
{
    const struct px_predicate *p = &codes->predicates[predicate];
    const struct px_code_column *column = &codes->columns[p->column];
    uint32_t code = bytes[column->slot * stride + row];
    if (column->wide)
        code |= (uint32_t)bytes[(column->slot + 1) * stride + row] << 8;
    CHECK(code < column->n_codes);
    if (px_codes_is_class_column(column))
        return codes->class_words[p->first_word + code / 64] >> code % 64 & 1;
    return code >= p->code;
}

static void check_structure(const struct px_codes *codes)
{
    uint32_t predicate = 0, slot = 0;
    for (size_t c = 0; c < codes->n_columns; c++) {
        const struct px_code_column *column = &codes->columns[c], *before = column - 1;
        CHECK(c == 0 || before->feature < column->feature ||
              (before->feature == column->feature && before->reading < column->reading));
        CHECK_INT(column->slot, slot);
        CHECK_INT(column->first_predicate, predicate);
        CHECK_INT(column->wide, column->n_codes > PX_CODES_NARROW_MAX);
        for (; predicate < column->first_predicate + column->n_predicates; predicate++) {
            const struct px_predicate *p = &codes->predicates[predicate];
            CHECK_INT(p->column, c);
            if (px_codes_is_class_column(column))
                continue;
            CHECK(p->code >= 1 && p->code < column->n_codes);
            CHECK(predicate == column->first_predicate || p[-1].code < p->code);
        }
        slot += column->wide ? 2 : 1;
    }
    CHECK_INT(predicate, codes->n_predicates);
    CHECK_INT(slot, codes->n_slots);
}

/* Writes with every encoder into buffers of noise; what is not theirs must stay. */
static void check_encoders(const struct px_codes *codes, const struct px_matrix *rows, size_t first,
                           size_t n, size_t stride, uint8_t *bytes)
{
    px_codes_encoder *encoders[] = {
        px_codes_encode_scalar,
#if defined(__x86_64__)
        px_processor_has_avx2() ? px_codes_encode_avx2 : px_codes_encode_scalar,
        px_processor_has_avx512() ? px_codes_encode_avx512 : px_codes_encode_scalar,
#endif
        px_codes_encode,
    };
    size_t size = codes->n_slots * stride;
    uint8_t *other = malloc(size + 1);
    CHECK(other);
    memset(bytes, 0xA5, size);
    encoders[0](codes, rows, first, n, bytes, stride);
    for (size_t e = 1; e < PX_ARRAY_LEN(encoders); e++) {
        memset(other, 0xA5, size);
        encoders[e](codes, rows, first, n, other, stride);
        CHECK(memcmp(bytes, other, size) == 0);
    }
    for (size_t s = 0; s < codes->n_slots; s++)
        for (size_t i = n; i < stride; i++)
            CHECK_INT(bytes[s * stride + i], 0xA5);
    free(other);
}

static void check_rows(const struct px_forest_ir *ir, const struct px_codes *codes,
                       const struct px_matrix *rows)
{
    enum { STRIDE = ROWS + 5 };
    uint8_t *bytes = malloc(codes->n_slots * STRIDE + 1), *one = malloc(codes->n_slots + 1);
    CHECK(bytes && one);
    check_encoders(codes, rows, 0, ROWS, STRIDE, bytes);
    for (size_t i = 0; i < ir->nodes.len; i++) {
        const struct px_node *node = &ir->nodes.items[i];
        for (size_t r = 0; node->kind != PX_NODE_LEAF && r < ROWS; r++) {
            double x = px_matrix_get(rows, r, node->feature);
            if (goes_right(codes, codes->predicate_of[i], bytes, STRIDE, r) ==
                px_walker_goes_left(ir, node, x))
                fprintf(stderr, "node %zu, kind %d, x %.17g, threshold %.17g\n", i, node->kind, x,
                        node->threshold);
            CHECK(goes_right(codes, codes->predicate_of[i], bytes, STRIDE, r) !=
                  px_walker_goes_left(ir, node, x));
        }
    }
    for (size_t r = 0; r < ROWS; r++) {
        check_encoders(codes, rows, r, 1, 1, one);
        for (size_t s = 0; s < codes->n_slots; s++)
            CHECK_INT(one[s], bytes[s * STRIDE + r]);
    }
    free(bytes);
    free(one);
}

/* Every feature of a row gets the same number: a torture number, infinity, NaN, or a neighbour of one. */
static void fill_torture(const struct px_forest_ir *ir, struct px_rng *rng, struct px_matrix *rows)
{
    for (size_t r = 0; r < rows->n_rows; r++) {
        uint64_t pick = px_rng_below(rng, PX_ARRAY_LEN(torture_numbers) + 3);
        double x = pick < PX_ARRAY_LEN(torture_numbers) ? torture_numbers[pick] : (double)NAN;
        if (pick > PX_ARRAY_LEN(torture_numbers))
            x = pick % 2 ? (double)INFINITY : -(double)INFINITY;
        double toward = px_rng_below(rng, 2) ? (double)INFINITY : -(double)INFINITY;
        x = as_element(ir->type, x);
        if (px_rng_below(rng, 2))
            x = ir->type == PX_TYPE_FP32 ? (double)nextafterf((float)x, (float)toward)
                                         : nextafter(x, toward);
        for (size_t j = 0; j < ir->n_features; j++)
            px_matrix_set(rows, r, j, x);
    }
}

static void check_forest(const struct px_forest_ir *ir, struct px_rng *rng, size_t n_blocks)
{
    struct px_codes *codes = NULL;
    struct px_err err = {0};
    if (px_codes_create(ir, &codes, &err) != PX_OK)
        fprintf(stderr, "%s\n", err.message);
    CHECK(codes);
    check_structure(codes);
    CHECK(px_codes_bytes(codes) > 0);
    struct px_matrix rows = {
        .type = ir->type, .n_rows = ROWS, .n_cols = ir->n_features, .stride = ir->n_features + GAP};
    rows.data = calloc(ROWS * rows.stride, px_datatype_size(ir->type));
    CHECK(rows.data);
    for (size_t b = 0; b < n_blocks; b++) {
        if (b % 2)
            fill_torture(ir, rng, &rows);
        else
            px_selftest_rows(ir, rng, &rows);
        check_rows(ir, codes, &rows);
    }
    free(rows.data);
    px_codes_destroy(codes);
}

static void check_shape(struct shape shape)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct px_forest_ir ir;
        struct px_rng rng = px_rng(seed);
        shape.type = seed % 2 ? PX_TYPE_FP32 : PX_TYPE_FP64;
        make_forest(&ir, &rng, &shape);
        check_forest(&ir, &rng, 12);
        px_ir_deinit(&ir);
    }
}

PX_TEST(thresholds)
{
    check_shape((struct shape){.n_features = 1, .n_trees = 1, .n_splits = 1});
    check_shape((struct shape){.n_features = 7, .n_trees = 10, .n_splits = 30, .le = true});
    check_shape((struct shape){.n_features = 3, .n_trees = 2, .n_splits = 3, .le = true});
}

PX_TEST(thresholds_at_infinities_zeros_and_denormals)
{
    check_shape((struct shape){
        .n_features = 3, .n_trees = 10, .n_splits = 30, .le = true, .torture = true});
}

PX_TEST(all_readings_of_missing_values)
{
    check_shape((struct shape){.n_features = 3,
                               .n_trees = 20,
                               .n_splits = 30,
                               .le = true,
                               .torture = true,
                               .all_missing = true});
}

/* One column each of 15, 16, 17, 255, 256, 257 and 4,096 thresholds: where the searches' levels change. */
PX_TEST(any_number_of_thresholds)
{
    static const size_t sizes[] = {1, 15, 16, 17, 254, 255, 256, 257, 4095, 4096, 4097};
    for (size_t s = 0; s < 2 * PX_ARRAY_LEN(sizes); s++) {
        struct px_forest_ir ir;
        struct px_rng rng = px_rng(s);
        struct shape shape = {.type = s % 2 ? PX_TYPE_FP32 : PX_TYPE_FP64,
                              .n_features = 1,
                              .n_splits = 1,
                              .n_trees = sizes[s / 2]};
        make_forest(&ir, &rng, &shape);
        size_t n = 0;
        for (size_t i = 0; i < ir.nodes.len; i++) {
            if (ir.nodes.items[i].kind != PX_NODE_LEAF)
                ir.nodes.items[i].threshold = (double)n++ - 100.0;
            ir.nodes.items[i].default_left = s % 4 < 2;
        }
        check_forest(&ir, &rng, 30);
        px_ir_deinit(&ir);
    }
}

PX_TEST(sets_of_categories)
{
    check_shape((struct shape){.n_features = 3, .n_trees = 12, .n_splits = 25, .sets = true});
    check_shape((struct shape){.n_features = 1, .n_trees = 1, .n_splits = 3, .sets = true});
}

PX_TEST(categories_too_scattered_for_a_table)
{
    check_shape((struct shape){
        .n_features = 3, .n_trees = 12, .n_splits = 25, .sets = true, .set_spread = 8000000});
}

PX_TEST(lists_of_numbers)
{
    check_shape((struct shape){.n_features = 3,
                               .n_trees = 12,
                               .n_splits = 25,
                               .sets = true,
                               .lists = true,
                               .torture = true,
                               .all_missing = true});
}

/* Splits that ask the same share a predicate, whatever the trees they are in. */
PX_TEST(equal_questions_are_one_predicate)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(5);
    struct shape shape = {
        .type = PX_TYPE_FP32, .n_features = 1, .n_trees = 8, .n_splits = 1, .sets = true};
    struct px_codes *codes;
    make_forest(&ir, &rng, &shape);
    for (size_t t = 0; t < ir.trees.len; t++) {
        struct px_node *node = &ir.nodes.items[ir.trees.items[t].first_node];
        node->kind = t < 4 ? PX_NODE_LT : PX_NODE_SET;
        node->threshold = t % 2 ? 0.0 : -0.0;
        node->set = 1;
        node->default_left = true;
        node->in_set_left = t == 7;
    }
    CHECK_OK(px_codes_create(&ir, &codes, NULL));
    CHECK_INT(codes->n_columns, 2);
    CHECK_INT(codes->n_predicates, 3);
    for (size_t t = 0; t < ir.trees.len; t++)
        CHECK_INT(codes->predicate_of[ir.trees.items[t].first_node], t < 4 ? 0 : t < 7 ? 1 : 2);
    px_codes_destroy(codes);
    px_ir_deinit(&ir);
}

/* Two sets of the same members, one of them with room for more. */
PX_TEST(equal_sets_are_one_predicate)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(5);
    struct shape shape = {.type = PX_TYPE_FP64, .n_features = 1, .n_trees = 2, .n_splits = 1};
    struct px_codes *codes;
    uint32_t sets[2];
    make_forest(&ir, &rng, &shape);
    CHECK_OK(px_ir_add_set(&ir, 40, 50, &sets[0], NULL));
    CHECK_OK(px_ir_add_set(&ir, 0, 500, &sets[1], NULL));
    for (size_t t = 0; t < 2; t++) {
        struct px_node *node = &ir.nodes.items[ir.trees.items[t].first_node];
        px_ir_set_insert(&ir, sets[t], 44);
        node->kind = PX_NODE_SET;
        node->set = sets[t];
        node->default_left = node->in_set_left = false;
    }
    CHECK_OK(px_codes_create(&ir, &codes, NULL));
    CHECK_INT(codes->n_predicates, 1);
    CHECK_INT(codes->columns[0].n_codes, 3); /* in neither, in both, missing */
    px_codes_destroy(codes);
    px_ir_deinit(&ir);
}

PX_TEST(a_forest_without_splits)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(1);
    struct shape shape = {.type = PX_TYPE_FP32, .n_features = 2, .n_trees = 3};
    make_forest(&ir, &rng, &shape);
    check_forest(&ir, &rng, 2);
    px_ir_deinit(&ir);
}

PX_TEST(too_many_thresholds_are_refused_with_the_reason)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(2);
    struct shape shape = {
        .type = PX_TYPE_FP64, .n_features = 1, .n_trees = 220, .n_splits = 300, .one_output = true};
    struct px_codes *codes = NULL;
    struct px_err err = {0};
    make_forest(&ir, &rng, &shape);
    for (size_t i = 0; i < ir.nodes.len; i++)
        ir.nodes.items[i].threshold = (double)i;
    for (size_t i = 0; i < ir.nodes.len; i++)
        ir.nodes.items[i].default_left = true;
    CHECK_INT(px_codes_create(&ir, &codes, &err), PX_E_UNSUPPORTED);
    CHECK_CONTAINS(err.message, "feature 0 has 66000 thresholds, at most 65535");
    CHECK(!codes);
    px_ir_deinit(&ir);
}

PX_TEST(no_failed_allocation_crashes)
{
    struct px_forest_ir ir;
    struct px_rng rng = px_rng(3);
    struct shape shape = {.type = PX_TYPE_FP32,
                          .n_features = 3,
                          .n_trees = 20,
                          .n_splits = 20,
                          .sets = true,
                          .lists = true,
                          .all_missing = true,
                          .set_spread = 900000};
    make_forest(&ir, &rng, &shape);
    enum px_code code = PX_E_NO_MEMORY;
    uint64_t n = 1;
    for (; code != PX_OK; n++) {
        struct px_codes *codes = NULL;
        px_alloc_fail_at(n);
        code = px_codes_create(&ir, &codes, NULL);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || (code == PX_E_NO_MEMORY && !codes));
        px_codes_destroy(codes);
    }
    CHECK(n > 20);
    px_ir_deinit(&ir);
}

// clang-format off
PX_TEST_MAIN(
    T(thresholds)
    T(thresholds_at_infinities_zeros_and_denormals)
    T(all_readings_of_missing_values)
    T(any_number_of_thresholds)
    T(sets_of_categories)
    T(categories_too_scattered_for_a_table)
    T(lists_of_numbers)
    T(equal_questions_are_one_predicate)
    T(equal_sets_are_one_predicate)
    T(a_forest_without_splits)
    T(too_many_thresholds_are_refused_with_the_reason)
    T(no_failed_allocation_crashes)
)
