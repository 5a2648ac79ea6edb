/* SPDX-License-Identifier: Apache-2.0 */
#include "application/training/table.h"

#include "shared/map.h"
#include "shared/number.h"

#include <inttypes.h>

enum {
    CHUNK = 1 << 18,         /* bytes fed at a time */
    SAMPLE = 1 << 16,        /* bytes looked at for the separator */
    HEADER_MAX = 1 << 24,    /* bytes of all names */
    JUDGE_AFTER_ROWS = 1000, /* rows before a scan is given up for bad ones */
};

/* What a scan is at. */
struct scanner {
    const struct px_table *table;
    struct px_csv csv;
    size_t at; /* bytes of the file that were fed */
};

static enum px_code feed(struct scanner *s, struct px_err *err)
{
    struct px_str bytes = s->table->map.bytes;
    size_t left = bytes.len - s->at, n = left < CHUNK ? left : CHUNK;
    enum px_code code = px_csv_feed(&s->csv, n ? bytes.ptr + s->at : NULL, n, err);
    s->at += n;
    return code;
}

/* The next record or BAD or END; feeds as needed. */
static enum px_code next_record(struct scanner *s, struct px_csv_record *record,
                                enum px_csv_event *ret, struct px_err *why, struct px_err *err)
{
    for (;;) {
        *ret = px_csv_next(&s->csv, record, why);
        if (*ret != PX_CSV_MORE)
            return PX_OK;
        enum px_code code = feed(s, err);
        if (code != PX_OK)
            return code;
    }
}

static enum px_code check_names(struct px_table *table, struct px_err *err)
{
    struct px_map seen = {0};
    enum px_code code = px_map_reserve(&seen, table->n_columns, err);
    for (size_t i = 0; code == PX_OK && i < table->n_columns; i++) {
        size_t before;
        if (!px_str_is_utf8(table->columns[i]))
            code = px_err_set(err, PX_E_INVALID, "the name of column %zu is not UTF-8", i + 1);
        else if (px_map_get(&seen, table->columns[i], &before))
            code =
                px_err_set(err, PX_E_INVALID, "column '%.*s' appears twice, as number %zu and %zu",
                           PX_STR_ARG(table->columns[i]), before + 1, i + 1);
        else
            code = px_map_put(&seen, table->columns[i], i, err);
    }
    px_map_deinit(&seen);
    return code;
}

/* A first line of numbers is a row; taking it for a header would lose it. */
static enum px_code check_is_header(const struct px_table *table, struct px_err *err)
{
    double number;
    for (size_t i = 0; i < table->n_columns; i++) {
        if (!px_str_to_f64(table->columns[i], &number))
            return PX_OK;
    }
    px_err_set(err, PX_E_INVALID, "the first line looks like data, not like a header: '%.*s', ...",
               PX_STR_ARG(table->columns[0]));
    return px_err_hint(err, "--no-header names the columns c1, c2, ...");
}

static enum px_code name_columns(struct px_table *table, const struct px_csv_record *first,
                                 struct px_err *err)
{
    struct px_str *names = px_arena_alloc(&table->arena, first->n_fields, sizeof *names);
    if (!names)
        return px_arena_check(&table->arena, "the header", err);
    for (size_t i = 0; i < first->n_fields; i++) {
        char place[32];
        struct px_str name = px_str_trim(first->fields[i].text);
        if (!table->has_header || name.len == 0) {
            snprintf(place, sizeof place, table->has_header ? "column_%zu" : "c%zu", i + 1);
            name = px_str(place);
        }
        names[i] = px_arena_str(&table->arena, name);
    }
    table->columns = names;
    table->n_columns = first->n_fields;
    enum px_code code = px_arena_check(&table->arena, "the header", err);
    if (code == PX_OK && table->has_header)
        code = check_is_header(table, err);
    return code == PX_OK ? check_names(table, err) : code;
}

static enum px_code read_header(struct px_table *table, struct px_err *err)
{
    struct scanner s = {.table = table};
    struct px_csv_record record;
    enum px_csv_event event = PX_CSV_END;
    struct px_err why = {0};
    px_csv_init(&s.csv, table->separator);
    enum px_code code = next_record(&s, &record, &event, &why, err);
    if (code == PX_OK && event == PX_CSV_BAD)
        code = px_err_set(err, PX_E_INVALID, "the first line cannot be read: %s", why.message);
    else if (code == PX_OK && event == PX_CSV_END)
        code = px_err_set(err, PX_E_INVALID, "the file is empty");
    else if (code == PX_OK && record.n_fields > PX_TABLE_COLUMNS_MAX)
        code = px_err_set(err, PX_E_TOO_LARGE, "%zu columns are more than the %d that are allowed",
                          record.n_fields, PX_TABLE_COLUMNS_MAX);
    else if (code == PX_OK)
        code = name_columns(table, &record, err);
    px_csv_deinit(&s.csv);
    return code;
}

enum px_code px_table_open(struct px_table *table, const char *path, bool no_header,
                           struct px_err *err)
{
    *table =
        (struct px_table){.path = path, .has_header = !no_header, .arena = px_arena(HEADER_MAX)};
    enum px_code code = px_file_map(&table->map, path, PX_TABLE_BYTES_MAX, err);
    if (code != PX_OK)
        return code;
    struct px_str bytes = table->map.bytes;
    table->separator =
        px_csv_guess_separator(px_str_n(bytes.ptr, bytes.len < SAMPLE ? bytes.len : SAMPLE));
    code = read_header(table, err);
    if (code != PX_OK) {
        px_table_close(table);
        px_err_wrap(err, "%s", path);
    }
    return code;
}

void px_table_close(struct px_table *table)
{
    px_file_unmap(&table->map);
    px_arena_deinit(&table->arena);
}

bool px_table_header_is_suspect(const struct px_table *table)
{
    double number;
    for (size_t i = 0; table->has_header && i < table->n_columns; i++) {
        if (px_str_to_f64(table->columns[i], &number))
            return true;
    }
    return false;
}

long px_table_find(const struct px_table *table, const char *what, struct px_str name,
                   struct px_err *err)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        if (px_str_eq(table->columns[i], name))
            return (long)i;
    }
    long nearest = px_str_nearest(name, table->columns, table->n_columns);
    if (nearest >= 0) {
        px_err_set(err, PX_E_INVALID, "%s has no %s column '%.*s' (did you mean '%.*s'?)",
                   table->path, what, PX_STR_ARG(name), PX_STR_ARG(table->columns[nearest]));
        return -1;
    }
    px_err_set(err, PX_E_INVALID, "%s has no %s column '%.*s'", table->path, what,
               PX_STR_ARG(name));
    if (px_table_header_is_suspect(table))
        px_err_hint(err, "its first line looks like data: --no-header names the columns c1 to c%zu",
                    table->n_columns);
    else
        px_err_hint(err, "it has %zu columns, the last is '%.*s'", table->n_columns,
                    PX_STR_ARG(table->columns[table->n_columns - 1]));
    return -1;
}

static void note_bad(struct px_table_scan *scan, uint64_t line, const struct px_err *why)
{
    if (scan->n_bad++ > 0)
        return;
    scan->bad_line = line;
    scan->bad = *why;
}

static enum px_code judge(const struct px_table *table, const struct px_table_scan *scan,
                          struct px_err *err)
{
    double all = (double)(scan->n_rows + scan->n_bad);
    if ((double)scan->n_bad <= PX_TABLE_BAD_SHARE * all)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID,
                      "%s: %" PRIu64 " of %.0f rows cannot be read; the first is line %" PRIu64
                      ": %.200s",
                      table->path, scan->n_bad, all, scan->bad_line, scan->bad.message);
}

static enum px_code visit(const struct px_table *table, const struct px_csv_record *record,
                          const struct px_table_visitor *visitor, struct px_table_scan *scan,
                          struct px_err *err)
{
    struct px_err why;
    if (record->n_fields != table->n_columns) {
        px_err_set(&why, PX_E_INVALID, "expected %zu fields, got %zu", table->n_columns,
                   record->n_fields);
        note_bad(scan, record->line, &why);
        return PX_OK;
    }
    struct px_table_row row = {record->fields, scan->n_rows++, record->line};
    return visitor->row(visitor->context, &row, err);
}

/* Progress is told once per chunk of the file. */
static enum px_code tell(const struct scanner *s, size_t *told,
                         const struct px_table_visitor *visitor, struct px_err *err)
{
    if (!visitor->progress || s->at == *told)
        return PX_OK;
    *told = s->at;
    if (visitor->progress(visitor->context, s->at, s->table->map.bytes.len))
        return PX_OK;
    return px_err_set(err, PX_E_CANCELLED, "cancelled while reading %s", s->table->path);
}

enum px_code px_table_scan(const struct px_table *table, const struct px_table_visitor *visitor,
                           struct px_table_scan *ret, struct px_err *err)
{
    struct scanner s = {.table = table};
    struct px_csv_record record;
    enum px_csv_event event;
    struct px_err why = {0};
    bool header = table->has_header;
    size_t told = 0;
    *ret = (struct px_table_scan){0};
    px_csv_init(&s.csv, table->separator);
    enum px_code code = next_record(&s, &record, &event, &why, err);
    while (code == PX_OK && event != PX_CSV_END) {
        if (event == PX_CSV_BAD)
            note_bad(ret, record.line, &why);
        else if (header)
            header = false;
        else
            code = visit(table, &record, visitor, ret, err);
        if (code == PX_OK)
            code = tell(&s, &told, visitor, err);
        if (code == PX_OK && ret->n_bad && ret->n_rows + ret->n_bad == JUDGE_AFTER_ROWS)
            code = judge(table, ret, err);
        if (code == PX_OK)
            code = next_record(&s, &record, &event, &why, err);
    }
    px_csv_deinit(&s.csv);
    return code == PX_OK ? judge(table, ret, err) : code;
}
