/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block is read by two readers that take turns: the quick one for as long as records are plain, else the
 * exact one for one record. Which of them reads a record changes nothing but the time it takes: the quick
 * one leaves alone whatever it is not sure of, and leaves texts to px_feature_encode_text.
 */
#include "application/batch/rows.h"

enum { HEAD_MAX = 1 << 16 /* bytes looked at for the separator */ };

void px_rows_init(struct px_rows *rows, const struct px_signature *signature,
                  const struct px_rows_options *options)
{
    *rows = (struct px_rows){.head = px_buf(PX_CSV_RECORD_MAX)};
    rows->header = &rows->own;
    px_header_init(&rows->own, signature, options);
}

void px_rows_init_block(struct px_rows *rows, struct px_header *header, char separator)
{
    *rows = (struct px_rows){.header = header, .started = true};
    px_csv_init(&rows->csv, separator);
    rows->plain.separator = separator;
}

void px_rows_deinit(struct px_rows *rows)
{
    if (rows->started)
        px_csv_deinit(&rows->csv);
    px_vec_free(&rows->left);
    px_buf_deinit(&rows->head);
    px_header_deinit(&rows->own);
}

char px_rows_guess_separator(struct px_str head, bool ended)
{
    bool enough = ended || head.len >= HEAD_MAX || px_str_find(head, '\n') < head.len;
    return enough ? px_csv_guess_separator(head) : '\0';
}

/* Begins to read once the first line has arrived as far as it is needed. */
static enum px_code start(struct px_rows *rows, bool ended, struct px_err *err)
{
    struct px_str head = px_buf_view(&rows->head);
    char guess = px_rows_guess_separator(head, ended);
    if (!guess)
        return PX_OK;
    char separator = rows->header->options.separator;
    px_csv_init(&rows->csv, separator ? separator : guess);
    rows->started = true;
    enum px_code code = head.len ? px_csv_feed(&rows->csv, head.ptr, head.len, err) : PX_OK;
    px_buf_deinit(&rows->head);
    return code;
}

enum px_code px_rows_feed(struct px_rows *rows, const void *bytes, size_t len, struct px_err *err)
{
    if (rows->started)
        return px_csv_feed(&rows->csv, bytes, len, err);
    px_buf_append(&rows->head, bytes, len);
    enum px_code code = px_buf_check(&rows->head, "the first line", err);
    if (code == PX_OK)
        code = start(rows, len == 0, err);
    if (code == PX_OK && len == 0)
        code = px_csv_feed(&rows->csv, NULL, 0, err);
    return code;
}

/* Then an empty line is a missing value: passing over it would shift the scores against the rows. */
static bool has_one_column(const struct px_header *header)
{
    if (header->bound)
        return header->n_columns == 1;
    return header->options.no_header && header->signature->n_features == 1;
}

void px_rows_read_block(struct px_rows *rows, char *text, size_t len,
                        const struct px_csv_place *place, bool goes_on)
{
    px_csv_read_block(&rows->csv, text, len, place, goes_on);
    rows->csv.empty_lines = has_one_column(rows->header);
    rows->plain.read = px_csv_plain_pick();
}

long px_rows_column(const struct px_rows *rows, struct px_str name)
{
    for (size_t i = 0; i < rows->n_columns; i++) {
        if (px_str_eq(rows->columns[i], name))
            return (long)i;
    }
    return -1;
}

static enum px_code bind(struct px_rows *rows, struct px_err *err)
{
    size_t n = rows->record.n_fields;
    struct px_arena scratch = px_arena(PX_CSV_RECORD_MAX);
    struct px_str *names = px_arena_alloc(&scratch, n + 1, sizeof *names);
    enum px_code code = px_arena_check(&scratch, "the header", err);
    for (size_t i = 0; names && i < n; i++)
        names[i] = rows->record.fields[i].text;
    if (code == PX_OK)
        code = px_header_bind(rows->header, names, n, err);
    px_arena_deinit(&scratch);
    return code;
}

static enum px_code encode_field(const struct px_rows *rows, size_t column, struct px_str text,
                                 void *row, struct px_err *err)
{
    const struct px_header *header = rows->header;
    long feature = header->binding.feature_of[column];
    double value;
    if (feature < 0)
        return PX_OK;
    enum px_code code =
        px_feature_encode_text(&header->signature->features[feature], text, &value, err);
    if (code != PX_OK)
        return code;
    if (rows->plain.wide)
        ((double *)row)[feature] = value;
    else
        ((float *)row)[feature] = (float)value;
    return PX_OK;
}

/* All fields of the record. */
static enum px_code encode(const struct px_rows *rows, void *row, struct px_err *err)
{
    const struct px_csv_record *record = &rows->record;
    enum px_code code = PX_OK;
    if (record->n_fields != rows->n_columns)
        return px_err_set(err, PX_E_INVALID, "expected %zu fields, got %zu", rows->n_columns,
                          record->n_fields);
    for (size_t c = 0; c < rows->n_columns && code == PX_OK; c++)
        code = encode_field(rows, c, record->fields[c].text, row, err);
    return code;
}

/* Makes ready for rows like those of `matrix`, once the header is bound. */
static bool prepare(struct px_rows *rows, const struct px_matrix *matrix)
{
    rows->columns = rows->header->columns;
    rows->n_columns = rows->header->n_columns;
    rows->csv.empty_lines = has_one_column(rows->header);
    rows->plain.slots = rows->header->slots;
    rows->plain.n_columns = rows->n_columns;
    rows->plain.wide = matrix->type == PX_TYPE_FP64;
    rows->ready = px_vec_reserve(&rows->left, rows->n_columns + 1);
    return rows->ready;
}

/* The quick path; PX_ROWS_NONE: the next record is not plain. */
static enum px_rows_event next_plain(struct px_rows *rows, void *row, struct px_err *err)
{
    struct px_str ahead = px_csv_ahead(&rows->csv);
    struct px_csv_row fields = {.values = row, .left = rows->left.items};
    if (ahead.len == 0)
        return PX_ROWS_NONE;
    size_t at = (size_t)(ahead.ptr - rows->csv.text);
    size_t len =
        rows->plain.read(&rows->plain, px_str_n(rows->csv.text, rows->csv.len), at, &fields);
    if (len == 0)
        return PX_ROWS_NONE;
    rows->record = (struct px_csv_record){.line = rows->csv.place.line};
    px_csv_pass(&rows->csv, len);
    for (size_t i = 0; i < fields.n_left; i++) {
        const struct px_csv_left *left = &fields.left[i];
        if (encode_field(rows, left->column, left->text, row, err) != PX_OK)
            return PX_ROWS_BAD;
    }
    return PX_ROWS_ROW;
}

/* An end before a header: nothing was said. */
static enum px_rows_event end(const struct px_rows *rows, struct px_err *err)
{
    if (rows->header->bound || rows->header->options.no_header || rows->csv.goes_on)
        return PX_ROWS_END;
    px_err_set(err, PX_E_INVALID, "the input is empty: expected a header line");
    return PX_ROWS_FAILED;
}

/* The header or the first row is in the record. PX_ROWS_NONE: it was the header. */
static enum px_rows_event begin(struct px_rows *rows, const struct px_matrix *matrix,
                                struct px_err *err)
{
    bool header = !rows->header->bound;
    if (header && bind(rows, err) != PX_OK)
        return PX_ROWS_FAILED;
    if (!prepare(rows, matrix)) {
        px_err_set(err, PX_E_NO_MEMORY, "no memory for rows of %zu columns", rows->n_columns);
        return PX_ROWS_FAILED;
    }
    return header && !rows->header->options.no_header ? PX_ROWS_NONE : PX_ROWS_ROW;
}

/* The exact path, for every record. PX_ROWS_NONE: a header was passed. */
static enum px_rows_event next_exact(struct px_rows *rows, struct px_matrix *matrix, size_t at,
                                     struct px_err *err)
{
    switch (px_csv_next(&rows->csv, &rows->record, err)) {
    case PX_CSV_MORE:
        return PX_ROWS_MORE;
    case PX_CSV_END:
        return end(rows, err);
    case PX_CSV_BAD:
        return rows->header->bound || rows->header->options.no_header ? PX_ROWS_BAD
                                                                      : PX_ROWS_FAILED;
    case PX_CSV_RECORD:
        break;
    }
    enum px_rows_event event = rows->ready ? PX_ROWS_ROW : begin(rows, matrix, err);
    if (event != PX_ROWS_ROW)
        return event;
    return encode(rows, px_matrix_row(matrix, at), err) == PX_OK ? PX_ROWS_ROW : PX_ROWS_BAD;
}

enum px_rows_event px_rows_next(struct px_rows *rows, struct px_matrix *matrix, size_t at,
                                struct px_err *err)
{
    enum px_rows_event event = PX_ROWS_NONE;
    if (!rows->started)
        return PX_ROWS_MORE;
    while (event == PX_ROWS_NONE) {
        if (rows->ready && rows->plain.read)
            event = next_plain(rows, px_matrix_row(matrix, at), err);
        if (event == PX_ROWS_NONE)
            event = next_exact(rows, matrix, at, err);
    }
    return event;
}
