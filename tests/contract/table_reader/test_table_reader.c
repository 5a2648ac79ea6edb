/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of the table reader port, run against every adapter: memory, and DuckDB over table.parquet (passed
 * over, and said so, where the library is missing or a sanitizer runs, which it does not stand). Both hold the
 * same table: three times the same thousand rows.
 */
#include "harness.h"
#include "memory_table.h"

#include "infrastructure/persistence/duckdb/duckdb.h"

#include <pthread.h>
#include <unistd.h>

enum { NUMBER, FLAG, TEXT, LIST, N_COLUMNS };
enum { PERIOD = 1000, N_ROWS = 3000, TEXT_MAX = 40, CHUNKS_MAX = 64 };

#define TABLE_FILE   PX_TEST_DATA "/../contract/table_reader/table.parquet"
#define LIBRARY_FILE PX_TEST_DATA "/../../.venv/native/libduckdb.so"

/* --- the table -------------------------------------------------------------------------------- */

static double numbers[PERIOD];
static uint8_t flags[PERIOD];
static char text_bytes[PERIOD][TEXT_MAX];
static const char *texts[PERIOD];
static uint64_t valid[LIST][PERIOD / 64 + 1];

static bool is_null(size_t column, size_t row)
{
    static const size_t every[] = {7, 5, 11}, at[] = {3, 4, 5};
    return row % PERIOD % every[column] == at[column];
}

static void make_table(void)
{
    for (size_t i = 0; i < PERIOD; i++) {
        numbers[i] = (double)(i % 40) / 4;
        flags[i] = i % 3 == 0;
        snprintf(text_bytes[i], TEXT_MAX, i % 2 ? "a text with the number %zu" : "%zu", i % 20);
        texts[i] = text_bytes[i];
        for (size_t column = 0; column < LIST; column++)
            valid[column][i / 64] |= (uint64_t)!is_null(column, i) << i % 64;
    }
}

/* --- adapters --------------------------------------------------------------------------------- */

static struct px_table_reader *open_memory(void)
{
    static struct memory_table table;
    table = (struct memory_table){
        .port = {&memory_table_ops},
        .columns = {[NUMBER] = {PX_STR("number"), PX_TABLE_NUMBER, PX_STR("DOUBLE")},
                    [FLAG] = {PX_STR("flag"), PX_TABLE_BOOLEAN, PX_STR("BOOLEAN")},
                    [TEXT] = {PX_STR("text"), PX_TABLE_TEXT, PX_STR("VARCHAR")},
                    [LIST] = {PX_STR("list"), PX_TABLE_UNREADABLE, PX_STR("INTEGER[]")}},
        .values = {[NUMBER] = {numbers, valid[NUMBER]},
                   [FLAG] = {flags, valid[FLAG]},
                   [TEXT] = {texts, valid[TEXT]}},
        .n_columns = N_COLUMNS,
        .n_rows = PERIOD,
        .n_chunks = N_ROWS / PERIOD,
    };
    return &table.port;
}

static struct px_table_reader *open_duckdb(void)
{
    struct px_table_reader *reader = NULL;
    CHECK_OK(px_duckdb_open_parquet(TABLE_FILE, 2, &reader, NULL));
    return reader;
}

static struct px_table_reader *(*open_table)(void);

static void select_columns(struct px_table_reader *reader, const size_t *columns, size_t n)
{
    CHECK_OK(px_table_reader_select(reader, columns, n, NULL));
}

/* --- the contract ----------------------------------------------------------------------------- */

static bool value_is_there(const struct px_table_values *values, size_t row)
{
    return !values->valid || (values->valid[row / 64] >> row % 64 & 1);
}

/* Checks row `row` of a chunk whose columns are `columns`; it is row `number` of the table. */
static void check_row(const struct px_table_chunk *chunk, const size_t *columns, size_t n,
                      size_t row, size_t number)
{
    size_t i = number % PERIOD;
    for (size_t c = 0; c < n; c++) {
        const struct px_table_values *values = &chunk->columns[c];
        CHECK_INT(value_is_there(values, row), !is_null(columns[c], number));
        if (!value_is_there(values, row))
            continue;
        if (columns[c] == NUMBER)
            CHECK_DOUBLE(((const double *)values->items)[row], numbers[i]);
        else if (columns[c] == FLAG)
            CHECK_INT(((const uint8_t *)values->items)[row], flags[i]);
        else
            CHECK_STR(chunk->text(values->items, row), texts[i]);
    }
}

static size_t check_chunk(const struct px_table_chunk *chunk, const size_t *columns, size_t n,
                          size_t first)
{
    for (size_t row = 0; row < chunk->n_rows; row++)
        check_row(chunk, columns, n, row, first + row);
    return first + chunk->n_rows;
}

static void read_all(const size_t *columns, size_t n)
{
    struct px_table_reader *reader = open_table();
    struct px_table_chunk chunk = {0};
    size_t n_rows = 0;
    select_columns(reader, columns, n);
    for (;;) {
        CHECK_OK(px_table_reader_next(reader, &chunk, NULL));
        if (chunk.n_rows == 0)
            break;
        n_rows = check_chunk(&chunk, columns, n, n_rows);
        px_table_chunk_release(&chunk);
    }
    CHECK_INT(n_rows, N_ROWS);
    px_table_reader_close(reader);
}

PX_TEST(says_what_its_columns_are)
{
    static const enum px_table_type types[] = {PX_TABLE_NUMBER, PX_TABLE_BOOLEAN, PX_TABLE_TEXT,
                                               PX_TABLE_UNREADABLE};
    static const char *const names[] = {"number", "flag", "text", "list"};
    struct px_table_reader *reader = open_table();
    size_t n = 0;
    const struct px_table_column *columns = px_table_reader_columns(reader, &n);
    CHECK_INT(n, N_COLUMNS);
    for (size_t c = 0; c < n; c++) {
        CHECK_STR(columns[c].name, names[c]);
        CHECK_INT(columns[c].type, types[c]);
        CHECK(columns[c].type_name.len > 0);
    }
    select_columns(reader, &(size_t){TEXT}, 1);
    CHECK(px_table_reader_columns(reader, &n) == columns);
    CHECK_STR(columns[LIST].name, "list");
    px_table_reader_close(reader);
}

PX_TEST(gives_every_row_in_the_order_of_the_file)
{
    read_all((size_t[]){NUMBER, FLAG, TEXT}, 3);
}

PX_TEST(gives_columns_in_the_order_of_selection)
{
    read_all((size_t[]){TEXT, NUMBER}, 2);
    read_all((size_t[]){FLAG}, 1);
}

PX_TEST(counts_rows_when_no_column_is_wanted)
{
    read_all(NULL, 0);
}

PX_TEST(stays_at_the_end)
{
    struct px_table_reader *reader = open_table();
    struct px_table_chunk chunk = {0};
    select_columns(reader, &(size_t){NUMBER}, 1);
    do {
        px_table_chunk_release(&chunk);
        CHECK_OK(px_table_reader_next(reader, &chunk, NULL));
    } while (chunk.n_rows);
    CHECK_OK(px_table_reader_next(reader, &chunk, NULL));
    CHECK_INT(chunk.n_rows, 0);
    px_table_chunk_release(&chunk);
    px_table_reader_close(reader);
}

static void *release_all(void *context)
{
    struct px_table_chunk *chunks = context;
    static const size_t columns[] = {NUMBER, TEXT};
    size_t n_chunks = 0, first = N_ROWS;
    while (chunks[n_chunks].n_rows)
        n_chunks++;
    while (n_chunks--) { /* the last one first */
        first -= chunks[n_chunks].n_rows;
        check_chunk(&chunks[n_chunks], columns, 2, first);
        px_table_chunk_release(&chunks[n_chunks]);
    }
    return NULL;
}

PX_TEST(chunks_keep_their_values_and_go_in_any_order_on_any_thread)
{
    static struct px_table_chunk chunks[CHUNKS_MAX];
    struct px_table_reader *reader = open_table();
    pthread_t thread;
    memset(chunks, 0, sizeof chunks);
    select_columns(reader, (size_t[]){NUMBER, TEXT}, 2);
    for (size_t i = 0; i == 0 || chunks[i - 1].n_rows; i++) {
        CHECK(i < CHUNKS_MAX);
        CHECK_OK(px_table_reader_next(reader, &chunks[i], NULL));
    }
    CHECK_INT(pthread_create(&thread, NULL, release_all, chunks), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    px_table_reader_close(reader);
}

PX_TEST(can_be_closed_at_any_point)
{
    struct px_table_reader *reader = open_table();
    struct px_table_chunk chunk = {0};
    px_table_reader_close(reader);
    reader = open_table();
    select_columns(reader, &(size_t){FLAG}, 1);
    px_table_reader_close(reader);
    reader = open_table();
    select_columns(reader, &(size_t){FLAG}, 1);
    CHECK_OK(px_table_reader_next(reader, &chunk, NULL));
    CHECK(chunk.n_rows > 0);
    px_table_chunk_release(&chunk);
    px_table_reader_close(reader);
    px_table_reader_close(NULL);
}

static const struct px_test contract[] = {
    T(says_what_its_columns_are) T(gives_every_row_in_the_order_of_the_file)
        T(gives_columns_in_the_order_of_selection) T(counts_rows_when_no_column_is_wanted)
            T(stays_at_the_end) T(chunks_keep_their_values_and_go_in_any_order_on_any_thread)
                T(can_be_closed_at_any_point)};

/* What is particular to DuckDB. */

PX_TEST(duckdb_says_what_to_install)
{
    struct px_table_reader *reader;
    struct px_err err;
    const char *before = getenv(PX_DUCKDB_LIBRARY_VARIABLE);
    setenv(PX_DUCKDB_LIBRARY_VARIABLE, "/nonexistent/libduckdb.so", 1);
    CHECK_INT(px_duckdb_open_parquet(TABLE_FILE, 1, &reader, &err), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(err.hint, PX_DUCKDB_LIBRARY_VARIABLE);
    if (before)
        setenv(PX_DUCKDB_LIBRARY_VARIABLE, before, 1);
    else
        unsetenv(PX_DUCKDB_LIBRARY_VARIABLE);
}

PX_TEST(duckdb_refuses_what_is_no_parquet)
{
    struct px_table_reader *reader;
    struct px_err err;
    CHECK_INT(px_duckdb_open_parquet(PX_TEST_DATA "/../contract/table_reader/make_table.py", 1,
                                     &reader, &err),
              PX_E_CORRUPT);
    CHECK_CONTAINS(err.message, "not a Parquet file");
}

static const struct px_test of_duckdb[] = {T(duckdb_refuses_what_is_no_parquet)};

static bool duckdb_is_here(void)
{
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    printf("DuckDB is passed over: it does not stand a sanitizer\n");
    return false;
#else
    struct px_table_reader *reader = NULL;
    struct px_err err;
    if (access(LIBRARY_FILE, R_OK) == 0)
        setenv(PX_DUCKDB_LIBRARY_VARIABLE, LIBRARY_FILE, 0);
    enum px_code code = px_duckdb_open_parquet(TABLE_FILE, 1, &reader, &err);
    px_table_reader_close(reader);
    if (code == PX_E_UNAVAILABLE)
        printf("DuckDB is passed over: %s\n", err.message);
    return code != PX_E_UNAVAILABLE;
#endif
}

int main(int argc, char **argv)
{
    static const struct px_test anywhere[] = {T(duckdb_says_what_to_install)};
    const char *only = argc > 1 ? argv[1] : NULL;
    make_table();
    open_table = open_memory;
    printf("memory\n");
    int failed = px_test_run_all(contract, PX_ARRAY_LEN(contract), only);
    failed |= px_test_run_all(anywhere, PX_ARRAY_LEN(anywhere), only);
    if (duckdb_is_here()) {
        open_table = open_duckdb;
        printf("duckdb\n");
        failed |= px_test_run_all(contract, PX_ARRAY_LEN(contract), only);
        failed |= px_test_run_all(of_duckdb, PX_ARRAY_LEN(of_duckdb), only);
    }
    return failed;
}
