/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How well one feature alone predicts the target: a sign of leakage when it does so almost perfectly
 * (a column that is filled in after the fact, or that is the target in other words).
 *
 * The model of one feature: up to PX_LEAKAGE_BINS bins of equal size (a category is a bin, missing is a
 * bin), each predicting the mean label of its fitting rows. It is judged on other rows.
 */
#ifndef PX_DOMAIN_TRAINING_LEAKAGE_H
#define PX_DOMAIN_TRAINING_LEAKAGE_H

#include "domain/inference/signature.h"

enum {
    PX_LEAKAGE_BINS = 64,
    PX_LEAKAGE_ROWS_MAX = 20000, /* of each sample; longer ones are thinned evenly */
};

/* A feature this good alone is worth a warning. */
#define PX_LEAKAGE_LIMIT 0.99

/* Rows of a training set and their labels. */
struct px_leakage_sample {
    const struct px_matrix *rows;
    const float *labels;
};

/*
 * The strength of feature `col`, fitted on `fit` and judged on `judge`: AUC for binary tasks, accuracy for
 * multi-class ones, R2 for regression. NaN when it has none. PX_E_NO_MEMORY.
 */
struct px_leakage_question {
    struct px_leakage_sample fit, judge;
    enum px_task task;
    size_t n_classes;
};

PX_MUST_USE enum px_code px_leakage_strength(const struct px_leakage_question *question, size_t col,
                                             bool categorical, double *ret, struct px_err *err);

#endif
