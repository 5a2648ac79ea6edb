/* SPDX-License-Identifier: Apache-2.0 */
/* Ways in which contributions are wrong, or are given where there are none. Parity: tests/golden/test_explain.py. */
#include "harness.h"

#include "forest_models.h"

#define TREE(counts)                                                                               \
    "Tree=0\nnum_leaves=3\nnum_cat=0\nsplit_feature=0 1\nthreshold=1 2\n"                          \
    "decision_type=8 8\nleft_child=1 -1\nright_child=-3 -2\n"                                      \
    "leaf_value=10 20 30\n" counts "\n"
#define COUNTS TREE("internal_count=10 6\nleaf_count=4 2 4\n")
/* The same feature twice on a path: 10 below 1, 20 up to 2, 30 above. */
#define REPEATED                                                                                   \
    "Tree=0\nnum_leaves=3\nnum_cat=0\nsplit_feature=0 0\nthreshold=2 1\n"                          \
    "decision_type=8 8\nleft_child=1 -1\nright_child=-3 -2\n"                                      \
    "leaf_value=10 20 30\ninternal_count=10 6\nleaf_count=4 2 4\n\n"

static struct px_forest *open_trees(const char *trees)
{
    return load(lgb_text((struct lgb){.trees = trees}));
}

/* The contributions of one row; `out` has n_features + 1 numbers. */
static void explain(const struct px_forest *forest, double *row, double *out)
{
    size_t n = px_forest_info(forest)->n_features;
    void *scratch = px_xalloc(1, px_forest_explain_scratch_size(forest));
    px_forest_explain(forest,
                      &(struct px_matrix){
                          .type = PX_TYPE_FP64, .data = row, .n_rows = 1, .n_cols = n, .stride = n},
                      out, scratch);
    px_free(scratch);
}

PX_TEST(each_feature_gets_its_average_over_every_order)
{
    struct px_forest *forest = open_trees(COUNTS);
    double out[8], row[8] = {0.0, 0.0};
    CHECK(!px_forest_explain_refusal(forest));
    explain(forest, row, out);
    size_t n = px_forest_info(forest)->n_features;
    CHECK_NEAR(out[0], -22.0 / 3.0, 1e-12);
    CHECK_NEAR(out[1], -8.0 / 3.0, 1e-12);
    CHECK_NEAR(out[n], 20.0, 1e-12);
    row[0] = 5.0;
    explain(forest, row, out);
    CHECK_NEAR(out[0] + out[1] + out[n], 30.0, 1e-12);
    CHECK(px_forest_explain_steps(forest) > 0);
    px_forest_destroy(forest);
}

PX_TEST(a_feature_met_twice_is_one_feature)
{
    struct px_forest *forest = open_trees(REPEATED);
    double out[8], row[8] = {1.5, 0.0};
    size_t n = px_forest_info(forest)->n_features;
    explain(forest, row, out);
    CHECK_NEAR(out[n], 20.0, 1e-12);
    CHECK_NEAR(out[0], 0.0, 1e-12); /* 20, as expected without it */
    row[0] = 3.0;
    explain(forest, row, out);
    CHECK_NEAR(out[0], 10.0, 1e-12);
    px_forest_destroy(forest);
}

PX_TEST(a_leaf_that_no_row_reached_is_no_division_by_zero)
{
    struct px_forest *forest = open_trees(TREE("internal_count=10 6\nleaf_count=6 0 4\n"));
    double out[8], row[8] = {0.0, 5.0};
    size_t n = px_forest_info(forest)->n_features;
    explain(forest, row, out);
    CHECK_NEAR(out[n], 18.0, 1e-12);
    CHECK_NEAR(out[0] + out[1] + out[n], 20.0, 1e-12);
    px_forest_destroy(forest);
}

static void check_refused(const char *trees)
{
    struct px_forest *forest = open_trees(trees);
    CHECK_CONTAINS(px_forest_explain_refusal(forest), "how many training rows");
    px_forest_destroy(forest);
}

PX_TEST(no_or_impossible_counts_are_a_refusal_and_not_a_broken_model)
{
    check_refused(TREE(""));
    check_refused(TREE("internal_count=10 6\n"));
    check_refused(TREE("internal_count=10 6\nleaf_count=4 2\n"));
    check_refused(TREE("internal_count=10 0\nleaf_count=4 2 4\n"));
    check_refused(TREE("internal_count=10 -6\nleaf_count=4 2 4\n"));
    check_refused(TREE("internal_count=10 6\nleaf_count=4 inf 4\n"));
}

// clang-format off
PX_TEST_MAIN(
    T(each_feature_gets_its_average_over_every_order)
    T(a_feature_met_twice_is_one_feature)
    T(a_leaf_that_no_row_reached_is_no_division_by_zero)
    T(no_or_impossible_counts_are_a_refusal_and_not_a_broken_model)
)
