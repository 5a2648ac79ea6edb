/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/rest: KServe's V1 protocol, and TensorFlow Serving's, which it grew from.
 */
#ifndef PX_INTERFACES_REST_V1_H
#define PX_INTERFACES_REST_V1_H

#include "interfaces/rest/rows/rows.h"

/* Write the reply and finish the exchange. */
void px_v1_reply_json(struct px_infer *infer);
void px_v1_reply_csv(struct px_infer *infer);

/* What a row's prediction is: its label, its score, or an array of scores. */
void px_put_prediction(struct px_json_writer *w, const struct px_infer *infer, size_t row);
/* All predictions: an array of them, or what a model of tensors gave. */
void px_put_predictions(struct px_json_writer *w, const struct px_infer *infer, bool by_columns);
/* The prediction of a row as a line of CSV. */
void px_put_csv_row(struct px_buf *out, const struct px_infer *infer, size_t row);

/* Reads the body by `form`, then submits or fails the inference. */
void px_v1_run(struct px_infer *infer, const struct px_body_form *form);

/* PX_E_UNSUPPORTED_MEDIA when Content-Type says that the body is no JSON. */
PX_MUST_USE enum px_code px_v1_check_json(struct px_infer *infer);

#endif
