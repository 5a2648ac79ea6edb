/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes are read into `pending`. When there are enough for a block, or no more come for now, the whole records
 * at its beginning become a block: the buffers change hands, and the rest moves into the new one.
 *
 * Rejected, without a trial: mapping files into memory. It could save the copy of the bytes, 6 to 8 % of one core's
 * time in a profile; a file that is cut short meanwhile would be a crash instead of an end.
 */
#include "application/batch/blocks.h"

#include "application/batch/rows.h"

enum { SPARE_FACTOR = 4 /* buffers that grew beyond so many blocks are given back */ };

void px_blocks_init(struct px_blocks *blocks, const struct px_blocks_io *io, char separator,
                    size_t size)
{
    *blocks = (struct px_blocks){
        .separator = separator,
        .io = *io,
        .size = size,
        .pending = px_buf(SIZE_MAX / 2),
        .place = {.line = 1},
    };
}

void px_blocks_deinit(struct px_blocks *blocks)
{
    px_buf_deinit(&blocks->pending);
}

static bool is_ready(const struct px_blocks *blocks)
{
    return blocks->io.ready ? blocks->io.ready(blocks->io.context) : !blocks->short_read;
}

/* Reads once. */
static enum px_code read_some(struct px_blocks *blocks, size_t want, struct px_err *err)
{
    size_t n = 0;
    char *to = px_buf_reserve(&blocks->pending, want);
    enum px_code code = px_buf_check(&blocks->pending, "the input", err);
    if (code == PX_OK)
        code = blocks->io.read(blocks->io.context, to, want, &n, err);
    if (code != PX_OK)
        return code;
    blocks->pending.len += n;
    blocks->bytes_read += n;
    blocks->ended = n == 0;
    blocks->short_read = n < want;
    return PX_OK;
}

/* Reads until `pending` has `want` bytes or reading would wait. With `wait` it may do so for the first. */
static enum px_code read_more(struct px_blocks *blocks, size_t want, bool wait, struct px_err *err)
{
    enum px_code code = PX_OK;
    while (code == PX_OK && !blocks->ended && blocks->pending.len < want &&
           (wait || is_ready(blocks))) {
        code = read_some(blocks, want - blocks->pending.len, err);
        wait = false;
    }
    return code;
}

/* Bytes of `pending` that are whole records; 0 = none. */
static size_t cut(struct px_blocks *blocks)
{
    struct px_str text = px_buf_view(&blocks->pending);
    if (!blocks->separator)
        blocks->separator = px_rows_guess_separator(text, blocks->ended);
    return blocks->separator ? px_csv_cut(blocks->separator, text, blocks->ended, &blocks->place)
                             : 0;
}

/* Makes the first `len` bytes of `pending` the block. */
static enum px_code take(struct px_blocks *blocks, size_t len, struct px_block *ret,
                         struct px_err *err)
{
    struct px_buf text = blocks->pending, spare = ret->text;
    px_buf_clear(&spare);
    if (spare.cap > blocks->size * SPARE_FACTOR)
        px_buf_deinit(&spare);
    spare.max = text.max;
    px_buf_append(&spare, text.ptr + len, text.len - len);
    text.len = len;
    ret->text = text;
    blocks->pending = spare;
    return px_buf_check(&blocks->pending, "the input", err);
}

enum px_code px_blocks_next(struct px_blocks *blocks, bool idle, struct px_block *ret,
                            enum px_fill *ret_fill, struct px_err *err)
{
    size_t want =
        blocks->pending.len < blocks->size ? blocks->size : blocks->pending.len + blocks->size;
    struct px_csv_place place = blocks->place;
    bool wait = idle;
    for (;;) {
        enum px_code code = read_more(blocks, want, wait, err);
        if (code != PX_OK)
            return code;
        size_t len = cut(blocks);
        if (len) {
            ret->place = place;
            ret->goes_on = !blocks->ended;
            *ret_fill = PX_FILL_JOB;
            return take(blocks, len, ret, err);
        }
        *ret_fill = blocks->ended ? PX_FILL_END : PX_FILL_LATER;
        bool full = blocks->pending.len >= want;
        if (blocks->ended || (!full && !idle))
            return PX_OK;
        if (full)
            want *= 2;
        wait = idle;
    }
}
