/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expected values: scikit-learn 1.9.1 (roc_auc_score, average_precision_score, log_loss,
 * brier_score_loss, f1_score, r2_score, ... on the same arrays); the expected calibration error by its
 * definition in numpy.
 */
#include "domain/training/metrics.h"

#include "harness.h"

#include "shared/alloc.h"
#include "shared/rng.h"

#define TINY 1e-12

static const float y[] = {0, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1};
static const double s[] = {.1, .4, .35, .8, .4, .4, .2, .9, .55, .05, .55, .7};

PX_TEST(binary_metrics_equal_scikit_learn)
{
    struct px_binary_metrics m;
    CHECK_OK(px_metrics_binary(y, s, 12, &m, NULL));
    CHECK_INT(m.n_positive, 6);
    CHECK_NEAR(m.auc, 0.8472222222222222, TINY);
    CHECK_NEAR(m.pr_auc, 0.8486111111111111, TINY);
    CHECK_NEAR(m.logloss, 0.45409043109571345, TINY);
    CHECK_NEAR(m.brier, 0.15, TINY);
    CHECK_NEAR(m.ece, 0.15833333333333335, TINY);
    CHECK_NEAR(m.accuracy, 0.75, TINY);
    CHECK_NEAR(m.f1_half, 0.7272727272727273, TINY);
    CHECK_NEAR(m.f1_best, 0.8, TINY);
    CHECK_DOUBLE(m.threshold_best, 0.35);
    CHECK_INT(m.confusion_half[0][0], 5);
    CHECK_INT(m.confusion_half[0][1], 1);
    CHECK_INT(m.confusion_half[1][0], 2);
    CHECK_INT(m.confusion_half[1][1], 4);
    CHECK_INT(m.confusion_best[0][0], 3);
    CHECK_INT(m.confusion_best[1][1], 6);
    CHECK_NEAR(m.precision_best, 6.0 / 9, TINY);
    CHECK_NEAR(m.recall_best, 1, TINY);
}

PX_TEST(bins_hold_every_row)
{
    struct px_binary_metrics m;
    uint64_t n = 0;
    static const float labels[] = {1, 0, 1};
    static const double scores[] = {1.0, 0.0, 0.95};
    CHECK_OK(px_metrics_binary(labels, scores, 3, &m, NULL));
    for (size_t b = 0; b < PX_CALIBRATION_BINS; b++)
        n += m.bins[b].n;
    CHECK_INT(n, 3);
    CHECK_INT(m.bins[9].n, 2);
    CHECK_NEAR(m.bins[9].mean_score, 0.975, TINY);
    CHECK_DOUBLE(m.bins[9].positive_rate, 1);
    CHECK(isnan(m.bins[4].mean_score));
}

/* The definition of AUC, pair by pair, on many rows with many ties. */
PX_TEST(auc_counts_ties_as_half)
{
    enum { N = 400 };
    static float labels[N];
    static double scores[N];
    struct px_rng rng = px_rng(3);
    double won = 0, pairs = 0;
    for (size_t i = 0; i < N; i++) {
        labels[i] = (float)px_rng_below(&rng, 2);
        scores[i] = (double)px_rng_below(&rng, 12) / 12 + (double)labels[i] * 0.2;
    }
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++) {
            if (labels[i] < 0.5F || labels[j] > 0.5F)
                continue;
            pairs++;
            won += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
        }
    }
    struct px_binary_metrics m;
    CHECK_OK(px_metrics_binary(labels, scores, N, &m, NULL));
    CHECK_NEAR(m.auc, won / pairs, TINY);
}

PX_TEST(one_class_has_no_auc)
{
    struct px_binary_metrics m;
    static const float labels[] = {0, 0};
    CHECK_OK(px_metrics_binary(labels, s, 2, &m, NULL));
    CHECK(isnan(m.auc));
    CHECK(isnan(m.pr_auc));
    CHECK_DOUBLE(m.f1_best, 0);
    CHECK(m.logloss > 0);
    CHECK_OK(px_metrics_binary(labels, s, 0, &m, NULL));
    CHECK(isnan(m.logloss));
}

PX_TEST(certain_and_wrong_is_finite)
{
    struct px_binary_metrics m;
    static const float labels[] = {0, 1};
    static const double scores[] = {1, 0};
    CHECK_OK(px_metrics_binary(labels, scores, 2, &m, NULL));
    CHECK(isfinite(m.logloss) && m.logloss > 30);
    CHECK_DOUBLE(m.auc, 0);
}

PX_TEST(regression_metrics_equal_scikit_learn)
{
    static const float labels[] = {3, -.5F, 2, 7, 4.25F};
    static const double scores[] = {2.5, 0, 2, 8, 4};
    struct px_regression_metrics m;
    px_metrics_regression(labels, scores, 5, &m);
    CHECK_NEAR(m.rmse, 0.5590169943749475, TINY);
    CHECK_NEAR(m.mae, 0.45, TINY);
    CHECK_NEAR(m.r2, 0.9491042345276873, TINY);
    static const float constant[] = {1, 1};
    px_metrics_regression(constant, scores, 2, &m);
    CHECK(isnan(m.r2));
}

PX_TEST(multiclass_metrics_equal_scikit_learn)
{
    static const float labels[] = {0, 1, 2, 2, 1, 0, 2, 1};
    static const double scores[] = {.7, .2, .1, .2, .5,  .3,  .1,  .2,  .7, .3, .4, .3,
                                    .6, .3, .1, .5, .25, .25, .05, .05, .9, .1, .8, .1};
    static const uint64_t confusion[] = {2, 0, 0, 1, 2, 0, 0, 1, 2};
    uint64_t got[9];
    struct px_multiclass_metrics m = {.n_classes = 3, .confusion = got};
    px_metrics_multiclass(labels, scores, 8, &m);
    CHECK_NEAR(m.logloss, 0.6045117405776579, TINY);
    CHECK_NEAR(m.accuracy, 0.75, TINY);
    CHECK_NEAR(m.macro_f1, 0.7555555555555555, TINY);
    CHECK(memcmp(got, confusion, sizeof got) == 0);
}

PX_TEST(an_absent_class_does_not_count)
{
    static const float labels[] = {0, 1};
    static const double scores[] = {1, 0, 0, 0, 1, 0};
    uint64_t got[9];
    struct px_multiclass_metrics m = {.n_classes = 3, .confusion = got};
    px_metrics_multiclass(labels, scores, 2, &m);
    CHECK_DOUBLE(m.macro_f1, 1);
    CHECK(isnan(px_metrics_class_f1(&m, 2)));
}

PX_TEST(no_memory_is_an_error)
{
    struct px_binary_metrics m;
    px_alloc_fail_at(1);
    enum px_code code = px_metrics_binary(y, s, 12, &m, NULL);
    px_alloc_fail_at(0);
    CHECK_INT(code, PX_E_NO_MEMORY);
}

PX_TEST_MAIN(T(binary_metrics_equal_scikit_learn) T(bins_hold_every_row) T(auc_counts_ties_as_half)
                 T(one_class_has_no_auc) T(certain_and_wrong_is_finite)
                     T(regression_metrics_equal_scikit_learn)
                         T(multiclass_metrics_equal_scikit_learn) T(an_absent_class_does_not_count)
                             T(no_memory_is_an_error))
