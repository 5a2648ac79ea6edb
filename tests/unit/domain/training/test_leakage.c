/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/training/leakage.h"

#include "harness.h"

#include "shared/rng.h"

enum { N = 2000, COLS = 4, COPY = 1, NOISE = 2, GAPS = 3 };

static float rows[2 * N][COLS], labels[2 * N];

/* Column 0 is a category code, 1 is the label in other numbers, 2 is noise, 3 is missing iff positive. */
static struct px_leakage_question ask(enum px_task task, size_t n_classes, struct px_matrix *m)
{
    struct px_rng rng = px_rng(1);
    for (size_t i = 0; i < 2 * N; i++) {
        labels[i] = task == PX_TASK_REGRESSION ? (float)px_rng_unit(&rng)
                                               : (float)px_rng_below(&rng, n_classes);
        rows[i][0] = labels[i] * 2 + (float)px_rng_below(&rng, 2);
        rows[i][COPY] = 100 - labels[i];
        rows[i][NOISE] = (float)px_rng_unit(&rng);
        rows[i][GAPS] = labels[i] > 0.5F ? NAN : (float)px_rng_unit(&rng);
    }
    m[0] = (struct px_matrix){PX_TYPE_FP32, rows, N, COLS, COLS};
    m[1] = (struct px_matrix){PX_TYPE_FP32, rows[N], N, COLS, COLS};
    return (struct px_leakage_question){
        .fit = {&m[0], labels}, .judge = {&m[1], labels + N}, .task = task, .n_classes = n_classes};
}

static double strength(const struct px_leakage_question *question, size_t col, bool categorical)
{
    double got = -1;
    CHECK_OK(px_leakage_strength(question, col, categorical, &got, NULL));
    return got;
}

PX_TEST(finds_a_column_that_is_the_label)
{
    struct px_matrix m[2];
    struct px_leakage_question q = ask(PX_TASK_BINARY, 2, m);
    CHECK_DOUBLE(strength(&q, 0, true), 1);
    CHECK_DOUBLE(strength(&q, COPY, false), 1);
    CHECK_DOUBLE(strength(&q, GAPS, false), 1);
    CHECK(fabs(strength(&q, NOISE, false) - 0.5) < 0.05);
}

PX_TEST(judges_classes_by_accuracy)
{
    struct px_matrix m[2];
    struct px_leakage_question q = ask(PX_TASK_MULTICLASS, 5, m);
    CHECK_DOUBLE(strength(&q, 0, true), 1);
    CHECK_DOUBLE(strength(&q, COPY, false), 1);
    CHECK(strength(&q, NOISE, false) < 0.3);
}

PX_TEST(judges_regression_by_r2)
{
    struct px_matrix m[2];
    struct px_leakage_question q = ask(PX_TASK_REGRESSION, 0, m);
    CHECK(strength(&q, COPY, false) > 0.99);
    CHECK(strength(&q, NOISE, false) < 0.1);
}

PX_TEST_MAIN(T(finds_a_column_that_is_the_label) T(judges_classes_by_accuracy)
                 T(judges_regression_by_r2))
