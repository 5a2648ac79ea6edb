/* SPDX-License-Identifier: Apache-2.0 */
#include "application/training/training.h"

#include "application/lifecycle/check.h"
#include "application/lifecycle/model_name.h"
#include "application/training/dataset.h"
#include "application/training/evaluate.h"
#include "application/training/stage.h"
#include "application/training/write.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/file.h"

#include <limits.h>

enum {
    REPORT_MAX = 256 << 20,
    MEMORY_BASE_MB = 2048,      /* the library, its threads' heaps and its working set */
    MEMORY_PER_THREAD_MB = 192, /* address space that a thread reserves: stack and heap */
    MEMORY_PER_CELL = 24, /* bytes per value: the job's copy, the matrix, its quantised form */
};

/* One run. */
struct run {
    const struct px_training_options *options;
    const struct px_training_observer *observer;
    struct px_trainer *trainer;
    struct px_training_report *report;
    struct px_table table;
    struct px_dataset *dataset;
    struct px_stage stage;
    struct px_train_result result;
    struct px_forest *forest;
};

/* The table must not be a file that the new package replaces. */
static enum px_code check_output(const struct px_training_options *o, struct px_err *err)
{
    static const char *const files[] = {"model.yaml", "model.ubj", "golden.csv", "reference.csv"};
    for (size_t i = 0; i < PX_ARRAY_LEN(files); i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", o->out, files[i]);
        if (!px_file_same(o->data, path))
            continue;
        px_err_set(err, PX_E_CONFLICT, "the package would replace its own data, %s", path);
        return px_err_hint(err, "give another folder with --out");
    }
    return PX_OK;
}

static enum px_code check_options(const struct px_training_options *o, struct px_err *err)
{
    const struct px_split_options *s = &o->split;
    const struct px_train_params *p = &o->params;
    if (s->valid_fraction < 0 || s->test_fraction < 0 || s->valid_fraction + s->test_fraction > 0.9)
        return px_err_set(err, PX_E_INVALID,
                          "the fractions for validation (%g) and test (%g) must be at least 0 and "
                          "together at most 0.9",
                          s->valid_fraction, s->test_fraction);
    if (p->rounds_max < 1 || p->rounds_max > 100000)
        return px_err_set(err, PX_E_INVALID, "the rounds must be 1 to 100000, got %d",
                          p->rounds_max);
    if (p->depth_max < 1 || p->depth_max > 30)
        return px_err_set(err, PX_E_INVALID, "the depth must be 1 to 30, got %d", p->depth_max);
    if (!(p->learning_rate > 0 && p->learning_rate <= 1))
        return px_err_set(err, PX_E_INVALID,
                          "the learning rate must be above 0 and at most 1, got %g",
                          p->learning_rate);
    if (!(p->subsample > 0 && p->subsample <= 1 && p->colsample > 0 && p->colsample <= 1))
        return px_err_set(err, PX_E_INVALID,
                          "the shares of rows (%g) and columns (%g) must be above 0 and at most 1",
                          p->subsample, p->colsample);
    if (o->name.len && !px_model_name_is_valid(o->name))
        return px_err_set(err, PX_E_INVALID,
                          "the name must be at most %d letters, digits, '.', '_' and '-', not "
                          "beginning with '.' or '-', got '%.*s'",
                          PX_MODEL_NAME_MAX, PX_STR_ARG(o->name));
    if (o->time_column.len && !o->split_by_time)
        return px_err_set(err, PX_E_INVALID, "a time column needs the split by time");
    return PX_OK;
}

static enum px_code start_report(struct run *r, struct px_err *err)
{
    const struct px_training_options *o = r->options;
    const struct px_model_name of_file = px_model_name_from_path(o->data, true);
    const struct px_str name = o->name.len ? o->name : px_str(of_file.text);
    struct px_training_report *report = px_alloc(1, sizeof *report);
    if (!report)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a report");
    r->report = report;
    report->arena = px_arena(REPORT_MAX);
    report->name = px_arena_str(&report->arena, name);
    report->out = px_arena_str(&report->arena, px_str(o->out));
    report->target = px_arena_str(&report->arena, o->target);
    report->time_column = px_arena_str(&report->arena, o->time_column);
    report->trainer = px_str(px_trainer_name(r->trainer));
    report->split_by_time = o->split_by_time;
    report->params = o->params;
    return px_arena_check(&report->arena, "the report", err);
}

/* The report outlives the table and the data set whose texts it shows. */
static enum px_code keep_texts(struct px_training_report *report, struct px_err *err)
{
    struct px_str *labels = px_arena_alloc(&report->arena, report->n_labels + 1, sizeof *labels);
    for (size_t i = 0; labels && i < report->n_labels; i++)
        labels[i] = px_arena_str(&report->arena, report->labels[i]);
    report->labels = labels;
    for (size_t i = 0; i < report->n_columns; i++)
        report->columns[i].name = px_arena_str(&report->arena, report->columns[i].name);
    return px_arena_check(&report->arena, "the report", err);
}

static bool watch_rounds(void *context, const struct px_train_progress *round)
{
    const struct px_training_observer *observer = context;
    const struct px_training_progress progress = {
        .stage = PX_TRAINING_BOOST,
        .done = (uint64_t)round->round,
        .total = (uint64_t)round->rounds_max,
        .round = round,
    };
    return !observer->progress || observer->progress(observer->context, &progress);
}

static struct px_training_set part_of(const struct px_dataset *d, enum px_part p)
{
    return (struct px_training_set){.rows = d->parts[p].rows, .labels = d->parts[p].labels};
}

/* A limit that training on this much data keeps well below unless something is wrong. */
static size_t memory_limit(const struct px_dataset *d, unsigned n_threads)
{
    size_t n_rows = d->parts[PX_PART_TRAIN].rows.n_rows + d->parts[PX_PART_VALID].rows.n_rows;
    size_t mb = MEMORY_BASE_MB + (size_t)MEMORY_PER_THREAD_MB * n_threads;
    return (mb << 20) + n_rows * d->signature.n_features * MEMORY_PER_CELL;
}

static enum px_code boost(struct run *r, struct px_err *err)
{
    struct px_training_observer watcher = *r->observer; /* the port's context is not const */
    struct px_train_params *params = &r->report->params;
    params->task = r->dataset->target.task;
    params->n_classes = r->dataset->target.n_labels;
    if (r->options->memory_auto)
        params->memory_max_bytes = memory_limit(r->dataset, params->n_threads);
    const struct px_train_job job = {
        .signature = &r->dataset->signature,
        .train = part_of(r->dataset, PX_PART_TRAIN),
        .valid = part_of(r->dataset, PX_PART_VALID),
        .params = *params,
        .progress = watch_rounds,
        .progress_context = &watcher,
    };
    uint64_t started_ns = px_clock_monotonic_ns();
    enum px_code code = px_trainer_train(r->trainer, &job, &r->result, err);
    if (code != PX_OK)
        return code;
    r->report->seconds = (double)(px_clock_monotonic_ns() - started_ns) / (double)PX_NS_PER_S;
    r->report->best_round = r->result.best_round;
    r->report->rounds = r->result.rounds;
    r->report->model_bytes = r->result.model.len;
    r->report->model_file = px_str(r->result.file_name);
    return PX_OK;
}

static enum px_code evaluate(struct run *r, struct px_err *err)
{
    enum px_code code = px_forest_create(px_buf_view(&r->result.model), NULL, &r->forest, err);
    if (code != PX_OK)
        return px_err_wrap(err, "the trained model");
    if (r->dataset->parts[PX_PART_TEST].rows.n_rows == 0)
        return PX_OK;
    code = px_training_evaluate(r->dataset, r->forest, r->report, err);
    return code == PX_OK ? px_training_find_leakage(r->dataset, r->report, err) : code;
}

/* What was written is opened and compared as serving would. */
static enum px_code verify(struct run *r, struct px_err *err)
{
    struct px_package *package;
    struct px_check_report check;
    enum px_code code = px_package_open(r->stage.path, NULL, &package, err);
    if (code == PX_OK) {
        code = px_check_package(package, NULL, &check, err);
        px_package_close(package);
    }
    if (code != PX_OK)
        px_err_wrap(err, "the package that was written does not pass its check");
    return code;
}

static enum px_code write_package(struct run *r, struct px_err *err)
{
    const struct px_training_package package = {
        .dataset = r->dataset,
        .options = r->options,
        .observer = r->observer,
        .forest = r->forest,
        .folder = r->stage.path,
        .model = px_buf_view(&r->result.model),
        .model_file = r->result.file_name,
    };
    enum px_code code = px_training_write(&package, r->report, err);
    if (code == PX_OK)
        code = verify(r, err);
    if (code == PX_OK)
        code = keep_texts(r->report, err);
    return code == PX_OK ? px_stage_commit(&r->stage, "model.yaml", err) : code;
}

static enum px_code run_steps(struct run *r, struct px_err *err)
{
    enum px_code code = check_options(r->options, err);
    if (code == PX_OK)
        code = check_output(r->options, err);
    if (code == PX_OK)
        code = px_trainer_ready(r->trainer, err);
    if (code == PX_OK)
        code = start_report(r, err);
    if (code == PX_OK)
        code = px_table_open(&r->table, r->options->data, r->options->no_header, err);
    if (code == PX_OK)
        code = px_dataset_create(&r->table, r->options, r->observer, r->report, &r->dataset, err);
    if (code == PX_OK)
        code = px_stage_open(&r->stage, r->options->out, err);
    if (code == PX_OK)
        code = boost(r, err);
    if (code == PX_OK)
        code = evaluate(r, err);
    return code == PX_OK ? write_package(r, err) : code;
}

enum px_code px_training_run(const struct px_training_options *options, struct px_trainer *trainer,
                             const struct px_training_observer *observer,
                             struct px_training_report **ret, struct px_err *err)
{
    static const struct px_training_observer nobody = {0};
    struct run r = {.options = options,
                    .observer = observer ? observer : &nobody,
                    .trainer = trainer,
                    .table = {.fd = -1}};
    enum px_code code = run_steps(&r, err);
    px_stage_close(&r.stage);
    px_forest_destroy(r.forest);
    px_buf_deinit(&r.result.model);
    px_dataset_destroy(r.dataset);
    px_table_close(&r.table);
    if (code == PX_OK)
        *ret = r.report;
    else
        px_training_report_destroy(r.report);
    return code;
}

void px_training_report_destroy(struct px_training_report *report)
{
    if (!report)
        return;
    px_arena_deinit(&report->arena);
    px_free(report);
}
