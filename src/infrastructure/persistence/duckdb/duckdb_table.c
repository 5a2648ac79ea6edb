/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file is described by one query and read by another, which selects the wanted columns and casts each to one of
 * the port's types. The second one streams: DuckDB decodes ahead on its own threads, a bounded number of
 * chunks. Timestamps become text because a text has one meaning in this house (px_parse_datetime), so that a
 * column scores the same from CSV and from Parquet; the session's time zone is UTC.
 */
#include "infrastructure/persistence/duckdb/duckdb.h"
#include "infrastructure/persistence/duckdb/duckdb_library.h"
#include "shared/alloc.h"
#include "shared/arena.h"
#include "shared/buf.h"

enum {
    COLUMNS_MAX = 1 << 16,
    NAMES_MEMORY_MAX = 64 << 20,
    SQL_MAX = 64 << 20,
};

struct table {
    struct px_table_reader port;
    struct px_duckdb_library library;
    void *database, *connection, *prepared;
    struct px_duckdb_result result;
    bool has_result;
    bool ended;           /* the library fails when it is asked for more than the last chunk */
    struct px_buf source; /* the file as SQL */
    struct px_arena arena;
    struct px_table_column *columns;
    size_t n_columns, n_selected;
};

/* A chunk that was handed out. */
struct handle {
    struct px_duckdb_library *library;
    void *chunk;
    struct px_table_values columns[];
};

static enum px_code fail(const char *what, const char *why, struct px_err *err)
{
    return px_err_set(err, PX_E_CORRUPT, "%s: %.300s", what, why ? why : "unknown error");
}

/* 'text' or "name", with the quotes within doubled. */
static void put_quoted(struct px_buf *sql, struct px_str text, char quote)
{
    px_buf_byte(sql, quote);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == quote)
            px_buf_byte(sql, quote);
        px_buf_byte(sql, text.ptr[i]);
    }
    px_buf_byte(sql, quote);
}

/* read_parquet('path'); a character of patterns is put in brackets, where it means itself. */
static void put_source(struct px_buf *sql, struct px_str path)
{
    struct px_buf plain = px_buf(SQL_MAX);
    for (size_t i = 0; i < path.len; i++) {
        bool special = memchr("*?[", path.ptr[i], 3) != NULL;
        px_buf_text(&plain, special ? "[" : "");
        px_buf_byte(&plain, path.ptr[i]);
        px_buf_text(&plain, special ? "]" : "");
    }
    sql->failed |= plain.failed;
    sql->no_memory |= plain.no_memory;
    px_buf_text(sql, "read_parquet(");
    put_quoted(sql, px_buf_view(&plain), '\'');
    px_buf_text(sql, ", hive_partitioning = false)");
    px_buf_deinit(&plain);
}

static enum px_code connect(struct table *t, size_t n_threads, struct px_err *err)
{
    const struct px_duckdb_library *d = &t->library;
    char threads[32], *why = NULL;
    const char *const settings[][2] = {
        {"threads", threads},
        {"temp_directory", ""},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
    };
    void *config = NULL;
    snprintf(threads, sizeof threads, "%zu", n_threads);
    int state = d->create_config(&config);
    for (size_t i = 0; state == 0 && i < PX_ARRAY_LEN(settings); i++)
        state = d->set_config(config, settings[i][0], settings[i][1]);
    if (state == 0)
        state = d->open(NULL, &t->database, config, &why);
    d->destroy_config(&config);
    if (state == 0)
        state = d->connect(t->database, &t->connection);
    if (state == 0)
        state = d->query(t->connection, "SET TimeZone = 'UTC'", NULL);
    enum px_code code = PX_OK;
    if (state != 0)
        code = px_err_set(err, PX_E_UNAVAILABLE, "cannot start DuckDB: %.300s",
                          why ? why : "it does not say why");
    d->free(why);
    return code;
}

/* Runs a query whose chunks are fetched one by one. */
static enum px_code start_query(struct table *t, const struct px_buf *sql, struct px_err *err)
{
    const struct px_duckdb_library *d = &t->library;
    enum px_code code = px_buf_check(sql, "the query of a Parquet file", err);
    if (code != PX_OK)
        return code;
    if (d->prepare(t->connection, px_buf_cstr(sql), &t->prepared) != 0)
        return fail("not a Parquet file that can be read", d->prepare_error(t->prepared), err);
    t->has_result = true;
    if (d->execute_streaming(t->prepared, &t->result) != 0)
        return fail("not a Parquet file that can be read", d->result_error(&t->result), err);
    return PX_OK;
}

/* The next chunk, NULL after the last one. Also a failure shows as the end. */
static enum px_code fetch_chunk(struct table *t, void **ret, struct px_err *err)
{
    *ret = t->library.fetch_chunk(t->result);
    const char *why = *ret ? NULL : t->library.result_error(&t->result);
    return why ? fail("the Parquet file breaks off", why, err) : PX_OK;
}

static void end_query(struct table *t)
{
    if (t->has_result)
        t->library.destroy_result(&t->result);
    if (t->prepared)
        t->library.destroy_prepare(&t->prepared);
    t->has_result = false;
    t->result = (struct px_duckdb_result){0};
}

static struct px_str text_at(const void *items, size_t row)
{
    const union px_duckdb_text *text = (const union px_duckdb_text *)items + row;
    uint32_t len = text->near.len;
    return px_str_n(len <= PX_DUCKDB_TEXT_NEAR_MAX ? text->near.bytes : text->far.ptr, len);
}

static enum px_table_type type_of(struct px_str name)
{
    static const char *const numbers[] = {"TINYINT",  "SMALLINT",  "INTEGER",  "BIGINT",
                                          "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
                                          "HUGEINT",  "UHUGEINT",  "FLOAT",    "DOUBLE"};
    static const char *const texts[] = {"VARCHAR", "DATE", "TIMESTAMP", "TIME", "UUID", "ENUM"};
    if (px_str_ends(name, "]") || px_str_starts(name, "STRUCT") || px_str_starts(name, "MAP"))
        return PX_TABLE_UNREADABLE;
    for (size_t i = 0; i < PX_ARRAY_LEN(numbers); i++) {
        if (px_str_is(name, numbers[i]))
            return PX_TABLE_NUMBER;
    }
    if (px_str_starts(name, "DECIMAL"))
        return PX_TABLE_NUMBER;
    for (size_t i = 0; i < PX_ARRAY_LEN(texts); i++) {
        if (px_str_starts(name, texts[i]))
            return PX_TABLE_TEXT;
    }
    return px_str_is(name, "BOOLEAN") ? PX_TABLE_BOOLEAN : PX_TABLE_UNREADABLE;
}

/* Keeps the rows of a DESCRIBE: name, type, ... */
static enum px_code keep_columns(struct table *t, void *chunk, struct px_err *err)
{
    const struct px_duckdb_library *d = &t->library;
    size_t n = d->chunk_size(chunk);
    const void *names = d->vector_data(d->chunk_vector(chunk, 0));
    const void *types = d->vector_data(d->chunk_vector(chunk, 1));
    if (n > COLUMNS_MAX - t->n_columns)
        return px_err_set(err, PX_E_TOO_LARGE, "expected at most %d columns", COLUMNS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct px_table_column *column = &t->columns[t->n_columns++];
        column->name = px_arena_str(&t->arena, text_at(names, i));
        column->type_name = px_arena_str(&t->arena, text_at(types, i));
        column->type = type_of(column->type_name);
    }
    return px_arena_check(&t->arena, "the columns of a Parquet file", err);
}

static enum px_code describe(struct table *t, struct px_err *err)
{
    struct px_buf sql = px_buf(SQL_MAX);
    void *chunk = NULL;
    t->columns = px_arena_zalloc(&t->arena, COLUMNS_MAX, sizeof *t->columns);
    enum px_code code = px_arena_check(&t->arena, "the columns of a Parquet file", err);
    px_buf_text(&sql, "DESCRIBE SELECT * FROM ");
    px_buf_str(&sql, px_buf_view(&t->source));
    if (code == PX_OK)
        code = start_query(t, &sql, err);
    if (code == PX_OK)
        code = fetch_chunk(t, &chunk, err);
    while (code == PX_OK && chunk) {
        code = keep_columns(t, chunk, err);
        t->library.destroy_chunk(&chunk);
        if (code == PX_OK)
            code = fetch_chunk(t, &chunk, err);
    }
    end_query(t);
    px_buf_deinit(&sql);
    return code;
}

static const struct px_table_column *columns(struct px_table_reader *reader, size_t *ret_n)
{
    struct table *t = PX_CONTAINER_OF(reader, struct table, port);
    *ret_n = t->n_columns;
    return t->columns;
}

static enum px_code select_columns(struct px_table_reader *reader, const size_t *wanted, size_t n,
                                   struct px_err *err)
{
    static const char *const casts[] = {
        [PX_TABLE_NUMBER] = "DOUBLE", [PX_TABLE_BOOLEAN] = "BOOLEAN", [PX_TABLE_TEXT] = "VARCHAR"};
    struct table *t = PX_CONTAINER_OF(reader, struct table, port);
    struct px_buf sql = px_buf(SQL_MAX);
    px_buf_text(&sql, "SELECT ");
    for (size_t i = 0; i < n; i++) {
        px_buf_text(&sql, i ? ", CAST(" : "CAST(");
        put_quoted(&sql, t->columns[wanted[i]].name, '"');
        px_buf_printf(&sql, " AS %s)", casts[t->columns[wanted[i]].type]);
    }
    px_buf_text(&sql, n ? " FROM " : "0 FROM ");
    px_buf_str(&sql, px_buf_view(&t->source));
    t->n_selected = n;
    enum px_code code = start_query(t, &sql, err);
    px_buf_deinit(&sql);
    return code;
}

static void release(struct px_table_chunk *chunk)
{
    struct handle *h = chunk->handle;
    h->library->destroy_chunk(&h->chunk);
    px_free(h);
}

static enum px_code next(struct px_table_reader *reader, struct px_table_chunk *ret,
                         struct px_err *err)
{
    struct table *t = PX_CONTAINER_OF(reader, struct table, port);
    struct px_duckdb_library *d = &t->library;
    void *chunk = NULL;
    enum px_code code = t->ended ? PX_OK : fetch_chunk(t, &chunk, err);
    t->ended = code == PX_OK && !chunk;
    if (!chunk)
        return code;
    struct handle *h = px_alloc(1, sizeof *h + t->n_selected * sizeof h->columns[0]);
    if (!h) {
        d->destroy_chunk(&chunk);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a chunk of %zu columns",
                          t->n_selected);
    }
    h->library = d;
    h->chunk = chunk;
    for (size_t i = 0; i < t->n_selected; i++) {
        void *vector = d->chunk_vector(chunk, i);
        h->columns[i] =
            (struct px_table_values){d->vector_data(vector), d->vector_validity(vector)};
    }
    *ret = (struct px_table_chunk){d->chunk_size(chunk), h->columns, text_at, release, h};
    return PX_OK;
}

static void close_table(struct px_table_reader *reader)
{
    struct table *t = PX_CONTAINER_OF(reader, struct table, port);
    end_query(t);
    if (t->connection)
        t->library.disconnect(&t->connection);
    if (t->database)
        t->library.close(&t->database);
    px_buf_deinit(&t->source);
    px_arena_deinit(&t->arena);
    px_free(t);
}

static const struct px_table_reader_ops ops = {
    .abi = PX_TABLE_READER_ABI,
    .name = "duckdb",
    .columns = columns,
    .select = select_columns,
    .next = next,
    .close = close_table,
};

enum px_code px_duckdb_open_parquet(const char *path, size_t n_threads,
                                    struct px_table_reader **ret, struct px_err *err)
{
    struct table *t = px_alloc(1, sizeof *t);
    if (!t)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to open '%s'", path);
    t->port.ops = &ops;
    t->source = px_buf(SQL_MAX);
    t->arena = px_arena(NAMES_MEMORY_MAX);
    put_source(&t->source, px_str(path));
    enum px_code code = px_duckdb_library_open(&t->library, err);
    if (code == PX_OK)
        code = connect(t, n_threads, err);
    if (code == PX_OK)
        code = describe(t, err);
    if (code == PX_OK)
        *ret = &t->port;
    else
        close_table(&t->port);
    return code;
}
