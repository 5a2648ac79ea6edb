/* SPDX-License-Identifier: Apache-2.0 */
#include "application/parallel/share.h"

enum { CHUNKS_PER_THREAD = 4 }; /* so that all end together though they do not begin together */

/* For large batches; 0 when the planner does not know. */
static double ns_per_row(const struct px_forest_info *info)
{
    return info->n_choices ? info->choices[info->n_choices - 1].ns_per_row : 0;
}

size_t px_share_chunk(const struct px_forest_info *info, size_t n_rows, unsigned n_threads,
                      size_t chunk_max)
{
    PX_ASSERT(chunk_max >= PX_SHARE_CHUNK_ROWS);
    double row_ns = ns_per_row(info);
    bool pays = n_rows >= PX_SHARE_ROWS_MIN || (double)n_rows * row_ns >= PX_SHARE_NS_MIN;
    if (n_threads < 2 || !pays)
        return 0;
    size_t chunk = n_rows / n_threads / CHUNKS_PER_THREAD;
    if ((double)chunk * row_ns < PX_SHARE_CHUNK_NS)
        chunk = row_ns * (double)chunk_max <= PX_SHARE_CHUNK_NS
                    ? chunk_max
                    : (size_t)(PX_SHARE_CHUNK_NS / row_ns);
    if (chunk == 0) /* fewer rows than pieces, and slow ones */
        chunk = 1;
    chunk += PX_SHARE_CHUNK_ROWS - 1;
    if (chunk > chunk_max)
        chunk = chunk_max;
    chunk -= chunk % PX_SHARE_CHUNK_ROWS;
    return chunk < n_rows ? chunk : 0;
}

size_t px_share_rows_that_fit(const struct px_share_room *room, size_t rows)
{
    size_t bytes = room->bytes(room->context, rows);
    while (rows > room->rows_min && bytes > room->bytes_max) {
        size_t fewer = room->bytes(room->context, rows / 2);
        if (fewer > bytes - bytes / 4)
            break;
        rows /= 2;
        bytes = fewer;
    }
    return rows;
}
