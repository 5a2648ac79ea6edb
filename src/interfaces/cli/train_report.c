/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/train_report.h"

#include <inttypes.h>
#include <math.h>

enum {
    COLUMNS_SHOWN = 60,
    CLASSES_SHOWN = 12, /* rows and columns of a confusion matrix */
    NAME_WIDTH = 24,
};

static void print_label(FILE *out, const char *label)
{
    fprintf(out, "  %-12s", label);
}

static int padded(struct px_str s, int width)
{
    return s.len < (size_t)width ? width - (int)s.len : 0;
}

static void print_padded(FILE *out, struct px_str s, int width)
{
    fprintf(out, "%.*s%*s", PX_STR_ARG(s), padded(s, width), "");
}

static void print_head(FILE *out, const struct px_training_report *r)
{
    fprintf(out, "%.*s predicts '%.*s': %s, because %s\n", PX_STR_ARG(r->name),
            PX_STR_ARG(r->target), px_task_name(r->task), r->task_why);
    if (r->task == PX_TASK_BINARY)
        fprintf(out, "  score = probability of '%.*s' (--positive chooses the other)\n",
                PX_STR_ARG(r->labels[1]));
}

static void print_feature(FILE *out, const struct px_training_report *r,
                          const struct px_training_column *c)
{
    fputs("    ", out);
    print_padded(out, c->name, NAME_WIDTH);
    fprintf(out, " %s", px_feature_kind_name(c->kind));
    if (c->n_categories)
        fprintf(out, ", %zu values", c->n_categories);
    if (c->n_bucket)
        fprintf(out, " and a bucket for %zu more", c->n_bucket);
    if (c->n_missing)
        fprintf(out, ", %.1f %% missing", 100.0 * (double)c->n_missing / (double)r->n_rows);
    fputc('\n', out);
}

static void print_columns(FILE *out, const struct px_training_report *r)
{
    size_t shown = 0, left_out = 0;
    fprintf(out, "\n  Features (%zu of %zu columns)\n", r->n_features, r->n_columns);
    for (size_t i = 0; i < r->n_columns; i++) {
        left_out += r->columns[i].role == PX_COLUMN_LEFT_OUT;
        if (r->columns[i].role == PX_COLUMN_FEATURE && shown++ < COLUMNS_SHOWN)
            print_feature(out, r, &r->columns[i]);
    }
    if (shown > COLUMNS_SHOWN)
        fprintf(out, "    and %zu more\n", shown - COLUMNS_SHOWN);
    if (left_out)
        fputs("\n  Left out\n", out);
    for (size_t i = 0; i < r->n_columns; i++) {
        const struct px_training_column *c = &r->columns[i];
        if (c->role != PX_COLUMN_LEFT_OUT)
            continue;
        fputs("    ", out);
        print_padded(out, c->name, NAME_WIDTH);
        fprintf(out, " %s\n", c->note);
    }
}

static void print_work(FILE *out, const struct px_training_report *r)
{
    fputc('\n', out);
    print_label(out, "rows");
    fprintf(out, "%zu train, %zu decide when to stop, %zu measure; ", r->n_part[PX_PART_TRAIN],
            r->n_part[PX_PART_VALID], r->n_part[PX_PART_TEST]);
    if (!r->split_by_time)
        fprintf(out, "drawn at random, seed %" PRIu64 "\n", r->params.seed);
    else if (r->time_column.len)
        fprintf(out, "by '%.*s', the newest measure\n", PX_STR_ARG(r->time_column));
    else
        fputs("in the file's order, the last measure\n", out);
    print_label(out, "training");
    fprintf(out, "%.*s, %d rounds", PX_STR_ARG(r->trainer), r->best_round + 1);
    if (r->best_round + 1 < r->rounds)
        fprintf(out, " (stopped early after %d)", r->rounds);
    fprintf(out, ", %.1f s\n", r->seconds);
}

static void print_metric(FILE *out, const char *name, double value, const char *note)
{
    fprintf(out, "    %-18s", name);
    if (isnan(value))
        fputs("     -", out);
    else
        fprintf(out, "%10.4f", value);
    fprintf(out, "%s%s\n", *note ? "   " : "", note);
}

static void print_confusion(FILE *out, const struct px_str *labels, const uint64_t *counts,
                            size_t n)
{
    size_t shown = n < CLASSES_SHOWN ? n : CLASSES_SHOWN;
    fprintf(out, "    %-18s", "actual \\ predicted");
    for (size_t c = 0; c < shown; c++)
        fprintf(out, " %12.*s", labels[c].len < 12 ? (int)labels[c].len : 12, labels[c].ptr);
    fputc('\n', out);
    for (size_t a = 0; a < shown; a++) {
        fputs("    ", out);
        print_padded(out, labels[a], 18);
        for (size_t p = 0; p < shown; p++)
            fprintf(out, " %12" PRIu64, counts[a * n + p]);
        fputc('\n', out);
    }
    if (shown < n)
        fprintf(out, "    and %zu more classes\n", n - shown);
}

static void print_calibration(FILE *out, const struct px_binary_metrics *m)
{
    fputs("\n  Calibration\n    score        rows   mean score   positive rate\n", out);
    for (size_t b = 0; b < PX_CALIBRATION_BINS; b++) {
        const struct px_calibration_bin *bin = &m->bins[b];
        if (bin->n)
            fprintf(out, "    %.1f-%.1f %8" PRIu64 "       %6.4f          %6.4f\n", (double)b / 10,
                    (double)(b + 1) / 10, bin->n, bin->mean_score, bin->positive_rate);
    }
}

static void print_binary(FILE *out, const struct px_training_report *r)
{
    const struct px_binary_metrics *m = &r->binary;
    char note[96];
    double rate = m->n ? (double)m->n_positive / (double)m->n : 0;
    print_metric(out, "AUC", m->auc, "0.5 is guessing");
    snprintf(note, sizeof note, "%.4f is guessing", rate);
    print_metric(out, "PR-AUC", m->pr_auc, note);
    print_metric(out, "log loss", m->logloss, "");
    print_metric(out, "Brier", m->brier, "");
    print_metric(out, "calibration error", m->ece, "");
    print_metric(out, "accuracy", m->accuracy, "at 0.5");
    print_metric(out, "F1", m->f1_half, "at 0.5");
    snprintf(note, sizeof note, "at %.4g: precision %.3f, recall %.3f", m->threshold_best,
             m->precision_best, m->recall_best);
    print_metric(out, "best F1", m->f1_best, note);
    fprintf(out, "\n  Confusion at %.4g (best F1)\n", m->threshold_best);
    print_confusion(out, r->labels, &m->confusion_best[0][0], 2);
    print_calibration(out, m);
}

static void print_multiclass(FILE *out, const struct px_training_report *r)
{
    const struct px_multiclass_metrics *m = &r->multiclass;
    char note[64];
    snprintf(note, sizeof note, "%.4f is guessing", r->majority_share);
    print_metric(out, "accuracy", m->accuracy, note);
    print_metric(out, "macro F1", m->macro_f1, "");
    print_metric(out, "log loss", m->logloss, "");
    fputs("\n  Confusion\n", out);
    print_confusion(out, r->labels, m->confusion, m->n_classes);
}

static void print_regression(FILE *out, const struct px_training_report *r)
{
    const struct px_regression_metrics *m = &r->regression;
    print_metric(out, "RMSE", m->rmse, "");
    print_metric(out, "MAE", m->mae, "");
    print_metric(out, "R2", m->r2, "0 is guessing the mean");
    print_metric(out, "mean target", m->mean_label, "");
    print_metric(out, "mean score", m->mean_score, "");
}

static void print_metrics(FILE *out, const struct px_training_report *r)
{
    if (r->n_part[PX_PART_TEST] == 0) {
        fputs("\n  Nothing was measured, because no rows were kept for it\n", out);
        return;
    }
    fprintf(out, "\n  Measured on %zu rows that training never saw\n", r->n_part[PX_PART_TEST]);
    if (r->task == PX_TASK_BINARY)
        print_binary(out, r);
    else if (r->task == PX_TASK_MULTICLASS)
        print_multiclass(out, r);
    else
        print_regression(out, r);
}

static void print_end(FILE *out, const struct px_training_report *r)
{
    if (r->n_warnings)
        fputs("\n  Warnings\n", out);
    for (size_t i = 0; i < r->n_warnings; i++)
        fprintf(out, "    - %.*s\n", (int)r->warnings[i].len, r->warnings[i].ptr);
    fputc('\n', out);
    print_label(out, "package");
    fprintf(out, "%.*s: model.yaml, %.*s (%zu KiB), golden.csv (%zu rows), reference.csv (%zu)\n",
            PX_STR_ARG(r->out), PX_STR_ARG(r->model_file), (r->model_bytes + 1023) >> 10,
            r->n_golden, r->n_reference);
    print_label(out, "next");
    fprintf(out, "phoenix check %.*s\n", PX_STR_ARG(r->out));
    print_label(out, "");
    fprintf(out, "phoenix serve %.*s=%.*s\n", PX_STR_ARG(r->name), PX_STR_ARG(r->out));
}

void px_train_print_text(FILE *out, const struct px_training_report *report)
{
    print_head(out, report);
    print_columns(out, report);
    print_work(out, report);
    print_metrics(out, report);
    print_end(out, report);
}
