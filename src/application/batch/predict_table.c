/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of columns through the pipeline: chunks of columns are fetched in order, and threads turn them into rows,
 * score and print them. A number goes to the matrix as it is; a text is encoded as the field of a CSV
 * would be, so that the same table scores the same in both forms.
 */
#include "application/batch/run.h"
#include "shared/alloc.h"

#include <math.h>

enum {
    CHUNK_ROWS = 2048, /* of a large table; what a chunk takes decides how many there may be */
    TEXT_BYTES = 16,   /* of a text in a chunk; a long one has more elsewhere */
};

struct job {
    struct px_batch_job common; /* first */
    struct px_table_chunk chunk;
    uint64_t first_row; /* number of the chunk's first row */
};

struct batch {
    struct px_batch_run run;
    struct px_table_reader *reader;
    const struct px_table_column *columns;
    size_t *selected; /* [n_selected]: columns that are features */
    size_t n_selected;
    uint64_t n_rows;
};

static struct batch *batch_of(void *run)
{
    return PX_CONTAINER_OF(run, struct batch, run);
}

static enum px_code bind(struct batch *b, struct px_err *err)
{
    size_t n;
    b->columns = px_table_reader_columns(b->reader, &n);
    struct px_str *names = px_alloc(n, sizeof *names);
    b->selected = px_alloc(n, sizeof *b->selected);
    enum px_code code = PX_OK;
    if (!names || !b->selected)
        code = px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu columns", n);
    for (size_t c = 0; code == PX_OK && c < n; c++)
        names[c] = b->columns[c].name;
    if (code == PX_OK)
        code = px_header_bind(&b->run.header, names, n, err);
    px_free(names);
    for (size_t c = 0; code == PX_OK && c < n; c++) {
        if (b->run.header.binding.feature_of[c] < 0)
            continue;
        b->selected[b->n_selected++] = c;
        if (b->columns[c].type == PX_TABLE_UNREADABLE)
            code = px_err_set(err, PX_E_INVALID,
                              "column '%.*s': expected numbers, booleans or text, got %.*s",
                              PX_STR_ARG(b->columns[c].name), PX_STR_ARG(b->columns[c].type_name));
    }
    return code == PX_OK ? px_table_reader_select(b->reader, b->selected, b->n_selected, err)
                         : code;
}

/* Of a row in a chunk. */
static size_t row_bytes(const struct batch *b)
{
    size_t bytes = 0;
    for (size_t i = 0; i < b->n_selected; i++) {
        enum px_table_type type = b->columns[b->selected[i]].type;
        bytes += type == PX_TABLE_NUMBER    ? sizeof(double)
                 : type == PX_TABLE_BOOLEAN ? 1
                                            : TEXT_BYTES;
    }
    return bytes;
}

static void deinit_job(void *job)
{
    px_table_chunk_release(&((struct job *)job)->chunk);
}

/* A column of a chunk and the feature that it is. */
struct source {
    const struct px_table_chunk *chunk;
    const struct px_table_values *values;
    enum px_table_type type;
    const struct px_feature *feature;
};

static enum px_code encode_value(const struct source *s, size_t row, double *ret,
                                 struct px_err *err)
{
    const uint64_t *valid = s->values->valid;
    if (valid && !(valid[row / 64] >> row % 64 & 1)) {
        *ret = NAN;
        return PX_OK;
    }
    if (s->type == PX_TABLE_NUMBER)
        return px_feature_encode_number(s->feature, ((const double *)s->values->items)[row], ret,
                                        err);
    if (s->type == PX_TABLE_BOOLEAN)
        return px_feature_encode_bool(s->feature, ((const uint8_t *)s->values->items)[row] != 0,
                                      ret, err);
    return px_feature_encode_text(s->feature, s->chunk->text(s->values->items, row), ret, err);
}

/* Row `row` of the chunk as the next row of the matrix. */
static enum px_code encode_row(const struct batch *b, const struct px_table_chunk *chunk,
                               size_t row, struct px_matrix *matrix, struct px_err *err)
{
    for (size_t i = 0; i < b->n_selected; i++) {
        size_t column = b->selected[i], feature = (size_t)b->run.header.binding.feature_of[column];
        const struct source source = {chunk, &chunk->columns[i], b->columns[column].type,
                                      &b->run.header.signature->features[feature]};
        double value;
        enum px_code code = encode_value(&source, row, &value, err);
        if (code != PX_OK)
            return code;
        px_matrix_set(matrix, matrix->n_rows, feature, value);
    }
    return PX_OK;
}

static void work(void *run, void *worker, void *job)
{
    const struct batch *b = batch_of(run);
    struct px_scorer *scorer = &((struct px_batch_worker *)worker)->scorer;
    struct job *j = job;
    struct px_outcome *out = &j->common.outcome;
    struct px_err why;
    px_outcome_clear(out);
    scorer->chunk.n_rows = 0;
    for (size_t row = 0; row < j->chunk.n_rows; row++) {
        uint64_t place = j->first_row + row;
        if (encode_row(b, &j->chunk, row, &scorer->chunk, &why) == PX_OK) {
            out->n_rows++;
            px_scorer_add(scorer, place, &out->output);
            continue;
        }
        px_outcome_bad_row(out, place, &why);
        if (b->run.sink.options->fail_on_error)
            break;
    }
    px_scorer_flush(scorer, &out->output);
    px_table_chunk_release(&j->chunk);
}

static enum px_code fill(void *run, void *job, bool idle, enum px_fill *ret, struct px_err *err)
{
    struct batch *b = batch_of(run);
    struct job *j = job;
    (void)idle; /* a file does not keep anybody waiting */
    enum px_code code = px_table_reader_next(b->reader, &j->chunk, err);
    if (code != PX_OK)
        return code;
    *ret = j->chunk.n_rows ? PX_FILL_JOB : PX_FILL_END;
    j->first_row = b->n_rows + 1;
    b->n_rows += j->chunk.n_rows;
    return PX_OK;
}

static const struct px_batch_kind chunks_of_table = {
    .worker_bytes = sizeof(struct px_batch_worker),
    .job_bytes = sizeof(struct job),
    .fill = fill,
    .work = work,
    .deinit_job = deinit_job,
};

enum px_code px_batch_predict_table(const struct px_package *package,
                                    const struct px_batch_options *options,
                                    const struct px_batch_io *io,
                                    const struct px_batch_table *table, struct px_err *err)
{
    struct px_batch_options named = *options;
    struct batch b = {
        .run = {.kind = &chunks_of_table, .sink = {.io = io, .progress = table->progress}},
        .reader = table->reader,
    };
    named.rows.no_header = false; /* columns have names */
    enum px_code code = px_batch_run_init(&b.run, package, &named, "row", err);
    if (code == PX_OK)
        code = bind(&b, err);
    if (code == PX_OK)
        code = px_batch_run(&b.run, package,
                            px_pipeline_jobs(b.run.n_threads, CHUNK_ROWS * row_bytes(&b)), err);
    px_batch_run_deinit(&b.run);
    px_free(b.selected);
    return code;
}
