/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offline scoring: a CSV text of any size in, scores out, in bounded memory.
 *
 * Concepts
 * - Rows are collected into chunks, scored by the forest, printed, and handed to `write`; memory is one
 *   chunk whatever the size of the input. Row order is kept.
 * - Output is CSV with a header (scores.h names the columns), or JSON lines
 *   {"line":2,"score":0.93}, where `line` is where the row begins in the input.
 * - A bad row is counted and told to `bad_row`. It has no output row; with fail_on_error the first one
 *   ends the work.
 *
 * The caller brings the reading and writing, so the same code serves files, pipes and tests.
 * Threads: one per call; the package is only read.
 */
#ifndef PX_APPLICATION_BATCH_PREDICT_H
#define PX_APPLICATION_BATCH_PREDICT_H

#include "application/batch/rows.h"
#include "application/lifecycle/package.h"

struct px_batch_options {
    struct px_rows_options rows;
    bool margin;        /* raw margins instead of scores */
    bool json;          /* JSON lines instead of CSV */
    bool fail_on_error; /* the first bad row is an error */
};

struct px_batch_progress {
    uint64_t bytes_read;
    uint64_t rows_scored, rows_bad;
};

struct px_batch_io {
    /* Reads at most `cap` bytes; *ret_n == 0 is the end. */
    enum px_code (*read)(void *context, char *out, size_t cap, size_t *ret_n, struct px_err *err);
    /* Takes all of `bytes`. */
    enum px_code (*write)(void *context, struct px_str bytes, struct px_err *err);
    /* NULL = nobody listens. `line` is where the row begins, 1-based. */
    void (*bad_row)(void *context, uint64_t line, const struct px_err *why);
    /* Called per chunk of input; NULL = nobody listens. */
    void (*progress)(void *context, const struct px_batch_progress *progress);
    void *context;
};

/*
 * Scores everything that `read` gives. PX_E_INVALID: the header does not fit, or a bad row with
 * fail_on_error (with its line). `ret` is filled on failure as well.
 */
PX_MUST_USE enum px_code px_batch_predict(const struct px_package *package,
                                          const struct px_batch_options *options,
                                          const struct px_batch_io *io,
                                          struct px_batch_progress *ret, struct px_err *err);

#endif
