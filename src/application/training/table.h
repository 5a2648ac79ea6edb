/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CSV file as a table that can be gone through several times.
 *
 * The file is read a piece at a time, so the memory of a pass is one record, and a file larger than memory
 * works. It stays open; a file that changes in place while it is open fails the scan with PX_E_CONFLICT,
 * because passes would see different rows. The separator is guessed from the first line. Columns without a name in the header are column_1, column_2,
 * ... by their place; without a header they are c1, c2, ...
 *
 * A row that cannot be read (a stray quote, another number of fields than the header) is passed over and
 * counted; when more than PX_TABLE_BAD_SHARE of the rows are such, the scan fails, because the file is
 * then not the table that it was taken for.
 *
 * Ownership: open/close. Threads: one at a time.
 */
#ifndef PX_APPLICATION_TRAINING_TABLE_H
#define PX_APPLICATION_TRAINING_TABLE_H

#include "shared/arena.h"
#include "shared/buf.h"
#include "shared/csv.h"

#include <time.h>

enum { PX_TABLE_COLUMNS_MAX = 1 << 14 };

#define PX_TABLE_BYTES_MAX ((size_t)1 << 40)
#define PX_TABLE_BAD_SHARE 0.05

struct px_table {
    const char *path;
    const struct px_str *columns;
    size_t n_columns;
    bool has_header;
    /* private */
    char separator;
    int fd; /* -1 = closed */
    size_t size;
    struct timespec changed; /* when the file was, as of its opening */
    struct px_arena arena;
};

/*
 * Opens a file and reads its header. PX_E_NOT_FOUND, PX_E_IO, PX_E_INVALID: empty, a header of numbers
 * only, a name twice, not UTF-8.
 */
PX_MUST_USE enum px_code px_table_open(struct px_table *table, const char *path, bool no_header,
                                       struct px_err *err);
void px_table_close(struct px_table *table);

/* Does the header look like a row of data: is a name in it a number? */
bool px_table_header_is_suspect(const struct px_table *table);

/* Index of a column, or -1 and an error that names the nearest one; `what` as in "target". */
long px_table_find(const struct px_table *table, const char *what, struct px_str name,
                   struct px_err *err);

struct px_table_row {
    const struct px_csv_field *fields; /* [n_columns], valid during the call */
    uint64_t number;                   /* 0-based, of the rows that can be read */
    uint64_t line;                     /* 1-based, where it starts in the file */
};

struct px_table_visitor {
    enum px_code (*row)(void *context, const struct px_table_row *row, struct px_err *err);
    /* Called now and then; false cancels (PX_E_CANCELLED). */
    bool (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_total);
    void *context;
};

struct px_table_scan {
    uint64_t n_rows, n_bad;
    uint64_t bad_line; /* of the first bad row */
    struct px_err bad; /* why it is bad */
};

/*
 * Goes through all rows; stops at the first code that `row` returns other than PX_OK. PX_E_CONFLICT: the file
 * is not as it was when it was opened.
 */
PX_MUST_USE enum px_code px_table_scan(const struct px_table *table,
                                       const struct px_table_visitor *visitor,
                                       struct px_table_scan *ret, struct px_err *err);

#endif
