/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datatypes of the Open Inference Protocol, and the row matrix that engines score.
 *
 * Concepts. A matrix is [n_rows, n_cols], row-major, of one element type, with a stride in elements. A
 * missing value is NaN. XGBoost compares 32-bit features, LightGBM 64-bit ones, so the matrix that is
 * filled from a request has the element type that the model asks for and is never converted again.
 */
#ifndef PX_DOMAIN_INFERENCE_TENSOR_H
#define PX_DOMAIN_INFERENCE_TENSOR_H

#include "shared/err.h"
#include "shared/str.h"

enum px_datatype {
    PX_TYPE_NONE = 0,
#define PX_DATATYPE(name, bytes) PX_TYPE_##name,
#include "domain/inference/datatypes.def"
#undef PX_DATATYPE
    PX_TYPE_COUNT
};

const char *px_datatype_name(enum px_datatype type);        /* "FP32" */
size_t px_datatype_size(enum px_datatype type);             /* bytes; 0 for BYTES */
enum px_datatype px_datatype_from_name(struct px_str name); /* PX_TYPE_NONE when unknown */

struct px_matrix {
    enum px_datatype type; /* PX_TYPE_FP32 or PX_TYPE_FP64 */
    void *data;
    size_t n_rows, n_cols;
    size_t stride; /* elements from one row to the next, >= n_cols */
};

static inline double px_matrix_get(const struct px_matrix *m, size_t row, size_t col)
{
    size_t at = row * m->stride + col;
    return m->type == PX_TYPE_FP32 ? (double)((const float *)m->data)[at]
                                   : ((const double *)m->data)[at];
}

/* Rounds to the matrix's element type, to nearest even. */
static inline void px_matrix_set(struct px_matrix *m, size_t row, size_t col, double value)
{
    size_t at = row * m->stride + col;
    if (m->type == PX_TYPE_FP32)
        ((float *)m->data)[at] = (float)value;
    else
        ((double *)m->data)[at] = value;
}

/* Address of a row. */
static inline void *px_matrix_row(const struct px_matrix *m, size_t row)
{
    return (char *)m->data + row * m->stride * px_datatype_size(m->type);
}

#endif
