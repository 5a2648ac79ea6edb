/* SPDX-License-Identifier: Apache-2.0 */
/* What a model takes, as its server says it. Private to this folder; see bodies.h. */
#ifndef PX_APPLICATION_BENCH_INPUTS_H
#define PX_APPLICATION_BENCH_INPUTS_H

#include "application/bench/endpoint.h"

enum {
    PX_INPUTS_TENSORS_MAX = 1 << 16,
    PX_INPUTS_WIDTH_MAX = 1 << 20, /* values of one tensor in one row */
    PX_INPUTS_DIMENSIONS_MAX = 8,
};

enum px_input_kind {
    PX_INPUT_NUMBER = 0,
    PX_INPUT_WHOLE,
    PX_INPUT_BOOL,
    PX_INPUT_TEXT,
    PX_INPUT_DATE
};

struct px_input_tensor {
    struct px_str name, datatype;
    size_t dimensions[PX_INPUTS_DIMENSIONS_MAX]; /* of one row, after the batch's */
    size_t n_dimensions;
    size_t width; /* their product */
    enum px_input_kind kind;
    const struct px_str *categories; /* of TEXT; NULL when nobody told */
    size_t n_categories;
    const double *typical; /* [width], NaN where unknown; NULL when nobody told */
    /* [width]: of each feature, where a tensor holds several; else NULL. */
    const enum px_input_kind *kinds;
};

struct px_inputs {
    struct px_input_tensor *tensors; /* [n] */
    size_t n;
    bool guided;
};

/* Reads the reply to GET /v2/models/M. PX_E_CORRUPT. */
PX_MUST_USE enum px_code px_inputs_read(struct px_inputs *inputs, struct px_str text,
                                        struct px_arena *arena, struct px_err *err);

/* Adds what a Phoenix server tells in GET /api/v1/models; nothing happens when the reply is another one. */
void px_inputs_guide(struct px_inputs *inputs, struct px_str text, struct px_str model,
                     struct px_arena *arena);

#endif
