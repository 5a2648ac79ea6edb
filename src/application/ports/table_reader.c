/* SPDX-License-Identifier: Apache-2.0 */
#include "application/ports/table_reader.h"

#include "shared/compiler.h"

const struct px_table_column *px_table_reader_columns(struct px_table_reader *reader, size_t *ret_n)
{
    PX_ASSERT(reader->ops->abi == PX_TABLE_READER_ABI);
    return reader->ops->columns(reader, ret_n);
}

enum px_code px_table_reader_select(struct px_table_reader *reader, const size_t *columns, size_t n,
                                    struct px_err *err)
{
    size_t n_columns;
    const struct px_table_column *all = px_table_reader_columns(reader, &n_columns);
    for (size_t i = 0; i < n; i++)
        PX_ASSERT(columns[i] < n_columns && all[columns[i]].type != PX_TABLE_UNREADABLE);
    return reader->ops->select(reader, columns, n, err);
}

enum px_code px_table_reader_next(struct px_table_reader *reader, struct px_table_chunk *ret,
                                  struct px_err *err)
{
    *ret = (struct px_table_chunk){0};
    return reader->ops->next(reader, ret, err);
}

void px_table_chunk_release(struct px_table_chunk *chunk)
{
    if (chunk->release)
        chunk->release(chunk);
    *chunk = (struct px_table_chunk){0};
}

void px_table_reader_close(struct px_table_reader *reader)
{
    if (reader)
        reader->ops->close(reader);
}
