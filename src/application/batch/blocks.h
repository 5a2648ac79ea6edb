/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input of a batch, cut into blocks of whole CSV records.
 *
 * Blocks are of about the same size, larger only where one record is. A block ends where a record does; quotes
 * with line breaks, and lines that are given up because a quote is never closed, do not change that: where
 * there are quotes the exact reader does the cutting (px_csv_cut). A block comes with its place, the number
 * of its first line among others, so that whoever reads it needs no other block.
 *
 * Ownership: init/deinit. Threads: one.
 */
#ifndef PX_APPLICATION_BATCH_BLOCKS_H
#define PX_APPLICATION_BATCH_BLOCKS_H

#include "application/batch/pipeline.h"
#include "shared/csv.h"

struct px_blocks_io {
    /* Reads at most `cap` bytes; *ret_n == 0 is the end. */
    enum px_code (*read)(void *context, char *out, size_t cap, size_t *ret_n, struct px_err *err);
    /* Would `read` return at once? NULL: as long as it fills what it is given. */
    bool (*ready)(void *context);
    void *context;
};

struct px_block {
    struct px_buf text; /* lent to the reader of the block, which may change it */
    struct px_csv_place place;
    bool goes_on; /* not the last block */
};

struct px_blocks {
    char separator; /* 0 until the first line has come */
    uint64_t bytes_read;
    /* private */
    struct px_blocks_io io;
    size_t size;           /* of a block */
    struct px_buf pending; /* read, not in a block yet */
    struct px_csv_place place;
    bool ended, short_read;
};

/* `separator` 0 = guessed from the first line. */
void px_blocks_init(struct px_blocks *blocks, const struct px_blocks_io *io, char separator,
                    size_t size);
void px_blocks_deinit(struct px_blocks *blocks);

/* The next block, as a pipeline fills a job. `ret->text` is replaced; its memory is used again. */
PX_MUST_USE enum px_code px_blocks_next(struct px_blocks *blocks, bool idle, struct px_block *ret,
                                        enum px_fill *ret_fill, struct px_err *err);

#endif
