/* SPDX-License-Identifier: Apache-2.0 */
/* Ways in which a reader of LightGBM models is wrong without noticing, and files that must be refused. */
#include "harness.h"

#include "forest_models.h"

#define TINY ((double)1e-35F) /* LightGBM's kZeroThreshold */

static const char *with_tree(const char *tree)
{
    return lgb_text((struct lgb){.trees = tree});
}

PX_TEST(a_value_on_the_threshold_goes_left)
{
    const char *text = lgb_text((struct lgb){0});
    CHECK_DOUBLE(SCORE(text, 1.0), 10.0);
    CHECK_DOUBLE(SCORE(text, nextafter(1.0, 2.0)), 20.0);
    CHECK_DOUBLE(SCORE(text, (double)INFINITY), 20.0);
    CHECK_DOUBLE(SCORE(text, -(double)INFINITY), 10.0);
}

PX_TEST(thresholds_and_sums_are_doubles)
{
    const char *text = with_tree(SPLIT_AS("0", "0", "0.10000000000000001", "8", "0.1", "0.7")
                                     SPLIT_AS("1", "0", "9", "8", "0.2", "0"));
    CHECK_DOUBLE(SCORE(text, 0.1), 0.1 + 0.2);
    CHECK_DOUBLE(SCORE(text, (double)0.1F), 0.7 + 0.2);
}

PX_TEST(leaf_values_are_not_multiplied_by_shrinkage)
{
    CHECK_DOUBLE(SCORE(lgb_text((struct lgb){0}), 0.0), 10.0); /* its shrinkage is 0.1 */
}

PX_TEST(an_infinite_threshold_takes_every_number_left)
{
    const char *text = with_tree(SPLIT_AS("0", "0", "inf", "8", "10", "20"));
    CHECK_DOUBLE(SCORE(text, (double)INFINITY), 10.0);
    CHECK_DOUBLE(SCORE(text, 1e308), 10.0);
    CHECK_DOUBLE(SCORE(text, (double)NAN), 20.0);
    text = with_tree(SPLIT_AS("0", "0", "1.7976931348623157e308", "10", "10", "20"));
    CHECK_DOUBLE(SCORE(text, (double)INFINITY), 20.0);
    CHECK_DOUBLE(SCORE(text, 1.7976931348623157e308), 10.0);
}

PX_TEST(a_negative_child_is_a_leaf_complement)
{
    const char *text =
        with_tree("Tree=0\nnum_leaves=3\nnum_cat=0\nsplit_feature=0 1\nthreshold=1 2\n"
                  "decision_type=8 8\nleft_child=1 -1\nright_child=-3 -2\n"
                  "leaf_value=10 20 30\n\n");
    CHECK_DOUBLE(SCORE(text, 0.0, 0.0), 10.0);
    CHECK_DOUBLE(SCORE(text, 0.0, 5.0), 20.0);
    CHECK_DOUBLE(SCORE(text, 5.0, 0.0), 30.0);
}

PX_TEST(missing_type_none_compares_nan_as_zero_whatever_the_default)
{
    for (int decision = 0; decision <= 2; decision += 2) { /* default right, default left */
        char tree[512];
        snprintf(tree, sizeof tree, SPLIT_AS("0", "0", "%s", "%d", "10", "20"), "1", decision);
        CHECK_DOUBLE(SCORE(with_tree(tree), (double)NAN), 10.0);
        snprintf(tree, sizeof tree, SPLIT_AS("0", "0", "%s", "%d", "10", "20"), "-1", decision);
        CHECK_DOUBLE(SCORE(with_tree(tree), (double)NAN), 20.0);
    }
}

PX_TEST(missing_type_nan_takes_the_default_side)
{
    CHECK_DOUBLE(SCORE(with_tree(SPLIT_AS("0", "0", "1", "8", "10", "20")), (double)NAN), 20.0);
    CHECK_DOUBLE(SCORE(with_tree(SPLIT_AS("0", "0", "1", "10", "10", "20")), (double)NAN), 10.0);
}

PX_TEST(missing_type_zero_sends_nan_and_tiny_values_to_the_default_side)
{
    static const double zeros[] = {0.0, -0.0, TINY, -TINY, 1e-36, -1e-300, (double)NAN};
    const char *text = with_tree(SPLIT_AS("0", "0", "1", "4", "10", "20"));
    for (size_t i = 0; i < 7; i++)
        CHECK_DOUBLE(SCORE(text, zeros[i]), 20.0);
    CHECK_DOUBLE(SCORE(text, nextafter(TINY, 1.0)), 10.0);
    CHECK_DOUBLE(SCORE(text, nextafter(-TINY, -1.0)), 10.0);
    text = with_tree(SPLIT_AS("0", "0", "-1", "6", "10", "20"));
    for (size_t i = 0; i < 7; i++)
        CHECK_DOUBLE(SCORE(text, zeros[i]), 10.0);
    CHECK_DOUBLE(SCORE(text, -0.5), 20.0);
    CHECK_DOUBLE(SCORE(text, -1.5), 10.0);
}

PX_TEST(tiny_values_of_dense_rows_are_zero)
{
    const char *text = with_tree(SPLIT_AS("0", "0", "-1.0000000180025095e-35", "8", "10", "20"));
    CHECK_DOUBLE(SCORE(text, -TINY), 20.0); /* acts as 0, and 0 <= -1e-35 is false */
    CHECK_DOUBLE(SCORE(text, nextafter(-TINY, -1.0)), 10.0);
    text = with_tree(SPLIT_AS("0", "0", "0", "8", "10", "20"));
    CHECK_DOUBLE(SCORE(text, TINY), 10.0);
    CHECK_DOUBLE(SCORE(text, nextafter(TINY, 1.0)), 20.0);
}

/* Categories {0, 2, 33} of feature 0 go left; the words are 5 and 2. The first set is a decoy. */
#define CATEGORICAL(decision)                                                                      \
    "Tree=0\nnum_leaves=2\nnum_cat=2\nsplit_feature=0\nthreshold=1\ndecision_type=" decision       \
    "\nleft_child=-1\nright_child=-2\nleaf_value=10 20\ncat_boundaries=0 1 3\n"                    \
    "cat_threshold=4294967295 5 2\n\n"

PX_TEST(a_category_of_the_set_goes_left)
{
    const char *text = with_tree(CATEGORICAL("9"));
    static const double hits[] = {0.0, 2.0, 33.0, 2.9, -0.5, -0.999};
    static const double others[] = {1.0,
                                    3.0,
                                    32.0,
                                    34.0,
                                    64.0,
                                    -1.0,
                                    1e10,
                                    -1e10,
                                    1e300,
                                    (double)INFINITY,
                                    -(double)INFINITY,
                                    (double)NAN};
    for (size_t i = 0; i < 6; i++)
        CHECK_DOUBLE(SCORE(text, hits[i]), 10.0);
    for (size_t i = 0; i < 12; i++)
        CHECK_DOUBLE(SCORE(text, others[i]), 20.0);
}

static double score_of_missing_category(const char *version, const char *decision, const char *tail)
{
    char tree[512];
    snprintf(tree, sizeof tree, CATEGORICAL("%s"), decision);
    return SCORE(lgb_text((struct lgb){.version = version, .trees = tree, .tail = tail}),
                 (double)NAN);
}

#define PARAMETERS(list)                                                                           \
    "end of trees\n\nparameters:\n[boosting: gbdt]\n" list "end of parameters\n"

PX_TEST(a_missing_category_was_category_zero_in_3_0_to_3_2)
{
    static const char *const none = PARAMETERS("");
    static const char *const of_3_0 = PARAMETERS("[saved_feature_importance_type: 0]\n");
    static const char *const of_3_3 = PARAMETERS("[saved_feature_importance_type: 0]\n"
                                                 "[precise_float_parser: 0]\n");
    CHECK_DOUBLE(score_of_missing_category("v3", "1", of_3_0), 10.0);
    CHECK_DOUBLE(score_of_missing_category("v3", "5", of_3_0), 10.0); /* missing type Zero */
    CHECK_DOUBLE(score_of_missing_category("v3", "9", of_3_0), 20.0); /* missing type NaN */
    CHECK_DOUBLE(score_of_missing_category("v3", "1", of_3_3), 20.0);
    CHECK_DOUBLE(score_of_missing_category("v3", "1", none), 20.0);
    CHECK_DOUBLE(score_of_missing_category("v2", "1", of_3_0), 20.0);
    CHECK_DOUBLE(score_of_missing_category("v4", "1", of_3_3), 20.0);
}

#define PANDAS "end of trees\n\npandas_categorical:null\n"

PX_TEST(a_v3_file_without_parameters_warns_when_the_rule_matters)
{
    static const char *const decisions[] = {"1", "9"};
    for (size_t i = 0; i < 2; i++) {
        char tree[512];
        snprintf(tree, sizeof tree, CATEGORICAL("%s"), decisions[i]);
        struct px_forest *forest =
            load(lgb_text((struct lgb){.version = "v3", .trees = tree, .tail = PANDAS}));
        CHECK(forest);
        CHECK_INT(px_forest_info(forest)->n_warnings, i == 0);
        px_forest_destroy(forest);
    }
}

static double transformed(const char *objective)
{
    char header[128];
    snprintf(header, sizeof header, "objective=%s\n", objective);
    return SCORE(lgb_text((struct lgb){.header = header,
                                       .trees = SPLIT_AS("0", "0", "1", "8", "-1.5", "1.5")}),
                 0.0);
}

PX_TEST(each_objective_has_its_transform)
{
    CHECK_DOUBLE(transformed("binary sigmoid:1"), 1.0 / (1.0 + exp(1.5)));
    CHECK_DOUBLE(transformed("binary sigmoid:2"), 1.0 / (1.0 + exp(3.0)));
    CHECK_DOUBLE(transformed("cross_entropy"), 1.0 / (1.0 + exp(1.5)));
    CHECK_DOUBLE(transformed("cross_entropy_lambda"), log1p(exp(-1.5)));
    CHECK_DOUBLE(transformed("poisson"), exp(-1.5));
    CHECK_DOUBLE(transformed("gamma"), exp(-1.5));
    CHECK_DOUBLE(transformed("tweedie tweedie_variance_power:1.5"), exp(-1.5));
    static const char *const plain[] = {"regression", "regression_l1", "huber",      "fair",
                                        "quantile",   "mape",          "lambdarank", "rank_xendcg",
                                        "huber sqrt", "custom"};
    for (size_t i = 0; i < 10; i++)
        CHECK_DOUBLE(transformed(plain[i]), -1.5);
}

PX_TEST(the_flag_sqrt_squares_with_the_sign)
{
    CHECK_DOUBLE(transformed("regression sqrt"), -2.25);
    CHECK_DOUBLE(transformed("regression_l1 sqrt"), -2.25);
}

PX_TEST(a_file_without_objective_gives_raw_scores)
{
    const char *text = lgb_text((struct lgb){.header = "x=1\n"});
    CHECK_DOUBLE(SCORE(text, 0.0), 10.0);
}

#define THREE_TREES                                                                                \
    SPLIT_AS("0", "0", "1", "8", "1", "0")                                                         \
    SPLIT_AS("1", "0", "1", "8", "2", "0")                                                         \
    SPLIT_AS("2", "0", "1", "8", "3", "0")
#define SIX_TREES                                                                                  \
    THREE_TREES SPLIT_AS("3", "0", "1", "8", "10", "0") SPLIT_AS("4", "0", "1", "8", "20", "0")    \
        SPLIT_AS("5", "0", "1", "8", "30", "0")

PX_TEST(the_class_of_a_tree_is_its_number_modulo_the_classes)
{
    struct lgb m = {.k = "3", .header = "objective=multiclass num_class:3\n", .trees = SIX_TREES};
    struct scores s = score_row(lgb_text(m), ROW(0.0), PX_FOREST_MARGIN);
    CHECK_DOUBLE(s.of[0], 11.0);
    CHECK_DOUBLE(s.of[1], 22.0);
    CHECK_DOUBLE(s.of[2], 33.0);
    s = score_row(lgb_text(m), ROW(0.0), 0);
    CHECK_NEAR(s.of[0] + s.of[1] + s.of[2], 1.0, 1e-12);
}

PX_TEST(one_against_all_is_not_normalised)
{
    struct lgb m = {.k = "3",
                    .header = "objective=multiclassova num_class:3 sigmoid:1\n",
                    .trees = THREE_TREES};
    struct scores s = score_row(lgb_text(m), ROW(0.0), 0);
    CHECK_DOUBLE(s.of[0], 1.0 / (1.0 + exp(-1.0)));
    CHECK_DOUBLE(s.of[2], 1.0 / (1.0 + exp(-3.0)));
}

PX_TEST(average_output_has_no_equals_sign)
{
    struct lgb m = {.header = "objective=regression\naverage_output\n", .trees = THREE_TREES};
    CHECK_DOUBLE(SCORE(lgb_text(m), 0.0), 2.0);
    CHECK_DOUBLE(MARGIN(lgb_text(m), 0.0), 6.0); /* raw_score of LightGBM is the sum */
}

#define LINEAR                                                                                     \
    "Tree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=1\ndecision_type=8\n"             \
    "left_child=-1\nright_child=-2\nleaf_value=10 20\nis_linear=1\nleaf_const=0.5 7\n"             \
    "num_features=2 0\nleaf_features=0 1  \nleaf_coeff=2 3  \n\n"

PX_TEST(linear_leaves_fall_back_to_the_leaf_value_when_a_feature_is_missing)
{
    const char *text = with_tree(LINEAR);
    CHECK_DOUBLE(SCORE(text, 1.0, 4.0), 0.5 + 2.0 + 12.0);
    CHECK_DOUBLE(SCORE(text, 5.0, 4.0), 7.0);
    CHECK_DOUBLE(SCORE(text, 1.0, (double)NAN), 10.0);
    CHECK_DOUBLE(SCORE(text, 5.0, (double)NAN), 7.0);
}

PX_TEST(linear_leaves_take_tiny_values_for_zero)
{
    static const char *const kernels[] = {"walker", "keyed"};
    const char *text = with_tree("Tree=0\nnum_leaves=1\nleaf_value=4.5\nis_linear=1\nleaf_const=2\n"
                                 "num_features=1\nleaf_features=1\nleaf_coeff=1e35\n\n");
    const double tiny = TINY, more = nextafter(tiny, 1.0);
    double rows[] = {0, tiny, 0, -tiny, 0, 1e-36, 0, more, 0, -more}, out[5];
    for (size_t k = 0; k < PX_ARRAY_LEN(kernels); k++) {
        struct px_forest *forest = load_with(text, PX_ROUNDS_ALL, kernels[k]);
        struct px_matrix matrix = {PX_TYPE_FP64, rows, 5, 2, 2};
        CHECK(forest);
        predict(forest, &matrix, out, 0);
        for (size_t i = 0; i < 3; i++)
            CHECK_DOUBLE(out[i], 2.0);
        CHECK_DOUBLE(out[3], 2.0 + 1e35 * more);
        CHECK_DOUBLE(out[4], 2.0 - 1e35 * more);
        px_forest_destroy(forest);
    }
}

PX_TEST(a_tree_of_one_leaf_is_a_constant)
{
    const char *text = with_tree("Tree=0\nnum_leaves=1\nnum_cat=0\nsplit_feature=\nthreshold=\n"
                                 "decision_type=\nleft_child=\nright_child=\nleaf_value=4.5\n\n");
    CHECK_DOUBLE(SCORE(text, 1.0), 4.5);
    text = with_tree("Tree=0\nnum_leaves=1\nleaf_value=4.5\nis_linear=1\nleaf_const=2\n"
                     "num_features=1\nleaf_features=1\nleaf_coeff=10\n\n");
    CHECK_DOUBLE(SCORE(text, 0.0, 3.0), 32.0);
}

PX_TEST(carriage_returns_and_missing_optional_lines_are_taken)
{
    static char text[MODEL_MAX];
    size_t n = 0;
    for (const char *c = lgb_text((struct lgb){0}); *c; c++) {
        if (*c == '\n')
            text[n++] = '\r';
        text[n++] = *c;
    }
    text[n] = '\0';
    CHECK_DOUBLE(SCORE(text, 1.0), 10.0);
    CHECK_DOUBLE(SCORE("tree\nnum_class=1\nmax_feature_idx=0\n\nTree=0\nnum_leaves=2\n"
                       "split_feature=0\nthreshold=1\nleft_child=-1\nright_child=-2\n"
                       "leaf_value=10 20\n\nfeature importances:\n",
                       1.0),
                 10.0);
}

PX_TEST(tree_sizes_are_not_trusted)
{
    CHECK_DOUBLE(SCORE(lgb_text((struct lgb){0}), 0.0), 10.0); /* the file says 1 2 3 */
}

PX_TEST(a_feature_name_may_contain_an_equals_sign)
{
    struct px_forest *forest = load(
        lgb_text((struct lgb){.header = "feature_names=a=b c\nfeature_infos=[0:1] 2:-1:0\n",
                              .tail = "end of trees\n\npandas_categorical:[[\"x\", \"y\", 7]]\n"}));
    CHECK(forest);
    const struct px_forest_info *info = px_forest_info(forest);
    CHECK_STR(info->feature_names[0], "a=b");
    CHECK(!info->categorical[0] && info->categorical[1]);
    size_t n;
    const struct px_str *names = px_forest_categories(forest, 1, &n);
    CHECK_INT(n, 3);
    CHECK_STR(names[1], "y");
    CHECK_STR(names[2], "7");
    px_forest_destroy(forest);
}

PX_TEST(pandas_categories_that_cannot_be_assigned_get_a_warning)
{
    static const char *const tails[] = {"end of trees\npandas_categorical:[[\"x\"],[\"y\"]]\n",
                                        "end of trees\npandas_categorical:[[\"x\"\n"};
    for (size_t i = 0; i < 2; i++) {
        struct px_forest *forest = load(
            lgb_text((struct lgb){.header = "feature_infos=[0:1] 2:-1:0\n", .tail = tails[i]}));
        size_t n;
        CHECK(forest);
        CHECK_INT(px_forest_info(forest)->n_warnings, 1);
        CHECK(!px_forest_categories(forest, 1, &n));
        px_forest_destroy(forest);
    }
}

PX_TEST(names_that_the_library_made_up_are_told_apart)
{
    struct px_forest *forest =
        load(lgb_text((struct lgb){.header = "feature_names=Column_0 Column_1\n"}));
    CHECK(forest);
    CHECK_STR(px_forest_info(forest)->feature_names[1], "Column_1");
    CHECK(px_forest_info(forest)->names_made_up);
    px_forest_destroy(forest);
    forest = load(lgb_text((struct lgb){.header = "feature_names=Column_1 Column_0\n"}));
    CHECK(forest);
    CHECK(!px_forest_info(forest)->names_made_up);
    px_forest_destroy(forest);
}

PX_TEST(a_newer_format_gets_a_warning)
{
    struct px_forest *forest = load(lgb_text((struct lgb){.version = "v5"}));
    CHECK(forest);
    CHECK_INT(px_forest_info(forest)->n_warnings, 1);
    px_forest_destroy(forest);
}

#define TREE_OF(leaves, feature, threshold, decision, left, right, values)                         \
    "Tree=0\nnum_leaves=" leaves "\nnum_cat=0\nsplit_feature=" feature "\nthreshold=" threshold    \
    "\ndecision_type=" decision "\nleft_child=" left "\nright_child=" right "\nleaf_value=" values \
    "\n\n"

PX_TEST(broken_trees_are_refused_with_their_place)
{
    static const struct {
        const char *tree, *message;
    } cases[] = {
        {TREE_OF("2", "0", "1", "8", "0", "-2", "1 2"),
         "tree 0, node 0: child 0 already has a parent"},
        {TREE_OF("2", "0", "1", "8", "-1", "-1", "1 2"), "tree 0, node 0: child 1 already has"},
        {TREE_OF("2", "0", "1", "8", "-1", "-9", "1 2"), "tree 0, node 0: child 9 is outside"},
        {TREE_OF("2", "0", "1", "8", "7", "-1", "1 2"), "tree 0, node 0: its children 7 and -1"},
        {TREE_OF("3", "0 0", "1 1", "8 8", "-1 -2", "-3 -3", "1 2 3"),
         "tree 0, node 1: no path from the root leads to it"},
        {TREE_OF("2", "2", "1", "8", "-1", "-2", "1 2"), "splits on feature 2, but"},
        {TREE_OF("2", "-1", "1", "8", "-1", "-2", "1 2"), "index is negative"},
        {TREE_OF("2", "0", "nan", "8", "-1", "-2", "1 2"), "node 0: the threshold is NaN"},
        {TREE_OF("2", "0", "1", "8", "-1", "-2", "1 nan"), "the leaf value is NaN"},
        {TREE_OF("2", "0", "1", "12", "-1", "-2", "1 2"), "decision_type 12 is unknown"},
        {TREE_OF("2", "0", "1", "x", "-1", "-2", "1 2"), "decision_type[0] is 'x'"},
        {TREE_OF("2", "0", "1", "1", "-1", "-2", "1 2"),
         "threshold 1 is no number of one of its 0"},
        {TREE_OF("3", "0", "1", "8", "-1", "-2", "1 2"), "split_feature has 1 numbers, expected 2"},
        {TREE_OF("2", "0", "1", "8", "-1", "-2", "1"), "leaf_value has 1 numbers, expected 2"},
        {TREE_OF("2", "0.5", "1", "8", "-1", "-2", "1 2"), "split_feature[0] is 0.5, expected an"},
        {TREE_OF("0", "0", "1", "8", "-1", "-2", "1 2"), "num_leaves is '0'"},
        {TREE_OF("999999999999", "0", "1", "8", "-1", "-2", "1 2"), "num_leaves is '999999999999'"},
        {"Tree=0\n\n", "num_leaves is ''"},
        {"Tree=1\nnum_leaves=1\nleaf_value=1\n\n", "expected 'Tree=0', got 'Tree=1'"},
        {"bla\n", "the model has no trees"}, /* before the first tree a line is a header's */
        {SPLIT "bla\n", "expected 'Tree=1', got 'bla'"},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++)
        CHECK_REFUSED(with_tree(cases[i].tree), PX_E_CORRUPT, cases[i].message);
}

#define SETS(num_cat, threshold, boundaries, words)                                                \
    "Tree=0\nnum_leaves=2\nnum_cat=" num_cat "\nsplit_feature=0\nthreshold=" threshold             \
    "\ndecision_type=9\nleft_child=-1\nright_child=-2\nleaf_value=10 "                             \
    "20\ncat_boundaries=" boundaries "\ncat_threshold=" words "\n\n"

PX_TEST(broken_sets_are_refused)
{
    CHECK_REFUSED(with_tree(SETS("1", "1", "0 1", "1")), PX_E_CORRUPT, "threshold 1 is no number");
    CHECK_REFUSED(with_tree(SETS("1", "0.5", "0 1", "1")), PX_E_CORRUPT, "threshold 0.5 is no");
    CHECK_REFUSED(with_tree(SETS("1", "-1", "0 1", "1")), PX_E_CORRUPT, "threshold -1 is no");
    CHECK_REFUSED(with_tree(SETS("1", "0", "1 1", "1")), PX_E_CORRUPT, "cat_boundaries[0] is 1");
    CHECK_REFUSED(with_tree(SETS("2", "0", "0 2 1", "1 1")), PX_E_CORRUPT,
                  "cat_boundaries[2] is 1");
    CHECK_REFUSED(with_tree(SETS("1", "0", "0 4294967295", "1")), PX_E_CORRUPT,
                  "cat_threshold has 1 numbers, expected 4294967295");
    CHECK_REFUSED(with_tree(SETS("1", "0", "0 1", "-1")), PX_E_CORRUPT, "cat_threshold[0] is");
    CHECK_REFUSED(with_tree(SETS("1", "0", "0 1", "4294967296")), PX_E_CORRUPT,
                  "expected an integer");
    CHECK_DOUBLE(SCORE(with_tree(SETS("1", "0", "0 0", "")), 0.0), 20.0); /* an empty set */
}

PX_TEST(broken_linear_leaves_are_refused)
{
#define LINEAR_AS(counts, features, coefficients)                                                  \
    "Tree=0\nnum_leaves=1\nleaf_value=1\nis_linear=1\nleaf_const=0\nnum_features=" counts          \
    "\nleaf_features=" features "\nleaf_coeff=" coefficients "\n\n"
    CHECK_REFUSED(with_tree(LINEAR_AS("1", "2", "1")), PX_E_CORRUPT, "feature 2 of a linear leaf");
    CHECK_REFUSED(with_tree(LINEAR_AS("2", "0", "1")), PX_E_CORRUPT, "leaf_features has 1 numbers");
    CHECK_REFUSED(with_tree(LINEAR_AS("-1", "", "")), PX_E_CORRUPT, "num_features[0] is negative");
    CHECK_REFUSED(with_tree(LINEAR_AS("1", "-1", "1")), PX_E_CORRUPT, "of a linear leaf");
    CHECK_REFUSED(with_tree(LINEAR_AS("4294967295", "", "")), PX_E_TOO_LARGE, "linear terms");
}

PX_TEST(broken_headers_are_refused)
{
    CHECK_REFUSED("tree\nmax_feature_idx=1\n", PX_E_CORRUPT, "the header has no num_class");
    CHECK_REFUSED("tree\nnum_class=1\n", PX_E_CORRUPT, "the header has no max_feature_idx");
    CHECK_REFUSED(lgb_text((struct lgb){.features = "-1"}), PX_E_CORRUPT,
                  "max_feature_idx is '-1'");
    CHECK_REFUSED(lgb_text((struct lgb){.features = "1048576"}), PX_E_TOO_LARGE,
                  "the model declares 1048577 features; the limit is 1048576");
    CHECK_REFUSED(lgb_text((struct lgb){.k = "99999999"}), PX_E_TOO_LARGE, "num_class is 99999999");
    CHECK_REFUSED(lgb_text((struct lgb){.k = "2", .header = "objective=multiclass num_class:2\n"}),
                  PX_E_CORRUPT, "1 trees are no multiple of the 2 trees per iteration");
    CHECK_REFUSED(lgb_text((struct lgb){.header = "feature_names=a\n"}), PX_E_CORRUPT,
                  "feature_names has 1 names for 2 features");
    CHECK_REFUSED(lgb_text((struct lgb){.header = "feature_infos=none none none\n"}), PX_E_CORRUPT,
                  "feature_infos has 3 entries for 2 features");
    CHECK_REFUSED(lgb_text((struct lgb){.header = "objective=regresion\n"}), PX_E_UNSUPPORTED,
                  "'regresion' is not supported (the nearest supported one is 'regression')");
    CHECK_REFUSED(lgb_text((struct lgb){.header = "objective=binary sigmoid:0\n"}), PX_E_CORRUPT,
                  "'sigmoid:0' must be a positive number");
    CHECK_REFUSED(lgb_text((struct lgb){.header = "objective=multiclass num_class:1\n"}),
                  PX_E_CORRUPT, "with one tree per iteration");
}

/* Cuts the model after every byte: what is left is refused, or it scores like the whole. */
static void check_truncations(struct lgb model)
{
    static const double rows[][2] = {{0.0, 0.0}, {5.0, 9.0}, {(double)NAN, (double)NAN}};
    struct scores whole[PX_ARRAY_LEN(rows)];
    char text[MODEL_MAX];
    snprintf(text, sizeof text, "%s", lgb_text(model));
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++)
        whole[i] = score_row(text, ROW(rows[i][0], rows[i][1]), 0);
    CHECK(whole[0].n);
    size_t n_taken = 0;
    for (size_t n = strlen(text); n-- > 0;) {
        enum px_code code;
        text[n] = '\0';
        const char *message = refusal_n(text, n, &code);
        CHECK(code == PX_OK || message[0]);
        n_taken += code == PX_OK;
        for (size_t i = 0; code == PX_OK && i < PX_ARRAY_LEN(rows); i++) {
            struct scores got = score_row(text, ROW(rows[i][0], rows[i][1]), 0);
            CHECK(memcmp(&got, &whole[i], sizeof got) == 0);
        }
    }
    CHECK(n_taken > 0); /* the last line feed is no loss */
}

PX_TEST(every_truncation_is_refused_or_loses_nothing)
{
    static const char *const versions[] = {"v2", "v3", "v4"};
    static const char *const of_v2 =
        "\nfeature importances:\na=1\n\nparameters:\n[boosting: gbdt]\n\n"
        "end of parameters\n\npandas_categorical:null\n";
    static const char *const of_3_0 =
        PARAMETERS("[saved_feature_importance_type: 0]\n") "\npandas_categorical:[[1, 12]]\n";
    for (size_t i = 0; i < PX_ARRAY_LEN(versions); i++) {
        const char *tail = i == 0 ? of_v2 : LGB_TAIL;
        check_truncations(
            (struct lgb){.version = versions[i],
                         .tail = tail,
                         .trees = SPLIT SPLIT_AS("1", "1", "1.5", "8", "0.125", "2.0625")});
        check_truncations((struct lgb){.version = versions[i],
                                       .tail = tail,
                                       .k = "3",
                                       .header = "objective=multiclass num_class:3\n",
                                       .trees = SIX_TREES});
        check_truncations((struct lgb){.version = versions[i],
                                       .tail = tail,
                                       .header = "objective=xentlambda\n",
                                       .trees = SPLIT_AS("0", "0", "1", "8", "-3.25", "1.0625")});
        check_truncations((struct lgb){.version = versions[i],
                                       .tail = i == 1 ? of_3_0 : tail,
                                       .header = "feature_infos=1:12 [0:1]\n",
                                       .trees = CATEGORICAL("1")});
    }
}

PX_TEST(a_v3_file_without_its_ending_is_refused_when_that_decides_scores)
{
    static const char *const cut = "end of trees\n\nfeature_importances:\na=1\n";
    CHECK_REFUSED(lgb_text((struct lgb){.version = "v3", .tail = cut, .trees = CATEGORICAL("1")}),
                  PX_E_CORRUPT, "say how to score its missing categories");
    CHECK_REFUSED(
        lgb_text((struct lgb){.version = "v3", .tail = cut, .header = "objective=xentlambda\n"}),
        PX_E_CORRUPT, "say how to score its objective");
    CHECK_DOUBLE(SCORE(lgb_text((struct lgb){.version = "v3", .tail = cut}), 0.0), 10.0);
}

PX_TEST(old_files_have_another_line_after_the_trees)
{
    CHECK_REFUSED(lgb_text((struct lgb){.version = "v2", .tail = ""}), PX_E_CORRUPT,
                  "no line 'feature importances:' after 1 trees: the file is truncated");
    CHECK_REFUSED(lgb_text((struct lgb){.tail = "end of trees\nparameters:\n[a: b]\n"}),
                  PX_E_CORRUPT, "no line 'end of parameters'");
    CHECK_DOUBLE(
        SCORE(lgb_text((struct lgb){.version = "v2", .tail = "feature importances:\n"}), 0.0),
        10.0);
    CHECK_REFUSED(lgb_text((struct lgb){.version = "v3", .tail = "feature importances:\n"}),
                  PX_E_CORRUPT, "no line 'end of trees' after 1 trees: the file is truncated");
}

// clang-format off
PX_TEST_MAIN(
    T(a_value_on_the_threshold_goes_left)
    T(thresholds_and_sums_are_doubles)
    T(leaf_values_are_not_multiplied_by_shrinkage)
    T(an_infinite_threshold_takes_every_number_left)
    T(a_negative_child_is_a_leaf_complement)
    T(missing_type_none_compares_nan_as_zero_whatever_the_default)
    T(missing_type_nan_takes_the_default_side)
    T(missing_type_zero_sends_nan_and_tiny_values_to_the_default_side)
    T(tiny_values_of_dense_rows_are_zero)
    T(a_category_of_the_set_goes_left)
    T(a_missing_category_was_category_zero_in_3_0_to_3_2)
    T(a_v3_file_without_parameters_warns_when_the_rule_matters)
    T(each_objective_has_its_transform)
    T(the_flag_sqrt_squares_with_the_sign)
    T(a_file_without_objective_gives_raw_scores)
    T(the_class_of_a_tree_is_its_number_modulo_the_classes)
    T(one_against_all_is_not_normalised)
    T(average_output_has_no_equals_sign)
    T(linear_leaves_fall_back_to_the_leaf_value_when_a_feature_is_missing)
    T(linear_leaves_take_tiny_values_for_zero)
    T(a_tree_of_one_leaf_is_a_constant)
    T(carriage_returns_and_missing_optional_lines_are_taken)
    T(tree_sizes_are_not_trusted)
    T(a_feature_name_may_contain_an_equals_sign)
    T(pandas_categories_that_cannot_be_assigned_get_a_warning)
    T(names_that_the_library_made_up_are_told_apart)
    T(a_newer_format_gets_a_warning)
    T(broken_trees_are_refused_with_their_place)
    T(broken_sets_are_refused)
    T(broken_linear_leaves_are_refused)
    T(broken_headers_are_refused)
    T(every_truncation_is_refused_or_loses_nothing)
    T(a_v3_file_without_its_ending_is_refused_when_that_decides_scores)
    T(old_files_have_another_line_after_the_trees)
)
