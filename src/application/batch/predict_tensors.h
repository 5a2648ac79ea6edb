/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offline scoring for models of tensors (engines, graphs): JSON lines in, JSON lines out.
 *
 * A line is a row, as in "instances" of the protocols that send rows: nested arrays for a model with one input, else
 * {input: nested arrays}. Its answer is {"line":N,"prediction":...}, in the form that those protocols answer. Lines are run
 * together where the model's rows do not know of each other (PX_ENGINE_BATCHES); of another model each line is a run of its own, in
 * which a first dimension of any length, or of 1, is the row's.
 *
 * A bad line is told and left out, or ends the work, as with tables (predict.h). Lines are answered in their order, and
 * what is known is written before a read that would wait. One run at a time: engines share a run among threads themselves.
 */
#ifndef PX_APPLICATION_BATCH_PREDICT_TENSORS_H
#define PX_APPLICATION_BATCH_PREDICT_TENSORS_H

#include "application/batch/predict.h"

enum { PX_LINE_BYTES_MAX = 64 << 20, PX_LINES_ROWS_MAX = 256 /* of one run */ };

PX_MUST_USE enum px_code px_batch_predict_tensors(const struct px_package *package,
                                                  const struct px_batch_options *options,
                                                  const struct px_batch_io *io,
                                                  struct px_batch_progress *ret,
                                                  struct px_err *err);

#endif
