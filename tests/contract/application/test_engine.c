/* SPDX-License-Identifier: Apache-2.0 */
/* The engine port's contract, run against every adapter. */
#include "application/execution/forest_engine.h"
#include "memory_engine.h"
#include "tiny_model.h"

#include "harness.h"

enum { ROWS_MAX = 100 };

static struct px_forest *forest;

static struct px_engine *make_forest_engine(void)
{
    struct px_engine *engine = NULL;
    struct px_err err;
    if (!forest && px_forest_create(px_str(tiny_model), NULL, &forest, &err) != PX_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    CHECK_OK(px_forest_engine_create(forest, NULL, &engine, &err));
    return engine;
}

static struct px_engine *make_memory_engine(void)
{
    return &memory_engine_create(2)->base;
}

static struct px_engine *(*const adapters[])(void) = {make_memory_engine, make_forest_engine};

/* Scores `n` rows whose values depend on their index, starting at `first`. */
static void score(struct px_engine *engine, size_t first, size_t n, double *out, unsigned flags)
{
    size_t n_cols = flags & PX_SCORE_MARGIN ? engine->n_margins : engine->n_outputs;
    struct px_matrix rows = {.type = engine->feature_type,
                             .data = px_xalloc(ROWS_MAX * engine->n_features, 8),
                             .n_rows = n,
                             .n_cols = engine->n_features,
                             .stride = engine->n_features};
    struct px_matrix scores = {.type = engine->score_type,
                               .data = px_xalloc(ROWS_MAX * n_cols, 8),
                               .n_rows = n,
                               .n_cols = n_cols,
                               .stride = n_cols};
    void *scratch = px_alloc_aligned(PX_CACHE_LINE, 1, px_engine_scratch_size(engine, n) + 1);
    CHECK(scratch != NULL);
    for (size_t i = 0; i < n; i++) {
        for (size_t col = 0; col < engine->n_features; col++)
            px_matrix_set(&rows, i, col, (double)((first + i) * (col + 3) % 7) / 2);
    }
    CHECK_OK(px_engine_score(engine, &rows, &scores, scratch, flags, NULL));
    for (size_t i = 0; i < n; i++)
        out[i] = px_matrix_get(&scores, i, 0);
    px_free(rows.data);
    px_free(scores.data);
    px_free(scratch);
}

PX_TEST(an_adapter_describes_itself)
{
    for (size_t a = 0; a < PX_ARRAY_LEN(adapters); a++) {
        struct px_engine *engine = adapters[a]();
        CHECK_INT(engine->ops->abi, PX_ENGINE_ABI);
        CHECK(engine->ops->name && engine->ops->name[0]);
        CHECK(engine->n_features == 2 && engine->n_outputs >= 1 && engine->n_margins >= 1);
        CHECK(engine->feature_type == PX_TYPE_FP32 || engine->feature_type == PX_TYPE_FP64);
        px_engine_destroy(engine);
    }
}

PX_TEST(no_rows_are_no_work)
{
    for (size_t a = 0; a < PX_ARRAY_LEN(adapters); a++) {
        struct px_engine *engine = adapters[a]();
        double out[1] = {0};
        score(engine, 0, 0, out, 0);
        px_engine_destroy(engine);
    }
}

PX_TEST(a_row_scores_the_same_alone_and_in_any_batch)
{
    for (size_t a = 0; a < PX_ARRAY_LEN(adapters); a++) {
        struct px_engine *engine = adapters[a]();
        double together[ROWS_MAX], alone;
        score(engine, 0, ROWS_MAX, together, 0);
        for (size_t i = 0; i < ROWS_MAX; i++) {
            score(engine, i, 1, &alone, 0);
            CHECK_DOUBLE(alone, together[i]);
        }
        px_engine_destroy(engine);
    }
}

PX_TEST(margins_come_when_the_capability_says_so)
{
    for (size_t a = 0; a < PX_ARRAY_LEN(adapters); a++) {
        struct px_engine *engine = adapters[a]();
        double first[ROWS_MAX], second[ROWS_MAX];
        CHECK(engine->ops->caps & PX_ENGINE_MARGIN);
        score(engine, 0, ROWS_MAX, first, PX_SCORE_MARGIN);
        score(engine, 0, ROWS_MAX, second, PX_SCORE_MARGIN);
        CHECK(memcmp(first, second, sizeof first) == 0); /* idempotent */
        px_engine_destroy(engine);
    }
}

PX_TEST(scratch_grows_with_the_rows)
{
    for (size_t a = 0; a < PX_ARRAY_LEN(adapters); a++) {
        struct px_engine *engine = adapters[a]();
        for (size_t n = 1; n < 5000; n *= 3)
            CHECK(px_engine_scratch_size(engine, n) <= px_engine_scratch_size(engine, 3 * n));
        px_engine_destroy(engine);
    }
}

PX_TEST(destroying_nothing_is_fine)
{
    px_engine_destroy(NULL);
    px_forest_destroy(forest);
    forest = NULL;
}

PX_TEST_MAIN(T(an_adapter_describes_itself) T(no_rows_are_no_work)
                 T(a_row_scores_the_same_alone_and_in_any_batch)
                     T(margins_come_when_the_capability_says_so) T(scratch_grows_with_the_rows)
                         T(destroying_nothing_is_fine))
