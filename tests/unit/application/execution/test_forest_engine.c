/* SPDX-License-Identifier: Apache-2.0 */
/* The forest engine with helpers; its contract as an engine is tests/contract/application/test_engine.c. */
#include "application/execution/forest_engine.h"
#include "harness.h"
#include "shared/alloc.h"
#include "shared/file.h"

#include <pthread.h>
#include <stdatomic.h>

enum { ROWS = 9000, FEATURES = 4, CLASSES = 3, LOOPS = 3 };

static struct px_forest *forest;
static float rows[ROWS * FEATURES];
static float expected[2][ROWS * CLASSES]; /* scores and margins, one row at a time */

static _Thread_local void *scratch; /* of this loop, for ROWS rows */

static void make_scratch(const struct px_engine *engine)
{
    scratch = px_alloc_aligned(PX_CACHE_LINE, 1, px_engine_scratch_size(engine, ROWS));
    CHECK(scratch);
}

static enum px_code score(struct px_engine *engine, size_t first, size_t n, float *out,
                          unsigned flags)
{
    struct px_matrix in = {.type = PX_TYPE_FP32,
                           .data = &rows[first * FEATURES],
                           .n_rows = n,
                           .n_cols = FEATURES,
                           .stride = FEATURES};
    struct px_matrix scores = {
        .type = PX_TYPE_FP32, .data = out, .n_rows = n, .n_cols = CLASSES, .stride = CLASSES};
    return px_engine_score(engine, &in, &scores, scratch, flags, NULL);
}

static struct px_engine *make_engine(struct px_pool *pool)
{
    struct px_engine *engine = NULL;
    CHECK_OK(px_forest_engine_create(forest, pool, &engine, NULL));
    return engine;
}

PX_TEST(a_forest_is_read)
{
    struct px_file file;
    CHECK_OK(
        px_file_load(&file, PX_TEST_DATA "/versions/xgboost-3.0.5-classes.json", 1 << 24, NULL));
    CHECK_OK(px_forest_create(file.bytes, NULL, &forest, NULL));
    px_file_unload(&file);
    struct px_matrix probe = {
        .type = PX_TYPE_FP32, .data = rows, .n_rows = ROWS, .n_cols = FEATURES, .stride = FEATURES};
    px_forest_probe_rows(forest, 3, &probe);
    struct px_engine *engine = make_engine(NULL);
    make_scratch(engine); /* the size does not depend on the helpers */
    for (size_t i = 0; i < ROWS; i++) {
        CHECK_OK(score(engine, i, 1, &expected[0][i * CLASSES], 0));
        CHECK_OK(score(engine, i, 1, &expected[1][i * CLASSES], PX_SCORE_MARGIN));
    }
    px_engine_destroy(engine);
}

static struct px_pool *make_pool(unsigned n_threads)
{
    struct px_pool *pool = NULL;
    CHECK_OK(px_pool_create(n_threads, &pool, NULL));
    return pool;
}

PX_TEST(scores_do_not_depend_on_the_helpers)
{
    static float out[ROWS * CLASSES];
    for (unsigned n_threads = 1; n_threads < 6; n_threads++) {
        struct px_pool *pool = make_pool(n_threads);
        struct px_engine *engine = make_engine(pool);
        for (unsigned margin = 0; margin < 2; margin++) {
            memset(out, 0, sizeof out);
            CHECK_OK(score(engine, 0, ROWS, out, margin ? PX_SCORE_MARGIN : 0));
            CHECK(memcmp(out, expected[margin], sizeof out) == 0);
        }
        CHECK_OK(score(engine, 7, 8500, out, 0));
        CHECK(memcmp(out, &expected[0][(size_t)7 * CLASSES], 8500 * CLASSES * sizeof *out) == 0);
        px_engine_destroy(engine);
        px_pool_destroy(pool);
    }
}

struct loop {
    struct px_engine *engine;
    _Atomic unsigned *n_wrong;
};

static void *score_often(void *argument)
{
    const struct loop *loop = argument;
    float *out = px_xalloc(ROWS * CLASSES, sizeof *out);
    scratch = px_alloc_aligned(PX_CACHE_LINE, 1, px_engine_scratch_size(loop->engine, ROWS));
    if (!scratch)
        atomic_fetch_add(loop->n_wrong, 1);
    for (int i = 0; scratch && i < 30; i++) {
        if (score(loop->engine, 0, ROWS, out, 0) != PX_OK ||
            memcmp(out, expected[0], sizeof expected[0]) != 0)
            atomic_fetch_add(loop->n_wrong, 1);
    }
    px_free(out);
    px_free(scratch);
    return NULL;
}

PX_TEST(loops_share_the_helpers)
{
    struct px_pool *pool = make_pool(4);
    struct px_engine *engine = make_engine(pool);
    _Atomic unsigned n_wrong = 0;
    struct loop loop = {engine, &n_wrong};
    pthread_t threads[LOOPS];
    for (size_t i = 0; i < LOOPS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, score_often, &loop), 0);
    for (size_t i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(n_wrong, 0);
    px_engine_destroy(engine);
    px_pool_destroy(pool);
}

PX_TEST(sharing_allocates_nothing)
{
    static float out[ROWS * CLASSES];
    struct px_pool *pool = make_pool(4);
    struct px_engine *engine = make_engine(pool);
    uint64_t before = px_alloc_count();
    for (int i = 0; i < 50; i++)
        CHECK_OK(score(engine, 0, ROWS, out, 0));
    CHECK_INT(px_alloc_count(), before);
    px_engine_destroy(engine);
    px_pool_destroy(pool);
}

PX_TEST(no_memory_is_an_error_and_not_a_crash)
{
    struct px_pool *pool = make_pool(4);
    enum px_code code = PX_E_NO_MEMORY;
    for (uint64_t n = 1; code != PX_OK; n++) {
        struct px_engine *engine = NULL;
        px_alloc_fail_at(n);
        code = px_forest_engine_create(forest, pool, &engine, NULL);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        px_engine_destroy(engine);
        CHECK(n < 20);
    }
    px_pool_destroy(pool);
    px_free(scratch);
    px_forest_destroy(forest);
}

PX_TEST_MAIN(T(a_forest_is_read) T(scores_do_not_depend_on_the_helpers) T(loops_share_the_helpers)
                 T(sharing_allocates_nothing) T(no_memory_is_an_error_and_not_a_crash))
