/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows are encoded into one growing array and then copied into their parts, because the part of a row
 * depends on all labels (stratified) or all times. That needs twice the matrix for a moment; splitting
 * first would need a pass over the file of its own, which costs more than memory does.
 */
#include "application/training/dataset.h"

#include "shared/alloc.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

enum { TEXTS_MAX = 256 << 20 };

/*
 * libxgboost refuses infinities in training rows. A number this large is on the same side of every
 * threshold that training can find, so serving may go on to pass the infinity itself.
 */
#define LARGEST 1e37

void px_training_warn(struct px_training_report *report, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (report->n_warnings == PX_TRAINING_WARNINGS_MAX)
        return;
    struct px_str copy = px_arena_str(&report->arena, px_str(text));
    if (copy.ptr)
        report->warnings[report->n_warnings++] = copy;
}

bool px_training_tell(const struct px_training_observer *observer, enum px_training_stage stage,
                      uint64_t done, uint64_t total)
{
    const struct px_training_progress progress = {.stage = stage, .done = done, .total = total};
    return !observer->progress || observer->progress(observer->context, &progress);
}

/* Times of a feature that a 32-bit float cannot hold. */
struct rounding {
    uint64_t n;
    double largest;
};

/* What the passes over the table share. */
struct build {
    struct px_dataset *dataset;
    const struct px_training_options *options;
    const struct px_training_observer *observer;
    struct px_training_report *report;
    struct px_column_profile *profiles; /* [n_columns] */
    PX_VEC(float) cells;                /* encoded rows, dense */
    PX_VEC(float) labels;
    PX_VEC(double) times;
    struct rounding *roundings; /* [n_columns], by feature; in the data set's arena */
};

static bool tell_profile(void *context, uint64_t done, uint64_t total)
{
    return px_training_tell(((struct build *)context)->observer, PX_TRAINING_PROFILE, done, total);
}

static bool tell_encode(void *context, uint64_t done, uint64_t total)
{
    return px_training_tell(((struct build *)context)->observer, PX_TRAINING_ENCODE, done, total);
}

static enum px_code profile_row(void *context, const struct px_table_row *row, struct px_err *err)
{
    struct build *b = context;
    enum px_code code = PX_OK;
    for (size_t c = 0; code == PX_OK && c < b->dataset->table->n_columns; c++)
        code = px_column_profile_add(&b->profiles[c], row->fields[c].text, err);
    return code;
}

static enum px_code check_count(uint64_t n, const char *what, struct px_err *err)
{
    if (n >= PX_TRAINING_ROWS_MIN)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID,
                      "%" PRIu64 " %s are too few to train on; at least %d are needed", n, what,
                      PX_TRAINING_ROWS_MIN);
}

static enum px_code profile(struct build *b, struct px_err *err)
{
    struct px_table_scan scan;
    const struct px_table *table = b->dataset->table;
    const struct px_table_visitor visitor = {profile_row, tell_profile, b};
    b->profiles = px_alloc(table->n_columns, sizeof *b->profiles);
    if (!b->profiles)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu columns", table->n_columns);
    for (size_t c = 0; c < table->n_columns; c++)
        px_column_profile_init(&b->profiles[c], table->columns[c]);
    enum px_code code = px_table_scan(table, &visitor, &scan, err);
    b->report->n_rows = scan.n_rows;
    b->report->n_bad_rows = scan.n_bad;
    if (code == PX_OK && scan.n_bad)
        px_training_warn(b->report,
                         "%" PRIu64 " rows cannot be read and are left out; the first is line "
                         "%" PRIu64 ": %s",
                         scan.n_bad, scan.bad_line, scan.bad.message);
    return code == PX_OK ? check_count(scan.n_rows, "rows", err) : code;
}

/* Finds the columns that the options name, and gives every column its role. */
static enum px_code assign_roles(struct build *b, struct px_err *err)
{
    struct px_dataset *d = b->dataset;
    const struct px_training_options *o = b->options;
    struct px_training_column *columns = b->report->columns;
    long target = px_table_find(d->table, "target", o->target, err);
    if (target < 0)
        return PX_E_INVALID;
    for (size_t i = 0; i < o->n_drop; i++) {
        long column = px_table_find(d->table, "--drop", o->drop[i], err);
        if (column < 0)
            return PX_E_INVALID;
        columns[column].role = PX_COLUMN_LEFT_OUT;
        snprintf(columns[column].note, sizeof columns->note, "as asked for");
    }
    if (o->time_column.len) {
        d->time_column = px_table_find(d->table, "time", o->time_column, err);
        if (d->time_column < 0)
            return PX_E_INVALID;
        if (columns[d->time_column].role)
            return px_err_set(
                err, PX_E_INVALID,
                "--drop names the time column '%.*s', which orders the rows and is no "
                "feature anyway",
                PX_STR_ARG(o->time_column));
        columns[d->time_column].role = PX_COLUMN_TIME;
    }
    if (columns[target].role)
        return px_err_set(err, PX_E_INVALID, "the target '%.*s' cannot be left out or be the time",
                          PX_STR_ARG(o->target));
    columns[target].role = PX_COLUMN_TARGET;
    d->target_column = (size_t)target;
    return PX_OK;
}

static enum px_code check_utf8(struct px_str column, const struct px_str *texts, size_t n,
                               struct px_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (px_str_is_utf8(texts[i]))
            continue;
        px_err_set(err, PX_E_INVALID, "column '%.*s' holds a text that is not UTF-8",
                   PX_STR_ARG(column));
        return px_err_hint(err, "convert the file, for example: iconv -f latin1 -t utf-8");
    }
    return PX_OK;
}

/* Decides about one column that no option names. */
static enum px_code fit_column(struct build *b, size_t c, struct px_err *err)
{
    struct px_dataset *d = b->dataset;
    struct px_training_column *column = &b->report->columns[c];
    struct px_column_decision decision;
    struct px_column_fit fit;
    px_column_decide(&b->profiles[c], &decision);
    snprintf(column->note, sizeof column->note, "%s", decision.reason);
    column->role = decision.kind ? PX_COLUMN_FEATURE : PX_COLUMN_LEFT_OUT;
    column->kind = decision.kind;
    if (!decision.kind)
        return PX_OK;
    enum px_code code = px_column_fit(&b->profiles[c], &decision, &d->arena, &fit, err);
    if (code == PX_OK)
        code = check_utf8(column->name, fit.feature.categories, fit.feature.n_categories, err);
    if (code != PX_OK)
        return code;
    if (decision.n_bad)
        px_training_warn(b->report, "column '%.*s': %s", PX_STR_ARG(column->name), decision.reason);
    column->n_categories = fit.feature.n_categories;
    column->n_bucket = fit.n_bucket;
    d->feature_of[c] = (long)d->signature.n_features;
    d->column_of[d->signature.n_features] = c;
    d->signature.features[d->signature.n_features++] = fit.feature;
    return PX_OK;
}

static enum px_code fit_features(struct build *b, struct px_err *err)
{
    struct px_dataset *d = b->dataset;
    size_t n = d->table->n_columns;
    enum px_code code = PX_OK;
    for (size_t c = 0; code == PX_OK && c < n; c++) {
        struct px_training_column *column = &b->report->columns[c];
        column->name = d->table->columns[c];
        column->n_missing = b->profiles[c].n_missing;
        d->feature_of[c] = -1;
        if (!column->role)
            code = fit_column(b, c, err);
    }
    if (code != PX_OK)
        return code;
    if (d->signature.n_features == 0)
        return px_err_set(err, PX_E_INVALID, "no column of %s can be used as a feature",
                          d->table->path);
    b->report->n_features = d->signature.n_features;
    return px_signature_finish(&d->signature, err);
}

static enum px_code fit_target(struct build *b, struct px_err *err)
{
    struct px_dataset *d = b->dataset;
    struct px_training_report *report = b->report;
    enum px_code code = px_target_fit(&b->profiles[d->target_column], &b->options->target_options,
                                      &d->arena, &d->target, err);
    if (code == PX_OK)
        code = check_utf8(d->target.name, d->target.labels, d->target.n_labels, err);
    if (code != PX_OK)
        return code;
    d->signature.task = d->target.task;
    d->signature.labels = d->target.labels;
    d->signature.n_labels = d->target.n_labels;
    report->task = d->target.task;
    report->labels = d->target.labels;
    report->n_labels = d->target.n_labels;
    memcpy(report->task_why, d->target.why, sizeof report->task_why);
    return PX_OK;
}

static enum px_code plan(struct build *b, struct px_err *err)
{
    struct px_dataset *d = b->dataset;
    size_t n = d->table->n_columns;
    d->feature_of = px_arena_alloc(&d->arena, n, sizeof *d->feature_of);
    d->column_of = px_arena_alloc(&d->arena, n, sizeof *d->column_of);
    d->signature.features = px_arena_zalloc(&d->arena, n, sizeof *d->signature.features);
    b->roundings = px_arena_zalloc(&d->arena, n, sizeof *b->roundings);
    b->report->columns = px_arena_zalloc(&b->report->arena, n, sizeof *b->report->columns);
    b->report->n_columns = n;
    if (!d->feature_of || !d->column_of || !d->signature.features || !b->roundings ||
        !b->report->columns)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu columns", n);
    enum px_code code = assign_roles(b, err);
    if (code == PX_OK)
        code = fit_target(b, err);
    return code == PX_OK ? fit_features(b, err) : code;
}

/* The time of a row: a number, or an ISO 8601 text; NaN when it is neither. */
static double time_of(struct px_str text)
{
    static const struct px_feature number = {.kind = PX_FEATURE_NUMBER, .other = -1};
    double value;
    if (px_parse_datetime(text, &value))
        return value;
    return px_feature_encode_text(&number, text, &value, NULL) == PX_OK ? value : (double)NAN;
}

static void note_rounding(struct rounding *rounding, double value)
{
    if ((double)(float)value == value)
        return;
    rounding->n++;
    rounding->largest = fmax(rounding->largest, fabs(value));
}

/* Encodes the features of a row into `out` and returns its mark. */
static uint8_t encode_features(struct build *b, const struct px_csv_field *fields, float *out)
{
    const struct px_dataset *d = b->dataset;
    uint8_t mark = 0;
    for (size_t f = 0; f < d->signature.n_features; f++) {
        double value = (double)NAN;
        struct px_str text = fields[d->column_of[f]].text;
        if (px_feature_encode_text(&d->signature.features[f], text, &value, NULL) != PX_OK) {
            value = (double)NAN;
            mark = (uint8_t)(mark | PX_MARK_BAD);
        }
        if (isnan(value))
            mark = (uint8_t)(mark | PX_MARK_MISSING);
        else
            value = fmin(fmax(value, -LARGEST), LARGEST);
        if (d->signature.features[f].kind == PX_FEATURE_DATETIME && !isnan(value))
            note_rounding(&b->roundings[f], value);
        out[f] = (float)value;
    }
    return mark;
}

static enum px_code encode_row(void *context, const struct px_table_row *row, struct px_err *err)
{
    struct build *b = context;
    struct px_dataset *d = b->dataset;
    size_t n = d->signature.n_features;
    float label;
    uint8_t *mark = px_vec_push(&d->marks);
    if (!mark)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for row %" PRIu64, row->number);
    *mark = PX_MARK_UNUSED;
    if (!px_target_encode(&d->target, row->fields[d->target_column].text, &label))
        return PX_OK;
    float *to = px_vec_reserve(&b->cells, b->cells.len + n) ? b->cells.items + b->cells.len : NULL;
    float *label_at = px_vec_push(&b->labels);
    double *time_at = px_vec_push(&b->times);
    if (!to || !label_at || !time_at)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for row %" PRIu64 " of %zu features",
                          row->number, n);
    *mark = encode_features(b, row->fields, to);
    *label_at = label;
    *time_at = d->time_column < 0 ? 0 : time_of(row->fields[d->time_column].text);
    b->cells.len += n;
    if (b->labels.len > PX_TRAINING_ROWS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "more than %d rows", PX_TRAINING_ROWS_MAX);
    return PX_OK;
}

/* The features of a model are 32-bit floats; seconds of this century are then 128 apart. */
static void warn_about_times(struct build *b)
{
    const struct px_signature *s = &b->dataset->signature;
    for (size_t f = 0; f < s->n_features; f++) {
        const struct rounding *rounding = &b->roundings[f];
        float largest = (float)rounding->largest;
        if (rounding->n)
            px_training_warn(
                b->report,
                "column '%.*s': the model sees %" PRIu64 " times rounded to %g s; where "
                "less matters, add a column such as the hour or the seconds since an event",
                PX_STR_ARG(s->features[f].name), rounding->n,
                (double)(nextafterf(largest, INFINITY) - largest));
    }
}

static enum px_code encode(struct build *b, struct px_err *err)
{
    struct px_table_scan scan;
    struct px_training_report *report = b->report;
    const struct px_table_visitor visitor = {encode_row, tell_encode, b};
    enum px_code code = px_table_scan(b->dataset->table, &visitor, &scan, err);
    if (code != PX_OK)
        return code;
    warn_about_times(b);
    report->n_unlabelled = report->n_rows - b->labels.len;
    if (report->n_unlabelled)
        px_training_warn(report, "%" PRIu64 " rows have no usable target and are left out",
                         report->n_unlabelled);
    return check_count(b->labels.len, "usable rows", err);
}

static size_t count_missing_times(const double *times, size_t n)
{
    size_t missing = 0;
    for (size_t i = 0; i < n; i++)
        missing += isnan(times[i]) ? 1 : 0;
    return missing;
}

static enum px_code split_rows(struct build *b, uint8_t *parts, struct px_err *err)
{
    const struct px_training_options *o = b->options;
    size_t n = b->labels.len;
    if (!o->split_by_time) {
        bool classes = b->dataset->target.n_labels > 0;
        return px_split_random(classes ? b->labels.items : NULL, b->dataset->target.n_labels, n,
                               &o->split, parts, err);
    }
    if (b->dataset->time_column < 0)
        return px_split_time(NULL, n, &o->split, parts, err);
    size_t missing = count_missing_times(b->times.items, n);
    if (missing == n)
        return px_err_set(err, PX_E_INVALID,
                          "the time column '%.*s' holds neither numbers nor ISO 8601 times",
                          PX_STR_ARG(o->time_column));
    if (missing)
        px_training_warn(b->report, "%zu rows have no time; they count as the oldest", missing);
    return px_split_time(b->times.items, n, &o->split, parts, err);
}

static enum px_code alloc_parts(struct build *b, const uint8_t *parts, struct px_err *err)
{
    struct px_dataset *d = b->dataset;
    size_t n_cols = d->signature.n_features;
    for (size_t i = 0; i < b->labels.len; i++)
        b->report->n_part[parts[i]]++;
    for (size_t p = 0; p < PX_PARTS; p++) {
        struct px_dataset_part *part = &d->parts[p];
        size_t n = b->report->n_part[p];
        part->rows = (struct px_matrix){PX_TYPE_FP32, NULL, 0, n_cols, n_cols};
        part->rows.data = px_alloc(n * n_cols + 1, sizeof(float));
        part->labels = px_alloc(n + 1, sizeof *part->labels);
        if (!part->rows.data || !part->labels)
            return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu rows of %zu features", n,
                              n_cols);
    }
    return PX_OK;
}

/* Copies every row into its part and writes the part into the mark of the table's row. */
static void deal_rows(struct build *b, const uint8_t *parts)
{
    struct px_dataset *d = b->dataset;
    size_t n_cols = d->signature.n_features, used = 0;
    for (size_t row = 0; row < d->marks.len; row++) {
        if (d->marks.items[row] & PX_MARK_UNUSED)
            continue;
        struct px_dataset_part *part = &d->parts[parts[used]];
        memcpy((float *)part->rows.data + part->rows.n_rows * n_cols,
               b->cells.items + used * n_cols, n_cols * sizeof(float));
        part->labels[part->rows.n_rows++] = b->labels.items[used];
        d->marks.items[row] = (uint8_t)(d->marks.items[row] | parts[used]);
        used++;
    }
}

static enum px_code split(struct build *b, struct px_err *err)
{
    uint8_t *parts = px_alloc(b->labels.len, sizeof *parts);
    if (!parts)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to split %zu rows", b->labels.len);
    enum px_code code = split_rows(b, parts, err);
    if (code == PX_OK)
        code = alloc_parts(b, parts, err);
    if (code == PX_OK)
        deal_rows(b, parts);
    px_free(parts);
    return code;
}

/* The share of the most frequent class, and how many classes a part has. */
static size_t count_classes(const struct px_dataset *d, enum px_part p, double *ret_majority)
{
    const struct px_dataset_part *part = &d->parts[p];
    size_t counts[PX_TARGET_CLASSES_MAX] = {0}, most = 0, n_classes = 0;
    for (size_t i = 0; i < part->rows.n_rows; i++)
        counts[(size_t)part->labels[i]]++;
    for (size_t c = 0; c < d->target.n_labels; c++) {
        n_classes += counts[c] > 0;
        most = counts[c] > most ? counts[c] : most;
    }
    *ret_majority = part->rows.n_rows ? (double)most / (double)part->rows.n_rows : 0;
    return n_classes;
}

static enum px_code check_parts(struct build *b, struct px_err *err)
{
    struct px_dataset *d = b->dataset;
    double majority;
    if (d->target.n_labels == 0)
        return PX_OK;
    if (count_classes(d, PX_PART_TRAIN, &majority) < 2)
        return px_err_set(
            err, PX_E_INVALID,
            "all %zu training rows have the same '%.*s', so there is nothing to learn",
            d->parts[PX_PART_TRAIN].rows.n_rows, PX_STR_ARG(d->target.name));
    size_t n = count_classes(d, PX_PART_TEST, &b->report->majority_share);
    if (d->parts[PX_PART_TEST].rows.n_rows && n < d->target.n_labels)
        px_training_warn(b->report, "the measuring rows have only %zu of the %zu classes", n,
                         d->target.n_labels);
    return PX_OK;
}

static void free_build(struct build *b)
{
    for (size_t c = 0; b->profiles && c < b->dataset->table->n_columns; c++)
        px_column_profile_deinit(&b->profiles[c]);
    px_free(b->profiles);
    px_vec_free(&b->cells);
    px_vec_free(&b->labels);
    px_vec_free(&b->times);
}

enum px_code px_dataset_create(const struct px_table *table,
                               const struct px_training_options *options,
                               const struct px_training_observer *observer,
                               struct px_training_report *report, struct px_dataset **ret,
                               struct px_err *err)
{
    struct px_dataset *d = px_alloc(1, sizeof *d);
    if (!d)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a data set");
    d->table = table;
    d->arena = px_arena(TEXTS_MAX);
    d->time_column = -1;
    d->signature.named = true;
    d->signature.output_name = px_str("predictions");
    struct build b = {.dataset = d, .options = options, .observer = observer, .report = report};
    enum px_code code = profile(&b, err);
    if (code == PX_OK)
        code = plan(&b, err);
    if (code == PX_OK)
        code = encode(&b, err);
    if (code == PX_OK)
        code = split(&b, err);
    if (code == PX_OK)
        code = check_parts(&b, err);
    free_build(&b);
    if (code == PX_OK)
        *ret = d;
    else
        px_dataset_destroy(d);
    return code;
}

void px_dataset_destroy(struct px_dataset *dataset)
{
    if (!dataset)
        return;
    for (size_t p = 0; p < PX_PARTS; p++) {
        px_free(dataset->parts[p].rows.data);
        px_free(dataset->parts[p].labels);
    }
    px_vec_free(&dataset->marks);
    px_target_deinit(&dataset->target);
    px_signature_deinit(&dataset->signature);
    px_arena_deinit(&dataset->arena);
    px_free(dataset);
}
