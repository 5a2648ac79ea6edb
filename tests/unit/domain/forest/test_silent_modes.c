/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known ways of scoring a forest wrong without noticing that no other test is named after. The list of all,
 * with the test of each, is in docs/architecture/forest.md.
 */
#include "harness.h"

#include "domain/forest/readers/doc.h"
#include "forest_models.h"

/* One categorical split of feature 0 that sends `categories` right, to 20. */
static const char *categorical(const char *categories, const char *count)
{
    static char tree[1024];
    snprintf(tree, sizeof tree,
             "{\"id\":0,\"tree_param\":{\"num_nodes\":\"3\",\"size_leaf_vector\":\"1\"},"
             "\"left_children\":[1,-1,-1],\"right_children\":[2,-1,-1],\"split_indices\":[0,0,0],"
             "\"split_conditions\":[NaN,1E1,2E1],\"default_left\":[0,0,0],\"split_type\":[1,0,0],"
             "\"categories\":[%s],\"categories_nodes\":[0],\"categories_segments\":[0],"
             "\"categories_sizes\":[%s]}",
             categories, count);
    return xgb_text((struct xgb){.trees = tree});
}

PX_TEST(a_list_of_categories_is_not_read_as_words_of_a_bit_field)
{
    const char *text = categorical("5", "1"); /* as a word: the bits of 0 and 2 */
    CHECK_DOUBLE(MARGIN(text, 5.0), 20.0);
    CHECK_DOUBLE(MARGIN(text, 0.0), 10.0);
    CHECK_DOUBLE(MARGIN(text, 2.0), 10.0);
    text = categorical("0,33", "2");
    CHECK_DOUBLE(MARGIN(text, 33.0), 20.0);
    CHECK_DOUBLE(MARGIN(text, 32.0), 10.0); /* as words: bits 32 and 37 */
}

PX_TEST(the_bare_words_of_xgboosts_json_are_numbers)
{
    CHECK_DOUBLE(MARGIN(categorical("5", "1"), 5.0), 20.0); /* its condition is NaN */
    const char *text =
        xgb_text((struct xgb){.trees = STUMP_AS("0", "0", "Infinity", "0", "1E1", "2E1")});
    CHECK_DOUBLE(MARGIN(text, 1e38), 10.0);
    CHECK_DOUBLE(MARGIN(text, (double)INFINITY), 20.0);
    text = xgb_text((struct xgb){.trees = STUMP_AS("0", "0", "-Infinity", "0", "1E1", "2E1")});
    CHECK_DOUBLE(MARGIN(text, -1e38), 20.0);
}

PX_TEST(zero_and_other_marks_of_missing_are_numbers_like_any_other)
{
    /* `missing=0` or -999 of the training data is not in the file: whoever asks sends NaN instead. */
    const char *text =
        xgb_text((struct xgb){.trees = STUMP_AS("0", "0", "-5E0", "1", "1E1", "2E1")});
    CHECK_DOUBLE(MARGIN(text, (double)NAN), 10.0);
    CHECK_DOUBLE(MARGIN(text, 0.0), 20.0);
    text = xgb_text((struct xgb){.trees = STUMP_AS("0", "0", "-5E0", "0", "1E1", "2E1")});
    CHECK_DOUBLE(MARGIN(text, -999.0), 10.0);
    CHECK_DOUBLE(MARGIN(text, (double)NAN), 20.0);
}

#define THREE(a, b, c)                                                                             \
    STUMP_AS("0", "0", "1E0", "0", a, "0E0")                                                       \
    "," STUMP_AS("1", "0", "1E0", "0", b, "0E0") "," STUMP_AS("2", "0", "1E0", "0", c, "0E0")

PX_TEST(floats_are_summed_as_floats_base_first_in_the_order_of_the_file)
{
    struct xgb m = {.num_trees = "3", .tree_info = "[0,0,0]"};
    m.trees = THREE("1E8", "1E0", "-1E8");
    CHECK_DOUBLE(MARGIN(xgb_text(m), 0.0), 0.0); /* in double: 1 */
    m.trees = THREE("1E8", "-1E8", "1E0");
    CHECK_DOUBLE(MARGIN(xgb_text(m), 0.0), 1.0); /* in another order: 0 */
    m.trees = THREE("1E8", "-1E8", "0E0");
    m.base_score = "1E0";
    CHECK_DOUBLE(MARGIN(xgb_text(m), 0.0), 0.0); /* base last: 1 */
}

#define TWO_TO_MINUS_40 "9.094947017729282e-13"

PX_TEST(doubles_are_summed_as_doubles_in_the_order_of_the_file)
{
    const char *small = SPLIT_AS("0", "0", "1", "8", "1", "0")
        SPLIT_AS("1", "0", "1", "8", TWO_TO_MINUS_40, "0") SPLIT_AS("2", "0", "1", "8", "-1", "0");
    CHECK_DOUBLE(MARGIN(lgb_text((struct lgb){.trees = small}), 0.0), 0x1p-40); /* in float: 0 */
    const char *big = SPLIT_AS("0", "0", "1", "8", "1e16", "0")
        SPLIT_AS("1", "0", "1", "8", "-1e16", "0") SPLIT_AS("2", "0", "1", "8", "1", "0");
    CHECK_DOUBLE(MARGIN(lgb_text((struct lgb){.trees = big}), 0.0), 1.0); /* in another order: 0 */
}

PX_TEST(base_scores_of_classes_are_margins_already)
{
    static const char *const names[] = {"multi:softprob", "multi:softmax"};
    for (size_t i = 0; i < 2; i++) {
        char objective[128];
        snprintf(objective, sizeof objective,
                 "{\"name\":\"%s\",\"softmax_multiclass_param\":{\"num_class\":\"3\"}}", names[i]);
        struct xgb m = {.objective = objective,
                        .base_score = "7E-1",
                        .num_class = "3",
                        .num_trees = "3",
                        .tree_info = "[0,1,2]",
                        .trees = THREE("0E0", "0E0", "0E0")};
        CHECK_DOUBLE(score_row(xgb_text(m), ROW(0.0), PX_FOREST_MARGIN).of[1], (double)0.7F);
    }
}

static bool has_warning(const char *text, const char *part)
{
    struct px_forest *forest = load(text);
    CHECK(forest);
    const struct px_forest_info *info = px_forest_info(forest);
    bool found = false;
    for (size_t i = 0; i < info->n_warnings; i++)
        found |= memmem(info->warnings[i].ptr, info->warnings[i].len, part, strlen(part)) != NULL;
    px_forest_destroy(forest);
    return found;
}

PX_TEST(an_unknown_member_of_learner_is_not_passed_over_in_silence)
{
    CHECK(has_warning(xgb_text((struct xgb){.extra = ",\"leaf_scaler\":{\"by\":2}"}),
                      "'leaf_scaler'"));
    CHECK(!has_warning(xgb_text((struct xgb){0}), "not known here"));
}

PX_TEST(subnormal_thresholds_and_values_are_not_flushed_to_zero)
{
    const char *text =
        xgb_text((struct xgb){.trees = STUMP_AS("0", "0", "3E-45", "0", "1E1", "2E1")});
    CHECK_DOUBLE(MARGIN(text, 1.4e-45), 10.0);
    CHECK_DOUBLE(MARGIN(text, 3e-45), 20.0);
    CHECK_DOUBLE(MARGIN(text, 0.0), 10.0);
    text = xgb_text((struct xgb){.trees = STUMP_AS("0", "0", "1E0", "0", "1E-45", "0E0")});
    CHECK(MARGIN(text, 0.0) > 0.0);
}

PX_TEST(blocks_of_ubjson_numbers_are_big_endian_and_have_no_end_marker)
{
    static const char bytes[] = "[[$l#i\2\0\0\1\2\xFF\xFF\xFF\xFE"
                                "[$d#i\1\x3F\xC0\0\0"
                                "[$U#i\2\1\xFF"
                                "[$L#i\1\0\0\0\0\0\0\1\0"
                                "i\7]";
    struct px_doc doc;
    struct px_ints ints = {0};
    struct px_floats floats = {0};
    px_doc_init(&doc, px_str_n(bytes, sizeof bytes - 1), true, NULL);
    px_doc_enter_array(&doc);
    CHECK(px_doc_next_element(&doc));
    px_doc_ints(&doc, &ints);
    CHECK(ints.len == 2 && ints.items[0] == 258 && ints.items[1] == -2);
    CHECK(px_doc_next_element(&doc));
    px_doc_floats(&doc, &floats);
    CHECK(floats.len == 1);
    CHECK_DOUBLE((double)floats.items[0], 1.5);
    CHECK(px_doc_next_element(&doc));
    px_doc_ints(&doc, &ints);
    CHECK(ints.len == 2 && ints.items[0] == 1 && ints.items[1] == 255);
    CHECK(px_doc_next_element(&doc));
    px_doc_ints(&doc, &ints);
    CHECK(ints.len == 1 && ints.items[0] == 256);
    CHECK(px_doc_next_element(&doc));
    CHECK_INT(px_doc_i64(&doc), 7);
    CHECK(!px_doc_next_element(&doc) && !px_doc_failed(&doc));
    CHECK_OK(px_doc_finish(&doc, NULL));
    px_vec_free(&ints);
    px_vec_free(&floats);
}

// clang-format off
PX_TEST_MAIN(
    T(blocks_of_ubjson_numbers_are_big_endian_and_have_no_end_marker)
    T(a_list_of_categories_is_not_read_as_words_of_a_bit_field)
    T(the_bare_words_of_xgboosts_json_are_numbers)
    T(zero_and_other_marks_of_missing_are_numbers_like_any_other)
    T(floats_are_summed_as_floats_base_first_in_the_order_of_the_file)
    T(doubles_are_summed_as_doubles_in_the_order_of_the_file)
    T(base_scores_of_classes_are_margins_already)
    T(an_unknown_member_of_learner_is_not_passed_over_in_silence)
    T(subnormal_thresholds_and_values_are_not_flushed_to_zero)
)
