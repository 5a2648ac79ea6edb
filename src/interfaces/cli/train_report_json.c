/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/train_report.h"
#include "shared/json.h"

enum { JSON_MAX = 256 << 20 };

static void put_column(struct px_json_writer *w, const struct px_training_column *c)
{
    static const char *const roles[] = {
        [PX_COLUMN_FEATURE] = "feature",
        [PX_COLUMN_TARGET] = "target",
        [PX_COLUMN_TIME] = "time",
        [PX_COLUMN_LEFT_OUT] = "left_out",
    };
    px_json_begin_object(w);
    px_json_member_str(w, "name", c->name);
    px_json_member_text(w, "role", roles[c->role]);
    if (c->role == PX_COLUMN_FEATURE)
        px_json_member_text(w, "type", px_feature_kind_name(c->kind));
    if (c->kind == PX_FEATURE_CATEGORY) {
        px_json_member_u64(w, "categories", c->n_categories);
        px_json_member_u64(w, "other", c->n_bucket);
    }
    px_json_member_u64(w, "missing", c->n_missing);
    if (c->note[0])
        px_json_member_text(w, "note", c->note);
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
        px_json_member_f64(w, "from", (double)b / PX_CALIBRATION_BINS);
        px_json_member_u64(w, "rows", m->bins[b].n);
        px_json_member_f64(w, "mean_score", m->bins[b].mean_score);
        px_json_member_f64(w, "positive_rate", m->bins[b].positive_rate);
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void put_binary(struct px_json_writer *w, const struct px_binary_metrics *m)
{
    px_json_member_f64(w, "auc", m->auc);
    px_json_member_f64(w, "pr_auc", m->pr_auc);
    px_json_member_f64(w, "logloss", m->logloss);
    px_json_member_f64(w, "brier", m->brier);
    px_json_member_f64(w, "calibration_error", m->ece);
    px_json_member_f64(w, "accuracy", m->accuracy);
    px_json_member_f64(w, "f1", m->f1_half);
    px_json_member_f64(w, "f1_best", m->f1_best);
    px_json_member_f64(w, "threshold_best", m->threshold_best);
    px_json_member_f64(w, "precision_best", m->precision_best);
    px_json_member_f64(w, "recall_best", m->recall_best);
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
        px_json_member_f64(w, "accuracy", r->multiclass.accuracy);
        px_json_member_f64(w, "macro_f1", r->multiclass.macro_f1);
        px_json_member_f64(w, "logloss", r->multiclass.logloss);
        px_json_member_f64(w, "majority_share", r->majority_share);
        put_confusion(w, "confusion", r->multiclass.confusion, r->multiclass.n_classes);
    } else if (r->n_part[PX_PART_TEST]) {
        px_json_member_f64(w, "rmse", r->regression.rmse);
        px_json_member_f64(w, "mae", r->regression.mae);
        px_json_member_f64(w, "r2", r->regression.r2);
    }
    px_json_end_object(w);
}

static void put_rows(struct px_json_writer *w, const struct px_training_report *r)
{
    px_json_key(w, "rows");
    px_json_begin_object(w);
    px_json_member_u64(w, "read", r->n_rows);
    px_json_member_u64(w, "bad", r->n_bad_rows);
    px_json_member_u64(w, "without_target", r->n_unlabelled);
    px_json_member_u64(w, "train", r->n_part[PX_PART_TRAIN]);
    px_json_member_u64(w, "valid", r->n_part[PX_PART_VALID]);
    px_json_member_u64(w, "test", r->n_part[PX_PART_TEST]);
    px_json_end_object(w);
}

static void put_report(struct px_json_writer *w, const struct px_training_report *r)
{
    px_json_begin_object(w);
    px_json_member_str(w, "name", r->name);
    px_json_member_str(w, "package", r->out);
    px_json_member_str(w, "target", r->target);
    px_json_member_text(w, "task", px_task_name(r->task));
    if (r->n_labels)
        px_json_member_strs(w, "labels", r->labels, r->n_labels);
    px_json_key(w, "columns");
    px_json_begin_array(w);
    for (size_t i = 0; i < r->n_columns; i++)
        put_column(w, &r->columns[i]);
    px_json_end_array(w);
    put_rows(w, r);
    px_json_member_text(w, "split", r->split_by_time ? "time" : "random");
    px_json_member_u64(w, "seed", r->params.seed);
    px_json_member_str(w, "trainer", r->trainer);
    px_json_member_u64(w, "rounds", (uint64_t)r->best_round + 1);
    px_json_member_u64(w, "rounds_trained", (uint64_t)r->rounds);
    px_json_member_f64(w, "seconds", r->seconds);
    put_metrics(w, r);
    px_json_member_strs(w, "warnings", r->warnings, r->n_warnings);
    px_json_member_str(w, "model", r->model_file);
    px_json_member_u64(w, "model_bytes", r->model_bytes);
    px_json_member_u64(w, "golden_rows", r->n_golden);
    px_json_member_u64(w, "reference_rows", r->n_reference);
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
