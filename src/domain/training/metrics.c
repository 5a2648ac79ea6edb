/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sort by score serves AUC, average precision and the best F1: going down the sorted rows, the
 * counts of positives and negatives so far are the confusion matrix of "score >= this one". Rows with
 * equal scores are one step, else the result would depend on the order of the input.
 */
#include "domain/training/metrics.h"

#include "shared/alloc.h"

#include <math.h>

#define PROBABILITY_MIN 1e-15

struct scored {
    double score;
    bool positive;
};

static int by_score_down(const void *left, const void *right)
{
    const struct scored *a = left, *b = right;
    return (a->score < b->score) - (a->score > b->score);
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : (double)NAN;
}

static double clip(double probability)
{
    return fmin(fmax(probability, PROBABILITY_MIN), 1 - PROBABILITY_MIN);
}

/* F1 from counts; 0 when nothing was found, as scikit-learn has it. */
static double f1(uint64_t true_positive, uint64_t false_positive, uint64_t false_negative)
{
    uint64_t whole = 2 * true_positive + false_positive + false_negative;
    return whole ? 2 * (double)true_positive / (double)whole : 0;
}

static void note_best(struct px_binary_metrics *m, uint64_t positives, uint64_t negatives,
                      double threshold)
{
    double value = f1(positives, negatives, m->n_positive - positives);
    if (value <= m->f1_best)
        return;
    m->f1_best = value;
    m->threshold_best = threshold;
    m->precision_best = (double)positives / (double)(positives + negatives);
    m->recall_best = (double)positives / (double)m->n_positive;
    m->confusion_best[1][1] = positives;
    m->confusion_best[1][0] = m->n_positive - positives;
    m->confusion_best[0][1] = negatives;
    m->confusion_best[0][0] = m->n - m->n_positive - negatives;
}

/* AUC, average precision and the best F1 from rows in descending order. */
static void rank_metrics(const struct scored *rows, struct px_binary_metrics *m)
{
    uint64_t positives = 0, negatives = 0;
    double won = 0, precision_sum = 0;
    for (size_t i = 0; i < m->n;) {
        uint64_t step_positives = rows[i].positive, step = 1;
        for (; i + step < m->n && rows[i + step].score == rows[i].score; step++)
            step_positives += rows[i + step].positive;
        /* Each negative of this step loses against all positives above it and half of its own. */
        won += (double)(step - step_positives) * ((double)positives + (double)step_positives / 2);
        positives += step_positives;
        negatives += step - step_positives;
        precision_sum +=
            (double)step_positives * (double)positives / (double)(positives + negatives);
        note_best(m, positives, negatives, rows[i].score);
        i += step;
    }
    m->auc = ratio(won, (double)m->n_positive * (double)(m->n - m->n_positive));
    m->pr_auc = ratio(precision_sum, (double)m->n_positive);
}

static void calibration(const float *labels, const double *scores, struct px_binary_metrics *m)
{
    double score_sum[PX_CALIBRATION_BINS] = {0}, positives[PX_CALIBRATION_BINS] = {0};
    for (size_t i = 0; i < m->n; i++) {
        double at = floor(scores[i] * PX_CALIBRATION_BINS);
        size_t bin = (size_t)fmin(fmax(at, 0), PX_CALIBRATION_BINS - 1);
        m->bins[bin].n++;
        score_sum[bin] += scores[i];
        positives[bin] += (double)labels[i];
    }
    for (size_t b = 0; b < PX_CALIBRATION_BINS; b++) {
        struct px_calibration_bin *bin = &m->bins[b];
        bin->mean_score = ratio(score_sum[b], (double)bin->n);
        bin->positive_rate = ratio(positives[b], (double)bin->n);
        if (bin->n)
            m->ece += fabs(score_sum[b] - positives[b]) / (double)m->n;
    }
}

/* Metrics that are means over the rows. */
static void row_metrics(const float *labels, const double *scores, struct px_binary_metrics *m)
{
    for (size_t i = 0; i < m->n; i++) {
        bool positive = labels[i] > 0.5F;
        double p = clip(scores[i]), error = scores[i] - (double)labels[i];
        m->n_positive += positive;
        m->logloss -= log(positive ? p : 1 - p);
        m->brier += error * error;
        m->confusion_half[positive][scores[i] >= 0.5]++;
    }
    uint64_t(*c)[2] = m->confusion_half;
    m->logloss = ratio(m->logloss, (double)m->n);
    m->brier = ratio(m->brier, (double)m->n);
    m->accuracy = ratio((double)(c[0][0] + c[1][1]), (double)m->n);
    m->f1_half = f1(c[1][1], c[0][1], c[1][0]);
}

enum px_code px_metrics_binary(const float *labels, const double *scores, size_t n,
                               struct px_binary_metrics *ret, struct px_err *err)
{
    struct scored *rows = px_alloc(n + 1, sizeof *rows);
    if (!rows)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to rank %zu scores", n);
    *ret = (struct px_binary_metrics){.n = n, .threshold_best = 0.5};
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct scored){scores[i], labels[i] > 0.5F};
    qsort(rows, n, sizeof *rows, by_score_down);
    row_metrics(labels, scores, ret);
    rank_metrics(rows, ret);
    calibration(labels, scores, ret);
    px_free(rows);
    return PX_OK;
}

void px_metrics_regression(const float *labels, const double *scores, size_t n,
                           struct px_regression_metrics *ret)
{
    double squares = 0, absolute = 0, total = 0;
    *ret = (struct px_regression_metrics){.n = n};
    for (size_t i = 0; i < n; i++) {
        ret->mean_label += (double)labels[i];
        ret->mean_score += scores[i];
    }
    ret->mean_label = ratio(ret->mean_label, (double)n);
    ret->mean_score = ratio(ret->mean_score, (double)n);
    for (size_t i = 0; i < n; i++) {
        double error = scores[i] - (double)labels[i];
        double apart = (double)labels[i] - ret->mean_label;
        squares += error * error;
        absolute += fabs(error);
        total += apart * apart;
    }
    ret->rmse = sqrt(ratio(squares, (double)n));
    ret->mae = ratio(absolute, (double)n);
    ret->r2 = 1 - ratio(squares, total);
}

static size_t predicted_class(const double *scores, size_t n_classes)
{
    size_t best = 0;
    for (size_t c = 1; c < n_classes; c++)
        best = scores[c] > scores[best] ? c : best;
    return best;
}

double px_metrics_class_f1(const struct px_multiclass_metrics *metrics, size_t class_index)
{
    size_t n = metrics->n_classes;
    uint64_t hit = metrics->confusion[class_index * n + class_index], actual = 0, predicted = 0;
    for (size_t i = 0; i < n; i++) {
        actual += metrics->confusion[class_index * n + i];
        predicted += metrics->confusion[i * n + class_index];
    }
    return actual + predicted ? f1(hit, predicted - hit, actual - hit) : (double)NAN;
}

void px_metrics_multiclass(const float *labels, const double *scores, size_t n,
                           struct px_multiclass_metrics *ret)
{
    size_t n_classes = ret->n_classes, n_f1 = 0, right = 0;
    double loss = 0, f1_sum = 0;
    memset(ret->confusion, 0, n_classes * n_classes * sizeof *ret->confusion);
    for (size_t i = 0; i < n; i++) {
        const double *row = scores + i * n_classes;
        size_t actual = (size_t)labels[i], predicted = predicted_class(row, n_classes);
        PX_ASSERT(actual < n_classes);
        loss -= log(clip(row[actual]));
        right += predicted == actual;
        ret->confusion[actual * n_classes + predicted]++;
    }
    for (size_t c = 0; c < n_classes; c++) {
        double value = px_metrics_class_f1(ret, c);
        if (isnan(value))
            continue;
        f1_sum += value;
        n_f1++;
    }
    ret->n = n;
    ret->logloss = ratio(loss, (double)n);
    ret->accuracy = ratio((double)right, (double)n);
    ret->macro_f1 = ratio(f1_sum, (double)n_f1);
}
