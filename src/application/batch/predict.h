/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offline scoring: a table of any size in, scores out, in bounded memory, on all cores.
 *
 * Concepts
 * - The input is cut into blocks (blocks.h), which threads read, score and print on their own
 *   (pipeline.h); what they print is written in the order of the input. The bytes written do not depend
 *   on the number of threads.
 * - Output is CSV with a header (scores.h names the columns), or JSON lines
 *   {"line":2,"score":0.93}, where `line` is where the row begins in the input.
 * - A bad row is counted, and the first ones are told to `bad_row`. It has no output row; with
 *   fail_on_error the first one ends the work.
 * - What is known is written before a read that would wait.
 *
 * The caller brings the reading and writing, so the same code serves files, pipes and tests. Everything that it
 * brings is called on its own thread. The package is only read.
 */
#ifndef PX_APPLICATION_BATCH_PREDICT_H
#define PX_APPLICATION_BATCH_PREDICT_H

#include "application/batch/blocks.h"
#include "application/batch/rows.h"
#include "application/lifecycle/package.h"
#include "application/ports/table_reader.h"

enum { PX_BATCH_BAD_ROWS_TOLD = 20 };

struct px_batch_options {
    struct px_rows_options rows;
    bool margin;        /* raw margins instead of scores */
    bool json;          /* JSON lines instead of CSV */
    bool fail_on_error; /* the first bad row is an error */
    size_t n_threads;   /* the caller's included; 0 = 1 */
};

struct px_batch_progress {
    uint64_t bytes_read;
    uint64_t rows_scored, rows_bad;
    uint64_t rows_degraded; /* of the scored: a step of an ensemble failed and was replaced */
};

struct px_batch_io {
    /* As in struct px_blocks_io. */
    enum px_code (*read)(void *context, char *out, size_t cap, size_t *ret_n, struct px_err *err);
    bool (*ready)(void *context);
    /* Takes all of `bytes`. */
    enum px_code (*write)(void *context, struct px_str bytes, struct px_err *err);
    /* Of the first PX_BATCH_BAD_ROWS_TOLD, in order; NULL = nobody listens. `place` is the line where the
     * row begins, 1-based. */
    void (*bad_row)(void *context, uint64_t place, const struct px_err *why);
    /* Called per block of input; NULL = nobody listens. */
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

/* A table of columns, such as a Parquet file, and where the counts go. The reader stays the caller's. */
struct px_batch_table {
    struct px_table_reader *reader;
    struct px_batch_progress *progress;
};

/*
 * The same for a table. `read` and `ready` of `io` are not used; a row's place is its number, from 1, and is
 * called "row" in JSON and messages.
 */
PX_MUST_USE enum px_code px_batch_predict_table(const struct px_package *package,
                                                const struct px_batch_options *options,
                                                const struct px_batch_io *io,
                                                const struct px_batch_table *table,
                                                struct px_err *err);

#endif
