/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways in which a reader of CatBoost models is wrong without noticing, and what is refused, one test each.
 * Expected values are worked out by hand; tests/golden/test_catboost.py compares with the library.
 */
#include "harness.h"

#include "domain/forest/readers/catboost/catboost_file.h"
#include "forest_models.h"

/* A CatBoost model. NULL members take the default on the right. */
struct cb {
    const char *head;       /* members before features_info, each with a comma after it */
    const char *floats;     /* one feature, borders 1 and 2 */
    const char *categories; /* none */
    const char *ctrs;       /* none */
    const char *names;      /* of categories: none */
    const char *loss;       /* RMSE */
    const char *info;       /* more members of model_info, each with a comma before it */
    const char *trees;      /* one oblivious tree: x > 1, then x > 2, leaves 10 20 30 40 */
    const char *kind;       /* oblivious_trees */
    const char *tail;       /* scale_and_bias: [1,[0]] */
};

#define FLOAT_AS(index, flat, borders, treatment)                                                  \
    "{\"borders\":" borders ",\"feature_id\":\"\",\"feature_index\":" index                        \
    ",\"flat_feature_index\":" flat "," treatment "}"
#define AS_IS    "\"has_nans\":false,\"nan_value_treatment\":\"AsIs\""
#define AS_TRUE  "\"has_nans\":true,\"nan_value_treatment\":\"AsTrue\""
#define AS_FALSE "\"has_nans\":true,\"nan_value_treatment\":\"AsFalse\""
#define ABOVE_OF(feature, index, border)                                                           \
    "{\"border\":" border ",\"float_feature_index\":" feature ",\"split_index\":" index            \
    ",\"split_type\":\"FloatFeature\"}"
#define ABOVE(index, border) ABOVE_OF("0", index, border)
#define IS(index, value)                                                                           \
    "{\"cat_feature_index\":0,\"split_index\":" index                                              \
    ",\"split_type\":\"OneHotFeature\",\"value\":" value "}"
#define CTR(index, border)                                                                         \
    "{\"border\":" border ",\"ctr_target_border_idx\":0,\"split_index\":" index                    \
    ",\"split_type\":\"OnlineCtr\"}"
#define TREE(values, splits) "{\"leaf_values\":" values ",\"splits\":[" splits "]}"

static const char *cb_text(struct cb m)
{
    static char text[MODEL_MAX];
    snprintf(text, sizeof text,
             "{%s\"features_info\":{\"float_features\":[%s],\"categorical_features\":[%s],"
             "\"ctrs\":[%s],\"cat_features_hash\":[%s]},\"model_info\":{\"params\":{"
             "\"loss_function\":{\"params\":{},\"type\":\"%s\"}}%s},\"%s\":[%s],%s}",
             or_default(m.head, ""), or_default(m.floats, FLOAT_AS("0", "0", "[1,2]", AS_IS)),
             or_default(m.categories, ""), or_default(m.ctrs, ""), or_default(m.names, ""),
             or_default(m.loss, "RMSE"), or_default(m.info, ""),
             or_default(m.kind, "oblivious_trees"),
             or_default(m.trees, TREE("[10,20,30,40]", ABOVE("0", "1") "," ABOVE("1", "2"))),
             or_default(m.tail, "\"scale_and_bias\":[1,[0]]"));
    return text;
}

/* --- numbers ---------------------------------------------------------------------------------- */

PX_TEST(a_value_on_the_border_is_not_above_it)
{
    const char *text = cb_text((struct cb){0});
    CHECK_DOUBLE(MARGIN(text, 1.0), 10.0);
    CHECK_DOUBLE(MARGIN(text, (double)nextafterf(1.0F, 2.0F)), 20.0);
    CHECK_DOUBLE(MARGIN(text, 2.0), 20.0);
    CHECK_DOUBLE(MARGIN(text, 3.0), 40.0);
}

PX_TEST(the_first_split_is_the_lowest_bit_of_the_leaf)
{
    const char *text =
        cb_text((struct cb){.trees = TREE("[1,2,3,4]", ABOVE("1", "2") "," ABOVE("0", "1"))});
    CHECK_DOUBLE(MARGIN(text, 1.5), 3.0); /* not above 2: bit 0 clear; above 1: bit 1 set */
}

PX_TEST(a_double_is_rounded_to_float_before_it_is_compared)
{
    const char *text = cb_text((struct cb){0});
    double middle = 1.0 + 0x1p-24; /* half-way to the next float; ties go to 1, which is even */
    CHECK_DOUBLE(MARGIN(text, middle), 10.0);
    CHECK_DOUBLE(MARGIN(text, nextafter(middle, 2.0)), 20.0);
}

/* t is right when t is not above the border as a float, and the next double is: rounding is monotonic. */
static void check_threshold(float border)
{
    double t = px_catboost_threshold(border);
    CHECK(!((float)t > border));
    CHECK(isinf(t) || (float)nextafter(t, (double)INFINITY) > border);
}

PX_TEST(thresholds_are_exact_images_of_the_float_comparison)
{
    static const uint32_t corners[] = {0x00000000, 0x00000001, 0x00000002, 0x007FFFFF,
                                       0x00800000, 0x00800001, 0x3F7FFFFF, 0x3F800000,
                                       0x3F800001, 0x7F7FFFFE, 0x7F7FFFFF, 0x7F800000};
    for (uint32_t i = 0; i < (1U << 20) + PX_ARRAY_LEN(corners); i++) {
        uint32_t bits = i < PX_ARRAY_LEN(corners) ? corners[i] : i * 2654435761U;
        for (uint32_t sign = 0; sign < 2; sign++) {
            uint32_t both = (bits & 0x7FFFFFFF) | sign << 31;
            float border;
            memcpy(&border, &both, sizeof border);
            if (!isnan(border))
                check_threshold(border);
        }
    }
    CHECK(isinf(px_catboost_threshold(INFINITY)));
}

PX_TEST(a_missing_value_is_above_every_border_only_when_the_feature_says_so)
{
    const char *text = cb_text((struct cb){.floats = FLOAT_AS("0", "0", "[1,2]", AS_IS)});
    CHECK_DOUBLE(MARGIN(text, (double)NAN), 10.0);
    text = cb_text((struct cb){.floats = FLOAT_AS("0", "0", "[1,2]", AS_FALSE)});
    CHECK_DOUBLE(MARGIN(text, (double)NAN), 10.0);
    text = cb_text((struct cb){.floats = FLOAT_AS("0", "0", "[1,2]", AS_TRUE)});
    CHECK_DOUBLE(MARGIN(text, (double)NAN), 40.0);
    text = cb_text((struct cb){.floats = FLOAT_AS("0", "0", "[1,2]",
                                                  "\"has_nans\":false,"
                                                  "\"nan_value_treatment\":\"AsTrue\"")});
    CHECK_DOUBLE(MARGIN(text, (double)NAN), 10.0); /* the library looks at has_nans first */
}

PX_TEST(a_border_is_read_as_the_float_that_the_library_keeps)
{
    const char *text =
        cb_text((struct cb){.floats = FLOAT_AS("0", "0", "[0.1]", AS_IS),
                            .trees = TREE("[1,2]", ABOVE("0", "0.10000000149011612"))});
    CHECK_DOUBLE(MARGIN(text, (double)0.1F), 1.0);
    CHECK_DOUBLE(MARGIN(text, (double)nextafterf(0.1F, 1.0F)), 2.0);
}

PX_TEST(scale_and_bias_come_once_and_after_the_sum)
{
    const char *trees = TREE("[1,2]", ABOVE("0", "1")) "," TREE("[3,4]", ABOVE("0", "1"));
    const char *text =
        cb_text((struct cb){.trees = trees, .tail = "\"scale_and_bias\":[2.5,[0.25]]"});
    CHECK_DOUBLE(MARGIN(text, 0.0), 4 * 2.5 + 0.25);
    CHECK_DOUBLE(MARGIN(text, 5.0), 6 * 2.5 + 0.25);
    text = cb_text((struct cb){.trees = trees, .tail = "\"scale_and_bias\":[2.5,0.25]"});
    CHECK_DOUBLE(MARGIN(text, 0.0), 4 * 2.5 + 0.25); /* as older versions write it */
    text = cb_text((struct cb){.trees = trees, .tail = "\"x\":0"});
    CHECK_DOUBLE(MARGIN(text, 0.0), 4.0);
}

PX_TEST(each_class_has_its_own_bias_and_values)
{
    const char *text = cb_text((struct cb){.trees = TREE("[1,2,3,4]", ABOVE("0", "1")),
                                           .tail = "\"scale_and_bias\":[1,[10,20]]",
                                           .loss = "MultiRMSE"});
    struct scores scores = score_row(text, ROW(5.0), PX_FOREST_MARGIN);
    CHECK_INT(scores.n, 2);
    CHECK_DOUBLE(scores.of[0], 13.0);
    CHECK_DOUBLE(scores.of[1], 24.0);
}

#define THREE(a, b, c)                                                                             \
    TREE("[" a ",0]", ABOVE("0", "1"))                                                             \
    "," TREE("[" b ",0]", ABOVE("0", "1")) "," TREE("[" c ",0]", ABOVE("0", "1"))

PX_TEST(sums_are_made_in_double_and_in_the_order_of_the_file)
{
    const char *text = cb_text((struct cb){.trees = THREE("1", "9.094947017729282e-13", "-1")});
    CHECK_DOUBLE(MARGIN(text, 0.0), 0x1p-40); /* in float: 0 */
    text = cb_text((struct cb){.trees = THREE("1e16", "-1e16", "1")});
    CHECK_DOUBLE(MARGIN(text, 0.0), 1.0); /* in another order: 0 */
}

PX_TEST(losses_have_the_transform_of_their_estimator)
{
    const char *text = cb_text((struct cb){.loss = "Poisson"});
    CHECK_NEAR(SCORE(text, 0.0), exp(10.0), 1e-9);
    text = cb_text((struct cb){.loss = "Logloss", .trees = TREE("[0.5,1]", ABOVE("0", "1"))});
    CHECK_NEAR(SCORE(text, 0.0), 1 / (1 + exp(-0.5)), 1e-15);
    text = cb_text((struct cb){.loss = "LogLinQuantile"});
    CHECK_DOUBLE(SCORE(text, 0.0), 10.0);
    text = cb_text((struct cb){.loss = "MultiClass", .trees = TREE("[1,1,1,1]", ABOVE("0", "1"))});
    CHECK_DOUBLE(SCORE(text, 0.0), 0.5);
    text = cb_text(
        (struct cb){.loss = "MultiClassOneVsAll", .trees = TREE("[0,0,0,0]", ABOVE("0", "1"))});
    CHECK_DOUBLE(SCORE(text, 0.0), 0.5); /* not normalised over the classes */
    text = cb_text((struct cb){.loss = "MyOwn"});
    CHECK_DOUBLE(SCORE(text, 0.0), 10.0);
}

PX_TEST(class_labels_are_those_of_the_file)
{
    struct px_forest *forest = load(
        cb_text((struct cb){.loss = "Logloss",
                            .info = ",\"class_params\":{\"class_names\":[\"no\",\"y\\u0065s\"]}",
                            .trees = TREE("[0,1]", ABOVE("0", "1"))}));
    const struct px_forest_info *info = px_forest_info(forest);
    CHECK_INT(info->n_classes, 2);
    CHECK_STR(info->class_labels[0], "no");
    CHECK_STR(info->class_labels[1], "yes");
    px_forest_destroy(forest);
    CHECK_REFUSED(cb_text((struct cb){.loss = "Logloss",
                                      .info = ",\"class_params\":{\"class_names\":[1,2,3]}",
                                      .trees = TREE("[0,1]", ABOVE("0", "1"))}),
                  PX_E_CORRUPT, "names 3 classes, the model has 2");
}

PX_TEST(columns_are_numbered_by_their_flat_index)
{
    const char *text = cb_text(
        (struct cb){.floats = FLOAT_AS("0", "3", "[1]", AS_IS) "," FLOAT_AS(
                        "1", "1", "[5]",
                        "\"feature_name\":\"late\",\"has_nans\":false,"
                        "\"nan_value_treatment\":\"AsIs\""),
                    .trees = TREE("[1,2,3,4]", ABOVE("0", "1") "," ABOVE_OF("1", "1", "5"))});
    CHECK_DOUBLE(MARGIN(text, 9, 9, 9, 0), 3.0);
    CHECK_DOUBLE(MARGIN(text, 9, 0, 9, 9), 2.0);
    struct px_forest *forest = load(text);
    const struct px_forest_info *info = px_forest_info(forest);
    CHECK_INT(info->n_features, 4);
    CHECK_STR(info->feature_names[1], "late");
    CHECK_STR(info->feature_names[0], "f0"); /* a column that the model does not know */
    px_forest_destroy(forest);
}

PX_TEST(a_file_whose_features_name_nothing_has_no_names)
{
    struct px_forest *forest = load(cb_text((struct cb){0}));
    CHECK(!px_forest_info(forest)->feature_names);
    px_forest_destroy(forest);
}

PX_TEST(trees_may_stand_before_the_features_they_refer_to)
{
    const char *text = "{\"oblivious_trees\":[" TREE(
        "[1,2]", ABOVE("0", "7")) "],\"features_info\":{\"float_features\":[" FLOAT_AS("0", "0",
                                                                                       "[7]",
                                                                                       AS_IS) "]}}";
    CHECK_DOUBLE(MARGIN(text, 8.0), 2.0);
}

/* --- other trees ------------------------------------------------------------------------------ */

#define NODE(left, right, split) "{\"left\":" left ",\"right\":" right ",\"split\":" split "}"
#define LEAF(value)              "{\"value\":" value ",\"weight\":1}"

PX_TEST(a_true_split_of_a_nested_tree_goes_right)
{
    const char *text = cb_text((struct cb){
        .kind = "trees",
        .trees = NODE(LEAF("10"), NODE(LEAF("20"), LEAF("30"), ABOVE("1", "2")), ABOVE("0", "1"))});
    CHECK_DOUBLE(MARGIN(text, 1.0), 10.0);
    CHECK_DOUBLE(MARGIN(text, 1.5), 20.0);
    CHECK_DOUBLE(MARGIN(text, 2.5), 30.0);
}

PX_TEST(a_leaf_of_a_nested_tree_may_have_a_value_for_each_class)
{
    const char *text =
        cb_text((struct cb){.kind = "trees",
                            .loss = "MultiRMSE",
                            .trees = NODE(LEAF("[1,2]"), LEAF("[3,4]"), ABOVE("0", "1"))});
    CHECK_DOUBLE(score_row(text, ROW(5.0), PX_FOREST_MARGIN).of[1], 4.0);
}

PX_TEST(an_incomplete_nested_tree_is_refused)
{
    static const char *const broken[] = {
        "{\"left\":" LEAF("1") ",\"split\":" ABOVE("0", "1") "}",
        "{\"left\":" LEAF("1") ",\"right\":" LEAF("1") "}",
        "{\"left\":" LEAF("1") ",\"right\":" LEAF("1") ",\"value\":3,\"split\":" ABOVE("0",
                                                                                       "1") "}",
        "{}",
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(broken); i++)
        CHECK_REFUSED(cb_text((struct cb){.kind = "trees", .trees = broken[i]}), PX_E_CORRUPT,
                      "a node needs either");
    CHECK_REFUSED(cb_text((struct cb){.kind = "trees",
                                      .trees = NODE(LEAF("[1,2]"), LEAF("3"), ABOVE("0", "1"))}),
                  PX_E_CORRUPT, "its leaves have 1 values, those before it 2");
    CHECK_REFUSED(cb_text((struct cb){.kind = "trees", .trees = LEAF("[]")}), PX_E_CORRUPT,
                  "a leaf without a value");
}

/* --- categories ------------------------------------------------------------------------------- */

/* Hashes of a, b and c; 4294967294 is -2 as a signed number. */
#define NAMES                                                                                      \
    "{\"hash\":5,\"value\":\"a\"},{\"hash\":7,\"value\":\"b\"},"                                   \
    "{\"hash\":4294967294,\"value\":\"c\"}"
#define CATEGORY_AS(values)                                                                        \
    "{\"feature_id\":\"color\",\"feature_index\":0,\"flat_feature_index\":1" values "}"

static const char *one_hot(const char *value)
{
    static char category[512], split[512];
    snprintf(category, sizeof category, CATEGORY_AS(",\"values\":[%s]"), value);
    snprintf(split, sizeof split, TREE("[1,2]", IS("2", "%s")), value);
    return cb_text((struct cb){.categories = category, .names = NAMES, .trees = split});
}

/* The code of a category of feature 1 of a model. */
static double code_of(const char *text, const char *name)
{
    double code = (double)NAN;
    size_t n;
    struct px_forest *forest = load(text);
    const struct px_str *names = px_forest_categories(forest, 1, &n);
    for (size_t i = 0; i < n; i++) {
        if (px_str_is(names[i], name))
            code = (double)i;
    }
    px_forest_destroy(forest);
    return code;
}

PX_TEST(a_one_hot_split_sends_its_category_right_and_all_others_left)
{
    const char *text = one_hot("7");
    double a = code_of(text, "a"), b = code_of(text, "b"), c = code_of(text, "c");
    CHECK(!isnan(a) && !isnan(b) && !isnan(c));
    CHECK_DOUBLE(MARGIN(text, 0, b), 2.0);
    CHECK_DOUBLE(MARGIN(text, 0, a), 1.0);
    CHECK_DOUBLE(MARGIN(text, 0, c), 1.0);
    CHECK_DOUBLE(MARGIN(text, 0, (double)NAN), 1.0);
    CHECK_DOUBLE(MARGIN(text, 0, 99), 1.0);
    CHECK_DOUBLE(MARGIN(text, 0, -1), 1.0);
}

PX_TEST(a_hash_above_the_signed_range_is_the_negative_value_of_a_split)
{
    const char *text = one_hot("-2");
    CHECK_DOUBLE(MARGIN(text, 0, code_of(text, "c")), 2.0);
    CHECK_DOUBLE(MARGIN(text, 0, code_of(text, "a")), 1.0);
}

PX_TEST(a_category_without_a_name_is_refused)
{
    CHECK_REFUSED(one_hot("8"), PX_E_UNSUPPORTED, "pool=train_pool");
    CHECK_REFUSED(one_hot("8"), PX_E_UNSUPPORTED, "'color'");
    CHECK_REFUSED(one_hot("7.5"), PX_E_UNSUPPORTED, "'color'");
}

PX_TEST(two_names_for_one_hash_are_refused)
{
    CHECK_REFUSED(cb_text((struct cb){.names = NAMES ",{\"hash\":5,\"value\":\"x\"}"}),
                  PX_E_CORRUPT, "two names for the hash 5");
}

#define TABLE(stride, rows)                                                                        \
    "\"ctr_data\":{\"T\":{\"counter_denominator\":10,\"hash_map\":[" rows                          \
    "],\"hash_stride\":" stride "}},"
#define CTR_AS(type, border)                                                                       \
    "{\"borders\":[" border "],\"ctr_type\":\"" type "\",\"elements\":[{\"cat_feature_index\":0,"  \
    "\"combination_element\":\"cat_feature_value\"}],\"identifier\":\"T\","                        \
    "\"prior_denomerator\":1,\"prior_numerator\":0.5,\"scale\":2,\"shift\":1,"                     \
    "\"target_border_idx\":0}"

static const char *ctr_text(const char *table, const char *ctr, const char *border)
{
    static char split[512];
    snprintf(split, sizeof split, TREE("[1,2]", CTR("2", "%s")), border);
    return cb_text((struct cb){
        .head = table, .categories = CATEGORY_AS(""), .names = NAMES, .ctrs = ctr, .trees = split});
}

static uint64_t hash_of_hash(int64_t x)
{
    uint64_t m = UINT64_C(0x4906ba494954cb65);
    return m * (m * (uint64_t)x);
}

static const char *table_of_a_and_c(const char *counts_a, const char *counts_c, const char *stride)
{
    static char text[512];
    snprintf(
        text, sizeof text,
        "\"ctr_data\":{\"T\":{\"counter_denominator\":10,\"hash_map\":[\"%llu\",%s,\"%llu\",%s],"
        "\"hash_stride\":%s}},",
        (unsigned long long)hash_of_hash(5), counts_a, (unsigned long long)hash_of_hash(-2),
        counts_c, stride);
    return text;
}

PX_TEST(a_target_statistic_is_the_number_of_its_table)
{
    /* a: (3 + 0.5) / (4 + 1) = 0.7 -> 3.4; c: (1 + 0.5) / (10 + 1) -> 2.27; unknown: 0.5 -> 3 */
    const char *table = table_of_a_and_c("1,3", "9,1", "3");
    const char *text = ctr_text(table, CTR_AS("Borders", "3.2"), "3.2");
    double a = code_of(text, "a"), c = code_of(text, "c");
    CHECK_DOUBLE(MARGIN(text, 0, a), 2.0);
    CHECK_DOUBLE(MARGIN(text, 0, c), 1.0);
    CHECK_DOUBLE(MARGIN(text, 0, (double)NAN), 1.0);
    CHECK_DOUBLE(MARGIN(text, 0, 77), 1.0);
}

PX_TEST(an_unknown_category_has_the_statistic_of_no_counts)
{
    const char *table = table_of_a_and_c("1,3", "9,1", "3");
    const char *text = ctr_text(table, CTR_AS("Borders", "2.9"), "2.9");
    CHECK_DOUBLE(MARGIN(text, 0, code_of(text, "a")), 2.0);
    CHECK_DOUBLE(MARGIN(text, 0, code_of(text, "c")), 1.0);
    CHECK_DOUBLE(MARGIN(text, 0, (double)NAN), 2.0);
    CHECK_DOUBLE(MARGIN(text, 0, 77), 2.0);
}

PX_TEST(kinds_of_statistics_count_differently)
{
    /* Buckets: the count of label 0 itself. a: (1.5 / 5 + 1) * 2 = 2.6; c: (9.5 / 11 + 1) * 2 = 3.73 */
    const char *table = table_of_a_and_c("1,3", "9,1", "3");
    const char *text = ctr_text(table, CTR_AS("Buckets", "2.7"), "2.7");
    CHECK_DOUBLE(MARGIN(text, 0, code_of(text, "a")), 1.0);
    CHECK_DOUBLE(MARGIN(text, 0, code_of(text, "c")), 2.0);
    /* A mean keeps sum and count. a: (1 + 0.5) / (3 + 1) = 0.375 -> 2.75; c: 9.5 / 2 -> 11.5 */
    text = ctr_text(table, CTR_AS("BinarizedTargetMeanValue", "2.7"), "2.7");
    CHECK_DOUBLE(MARGIN(text, 0, code_of(text, "a")), 2.0);
    CHECK_DOUBLE(MARGIN(text, 0, (double)NAN), 2.0);
    /* A counter divides by one number for all. a: (4.5 / 11 + 1) * 2 = 2.82; c: 9.5 / 11 -> 3.73 */
    table = table_of_a_and_c("4", "9", "2");
    text = ctr_text(table, CTR_AS("Counter", "3"), "3");
    CHECK_DOUBLE(MARGIN(text, 0, code_of(text, "a")), 1.0);
    CHECK_DOUBLE(MARGIN(text, 0, code_of(text, "c")), 2.0);
    CHECK_DOUBLE(MARGIN(text, 0, (double)NAN), 1.0); /* 0.5 / 11 -> 2.09 */
}

PX_TEST(a_free_bucket_of_a_table_is_no_category)
{
    const char *table = "\"ctr_data\":{\"T\":{\"counter_denominator\":0,\"hash_map\":["
                        "\"18446744073709551615\",5,5],\"hash_stride\":3}},";
    const char *text = ctr_text(table, CTR_AS("Borders", "2.9"), "2.9");
    CHECK_DOUBLE(MARGIN(text, 0, 0), 2.0);
}

/* A table of three categories whose rows have two elements; letters are hashes. */
static const char *table_of(const char *rows)
{
    static const int64_t hashes[] = {5, -2, 7};
    static char text[512];
    int at = snprintf(text, sizeof text, "\"ctr_data\":{\"T\":{\"hash_map\":[");
    for (const char *c = rows; *c; c++) {
        const char *comma = c == rows ? "" : ",";
        bool is_hash = *c >= 'a';
        uint64_t number = is_hash ? hash_of_hash(hashes[*c - 'a']) : (uint64_t)(*c - '0');
        const char *quote = is_hash ? "\"" : "";
        at += snprintf(text + at, sizeof text - (size_t)at, "%s%s%llu%s", comma, quote,
                       (unsigned long long)number, quote);
    }
    snprintf(text + at, sizeof text - (size_t)at,
             "],\"counter_denominator\":10,\"hash_stride\":2}},");
    return text;
}

PX_TEST(rows_of_a_table_in_another_order_are_refused)
{
    struct px_forest *forest = load(ctr_text(table_of("a5b3"), CTR_AS("Counter", "3"), "3"));
    px_forest_destroy(forest);
    static const char *const wrong[] = {"5a3b", "ab53",   "5a",    "a53b",   "a5b", "ab", "a5b34",
                                        "5ab3", "a5bc34", "a5b3c", "a55b33", "a",   "5"};
    for (size_t i = 0; i < PX_ARRAY_LEN(wrong); i++)
        CHECK_REFUSED(ctr_text(table_of(wrong[i]), CTR_AS("Counter", "3"), "3"), PX_E_CORRUPT,
                      "no rows of hash_stride 2");
}

PX_TEST(statistics_that_do_not_fit_their_table_are_refused)
{
    const char *table = table_of_a_and_c("1,3", "9,1", "3");
    CHECK_REFUSED(ctr_text(table, CTR_AS("Counter", "3"), "3"), PX_E_CORRUPT, "hash_stride 3");
    CHECK_REFUSED(ctr_text(table, CTR_AS("Median", "3"), "3"), PX_E_UNSUPPORTED, "'Median'");
    CHECK_REFUSED(ctr_text(table_of_a_and_c("1,3", "9", "3"), CTR_AS("Borders", "3"), "3"),
                  PX_E_CORRUPT, "no rows of hash_stride 3");
    CHECK_REFUSED(ctr_text("\"ctr_data\":{},", CTR_AS("Borders", "3"), "3"), PX_E_CORRUPT,
                  "no table 'T'");
    CHECK_REFUSED(ctr_text("", CTR_AS("Borders", "3"), "3"), PX_E_CORRUPT, "no table 'T'");
    const char *unnamed = "\"ctr_data\":{\"T\":{\"hash_map\":[\"1\",5,5],\"hash_stride\":3}},";
    CHECK_REFUSED(ctr_text(unnamed, CTR_AS("Borders", "3"), "3"), PX_E_UNSUPPORTED,
                  "pool=train_pool");
}

PX_TEST(statistics_of_combinations_are_refused_by_name)
{
    const char *pair = "{\"borders\":[1],\"ctr_type\":\"Borders\",\"elements\":[{"
                       "\"cat_feature_index\":0,\"combination_element\":\"cat_feature_value\"},{"
                       "\"border\":1,\"combination_element\":\"float_feature\","
                       "\"float_feature_index\":0}],\"identifier\":\"T\"}";
    CHECK_REFUSED(ctr_text(TABLE("3", ""), pair, "1"), PX_E_CORRUPT, "no rows");
    const char *table = table_of_a_and_c("1,3", "9,1", "3");
    CHECK_REFUSED(ctr_text(table, pair, "1"), PX_E_UNSUPPORTED, "'color' with 'conditions'");
    CHECK_REFUSED(ctr_text(table, pair, "1"), PX_E_UNSUPPORTED, "max_ctr_complexity=1");
}

/* --- many categories --------------------------------------------------------------------------- */

enum { MANY = 1100 };

/* A file with `n` categories of hashes 0, 1, ... and features that ask for none of them. */
struct many {
    struct px_forest_ir ir;
    struct px_err err;
    struct px_catboost_file file;
};

static void make_many(struct many *m, size_t n_names, size_t n_features)
{
    *m = (struct many){0};
    px_ir_init(&m->ir, PX_FOREST_CATBOOST_JSON, PX_TYPE_FP64, 0);
    m->file = (struct px_catboost_file){
        .ir = &m->ir, .err = &m->err, .codes_max = n_names, .ctr_work = 1 << 20};
    CHECK(px_vec_reserve(&m->file.names, n_names) && px_vec_reserve(&m->file.ctrs, 1) &&
          px_vec_reserve(&m->file.categories, n_features));
    for (size_t i = 0; i < n_names; i++)
        m->file.names.items[i] = (struct px_catboost_name){(uint32_t)i, PX_STR("x")};
    for (size_t i = 0; i < n_features; i++)
        m->file.categories.items[i] =
            (struct px_catboost_category){.index = (int64_t)i, .flat = (int64_t)i};
    m->file.names.len = n_names;
    m->file.categories.len = n_features;
}

static void free_many(struct many *m)
{
    px_vec_free(&m->file.names);
    px_vec_free(&m->file.categories);
    px_vec_free(&m->file.ctrs);
    px_vec_free(&m->file.claims);
    px_ir_deinit(&m->ir);
}

PX_TEST(a_feature_with_more_categories_than_codes_is_refused)
{
    struct many m;
    make_many(&m, 5, 2);
    m.file.codes_max = 4;
    px_catboost_assign_codes(&m.file);
    CHECK_INT(m.file.code, PX_E_TOO_LARGE);
    CHECK_CONTAINS(m.err.message, "categorical feature 0 has more than 4 categories");
    free_many(&m);
    make_many(&m, 4, 2);
    px_catboost_assign_codes(&m.file);
    CHECK_INT(m.file.code, PX_OK);
    CHECK_INT(m.file.categories.items[1].n_codes, 4);
    CHECK_INT(m.ir.warnings.len, 0);
    free_many(&m);
}

PX_TEST(names_that_are_left_out_are_told)
{
    struct many m;
    make_many(&m, MANY, MANY); /* more than 2^20 pairs */
    px_catboost_assign_codes(&m.file);
    CHECK_INT(m.file.code, PX_OK);
    CHECK_INT(m.ir.warnings.len, 1);
    CHECK_CONTAINS(m.ir.warnings.items[0].ptr, "1100 categories that no split asks for");
    free_many(&m);
}

/* A mean of i * 7 % 1000 for category i < MANY; the last category is not in the table. */
static void add_mean(struct many *m, struct px_catboost_table *table)
{
    static uint64_t hashes[MANY];
    static double counts[2 * MANY];
    static uint32_t codes[MANY + 1];
    for (uint32_t i = 0; i <= MANY; i++)
        codes[i] = i;
    for (size_t i = 0; i < MANY; i++) {
        hashes[i] = hash_of_hash((int64_t)i);
        counts[2 * i] = (double)(i * 7 % 1000);
        counts[2 * i + 1] = i % 100 ? 1.0 : 0.0; /* and some are infinite, one is NaN */
    }
    struct px_catboost_category *category = &m->file.categories.items[0];
    category->codes = codes;
    category->n_codes = MANY + 1;
    *table = (struct px_catboost_table){
        .stride = 3, .hashes = hashes, .counts = counts, .n = MANY, .category = category};
    m->file.ctrs.items[m->file.ctrs.len++] = (struct px_catboost_ctr){.type = PX_CATBOOST_MEAN,
                                                                      .identifier = PX_STR("T"),
                                                                      .scale = 1.0F,
                                                                      .category = category,
                                                                      .table = table};
}

/* Does a category's split on the mean go right? */
static bool goes_right(const struct many *m, const struct px_catboost_bin *bin, size_t code)
{
    bool in = px_ir_in_set(&m->ir, bin->node.set, (double)code);
    return (in ? bin->node.in_set_left : bin->node.default_left) == false;
}

/* The prior counts for nothing in the denominator: unknown categories have p / 0. */
static void check_borders(float prior)
{
    static const double borders[] = {-1, 0, 0.5, 1, 6, 7, 499.5, 992, 993, 999, 5000};
    struct px_catboost_table table;
    struct many m;
    make_many(&m, MANY + 1, 1);
    m.ir.set_words_max = 1 << 20;
    add_mean(&m, &table);
    m.file.ctrs.items[0].prior_numerator = prior;
    for (size_t b = 0; b < PX_ARRAY_LEN(borders); b++) {
        struct px_catboost_bin bin = {.question = PX_CATBOOST_CTR, .border = borders[b]};
        px_catboost_make_set(&m.file, &bin);
        CHECK_INT(m.file.code, PX_OK);
        for (size_t i = 0; i < MANY; i++) {
            float mean = ((float)(i * 7 % 1000) + prior) / (i % 100 ? 1.0F : 0.0F);
            CHECK(goes_right(&m, &bin, i) == (mean > (float)borders[b]));
        }
        float unknown = (0.0F + prior) / 0.0F;
        CHECK(goes_right(&m, &bin, MANY) == (unknown > (float)borders[b]));
        CHECK(goes_right(&m, &bin, MANY + 99) == (unknown > (float)borders[b]));
    }
    free_many(&m);
}

PX_TEST(every_border_splits_all_categories_as_their_statistics_do)
{
    check_borders(0.0F); /* unknown categories have NaN, as have 0 and 1000 */
    check_borders(1.0F); /* infinity */
    check_borders(-1.0F);
}

PX_TEST(statistics_that_share_a_table_may_not_outgrow_the_file)
{
    struct px_catboost_table table;
    struct many m;
    make_many(&m, MANY + 1, 1);
    add_mean(&m, &table);
    m.file.ctr_work = 3 * MANY + MANY; /* one less than the table and the codes */
    struct px_catboost_bin bin = {.question = PX_CATBOOST_CTR, .border = 1};
    px_catboost_make_set(&m.file, &bin);
    CHECK_INT(m.file.code, PX_E_TOO_LARGE);
    CHECK_CONTAINS(m.err.message, "too many target statistics for the size of the table 'T'");
    free_many(&m);
}

/* --- refusals --------------------------------------------------------------------------------- */

PX_TEST(text_and_embedding_features_are_refused_by_name)
{
    CHECK_REFUSED("{\"features_info\":{\"text_features\":[]},\"oblivious_trees\":[]}",
                  PX_E_UNSUPPORTED, "text features");
    CHECK_REFUSED("{\"features_info\":{\"embedding_features\":[]},\"oblivious_trees\":[]}",
                  PX_E_UNSUPPORTED, "embedding features");
    CHECK_REFUSED(
        cb_text((struct cb){.trees = TREE("[1,2]", "{\"split_type\":\"EstimatedFeature\"}")}),
        PX_E_UNSUPPORTED, "text or embedding feature");
}

PX_TEST(a_split_that_contradicts_features_info_is_refused)
{
    CHECK_REFUSED(cb_text((struct cb){.trees = TREE("[1,2]", ABOVE("2", "2"))}), PX_E_CORRUPT,
                  "split_index 2 is not in [0, 2)");
    CHECK_REFUSED(cb_text((struct cb){.trees = TREE("[1,2]", ABOVE("-1", "2"))}), PX_E_CORRUPT,
                  "split_index -1");
    CHECK_REFUSED(cb_text((struct cb){.trees = TREE("[1,2]", ABOVE("0", "2"))}), PX_E_CORRUPT,
                  "split_index 0 is another question");
    CHECK_REFUSED(cb_text((struct cb){.trees = TREE("[1,2]", IS("0", "2"))}), PX_E_CORRUPT,
                  "split_index 0 is another question");
}

PX_TEST(a_split_on_another_feature_than_its_border_belongs_to_is_refused)
{
    /* Border 0 belongs to feature 0, border 2 to feature 1. */
    static const char floats[] =
        FLOAT_AS("0", "0", "[1,2]", AS_IS) "," FLOAT_AS("1", "1", "[1]", AS_IS);
    CHECK_REFUSED(cb_text((struct cb){.floats = floats, .trees = TREE("[1,2]", ABOVE("2", "1"))}),
                  PX_E_CORRUPT, "split_index 2 is another question");
    const char *second = TREE("[1,2]", ABOVE_OF("1", "2", "1"));
    CHECK_DOUBLE(MARGIN(cb_text((struct cb){.floats = floats, .trees = second}), 0.0, 3.0), 2.0);
    const char *category =
        "{\"leaf_values\":[1,2],\"splits\":[{\"cat_feature_index\":1,\"split_index\":2,"
        "\"split_type\":\"OneHotFeature\",\"value\":7}]}";
    CHECK_REFUSED(cb_text((struct cb){.categories = CATEGORY_AS(",\"values\":[7]"),
                                      .names = NAMES,
                                      .trees = category}),
                  PX_E_CORRUPT, "split_index 2 is another question");
}

PX_TEST(a_tree_whose_leaves_do_not_go_with_its_splits_is_refused)
{
    CHECK_REFUSED(cb_text((struct cb){.trees = TREE("[1,2,3]", ABOVE("0", "1"))}), PX_E_CORRUPT,
                  "tree 0: 1 splits do not go with 3 leaf values");
    CHECK_REFUSED(cb_text((struct cb){.trees = TREE("[]", ABOVE("0", "1"))}), PX_E_CORRUPT,
                  "1 splits do not go with 0 leaf values");
    CHECK_REFUSED(cb_text((struct cb){.trees = TREE("[1,2]", ABOVE("0", "1")) "," TREE(
                                          "[1,2,3,4]", ABOVE("0", "1"))}),
                  PX_E_CORRUPT, "tree 1: its leaves have 2 values, those before it 1");
    CHECK_REFUSED(cb_text((struct cb){.trees = TREE("[NaN,2]", ABOVE("0", "1"))}), PX_E_CORRUPT,
                  "leaf value is NaN");
}

PX_TEST(a_tree_without_splits_is_one_leaf)
{
    CHECK_DOUBLE(MARGIN(cb_text((struct cb){.trees = TREE("[7]", "")}), 0.0), 7.0);
    const char *text = cb_text((struct cb){.trees = "{\"leaf_values\":[7],\"splits\":null}"});
    CHECK_DOUBLE(MARGIN(text, 0.0), 7.0);
}

PX_TEST(a_broken_document_is_refused)
{
    static const struct {
        struct cb model;
        const char *message;
    } cases[] = {
        {{.floats =
              FLOAT_AS("0", "0", "[1],\"borders\":[1]", "\"nan_value_treatment\":\"AsMany\"")},
         "'AsMany' is not AsIs"},
        {{.floats = FLOAT_AS("0", "-5", "[1,2]", AS_IS)}, "flat_feature_index is -5"},
        {{.floats = FLOAT_AS("0", "0", "[1,2]", AS_IS) "," FLOAT_AS("1", "0", "[3]", AS_IS)},
         "two features have the flat_feature_index 0"},
        {{.categories = CATEGORY_AS("") "," CATEGORY_AS("")}, "does not come after 0"},
        {{.trees = ""}, "no trees"},
        {{.tail = "\"scale_and_bias\":[1,[0,0,0]]"}, "3 biases"},
        {{.tail = "\"scale_and_bias\":[NaN,[0]]"}, "finite"},
        {{.tail = "\"trees\":[]"}, "'trees' stands in the file twice"},
        {{.tail = "\"features_info\":{}"}, "'features_info' stands in the file twice"},
        {{.loss = "MultiClass"}, "'MultiClass' with leaves of 1 values"},
        {{.names = "{\"hash\":-1,\"value\":\"x\"}"}, "32 bits"},
    };
    enum px_code code;
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        const char *text = cb_text(cases[i].model);
        CHECK_CONTAINS(refusal_n(text, strlen(text), &code), cases[i].message);
        CHECK(code == PX_E_CORRUPT || code == PX_E_UNSUPPORTED);
    }
    CHECK_REFUSED(cb_text((struct cb){.floats = FLOAT_AS("0", "1048576", "[1,2]", AS_IS)}),
                  PX_E_TOO_LARGE, "the model declares 1048577 features; the limit is 1048576");
    CHECK_REFUSED("{\"features_info\":{},\"trees\":[", PX_E_CORRUPT, "end of the text");
    CHECK_REFUSED("{\"a\":{\"features_info\":1},\"trees\":[]}", PX_E_CORRUPT, "no 'features_info'");
    CHECK_REFUSED("{\"features_info\":{\"trees\":1}}", PX_E_CORRUPT, "no 'oblivious_trees'");
    CHECK_REFUSED(cb_text((struct cb){.loss = "MyOwn", .info = ",\"class_params\":{}"}),
                  PX_E_UNSUPPORTED, "'MyOwn'");
}

PX_TEST(any_allocation_may_fail_while_a_model_is_read)
{
    char *text = strdup(cb_text((struct cb){
        .head = table_of_a_and_c("1,3", "9,1", "3"),
        .categories = CATEGORY_AS(",\"values\":[7]"),
        .names = NAMES,
        .ctrs = CTR_AS("Borders", "2.9"),
        .loss = "Logloss",
        .info = ",\"class_params\":{\"class_names\":[0,1]},"
                "\"catboost_version_info\":\"tags/v1.2\\n\"",
        .trees = TREE("[1,2,3,4,5,6,7,8]", ABOVE("0", "1") "," IS("2", "7") "," CTR("3", "2.9"))}));
    enum px_code code = PX_E_NO_MEMORY;
    for (uint64_t n = 1; code != PX_OK; n++) {
        struct px_forest *forest = NULL;
        struct px_err err = {0};
        CHECK(n < 10000);
        px_alloc_fail_at(n);
        code = px_forest_create(px_str(text), NULL, &forest, &err);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK ? forest != NULL : !forest && err.message[0]);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY || code == PX_E_TOO_LARGE);
        px_forest_destroy(forest);
    }
    free(text);
}

// clang-format off
PX_TEST_MAIN(
    T(a_value_on_the_border_is_not_above_it)
    T(the_first_split_is_the_lowest_bit_of_the_leaf)
    T(a_double_is_rounded_to_float_before_it_is_compared)
    T(thresholds_are_exact_images_of_the_float_comparison)
    T(a_missing_value_is_above_every_border_only_when_the_feature_says_so)
    T(a_border_is_read_as_the_float_that_the_library_keeps)
    T(scale_and_bias_come_once_and_after_the_sum)
    T(each_class_has_its_own_bias_and_values)
    T(sums_are_made_in_double_and_in_the_order_of_the_file)
    T(losses_have_the_transform_of_their_estimator)
    T(class_labels_are_those_of_the_file)
    T(columns_are_numbered_by_their_flat_index)
    T(a_file_whose_features_name_nothing_has_no_names)
    T(trees_may_stand_before_the_features_they_refer_to)
    T(a_true_split_of_a_nested_tree_goes_right)
    T(a_leaf_of_a_nested_tree_may_have_a_value_for_each_class)
    T(an_incomplete_nested_tree_is_refused)
    T(a_one_hot_split_sends_its_category_right_and_all_others_left)
    T(a_hash_above_the_signed_range_is_the_negative_value_of_a_split)
    T(a_category_without_a_name_is_refused)
    T(two_names_for_one_hash_are_refused)
    T(a_target_statistic_is_the_number_of_its_table)
    T(an_unknown_category_has_the_statistic_of_no_counts)
    T(kinds_of_statistics_count_differently)
    T(a_free_bucket_of_a_table_is_no_category)
    T(rows_of_a_table_in_another_order_are_refused)
    T(statistics_that_do_not_fit_their_table_are_refused)
    T(statistics_of_combinations_are_refused_by_name)
    T(a_feature_with_more_categories_than_codes_is_refused)
    T(names_that_are_left_out_are_told)
    T(every_border_splits_all_categories_as_their_statistics_do)
    T(statistics_that_share_a_table_may_not_outgrow_the_file)
    T(text_and_embedding_features_are_refused_by_name)
    T(a_split_that_contradicts_features_info_is_refused)
    T(a_split_on_another_feature_than_its_border_belongs_to_is_refused)
    T(a_tree_whose_leaves_do_not_go_with_its_splits_is_refused)
    T(a_tree_without_splits_is_one_leaf)
    T(a_broken_document_is_refused)
    T(any_allocation_may_fail_while_a_model_is_read)
)
