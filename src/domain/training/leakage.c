/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/training/leakage.h"

#include "domain/training/metrics.h"
#include "domain/training/target.h"
#include "shared/alloc.h"

#include <math.h>

enum {
    CODES_MAX = PX_CATEGORIES_MAX + 2, /* categories, their bucket, missing */
    BINS_MAX = CODES_MAX > PX_LEAKAGE_BINS + 1 ? CODES_MAX : PX_LEAKAGE_BINS + 1,
};

struct bins {
    bool categorical;
    double edges[PX_LEAKAGE_BINS]; /* a value belongs to the first bin whose edge is not below it */
    size_t n_edges;
    double prediction[BINS_MAX]; /* mean label, or most frequent class */
};

static size_t step_of(const struct px_matrix *rows)
{
    return rows->n_rows / PX_LEAKAGE_ROWS_MAX + 1;
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static enum px_code cut(const struct px_leakage_sample *fit, size_t col, struct bins *bins,
                        struct px_err *err)
{
    size_t step = step_of(fit->rows), n = 0;
    double *values = px_alloc(fit->rows->n_rows / step + 1, sizeof *values);
    if (!values)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to look for leakage");
    for (size_t i = 0; i < fit->rows->n_rows; i += step) {
        double value = px_matrix_get(fit->rows, i, col);
        if (!isnan(value))
            values[n++] = value;
    }
    qsort(values, n, sizeof *values, by_value);
    for (size_t b = 1; b <= PX_LEAKAGE_BINS && n > 0; b++) {
        double edge = values[(n - 1) * b / PX_LEAKAGE_BINS];
        if (bins->n_edges == 0 || edge > bins->edges[bins->n_edges - 1])
            bins->edges[bins->n_edges++] = edge;
    }
    px_free(values);
    return PX_OK;
}

/* Missing is the last bin; values above the last edge belong to the bin below it. */
static size_t bin_of(const struct bins *bins, double value)
{
    if (isnan(value))
        return BINS_MAX - 1;
    if (bins->categorical)
        return value < CODES_MAX - 1 ? (size_t)value : CODES_MAX - 2;
    size_t low = 0, high = bins->n_edges - (bins->n_edges > 0);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (value > bins->edges[middle])
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void fit_means(const struct px_leakage_sample *fit, size_t col, struct bins *bins)
{
    double sum[BINS_MAX] = {0}, n[BINS_MAX] = {0}, all = 0, n_all = 0;
    for (size_t i = 0, step = step_of(fit->rows); i < fit->rows->n_rows; i += step) {
        size_t bin = bin_of(bins, px_matrix_get(fit->rows, i, col));
        sum[bin] += (double)fit->labels[i];
        all += (double)fit->labels[i];
        n[bin]++;
        n_all++;
    }
    for (size_t b = 0; b < BINS_MAX; b++)
        bins->prediction[b] = n[b] > 0 ? sum[b] / n[b] : all / n_all;
}

static enum px_code fit_classes(const struct px_leakage_question *question, size_t col,
                                struct bins *bins, struct px_err *err)
{
    const struct px_leakage_sample *fit = &question->fit;
    uint32_t *n = px_alloc(BINS_MAX * question->n_classes, sizeof *n);
    if (!n)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to look for leakage");
    for (size_t i = 0, step = step_of(fit->rows); i < fit->rows->n_rows; i += step) {
        size_t bin = bin_of(bins, px_matrix_get(fit->rows, i, col));
        n[bin * question->n_classes + (size_t)fit->labels[i]]++;
    }
    for (size_t b = 0; b < BINS_MAX; b++) {
        const uint32_t *row = n + b * question->n_classes;
        size_t best = 0;
        for (size_t c = 1; c < question->n_classes; c++)
            best = row[c] > row[best] ? c : best;
        bins->prediction[b] = (double)best;
    }
    px_free(n);
    return PX_OK;
}

static enum px_code judge_binary(const float *labels, const double *predictions, size_t n,
                                 double *ret, struct px_err *err)
{
    struct px_binary_metrics metrics;
    enum px_code code = px_metrics_binary(labels, predictions, n, &metrics, err);
    if (code == PX_OK)
        *ret = metrics.auc;
    return code;
}

static double judge_classes(const float *labels, const double *predictions, size_t n)
{
    size_t right = 0;
    for (size_t i = 0; i < n; i++)
        right += (double)labels[i] == predictions[i];
    return n ? (double)right / (double)n : (double)NAN;
}

/* Predicts the judged rows into two arrays of `values` and `labels`; returns their count. */
static size_t predict(const struct px_leakage_sample *judge, size_t col, const struct bins *bins,
                      double *predictions, float *labels)
{
    size_t n = 0;
    for (size_t i = 0, step = step_of(judge->rows); i < judge->rows->n_rows; i += step) {
        predictions[n] = bins->prediction[bin_of(bins, px_matrix_get(judge->rows, i, col))];
        labels[n++] = judge->labels[i];
    }
    return n;
}

static enum px_code judge_bins(const struct px_leakage_question *question, size_t col,
                               const struct bins *bins, double *ret, struct px_err *err)
{
    const struct px_leakage_sample *judge = &question->judge;
    size_t cap = judge->rows->n_rows / step_of(judge->rows) + 1;
    double *predictions = px_alloc(cap, sizeof *predictions);
    float *labels = px_alloc(cap, sizeof *labels);
    struct px_regression_metrics metrics;
    enum px_code code = PX_OK;
    if (!predictions || !labels) {
        code = px_err_set(err, PX_E_NO_MEMORY, "no memory to look for leakage");
    } else {
        size_t n = predict(judge, col, bins, predictions, labels);
        if (question->task == PX_TASK_BINARY) {
            code = judge_binary(labels, predictions, n, ret, err);
        } else if (question->task == PX_TASK_MULTICLASS) {
            *ret = judge_classes(labels, predictions, n);
        } else {
            px_metrics_regression(labels, predictions, n, &metrics);
            *ret = metrics.r2;
        }
    }
    px_free(predictions);
    px_free(labels);
    return code;
}

enum px_code px_leakage_strength(const struct px_leakage_question *question, size_t col,
                                 bool categorical, double *ret, struct px_err *err)
{
    struct bins bins = {.categorical = categorical};
    enum px_code code = PX_OK;
    PX_ASSERT(question->fit.rows->n_rows > 0);
    if (!categorical)
        code = cut(&question->fit, col, &bins, err);
    if (code == PX_OK && question->task == PX_TASK_MULTICLASS)
        code = fit_classes(question, col, &bins, err);
    else if (code == PX_OK)
        fit_means(&question->fit, col, &bins);
    return code == PX_OK ? judge_bins(question, col, &bins, ret, err) : code;
}
