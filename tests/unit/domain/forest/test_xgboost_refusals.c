/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost files that must be refused, with the place and the reason in the message. */
#include "harness.h"

#include "forest_models.h"

/* A tree of three nodes whose arrays are given. */
#define ARRAYS(left, right, feature, threshold, rest)                                              \
    "{\"id\":0,\"tree_param\":{\"num_nodes\":\"3\"},\"left_children\":[" left                      \
    "],\"right_children\":[" right "],\"split_indices\":[" feature                                 \
    "],\"split_conditions\":[" threshold "],\"default_left\":[0,0,0]" rest "}"

static const char *with_tree(const char *tree)
{
    return xgb_text((struct xgb){.trees = tree});
}

PX_TEST(a_cycle)
{
    CHECK_REFUSED(with_tree(ARRAYS("1,0,-1", "2,1,-1", "0,0,0", "1,1,1", "")), PX_E_CORRUPT,
                  "tree 0, node 1: child 0 already has a parent or is the root");
}

PX_TEST(a_shared_child)
{
    const char *tree =
        "{\"id\":0,\"tree_param\":{\"num_nodes\":\"5\"},\"left_children\":[1,3,3,-1,-1],"
        "\"right_children\":[2,4,4,-1,-1],\"split_indices\":[0,0,0,0,0],"
        "\"split_conditions\":[1,1,1,1,1],\"default_left\":[0,0,0,0,0]}";
    CHECK_REFUSED(with_tree(tree), PX_E_CORRUPT, "tree 0, node 2: child 3 already has a parent");
}

PX_TEST(a_child_outside_the_tree)
{
    CHECK_REFUSED(with_tree(ARRAYS("7,-1,-1", "8,-1,-1", "0,0,0", "1,1,1", "")), PX_E_CORRUPT,
                  "tree 0, node 0: child 7 is outside the tree of 3 nodes");
    CHECK_REFUSED(with_tree(ARRAYS("-2,-1,-1", "-1,-1,-1", "0,0,0", "1,1,1", "")), PX_E_CORRUPT,
                  "tree 0, node 0: child -2 is outside");
    CHECK_REFUSED(with_tree(ARRAYS("9223372036854775807,-1,-1", "-9223372036854775808,-1,-1",
                                   "0,0,0", "1,1,1", "")),
                  PX_E_CORRUPT, "tree 0, node 0: child 9223372036854775807 is outside");
}

PX_TEST(children_that_are_no_neighbours)
{
    CHECK_REFUSED(with_tree(ARRAYS("2,-1,-1", "1,-1,-1", "0,0,0", "1,1,1", "")), PX_E_CORRUPT,
                  "tree 0, node 0: its children 2 and 1 are not neighbours");
}

PX_TEST(a_feature_that_the_model_does_not_have)
{
    CHECK_REFUSED(with_tree(ARRAYS("1,-1,-1", "2,-1,-1", "2,0,0", "1,1,1", "")), PX_E_CORRUPT,
                  "tree 0, node 0: splits on feature 2, but the model has 2 features");
    CHECK_REFUSED(with_tree(ARRAYS("1,-1,-1", "2,-1,-1", "-3,0,0", "1,1,1", "")), PX_E_CORRUPT,
                  "tree 0, node 0: splits on a feature whose index is negative");
}

PX_TEST(thresholds_and_leaves_that_are_nan)
{
    CHECK_REFUSED(with_tree(ARRAYS("1,-1,-1", "2,-1,-1", "0,0,0", "NaN,1,1", "")), PX_E_CORRUPT,
                  "tree 0, node 0: the threshold is NaN");
    CHECK_REFUSED(with_tree(ARRAYS("1,-1,-1", "2,-1,-1", "0,0,0", "1,1,NaN", "")), PX_E_CORRUPT,
                  "tree 0, node 2: the leaf value is NaN");
}

PX_TEST(infinite_leaves_get_a_warning)
{
    struct px_forest *forest =
        load(with_tree(ARRAYS("1,-1,-1", "2,-1,-1", "0,0,0", "1,1,-Infinity", "")));
    CHECK(forest);
    CHECK_INT(px_forest_info(forest)->n_warnings, 1);
    px_forest_destroy(forest);
}

PX_TEST(arrays_of_different_lengths)
{
    CHECK_REFUSED(with_tree(ARRAYS("1,-1", "2,-1,-1", "0,0,0", "1,1,1", "")), PX_E_CORRUPT,
                  "tree 0: num_nodes is 3, but left_children has 2 elements");
    CHECK_REFUSED(with_tree(ARRAYS("1,-1,-1", "2,-1,-1", "0,0", "1,1,1", "")), PX_E_CORRUPT,
                  "tree 0: split_indices has 2 elements, but the tree has 3 nodes");
    CHECK_REFUSED(with_tree(ARRAYS("1,-1,-1", "2,-1,-1", "0,0,0", "1,1,1", ",\"split_type\":[1]")),
                  PX_E_CORRUPT, "tree 0: split_type has 1 elements");
}

PX_TEST(a_tree_in_the_wrong_place)
{
    CHECK_REFUSED(with_tree(STUMP_AS("5", "0", "1", "0", "1", "1")), PX_E_CORRUPT,
                  "tree 0: its id is 5");
}

#define CATEGORIES(categories, nodes, starts, sizes)                                               \
    ARRAYS("1,-1,-1", "2,-1,-1", "0,0,0", "NaN,1,1",                                               \
           ",\"split_type\":[1,0,0],\"categories\":[" categories "],\"categories_nodes\":[" nodes  \
           "],\"categories_segments\":[" starts "],\"categories_sizes\":[" sizes "]")

PX_TEST(inconsistent_categories)
{
    CHECK_REFUSED(with_tree(CATEGORIES("1,2", "0", "1", "2")), PX_E_CORRUPT,
                  "tree 0, node 0: its categories [1, +2) are not inside the list of 2");
    CHECK_REFUSED(with_tree(CATEGORIES("1,2", "0", "9223372036854775807", "9223372036854775807")),
                  PX_E_CORRUPT, "are not inside the list");
    CHECK_REFUSED(with_tree(CATEGORIES("1,2", "0", "0", "0")), PX_E_CORRUPT, "[0, +0)");
    CHECK_REFUSED(with_tree(CATEGORIES("1,2", "3", "0", "1")), PX_E_CORRUPT,
                  "tree 0: categories_nodes names node 3 of 3");
    CHECK_REFUSED(with_tree(CATEGORIES("1,2", "0,0", "0,1", "1,1")), PX_E_CORRUPT,
                  "tree 0, node 0: two sets of categories");
    CHECK_REFUSED(with_tree(CATEGORIES("1,2", "0", "0,1", "1,1")), PX_E_CORRUPT,
                  "differ in length");
    CHECK_REFUSED(with_tree(CATEGORIES("16777216", "0", "0", "1")), PX_E_CORRUPT,
                  "tree 0, node 0: category 16777216 is not in [0, 2^24)");
    CHECK_REFUSED(with_tree(CATEGORIES("-1", "0", "0", "1")), PX_E_CORRUPT, "category -1");
    CHECK_REFUSED(with_tree(CATEGORIES("", "", "", "")), PX_E_CORRUPT,
                  "tree 0, node 0: a categorical split without categories");
}

PX_TEST(a_few_bytes_cannot_ask_for_gigabytes_of_sets)
{
    /* 2,000 trees with a set from 0 to 2^24 - 1: 4 GB as bits, 600 KB as text. */
    static char trees[1 << 20], text[1 << 21];
    size_t at = 0;
    for (int i = 0; i < 2000; i++)
        at += (size_t)snprintf(
            trees + at, sizeof trees - at,
            "%s{\"id\":%d,\"tree_param\":{\"num_nodes\":\"3\"},\"left_children\":[1,-1,-1],"
            "\"right_children\":[2,-1,-1],\"split_indices\":[0,0,0],\"split_conditions\":[1,1,1],"
            "\"default_left\":[0,0,0],\"split_type\":[1,0,0],\"categories\":[0,16777215],"
            "\"categories_nodes\":[0],\"categories_segments\":[0],\"categories_sizes\":[2]}",
            i ? "," : "", i);
    snprintf(
        text, sizeof text,
        "{\"version\":[3,2,0],\"learner\":{\"gradient_booster\":{\"name\":\"gbtree\",\"model\":"
        "{\"trees\":[%s]}}}}",
        trees);
    CHECK_REFUSED(text, PX_E_TOO_LARGE, "sets of categories need more than");
}

PX_TEST(counts_that_contradict_the_trees)
{
    CHECK_REFUSED(xgb_text((struct xgb){.num_trees = "2"}), PX_E_CORRUPT,
                  "num_trees is 2, but there are 1 trees");
    CHECK_REFUSED(xgb_text((struct xgb){.tree_info = "[0,0]"}), PX_E_CORRUPT,
                  "tree_info has 2 elements for 1 trees");
    CHECK_REFUSED(xgb_text((struct xgb){.tree_info = "[1]"}), PX_E_CORRUPT,
                  "tree 0: tree_info says output 1, but the model has 1");
    CHECK_REFUSED(xgb_text((struct xgb){.model_extra = ",\"weight_drop\":[1,1]"}), PX_E_CORRUPT,
                  "weight_drop has 2 elements for 1 trees");
    CHECK_REFUSED(xgb_text((struct xgb){.model_extra = ",\"weight_drop\":[Infinity]"}),
                  PX_E_CORRUPT, "weight_drop of tree 0 is not finite");
    CHECK_REFUSED(xgb_text((struct xgb){.model_extra = ",\"iteration_indptr\":[0,2]"}),
                  PX_E_CORRUPT, "iteration_indptr ends at 2, but there are 1 trees");
    CHECK_REFUSED(xgb_text((struct xgb){.model_extra = ",\"iteration_indptr\":[0,2,1]"}),
                  PX_E_CORRUPT, "iteration_indptr[2] is 1");
    CHECK_REFUSED(xgb_text((struct xgb){.model_extra = ",\"iteration_indptr\":[1]"}), PX_E_CORRUPT,
                  "iteration_indptr[0] is 1");
}

PX_TEST(a_leaf_vector_that_does_not_fit)
{
    const char *tree = "{\"id\":0,\"tree_param\":{\"num_nodes\":\"1\",\"size_leaf_vector\":\"2\"},"
                       "\"left_children\":[-1],\"right_children\":[5],\"split_indices\":[0],"
                       "\"split_conditions\":[0],\"default_left\":[0],\"leaf_weights\":[1,2]}";
    CHECK_REFUSED(xgb_text((struct xgb){.trees = tree, .num_target = "2", .base_score = "[0,0]"}),
                  PX_E_CORRUPT, "tree 0, node 0: leaf value 5 is outside the table of 1");
    tree = "{\"id\":0,\"tree_param\":{\"num_nodes\":\"1\",\"size_leaf_vector\":\"2\"},"
           "\"left_children\":[-1],\"right_children\":[0],\"split_indices\":[0],"
           "\"split_conditions\":[0],\"default_left\":[0],\"leaf_weights\":[1,2,3]}";
    CHECK_REFUSED(xgb_text((struct xgb){.trees = tree, .num_target = "2"}), PX_E_CORRUPT,
                  "tree 0: leaf_weights has 3 elements");
    tree = "{\"id\":0,\"tree_param\":{\"num_nodes\":\"1\",\"size_leaf_vector\":\"2\"},"
           "\"left_children\":[-1],\"right_children\":[0],\"split_indices\":[0],"
           "\"split_conditions\":[0],\"default_left\":[0],\"leaf_weights\":[1,2]}";
    CHECK_REFUSED(xgb_text((struct xgb){.trees = tree}), PX_E_CORRUPT,
                  "tree 0 has leaves of 2 values, but the model has 1 outputs");
}

/* Two leaves that share one row of values: with long rows, a way to ask for memory without bytes. */
PX_TEST(more_leaves_than_rows_of_values)
{
#define VECTOR_STUMP(rows, values)                                                                 \
    "{\"id\":0,\"tree_param\":{\"num_nodes\":\"3\",\"size_leaf_vector\":\"2\"},"                   \
    "\"left_children\":[1,-1,-1],\"right_children\":[2," rows "],\"split_indices\":[0,0,0],"       \
    "\"split_conditions\":[0,0,0],\"default_left\":[0,0,0],\"leaf_weights\":[" values "]}"
    struct xgb model = {.num_target = "2", .trees = VECTOR_STUMP("0,0", "1,2")};
    CHECK_REFUSED(xgb_text(model), PX_E_CORRUPT,
                  "tree 0: more leaves than the 1 rows of leaf values");
    model.trees = VECTOR_STUMP("1,0", "1,2,3,4");
    CHECK_DOUBLE(score_row(xgb_text(model), ROW(-1.0), 0).of[1], 4.0);
}

PX_TEST(sizes_beyond_the_limits)
{
    CHECK_REFUSED(xgb_text((struct xgb){.num_feature = "1048577"}), PX_E_TOO_LARGE,
                  "the model declares 1048577 features; the limit is 1048576");
    CHECK_REFUSED(xgb_text((struct xgb){.num_feature = "0"}), PX_E_CORRUPT, "declares no features");
    CHECK_REFUSED(xgb_text((struct xgb){.num_feature = "-1"}), PX_E_CORRUPT, "may be negative");
    CHECK_REFUSED(xgb_text((struct xgb){.num_class = "65537"}), PX_E_TOO_LARGE,
                  "declares 65537 outputs");
    CHECK_REFUSED(xgb_text((struct xgb){.num_class = "3", .num_target = "2"}), PX_E_CORRUPT,
                  "both num_class (3) and num_target (2) exceed 1");
    CHECK_REFUSED(xgb_text((struct xgb){.num_feature = "x"}), PX_E_CORRUPT, "expected an integer");
    CHECK_REFUSED(xgb_text((struct xgb){.trees = "", .num_trees = "0", .tree_info = "[]"}),
                  PX_E_CORRUPT, "the model has no trees");
}

PX_TEST(default_left_is_a_flag)
{
    CHECK_REFUSED(with_tree("{\"id\":0,\"tree_param\":{\"num_nodes\":\"3\"},"
                            "\"left_children\":[1,-1,-1],\"right_children\":[2,-1,-1],"
                            "\"split_indices\":[0,0,0],\"split_conditions\":[1,1,1],"
                            "\"default_left\":[4,0,0]}"),
                  PX_E_CORRUPT, "tree 0, node 0: default_left is 4");
}

PX_TEST(base_scores_that_make_no_sense)
{
    char absent[MODEL_MAX];
    snprintf(absent, sizeof absent, "%s", xgb_text((struct xgb){0}));
    *strstr(absent, "base_score") = 'c';
    CHECK_REFUSED(absent, PX_E_CORRUPT, "learner_model_param has no base_score");
    CHECK_REFUSED(xgb_text((struct xgb){.base_score = "[1,2]"}), PX_E_CORRUPT,
                  "another number of values than 1 or one for each of the 1 outputs");
    CHECK_REFUSED(xgb_text((struct xgb){.base_score = "NaN"}), PX_E_CORRUPT,
                  "base_score: 'NaN' is no finite number");
    CHECK_REFUSED(xgb_text((struct xgb){.base_score = ""}), PX_E_CORRUPT, "base_score");
    CHECK_REFUSED(xgb_text((struct xgb){.base_score = "[5E-1x"}), PX_E_CORRUPT,
                  "base_score: '[5E-1x' is no finite number");
    CHECK_REFUSED(xgb_text((struct xgb){.base_score = "[5E-1)"}), PX_E_CORRUPT, "no finite number");
    CHECK_REFUSED(xgb_text((struct xgb){.base_score = "5E-1]"}), PX_E_CORRUPT, "no finite number");
    CHECK_REFUSED(xgb_text((struct xgb){.base_score = "["}), PX_E_CORRUPT, "no finite number");
    CHECK_REFUSED(xgb_text((struct xgb){.base_score = "[]"}), PX_E_CORRUPT, "base_score");
    CHECK_REFUSED(xgb_text((struct xgb){.base_score = "1e99"}), PX_E_CORRUPT, "no finite number");
    CHECK_REFUSED(
        xgb_text((struct xgb){.base_score = "-1E0", .objective = "{\"name\":\"count:poisson\"}"}),
        PX_E_CORRUPT, "needs a positive one");
}

PX_TEST(objectives_and_boosters_by_name)
{
    CHECK_REFUSED(xgb_text((struct xgb){.objective = "{\"name\":\"reg:squareerror\"}"}),
                  PX_E_UNSUPPORTED,
                  "'reg:squareerror' is not supported (the nearest supported one "
                  "is 'reg:squarederror')");
    CHECK_REFUSED(xgb_text((struct xgb){.objective = "{\"name\":\"my:own\"}"}), PX_E_UNSUPPORTED,
                  "objective 'my:own' is not supported");
    CHECK_REFUSED(xgb_text((struct xgb){.booster = "{\"name\":\"gblinear\",\"model\":{\"weights\":"
                                                   "[1,2,3],\"boosted_rounds\":3}}"}),
                  PX_E_UNSUPPORTED, "booster 'gblinear' is not supported");
    CHECK_REFUSED(xgb_text((struct xgb){.booster = "{\"name\":\"gbother\"}"}), PX_E_UNSUPPORTED,
                  "booster 'gbother'");
    CHECK_REFUSED(xgb_text((struct xgb){.booster = "{\"name\":\"gbtree\",\"model\":{}}"}),
                  PX_E_CORRUPT, "no 'trees'");
    CHECK_REFUSED(xgb_text((struct xgb){.objective = "{\"name\":\"multi:softprob\"}"}),
                  PX_E_CORRUPT, "objective 'multi:softprob' with num_class 0");
}

PX_TEST(names_that_do_not_match_the_features)
{
    CHECK_REFUSED(xgb_text((struct xgb){.extra = ",\"feature_names\":[\"a\"]"}), PX_E_CORRUPT,
                  "feature_names has 1 elements for 2 features");
    CHECK_REFUSED(xgb_text((struct xgb){.extra = ",\"feature_types\":[\"a\",\"b\",\"c\"]"}),
                  PX_E_CORRUPT, "feature_types has 3 elements for 2 features");
    CHECK_REFUSED(xgb_text((struct xgb){.model_extra = ",\"cats\":{\"enc\":[{\"offsets\":[0,9],"
                                                       "\"values\":[1]},{}]}"}),
                  PX_E_CORRUPT, "cats, feature 0: offsets do not ascend within the values");
}

PX_TEST(broken_json_has_a_place)
{
    CHECK_REFUSED("{\"learner\":{\"gradient_booster\":{\"model\":{\"trees\":[{\"id\":x",
                  PX_E_CORRUPT, "tree 0: JSON line 1 column");
    CHECK_REFUSED("{\"learner\":{}} x", PX_E_CORRUPT, "JSON line 1 column 16");
    CHECK_REFUSED("{\"learner\":{}}", PX_E_UNSUPPORTED, "booster '' is not supported");
    CHECK_REFUSED("{\"learner\":[1]}", PX_E_CORRUPT, "JSON line 1");
}

PX_TEST(every_truncation_is_refused)
{
    const char *text = xgb_text((struct xgb){0});
    for (size_t n = 0; n < strlen(text); n++) {
        enum px_code code;
        const char *message = refusal_n(text, n, &code);
        CHECK(code != PX_OK && message[0]);
    }
}

// clang-format off
PX_TEST_MAIN(
    T(a_cycle)
    T(a_shared_child)
    T(a_child_outside_the_tree)
    T(children_that_are_no_neighbours)
    T(a_feature_that_the_model_does_not_have)
    T(thresholds_and_leaves_that_are_nan)
    T(infinite_leaves_get_a_warning)
    T(arrays_of_different_lengths)
    T(a_tree_in_the_wrong_place)
    T(inconsistent_categories)
    T(a_few_bytes_cannot_ask_for_gigabytes_of_sets)
    T(counts_that_contradict_the_trees)
    T(a_leaf_vector_that_does_not_fit)
    T(more_leaves_than_rows_of_values)
    T(sizes_beyond_the_limits)
    T(base_scores_that_make_no_sense) T(default_left_is_a_flag)
    T(objectives_and_boosters_by_name)
    T(names_that_do_not_match_the_features)
    T(broken_json_has_a_place)
    T(every_truncation_is_refused)
)
