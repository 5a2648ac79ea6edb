/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors of the Open Inference Protocol, as every dialect sends and takes them.
 *
 * Forms of input that a model of rows takes; a model of tensors takes its own, by name, datatype and shape
 *   whole    one tensor [rows, features], or [features] for one row, under any name that is no feature's
 *   columns  one tensor per feature, [rows] or [rows, 1], named as the feature; a feature without a
 *            tensor is missing
 *
 * In. A request's tensors go into its call's row matrix one by one, the first one makes the matrix:
 *
 *     px_inputs_begin(&in, infer);
 *     px_inputs_add(&in, &tensor);                     // its bytes are at hand, or
 *     px_inputs_open(&in, &tensor, n_max, &values);    // its values come one by one: then px_values_put_*
 *     px_values_end(&values);
 *     px_inputs_end(&in);
 *
 * Bytes are little-endian, row-major, without padding. BOOL is a byte 0 or 1; an element of BYTES is its length
 * (uint32) and then its text. Numbers that are what the model's matrix holds, and aligned for it, are scored
 * where they lie: bytes that were added must not change until the request's encode or fail.
 *
 * Out. px_output_ask adds what a request asks for; px_output_tensors turns it into tensors with their bytes.
 *
 * Errors go to the infer's call.err and are returned. Memory is the call's arena. Threads: the request's loop.
 */
#ifndef PX_INTERFACES_INFERENCE_TENSOR_H
#define PX_INTERFACES_INFERENCE_TENSOR_H

#include "domain/inference/tensor_writer.h"
#include "interfaces/inference/parameters.h"

/* The input tensors of one request. Private, but for the stack of who reads them. */
struct px_inputs {
    struct px_infer *infer;
    const struct px_signature *signature;
    struct px_err *err;
    size_t n_read;
    bool whole;                   /* the first tensor was the whole matrix */
    uint64_t *is_given;           /* bit per feature, for columns */
    struct px_tensor *run_inputs; /* of a model of tensors, else NULL */
};

PX_MUST_USE enum px_code px_inputs_begin(struct px_inputs *in, struct px_infer *infer);

/*
 * A tensor whose bytes are all there. PX_E_INVALID "unexpected size for input 'x': expected 24 bytes for
 * shape [2,3] of FP32, got 20"; numbers are converted, texts encoded, as JSON of the same datatype is.
 */
PX_MUST_USE enum px_code px_inputs_add(struct px_inputs *in, const struct px_tensor *tensor);

/* PX_E_INVALID when there was no tensor. */
PX_MUST_USE enum px_code px_inputs_end(struct px_inputs *in);

/*
 * The values of one tensor, on their way into features [feature, feature + n_cols) of every row, or into an input of a
 * model of tensors.
 */
struct px_values {
    struct px_inputs *in;
    const struct px_tensor *tensor;
    size_t n;       /* put so far */
    size_t n_total; /* what the shape says */
    /*
     * Not NULL when the values are floats (doubles) that need no encoding and lie dense in the matrix: the reader
     * may write some, from the n-th on and n_total - n at most, and tell px_values_advance instead of putting each.
     */
    float *floats;
    double *doubles;
    /* private */
    size_t feature, n_cols, row, col;
    bool is_run;                    /* of a model of tensors: */
    struct px_tensor_writer writer; /* writes its bytes */
};

/*
 * Aims at the matrix. `n_max` bounds how many values can follow: a shape that says more is refused before it
 * costs memory. `tensor` must outlive `ret`.
 */
PX_MUST_USE enum px_code px_inputs_open(struct px_inputs *in, const struct px_tensor *tensor,
                                        size_t n_max, struct px_values *ret);

/* The next value, in row-major order; `text` is an element of BYTES. A failure names the element. */
PX_MUST_USE enum px_code px_values_put_number(struct px_values *values, double number);
/* Of an integer datatype, and in its range. */
PX_MUST_USE enum px_code px_values_put_signed(struct px_values *values, int64_t number);
PX_MUST_USE enum px_code px_values_put_unsigned(struct px_values *values, uint64_t number);
PX_MUST_USE enum px_code px_values_put_bool(struct px_values *values, bool value);
PX_MUST_USE enum px_code px_values_put_text(struct px_values *values, struct px_str text);
PX_MUST_USE enum px_code px_values_put_missing(struct px_values *values);

/* `n` values were written into floats or doubles; what is put next follows them. */
void px_values_advance(struct px_values *values, size_t n);

/* Were there as many values as the shape says? */
PX_MUST_USE enum px_code px_values_end(struct px_values *values);

/* PX_E_INVALID, listing what there is, for a datatype that has no name of this server's. */
PX_MUST_USE enum px_code px_tensor_read_type(struct px_str name, enum px_datatype *ret,
                                             struct px_err *err);

/*
 * One output of an answered request, [rows, columns]. The bytes of scores are lent by the call; those of labels and
 * classifications (BYTES) are made in its arena, hence the error. A classification is, per row, the n_best
 * greatest scores as "value:index[:label]", six decimals as Triton prints them, NaN last, ties in order;
 * `label` only when each score belongs to a class.
 */
PX_MUST_USE enum px_code px_output_tensor(struct px_infer *infer,
                                          const struct px_infer_output *output,
                                          struct px_tensor *ret);

/*
 * Adds an output as px_infer_add_output does, with what its parameters say; their texts outlive the request. PX_E_INVALID for
 * what cannot come together.
 */
PX_MUST_USE enum px_code px_output_ask(struct px_infer *infer, struct px_str name,
                                       const struct px_parameters *parameters);

/*
 * The tensors of an answered request's outputs, PX_INFER_OUTPUTS_MAX at most; those that go to shared memory are written
 * there, PX_E_INVALID when they are larger than their range.
 */
PX_MUST_USE enum px_code px_output_tensors(struct px_infer *infer, struct px_tensor *tensors);

#endif
