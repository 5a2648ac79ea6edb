/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a CSV text as rows of a matrix: header, binding of columns to features (header.h), encoding.
 *
 * Concepts
 * - Sans-I/O like shared/csv.h, on which it stands: feed chunks, take one row at a time. Or read a block of
 *   a text that was cut (px_csv_cut): then plain records, which most are, take the quick path of
 *   shared/csv_plain.h and go from the text to the matrix without being split first.
 * - A row that cannot be encoded is BAD and the next one is tried; a header that cannot be bound is
 *   FAILED and ends the reading.
 * - Readers of blocks share the header that the first of them bound.
 *
 * Ownership: init/deinit; the signature must outlive the reader. Threads: one at a time.
 */
#ifndef PX_APPLICATION_BATCH_ROWS_H
#define PX_APPLICATION_BATCH_ROWS_H

#include "application/batch/header.h"
#include "shared/csv.h"
#include "shared/csv_plain.h"

enum px_rows_event {
    PX_ROWS_NONE = 0, /* nothing yet: never returned */
    PX_ROWS_ROW,
    PX_ROWS_MORE, /* feed more; feeding 0 bytes says that the text has ended */
    PX_ROWS_BAD,
    PX_ROWS_FAILED,
    PX_ROWS_END,
};

struct px_rows {
    /* of the last event ROW or BAD, valid until the next call; in blocks it has a line only */
    struct px_csv_record record;
    /* the header, once the first row was returned; empty texts without a header */
    const struct px_str *columns;
    size_t n_columns;
    /* private */
    struct px_header own, *header; /* `header` may be another reader's */
    struct px_csv csv;
    struct px_csv_plain plain; /* without `read` until a block is read */
    PX_VEC(struct px_csv_left) left;
    struct px_buf head;  /* fed before the first line was complete */
    bool started, ready; /* ready: for the columns of the bound header */
};

void px_rows_init(struct px_rows *rows, const struct px_signature *signature,
                  const struct px_rows_options *options);
void px_rows_deinit(struct px_rows *rows);

PX_MUST_USE enum px_code px_rows_feed(struct px_rows *rows, const void *bytes, size_t len,
                                      struct px_err *err);

/* A reader of blocks with `separator`; `header` is bound by the first row that any of its readers finds. */
void px_rows_init_block(struct px_rows *rows, struct px_header *header, char separator);
/* Reads a block in place, as px_csv_read_block; px_rows_next ends where the block ends. */
void px_rows_read_block(struct px_rows *rows, char *text, size_t len,
                        const struct px_csv_place *place, bool goes_on);

/* The separator by the beginning of a text; 0 while more of the first line is needed to tell. */
char px_rows_guess_separator(struct px_str head, bool ended);

/* The next row, encoded into row `at` of `matrix` ([.., n_features]). `err` says why BAD or FAILED. */
enum px_rows_event px_rows_next(struct px_rows *rows, struct px_matrix *matrix, size_t at,
                                struct px_err *err);

/* Index of a column of the header, or -1. */
long px_rows_column(const struct px_rows *rows, struct px_str name);

#endif
