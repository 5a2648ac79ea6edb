/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When do several threads score a batch faster than one, and in what pieces?
 *
 * Waking a helper is taken to cost 5 to 50 us, which is an estimate, and a chunk that is in progress when the
 * caller has finished is waited for. So a batch is shared when one thread would work on it for PX_SHARE_NS_MIN,
 * by the planner's time per row; and always from PX_SHARE_ROWS_MIN rows on, where there is nothing to lose.
 */
#ifndef PX_APPLICATION_PARALLEL_SHARE_H
#define PX_APPLICATION_PARALLEL_SHARE_H

#include "domain/forest/forest.h"

enum {
    PX_SHARE_NS_MIN = 200000,  /* of work in a batch: four slow wake-ups */
    PX_SHARE_ROWS_MIN = 8192,  /* or that many rows, however fast the forest is */
    PX_SHARE_CHUNK_NS = 25000, /* of work in a chunk, at least */
    PX_SHARE_CHUNK_ROWS =
        64, /* chunks are multiples of this: kernels score rows by the 64 or more */
};

/*
 * Rows of a chunk, at most `chunk_max` (>= PX_SHARE_CHUNK_ROWS), with which `n_threads` threads should score
 * `n_rows` rows; 0 when one thread should do it alone.
 */
size_t px_share_chunk(const struct px_forest_info *info, size_t n_rows, unsigned n_threads,
                      size_t chunk_max);

/* Memory for rows that are scored at once: a wish, since not all of it depends on the rows. */
struct px_share_room {
    size_t (*bytes)(const void *context, size_t rows); /* that so many rows need */
    const void *context;
    size_t bytes_max, rows_min;
};

/*
 * `rows`, halved until they need no more than `bytes_max`, but not below `rows_min`, nor where half the rows still
 * need more than three quarters: scratch that is a forest's own does not shrink with the rows, and
 * small pieces would only be slow.
 */
size_t px_share_rows_that_fit(const struct px_share_room *room, size_t rows);

#endif
