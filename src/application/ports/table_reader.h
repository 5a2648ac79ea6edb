/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: a table reader, which gives the rows of a columnar file (Parquet) in chunks.
 *
 * The reader hands out every column as one of three types: numbers are doubles, booleans are bytes, and all else
 * that has a text (strings, dates, timestamps, enumerations) is text, as it would be written to CSV.
 * What has none (lists, structures, bytes) can be named, not read. Adapters so far:
 * infrastructure/persistence/duckdb, and the memory one of the tests.
 * Threads: open, select, next and close on one thread; a chunk may be read and released by any thread.
 */
#ifndef PX_APPLICATION_PORTS_TABLE_READER_H
#define PX_APPLICATION_PORTS_TABLE_READER_H

#include "shared/err.h"
#include "shared/str.h"

enum { PX_TABLE_READER_ABI = 1 };

enum px_table_type {
    PX_TABLE_NUMBER = 1, /* double */
    PX_TABLE_BOOLEAN,    /* uint8_t, 0 or 1 */
    PX_TABLE_TEXT,       /* see px_table_text_fn */
    PX_TABLE_UNREADABLE,
};

struct px_table_column {
    struct px_str name;
    enum px_table_type type;
    struct px_str type_name; /* for messages: "STRUCT(a INTEGER)" */
};

/* One selected column of a chunk. */
struct px_table_values {
    const void *items;     /* [n_rows] by type; texts are the adapter's own, see `text` */
    const uint64_t *valid; /* bit per row, 0 = NULL; NULL when there is none */
};

struct px_table_chunk {
    size_t n_rows;
    const struct px_table_values *columns; /* [n selected], in the order of selection */
    struct px_str (*text)(const void *items, size_t row);
    void (*release)(struct px_table_chunk *chunk); /* NULL is no chunk */
    void *handle;                                  /* the adapter's */
};

struct px_table_reader;

struct px_table_reader_ops {
    uint32_t abi;
    const char *name;
    /* Columns of the file, static until close. */
    const struct px_table_column *(*columns)(struct px_table_reader *reader, size_t *ret_n);
    /* Which columns are read, once, before the first `next`. */
    enum px_code (*select)(struct px_table_reader *reader, const size_t *columns, size_t n,
                           struct px_err *err);
    /* The next chunk, in the order of the file; n_rows 0 = the end, however often asked. May block. */
    enum px_code (*next)(struct px_table_reader *reader, struct px_table_chunk *ret,
                         struct px_err *err);
    void (*close)(struct px_table_reader *reader); /* after all chunks are released */
};

struct px_table_reader {
    const struct px_table_reader_ops *ops;
};

const struct px_table_column *px_table_reader_columns(struct px_table_reader *reader,
                                                      size_t *ret_n);
PX_MUST_USE enum px_code px_table_reader_select(struct px_table_reader *reader,
                                                const size_t *columns, size_t n,
                                                struct px_err *err);
PX_MUST_USE enum px_code px_table_reader_next(struct px_table_reader *reader,
                                              struct px_table_chunk *ret, struct px_err *err);
void px_table_chunk_release(struct px_table_chunk *chunk);
void px_table_reader_close(struct px_table_reader *reader); /* NULL is fine */

#endif
