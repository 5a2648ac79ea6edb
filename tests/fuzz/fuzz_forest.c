/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models that are well-formed text but say nonsense: a valid model in which some numbers are replaced.
 * Random bytes seldom get past a parser; these all do, and reach the checks behind it.
 *
 * The input's first byte picks the model. Then come edits of three bytes: which number of the text
 * (two bytes), and what it becomes.
 */
#include "forest_check.h"

#include "../unit/domain/forest/forest_models.h"

#define XGB_SETS                                                                                   \
    "{\"id\":0,\"tree_param\":{\"num_nodes\":\"5\",\"size_leaf_vector\":\"1\"},"                   \
    "\"left_children\":[1,3,-1,-1,-1],\"right_children\":[2,4,-1,-1,-1],"                          \
    "\"split_indices\":[0,1,0,0,0],\"split_conditions\":[1E-45,1E0,1E0,2E0,3E0],"                  \
    "\"default_left\":[0,1,0,0,0],\"split_type\":[1,0,0,0,0],\"categories\":[0,3,40],"             \
    "\"categories_nodes\":[0],\"categories_segments\":[0],\"categories_sizes\":[3]}"
#define XGB_VECTOR                                                                                 \
    "{\"id\":0,\"tree_param\":{\"num_nodes\":\"3\",\"size_leaf_vector\":\"2\"},"                   \
    "\"left_children\":[1,-1,-1],\"right_children\":[2,0,1],\"split_indices\":[0,0,0],"            \
    "\"split_conditions\":[1E0,0E0,0E0],\"default_left\":[0,0,0],\"leaf_weights\":[1,2,3,4]}"
#define LGB_SETS                                                                                   \
    "Tree=0\nnum_leaves=3\nnum_cat=1\nsplit_feature=0 1\nthreshold=0 1\ndecision_type=1 6\n"       \
    "left_child=1 -1\nright_child=-3 -2\nleaf_value=10 20 30\ncat_boundaries=0 2\n"                \
    "cat_threshold=5 2\n\n"
#define LGB_LINEAR                                                                                 \
    "Tree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=1\ndecision_type=8\n"             \
    "left_child=-1\nright_child=-2\nleaf_value=10 20\nis_linear=1\nleaf_const=0.5 7\n"             \
    "num_features=2 0\nleaf_features=0 1  \nleaf_coeff=2 3  \n\n"

static const char *pick_model(uint8_t which)
{
    switch (which % 6) {
    case 0:
        return xgb_text((struct xgb){.trees = XGB_SETS,
                                     .model_extra = ",\"iteration_indptr\":[0,1]",
                                     .extra = ",\"attributes\":{\"best_iteration\":\"0\"}"});
    case 1:
        return xgb_text(
            (struct xgb){.trees = XGB_VECTOR, .num_target = "2", .base_score = "[1E0,2E0]"});
    case 2:
        return xgb_text((struct xgb){.trees = STUMP_AS("0", "0", "1", "1", "1", "2") "," STUMP_AS(
                                         "1", "1", "2", "0", "3", "4"),
                                     .num_trees = "2",
                                     .num_class = "2",
                                     .tree_info = "[0,1]",
                                     .objective = "{\"name\":\"multi:softprob\"}",
                                     .model_extra = ",\"weight_drop\":[5E-1,1E0]"});
    case 3:
        return lgb_text((struct lgb){.trees = LGB_SETS});
    case 4:
        return lgb_text((struct lgb){.trees = LGB_LINEAR});
    default:
        return lgb_text((struct lgb){.k = "2",
                                     .header = "objective=multiclassova num_class:2 sigmoid:1\n",
                                     .trees = SPLIT SPLIT_AS("1", "1", "-1", "4", "3", "4")});
    }
}

static const char *const replacements[] = {
    "0",  "1",     "2",    "3",     "4",         "5",          "7",          "31",
    "32", "-1",    "-2",   "-3",    "127",       "128",        "255",        "256",
    "12", "65536", "NaN",  "1e-35", "-1e-35",    "1e-45",      "0.5",        "-0",
    "6",  "8",     "9",    "10",    "16777215",  "16777216",   "2147483647", "-2147483648",
    "63", "64",    "1e30", "1e308", "268435457", "4294967295", "4294967296", "9223372036854775807",
    "",   "1,1",   "1 1",  "-1e30", "Infinity",  "-Infinity",  "1e999",      "-9223372036854775808",
};

static bool is_number_byte(char c)
{
    return (c >= '0' && c <= '9') || c == '.' || c == '-';
}

/* The start of number `n` (modulo their count) of `text`, and its length. */
static size_t find_number(const char *text, size_t n, size_t *ret_length)
{
    size_t count = 0, at = 0;
    for (int round = 0; round < 2; round++) {
        size_t seen = 0;
        for (size_t i = 0; text[i]; i = at + *ret_length + (*ret_length == 0)) {
            at = i;
            *ret_length = 0;
            while (is_number_byte(text[at + *ret_length]))
                ++*ret_length;
            if (*ret_length && seen++ == n && round)
                return at;
        }
        count = seen;
        n %= count ? count : 1;
    }
    return at;
}

static void replace(char *text, size_t cap, size_t at, size_t length, const char *with)
{
    size_t n = strlen(text), more = strlen(with);
    if (n - length + more >= cap)
        return;
    memmove(text + at + more, text + at + length, n - at - length + 1);
    memcpy(text + at, with, more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[MODEL_MAX];
    if (size == 0)
        return 0;
    snprintf(text, sizeof text, "%s", pick_model(data[0]));
    for (size_t i = 1; i + 2 < size && i < 60; i += 3) {
        size_t length = 0;
        size_t at = find_number(text, (size_t)data[i] << 8 | data[i + 1], &length);
        replace(text, sizeof text, at, length,
                replacements[data[i + 2] % PX_ARRAY_LEN(replacements)]);
    }
    return fuzz_forest((const uint8_t *)text, strlen(text),
                       data[0] & 0x80 ? PX_ROUNDS_BEST : PX_ROUNDS_ALL);
}
