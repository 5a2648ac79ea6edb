/* SPDX-License-Identifier: Apache-2.0 */
#include "application/training/table.h"

#include "harness.h"

#include "shared/file.h"

#include <unistd.h>

static char path[64];

static void write_text(const char *text)
{
    snprintf(path, sizeof path, "/tmp/phoenix-table-XXXXXX");
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    CHECK_OK(px_file_write(path, px_str(text), NULL));
}

static void check_refused(const char *text, const char *message)
{
    struct px_table table;
    struct px_err err;
    write_text(text);
    CHECK_INT(px_table_open(&table, path, false, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, message);
    unlink(path);
}

struct seen {
    size_t n;
    uint64_t last_line;
    char first[16];
    size_t stop_at;
};

static enum px_code see(void *context, const struct px_table_row *row, struct px_err *err)
{
    struct seen *seen = context;
    CHECK_INT(row->number, seen->n);
    if (seen->n++ == 0)
        snprintf(seen->first, sizeof seen->first, "%.*s", PX_STR_ARG(row->fields[0].text));
    seen->last_line = row->line;
    return seen->n == seen->stop_at ? px_err_set(err, PX_E_CONFLICT, "enough") : PX_OK;
}

static bool refuse(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    CHECK(done <= total);
    return false;
}

PX_TEST(names_columns)
{
    struct px_table table;
    write_text("\xEF\xBB\xBF a ;;\"c;d\"\r\n1;2;3\r\n");
    CHECK_OK(px_table_open(&table, path, false, NULL));
    CHECK_INT(table.n_columns, 3);
    CHECK_STR(table.columns[0], "a");
    CHECK_STR(table.columns[1], "column_2");
    CHECK_STR(table.columns[2], "c;d");
    px_table_close(&table);
    CHECK_OK(px_table_open(&table, path, true, NULL));
    CHECK_STR(table.columns[2], "c3");
    px_table_close(&table);
    unlink(path);
}

PX_TEST(goes_through_more_than_once)
{
    struct px_table table;
    struct px_table_scan scan;
    struct px_err err;
    write_text("a,b\n1,2\n\n3,4\n");
    CHECK_OK(px_table_open(&table, path, false, NULL));
    for (int pass = 0; pass < 2; pass++) {
        struct seen seen = {0};
        const struct px_table_visitor visitor = {see, NULL, &seen};
        CHECK_OK(px_table_scan(&table, &visitor, &scan, &err));
        CHECK_INT(seen.n, 2);
        CHECK_INT(seen.last_line, 4);
        CHECK(strcmp(seen.first, "1") == 0);
        CHECK_INT(scan.n_rows, 2);
        CHECK_INT(scan.n_bad, 0);
    }
    struct seen seen = {.stop_at = 1};
    const struct px_table_visitor stops = {see, NULL, &seen}, cancels = {see, refuse, &seen};
    CHECK_INT(px_table_scan(&table, &stops, &scan, &err), PX_E_CONFLICT);
    seen = (struct seen){0};
    CHECK_INT(px_table_scan(&table, &cancels, &scan, &err), PX_E_CANCELLED);
    px_table_close(&table);
    unlink(path);
}

PX_TEST(passes_over_a_few_bad_rows)
{
    struct px_table table;
    struct px_table_scan scan;
    struct px_err err;
    struct seen seen = {0};
    const struct px_table_visitor visitor = {see, NULL, &seen};
    struct px_buf text = px_buf(1 << 16);
    px_buf_text(&text, "a,b\n1,2\n1,2,3\n");
    for (int i = 0; i < 50; i++)
        px_buf_text(&text, "1,2\n");
    write_text(px_buf_cstr(&text));
    CHECK_OK(px_table_open(&table, path, false, NULL));
    CHECK_OK(px_table_scan(&table, &visitor, &scan, &err));
    CHECK_INT(scan.n_rows, 51);
    CHECK_INT(scan.n_bad, 1);
    CHECK_INT(scan.bad_line, 3);
    CHECK_CONTAINS(scan.bad.message, "expected 2 fields, got 3");
    px_table_close(&table);
    unlink(path);

    px_buf_text(&text, "1\n1\n1\n1\n");
    write_text(px_buf_cstr(&text));
    seen = (struct seen){0};
    CHECK_OK(px_table_open(&table, path, false, NULL));
    CHECK_INT(px_table_scan(&table, &visitor, &scan, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "5 of 56 rows cannot be read; the first is line 3");
    px_table_close(&table);
    unlink(path);
    px_buf_deinit(&text);
}

PX_TEST(refuses_headers)
{
    check_refused("", "the file is empty");
    check_refused("1,2.5\n3,4\n", "looks like data");
    check_refused("a,b,a\n", "column 'a' appears twice, as number 1 and 3");
    check_refused("a,\xFF\n1,2\n", "the name of column 2 is not UTF-8");
}

PX_TEST(finds_columns)
{
    struct px_table table;
    struct px_err err;
    write_text("age,39\n1,2\n");
    CHECK_OK(px_table_open(&table, path, false, NULL));
    CHECK(px_table_header_is_suspect(&table));
    CHECK_INT(px_table_find(&table, "target", px_str("39"), &err), 1);
    CHECK_INT(px_table_find(&table, "target", px_str("aeg"), &err), -1);
    CHECK_CONTAINS(err.message, "has no target column 'aeg' (did you mean 'age'?)");
    CHECK_INT(px_table_find(&table, "target", px_str("income"), &err), -1);
    CHECK_CONTAINS(err.hint, "--no-header names the columns c1 to c2");
    px_table_close(&table);
    unlink(path);
}

PX_TEST_MAIN(T(names_columns) T(goes_through_more_than_once) T(passes_over_a_few_bad_rows)
                 T(refuses_headers) T(finds_columns))
