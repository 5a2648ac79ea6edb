/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes out of a job of a batch, and the sink that the outcomes go to, in order.
 *
 * A thread fills an outcome; the caller's thread then hands it to the sink, which writes the text, tells the
 * bad rows and counts. Private to this folder.
 */
#ifndef PX_APPLICATION_BATCH_OUTCOME_H
#define PX_APPLICATION_BATCH_OUTCOME_H

#include "application/batch/predict.h"
#include "application/batch/scorer.h"

struct px_bad_row {
    uint64_t place;
    struct px_err why;
};

struct px_outcome {
    struct px_buf output;
    uint64_t n_rows, n_bad;
    struct px_bad_row bad[PX_BATCH_BAD_ROWS_TOLD]; /* the first n_bad, as many as fit */
    enum px_code code; /* why the whole work ends here; PX_OK otherwise */
    struct px_err err;
};

void px_outcome_clear(struct px_outcome *outcome);
void px_outcome_deinit(struct px_outcome *outcome);
void px_outcome_fail(struct px_outcome *outcome, const struct px_err *why);
void px_outcome_bad_row(struct px_outcome *outcome, uint64_t place, const struct px_err *why);

struct px_sink {
    const struct px_batch_options *options;
    const struct px_batch_io *io;
    struct px_batch_progress *progress;
    struct px_format format;
    struct px_buf head; /* the header, until the first output */
};

/* `place`: what a row's place is called, "line". */
PX_MUST_USE enum px_code px_sink_init(struct px_sink *sink, const struct px_package *package,
                                      const char *place, struct px_err *err);
void px_sink_deinit(struct px_sink *sink);
PX_MUST_USE enum px_code px_sink_take(struct px_sink *sink, const struct px_outcome *outcome,
                                      struct px_err *err);
/* After the last outcome: without any, the header is all that is written. */
PX_MUST_USE enum px_code px_sink_finish(struct px_sink *sink, struct px_err *err);

#endif
