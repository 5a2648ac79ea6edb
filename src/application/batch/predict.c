/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunk is scored when it is full. It is also scored, and its output handed on, before a read that
 * follows a short one: a short read means that the writer of a pipe is slower than we are, so what is
 * known should not wait for what may come much later. A file has no short reads but its last.
 */
#include "application/batch/predict.h"

#include "application/batch/scores.h"
#include "shared/alloc.h"
#include "shared/json.h"

#include <inttypes.h>

enum {
    CHUNK_ROWS_MAX = 4096,
    CHUNK_BYTES_MAX = 64 << 20, /* of encoded features; wide models get fewer rows per chunk */
    READ_BYTES = 1 << 18,
    WRITE_BYTES = 1 << 18, /* printed before it is handed on */
    OUTPUT_MAX = 256 << 20,
};

struct batch {
    const struct px_package *package;
    const struct px_batch_options *options;
    const struct px_batch_io *io;
    struct px_batch_progress *progress;
    struct px_rows rows;
    struct px_matrix chunk; /* n_rows = rows that wait to be scored */
    size_t chunk_rows;
    uint64_t *lines; /* where each waiting row began */
    void *scores, *scratch;
    size_t n_scores;
    enum px_datatype score_type;
    struct px_str *names; /* of the scores; the bytes are in names_text */
    struct px_buf names_text, input, output;
    bool caught_up; /* the last read was short */
};

static enum px_code create_names(struct batch *b, struct px_err *err)
{
    b->names = px_alloc(b->n_scores, sizeof *b->names);
    size_t *ends = px_alloc(b->n_scores, sizeof *ends);
    for (size_t i = 0; b->names && ends && i < b->n_scores; i++) {
        if (b->options->margin)
            px_margin_name(&b->package->signature, b->n_scores, i, &b->names_text);
        else
            px_score_name(&b->package->signature, b->n_scores, i, &b->names_text);
        ends[i] = b->names_text.len;
    }
    for (size_t i = 0, at = 0; b->names && ends && i < b->n_scores; at = ends[i++])
        b->names[i] = px_str_n(b->names_text.ptr + at, ends[i] - at);
    bool complete = b->names && ends;
    px_free(ends);
    if (!complete)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu score names", b->n_scores);
    return px_buf_check(&b->names_text, "the names of the scores", err);
}

static enum px_code create(struct batch *b, struct px_err *err)
{
    const struct px_forest_info *info = px_forest_info(b->package->forest);
    size_t row_bytes = info->n_features * px_datatype_size(info->feature_type);
    b->chunk_rows = CHUNK_BYTES_MAX / (row_bytes + 1);
    if (b->chunk_rows > CHUNK_ROWS_MAX)
        b->chunk_rows = CHUNK_ROWS_MAX;
    if (b->chunk_rows == 0)
        b->chunk_rows = 1;
    b->n_scores = b->options->margin ? info->n_margins : info->n_outputs;
    b->score_type = info->score_type;
    b->chunk = (struct px_matrix){
        .type = info->feature_type,
        .data = px_alloc(b->chunk_rows, row_bytes + 1),
        .n_cols = info->n_features,
        .stride = info->n_features,
    };
    b->lines = px_alloc(b->chunk_rows, sizeof *b->lines);
    b->scores = px_alloc(b->chunk_rows * b->n_scores, px_datatype_size(b->score_type));
    b->scratch = px_alloc_aligned(PX_CACHE_LINE,
                                  px_forest_scratch_size(b->package->forest, b->chunk_rows) + 1, 1);
    b->names_text = px_buf(OUTPUT_MAX);
    b->input = px_buf(READ_BYTES + 1);
    b->output = px_buf(OUTPUT_MAX);
    if (!b->chunk.data || !b->lines || !b->scores || !b->scratch ||
        !px_buf_reserve(&b->input, READ_BYTES))
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a chunk of %zu rows", b->chunk_rows);
    return create_names(b, err);
}

static void destroy(struct batch *b)
{
    px_rows_deinit(&b->rows);
    px_free(b->chunk.data);
    px_free(b->lines);
    px_free(b->scores);
    px_free(b->scratch);
    px_free(b->names);
    px_buf_deinit(&b->names_text);
    px_buf_deinit(&b->input);
    px_buf_deinit(&b->output);
}

static enum px_code flush(struct batch *b, struct px_err *err)
{
    enum px_code code = px_buf_check(&b->output, "the output", err);
    if (code == PX_OK && b->output.len)
        code = b->io->write(b->io->context, px_buf_view(&b->output), err);
    px_buf_clear(&b->output);
    return code;
}

static void print_header(struct batch *b)
{
    if (b->options->json)
        return;
    for (size_t i = 0; i < b->n_scores; i++) {
        if (i > 0)
            px_buf_byte(&b->output, ',');
        px_csv_put(&b->output, b->names[i], ',');
    }
    px_buf_byte(&b->output, '\n');
}

static void print_csv_row(struct batch *b, size_t row)
{
    for (size_t i = 0; i < b->n_scores; i++) {
        px_score_print(b->score_type, b->scores, row * b->n_scores + i, &b->output);
        px_buf_byte(&b->output, i + 1 < b->n_scores ? ',' : '\n');
    }
}

static void print_json_row(struct batch *b, size_t row)
{
    struct px_json_writer w = px_json_writer(&b->output);
    px_json_begin_object(&w);
    px_json_member_u64(&w, "line", b->lines[row]);
    for (size_t i = 0; i < b->n_scores; i++) {
        size_t at = row * b->n_scores + i;
        px_json_key_str(&w, b->names[i]);
        if (b->score_type == PX_TYPE_FP32)
            px_json_put_f32(&w, ((const float *)b->scores)[at], false);
        else
            px_json_put_f64(&w, ((const double *)b->scores)[at], false);
    }
    px_json_end_object(&w);
    px_buf_byte(&b->output, '\n');
}

/* Scores and prints the rows that wait. */
static enum px_code score_chunk(struct batch *b, struct px_err *err)
{
    size_t n = b->chunk.n_rows;
    enum px_code code = PX_OK;
    if (n == 0)
        return PX_OK;
    px_forest_predict(b->package->forest, &b->chunk, b->scores, b->scratch,
                      b->options->margin ? PX_FOREST_MARGIN : 0);
    for (size_t row = 0; row < n && code == PX_OK; row++) {
        if (b->options->json)
            print_json_row(b, row);
        else
            print_csv_row(b, row);
        if (b->output.len >= WRITE_BYTES)
            code = flush(b, err);
    }
    b->progress->rows_scored += n;
    b->chunk.n_rows = 0;
    return code;
}

static enum px_code take_bad_row(struct batch *b, struct px_err *why)
{
    uint64_t line = b->rows.record.line;
    b->progress->rows_bad++;
    if (b->options->fail_on_error)
        return px_err_wrap(why, "line %" PRIu64, line);
    if (b->io->bad_row)
        b->io->bad_row(b->io->context, line, why);
    return PX_OK;
}

static enum px_code read_more(struct batch *b, struct px_err *err)
{
    size_t n;
    enum px_code code = PX_OK;
    if (b->caught_up)
        code = score_chunk(b, err);
    if (code == PX_OK && b->caught_up)
        code = flush(b, err);
    if (b->io->progress)
        b->io->progress(b->io->context, b->progress);
    if (code == PX_OK)
        code = b->io->read(b->io->context, b->input.ptr, READ_BYTES, &n, err);
    if (code != PX_OK)
        return code;
    b->progress->bytes_read += n;
    b->caught_up = n < READ_BYTES;
    return px_rows_feed(&b->rows, b->input.ptr, n, err);
}

static enum px_code run(struct batch *b, struct px_err *err)
{
    enum px_code code = PX_OK;
    struct px_err why = {0};
    print_header(b);
    while (code == PX_OK) {
        size_t at = b->chunk.n_rows;
        switch (px_rows_next(&b->rows, &b->chunk, at, &why)) {
        case PX_ROWS_ROW:
            b->lines[at] = b->rows.record.line;
            b->chunk.n_rows++;
            if (b->chunk.n_rows == b->chunk_rows)
                code = score_chunk(b, err);
            break;
        case PX_ROWS_MORE:
            code = read_more(b, err);
            break;
        case PX_ROWS_BAD:
            code = take_bad_row(b, &why);
            if (code != PX_OK && err)
                *err = why;
            break;
        case PX_ROWS_FAILED:
            if (err)
                *err = why;
            return why.code;
        case PX_ROWS_END:
            code = score_chunk(b, err);
            return code == PX_OK ? flush(b, err) : code;
        }
    }
    return code;
}

enum px_code px_batch_predict(const struct px_package *package,
                              const struct px_batch_options *options, const struct px_batch_io *io,
                              struct px_batch_progress *ret, struct px_err *err)
{
    struct batch b = {.package = package, .options = options, .io = io, .progress = ret};
    struct px_rows_options rows = options->rows;
    *ret = (struct px_batch_progress){0};
    if (!rows.target.len)
        rows.target = package->target;
    px_rows_init(&b.rows, &package->signature, &rows);
    enum px_code code = create(&b, err);
    if (code == PX_OK)
        code = run(&b, err);
    destroy(&b);
    return code;
}
