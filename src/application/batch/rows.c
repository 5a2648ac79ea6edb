/* SPDX-License-Identifier: Apache-2.0 */
#include "application/batch/rows.h"

#include "shared/number.h"

enum {
    HEAD_MAX = 1 << 16, /* bytes looked at for the separator */
    BINDING_MEMORY_MAX = 64 << 20,
};

void px_rows_init(struct px_rows *rows, const struct px_signature *signature,
                  const struct px_rows_options *options)
{
    *rows = (struct px_rows){
        .signature = signature,
        .options = *options,
        .head = px_buf(PX_CSV_RECORD_MAX),
        .arena = px_arena(BINDING_MEMORY_MAX),
    };
    if (options->no_header)
        rows->options.by_position = true;
}

void px_rows_deinit(struct px_rows *rows)
{
    if (rows->started)
        px_csv_deinit(&rows->csv);
    px_buf_deinit(&rows->head);
    px_arena_deinit(&rows->arena);
}

/* Picks the separator from the first line, which has arrived as far as it is needed. */
static enum px_code start(struct px_rows *rows, struct px_err *err)
{
    struct px_str head = px_buf_view(&rows->head);
    char separator = rows->options.separator;
    px_csv_init(&rows->csv, separator ? separator : px_csv_guess_separator(head));
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
    struct px_str head = px_buf_view(&rows->head);
    bool enough = len == 0 || head.len >= HEAD_MAX || px_str_find(head, '\n') < head.len;
    if (code == PX_OK && enough)
        code = start(rows, err);
    if (code == PX_OK && len == 0)
        code = px_csv_feed(&rows->csv, NULL, 0, err);
    return code;
}

static enum px_code keep_columns(struct px_rows *rows, const struct px_csv_record *record,
                                 struct px_err *err)
{
    struct px_str *columns = px_arena_zalloc(&rows->arena, record->n_fields + 1, sizeof *columns);
    for (size_t i = 0; columns && !rows->options.no_header && i < record->n_fields; i++)
        columns[i] = px_column_name(record->fields[i].text, i, &rows->arena);
    rows->columns = columns;
    rows->n_columns = record->n_fields;
    return px_arena_check(&rows->arena, "the header", err);
}

long px_rows_column(const struct px_rows *rows, struct px_str name)
{
    for (size_t i = 0; i < rows->n_columns; i++) {
        if (px_str_eq(rows->columns[i], name))
            return (long)i;
    }
    return -1;
}

static bool any_feature_named(const struct px_rows *rows)
{
    for (size_t i = 0; i < rows->n_columns; i++) {
        if (px_signature_find(rows->signature, rows->columns[i]) >= 0)
            return true;
    }
    return false;
}

/*
 * A first line of numbers is a row, not a header, and taking it for one would lose it silently. The
 * exception is 0,1,2,...: that is how pandas names the columns of an array.
 */
static enum px_code check_is_header(const struct px_rows *rows, struct px_err *err)
{
    bool counting = true;
    for (size_t i = 0; i < rows->n_columns; i++) {
        uint64_t whole;
        double number;
        if (!px_str_to_f64(rows->columns[i], &number))
            return PX_OK;
        counting = counting && px_str_to_u64(rows->columns[i], &whole) && whole == i;
    }
    if (counting)
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "the first line looks like data, not like a header: '%.*s', ...",
               PX_STR_ARG(rows->columns[0]));
    return px_err_hint(err, "--no-header reads the first line as a row");
}

/* Is this column something else than a feature, though nothing but positions say what is one? */
static bool is_left_out(const struct px_rows *rows, size_t column)
{
    struct px_str name = rows->columns[column];
    if (name.len == 0)
        return false;
    if (px_str_eq(name, rows->options.target))
        return true;
    return rows->options.with_scores && (px_str_is(name, "score") || px_str_starts(name, "score_"));
}

static enum px_code bind_by_position(struct px_rows *rows, struct px_err *err)
{
    size_t n = rows->signature->n_features, next = 0;
    rows->binding.n_columns = rows->n_columns;
    rows->binding.feature_of =
        px_arena_alloc(&rows->arena, rows->n_columns + 1, sizeof *rows->binding.feature_of);
    if (!rows->binding.feature_of)
        return px_arena_check(&rows->arena, "the header", err);
    for (size_t c = 0; c < rows->n_columns; c++)
        rows->binding.feature_of[c] = is_left_out(rows, c) ? -1 : (long)next++;
    if (next != n)
        return px_err_set(err, PX_E_INVALID,
                          "columns are matched by position: the model takes %zu, the file has %zu",
                          n, next);
    return rows->options.no_header ? PX_OK : check_is_header(rows, err);
}

static enum px_code bind_columns(struct px_rows *rows, const struct px_csv_record *record,
                                 struct px_err *err)
{
    enum px_code code = keep_columns(rows, record, err);
    if (code != PX_OK)
        return code;
    bool unnamed = !rows->signature->named && !any_feature_named(rows);
    rows->bound = true;
    if (rows->options.by_position || unnamed)
        return bind_by_position(rows, err);
    return px_signature_bind(rows->signature, rows->columns, rows->n_columns, false, &rows->arena,
                             &rows->binding, err);
}

static enum px_code encode(const struct px_rows *rows, struct px_matrix *matrix, size_t at,
                           struct px_err *err)
{
    const struct px_csv_record *record = &rows->record;
    if (record->n_fields != rows->n_columns)
        return px_err_set(err, PX_E_INVALID, "expected %zu fields, got %zu", rows->n_columns,
                          record->n_fields);
    for (size_t c = 0; c < rows->n_columns; c++) {
        long feature = rows->binding.feature_of[c];
        if (feature < 0)
            continue;
        double value;
        enum px_code code = px_feature_encode_text(&rows->signature->features[feature],
                                                   record->fields[c].text, &value, err);
        if (code != PX_OK)
            return code;
        px_matrix_set(matrix, at, (size_t)feature, value);
    }
    return PX_OK;
}

/* An end before a header: nothing was said. */
static enum px_rows_event end(const struct px_rows *rows, struct px_err *err)
{
    if (rows->bound || rows->options.no_header)
        return PX_ROWS_END;
    px_err_set(err, PX_E_INVALID, "the input is empty: expected a header line");
    return PX_ROWS_FAILED;
}

enum px_rows_event px_rows_next(struct px_rows *rows, struct px_matrix *matrix, size_t at,
                                struct px_err *err)
{
    if (!rows->started)
        return PX_ROWS_MORE;
    for (;;) {
        switch (px_csv_next(&rows->csv, &rows->record, err)) {
        case PX_CSV_MORE:
            return PX_ROWS_MORE;
        case PX_CSV_END:
            return end(rows, err);
        case PX_CSV_BAD:
            return rows->bound || rows->options.no_header ? PX_ROWS_BAD : PX_ROWS_FAILED;
        case PX_CSV_RECORD:
            break;
        }
        bool header = !rows->bound;
        if (header && bind_columns(rows, &rows->record, err) != PX_OK)
            return PX_ROWS_FAILED;
        if (header && !rows->options.no_header)
            continue;
        return encode(rows, matrix, at, err) == PX_OK ? PX_ROWS_ROW : PX_ROWS_BAD;
    }
}
