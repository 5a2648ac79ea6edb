/* SPDX-License-Identifier: Apache-2.0 */
#include "application/training/table.h"

#include "domain/inference/signature.h"
#include "shared/alloc.h"
#include "shared/map.h"
#include "shared/number.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

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
    char *chunk; /* [CHUNK] */
    size_t at;   /* bytes of the file that were fed */
};

static enum px_code fail_system(const char *verb, const char *path, struct px_err *err)
{
    bool absent = errno == ENOENT || errno == ENOTDIR;
    return px_err_set(err, absent ? PX_E_NOT_FOUND : PX_E_IO, "cannot %s '%s': %s", verb, path,
                      strerror(errno));
}

static enum px_code fail_changed(const struct px_table *table, struct px_err *err)
{
    px_err_set(err, PX_E_CONFLICT, "%s changed while it was read", table->path);
    return px_err_hint(err, "train on a copy of a file that is still being written");
}

/* Reads up to `max` bytes at `at`; fewer than the size promises means that the file became shorter. */
static enum px_code read_at(const struct px_table *table, size_t at, char *out, size_t max,
                            size_t *ret_n, struct px_err *err)
{
    size_t left = table->size - at, wanted = left < max ? left : max;
    for (*ret_n = 0; *ret_n < wanted;) {
        ssize_t n = pread(table->fd, out + *ret_n, wanted - *ret_n, (off_t)(at + *ret_n));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_system("read", table->path, err);
        if (n == 0)
            return fail_changed(table, err);
        *ret_n += (size_t)n;
    }
    return PX_OK;
}

static enum px_code check_unchanged(const struct px_table *table, struct px_err *err)
{
    struct stat info;
    if (fstat(table->fd, &info) != 0)
        return fail_system("look at", table->path, err);
    bool same = (size_t)info.st_size == table->size &&
                info.st_mtim.tv_sec == table->changed.tv_sec &&
                info.st_mtim.tv_nsec == table->changed.tv_nsec;
    return same ? PX_OK : fail_changed(table, err);
}

static enum px_code start_scan(struct scanner *s, const struct px_table *table, struct px_err *err)
{
    *s = (struct scanner){.table = table, .chunk = px_alloc(CHUNK, 1)};
    px_csv_init(&s->csv, table->separator);
    return s->chunk ? PX_OK : px_err_set(err, PX_E_NO_MEMORY, "no memory to read %s", table->path);
}

static void end_scan(struct scanner *s)
{
    px_csv_deinit(&s->csv);
    px_free(s->chunk);
}

static enum px_code feed(struct scanner *s, struct px_err *err)
{
    size_t n;
    enum px_code code = read_at(s->table, s->at, s->chunk, CHUNK, &n, err);
    if (code == PX_OK)
        code = px_csv_feed(&s->csv, n ? s->chunk : NULL, n, err);
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
        snprintf(place, sizeof place, "c%zu", i + 1);
        names[i] = table->has_header ? px_column_name(first->fields[i].text, i, &table->arena)
                                     : px_arena_str(&table->arena, px_str(place));
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
    struct scanner s;
    struct px_csv_record record;
    enum px_csv_event event = PX_CSV_END;
    struct px_err why = {0};
    enum px_code code = start_scan(&s, table, err);
    if (code == PX_OK)
        code = next_record(&s, &record, &event, &why, err);
    if (code == PX_OK && event == PX_CSV_BAD)
        code = px_err_set(err, PX_E_INVALID, "the first line cannot be read: %s", why.message);
    else if (code == PX_OK && event == PX_CSV_END)
        code = px_err_set(err, PX_E_INVALID, "the file is empty");
    else if (code == PX_OK && record.n_fields > PX_TABLE_COLUMNS_MAX)
        code = px_err_set(err, PX_E_TOO_LARGE, "%zu columns are more than the %d that are allowed",
                          record.n_fields, PX_TABLE_COLUMNS_MAX);
    else if (code == PX_OK)
        code = name_columns(table, &record, err);
    end_scan(&s);
    return code;
}

static enum px_code open_file(struct px_table *table, struct px_err *err)
{
    struct stat info;
    table->fd = open(table->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (table->fd < 0)
        return fail_system("open", table->path, err);
    if (fstat(table->fd, &info) != 0)
        return fail_system("look at", table->path, err);
    if (!S_ISREG(info.st_mode))
        return px_err_set(err, PX_E_INVALID, "expected a file, got %s '%s'",
                          S_ISDIR(info.st_mode) ? "the folder" : "a device or pipe at",
                          table->path);
    table->size = (size_t)info.st_size;
    table->changed = info.st_mtim;
    if (table->size > PX_TABLE_BYTES_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "'%s' has %zu bytes; the limit is %zu", table->path,
                          table->size, PX_TABLE_BYTES_MAX);
    return PX_OK;
}

static enum px_code guess_separator(struct px_table *table, struct px_err *err)
{
    size_t n;
    char *sample = px_alloc(SAMPLE, 1);
    if (!sample)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to read %s", table->path);
    enum px_code code = read_at(table, 0, sample, SAMPLE, &n, err);
    if (code == PX_OK)
        table->separator = px_csv_guess_separator(px_str_n(sample, n));
    px_free(sample);
    return code;
}

enum px_code px_table_open(struct px_table *table, const char *path, bool no_header,
                           struct px_err *err)
{
    *table =
        (struct px_table){.path = path, .has_header = !no_header, .arena = px_arena(HEADER_MAX)};
    enum px_code code = open_file(table, err);
    if (code == PX_OK)
        code = guess_separator(table, err);
    if (code == PX_OK) {
        code = read_header(table, err);
        if (code != PX_OK)
            px_err_wrap(err, "%s", path);
    }
    if (code != PX_OK)
        px_table_close(table);
    return code;
}

void px_table_close(struct px_table *table)
{
    if (table->fd >= 0)
        close(table->fd);
    table->fd = -1;
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
    if (visitor->progress(visitor->context, s->at, s->table->size))
        return PX_OK;
    return px_err_set(err, PX_E_CANCELLED, "cancelled while reading %s", s->table->path);
}

enum px_code px_table_scan(const struct px_table *table, const struct px_table_visitor *visitor,
                           struct px_table_scan *ret, struct px_err *err)
{
    struct scanner s;
    struct px_csv_record record;
    enum px_csv_event event;
    struct px_err why = {0};
    bool header = table->has_header;
    size_t told = 0;
    *ret = (struct px_table_scan){0};
    enum px_code code = start_scan(&s, table, err);
    if (code == PX_OK)
        code = next_record(&s, &record, &event, &why, err);
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
    end_scan(&s);
    /* What else is wrong may be wrong because of the change. */
    enum px_code unchanged = code == PX_E_CANCELLED ? PX_OK : check_unchanged(table, err);
    if (unchanged != PX_OK)
        return unchanged;
    return code == PX_OK ? judge(table, ret, err) : code;
}
