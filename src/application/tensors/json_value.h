/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One element of a tensor from JSON, read as its datatype.
 *
 * Half and brain floats are not in Open Inference's JSON, yet clients send them: FP16 is the double nearest to
 * the text, rounded to half, and BF16 the float nearest to it, cut to 16 bits, both to nearest even, which is
 * what a client does that makes a binary tensor from its own numbers. Integers outside their datatype are refused, not wrapped.
 */
#ifndef PX_APPLICATION_TENSORS_JSON_VALUE_H
#define PX_APPLICATION_TENSORS_JSON_VALUE_H

#include "domain/inference/tensor_writer.h"
#include "shared/json.h"

struct px_json_value {
    enum {
        PX_VALUE_MISSING = 1, /* null */
        PX_VALUE_NUMBER,
        PX_VALUE_SIGNED,
        PX_VALUE_UNSIGNED,
        PX_VALUE_BOOL,
        PX_VALUE_TEXT,
    } kind;
    double number;
    int64_t integer;
    uint64_t natural;
    bool flag;
    struct px_str text;
};

/* Consumes the next value. False when it is none of that datatype: the reason sticks to `json`. */
PX_MUST_USE bool px_json_read_value(struct px_json *json, enum px_datatype type,
                                    struct px_json_value *ret);

/* The same into a tensor. A failure of the text sticks to `json`, for the caller to find. */
PX_MUST_USE enum px_code px_json_read_element(struct px_json *json, struct px_tensor_writer *writer,
                                              struct px_err *err);

/* All elements of arrays of any nesting, row-major, each by `read`. As px_json_read_element fails. */
typedef enum px_code px_json_read_fn(struct px_json *json, struct px_tensor_writer *writer,
                                     struct px_err *err);
PX_MUST_USE enum px_code px_json_read_elements(struct px_json *json,
                                               struct px_tensor_writer *writer,
                                               px_json_read_fn *read, struct px_err *err);

/* One element of a tensor that is no text, in the shortest form of its type; NaN and infinities as bare words. */
void px_json_put_element(struct px_json_writer *w, enum px_datatype type, const char *at);

#endif
