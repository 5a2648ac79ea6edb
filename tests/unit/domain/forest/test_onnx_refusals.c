/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX files that must be refused, by name and with their place, and memory that runs out. */
#include "harness.h"

#include "onnx_models.h"

#define STUMP_MODEL                                                                                \
    {                                                                                              \
        .nodes = { REGRESSOR_AS("X", "BRANCH_LEQ", "1", "0", "10 20") }                            \
    }

/* A stump after a node `op` with the attributes `...`; c is a constant. */
#define BEFORE(op_, in_, constant, ...)                                                            \
    {                                                                                              \
        .nodes = {{.op = op_, .in = in_, .out = "before", .attributes = {__VA_ARGS__}},            \
                  REGRESSOR_AS("before", "BRANCH_LEQ", "1", "0", "10 20")},                        \
        .constants = {constant},                                                                   \
    }
#define C(type, values)                                                                            \
    {                                                                                              \
        "c", type, values                                                                          \
    }

PX_TEST(a_node_of_something_else_is_refused_by_its_name)
{
    struct onnx m = STUMP_MODEL;
    m.nodes[1] = (struct onnx_node){.op = "Gemm", .in = "Y Y", .out = "Z", .name = "MatMul_3"};
    m.outputs = "Z";
    CHECK_ONNX_REFUSED(
        m, PX_E_UNSUPPORTED,
        "the graph has a node \"Gemm\" (MatMul_3) that is no part of a tree ensemble");
    CHECK_ONNX_REFUSED(m, PX_E_UNSUPPORTED, "served are graphs of tree ensembles");
    const struct onnx none = {.nodes = {{.op = "Identity", .in = "X", .out = "Y"}}};
    CHECK_ONNX_REFUSED(none, PX_E_UNSUPPORTED, "the graph has no tree ensemble");
}

PX_TEST(what_is_not_exact_before_the_trees_is_refused)
{
    const struct onnx normaliser = BEFORE("Normalizer", "X", C("f32", "1"), {0});
    CHECK_ONNX_REFUSED(normaliser, PX_E_UNSUPPORTED, "node \"Normalizer\"");
    const struct onnx scale = BEFORE("Scaler", "X", C("f32", "1"), {"scale", "floats", "1 0"});
    CHECK_ONNX_REFUSED(scale, PX_E_UNSUPPORTED, "multiplies columns by 0");
    const struct onnx zero =
        BEFORE("Imputer", "X", C("f32", "1"), {"imputed_value_floats", "floats", "1"},
               {"replaced_value_float", "float", "0"});
    CHECK_ONNX_REFUSED(zero, PX_E_UNSUPPORTED, "replaces a number, where only NaN");
    const struct onnx two = BEFORE("Add", "X c", C("f32", "1 2 3"), {0});
    CHECK_ONNX_REFUSED(two, PX_E_UNSUPPORTED, "numbers that do not fit the columns");
    const struct onnx product = BEFORE("Mul", "X X", C("f32", "1"), {0});
    CHECK_ONNX_REFUSED(product, PX_E_UNSUPPORTED, "node \"Mul\"");
    const struct onnx shape = BEFORE("Reshape", "X c", C("i64", "-1 1"), {0});
    CHECK_ONNX_REFUSED(shape, PX_E_UNSUPPORTED, "changes the shape of the rows");
    const struct onnx whole = BEFORE("Cast", "X", C("f32", "1"), {"to", "int", "7"});
    CHECK_ONNX_REFUSED(whole, PX_E_UNSUPPORTED, "loses what they are");
    const struct onnx far = {.nodes = {{.op = "Gather",
                                        .in = "X c",
                                        .out = "before",
                                        .attributes = {{"axis", "int", "1"}}},
                                       REGRESSOR_AS("before", "BRANCH_LEQ", "1", "0", "1 2")},
                             .constants = {C("i64", "0 7")}};
    CHECK_ONNX_REFUSED(far, PX_E_UNSUPPORTED, "picks a column that is not there");
}

PX_TEST(equality_of_a_computed_number_is_refused)
{
    const struct onnx m = {.nodes = {{.op = "Add", .in = "X c", .out = "before"},
                                     REGRESSOR_AS("before", "BRANCH_EQ", "1", "0", "10 20")},
                           .constants = {C("f32", "1")}};
    CHECK_ONNX_REFUSED(m, PX_E_UNSUPPORTED, "feature 0 is computed with and then compared");
}

PX_TEST(doubles_that_are_computed_and_rounded_are_refused)
{
    const struct onnx m = {
        .element = 11,
        .nodes = {{.op = "Add", .in = "X c", .out = "sum"},
                  {.op = "Cast", .in = "sum", .out = "before", .attributes = {{"to", "int", "1"}}},
                  REGRESSOR_AS("before", "BRANCH_LEQ", "1", "0", "10 20")},
        .constants = {C("f64", "1")}};
    CHECK_ONNX_REFUSED(m, PX_E_UNSUPPORTED, "computed in double and then rounded to float");
}

PX_TEST(texts_as_inputs_are_refused)
{
    struct onnx m = STUMP_MODEL;
    m.element = 8;
    CHECK_ONNX_REFUSED(m, PX_E_UNSUPPORTED, "input 'X' of the graph is a tensor of type string");
}

/* The stump with one attribute replaced. */
static struct onnx stump_with(const char *name, const char *type, const char *values)
{
    struct onnx m = STUMP_MODEL;
    size_t i = 0;
    while (m.nodes[0].attributes[i].name && strcmp(m.nodes[0].attributes[i].name, name) != 0)
        i++;
    m.nodes[0].attributes[i] = (struct onnx_attribute){name, type, values};
    return m;
}

PX_TEST(broken_trees_are_refused_with_their_place)
{
    static const struct {
        const char *name, *type, *values, *part;
        enum px_code code;
    } cases[] = {
        {"nodes_truenodeids", "ints", "7 0 0", "node 0: its child 7 is not in the tree",
         PX_E_CORRUPT},
        {"nodes_truenodeids", "ints", "0 0 0", "already has a parent or is the root", PX_E_CORRUPT},
        {"nodes_truenodeids", "ints", "2 0 0", "already has a parent", PX_E_CORRUPT},
        {"nodes_truenodeids", "ints", "1 0", "nodes_truenodeids has 2 elements, expected 3",
         PX_E_CORRUPT},
        {"nodes_nodeids", "ints", "0 1 1", "this id is there twice", PX_E_CORRUPT},
        {"nodes_featureids", "ints", "9 0 0", "splits on feature 9, but its input has 2",
         PX_E_CORRUPT},
        {"nodes_featureids", "ints", "-1 0 0", "negative or too large", PX_E_CORRUPT},
        {"nodes_modes", "strings", "BRANCH_XOR LEAF LEAF", "mode 'BRANCH_XOR'", PX_E_UNSUPPORTED},
        {"nodes_values", "floats", "nan 0 0", "the threshold is NaN", PX_E_CORRUPT},
        {"nodes_treeids", "ints", "0 1 0", "do not stand together", PX_E_UNSUPPORTED},
        {"target_nodeids", "ints", "1 9", "vote 1 is of node 9 in tree 0", PX_E_CORRUPT},
        {"target_ids", "ints", "0 3", "vote 1 is for target 3, but there are 1", PX_E_CORRUPT},
        {"target_weights", "floats", "nan 1", "the leaf value is NaN", PX_E_CORRUPT},
        {"target_weights", "floats", "1", "target_weights has 1 elements", PX_E_CORRUPT},
        {"post_transform", "string", "CUBE", "post_transform is 'CUBE'", PX_E_UNSUPPORTED},
        {"aggregate_function", "string", "MEDIAN", "'MEDIAN'", PX_E_UNSUPPORTED},
        {"base_values", "floats", "1 2", "base_values has 2 elements", PX_E_CORRUPT},
        {"base_values", "floats", "inf", "base value 0 is inf", PX_E_CORRUPT},
        {"n_targets", "int", "0", "n_targets is 0", PX_E_CORRUPT},
        {"n_targets", "int", "70000", "expected 1 to 65536", PX_E_TOO_LARGE},
        {"nodes_colours", "ints", "1", "attribute 'nodes_colours' is not known", PX_E_UNSUPPORTED},
        {"n_targets", "string", "1", "no value of the type that is expected", PX_E_CORRUPT},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct onnx m = stump_with(cases[i].name, cases[i].type, cases[i].values);
        CHECK_ONNX_REFUSED(m, cases[i].code, cases[i].part);
    }
}

PX_TEST(broken_trees_of_version_5_are_refused_with_their_place)
{
    static const struct {
        const char *name, *type, *values, *part;
    } cases[] = {
        {"nodes_truenodeids", "ints", "9 0", "leaf 9 is outside the list of 3"},
        {"nodes_falsenodeids", "ints", "0 2", "node 0 already has a parent or is a root"},
        {"nodes_falsenodeids", "ints", "7 2", "node 7 is outside the list of nodes"},
        {"nodes_modes", "u8", "0 9", "mode 9 is not known here"},
        {"nodes_modes", "u8i32", "0 9", "mode 9 is not known here"},
        {"nodes_modes", "u8i32", "0 -1", "a tensor of type uint8 has the value -1"},
        {"nodes_modes", "u8i32", "0 256", "a tensor of type uint8 has the value 256"},
        {"nodes_modes", "u8f32", "0 -1", "a tensor of type uint8 has data of another type"},
        {"nodes_modes", "u8", "0", "nodes_modes has 1 elements, expected 2"},
        {"nodes_splits", "f64", "0 0", "nodes_splits is a tensor of type double, expected float"},
        {"leaf_targetids", "ints", "0 0 4", "leaf 2 is for target 4, but there are 1"},
        {"membership_values", "f32", "1 2", "has 2 values too many"},
        {"nodes_modes", "u8", "0 6", "membership_values end before the list of node 1"},
        {"tree_roots", "ints", "0 1", "node 1 already has a parent"},
        {"post_transform", "int", "9", "post_transform 9"},
    };
    const struct onnx good = {.nodes = {{.op = "TreeEnsemble",
                                         .in = "X",
                                         .out = "Y",
                                         .attributes = {{"tree_roots", "ints", "0"},
                                                        {"nodes_featureids", "ints", "0 1"},
                                                        {"nodes_modes", "u8", "0 0"},
                                                        {"nodes_splits", "f32", "1 2"},
                                                        {"nodes_truenodeids", "ints", "0 1"},
                                                        {"nodes_trueleafs", "ints", "1 1"},
                                                        {"nodes_falsenodeids", "ints", "1 2"},
                                                        {"nodes_falseleafs", "ints", "0 1"},
                                                        {"leaf_weights", "f32", "1 2 3"},
                                                        {"leaf_targetids", "ints", "0 0 0"},
                                                        {"n_targets", "int", "1"}}}}};
    CHECK_DOUBLE(ONNX_SCORE(good, 5.0, 5.0), 3.0);
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct onnx m = good;
        size_t at = 0;
        while (m.nodes[0].attributes[at].name &&
               strcmp(m.nodes[0].attributes[at].name, cases[i].name) != 0)
            at++;
        m.nodes[0].attributes[at] =
            (struct onnx_attribute){cases[i].name, cases[i].type, cases[i].values};
        enum px_code code;
        struct px_str bytes = onnx_bytes(&m);
        CHECK_CONTAINS(refusal_n(bytes.ptr, bytes.len, &code), cases[i].part);
    }
}

/* A regressor of two stumps with the output Y. */
#define TWO_TREES                                                                                  \
    {                                                                                              \
        .op = "TreeEnsembleRegressor", .in = "X", .out = "Y", .attributes = {                      \
            {"nodes_treeids", "ints", "0 0 0 1 1 1"},                                              \
            {"nodes_nodeids", "ints", "0 1 2 0 1 2"},                                              \
            {"nodes_featureids", "ints", "0 0 0 1 0 0"},                                           \
            {"nodes_modes", "strings", "BRANCH_LEQ LEAF LEAF BRANCH_LEQ LEAF LEAF"},               \
            {"nodes_values", "floats", "1 0 0 2 0 0"},                                             \
            {"nodes_truenodeids", "ints", "1 0 0 1 0 0"},                                          \
            {"nodes_falsenodeids", "ints", "2 0 0 2 0 0"},                                         \
            TARGETS("0 0 1 1", "1 2 1 2", "0 0 0 0", "10 20 1 2")                                  \
        }                                                                                          \
    }

PX_TEST(a_sum_that_is_added_to_itself_does_not_double_the_trees)
{
    struct onnx m = {.nodes = {TWO_TREES, {.op = "Add", .in = "Y Y", .out = "Z"}}, .outputs = "Z"};
    CHECK_ONNX_REFUSED(m, PX_E_UNSUPPORTED, "node \"Add\"");
    CHECK_ONNX_REFUSED(m, PX_E_UNSUPPORTED, "adds the trees of one ensemble twice");
    struct onnx_node other = TWO_TREES;
    other.out = "Y2";
    m.nodes[1] = other;
    m.nodes[2] = (struct onnx_node){.op = "Add", .in = "Y Y2", .out = "a"};
    m.nodes[3] = (struct onnx_node){.op = "Sum", .in = "Y2 a", .out = "Z"};
    CHECK_ONNX_REFUSED(m, PX_E_UNSUPPORTED, "adds the trees of one ensemble twice");
    m.nodes[3] =
        (struct onnx_node){.op = "Add", .in = "Y2 Y", .out = "Z"}; /* a second sum of both */
    CHECK_DOUBLE(ONNX_SCORE(m, 5.0, 5.0), 44.0);
}

PX_TEST(a_tree_of_two_terms_is_not_doubled_either)
{
    /* One tree is a table: its double is a table too. As a term beside others it counts once. */
    struct onnx m = STUMP_MODEL;
    struct onnx_node other = TWO_TREES;
    other.out = "B";
    m.nodes[1] = other;
    m.nodes[2] = (struct onnx_node){.op = "Add", .in = "B Y", .out = "a"};
    m.nodes[3] = (struct onnx_node){.op = "Add", .in = "a Y", .out = "Z"};
    m.outputs = "Z";
    CHECK_ONNX_REFUSED(m, PX_E_UNSUPPORTED, "adds the trees of one ensemble twice");
    m.nodes[2] = (struct onnx_node){.op = "Add", .in = "Y Y", .out = "a"};
    m.nodes[3] = (struct onnx_node){.op = "Add", .in = "a B", .out = "Z"};
    CHECK_DOUBLE(ONNX_SCORE(m, 5.0, 5.0), 62.0);
}

PX_TEST(min_and_max_need_a_vote_from_every_row)
{
    struct onnx m = stump_with("n_targets", "int", "2");
    for (size_t i = 0; m.nodes[0].attributes[i].name; i++) {
        if (strcmp(m.nodes[0].attributes[i].name, "target_ids") == 0)
            m.nodes[0].attributes[i].values = "0 1";
        if (!m.nodes[0].attributes[i + 1].name) {
            m.nodes[0].attributes[i + 1] =
                (struct onnx_attribute){"aggregate_function", "string", "MIN"};
            break;
        }
    }
    CHECK_ONNX_REFUSED(m, PX_E_UNSUPPORTED, "not every row reaches a leaf with a vote for target");
}

PX_TEST(two_values_of_one_name_and_unknown_inputs_are_refused)
{
    struct onnx m = STUMP_MODEL;
    m.nodes[1] = (struct onnx_node){.op = "Identity", .in = "Y", .out = "Y"};
    CHECK_ONNX_REFUSED(m, PX_E_CORRUPT, "two values with the name 'Y'");
    m.nodes[1] = (struct onnx_node){.op = "Identity", .in = "nobody", .out = "Z"};
    CHECK_ONNX_REFUSED(m, PX_E_CORRUPT, "input 'nobody' no node before it makes");
    m = (struct onnx)STUMP_MODEL;
    m.outputs = "Q";
    CHECK_ONNX_REFUSED(m, PX_E_CORRUPT, "makes its output 'Q'");
    m.outputs = "X";
    CHECK_ONNX_REFUSED(m, PX_E_UNSUPPORTED, "output 'X' of the graph is no result");
}

PX_TEST(every_truncation_is_refused)
{
    const struct onnx m = STUMP_MODEL;
    struct px_str bytes = onnx_bytes(&m);
    for (size_t n = 0; n + 16 < bytes.len; n++) { /* the last 16 bytes are the opset */
        enum px_code code;
        refusal_n(bytes.ptr, n, &code);
        CHECK(code == PX_E_CORRUPT || code == PX_E_UNSUPPORTED);
    }
}

static void append(char *list, const char *word)
{
    memcpy(list + strlen(list), word, strlen(word) + 1);
}

PX_TEST(a_file_that_claims_a_table_of_many_targets_is_refused)
{
    /* 65,536 targets, and a tree whose leaves vote for two of them: a row of the table each. */
    static char ids[1 << 12], nodes[1 << 12], trees[1 << 12], weights[1 << 12];
    static char n[1 << 12], modes[1 << 14], yes[1 << 12], no[1 << 12], zeros[1 << 12];
    struct onnx m = STUMP_MODEL;
    size_t leaves = 64;
    for (size_t i = 0; i < 2 * leaves - 1; i++) {
        bool leaf = i % 2 == 1 || i == 2 * leaves - 2;
        char number[16];
        snprintf(number, sizeof number, " %zu", i);
        append(n, number);
        append(modes, leaf ? " LEAF" : " BRANCH_LEQ");
        append(zeros, " 0");
        snprintf(number, sizeof number, " %zu", leaf ? 0 : i + 1);
        append(yes, number);
        snprintf(number, sizeof number, " %zu", leaf ? 0 : i + 2);
        append(no, number);
        if (!leaf)
            continue;
        snprintf(number, sizeof number, " %zu", i);
        append(nodes, number);
        append(trees, " 0");
        append(weights, " 1");
        snprintf(number, sizeof number, " %zu", i % 3);
        append(ids, number);
    }
    const struct onnx_attribute attributes[] = {
        {"nodes_treeids", "ints", zeros},      {"nodes_nodeids", "ints", n},
        {"nodes_featureids", "ints", zeros},   {"nodes_modes", "strings", modes},
        {"nodes_values", "floats", zeros},     {"nodes_truenodeids", "ints", yes},
        {"nodes_falsenodeids", "ints", no},    {"target_treeids", "ints", trees},
        {"target_nodeids", "ints", nodes},     {"target_ids", "ints", ids},
        {"target_weights", "floats", weights}, {"n_targets", "int", "65536"}};
    memset(m.nodes[0].attributes, 0, sizeof m.nodes[0].attributes);
    memcpy(m.nodes[0].attributes, attributes, sizeof attributes);
    CHECK_ONNX_REFUSED(m, PX_E_TOO_LARGE, "votes for 65536 targets would need more than");
}

PX_TEST(memory_may_run_out_anywhere)
{
    const struct onnx m = {
        .nodes = {{.op = "Scaler",
                   .in = "X",
                   .out = "scaled",
                   .attributes = {{"offset", "floats", "1 2"}, {"scale", "floats", "2 3"}}},
                  REGRESSOR_AS("scaled", "BRANCH_LEQ", "1", "0", "5 8"),
                  {.op = "Cast", .in = "Y", .out = "leaf", .attributes = {{"to", "int", "7"}}},
                  {.op = "LabelEncoder",
                   .in = "leaf",
                   .out = "depth",
                   .attributes = {{"keys_int64s", "ints", "8 5"},
                                  {"values_floats", "floats", "3 1"}}},
                  {.op = "TreeEnsembleClassifier",
                   .in = "X",
                   .out = "L P",
                   .attributes = {STUMP_NODES("BRANCH_EQ", "1", "0"),
                                  CLASSES("0 0 0", "1 2 2", "0 0 1", "1 2 3"),
                                  {"classlabels_strings", "strings", "a b c"}}}},
        .outputs = "depth P L"};
    struct px_str bytes = onnx_bytes(&m);
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        struct px_forest *forest = NULL;
        struct px_err err = {0};
        px_alloc_fail_at(n);
        enum px_code code = px_forest_create(bytes, NULL, &forest, &err);
        px_alloc_fail_at(0);
        done = code == PX_OK || code == PX_E_UNSUPPORTED;
        CHECK(done || code == PX_E_NO_MEMORY);
        px_forest_destroy(forest);
        CHECK(n < 10000);
    }
}

// clang-format off
PX_TEST_MAIN(
    T(a_node_of_something_else_is_refused_by_its_name)
    T(what_is_not_exact_before_the_trees_is_refused)
    T(equality_of_a_computed_number_is_refused)
    T(doubles_that_are_computed_and_rounded_are_refused)
    T(texts_as_inputs_are_refused)
    T(broken_trees_are_refused_with_their_place)
    T(broken_trees_of_version_5_are_refused_with_their_place)
    T(a_sum_that_is_added_to_itself_does_not_double_the_trees)
    T(a_tree_of_two_terms_is_not_doubled_either)
    T(min_and_max_need_a_vote_from_every_row)
    T(two_values_of_one_name_and_unknown_inputs_are_refused)
    T(every_truncation_is_refused)
    T(a_file_that_claims_a_table_of_many_targets_is_refused)
    T(memory_may_run_out_anywhere)
)
