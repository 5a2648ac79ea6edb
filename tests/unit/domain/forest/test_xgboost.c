/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways in which a reader of XGBoost models is wrong without noticing, one test each. Expected values are
 * worked out by hand from the format's rules; tests/golden compares with the library itself.
 */
#include "harness.h"

#include "forest_models.h"

PX_TEST(a_value_on_the_threshold_goes_right)
{
    const char *text = xgb_text((struct xgb){0});
    CHECK_DOUBLE(MARGIN(text, 1.0), 20.0);
    CHECK_DOUBLE(MARGIN(text, (double)nextafterf(1.0F, 0.0F)), 10.0);
    CHECK_DOUBLE(MARGIN(text, (double)nextafterf(1.0F, 2.0F)), 20.0);
}

PX_TEST(a_double_is_rounded_to_float_before_it_is_compared)
{
    const char *text = xgb_text((struct xgb){0});
    CHECK_DOUBLE(MARGIN(text, nextafter(1.0, 0.0)), 20.0);
}

PX_TEST(zeros_infinities_and_denormals_compare_as_numbers)
{
    const char *text =
        xgb_text((struct xgb){.trees = STUMP_AS("0", "0", "0E0", "0", "1E1", "2E1")});
    CHECK_DOUBLE(MARGIN(text, 0.0), 20.0);
    CHECK_DOUBLE(MARGIN(text, -0.0), 20.0);
    CHECK_DOUBLE(MARGIN(text, -1e-45), 10.0);
    CHECK_DOUBLE(MARGIN(text, (double)INFINITY), 20.0);
    CHECK_DOUBLE(MARGIN(text, -(double)INFINITY), 10.0);
    text = xgb_text((struct xgb){.trees = STUMP_AS("0", "0", "1E-45", "0", "1E1", "2E1")});
    CHECK_DOUBLE(MARGIN(text, 0.0), 10.0);
    CHECK_DOUBLE(MARGIN(text, 1.4e-45), 20.0);
}

PX_TEST(a_missing_value_takes_the_default_side)
{
    const char *left =
        xgb_text((struct xgb){.trees = STUMP_AS("0", "0", "1E0", "1", "1E1", "2E1")});
    CHECK_DOUBLE(MARGIN(left, (double)NAN), 10.0);
    const char *right = xgb_text((struct xgb){0});
    CHECK_DOUBLE(MARGIN(right, (double)NAN), 20.0);
}

PX_TEST(default_left_of_the_first_versions_is_boolean)
{
    const char *text = xgb_text((struct xgb){
        .version = "[1,0,2]",
        .trees = "{\"tree_param\":{\"num_nodes\":\"3\"},\"id\":0,\"left_children\":[1,-1,-1],"
                 "\"right_children\":[2,-1,-1],\"split_indices\":[0,0,0],\"split_conditions\":"
                 "[1E0,1E1,2E1],\"default_left\":[true,false,false]}"});
    CHECK_DOUBLE(MARGIN(text, (double)NAN), 10.0);
    CHECK_DOUBLE(MARGIN(text, 3.0), 20.0);
}

static double base_margin_of(const char *objective, const char *base_score, const char *version)
{
    char name[128];
    snprintf(name, sizeof name, "{\"name\":\"%s\"}", objective);
    return MARGIN(xgb_text((struct xgb){.objective = name,
                                        .base_score = base_score,
                                        .version = version,
                                        .trees = STUMP_AS("0", "0", "1E0", "0", "0E0", "0E0")}),
                  0.0);
}

PX_TEST(base_score_goes_through_the_link_of_the_objective)
{
    double logit = (double)-logf(1.0F / 0.7F - 1.0F), log07 = (double)logf(0.7F);
    CHECK_DOUBLE(base_margin_of("binary:logistic", "7E-1", NULL), logit);
    CHECK_DOUBLE(base_margin_of("reg:logistic", "7E-1", NULL), logit);
    static const char *const logs[] = {"count:poisson", "reg:gamma", "reg:tweedie", "survival:cox",
                                       "survival:aft"};
    for (size_t i = 0; i < 5; i++)
        CHECK_DOUBLE(base_margin_of(logs[i], "7E-1", NULL), log07);
}

PX_TEST(base_score_of_other_objectives_is_a_margin_already)
{
    static const char *const plain[] = {
        "rank:pairwise",        "rank:ndcg",          "rank:map",   "binary:hinge",
        "binary:logitraw",      "reg:squarederror",   "reg:linear", "reg:absoluteerror",
        "reg:pseudohubererror", "reg:squaredlogerror"};
    for (size_t i = 0; i < 10; i++)
        CHECK_DOUBLE(base_margin_of(plain[i], "7E-1", NULL), (double)0.7F);
}

PX_TEST(logitraw_was_linked_up_to_1_2)
{
    double logit = (double)-logf(1.0F / 0.7F - 1.0F);
    CHECK_DOUBLE(base_margin_of("binary:logitraw", "7E-1", "[1,2,1]"), logit);
    CHECK_DOUBLE(base_margin_of("binary:logitraw", "7E-1", "[1,3,0]"), (double)0.7F);
}

PX_TEST(a_probability_of_zero_or_one_is_clamped_since_3_2_and_refused_before)
{
    double clamped = (double)-logf(1.0F / 1e-6F - 1.0F);
    CHECK_DOUBLE(base_margin_of("binary:logistic", "0E0", "[3,2,0]"), clamped);
    struct xgb old = {
        .version = "[3,1,0]", .objective = "{\"name\":\"binary:logistic\"}", .base_score = "0E0"};
    CHECK_REFUSED(xgb_text(old), PX_E_CORRUPT, "base_score is 0, which is no probability");
}

/* Three classes, no tree moves any of them away from its base. */
static struct xgb three_classes(const char *objective, const char *base_score)
{
    return (struct xgb){
        .objective = objective,
        .base_score = base_score,
        .num_class = "3",
        .num_trees = "3",
        .tree_info = "[0,1,2]",
        .trees = STUMP_AS("0", "0", "1E0", "0", "0E0", "1E0") "," STUMP_AS(
            "1", "0", "1E0", "0", "0E0", "2E0") "," STUMP_AS("2", "0", "1E0", "0", "0E0", "3E0")};
}

#define SOFTPROB "{\"name\":\"multi:softprob\",\"softmax_multiclass_param\":{\"num_class\":\"3\"}}"
#define SOFTMAX  "{\"name\":\"multi:softmax\",\"softmax_multiclass_param\":{\"num_class\":\"3\"}}"

PX_TEST(a_vector_of_base_scores_has_one_for_each_output)
{
    struct scores s = score_row(xgb_text(three_classes(SOFTPROB, "[-1E0,2E-1,8E-1]")), ROW(0.0),
                                PX_FOREST_MARGIN);
    CHECK_INT(s.n, 3);
    CHECK_DOUBLE(s.of[0], -1.0);
    CHECK_DOUBLE(s.of[1], (double)0.2F);
    CHECK_DOUBLE(s.of[2], (double)0.8F);
}

PX_TEST(a_single_base_score_is_used_for_every_output_once)
{
    static const char *const forms[] = {"5E-1", "[5E-1]", "(5E-1)", "[ 5E-1 ]", "0.5"};
    for (size_t i = 0; i < 5; i++) {
        struct scores s =
            score_row(xgb_text(three_classes(SOFTPROB, forms[i])), ROW(2.0), PX_FOREST_MARGIN);
        CHECK_DOUBLE(s.of[0], 1.5);
        CHECK_DOUBLE(s.of[1], 2.5);
        CHECK_DOUBLE(s.of[2], 3.5);
    }
}

PX_TEST(softmax_returns_the_first_of_the_best_classes)
{
    const char *text = xgb_text(three_classes(SOFTMAX, "5E-1"));
    CHECK_INT(score_row(text, ROW(2.0), 0).n, 1);
    CHECK_DOUBLE(SCORE(text, 2.0), 2.0);
    CHECK_DOUBLE(SCORE(text, 0.0), 0.0); /* all three are equal */
    CHECK_INT(score_row(text, ROW(2.0), PX_FOREST_MARGIN).n, 3);
}

PX_TEST(softprob_sums_to_one)
{
    struct scores s = score_row(xgb_text(three_classes(SOFTPROB, "5E-1")), ROW(2.0), 0);
    CHECK_INT(s.n, 3);
    CHECK_NEAR(s.of[0] + s.of[1] + s.of[2], 1.0, 1e-6);
    CHECK_NEAR(s.of[2] / s.of[1], exp(1.0), 1e-5);
}

PX_TEST(tree_info_says_the_class_not_the_number_of_the_tree)
{
    struct xgb m = three_classes(SOFTPROB, "0E0");
    m.tree_info = "[0,0,2]"; /* two parallel trees of class 0 */
    struct scores s = score_row(xgb_text(m), ROW(2.0), PX_FOREST_MARGIN);
    CHECK_DOUBLE(s.of[0], 3.0);
    CHECK_DOUBLE(s.of[1], 0.0);
    CHECK_DOUBLE(s.of[2], 3.0);
}

/* One categorical split of feature 0 with the codes {0, 3, 40}: these go right. */
#define CATEGORICAL(default_left, condition)                                                       \
    "{\"id\":0,\"tree_param\":{\"num_nodes\":\"3\",\"size_leaf_vector\":\"1\"},"                   \
    "\"left_children\":[1,-1,-1],\"right_children\":[2,-1,-1],\"split_indices\":[0,0,0],"          \
    "\"split_conditions\":[" condition ",1E1,2E1],\"default_left\":[" default_left ",0,0],"        \
    "\"split_type\":[1,0,0],\"categories\":[9,0,3,40],\"categories_nodes\":[0],"                   \
    "\"categories_segments\":[1],\"categories_sizes\":[3]}"

PX_TEST(a_category_of_the_set_goes_right)
{
    const char *text = xgb_text((struct xgb){.trees = CATEGORICAL("0", "NaN")});
    static const double hits[] = {0.0, 3.0, 40.0, -0.0, 3.7};
    static const double others[] = {1.0, 2.0, 9.0, 39.0, 41.0, 64.0, 8.0};
    for (size_t i = 0; i < 5; i++)
        CHECK_DOUBLE(MARGIN(text, hits[i]), 20.0);
    for (size_t i = 0; i < 7; i++)
        CHECK_DOUBLE(MARGIN(text, others[i]), 10.0);
}

PX_TEST(what_is_no_category_goes_left_even_when_missing_goes_right)
{
    const char *text = xgb_text((struct xgb){.trees = CATEGORICAL("0", "1E-45")});
    static const double invalid[] = {
        -1.0, -0.5, 16777216.0, 1e30, (double)INFINITY, -(double)INFINITY};
    for (size_t i = 0; i < 6; i++)
        CHECK_DOUBLE(MARGIN(text, invalid[i]), 10.0);
    CHECK_DOUBLE(MARGIN(text, (double)NAN), 20.0);
    text = xgb_text((struct xgb){.trees = CATEGORICAL("1", "NaN")});
    CHECK_DOUBLE(MARGIN(text, (double)NAN), 10.0);
}

PX_TEST(a_categorical_feature_is_reported)
{
    struct px_forest *forest = load(xgb_text((struct xgb){.trees = CATEGORICAL("0", "NaN")}));
    CHECK(forest);
    CHECK(px_forest_info(forest)->categorical[0]);
    CHECK(!px_forest_info(forest)->categorical[1]);
    px_forest_destroy(forest);
}

#define TWO_STUMPS                                                                                 \
    STUMP_AS("0", "0", "1E0", "0", "1E1", "2E1")                                                   \
    "," STUMP_AS("1", "0", "1E0", "0", "1E2", "2E2")
#define TREE_MODEL                                                                                 \
    "\"model\":{\"gbtree_model_param\":{\"num_trees\":\"2\"},\"tree_info\":[0,0],"                 \
    "\"trees\":[" TWO_STUMPS "]"

PX_TEST(dropout_weights_are_found_in_each_of_their_three_places)
{
    static const char *const boosters[] = {
        "{\"name\":\"dart\",\"gbtree\":{\"name\":\"gbtree\"," TREE_MODEL
        "}},\"weight_drop\":[5E-1,2.5E-1]}",
        "{\"name\":\"gbtree\"," TREE_MODEL "},\"weight_drop\":[5E-1,2.5E-1]}",
        "{\"name\":\"gbtree\"," TREE_MODEL ",\"weight_drop\":[5E-1,2.5E-1]}}",
    };
    for (size_t i = 0; i < 3; i++)
        CHECK_DOUBLE(MARGIN(xgb_text((struct xgb){.booster = boosters[i]}), 0.0), 5.0 + 25.0);
}

PX_TEST(a_product_with_a_dropout_weight_is_rounded_before_it_is_added)
{
    const char *text =
        xgb_text((struct xgb){.base_score = "1E0",
                              .trees = STUMP_AS("0", "0", "1E0", "0", "3.3333334E-1", "0E0"),
                              .model_extra = ",\"weight_drop\":[3.3333334E-1]"});
    volatile float product = 0.333333343F * 0.333333343F;
    CHECK_DOUBLE(MARGIN(text, 0.0), (double)(1.0F + product));
}

/* Three nodes, leaves of two values; the right child's number in `leaf_weights` comes first. */
#define VECTOR_TREE(arrays)                                                                        \
    "{\"id\":0,\"tree_param\":{\"num_nodes\":\"3\",\"size_leaf_vector\":\"2\"},"                   \
    "\"left_children\":[1,-1,-1],\"split_indices\":[0,0,0],\"split_conditions\":[1E0,1E-45,1E-45]" \
    ","                                                                                            \
    "\"default_left\":[0,0,0]," arrays "}"

PX_TEST(vector_leaves_are_rows_of_base_weights_up_to_3_1_and_of_leaf_weights_since)
{
    static const char *const arrays[] = {
        "\"right_children\":[2,-1,-1],\"base_weights\":[0,0,1E0,2E0,3E0,4E0]",
        "\"right_children\":[2,1,0],\"base_weights\":[9,9,9,9,9,9],"
        "\"leaf_weights\":[3E0,4E0,1E0,2E0]",
    };
    char tree[1024];
    for (size_t i = 0; i < 2; i++) {
        snprintf(tree, sizeof tree, VECTOR_TREE("%s"), arrays[i]);
        struct xgb m = {.num_target = "2", .base_score = "[1E1,2E1]", .trees = tree};
        struct scores left = score_row(xgb_text(m), ROW(0.0), 0);
        struct scores right = score_row(xgb_text(m), ROW(5.0), 0);
        CHECK_INT(left.n, 2);
        CHECK_DOUBLE(left.of[0], 11.0);
        CHECK_DOUBLE(left.of[1], 22.0);
        CHECK_DOUBLE(right.of[0], 13.0);
        CHECK_DOUBLE(right.of[1], 24.0);
    }
}

PX_TEST(leaf_values_are_split_conditions_not_base_weights)
{
    CHECK_DOUBLE(MARGIN(xgb_text((struct xgb){0}), 0.0), 10.0); /* its base_weights are all 7 */
}

PX_TEST(an_early_stopped_model_scores_all_rounds_or_the_best)
{
    struct xgb m = {.booster = "{\"name\":\"gbtree\"," TREE_MODEL ",\"iteration_indptr\":[0,1,2]}}",
                    .extra = ",\"attributes\":{\"best_iteration\":\"0\"}"};
    static const double row[2];
    for (int best = 0; best < 2; best++) {
        struct px_forest *forest =
            load_with(xgb_text(m), best ? PX_ROUNDS_BEST : PX_ROUNDS_ALL, NULL);
        CHECK(forest);
        float data[2] = {(float)row[0], (float)row[1]}, out;
        struct px_matrix rows = {PX_TYPE_FP32, data, 1, 2, 2};
        predict(forest, &rows, &out, 0);
        CHECK_DOUBLE((double)out, best ? 10.0 : 110.0);
        CHECK_INT(px_forest_info(forest)->n_rounds, 2);
        CHECK_INT(px_forest_info(forest)->best_round, 0);
        CHECK_INT(px_forest_info(forest)->n_warnings, best ? 0 : 1);
        px_forest_destroy(forest);
    }
}

PX_TEST(rounds_of_old_files_are_counted_from_parallel_trees_and_groups)
{
    struct xgb m = three_classes(SOFTPROB, "0E0");
    m.extra = ",\"attributes\":{\"best_iteration\":\"0\"}";
    struct px_forest *forest = load(xgb_text(m));
    CHECK(forest);
    CHECK_INT(px_forest_info(forest)->n_rounds, 1);
    px_forest_destroy(forest);
}

PX_TEST(quantiles_are_sorted_since_3_4_only)
{
    struct xgb m = {.objective = "{\"name\":\"reg:quantileerror\",\"quantile_loss_param\":{"
                                 "\"quantile_alpha\":\"[0.1,0.9]\"}}",
                    .num_target = "2",
                    .base_score = "[3E0,1E0]",
                    .trees = STUMP_AS("0", "0", "1E0", "0", "0E0", "0E0")};
    m.version = "[3,3,0]";
    CHECK_DOUBLE(SCORE(xgb_text(m), 0.0), 3.0);
    m.version = "[3,4,0]";
    struct scores s = score_row(xgb_text(m), ROW(0.0), 0);
    CHECK_DOUBLE(s.of[0], 1.0);
    CHECK_DOUBLE(s.of[1], 3.0);
    CHECK_DOUBLE(MARGIN(xgb_text(m), 0.0), 3.0);
}

PX_TEST(expectiles_are_cumulative)
{
    struct xgb m = {.version = "[3,3,0]",
                    .objective = "{\"name\":\"reg:expectileerror\"}",
                    .num_target = "2",
                    .base_score = "[1E0,3E0]",
                    .trees = STUMP_AS("0", "0", "1E0", "0", "0E0", "0E0")};
    struct scores s = score_row(xgb_text(m), ROW(0.0), 0);
    CHECK_DOUBLE(s.of[0], 1.0);
    CHECK_NEAR(s.of[1], 3.0, 1e-5); /* the link is the inverse of the transform */
}

PX_TEST(hinge_is_a_step_and_logitraw_stays_raw)
{
    struct xgb m = {.objective = "{\"name\":\"binary:hinge\"}",
                    .trees = STUMP_AS("0", "0", "1E0", "0", "-1E0", "2E0")};
    CHECK_DOUBLE(SCORE(xgb_text(m), 0.0), 0.0);
    CHECK_DOUBLE(SCORE(xgb_text(m), 5.0), 1.0);
    m.objective = "{\"name\":\"binary:logitraw\"}";
    CHECK_DOUBLE(SCORE(xgb_text(m), 5.0), 2.0);
}

PX_TEST(the_sigmoid_guards_against_overflow_since_1_6)
{
    struct xgb m = {.objective = "{\"name\":\"binary:logistic\"}",
                    .base_score = "5E-1",
                    .trees = STUMP_AS("0", "0", "1E0", "0", "-1E2", "1E2")};
    CHECK(SCORE(xgb_text(m), 0.0) > 0.0);
    CHECK_DOUBLE(SCORE(xgb_text(m), 5.0), 1.0);
    m.version = "[1,5,2]";
    CHECK_DOUBLE(SCORE(xgb_text(m), 0.0), 0.0);
}

PX_TEST(a_margin_that_is_no_number_has_no_probability)
{
    struct xgb m = {.objective = "{\"name\":\"binary:logistic\"}",
                    .base_score = "5E-1",
                    .num_trees = "2",
                    .tree_info = "[0,0]",
                    .trees = STUMP_AS("0", "0", "1E0", "0", "Infinity", "Infinity") "," STUMP_AS(
                        "1", "0", "1E0", "0", "-Infinity", "1E0")};
    CHECK(isnan(SCORE(xgb_text(m), 0.0)));
    CHECK_DOUBLE(SCORE(xgb_text(m), 5.0), 1.0);
    m.objective = "{\"name\":\"binary:hinge\"}";
    CHECK_DOUBLE(SCORE(xgb_text(m), 0.0), 0.0);
}

PX_TEST(deleted_nodes_are_passed_over)
{
    const char *text = xgb_text((struct xgb){
        .trees = "{\"id\":0,\"tree_param\":{\"num_nodes\":\"5\",\"num_deleted\":\"2\"},"
                 "\"left_children\":[3,-1,-1,-1,-1],\"right_children\":[4,-1,-1,-1,-1],"
                 "\"split_indices\":[1,2147483647,2147483647,0,0],"
                 "\"split_conditions\":[1E0,5E0,6E0,1E1,2E1],\"default_left\":[0,1,1,0,0]}"});
    CHECK_DOUBLE(MARGIN(text, 0.0, 0.0), 10.0);
    struct px_forest *forest = load(text);
    CHECK(forest);
    CHECK_INT(px_forest_info(forest)->n_nodes, 3);
    CHECK_INT(px_forest_info(forest)->n_leaves, 2);
    px_forest_destroy(forest);
}

PX_TEST(the_base_comes_last_up_to_1_2)
{
    /* 1e8 + 1 - 1e8 in floats: 0 when the base 1e8 comes first, 1 when the trees do. */
    struct xgb m = {.base_score = "1E8",
                    .num_trees = "2",
                    .tree_info = "[0,0]",
                    .trees = STUMP_AS("0", "0", "1E0", "0", "1E0",
                                      "0E0") "," STUMP_AS("1", "0", "1E0", "0", "-1E8", "0E0")};
    CHECK_DOUBLE(MARGIN(xgb_text(m), 0.0), 0.0);
    m.version = "[1,2,0]";
    volatile float trees = 1.0F + -1e8F;
    CHECK_DOUBLE(MARGIN(xgb_text(m), 0.0), (double)(trees + 1e8F));
}

PX_TEST(a_snapshot_is_read_through_its_model)
{
    static char text[MODEL_MAX];
    snprintf(text, sizeof text,
             "{\"Config\":{\"learner\":{\"x\":[1,{\"trees\":[]}]}},\"Model\":%s}",
             xgb_text((struct xgb){0}));
    CHECK_DOUBLE(MARGIN(text, 0.0), 10.0);
}

PX_TEST(a_newer_version_gets_a_warning)
{
    struct px_forest *forest = load(xgb_text((struct xgb){.version = "[4,0,0]"}));
    CHECK(forest);
    CHECK_INT(px_forest_info(forest)->n_warnings, 1);
    CHECK_CONTAINS(px_forest_info(forest)->warnings[0].ptr, "newer than 3.4");
    px_forest_destroy(forest);
}

PX_TEST(names_and_labels_and_categories_are_reported)
{
    struct px_forest *forest = load(xgb_text((struct xgb){
        .objective = "{\"name\":\"binary:logistic\"}",
        .base_score = "5E-1",
        .extra = ",\"feature_names\":[\"age\",\"gr\\u00fcn\"],\"feature_types\":[\"float\",\"c\"],"
                 "\"attributes\":{\"scikit_learn\":\"{\\\"n_classes_\\\":2,\\\"classes_\\\":"
                 "[\\\"no\\\",\\\"yes\\\"]}\"}",
        .model_extra = ",\"cats\":{\"enc\":[{\"offsets\":[],\"values\":[]},"
                       "{\"offsets\":[0,2,5],\"values\":[103,114,-61,-68,110]}],"
                       "\"feature_segments\":[0,0,2],\"sorted_idx\":[0,1]}"}));
    CHECK(forest);
    const struct px_forest_info *info = px_forest_info(forest);
    CHECK_STR(info->feature_names[0], "age");
    CHECK_STR(info->feature_names[1], "grün");
    CHECK(info->categorical[1] && !info->categorical[0]);
    CHECK_INT(info->n_classes, 2);
    CHECK_STR(info->class_labels[1], "yes");
    size_t n;
    const struct px_str *names = px_forest_categories(forest, 1, &n);
    CHECK_INT(n, 2);
    CHECK_STR(names[0], "gr");
    CHECK_STR(names[1], "ün");
    CHECK(!px_forest_categories(forest, 0, &n));
    px_forest_destroy(forest);
}

PX_TEST(whole_number_categories_are_reported_as_text)
{
    struct px_forest *forest = load(xgb_text(
        (struct xgb){.model_extra = ",\"cats\":{\"enc\":[{\"type\":15,\"values\":[10,-20]},"
                                    "{\"offsets\":[0],\"values\":[]}]}"}));
    CHECK(forest);
    size_t n;
    const struct px_str *names = px_forest_categories(forest, 0, &n);
    CHECK_INT(n, 2);
    CHECK_STR(names[1], "-20");
    px_forest_destroy(forest);
}

PX_TEST(leaves_are_numbered_in_file_order)
{
    struct px_forest *forest = load(xgb_text((struct xgb){0}));
    float data[4] = {0.0F, 0.0F, 5.0F, 0.0F};
    struct px_matrix rows = {PX_TYPE_FP32, data, 2, 2, 2};
    uint32_t leaves[2];
    CHECK(forest);
    px_forest_leaves(forest, &rows, leaves);
    CHECK_INT(leaves[0], 0);
    CHECK_INT(leaves[1], 1);
    px_forest_destroy(forest);
}

// clang-format off
PX_TEST_MAIN(
    T(a_value_on_the_threshold_goes_right)
    T(a_double_is_rounded_to_float_before_it_is_compared)
    T(zeros_infinities_and_denormals_compare_as_numbers)
    T(a_missing_value_takes_the_default_side)
    T(default_left_of_the_first_versions_is_boolean)
    T(base_score_goes_through_the_link_of_the_objective)
    T(base_score_of_other_objectives_is_a_margin_already)
    T(logitraw_was_linked_up_to_1_2)
    T(a_probability_of_zero_or_one_is_clamped_since_3_2_and_refused_before)
    T(a_vector_of_base_scores_has_one_for_each_output)
    T(a_single_base_score_is_used_for_every_output_once)
    T(softmax_returns_the_first_of_the_best_classes)
    T(softprob_sums_to_one)
    T(tree_info_says_the_class_not_the_number_of_the_tree)
    T(a_category_of_the_set_goes_right)
    T(what_is_no_category_goes_left_even_when_missing_goes_right)
    T(a_categorical_feature_is_reported)
    T(dropout_weights_are_found_in_each_of_their_three_places)
    T(a_product_with_a_dropout_weight_is_rounded_before_it_is_added)
    T(vector_leaves_are_rows_of_base_weights_up_to_3_1_and_of_leaf_weights_since)
    T(leaf_values_are_split_conditions_not_base_weights)
    T(an_early_stopped_model_scores_all_rounds_or_the_best)
    T(rounds_of_old_files_are_counted_from_parallel_trees_and_groups)
    T(quantiles_are_sorted_since_3_4_only)
    T(expectiles_are_cumulative)
    T(hinge_is_a_step_and_logitraw_stays_raw)
    T(the_sigmoid_guards_against_overflow_since_1_6)
    T(a_margin_that_is_no_number_has_no_probability)
    T(deleted_nodes_are_passed_over)
    T(the_base_comes_last_up_to_1_2)
    T(a_snapshot_is_read_through_its_model)
    T(a_newer_version_gets_a_warning)
    T(names_and_labels_and_categories_are_reported)
    T(whole_number_categories_are_reported_as_text)
    T(leaves_are_numbered_in_file_order)
)
