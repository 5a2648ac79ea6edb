/* SPDX-License-Identifier: Apache-2.0 */
#include "application/training/evaluate.h"

#include "application/batch/scores.h"
#include "domain/training/leakage.h"
#include "shared/alloc.h"

enum { CHUNK_ROWS = 4096 };

/* Memory of a scoring run. */
struct scoring {
    double *scores; /* [n, n_outputs] */
    void *chunk, *scratch;
};

static void free_scoring(struct scoring *s)
{
    px_free(s->scores);
    px_free(s->chunk);
    px_free(s->scratch);
}

static void score_rows(const struct px_forest *forest, const struct px_matrix *rows,
                       struct scoring *s)
{
    const struct px_forest_info *info = px_forest_info(forest);
    for (size_t at = 0; at < rows->n_rows; at += CHUNK_ROWS) {
        struct px_matrix chunk = *rows;
        chunk.data = px_matrix_row(rows, at);
        chunk.n_rows = rows->n_rows - at < CHUNK_ROWS ? rows->n_rows - at : CHUNK_ROWS;
        px_forest_predict(forest, &chunk, s->chunk, s->scratch, 0);
        for (size_t i = 0; i < chunk.n_rows * info->n_outputs; i++)
            s->scores[at * info->n_outputs + i] = px_score_get(info->score_type, s->chunk, i);
    }
}

static enum px_code score_part(const struct px_dataset_part *part, const struct px_forest *forest,
                               struct scoring *s, struct px_err *err)
{
    const struct px_forest_info *info = px_forest_info(forest);
    size_t width = px_datatype_size(info->score_type) * info->n_outputs;
    s->scores = px_alloc(part->rows.n_rows * info->n_outputs + 1, sizeof *s->scores);
    s->chunk = px_alloc(CHUNK_ROWS, width);
    s->scratch = px_alloc_aligned(PX_CACHE_LINE, px_forest_scratch_size(forest, CHUNK_ROWS) + 1, 1);
    if (!s->scores || !s->chunk || !s->scratch)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to score %zu rows", part->rows.n_rows);
    score_rows(forest, &part->rows, s);
    return PX_OK;
}

static enum px_code measure(const struct px_dataset_part *part, const double *scores,
                            struct px_training_report *report, struct px_err *err)
{
    size_t n = part->rows.n_rows, k = report->n_labels;
    if (report->task == PX_TASK_BINARY)
        return px_metrics_binary(part->labels, scores, n, &report->binary, err);
    if (report->task != PX_TASK_MULTICLASS) {
        px_metrics_regression(part->labels, scores, n, &report->regression);
        return PX_OK;
    }
    report->multiclass.n_classes = k;
    report->multiclass.confusion = px_arena_alloc(&report->arena, k * k, sizeof(uint64_t));
    if (!report->multiclass.confusion)
        return px_arena_check(&report->arena, "the confusion matrix", err);
    px_metrics_multiclass(part->labels, scores, n, &report->multiclass);
    return PX_OK;
}

static enum px_code check_shape(const struct px_dataset *dataset, const struct px_forest *forest,
                                struct px_err *err)
{
    const struct px_forest_info *info = px_forest_info(forest);
    size_t n_outputs = dataset->target.task == PX_TASK_MULTICLASS ? dataset->target.n_labels : 1;
    if (info->feature_type == PX_TYPE_FP32 && info->n_features == dataset->signature.n_features &&
        info->n_outputs == n_outputs)
        return PX_OK;
    return px_err_set(err, PX_E_INTERNAL,
                      "the trainer returned a model of %zu features and %zu outputs, expected %zu "
                      "and %zu",
                      info->n_features, info->n_outputs, dataset->signature.n_features, n_outputs);
}

enum px_code px_training_evaluate(const struct px_dataset *dataset, const struct px_forest *forest,
                                  struct px_training_report *report, struct px_err *err)
{
    const struct px_dataset_part *part = &dataset->parts[PX_PART_TEST];
    struct scoring scoring = {0};
    enum px_code code = check_shape(dataset, forest, err);
    if (code == PX_OK)
        code = score_part(part, forest, &scoring, err);
    if (code == PX_OK)
        code = measure(part, scoring.scores, report, err);
    free_scoring(&scoring);
    return code;
}

static const char *strength_name(enum px_task task)
{
    return task == PX_TASK_BINARY ? "AUC" : task == PX_TASK_MULTICLASS ? "accuracy" : "R2";
}

enum px_code px_training_find_leakage(const struct px_dataset *dataset,
                                      struct px_training_report *report, struct px_err *err)
{
    const struct px_dataset_part *train = &dataset->parts[PX_PART_TRAIN];
    const struct px_dataset_part *test = &dataset->parts[PX_PART_TEST];
    const struct px_leakage_question question = {
        .fit = {&train->rows, train->labels},
        .judge = {&test->rows, test->labels},
        .task = report->task,
        .n_classes = report->n_labels,
    };
    /* Where one class is nearly all, predicting it is accurate and says nothing about a feature. */
    bool uninformative =
        report->task == PX_TASK_MULTICLASS && report->majority_share >= PX_LEAKAGE_LIMIT;
    for (size_t f = 0; !uninformative && f < dataset->signature.n_features; f++) {
        const struct px_feature *feature = &dataset->signature.features[f];
        double strength;
        enum px_code code =
            px_leakage_strength(&question, f, feature->kind == PX_FEATURE_CATEGORY, &strength, err);
        if (code != PX_OK)
            return code;
        if (strength >= PX_LEAKAGE_LIMIT)
            px_training_warn(report,
                             "'%.*s' alone predicts the target almost perfectly (%s %.4f): is it "
                             "known before the target is? if not, leave it out with --drop",
                             PX_STR_ARG(feature->name), strength_name(report->task), strength);
    }
    return PX_OK;
}
