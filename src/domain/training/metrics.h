/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How good scores are. Definitions are those of scikit-learn (metrics module), so that numbers can be
 * compared with a notebook's; where there is no such definition the source is named.
 *
 * Scores of a binary task are probabilities of the positive class, labels are 0 and 1. Scores of a
 * multi-class task are [n, n_classes] probabilities, labels are class codes. A metric that does not
 * exist for the rows at hand (AUC with one class only) is NaN.
 */
#ifndef PX_DOMAIN_TRAINING_METRICS_H
#define PX_DOMAIN_TRAINING_METRICS_H

#include "shared/err.h"

#include <stdint.h>

enum { PX_CALIBRATION_BINS = 10 };

/* Rows whose score is in [i/10, (i+1)/10). */
struct px_calibration_bin {
    uint64_t n;
    double mean_score, positive_rate; /* NaN when n is 0 */
};

struct px_binary_metrics {
    uint64_t n, n_positive;
    double auc;      /* Mann-Whitney: P(score of a positive > of a negative), a tie counts half */
    double pr_auc;   /* average precision: the sum of precision times the step in recall */
    double logloss;  /* mean; scores are clipped to [1e-15, 1 - 1e-15] */
    double brier;    /* mean squared error of the probability */
    double ece;      /* expected calibration error over the bins (Naeini and others, AAAI 2015) */
    double accuracy; /* at the threshold 0.5 */
    double f1_half;  /* at the threshold 0.5 */
    double f1_best, threshold_best; /* the highest F1 over all thresholds (score >= threshold) */
    double precision_best, recall_best;
    uint64_t confusion_half[2][2], confusion_best[2][2]; /* [actual][predicted] */
    struct px_calibration_bin bins[PX_CALIBRATION_BINS];
};

PX_MUST_USE enum px_code px_metrics_binary(const float *labels, const double *scores, size_t n,
                                           struct px_binary_metrics *ret, struct px_err *err);

struct px_regression_metrics {
    uint64_t n;
    double rmse, mae;
    double r2; /* 1 - residual / total sum of squares; NaN when the labels are constant */
    double mean_label, mean_score;
};

void px_metrics_regression(const float *labels, const double *scores, size_t n,
                           struct px_regression_metrics *ret);

struct px_multiclass_metrics {
    uint64_t n;
    size_t n_classes;
    double logloss, accuracy;
    /* Mean of the classes' F1; a class that is neither there nor predicted is left out. */
    double macro_f1;
    uint64_t *confusion; /* [actual, predicted]; the caller's, n_classes squared */
};

/* The predicted class is the first of the highest scores. `ret->confusion` and `n_classes` are set by the caller. */
void px_metrics_multiclass(const float *labels, const double *scores, size_t n,
                           struct px_multiclass_metrics *ret);

/* F1 of one class of a confusion matrix; NaN when it is neither there nor predicted. */
double px_metrics_class_f1(const struct px_multiclass_metrics *metrics, size_t class_index);

#endif
