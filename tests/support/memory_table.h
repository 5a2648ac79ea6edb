/* SPDX-License-Identifier: Apache-2.0 */
/* A table reader over arrays of the test, and the fault of one: `fail_at` is the chunk that cannot be read. */
#ifndef PX_TESTS_MEMORY_TABLE_H
#define PX_TESTS_MEMORY_TABLE_H

#include "application/ports/table_reader.h"

#include <stdatomic.h>

enum { MEMORY_TABLE_COLUMNS_MAX = 8 };

struct memory_table {
    struct px_table_reader port;
    struct px_table_column columns[MEMORY_TABLE_COLUMNS_MAX];
    struct px_table_values values[MEMORY_TABLE_COLUMNS_MAX]; /* of every chunk */
    struct px_table_values selected[MEMORY_TABLE_COLUMNS_MAX];
    size_t n_columns, n_rows, n_chunks, fail_at, given;
    _Atomic long handed_out; /* chunks that are not released */
};

static const struct px_table_column *memory_table_columns(struct px_table_reader *reader,
                                                          size_t *ret_n)
{
    struct memory_table *t = PX_CONTAINER_OF(reader, struct memory_table, port);
    *ret_n = t->n_columns;
    return t->columns;
}

static enum px_code memory_table_select(struct px_table_reader *reader, const size_t *columns,
                                        size_t n, struct px_err *err)
{
    struct memory_table *t = PX_CONTAINER_OF(reader, struct memory_table, port);
    (void)err;
    for (size_t i = 0; i < n; i++)
        t->selected[i] = t->values[columns[i]];
    return PX_OK;
}

static struct px_str memory_table_text(const void *items, size_t row)
{
    return px_str(((const char *const *)items)[row]);
}

static void memory_table_release(struct px_table_chunk *chunk)
{
    atomic_fetch_sub((_Atomic long *)chunk->handle, 1);
}

static enum px_code memory_table_next(struct px_table_reader *reader, struct px_table_chunk *ret,
                                      struct px_err *err)
{
    struct memory_table *t = PX_CONTAINER_OF(reader, struct memory_table, port);
    if (t->fail_at && t->given + 1 == t->fail_at)
        return px_err_set(err, PX_E_CORRUPT, "the table breaks off");
    if (t->given == t->n_chunks)
        return PX_OK;
    t->given++;
    atomic_fetch_add(&t->handed_out, 1);
    *ret = (struct px_table_chunk){t->n_rows, t->selected, memory_table_text, memory_table_release,
                                   &t->handed_out};
    return PX_OK;
}

static void memory_table_close(struct px_table_reader *reader)
{
    (void)reader;
}

static const struct px_table_reader_ops memory_table_ops = {
    PX_TABLE_READER_ABI, "memory",          memory_table_columns,
    memory_table_select, memory_table_next, memory_table_close,
};

#endif
