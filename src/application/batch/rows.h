/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a CSV text as rows of a matrix: header, binding of columns to features, encoding.
 *
 * Concepts
 * - Sans-I/O and streaming like shared/csv.h, on which it stands: feed chunks, take one row at a time.
 * - Columns are matched by name; columns that are no feature are ignored. By position (asked for,
 *   without a header, or when the model has no names and the header none of f0, f1, ...) the columns
 *   are the features in order; a column with the target's name is left out first.
 * - A row that cannot be encoded is BAD and the next one is tried; a header that cannot be bound is
 *   FAILED and ends the reading.
 *
 * Ownership: init/deinit; the signature must outlive the reader. Threads: one at a time.
 */
#ifndef PX_APPLICATION_BATCH_ROWS_H
#define PX_APPLICATION_BATCH_ROWS_H

#include "domain/inference/signature.h"
#include "shared/csv.h"

struct px_rows_options {
    char separator; /* 0 = guessed from the first line */
    bool by_position;
    bool no_header;       /* implies by_position */
    struct px_str target; /* column to leave out by position; empty = none */
    bool with_scores;     /* leave out "score" and "score_..." by position as well */
};

enum px_rows_event {
    PX_ROWS_ROW = 1,
    PX_ROWS_MORE, /* feed more; feeding 0 bytes says that the text has ended */
    PX_ROWS_BAD,
    PX_ROWS_FAILED,
    PX_ROWS_END,
};

struct px_rows {
    /* of the last event ROW or BAD; the fields are valid until the next call */
    struct px_csv_record record;
    /* the header, once the first row was returned; empty texts without a header */
    const struct px_str *columns;
    size_t n_columns;
    /* private */
    const struct px_signature *signature;
    struct px_rows_options options;
    struct px_csv csv;
    struct px_buf head; /* fed before the first line was complete */
    struct px_arena arena;
    struct px_column_binding binding;
    bool started, bound;
};

void px_rows_init(struct px_rows *rows, const struct px_signature *signature,
                  const struct px_rows_options *options);
void px_rows_deinit(struct px_rows *rows);

PX_MUST_USE enum px_code px_rows_feed(struct px_rows *rows, const void *bytes, size_t len,
                                      struct px_err *err);

/* The next row, encoded into row `at` of `matrix` ([.., n_features]). `err` says why BAD or FAILED. */
enum px_rows_event px_rows_next(struct px_rows *rows, struct px_matrix *matrix, size_t at,
                                struct px_err *err);

/* Index of a column of the header, or -1. */
long px_rows_column(const struct px_rows *rows, struct px_str name);

#endif
