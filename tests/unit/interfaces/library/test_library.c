/* SPDX-License-Identifier: Apache-2.0 */
/* The library from inside: arguments, conversions, threads, memory. Parity is tested from outside. */
#include "harness.h"

#include "shared/alloc.h"
#include "shared/err.h"
#include "shared/file.h"
#include "shared/rng.h"
#include "tiny_model.h"

#include <fenv.h>
#include <phoenix/phoenix.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

static const char classes[] = PX_TEST_DATA "/versions/xgboost-3.0.5-classes.json";

enum { MANY = 9000, FEATURES = 4, CLASSES = 3 };

static char path[] = "/tmp/px_library_XXXXXX";
static float many[MANY * FEATURES], expected[MANY * CLASSES];

static void write_model(const char *text)
{
    CHECK_OK(px_file_write(path, px_str(text), NULL));
}

static phx_model *open_good(const char *file)
{
    char err[256];
    phx_model *model = phx_model_open(file, err, sizeof err);
    if (!model)
        fprintf(stderr, "%s\n", err);
    CHECK(model);
    return model;
}

/* The three-class model, with rows and their scores, one row at a time. */
static phx_model *open_classes(void)
{
    phx_model *model = open_good(classes);
    struct px_rng rng = px_rng(7);
    CHECK_INT(phx_model_features(model), FEATURES);
    CHECK_INT(phx_model_outputs(model), CLASSES);
    for (size_t i = 0; i < MANY * FEATURES; i++)
        many[i] = i % 11 == 0 ? NAN : (float)(px_rng_unit(&rng) * 4 - 2);
    for (size_t i = 0; i < MANY; i++)
        CHECK_INT(phx_model_predict_f32(model, &many[i * FEATURES], 1, FEATURES,
                                        &expected[i * CLASSES], 0),
                  0);
    return model;
}

PX_TEST(a_model_tells_what_it_takes)
{
    write_model(tiny_model);
    phx_model *model = open_good(path);
    CHECK_INT(phx_model_features(model), 2);
    CHECK_INT(phx_model_outputs(model), 1);
    CHECK_INT(phx_model_margins(model), 1);
    CHECK(strcmp(phx_model_feature_name(model, 0), "age") == 0);
    CHECK(strcmp(phx_model_feature_name(model, 1), "amount") == 0);
    CHECK(!phx_model_feature_name(model, 2));
    CHECK_CONTAINS(phx_model_info(model), "\"format\":\"lightgbm-text\"");
    CHECK_CONTAINS(phx_model_info(model), "\"plan\":{");
    phx_model_close(model);
}

PX_TEST(a_model_that_cannot_be_opened_says_why)
{
    char err[256], tiny[8] = "-------";
    CHECK(!phx_model_open("/nowhere/model.json", err, sizeof err));
    CHECK_CONTAINS(err, "there is no file or folder '/nowhere/model.json'");
    CHECK(!phx_model_open(NULL, err, sizeof err));
    CHECK_CONTAINS(err, "got NULL");
    CHECK(!phx_model_open("/nowhere", NULL, 0));
    CHECK(!phx_model_open("/nowhere", tiny, sizeof tiny));
    CHECK(strcmp(tiny, "there i") == 0);
    write_model("not a model");
    CHECK(!phx_model_open(path, err, sizeof err));
    CHECK_CONTAINS(err, path);
}

PX_TEST(null_is_no_model)
{
    float out = 5;
    phx_model_close(NULL);
    CHECK_INT(phx_model_features(NULL) + phx_model_outputs(NULL) + phx_model_margins(NULL), 0);
    CHECK(!phx_model_feature_name(NULL, 0) && !phx_model_info(NULL));
    CHECK_INT(phx_model_predict_f32(NULL, &out, 1, 1, &out, 0), PHX_INVALID);
    CHECK_INT(phx_model_set_threads(NULL, 1), PHX_INVALID);
}

PX_TEST(wrong_arguments_write_nothing)
{
    write_model(tiny_model);
    phx_model *model = open_good(path);
    const double row[2] = {20, 0};
    double out = -1;
    CHECK_INT(phx_model_predict_f64(model, NULL, 1, 2, &out, 0), PHX_INVALID);
    CHECK_INT(phx_model_predict_f64(model, row, 1, 2, NULL, 0), PHX_INVALID);
    CHECK_INT(phx_model_predict_f64(model, row, 1, 1, &out, 0), PHX_INVALID);
    CHECK_INT(phx_model_predict_f64(model, row, 1, 2, &out, 4), PHX_INVALID);
    CHECK_INT(phx_model_predict_f64(model, row, SIZE_MAX / 4, 2, &out, 0), PHX_INVALID);
    CHECK_INT(phx_model_predict_f64(model, row, SIZE_MAX / 2, SIZE_MAX / 2, &out, 0), PHX_INVALID);
    CHECK_INT(phx_model_set_threads(model, 257), PHX_INVALID);
    CHECK_DOUBLE(out, -1);
    CHECK_INT(phx_model_predict_f64(model, NULL, 0, 2, NULL, 0), 0);
    CHECK(strcmp(phx_error_text(PHX_INVALID), "invalid input") == 0);
    CHECK(strcmp(phx_error_text(PHX_NO_MEMORY), "out of memory") == 0);
    CHECK(strcmp(phx_error_text(12345), "unknown code") == 0);
    CHECK(strcmp(phx_version(), PX_VERSION) == 0);
    phx_model_close(model);
}

PX_TEST(rows_may_have_gaps_and_scores_have_none)
{
    write_model(tiny_model);
    phx_model *model = open_good(path);
    const double rows[] = {20, 0, -1, 40, 0, -1, 40, 1, -1, NAN, NAN};
    double out[5] = {0, 0, 0, 0, -1};
    CHECK_INT(phx_model_predict_f64(model, rows, 4, 3, out, 0), 0);
    CHECK_DOUBLE(out[0], 11);
    CHECK_DOUBLE(out[1], 21);
    CHECK_DOUBLE(out[2], 22);
    CHECK_DOUBLE(out[3], 22);
    CHECK_DOUBLE(out[4], -1);
    phx_model_close(model);
}

PX_TEST(floats_are_widened_for_a_model_of_doubles_and_scores_rounded)
{
    char text[sizeof tiny_model + 16];
    memcpy(text, tiny_model, sizeof tiny_model);
    char *leaf = strstr(text, "leaf_value=1 2");
    memmove(leaf + 16, leaf + 14, strlen(leaf + 14) + 1);
    memcpy(leaf, "leaf_value=.1 .2", 16);
    memcpy(strstr(text, "threshold=0.5"), "threshold=0.1", 13);
    write_model(text);
    phx_model *model = open_good(path);
    const float row[2] = {20, 0.1F}; /* the float is above the double 0.1 */
    const double exact[2] = {20, 0.1};
    float narrow;
    double wide;
    CHECK_INT(phx_model_predict_f32(model, row, 1, 2, &narrow, 0), 0);
    CHECK_DOUBLE(narrow, (float)(10 + .2));
    CHECK_INT(phx_model_predict_f64(model, exact, 1, 2, &wide, 0), 0);
    CHECK_DOUBLE(wide, 10 + .1);
    phx_model_close(model);
}

PX_TEST(doubles_are_rounded_for_a_model_of_floats)
{
    static double rows[MANY * FEATURES], scores[MANY * CLASSES];
    phx_model *model = open_classes();
    for (size_t i = 0; i < MANY * FEATURES; i++) /* nearer to the float than to its neighbour */
        rows[i] = (double)many[i] + (double)(nextafterf(many[i], INFINITY) - many[i]) * 0.49;
    CHECK_INT(phx_model_predict_f64(model, rows, MANY, FEATURES, scores, 0), 0);
    for (size_t i = 0; i < MANY * CLASSES; i++)
        CHECK_DOUBLE(scores[i], expected[i]);
    phx_model_close(model);
}

static void check_batch(const phx_model *model, size_t first, size_t n, unsigned flags)
{
    static float out[MANY * CLASSES + 1];
    out[n * CLASSES] = -1;
    CHECK_INT(phx_model_predict_f32(model, &many[first * FEATURES], n, FEATURES, out, flags), 0);
    for (size_t i = 0; i < n * CLASSES; i++)
        CHECK_DOUBLE(out[i], expected[first * CLASSES + i]);
    CHECK_DOUBLE(out[n * CLASSES], -1);
}

PX_TEST(a_score_does_not_depend_on_the_batch)
{
    phx_model *model = open_classes();
    for (size_t n = 1; n <= 1100; n += n < 140 ? 1 : 97)
        check_batch(model, n, n, 0);
    check_batch(model, 0, MANY, 0);
    phx_model_close(model);
}

PX_TEST(a_score_does_not_depend_on_the_threads)
{
    phx_model *model = open_classes();
    for (unsigned n_threads = 0; n_threads < 6; n_threads++) {
        CHECK_INT(phx_model_set_threads(model, n_threads), 0);
        check_batch(model, 0, MANY, PHX_PARALLEL);
        check_batch(model, 1, 8192, PHX_PARALLEL); /* from here on it is always shared */
        check_batch(model, 1, 8193, PHX_PARALLEL);
        check_batch(model, 1, 2049, PHX_PARALLEL);
        check_batch(model, 5, 1, PHX_PARALLEL);
    }
    phx_model_close(model);
}

/* ---- threads ---- */

struct hammer {
    const phx_model *model;
    size_t number, times, n_rows;
    unsigned flags;
    _Atomic unsigned *n_wrong;
};

static void *hammer(void *argument)
{
    const struct hammer *h = argument;
    size_t bytes = h->n_rows * CLASSES * sizeof(float);
    float *out = px_xalloc(h->n_rows * CLASSES, sizeof *out);
    for (size_t i = 0; i < h->times; i++) {
        size_t first = (h->number * 37 + i * 101) % (MANY - h->n_rows);
        int code = phx_model_predict_f32(h->model, &many[first * FEATURES], h->n_rows, FEATURES,
                                         out, h->flags);
        if (code != 0 || memcmp(out, &expected[first * CLASSES], bytes) != 0)
            atomic_fetch_add(h->n_wrong, 1);
    }
    px_free(out);
    return NULL;
}

enum { HAMMERS_MAX = 80 };

static void check_hammers(size_t n_threads, struct hammer like)
{
    pthread_t threads[HAMMERS_MAX];
    struct hammer hammers[HAMMERS_MAX];
    _Atomic unsigned n_wrong = 0;
    like.n_wrong = &n_wrong;
    for (size_t i = 0; i < n_threads; i++) {
        hammers[i] = like;
        hammers[i].number = i;
        CHECK_INT(pthread_create(&threads[i], NULL, hammer, &hammers[i]), 0);
    }
    for (size_t i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(n_wrong, 0);
}

PX_TEST(threads_share_a_model)
{
    phx_model *model = open_classes();
    check_hammers(6, (struct hammer){.model = model, .times = 300, .n_rows = 5});
    phx_model_close(model);
}

PX_TEST(threads_may_outnumber_the_scratch_that_is_kept)
{
    phx_model *model = open_classes();
    check_hammers(HAMMERS_MAX, (struct hammer){.model = model, .times = 10, .n_rows = 50});
    phx_model_close(model);
}

PX_TEST(threads_share_the_helpers)
{
    phx_model *model = open_classes();
    struct hammer like = {.model = model, .times = 10, .n_rows = 8500, .flags = PHX_PARALLEL};
    CHECK_INT(phx_model_set_threads(model, 4), 0);
    check_hammers(4, like); /* the first calls race to start the helpers */
    phx_model_close(model);
}

/* ---- memory ---- */

PX_TEST(helpers_allocate_nothing_after_the_first_call)
{
    phx_model *model = open_classes();
    CHECK_INT(phx_model_set_threads(model, 3), 0);
    check_batch(model, 0, MANY, PHX_PARALLEL);
    uint64_t before = px_alloc_count();
    for (int round = 0; round < 200; round++) {
        check_batch(model, 0, 1, 0);
        check_batch(model, 0, MANY, PHX_PARALLEL);
    }
    CHECK_INT(px_alloc_count(), before);
    phx_model_close(model);
}

PX_TEST(threads_that_the_system_does_not_give_are_asked_for_once)
{
    phx_model *model = open_classes();
    CHECK_INT(phx_model_set_threads(model, 3), 0);
    px_alloc_fail_at(1);
    check_batch(model, 0, MANY, PHX_PARALLEL);
    px_alloc_fail_at(0);
    uint64_t before = px_alloc_count();
    check_batch(model, 0, MANY, PHX_PARALLEL);
    CHECK_INT(px_alloc_count(), before);
    CHECK_INT(phx_model_set_threads(model, 3), 0);
    check_batch(model, 0, MANY, PHX_PARALLEL);
    CHECK(px_alloc_count() > before);
    phx_model_close(model);
}

PX_TEST(conversion_allocates_only_in_the_first_call)
{
    phx_model *model = open_classes();
    static double rows[MANY * FEATURES], scores[MANY * CLASSES];
    CHECK_INT(phx_model_predict_f64(model, rows, 1, FEATURES, scores, 0), 0);
    uint64_t before = px_alloc_count();
    for (size_t n = 1; n < MANY; n += 777)
        CHECK_INT(phx_model_predict_f64(model, rows, n, FEATURES, scores, PHX_MARGIN), 0);
    CHECK_INT(px_alloc_count(), before);
    phx_model_close(model);
}

PX_TEST(one_thread_allocates_nothing_at_all_after_opening)
{
    phx_model *model = open_classes();
    uint64_t before = px_alloc_count();
    for (size_t n = 1; n < 1000; n++)
        check_batch(model, n, n, 0);
    CHECK_INT(px_alloc_count(), before);
    phx_model_close(model);
}

PX_TEST(no_memory_while_opening_is_an_error)
{
    char err[256];
    phx_model *model = NULL;
    for (uint64_t n = 1; !model; n++) {
        px_alloc_fail_at(n);
        model = phx_model_open(classes, err, sizeof err);
        px_alloc_fail_at(0);
        CHECK(model || strstr(err, "memory"));
        CHECK(n < 100000);
    }
    phx_model_close(model);
}

PX_TEST(no_memory_while_scoring_is_an_error_and_passes)
{
    phx_model *model = open_classes();
    static double rows[MANY * FEATURES], scores[MANY * CLASSES];
    int code = PHX_NO_MEMORY;
    for (uint64_t n = 1; code == PHX_NO_MEMORY; n++) {
        px_alloc_fail_at(n);
        code = phx_model_predict_f64(model, rows, 10, FEATURES, scores, 0);
        px_alloc_fail_at(0);
        CHECK(code == PHX_OK || code == PHX_NO_MEMORY);
        CHECK(n < 10);
    }
    phx_model_close(model);
}

/* ---- the processor's modes ---- */

/* What code built with -ffast-math leaves behind, and a rounding that nothing asks for. */
static void spoil_modes(void)
{
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
    fesetround(FE_UPWARD);
}

/* Back to the default; fails unless the modes were still spoilt. */
static void restore_modes(void)
{
    CHECK_INT(fegetround(), FE_UPWARD);
    fesetround(FE_TONEAREST);
#if defined(__x86_64__)
    CHECK_INT(_mm_getcsr() & 0x8040, 0x8040);
    _mm_setcsr(_mm_getcsr() & ~0x8040u);
#endif
}

/* The file at `path` scores rows alike, whatever the modes were at its opening and at the call. */
static void check_modes(const double *rows, size_t n, const double *want)
{
    for (unsigned spoilt = 0; spoilt < 4; spoilt++) {
        double scores[4] = {0};
        if (spoilt & 1)
            spoil_modes();
        phx_model *model = phx_model_open(path, NULL, 0);
        if (spoilt & 1)
            restore_modes();
        CHECK(model);
        if (spoilt & 2)
            spoil_modes();
        int code = phx_model_predict_f64(model, rows, n, 1, scores, 0);
        if (spoilt & 2)
            restore_modes();
        CHECK_INT(code, 0);
        CHECK(memcmp(scores, want, n * sizeof *want) == 0);
        phx_model_close(model);
    }
}

PX_TEST(the_callers_rounding_and_flushing_do_not_change_a_model_of_doubles)
{
    write_model("tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
                "max_feature_idx=0\nobjective=regression\nfeature_names=x\nfeature_infos=[0:1]\n\n"
                "Tree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nsplit_gain=1\nthreshold=1e-310\n"
                "decision_type=8\nleft_child=-1\nright_child=-2\nleaf_value=0.1 3e-310\n"
                "shrinkage=1\n\n\n"
                "Tree=1\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nsplit_gain=1\nthreshold=2e-310\n"
                "decision_type=8\nleft_child=-1\nright_child=-2\nleaf_value=0.2 5e-310\n"
                "shrinkage=1\n\n\n"
                "end of trees\n");
    /* LightGBM takes 1.5e-310 for 0. */
    check_modes((const double[3]){0, 1.5e-310, 1}, 3,
                (const double[3]){0.1 + 0.2, 0.1 + 0.2, 3e-310 + 5e-310});
}

PX_TEST(the_callers_rounding_and_flushing_do_not_change_a_model_of_floats)
{
    write_model("{\"version\":[3,0,5],\"learner\":{\"attributes\":{},\"feature_names\":[],"
                "\"feature_types\":[],\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{"
                "\"gbtree_model_param\":{\"num_parallel_tree\":\"1\",\"num_trees\":\"1\"},"
                "\"iteration_indptr\":[0,1],\"tree_info\":[0],\"trees\":[{\"id\":0,"
                "\"base_weights\":[0,0.1,0.2],\"categories\":[],\"categories_nodes\":[],"
                "\"categories_segments\":[],\"categories_sizes\":[],\"default_left\":[0,0,0],"
                "\"left_children\":[1,-1,-1],\"right_children\":[2,-1,-1],\"loss_changes\":[1,0,0],"
                "\"parents\":[2147483647,0,0],\"split_conditions\":[2E-42,0.1,0.2],"
                "\"split_indices\":[0,0,0],\"split_type\":[0,0,0],\"sum_hessian\":[2,1,1],"
                "\"tree_param\":{\"num_deleted\":\"0\",\"num_feature\":\"1\",\"num_nodes\":\"3\","
                "\"size_leaf_vector\":\"1\"}}]}},\"learner_model_param\":{\"base_score\":\"0\","
                "\"boost_from_average\":\"1\",\"num_class\":\"0\",\"num_feature\":\"1\","
                "\"num_target\":\"1\"},\"objective\":{\"name\":\"reg:squarederror\","
                "\"reg_loss_param\":{\"scale_pos_weight\":\"1\"}}}}");
    check_modes((const double[3]){0, 1e-42, 1}, 3,
                (const double[3]){(double)0.1F, (double)0.1F, (double)0.2F});
}

PX_TEST(files_are_removed)
{
    CHECK_INT(unlink(path), 0);
}

/* A name for the file that tests write. */
__attribute__((constructor)) static void make_path(void)
{
    int fd = mkstemp(path);
    if (fd >= 0)
        close(fd);
}

// clang-format off
PX_TEST_MAIN(
    T(a_model_tells_what_it_takes)
    T(a_model_that_cannot_be_opened_says_why)
    T(null_is_no_model)
    T(wrong_arguments_write_nothing)
    T(rows_may_have_gaps_and_scores_have_none)
    T(floats_are_widened_for_a_model_of_doubles_and_scores_rounded)
    T(doubles_are_rounded_for_a_model_of_floats)
    T(a_score_does_not_depend_on_the_batch)
    T(a_score_does_not_depend_on_the_threads)
    T(threads_share_a_model)
    T(threads_may_outnumber_the_scratch_that_is_kept)
    T(threads_share_the_helpers)
    T(helpers_allocate_nothing_after_the_first_call)
    T(threads_that_the_system_does_not_give_are_asked_for_once)
    T(conversion_allocates_only_in_the_first_call)
    T(one_thread_allocates_nothing_at_all_after_opening)
    T(no_memory_while_opening_is_an_error)
    T(no_memory_while_scoring_is_an_error_and_passes)
    T(the_callers_rounding_and_flushing_do_not_change_a_model_of_doubles)
    T(the_callers_rounding_and_flushing_do_not_change_a_model_of_floats)
    T(files_are_removed)
)
