/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/rest: V1 predict, where a row is an object of features, an array, or a line of CSV.
 */
#ifndef PX_INTERFACES_REST_V1_H
#define PX_INTERFACES_REST_V1_H

#include "interfaces/rest/inference.h"

/*
 * A row matrix that grows while rows are read, since "instances" does not say how many follow. Each
 * growth takes the rest of the text for rows like those so far, at most 16 times as many.
 */
struct px_row_growth {
    struct px_infer *infer;
    size_t n;        /* rows handed out */
    size_t capacity; /* rows of the matrix */
};

/*
 * Index of a new row whose values are all missing. `text_used` and `text_left` are the bytes of the rows
 * so far and of what follows. The matrix may move; errors go to call.err.
 */
PX_MUST_USE enum px_code px_rows_add(struct px_row_growth *growth, size_t text_used,
                                     size_t text_left, size_t *ret_row);
/* The matrix has exactly the rows handed out; after this it may be submitted. */
PX_MUST_USE enum px_code px_rows_end(struct px_row_growth *growth);

/* Selects the output by the text of a request: "scores" (default), "labels" or "margins". */
PX_MUST_USE enum px_code px_v1_select_output(struct px_infer *infer, struct px_str name);

/* Reads a JSON or a CSV body into the call's rows; errors go to call.err. */
PX_MUST_USE enum px_code px_v1_read_json(struct px_infer *infer);
PX_MUST_USE enum px_code px_v1_read_csv(struct px_infer *infer);

/* Write the reply and finish the exchange. */
void px_v1_reply_json(struct px_infer *infer);
void px_v1_reply_csv(struct px_infer *infer);

#endif
