/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/train_report.h"
#include "shared/json.h"

enum { JSON_MAX = 256 << 20 };

static void put_number(struct px_json_writer *w, const char *key, double value)
{
    px_json_key(w, key);
    px_json_put_f64(w, value, false);
}

static void put_count(struct px_json_writer *w, const char *key, uint64_t value)
{
    px_json_key(w, key);
    px_json_put_u64(w, value);
}

static void put_text(struct px_json_writer *w, const char *key, struct px_str value)
{
    px_json_key(w, key);
    px_json_put_str(w, value);
}

static void put_column(struct px_json_writer *w, const struct px_training_column *c)
{
    static const char *const roles[] = {
        [PX_COLUMN_FEATURE] = "feature",
        [PX_COLUMN_TARGET] = "target",
        [PX_COLUMN_TIME] = "time",
        [PX_COLUMN_LEFT_OUT] = "left_out",
    };
    px_json_begin_object(w);
    put_text(w, "name", c->name);
    put_text(w, "role", px_str(roles[c->role]));
    if (c->role == PX_COLUMN_FEATURE)
        put_text(w, "type", px_str(px_feature_kind_name(c->kind)));
    if (c->kind == PX_FEATURE_CATEGORY) {
        put_count(w, "categories", c->n_categories);
        put_count(w, "other", c->n_bucket);
    }
    put_count(w, "missing", c->n_missing);
    if (c->note[0])
        put_text(w, "note", px_str(c->note));
    px_json_end_object(w);
}

static void put_confusion(struct px_json_writer *w, const char *key, const uint64_t *counts,
                          size_t n)
{
    px_json_key(w, key);
    px_json_begin_array(w);
    for (size_t a = 0; a < n; a++) {
        px_json_begin_array(w);
        for (size_t p = 0; p < n; p++)
            px_json_put_u64(w, counts[a * n + p]);
        px_json_end_array(w);
    }
    px_json_end_array(w);
}

static void put_calibration(struct px_json_writer *w, const struct px_binary_metrics *m)
{
    px_json_key(w, "calibration");
    px_json_begin_array(w);
    for (size_t b = 0; b < PX_CALIBRATION_BINS; b++) {
        px_json_begin_object(w);
        put_number(w, "from", (double)b / PX_CALIBRATION_BINS);
        put_count(w, "rows", m->bins[b].n);
        put_number(w, "mean_score", m->bins[b].mean_score);
        put_number(w, "positive_rate", m->bins[b].positive_rate);
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void put_binary(struct px_json_writer *w, const struct px_binary_metrics *m)
{
    put_number(w, "auc", m->auc);
    put_number(w, "pr_auc", m->pr_auc);
    put_number(w, "logloss", m->logloss);
    put_number(w, "brier", m->brier);
    put_number(w, "calibration_error", m->ece);
    put_number(w, "accuracy", m->accuracy);
    put_number(w, "f1", m->f1_half);
    put_number(w, "f1_best", m->f1_best);
    put_number(w, "threshold_best", m->threshold_best);
    put_number(w, "precision_best", m->precision_best);
    put_number(w, "recall_best", m->recall_best);
    put_confusion(w, "confusion", &m->confusion_half[0][0], 2);
    put_confusion(w, "confusion_best", &m->confusion_best[0][0], 2);
    put_calibration(w, m);
}

static void put_metrics(struct px_json_writer *w, const struct px_training_report *r)
{
    px_json_key(w, "metrics");
    px_json_begin_object(w);
    if (r->n_part[PX_PART_TEST] && r->task == PX_TASK_BINARY) {
        put_binary(w, &r->binary);
    } else if (r->n_part[PX_PART_TEST] && r->task == PX_TASK_MULTICLASS) {
        put_number(w, "accuracy", r->multiclass.accuracy);
        put_number(w, "macro_f1", r->multiclass.macro_f1);
        put_number(w, "logloss", r->multiclass.logloss);
        put_number(w, "majority_share", r->majority_share);
        put_confusion(w, "confusion", r->multiclass.confusion, r->multiclass.n_classes);
    } else if (r->n_part[PX_PART_TEST]) {
        put_number(w, "rmse", r->regression.rmse);
        put_number(w, "mae", r->regression.mae);
        put_number(w, "r2", r->regression.r2);
    }
    px_json_end_object(w);
}

static void put_texts(struct px_json_writer *w, const char *key, const struct px_str *texts,
                      size_t n)
{
    px_json_key(w, key);
    px_json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        px_json_put_str(w, texts[i]);
    px_json_end_array(w);
}

static void put_rows(struct px_json_writer *w, const struct px_training_report *r)
{
    px_json_key(w, "rows");
    px_json_begin_object(w);
    put_count(w, "read", r->n_rows);
    put_count(w, "bad", r->n_bad_rows);
    put_count(w, "without_target", r->n_unlabelled);
    put_count(w, "train", r->n_part[PX_PART_TRAIN]);
    put_count(w, "valid", r->n_part[PX_PART_VALID]);
    put_count(w, "test", r->n_part[PX_PART_TEST]);
    px_json_end_object(w);
}

static void put_report(struct px_json_writer *w, const struct px_training_report *r)
{
    px_json_begin_object(w);
    put_text(w, "name", r->name);
    put_text(w, "package", r->out);
    put_text(w, "target", r->target);
    put_text(w, "task", px_str(px_task_name(r->task)));
    if (r->n_labels)
        put_texts(w, "labels", r->labels, r->n_labels);
    px_json_key(w, "columns");
    px_json_begin_array(w);
    for (size_t i = 0; i < r->n_columns; i++)
        put_column(w, &r->columns[i]);
    px_json_end_array(w);
    put_rows(w, r);
    put_text(w, "split", px_str(r->split_by_time ? "time" : "random"));
    put_count(w, "seed", r->params.seed);
    put_text(w, "trainer", r->trainer);
    put_count(w, "rounds", (uint64_t)r->best_round + 1);
    put_count(w, "rounds_trained", (uint64_t)r->rounds);
    put_number(w, "seconds", r->seconds);
    put_metrics(w, r);
    put_texts(w, "warnings", r->warnings, r->n_warnings);
    put_text(w, "model", r->model_file);
    put_count(w, "model_bytes", r->model_bytes);
    put_count(w, "golden_rows", r->n_golden);
    put_count(w, "reference_rows", r->n_reference);
    px_json_end_object(w);
}

void px_train_print_json(FILE *out, const struct px_training_report *report)
{
    struct px_buf buf = px_buf(JSON_MAX);
    struct px_json_writer w = px_json_writer(&buf);
    put_report(&w, report);
    fwrite(buf.ptr, 1, buf.len, out);
    fputc('\n', out);
    px_buf_deinit(&buf);
}
