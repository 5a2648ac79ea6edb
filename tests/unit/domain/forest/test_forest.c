/* SPDX-License-Identifier: Apache-2.0 */
/* The face of the room: create, info, predict, and what happens when memory is short. */
#include "harness.h"

#include "forest_models.h"

#include "domain/forest/ir.h"

#include <sys/resource.h>

PX_TEST(info_counts_what_is_in_the_file)
{
    struct px_forest *forest = load(xgb_text((struct xgb){0}));
    CHECK(forest);
    const struct px_forest_info *info = px_forest_info(forest);
    CHECK_INT(info->format, PX_FOREST_XGBOOST_JSON);
    CHECK_STR(info->library_version, "3.2.0");
    CHECK_STR(info->objective, "reg:squarederror");
    CHECK_INT(info->feature_type, PX_TYPE_FP32);
    CHECK_INT(info->score_type, PX_TYPE_FP32);
    CHECK_INT(info->n_features, 2);
    CHECK_INT(info->n_trees, 1);
    CHECK_INT(info->n_nodes, 3);
    CHECK_INT(info->n_leaves, 2);
    CHECK_INT(info->depth_max, 1);
    CHECK_INT(info->n_rounds, 1);
    CHECK_INT(info->n_classes, 0);
    CHECK(!info->feature_names && !info->class_labels && info->n_warnings == 0);
    CHECK(info->bytes > 3 * sizeof(struct px_node));
    CHECK(info->kernel_one && info->kernel_many);
    px_forest_destroy(forest);
}

static double threshold_of(const char *text)
{
    struct px_forest *forest = load(text);
    CHECK(forest);
    double threshold = px_forest_info(forest)->decision_threshold;
    px_forest_destroy(forest);
    return threshold;
}

PX_TEST(a_single_score_is_cut_where_both_classes_are_as_likely)
{
    static const struct {
        const char *objective;
        double threshold;
    } of_xgboost[] = {{"binary:logistic", 0.5}, {"reg:logistic", 0.5}, {"reg:squarederror", 0.5},
                      {"binary:logitraw", 0.0}, {"binary:hinge", 0.0}, {"rank:ndcg", 0.0},
                      {"count:poisson", 0.5}},
      of_lightgbm[] = {{"binary sigmoid:2", 0.5}, {"cross_entropy", 0.5}, {"regression sqrt", 0.5},
                       {"lambdarank", 0.0},       {"custom", 0.0},        {"xentlambda", M_LN2}};
    char text[128];
    for (size_t i = 0; i < PX_ARRAY_LEN(of_xgboost); i++) {
        snprintf(text, sizeof text, "{\"name\":\"%s\"}", of_xgboost[i].objective);
        CHECK_DOUBLE(threshold_of(xgb_text((struct xgb){.objective = text, .base_score = "5E-1"})),
                     of_xgboost[i].threshold);
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(of_lightgbm); i++) {
        snprintf(text, sizeof text, "objective=%s\n", of_lightgbm[i].objective);
        CHECK_DOUBLE(threshold_of(lgb_text((struct lgb){.header = text})),
                     of_lightgbm[i].threshold);
    }
}

PX_TEST(a_forced_kernel_is_used_and_an_unknown_one_refused)
{
    struct px_forest *forest = load_with(xgb_text((struct xgb){0}), PX_ROUNDS_ALL, "walker");
    CHECK(forest);
    CHECK_STR(px_str(px_forest_info(forest)->kernel_many), "walker");
    px_forest_destroy(forest);
    CHECK(!load_with(xgb_text((struct xgb){0}), PX_ROUNDS_ALL, "quantum"));
    px_forest_destroy(NULL);
}

PX_TEST(the_bytes_of_the_file_are_not_needed_after_creation)
{
    const char *text = xgb_text((struct xgb){.extra = ",\"feature_names\":[\"a\",\"b\"]"});
    size_t n = strlen(text);
    char *copy = px_alloc(n, 1);
    CHECK(copy);
    memcpy(copy, text, n);
    struct px_forest *forest = NULL;
    CHECK_OK(px_forest_create(px_str_n(copy, n), NULL, &forest, NULL));
    memset(copy, 'x', n);
    px_free(copy);
    CHECK_STR(px_forest_info(forest)->feature_names[1], "b");
    CHECK_STR(px_forest_info(forest)->objective, "reg:squarederror");
    px_forest_destroy(forest);
}

static void free_bytes(void *context)
{
    char **bytes = context;
    CHECK(*bytes); /* told once */
    px_free(*bytes);
    *bytes = NULL;
}

PX_TEST(the_bytes_of_the_file_may_be_freed_before_the_kernels_are_compiled)
{
    const char *text = xgb_text((struct xgb){.extra = ",\"feature_names\":[\"a\",\"b\"]"});
    size_t n = strlen(text);
    char *copy = px_alloc(n, 1);
    struct px_forest_options options = {.bytes_read = free_bytes, .bytes_context = &copy};
    struct px_forest *forest = NULL;
    CHECK(copy);
    memcpy(copy, text, n);
    CHECK_OK(px_forest_create(px_str_n(copy, n), &options, &forest, NULL));
    CHECK(!copy);
    CHECK_STR(px_forest_info(forest)->feature_names[1], "b");
    px_forest_destroy(forest);
    CHECK(px_forest_create(px_str("{"), &options, &forest, NULL) != PX_OK); /* told nothing */
}

PX_TEST(a_batch_with_fewer_outputs_than_margins_uses_the_scratch)
{
    const char *text =
        xgb_text((struct xgb){.objective = "{\"name\":\"multi:softmax\"}",
                              .num_class = "2",
                              .num_trees = "2",
                              .tree_info = "[0,1]",
                              .trees = STUMP_AS("0", "0", "1E0", "0", "1E0", "0E0") "," STUMP_AS(
                                  "1", "0", "1E0", "0", "0E0", "1E0")});
    enum { N = 100 };
    float data[N * 2], out[N + 1];
    struct px_forest *forest = load(text);
    struct px_matrix rows = {PX_TYPE_FP32, data, N, 2, 2};
    CHECK(forest);
    CHECK(px_forest_scratch_size(forest, N) >= N * 2 * sizeof(float));
    CHECK_INT(px_forest_scratch_size(forest, N) % PX_CACHE_LINE, 0);
    memset(data, 0, sizeof data);
    for (size_t i = 0; i < N; i++)
        data[2 * i] = (float)(i % 3);
    out[N] = 77.0F;
    predict(forest, &rows, out, 0);
    for (size_t i = 0; i < N; i++)
        CHECK_DOUBLE((double)out[i], i % 3 == 0 ? 0.0 : 1.0);
    CHECK_DOUBLE((double)out[N], 77.0);
    px_forest_destroy(forest);
}

PX_TEST(predicting_allocates_nothing)
{
    struct px_forest *forest = load(xgb_text((struct xgb){0}));
    float data[64 * 2] = {0}, out[64];
    struct px_matrix rows = {PX_TYPE_FP32, data, 64, 2, 2};
    CHECK(forest);
    void *scratch = px_alloc_aligned(PX_CACHE_LINE, px_forest_scratch_size(forest, 64) + 1, 1);
    uint64_t before = px_alloc_count();
    px_forest_predict(forest, &rows, out, scratch, 0);
    CHECK_INT(px_alloc_count() - before, 0);
    px_free(scratch);
    px_forest_destroy(forest);
}

PX_TEST(the_self_test_passes)
{
    struct px_forest *forest = load(lgb_text((struct lgb){0}));
    CHECK(forest);
    CHECK_OK(px_forest_self_test(forest, 500, 3, NULL));
    px_forest_destroy(forest);
}

PX_TEST(probe_rows_leave_unused_features_at_zero)
{
    struct px_forest *forest = load(xgb_text((struct xgb){.num_feature = "3"}));
    enum { N = 50 };
    float data[N * 3];
    struct px_matrix rows = {PX_TYPE_FP32, data, N, 3, 3};
    size_t n_set = 0;
    CHECK(forest);
    memset(data, 0x55, sizeof data);
    px_forest_probe_rows(forest, 1, &rows);
    for (size_t i = 0; i < N; i++) {
        n_set += data[3 * i] != 0.0F; /* the only split is on feature 0 */
        CHECK_DOUBLE((double)data[3 * i + 1], 0.0);
        CHECK_DOUBLE((double)data[3 * i + 2], 0.0);
    }
    CHECK(n_set > N / 2);
    px_forest_destroy(forest);
}

/* Memory that this process may map in all; the sanitizers map more than that for themselves. */
static void limit_memory(rlim_t bytes)
{
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = bytes;
    CHECK_INT(setrlimit(RLIMIT_AS, &limit), 0);
#else
    (void)bytes;
#endif
}

PX_TEST(a_self_test_of_a_wide_model_needs_a_few_rows_of_memory)
{
    struct px_forest *forest = load(lgb_text((struct lgb){.features = "1048575"}));
    CHECK(forest);
    limit_memory(1 << 28); /* a row has 8 MB, 64 of them 512 MB */
    enum px_code code = px_forest_self_test(forest, 70, 3, NULL);
    limit_memory(RLIM_INFINITY);
    CHECK_INT(code, PX_OK);
    px_forest_destroy(forest);
}

/* Creates the model with the n-th allocation failing (0: none); how many there were. */
static uint64_t create_with_failure(const char *text, uint64_t n)
{
    struct px_forest *forest = NULL;
    struct px_err err = {0};
    uint64_t before = px_alloc_count();
    px_alloc_fail_at(n);
    enum px_code code = px_forest_create(px_str(text), NULL, &forest, &err);
    px_alloc_fail_at(0);
    if (code != PX_OK) {
        CHECK(n && !forest && err.message[0]);
        CHECK(code == PX_E_NO_MEMORY || code == PX_E_TOO_LARGE);
    }
    px_forest_destroy(forest);
    return px_alloc_count() - before;
}

/* Every allocation fails once. Those of optional kernels fail no model. */
static void sweep(const char *text)
{
    uint64_t n_allocations = create_with_failure(text, 0);
    CHECK(n_allocations > 10);
    for (uint64_t n = 1; n <= n_allocations; n++)
        (void)create_with_failure(text, n);
}

PX_TEST(any_allocation_may_fail_while_a_model_is_read)
{
    sweep(xgb_text((struct xgb){
        .objective = "{\"name\":\"binary:logistic\"}",
        .base_score = "5E-1",
        .version = "[9,0,0]",
        .extra = ",\"feature_names\":[\"\\u00e4\",\"b\"],\"feature_types\":[\"c\",\"q\"],"
                 "\"attributes\":{\"scikit_learn\":\"{\\\"classes_\\\":[\\\"\\u00e4\\\",1]}\"}",
        .model_extra = ",\"weight_drop\":[1],\"iteration_indptr\":[0,1],\"cats\":{\"enc\":["
                       "{\"offsets\":[0,1],\"values\":[65]},{\"type\":1,\"values\":[2]}]}",
        .trees =
            "{\"id\":0,\"tree_param\":{\"num_nodes\":\"3\"},\"left_children\":[1,-1,-1],"
            "\"right_children\":[2,-1,-1],\"split_indices\":[0,0,0],\"split_conditions\":"
            "[1,1,1],\"default_left\":[0,0,0],\"split_type\":[1,0,0],\"categories\":[1,70],"
            "\"categories_nodes\":[0],\"categories_segments\":[0],\"categories_sizes\":[2]}"}));
    sweep(lgb_text((struct lgb){
        .version = "v9",
        .header = "objective=binary sigmoid:1\nfeature_names=a b\nfeature_infos=1:2 [0:1]\n",
        .trees = SPLIT "Tree=1\nnum_leaves=2\nnum_cat=1\nsplit_feature=0\nthreshold=0\n"
                       "decision_type=1\nleft_child=-1\nright_child=-2\nleaf_value=10 20\n"
                       "cat_boundaries=0 1\ncat_threshold=3\nis_linear=1\nleaf_const=1 2\n"
                       "num_features=1 0\nleaf_features=1\nleaf_coeff=2\n\n",
        .tail = "end of trees\npandas_categorical:[[\"\\u00e4\", 2]]\n"}));
}

PX_TEST(any_allocation_may_fail_in_the_self_test)
{
    struct px_forest *forest = load(lgb_text((struct lgb){0}));
    CHECK(forest);
    uint64_t before = px_alloc_count();
    CHECK_OK(px_forest_self_test(forest, 10, 1, NULL));
    uint64_t n_allocations = px_alloc_count() - before;
    for (uint64_t n = 1; n <= n_allocations; n++) {
        px_alloc_fail_at(n);
        enum px_code code = px_forest_self_test(forest, 10, 1, NULL);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
    }
    px_forest_destroy(forest);
}

PX_TEST(a_long_warning_is_cut_between_characters)
{
    struct px_forest_ir ir;
    char text[1001];
    for (size_t i = 0; i < sizeof text - 1; i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    text[sizeof text - 1] = '\0';
    px_ir_init(&ir, PX_FOREST_ONNX, PX_TYPE_FP32, 0);
    CHECK_INT(px_ir_warn(&ir, NULL, "%s", text), PX_OK);
    CHECK_INT(px_ir_warn(&ir, NULL, "x%s", text), PX_OK);
    for (size_t i = 0; i < 2; i++) {
        CHECK(px_str_is_utf8(ir.warnings.items[i]));
        CHECK(ir.warnings.items[i].len > 500);
    }
    px_ir_deinit(&ir);
}

// clang-format off
PX_TEST_MAIN(
    T(info_counts_what_is_in_the_file)
    T(a_single_score_is_cut_where_both_classes_are_as_likely)
    T(a_forced_kernel_is_used_and_an_unknown_one_refused)
    T(the_bytes_of_the_file_are_not_needed_after_creation)
    T(the_bytes_of_the_file_may_be_freed_before_the_kernels_are_compiled)
    T(a_batch_with_fewer_outputs_than_margins_uses_the_scratch)
    T(predicting_allocates_nothing)
    T(the_self_test_passes)
    T(probe_rows_leave_unused_features_at_zero)
    T(a_self_test_of_a_wide_model_needs_a_few_rows_of_memory)
    T(any_allocation_may_fail_while_a_model_is_read)
    T(any_allocation_may_fail_in_the_self_test)
    T(a_long_warning_is_cut_between_characters)
)
