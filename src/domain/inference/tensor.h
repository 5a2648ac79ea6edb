/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datatypes of the Open Inference Protocol, the tensors that models take and give, and the row matrix that
 * forests score.
 *
 * Concepts
 * - A tensor is a name, a datatype, a shape and its bytes: little-endian, row-major, without padding. BOOL is a byte
 *   0 or 1; an element of BYTES is its length (uint32) and then its text. That is the form of the protocol's binary
 *   extension, of gRPC's raw contents and of shared memory, so a tensor goes from a socket to an engine as it lies.
 * - A spec is what a model says of a tensor before there is one: dimensions that are not fixed are -1.
 * - A matrix is [n_rows, n_cols], row-major, of one element type, with a stride in elements. A
 *   missing value is NaN. XGBoost compares 32-bit features, LightGBM 64-bit ones, so the matrix that is
 *   filled from a request has the element type that the model asks for and is never converted again.
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

/* Does an integer fit in an integer datatype? Narrow ones travel in wider ones and are refused, not wrapped. */
bool px_tensor_fits_signed(enum px_datatype type, int64_t number);
bool px_tensor_fits_unsigned(enum px_datatype type, uint64_t number);

/* A number of FP16 (IEEE 754 binary16) or BF16 (the high half of a float) from its bits. */
float px_half_to_float(uint16_t bits);
float px_bfloat_to_float(uint16_t bits);
/* And back: rounded to nearest, ties to even; what is beyond the range becomes an infinity. */
uint16_t px_float_to_half(double value);
uint16_t px_float_to_bfloat(float value);

enum {
    PX_TENSOR_DIMS_MAX = 8,
    PX_TENSOR_SHAPE_TEXT_MAX = PX_TENSOR_DIMS_MAX * 21 + 2,
};

struct px_tensor {
    struct px_str name;
    enum px_datatype type;
    uint64_t shape[PX_TENSOR_DIMS_MAX];
    size_t n_dims;
    struct px_str bytes;
};

enum { PX_DIM_ANY = -1 };

struct px_tensor_spec {
    struct px_str name;
    enum px_datatype type;
    int64_t shape[PX_TENSOR_DIMS_MAX]; /* PX_DIM_ANY: any length */
    size_t n_dims;
    bool any_rank; /* the model does not say how many dimensions there are */
    bool optional; /* of an input: a run may leave it out */
};

struct px_tensor_specs {
    const struct px_tensor_spec *list;
    size_t n;
};

/*
 * Elements of the shape. A tensor without dimensions has one. False when a dimension is over INT64_MAX, or the product of those that are
 * not 0 does not fit in a size_t: a shape with a 0 has no bytes to give it away, and whoever walks its other dimensions must end.
 */
PX_MUST_USE bool px_tensor_elements(const struct px_tensor *tensor, size_t *ret);

/* Are there exactly the bytes that type and shape say? PX_E_INVALID "expected 24 bytes for [2,3] of FP32, got 20". */
PX_MUST_USE enum px_code px_tensor_check_bytes(const struct px_tensor *tensor, struct px_err *err);

/* Is the tensor of the type and shape that the spec says? PX_E_INVALID says what was expected and what came. */
PX_MUST_USE enum px_code px_tensor_check_spec(const struct px_tensor *tensor,
                                              const struct px_tensor_spec *spec,
                                              struct px_err *err);

/* The spec of that name, or NULL. */
const struct px_tensor_spec *px_tensor_specs_find(const struct px_tensor_specs *specs,
                                                  struct px_str name);

/* "[2,3]", of a spec "[-1,3]"; `out` has PX_TENSOR_SHAPE_TEXT_MAX bytes. */
const char *px_tensor_shape_text(const struct px_tensor *tensor, char *out);
const char *px_tensor_spec_shape_text(const struct px_tensor_spec *spec, char *out);

/* The next element of the bytes of a BYTES tensor; false at the end, or when the rest is cut short. */
bool px_tensor_next_text(struct px_str *rest, struct px_str *ret);

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

/* A tensor [rows, columns] of FP32 or FP64 as a matrix of its bytes, which is read only. */
struct px_matrix px_tensor_matrix(const struct px_tensor *tensor);

/* Address of a row. */
static inline void *px_matrix_row(const struct px_matrix *m, size_t row)
{
    return (char *)m->data + row * m->stride * px_datatype_size(m->type);
}

#endif
