/* SPDX-License-Identifier: Apache-2.0 */
/* Ways in which a reader of ONNX tree ensembles is wrong without noticing. */
#include "harness.h"

#include "onnx_models.h"

#include <float.h>

#define CHECK_ABOUT(got, want) CHECK(fabs((got) - (want)) < 1e-6)

/* Two trees that answer 10 and 1, or 20 and 2; `...` are more attributes. */
#define TWO_TREES(...)                                                                             \
    {                                                                                              \
        .nodes = {{                                                                                \
            .op = "TreeEnsembleRegressor",                                                         \
            .in = "X",                                                                             \
            .out = "Y",                                                                            \
            .attributes = {{"nodes_treeids", "ints", "0 0 0 1 1 1"},                               \
                           {"nodes_nodeids", "ints", "0 1 2 0 1 2"},                               \
                           {"nodes_featureids", "ints", "0 0 0 0 0 0"},                            \
                           {"nodes_modes", "strings",                                              \
                            "BRANCH_LEQ LEAF LEAF BRANCH_LEQ LEAF LEAF"},                          \
                           {"nodes_values", "floats", "1 0 0 1 0 0"},                              \
                           {"nodes_truenodeids", "ints", "1 0 0 1 0 0"},                           \
                           {"nodes_falsenodeids", "ints", "2 0 0 2 0 0"},                          \
                           TARGETS("0 0 1 1", "1 2 1 2", "0 0 0 0", "10 20 1 2"),                  \
                           __VA_ARGS__},                                                           \
        }},                                                                                        \
    }

PX_TEST(children_are_ids_and_not_positions)
{
    /* The root has id 7, its leaves 5 (at position 2) and 3 (at position 1). */
    const struct onnx m = {
        .nodes = {{.op = "TreeEnsembleRegressor",
                   .in = "X",
                   .out = "Y",
                   .attributes = {{"nodes_treeids", "ints", "4 4 4"},
                                  {"nodes_nodeids", "ints", "7 3 5"},
                                  {"nodes_featureids", "ints", "0 0 0"},
                                  {"nodes_modes", "strings", "BRANCH_LEQ LEAF LEAF"},
                                  {"nodes_values", "floats", "1 0 0"},
                                  {"nodes_truenodeids", "ints", "5 0 0"},
                                  {"nodes_falsenodeids", "ints", "3 0 0"},
                                  TARGETS("4 4", "3 5", "0 0", "20 10")}}}};
    CHECK_DOUBLE(ONNX_SCORE(m, 1.0), 10.0);
    CHECK_DOUBLE(ONNX_SCORE(m, 2.0), 20.0);
}

PX_TEST(the_doubles_of_tensor_attributes_are_used)
{
    const struct onnx m = {
        .element = 11,
        .nodes = {{.op = "TreeEnsembleRegressor",
                   .in = "X",
                   .out = "Y",
                   .attributes = {{"nodes_treeids", "ints", "0 0 0"},
                                  {"nodes_nodeids", "ints", "0 1 2"},
                                  {"nodes_featureids", "ints", "0 0 0"},
                                  {"nodes_modes", "strings", "BRANCH_LEQ LEAF LEAF"},
                                  {"nodes_values_as_tensor", "f64", "0.1 0 0"},
                                  {"nodes_truenodeids", "ints", "1 0 0"},
                                  {"nodes_falsenodeids", "ints", "2 0 0"},
                                  {"target_treeids", "ints", "0 0"},
                                  {"target_nodeids", "ints", "1 2"},
                                  {"target_ids", "ints", "0 0"},
                                  {"target_weights_as_tensor", "f64", "0.7 0.2"}}}}};
    CHECK_DOUBLE(ONNX_SCORE(m, 0.1), (double)0.7F); /* the result is a float */
    CHECK_DOUBLE(ONNX_SCORE(m, nextafter(0.1, 1.0)), (double)0.2F);
}

PX_TEST(tensors_of_another_type_than_the_input_are_refused)
{
    const struct onnx m = {.nodes = {{.op = "TreeEnsembleRegressor",
                                      .in = "X",
                                      .out = "Y",
                                      .attributes = {{"nodes_treeids", "ints", "0"},
                                                     {"nodes_nodeids", "ints", "0"},
                                                     {"nodes_featureids", "ints", "0"},
                                                     {"nodes_modes", "strings", "LEAF"},
                                                     {"nodes_truenodeids", "ints", "0"},
                                                     {"nodes_falsenodeids", "ints", "0"},
                                                     {"nodes_values_as_tensor", "f64", "0.1"}}}}};
    CHECK_ONNX_REFUSED(m, PX_E_UNSUPPORTED, "type double, but the ensemble's input is float");
}

PX_TEST(integers_may_be_packed_or_not)
{
    const struct onnx m = {
        .nodes = {{.op = "TreeEnsembleRegressor",
                   .in = "X",
                   .out = "Y",
                   .attributes = {{"nodes_treeids", "packed", "0 0 0"},
                                  {"nodes_nodeids", "packed", "0 1 300"},
                                  {"nodes_featureids", "packed", "1 0 0"},
                                  {"nodes_modes", "strings", "BRANCH_LEQ LEAF LEAF"},
                                  {"nodes_values", "floats", "1 0 0"},
                                  {"nodes_truenodeids", "packed", "1 0 0"},
                                  {"nodes_falsenodeids", "ints", "300 0 0"},
                                  TARGETS("0 0", "1 300", "0 0", "10 20")}}}};
    CHECK_DOUBLE(ONNX_SCORE(m, 0.0, 1.0), 10.0);
    CHECK_DOUBLE(ONNX_SCORE(m, 0.0, 2.0), 20.0);
}

PX_TEST(one_target_is_not_transformed_but_by_probit)
{
    static const char *const ignored[] = {"SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"};
    for (size_t i = 0; i < PX_ARRAY_LEN(ignored); i++) {
        const struct onnx m = TWO_TREES({"post_transform", "string", ignored[i]});
        CHECK_DOUBLE(ONNX_SCORE(m, 0.0), 11.0);
        CHECK_CONTAINS(onnx_warning(&m), "is ignored, as ONNX Runtime does");
    }
    const struct onnx probit = {
        .nodes = {{.op = "TreeEnsembleRegressor",
                   .in = "X",
                   .out = "Y",
                   .attributes = {STUMP_NODES("BRANCH_LEQ", "1", "0"),
                                  TARGETS("0 0", "1 2", "0 0", "0.3 0.5"),
                                  {"post_transform", "string", "PROBIT"}}}}};
    CHECK_ABOUT(ONNX_SCORE(probit, 0.0), -0.5244459);
}

PX_TEST(several_targets_are_transformed)
{
    const struct onnx m = {
        .nodes = {{.op = "TreeEnsembleRegressor",
                   .in = "X",
                   .out = "Y",
                   .attributes = {STUMP_NODES("BRANCH_LEQ", "1", "0"),
                                  TARGETS("0 0 0 0", "1 1 2 2", "0 1 0 1", "0.7 0.2 0 0"),
                                  {"n_targets", "int", "2"},
                                  {"post_transform", "string", "SOFTMAX"}}}}};
    struct scores s = onnx_score(&m, ROW(0.0), 0);
    CHECK_INT(s.n, 2);
    CHECK_ABOUT(s.of[0], 0.622459352);
    CHECK_ABOUT(s.of[1], 0.377540678);
}

/* Two classes: one tree with `weights` of its two leaves, all for class `id`. */
#define TWO_CLASSES(id, weights, ...)                                                              \
    {                                                                                              \
        .outputs = "L P",                                                                          \
        .nodes = {{                                                                                \
            .op = "TreeEnsembleClassifier",                                                        \
            .in = "X",                                                                             \
            .out = "L P",                                                                          \
            .attributes = {STUMP_NODES("BRANCH_LEQ", "1", "0"),                                    \
                           CLASSES("0 0", "1 2", id " " id, weights),                              \
                           {"classlabels_int64s", "ints", "10 20"},                                \
                           __VA_ARGS__},                                                           \
        }},                                                                                        \
    }

static void check_pair(const struct onnx *m, double x, double negative, double positive)
{
    struct scores s = onnx_score(m, ROW(x), 0);
    CHECK_INT(s.n, 2);
    CHECK_ABOUT(s.of[0], negative);
    CHECK_ABOUT(s.of[1], positive);
}

PX_TEST(two_classes_with_votes_for_one_have_four_meanings)
{
    const struct onnx shares = TWO_CLASSES("0", "0.7 0.3", {0});
    check_pair(&shares, 0.0, 0.3, 0.7);
    const struct onnx mixed = TWO_CLASSES("0", "0.6 -0.2", {0});
    check_pair(&mixed, 0.0, -0.6, 0.6);
    check_pair(&mixed, 2.0, 0.2, -0.2);
    const struct onnx logistic =
        TWO_CLASSES("0", "0.6 -0.2", {"post_transform", "string", "LOGISTIC"});
    check_pair(&logistic, 0.0, 0.354343712, 0.645656288);
    check_pair(&logistic, 2.0, 0.549833993, 0.450166007);
    const struct onnx positive =
        TWO_CLASSES("0", "0.2 0.7", {"post_transform", "string", "LOGISTIC"});
    check_pair(&positive, 0.0, 0.450166046, 0.549833953);
    CHECK_CONTAINS(onnx_warning(&positive), "labels by sum > 0.5");
    CHECK_STR(px_str(onnx_warning(&logistic)), "");
}

PX_TEST(one_base_value_of_two_classes_is_added_to_the_sum)
{
    const struct onnx m = TWO_CLASSES("0", "0.6 -0.2", {"base_values", "floats", "0.5"},
                                      {"post_transform", "string", "LOGISTIC"});
    check_pair(&m, 2.0, 0.425557494, 0.574442506);
}

PX_TEST(votes_for_the_second_class_alone_leave_the_first_at_nothing)
{
    const struct onnx m = TWO_CLASSES("1", "0.7 -0.2", {"post_transform", "string", "LOGISTIC"});
    check_pair(&m, 0.0, 0.5, 0.668187738);
    CHECK_CONTAINS(onnx_warning(&m), "here the label is that of the greater score");
}

PX_TEST(base_values_of_two_classes_without_a_meaning_are_refused)
{
    const struct onnx two = TWO_CLASSES("0", "0.7 -0.2", {"base_values", "floats", "0.1 0.2"});
    CHECK_ONNX_REFUSED(two, PX_E_UNSUPPORTED, "have no agreed meaning");
    const struct onnx one = TWO_CLASSES("1", "0.7 -0.2", {"base_values", "floats", "0.1"});
    CHECK_ONNX_REFUSED(one, PX_E_UNSUPPORTED, "have no agreed meaning");
    const struct onnx softmax =
        TWO_CLASSES("0", "0.7 -0.2", {"post_transform", "string", "SOFTMAX"});
    CHECK_ONNX_REFUSED(softmax, PX_E_UNSUPPORTED, "votes for one of them and SOFTMAX");
}

PX_TEST(labels_are_those_of_the_file)
{
    const struct onnx m = TWO_CLASSES("0", "0.7 0.3", {0});
    struct px_forest *forest = onnx_load(&m, NULL);
    const struct px_forest_info *info = px_forest_info(forest);
    CHECK_INT(info->n_classes, 2);
    CHECK_STR(info->class_labels[0], "10");
    CHECK_STR(info->class_labels[1], "20");
    CHECK(info->score_is_probability);
    px_forest_destroy(forest);
}

PX_TEST(a_zipmap_changes_no_score)
{
    struct onnx m = TWO_CLASSES("0", "0.7 0.3", {0});
    m.nodes[1] = (struct onnx_node){
        .op = "Cast", .in = "L", .out = "label", .attributes = {{"to", "int", "7"}}};
    m.nodes[2] = (struct onnx_node){.op = "ZipMap",
                                    .in = "P",
                                    .out = "maps",
                                    .attributes = {{"classlabels_int64s", "ints", "10 20"}}};
    m.outputs = "label maps";
    check_pair(&m, 0.0, 0.3, 0.7);
}

/* TreeEnsemble of version 5: a stump on feature 0, its leaves for the targets 0 and 1. */
#define VERSION_5(mode, split, ...)                                                                \
    {                                                                                              \
        .nodes = {{                                                                                \
            .op = "TreeEnsemble",                                                                  \
            .in = "X",                                                                             \
            .out = "Y",                                                                            \
            .attributes = {{"tree_roots", "ints", "0"},                                            \
                           {"nodes_featureids", "ints", "0"},                                      \
                           {"nodes_modes", "u8", mode},                                            \
                           {"nodes_splits", "f32", split},                                         \
                           {"nodes_truenodeids", "ints", "0"},                                     \
                           {"nodes_trueleafs", "ints", "1"},                                       \
                           {"nodes_falsenodeids", "ints", "1"},                                    \
                           {"nodes_falseleafs", "ints", "1"},                                      \
                           {"leaf_weights", "f32", "0.3 0.7"},                                     \
                           __VA_ARGS__},                                                           \
        }},                                                                                        \
    }
#define ONE_TARGET                                                                                 \
    {"leaf_targetids", "ints", "0 0"},                                                             \
    {                                                                                              \
        "n_targets", "int", "1"                                                                    \
    }
#define TWO_TARGETS                                                                                \
    {"leaf_targetids", "ints", "0 1"},                                                             \
    {                                                                                              \
        "n_targets", "int", "2"                                                                    \
    }

PX_TEST(transforms_of_version_5_have_the_standards_numbers)
{
    const struct onnx softmax = VERSION_5("0", "1", TWO_TARGETS, {"post_transform", "int", "1"});
    check_pair(&softmax, 0.0, 0.574442517, 0.425557483);
    CHECK_CONTAINS(onnx_warning(&softmax), "mixes up SOFTMAX and LOGISTIC");
    const struct onnx logistic = VERSION_5("0", "1", TWO_TARGETS, {"post_transform", "int", "2"});
    check_pair(&logistic, 0.0, 0.574442517, 0.5);
}

PX_TEST(modes_of_version_5_have_the_standards_numbers)
{
    static const struct {
        const char *mode;
        bool below, on, above;
    } cases[] = {{"0", 1, 1, 0}, {"1", 1, 0, 0}, {"2", 0, 1, 1},
                 {"3", 0, 0, 1}, {"4", 0, 1, 0}, {"5", 1, 0, 1}};
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        const struct onnx m = VERSION_5(cases[i].mode, "1", ONE_TARGET);
        CHECK_ABOUT(ONNX_SCORE(m, 0.5), cases[i].below ? 0.3 : 0.7);
        CHECK_ABOUT(ONNX_SCORE(m, 1.0), cases[i].on ? 0.3 : 0.7);
        CHECK_ABOUT(ONNX_SCORE(m, 2.0), cases[i].above ? 0.3 : 0.7);
    }
}

PX_TEST(missing_values_take_the_stated_side)
{
    static const char *const modes[] = {"0", "1", "2", "3", "4"};
    for (size_t i = 0; i < PX_ARRAY_LEN(modes); i++) {
        const struct onnx no = VERSION_5(modes[i], "1", ONE_TARGET);
        CHECK_ABOUT(ONNX_SCORE(no, (double)NAN), 0.7);
        const struct onnx yes =
            VERSION_5(modes[i], "1", ONE_TARGET, {"nodes_missing_value_tracks_true", "ints", "1"});
        CHECK_ABOUT(ONNX_SCORE(yes, (double)NAN), 0.3);
    }
}

PX_TEST(a_missing_value_is_not_equal_whatever_is_stated)
{
    const struct onnx m =
        VERSION_5("5", "1", ONE_TARGET, {"nodes_missing_value_tracks_true", "ints", "0"});
    CHECK_ABOUT(ONNX_SCORE(m, (double)NAN), 0.3);
    const struct onnx old = {.nodes = {REGRESSOR_AS("X", "BRANCH_NEQ", "1", "0", "10 20")}};
    CHECK_DOUBLE(ONNX_SCORE(old, (double)NAN), 10.0);
}

PX_TEST(the_base_is_added_after_the_aggregate)
{
    static const struct {
        const char *function;
        double score;
    } cases[] = {{"SUM", 111.0}, {"AVERAGE", 105.5}, {"MIN", 101.0}, {"MAX", 110.0}};
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        const struct onnx m = TWO_TREES({"aggregate_function", "string", cases[i].function},
                                        {"base_values", "floats", "100"});
        CHECK_DOUBLE(ONNX_SCORE(m, 0.0), cases[i].score);
    }
}

PX_TEST(several_votes_of_a_leaf_all_count)
{
    const struct onnx m = {
        .nodes = {{.op = "TreeEnsembleRegressor",
                   .in = "X",
                   .out = "Y",
                   .attributes = {STUMP_NODES("BRANCH_LEQ", "1", "0"),
                                  TARGETS("0 0 0", "1 1 2", "0 0 0", "10 5 20")}}}};
    CHECK_DOUBLE(ONNX_SCORE(m, 0.0), 15.0);
    CHECK_CONTAINS(onnx_warning(&m), "counts the first alone");
}

PX_TEST(votes_of_inner_nodes_count_for_nothing)
{
    const struct onnx m = {
        .nodes = {{.op = "TreeEnsembleRegressor",
                   .in = "X",
                   .out = "Y",
                   .attributes = {STUMP_NODES("BRANCH_LEQ", "1", "0"),
                                  TARGETS("0 0 0", "0 1 2", "0 0 0", "1000 10 20")}}}};
    CHECK_DOUBLE(ONNX_SCORE(m, 0.0), 10.0);
}

PX_TEST(members_stand_in_the_order_of_the_nodes_and_not_of_the_walk)
{
    /* The root is node 1; node 0 is its true child. The first list is that of node 0. */
    const struct onnx m = {
        .nodes = {{.op = "TreeEnsemble",
                   .in = "X",
                   .out = "Y",
                   .attributes = {{"tree_roots", "ints", "1"},
                                  {"nodes_featureids", "ints", "1 0"},
                                  {"nodes_modes", "u8", "6 6"},
                                  {"nodes_splits", "f32", "0 0"},
                                  {"membership_values", "f32", "5 6 nan 1 2 nan"},
                                  {"nodes_truenodeids", "ints", "0 0"},
                                  {"nodes_trueleafs", "ints", "1 0"},
                                  {"nodes_falsenodeids", "ints", "1 2"},
                                  {"nodes_falseleafs", "ints", "1 1"},
                                  {"leaf_weights", "f32", "10 20 30"},
                                  {"leaf_targetids", "ints", "0 0 0"},
                                  {"n_targets", "int", "1"}}}}};
    CHECK_DOUBLE(ONNX_SCORE(m, 1.0, 5.0), 10.0);
    CHECK_DOUBLE(ONNX_SCORE(m, 2.0, 1.0), 20.0);
    CHECK_DOUBLE(ONNX_SCORE(m, 5.0, 5.0), 30.0);
    CHECK_DOUBLE(ONNX_SCORE(m, 1.5, 5.0), 30.0);
    CHECK_DOUBLE(ONNX_SCORE(m, (double)NAN, 5.0), 30.0);
}

PX_TEST(an_empty_list_of_members_is_never_hit)
{
    const struct onnx m = VERSION_5("6", "0", ONE_TARGET, {"membership_values", "f32", "nan"});
    CHECK_ABOUT(ONNX_SCORE(m, 0.0), 0.7);
    CHECK_ABOUT(ONNX_SCORE(m, (double)NAN), 0.7);
}

PX_TEST(a_typical_row_has_a_member_of_a_list)
{
    const struct onnx m = {.nodes = {REGRESSOR_AS("X", "BRANCH_EQ", "3", "0", "10 20")}};
    struct px_forest *forest = onnx_load(&m, NULL);
    float values[2] = {0};
    struct px_matrix row = {PX_TYPE_FP32, values, 1, 2, 2};
    px_forest_typical_row(forest, &row);
    CHECK_DOUBLE((double)values[0], 3.0);
    px_forest_destroy(forest);
}

PX_TEST(a_tree_of_one_leaf_has_no_question)
{
    const struct onnx m = {.nodes = {{.op = "TreeEnsemble",
                                      .in = "X",
                                      .out = "Y",
                                      .attributes = {{"tree_roots", "ints", "0"},
                                                     {"nodes_featureids", "ints", "0"},
                                                     {"nodes_modes", "u8", "0"},
                                                     {"nodes_splits", "f32", "0"},
                                                     {"nodes_truenodeids", "ints", "0"},
                                                     {"nodes_trueleafs", "ints", "1"},
                                                     {"nodes_falsenodeids", "ints", "0"},
                                                     {"nodes_falseleafs", "ints", "1"},
                                                     {"leaf_weights", "f32", "10"},
                                                     {"leaf_targetids", "ints", "0"},
                                                     {"n_targets", "int", "1"}}}}};
    CHECK_DOUBLE(ONNX_SCORE(m, 1.0), 10.0);
    CHECK_DOUBLE(ONNX_SCORE(m, (double)NAN), 10.0);
}

PX_TEST(a_chain_of_equals_that_share_a_child_is_a_set)
{
    const struct onnx m = {.nodes = {{.op = "TreeEnsembleRegressor",
                                      .in = "X",
                                      .out = "Y",
                                      .attributes = {{"nodes_treeids", "ints", "0 0 0 0 0"},
                                                     {"nodes_nodeids", "ints", "0 1 2 3 4"},
                                                     {"nodes_featureids", "ints", "0 0 0 0 0"},
                                                     {"nodes_modes", "strings",
                                                      "BRANCH_EQ BRANCH_EQ BRANCH_EQ LEAF LEAF"},
                                                     {"nodes_values", "floats", "3 7 9 0 0"},
                                                     {"nodes_truenodeids", "ints", "3 3 3 0 0"},
                                                     {"nodes_falsenodeids", "ints", "1 2 4 0 0"},
                                                     TARGETS("0 0", "3 4", "0 0", "10 20")}}}};
    static const double hits[] = {3, 7, 9}, others[] = {0, 1, 4, 8, 3.5, -3};
    for (size_t i = 0; i < PX_ARRAY_LEN(hits); i++)
        CHECK_DOUBLE(ONNX_SCORE(m, hits[i]), 10.0);
    for (size_t i = 0; i < PX_ARRAY_LEN(others); i++)
        CHECK_DOUBLE(ONNX_SCORE(m, others[i]), 20.0);
    CHECK_DOUBLE(ONNX_SCORE(m, (double)NAN), 20.0);
}

PX_TEST(doubles_are_rounded_before_floats_are_compared)
{
    /* A cast in the graph: requests bring floats, as the rows of XGBoost. */
    const struct onnx m = {
        .element = 11,
        .nodes = {{.op = "Cast", .in = "X", .out = "rounded", .attributes = {{"to", "int", "1"}}},
                  REGRESSOR_AS("rounded", "BRANCH_LEQ", "0.1", "0", "10 20")}};
    struct px_forest *forest = onnx_load(&m, NULL);
    CHECK_INT(px_forest_info(forest)->feature_type, PX_TYPE_FP32);
    px_forest_destroy(forest);
    CHECK_DOUBLE(ONNX_SCORE(m, 0.1), 10.0); /* as a double, 0.1 is below 0.1F */
}

PX_TEST(a_float_that_becomes_a_double_stays_rounded)
{
    const struct onnx m = {
        .nodes = {{.op = "Cast", .in = "X", .out = "wide", .attributes = {{"to", "int", "11"}}},
                  REGRESSOR_AS("wide", "BRANCH_LEQ", "0.1", "0", "10 20")}};
    struct px_forest *forest = onnx_load(&m, NULL);
    CHECK_INT(px_forest_info(forest)->feature_type, PX_TYPE_FP64);
    px_forest_destroy(forest);
    double above = ((double)0.1F + (double)nextafterf(0.1F, 1.0F)) / 2;
    CHECK_DOUBLE(ONNX_SCORE(m, nextafter(above, 0.0)), 10.0); /* rounds to 0.1F */
    CHECK_DOUBLE(ONNX_SCORE(m, nextafter(above, 1.0)), 20.0);
}

PX_TEST(a_scaled_feature_is_compared_as_the_graph_computes_it)
{
    const struct onnx m = {
        .nodes = {{.op = "Scaler",
                   .in = "X",
                   .out = "scaled",
                   .attributes = {{"offset", "floats", "0.3 0"}, {"scale", "floats", "1.7 1"}}},
                  REGRESSOR_AS("scaled", "BRANCH_LEQ", "0.77", "0", "10 20")}};
    float x = 0.77F / 1.7F + 0.3F;
    for (int i = 0; i < 20; i++)
        x = nextafterf(x, -1.0F);
    for (int i = 0; i < 40; i++, x = nextafterf(x, 2.0F)) {
        volatile float centred = x - 0.3F, scaled = centred * 1.7F;
        CHECK_DOUBLE(ONNX_SCORE(m, (double)x), scaled <= 0.77F ? 10.0 : 20.0);
    }
    CHECK_DOUBLE(ONNX_SCORE(m, (double)NAN), 20.0);
    CHECK_DOUBLE(ONNX_SCORE(m, -(double)INFINITY), 10.0);
}

PX_TEST(a_negative_factor_turns_the_question_round)
{
    static const char *const modes[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"};
    for (size_t i = 0; i < PX_ARRAY_LEN(modes); i++) {
        struct onnx m = {.nodes = {{.op = "Mul", .in = "X minus", .out = "turned"},
                                   {.op = "TreeEnsembleRegressor",
                                    .in = "turned",
                                    .out = "Y",
                                    .attributes = {STUMP_NODES("MODE", "3", "1"),
                                                   TARGETS("0 0", "1 2", "0 0", "10 20")}}},
                         .constants = {{"minus", "f32", "-2"}}};
        char text[40];
        snprintf(text, sizeof text, "%s LEAF LEAF", modes[i]);
        m.nodes[1].attributes[3].values = text;
        bool low = i < 2, equal = i == 0 || i == 2;
        CHECK_DOUBLE(ONNX_SCORE(m, -1.6), low ? 20.0 : 10.0); /* 3.2 */
        CHECK_DOUBLE(ONNX_SCORE(m, -1.5), equal ? 10.0 : 20.0);
        CHECK_DOUBLE(ONNX_SCORE(m, -1.4), low ? 10.0 : 20.0);
        CHECK_DOUBLE(ONNX_SCORE(m, (double)NAN), 10.0);
    }
}

PX_TEST(an_imputer_decides_where_missing_values_go)
{
    const struct onnx m = {.nodes = {{.op = "Imputer",
                                      .in = "X",
                                      .out = "full",
                                      .attributes = {{"imputed_value_floats", "floats", "0.5 9"},
                                                     {"replaced_value_float", "float", "nan"}}},
                                     REGRESSOR_AS("full", "BRANCH_LEQ", "1", "0", "10 20")}};
    CHECK_DOUBLE(ONNX_SCORE(m, (double)NAN), 10.0);
    CHECK_DOUBLE(ONNX_SCORE(m, 2.0), 20.0);
}

PX_TEST(columns_may_be_picked_in_another_order)
{
    const struct onnx m = {.nodes = {{.op = "Gather",
                                      .in = "X order",
                                      .out = "picked",
                                      .attributes = {{"axis", "int", "1"}}},
                                     REGRESSOR_AS("picked", "BRANCH_LEQ", "1", "0", "10 20")},
                           .constants = {{"order", "i64", "1 0"}}};
    CHECK_DOUBLE(ONNX_SCORE(m, 0.0, 5.0), 20.0);
    CHECK_DOUBLE(ONNX_SCORE(m, 5.0, 0.0), 10.0);
}

PX_TEST(steps_behind_the_trees_are_done)
{
    struct onnx m = TWO_TREES({0});
    m.nodes[1] = (struct onnx_node){.op = "Exp", .in = "Y", .out = "power"};
    m.nodes[2] = (struct onnx_node){.op = "Mul", .in = "power half", .out = "Z"};
    m.constants[0] = (struct onnx_attribute){"half", "f32", "0.5"};
    m.outputs = "Z";
    CHECK_DOUBLE(ONNX_SCORE(m, 0.0), (double)(expf(11.0F) * 0.5F));
    CHECK_DOUBLE(onnx_score(&m, ROW(0.0), PX_FOREST_MARGIN).of[0], 11.0);
}

PX_TEST(sums_of_ensembles_are_one_sum)
{
    struct onnx m = TWO_TREES({"base_values", "floats", "100"});
    m.nodes[1] = m.nodes[0];
    m.nodes[1].out = "Z";
    m.nodes[2] = (struct onnx_node){.op = "Add", .in = "Y Z", .out = "both"};
    m.outputs = "both";
    CHECK_DOUBLE(ONNX_SCORE(m, 0.0), 222.0);
}

/* Score = depth of the leaf by a table, label = score < 2 ? -1 : 1: an isolation forest in small. */
static const struct onnx isolation = {
    .nodes = {REGRESSOR_AS("X", "BRANCH_LEQ", "1", "0", "5 8"),
              {.op = "Cast", .in = "Y", .out = "leaf", .attributes = {{"to", "int", "7"}}},
              {.op = "LabelEncoder",
               .in = "leaf",
               .out = "depth",
               .attributes = {{"keys_int64s", "ints", "8 5"}, {"values_floats", "floats", "3 1"}}},
              {.op = "Less", .in = "depth two", .out = "odd"},
              {.op = "Cast", .in = "odd", .out = "number", .attributes = {{"to", "int", "7"}}},
              {.op = "Mul", .in = "number factor", .out = "scaled"},
              {.op = "Add", .in = "scaled one", .out = "label"}},
    .constants = {{"two", "f32", "2"}, {"factor", "i64", "-2"}, {"one", "i64", "1"}},
    .outputs = "label depth",
};

PX_TEST(a_function_of_the_leaf_is_computed_for_every_leaf)
{
    struct onnx m = isolation;
    m.nodes[3].op = NULL;
    m.outputs = "depth";
    CHECK_DOUBLE(ONNX_SCORE(m, 0.0), 1.0);
    CHECK_DOUBLE(ONNX_SCORE(m, 2.0), 3.0);
}

PX_TEST(a_leaf_that_is_no_number_is_in_no_table)
{
    const struct onnx m = {
        .nodes = {REGRESSOR_AS("X", "BRANCH_LEQ", "1", "0", "-5 2"),
                  {.op = "Log", .in = "Y", .out = "logarithm"},
                  {.op = "LabelEncoder",
                   .in = "logarithm",
                   .out = "coded",
                   .attributes = {{"keys_floats", "floats", "0.6931472 1 2"},
                                  {"values_floats", "floats", "10 20 30"},
                                  {"default_float", "float", "-7"}}}},
        .outputs = "coded",
    };
    CHECK_DOUBLE(ONNX_SCORE(m, 0.0), -7.0);
    CHECK_DOUBLE(ONNX_SCORE(m, 2.0), 10.0);
}

PX_TEST(a_compared_score_makes_two_classes)
{
    struct onnx m = TWO_TREES({0});
    for (size_t i = 3; i < 7; i++)
        m.nodes[i - 2] = isolation.nodes[i];
    m.nodes[1].in = "Y two";
    memcpy(m.constants, isolation.constants, sizeof m.constants);
    m.constants[0].values = "11.0";
    m.outputs = "label Y";
    struct px_forest *forest = onnx_load(&m, NULL);
    const struct px_forest_info *info = px_forest_info(forest);
    CHECK_INT(info->n_classes, 2);
    CHECK_STR(info->class_labels[0], "-1");
    CHECK_STR(info->class_labels[1], "1");
    CHECK(11.0 > info->decision_threshold); /* 11 is not less than 11: an ordinary row */
    CHECK(!((double)nextafterf(11.0F, 0.0F) > info->decision_threshold));
    px_forest_destroy(forest);
}

PX_TEST(an_open_number_of_features_is_that_of_the_trees)
{
    struct onnx m = {.nodes = {REGRESSOR_AS("X", "BRANCH_LEQ", "1", "0", "10 20")}, .features = -1};
    m.nodes[0].attributes[2].values = "4 0 0";
    struct px_forest *forest = onnx_load(&m, NULL);
    CHECK_INT(px_forest_info(forest)->n_features, 5);
    px_forest_destroy(forest);
    CHECK_CONTAINS(onnx_warning(&m), "does not say how many features");
}

PX_TEST(a_long_name_is_cut_between_characters)
{
    /* 201 bytes each, of which byte 200 is the first half of a character */
    static char inputs[512], name[202] = "a";
    for (size_t i = 1; i < 201; i += 2)
        memcpy(name + i, "\xC3\xA9", 2);
    snprintf(inputs, sizeof inputs, "%s X", name);
    const struct onnx m = {.nodes = {{.op = "Concat",
                                      .in = inputs,
                                      .out = "both",
                                      .attributes = {{"axis", "int", "1"}}},
                                     REGRESSOR_AS("both", "BRANCH_LEQ", "1", "0", "10 20")},
                           .inputs = inputs,
                           .features = 1};
    struct px_forest *forest = onnx_load(&m, NULL);
    CHECK(forest != NULL);
    struct px_str got = px_forest_info(forest)->feature_names[0];
    CHECK_INT(got.len, 199);
    CHECK(px_str_is_utf8(got));
    CHECK_STR(px_forest_info(forest)->feature_names[1], "X");
    px_forest_destroy(forest);
}

// clang-format off
PX_TEST_MAIN(
    T(children_are_ids_and_not_positions)
    T(the_doubles_of_tensor_attributes_are_used)
    T(tensors_of_another_type_than_the_input_are_refused)
    T(integers_may_be_packed_or_not)
    T(one_target_is_not_transformed_but_by_probit)
    T(several_targets_are_transformed)
    T(two_classes_with_votes_for_one_have_four_meanings)
    T(one_base_value_of_two_classes_is_added_to_the_sum)
    T(votes_for_the_second_class_alone_leave_the_first_at_nothing)
    T(base_values_of_two_classes_without_a_meaning_are_refused)
    T(labels_are_those_of_the_file)
    T(a_zipmap_changes_no_score)
    T(transforms_of_version_5_have_the_standards_numbers)
    T(modes_of_version_5_have_the_standards_numbers)
    T(missing_values_take_the_stated_side)
    T(a_missing_value_is_not_equal_whatever_is_stated)
    T(the_base_is_added_after_the_aggregate)
    T(several_votes_of_a_leaf_all_count)
    T(votes_of_inner_nodes_count_for_nothing)
    T(members_stand_in_the_order_of_the_nodes_and_not_of_the_walk)
    T(an_empty_list_of_members_is_never_hit)
    T(a_typical_row_has_a_member_of_a_list)
    T(a_tree_of_one_leaf_has_no_question)
    T(a_chain_of_equals_that_share_a_child_is_a_set)
    T(doubles_are_rounded_before_floats_are_compared)
    T(a_float_that_becomes_a_double_stays_rounded)
    T(a_scaled_feature_is_compared_as_the_graph_computes_it)
    T(a_negative_factor_turns_the_question_round)
    T(an_imputer_decides_where_missing_values_go)
    T(columns_may_be_picked_in_another_order)
    T(steps_behind_the_trees_are_done)
    T(sums_of_ensembles_are_one_sum)
    T(a_function_of_the_leaf_is_computed_for_every_leaf)
    T(a_leaf_that_is_no_number_is_in_no_table)
    T(a_compared_score_makes_two_classes)
    T(an_open_number_of_features_is_that_of_the_trees)
    T(a_long_name_is_cut_between_characters)
)
