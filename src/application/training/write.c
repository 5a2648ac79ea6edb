/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden rows are measuring rows: evenly spread, and among them rows with missing values, which is where
 * two implementations differ first. Reference rows are training rows, evenly spread. Both are copied from
 * the file as they stand there, in one pass, so that they are what production will send.
 */
#include "application/training/write.h"

#include "application/batch/scores.h"
#include "application/lifecycle/package.h"
#include "shared/alloc.h"
#include "shared/file.h"
#include "shared/number.h"
#include "shared/yaml.h"

#include <inttypes.h>
#include <math.h>

enum {
    SAMPLE_FILE_MAX = 256 << 20,
    YAML_MAX = PX_PACKAGE_YAML_MAX,
    GOLDEN_MISSING = PX_TRAINING_GOLDEN_ROWS * 3 / 10, /* golden rows with a missing value */
    PATH_TEXT_MAX = 4096,
};

/* Which rows of the table a sample takes: every row that fits, thinned to `wanted`. */
struct sample {
    uint8_t mask, value; /* a row fits when (mark & mask) == value */
    size_t wanted;
    size_t n_fitting, seen, taken;
};

static void count_fitting(struct sample *sample, const struct px_dataset *dataset)
{
    for (size_t row = 0; row < dataset->marks.len; row++)
        sample->n_fitting += (dataset->marks.items[row] & sample->mask) == sample->value;
}

/* Evenly spread: row i of n is taken when the count that is due rises with it. */
static bool takes(struct sample *sample, uint8_t mark)
{
    if ((mark & sample->mask) != sample->value)
        return false;
    size_t wanted = sample->wanted < sample->n_fitting ? sample->wanted : sample->n_fitting;
    size_t due = (sample->seen + 1) * wanted / sample->n_fitting;
    sample->seen++;
    if (sample->taken >= due)
        return false;
    sample->taken++;
    return true;
}

struct writer {
    const struct px_training_package *package;
    struct px_training_report *report;
    struct sample whole, gaps, reference; /* golden rows without and with missing values */
    struct px_buf golden_csv, reference_csv;
    char golden_scores[32]; /* what the names of the score columns begin with */
    float *row;             /* [n_features] */
    void *scores;           /* of one row */
    void *scratch;
};

static void put_comma(struct px_buf *csv, size_t at)
{
    if (at > 0)
        px_buf_byte(csv, ',');
}

static void put_features(const struct px_dataset *d, const struct px_csv_field *fields,
                         struct px_buf *csv)
{
    for (size_t f = 0; f < d->signature.n_features; f++) {
        put_comma(csv, f);
        px_csv_put(csv, px_str_trim(fields[d->column_of[f]].text), ',');
    }
}

/* Is a feature or the target named as the column of a score would be? */
static bool names_collide(const struct writer *w, const char *prefix)
{
    const struct px_dataset *d = w->package->dataset;
    size_t n = px_forest_info(w->package->forest)->n_outputs;
    struct px_buf name = px_buf(PX_CSV_RECORD_MAX);
    bool collides = false;
    for (size_t s = 0; s < n && !collides; s++) {
        px_buf_clear(&name);
        px_buf_text(&name, prefix);
        px_score_name(&d->signature, n, s, &name);
        collides = px_signature_find(&d->signature, px_buf_view(&name)) >= 0 ||
                   px_str_eq(d->target.name, px_buf_view(&name));
    }
    px_buf_deinit(&name);
    return collides;
}

/* Nothing where that is free; there are finitely many columns, so one of the numbers is. */
static void choose_golden_scores(struct writer *w)
{
    for (unsigned i = 1; names_collide(w, w->golden_scores); i++)
        snprintf(w->golden_scores, sizeof w->golden_scores, i == 1 ? "expected_" : "expected_%u_",
                 i);
}

static void put_headers(struct writer *w)
{
    const struct px_dataset *d = w->package->dataset;
    const struct px_forest_info *info = px_forest_info(w->package->forest);
    struct px_buf *both[] = {&w->golden_csv, &w->reference_csv};
    for (size_t i = 0; i < PX_ARRAY_LEN(both); i++) {
        for (size_t f = 0; f < d->signature.n_features; f++) {
            put_comma(both[i], f);
            px_csv_put(both[i], d->signature.features[f].name, ',');
        }
        px_buf_byte(both[i], ',');
        px_csv_put(both[i], d->target.name, ',');
    }
    for (size_t s = 0; s < info->n_outputs; s++) {
        struct px_buf name = px_buf(PX_CSV_RECORD_MAX);
        px_buf_text(&name, w->golden_scores);
        px_score_name(&d->signature, info->n_outputs, s, &name);
        px_buf_byte(&w->golden_csv, ',');
        px_csv_put(&w->golden_csv, px_buf_view(&name), ',');
        px_buf_deinit(&name);
    }
    px_buf_byte(&w->golden_csv, '\n');
    px_buf_byte(&w->reference_csv, '\n');
}

/* The expected scores of a golden row: encoded and scored as serving does it. */
static enum px_code score(struct writer *w, const struct px_csv_field *fields, struct px_err *err)
{
    const struct px_dataset *d = w->package->dataset;
    size_t n = d->signature.n_features;
    struct px_matrix rows = {PX_TYPE_FP32, w->row, 1, n, n};
    for (size_t f = 0; f < n; f++) {
        double value;
        enum px_code code = px_feature_encode_text(
            &d->signature.features[f], px_str_trim(fields[d->column_of[f]].text), &value, err);
        if (code != PX_OK)
            return code;
        px_matrix_set(&rows, 0, f, value);
    }
    px_forest_predict(w->package->forest, &rows, w->scores, w->scratch, 0);
    return PX_OK;
}

static enum px_code put_golden(struct writer *w, const struct px_csv_field *fields,
                               struct px_err *err)
{
    const struct px_dataset *d = w->package->dataset;
    const struct px_forest_info *info = px_forest_info(w->package->forest);
    enum px_code code = score(w, fields, err);
    if (code != PX_OK)
        return code;
    put_features(d, fields, &w->golden_csv);
    px_buf_byte(&w->golden_csv, ',');
    px_csv_put(&w->golden_csv, px_str_trim(fields[d->target_column].text), ',');
    for (size_t s = 0; s < info->n_outputs; s++) {
        px_buf_byte(&w->golden_csv, ',');
        px_score_print(info->score_type, w->scores, s, &w->golden_csv);
    }
    px_buf_byte(&w->golden_csv, '\n');
    w->report->n_golden++;
    return PX_OK;
}

static void put_reference(struct writer *w, const struct px_csv_field *fields)
{
    const struct px_dataset *d = w->package->dataset;
    put_features(d, fields, &w->reference_csv);
    px_buf_byte(&w->reference_csv, ',');
    px_csv_put(&w->reference_csv, px_str_trim(fields[d->target_column].text), ',');
    px_buf_byte(&w->reference_csv, '\n');
    w->report->n_reference++;
}

static enum px_code sample_row(void *context, const struct px_table_row *row, struct px_err *err)
{
    struct writer *w = context;
    const struct px_dataset *d = w->package->dataset;
    if (row->number >= d->marks.len)
        return px_err_set(err, PX_E_CONFLICT, "%s changed while it was read", d->table->path);
    uint8_t mark = d->marks.items[row->number];
    if (takes(&w->reference, mark))
        put_reference(w, row->fields);
    if (takes(&w->whole, mark) || takes(&w->gaps, mark))
        return put_golden(w, row->fields, err);
    return PX_OK;
}

static bool tell_write(void *context, uint64_t done, uint64_t total)
{
    const struct writer *w = context;
    return px_training_tell(w->package->observer, PX_TRAINING_WRITE, done, total);
}

/* Golden rows come from the measuring rows, or from the training rows where nothing measures. */
static void plan_samples(struct writer *w)
{
    const struct px_dataset *d = w->package->dataset;
    enum px_part part = d->parts[PX_PART_TEST].rows.n_rows ? PX_PART_TEST : PX_PART_TRAIN;
    const uint8_t good = PX_MARK_PART | PX_MARK_BAD | PX_MARK_UNUSED;
    const uint8_t split = good | PX_MARK_MISSING;
    w->gaps = (struct sample){split, (uint8_t)(part | PX_MARK_MISSING), GOLDEN_MISSING, 0, 0, 0};
    count_fitting(&w->gaps, d);
    size_t n_gaps = w->gaps.n_fitting < GOLDEN_MISSING ? w->gaps.n_fitting : GOLDEN_MISSING;
    w->whole = (struct sample){split, (uint8_t)part, PX_TRAINING_GOLDEN_ROWS - n_gaps, 0, 0, 0};
    count_fitting(&w->whole, d);
    if (w->whole.n_fitting < w->whole.wanted)
        w->gaps.wanted = PX_TRAINING_GOLDEN_ROWS - w->whole.n_fitting;
    w->reference = (struct sample){good, PX_PART_TRAIN, PX_TRAINING_REFERENCE_ROWS, 0, 0, 0};
    count_fitting(&w->reference, d);
}

static enum px_code collect_samples(struct writer *w, struct px_err *err)
{
    const struct px_forest *forest = w->package->forest;
    const struct px_forest_info *info = px_forest_info(forest);
    const struct px_table_visitor visitor = {sample_row, tell_write, w};
    struct px_table_scan scan;
    w->row = px_alloc(info->n_features, sizeof *w->row);
    w->scores = px_alloc(info->n_outputs, sizeof(double));
    w->scratch = px_alloc_aligned(PX_CACHE_LINE, px_forest_scratch_size(forest, 1) + 1, 1);
    if (!w->row || !w->scores || !w->scratch)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a row of %zu features",
                          info->n_features);
    plan_samples(w);
    choose_golden_scores(w);
    put_headers(w);
    enum px_code code = px_table_scan(w->package->dataset->table, &visitor, &scan, err);
    if (code == PX_OK)
        code = px_buf_check(&w->golden_csv, "golden.csv", err);
    return code == PX_OK ? px_buf_check(&w->reference_csv, "reference.csv", err) : code;
}

static enum px_code write_file(const struct writer *w, const char *name, struct px_str bytes,
                               struct px_err *err)
{
    char path[PATH_TEXT_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", w->package->folder, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return px_err_set(err, PX_E_INVALID, "the path of the package is too long");
    return px_file_write(path, bytes, err);
}

static void put_number(struct px_buf *yaml, const char *key, double value)
{
    char text[PX_NUMBER_TEXT_MAX];
    px_buf_printf(yaml, "  %s: ", key);
    if (isnan(value))
        px_buf_text(yaml, "null");
    else
        px_buf_append(yaml, text, px_number_print_f64(value, text));
    px_buf_byte(yaml, '\n');
}

static void put_metrics(const struct px_training_report *r, struct px_buf *yaml)
{
    if (r->n_part[PX_PART_TEST] == 0)
        return;
    if (r->task == PX_TASK_BINARY) {
        put_number(yaml, "auc", r->binary.auc);
        put_number(yaml, "pr_auc", r->binary.pr_auc);
        put_number(yaml, "logloss", r->binary.logloss);
        put_number(yaml, "threshold_best_f1", r->binary.threshold_best);
    } else if (r->task == PX_TASK_MULTICLASS) {
        put_number(yaml, "logloss", r->multiclass.logloss);
        put_number(yaml, "accuracy", r->multiclass.accuracy);
        put_number(yaml, "macro_f1", r->multiclass.macro_f1);
    } else {
        put_number(yaml, "rmse", r->regression.rmse);
        put_number(yaml, "mae", r->regression.mae);
        put_number(yaml, "r2", r->regression.r2);
    }
}

/* How it was made: enough to make it again from the same file. */
static void describe_training(const struct writer *w, struct px_buf *yaml)
{
    const struct px_training_report *r = w->report;
    const struct px_train_params *p = &r->params;
    const char *slash = strrchr(w->package->options->data, '/');
    px_buf_text(yaml, "  data: ");
    px_yaml_put(yaml, px_str(slash ? slash + 1 : w->package->options->data));
    px_buf_printf(yaml,
                  "\n  trainer: %.*s\n  split: %s\n  rows_train: %zu\n  rows_valid: %zu\n"
                  "  rows_test: %zu\n",
                  PX_STR_ARG(r->trainer), r->split_by_time ? "time" : "random",
                  r->n_part[PX_PART_TRAIN], r->n_part[PX_PART_VALID], r->n_part[PX_PART_TEST]);
    px_buf_printf(yaml, "  seed: %" PRIu64 "\n  rounds: %d\n  rounds_max: %d\n  depth_max: %d\n",
                  p->seed, r->best_round + 1, p->rounds_max, p->depth_max);
    put_number(yaml, "learning_rate", p->learning_rate);
    put_number(yaml, "subsample", p->subsample);
    put_number(yaml, "colsample", p->colsample);
    put_metrics(r, yaml);
}

static enum px_code write_yaml(const struct writer *w, struct px_err *err)
{
    struct px_buf training = px_buf(1 << 16), yaml = px_buf(YAML_MAX);
    describe_training(w, &training);
    const struct px_package_description description = {
        .name = w->report->name,
        .model_file = px_str(w->package->model_file),
        .rounds = px_str("all"),
        .target = w->report->target,
        .golden_file = w->report->n_golden ? px_str("golden.csv") : (struct px_str){0},
        .golden_scores = px_str(w->golden_scores),
        .reference_file = px_str("reference.csv"),
        .signature = &w->package->dataset->signature,
        .training = px_buf_view(&training),
    };
    px_package_describe(&description, &yaml);
    enum px_code code = px_buf_check(&training, "model.yaml", err);
    if (code == PX_OK)
        code = px_buf_check(&yaml, "model.yaml", err);
    if (code == PX_OK)
        code = write_file(w, "model.yaml", px_buf_view(&yaml), err);
    px_buf_deinit(&training);
    px_buf_deinit(&yaml);
    return code;
}

static enum px_code write_files(struct writer *w, struct px_err *err)
{
    enum px_code code = write_file(w, w->package->model_file, w->package->model, err);
    if (code == PX_OK && w->report->n_golden)
        code = write_file(w, "golden.csv", px_buf_view(&w->golden_csv), err);
    if (code == PX_OK)
        code = write_file(w, "reference.csv", px_buf_view(&w->reference_csv), err);
    return code == PX_OK ? write_yaml(w, err) : code;
}

enum px_code px_training_write(const struct px_training_package *package,
                               struct px_training_report *report, struct px_err *err)
{
    struct writer w = {.package = package,
                       .report = report,
                       .golden_csv = px_buf(SAMPLE_FILE_MAX),
                       .reference_csv = px_buf(SAMPLE_FILE_MAX)};
    enum px_code code = collect_samples(&w, err);
    if (code == PX_OK)
        code = write_files(&w, err);
    px_buf_deinit(&w.golden_csv);
    px_buf_deinit(&w.reference_csv);
    px_free(w.row);
    px_free(w.scores);
    px_free(w.scratch);
    return code;
}
