/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the bytes of a tensor value by value, in its datatype.
 *
 *     px_tensor_writer_init(&writer, &tensor, arena, n_max, err);      // name, type and shape are known
 *     px_tensor_put_number(&writer, 0.5, err); ...
 *     px_tensor_writer_end(&writer, err);                              // now tensor.bytes is set
 *
 * Nothing is converted silently: a number with a fraction is no integer, a text no number. Memory is the arena's; that of
 * texts doubles as it grows. Errors name the tensor and the element.
 */
#ifndef PX_DOMAIN_INFERENCE_TENSOR_WRITER_H
#define PX_DOMAIN_INFERENCE_TENSOR_WRITER_H

#include "domain/inference/tensor.h"
#include "shared/arena.h"

struct px_tensor_writer {
    struct px_tensor *tensor;
    struct px_arena *arena;
    size_t n, n_total; /* values put, and what the shape says */
    /* private */
    char *to;
    size_t len, room; /* of texts */
};

/* `n_max` bounds how many values can follow: a shape that says more is refused before it costs memory. */
PX_MUST_USE enum px_code px_tensor_writer_init(struct px_tensor_writer *writer,
                                               struct px_tensor *tensor, struct px_arena *arena,
                                               size_t n_max, struct px_err *err);

/* Where FP32 or FP64 values may be written instead of being put one by one; then px_tensor_writer_advance. */
static inline void *px_tensor_writer_values(struct px_tensor_writer *writer)
{
    return writer->to;
}
void px_tensor_writer_advance(struct px_tensor_writer *writer, size_t n);

/* Of FP64, FP32, FP16 and BF16: rounded to the datatype. */
PX_MUST_USE enum px_code px_tensor_put_number(struct px_tensor_writer *writer, double number,
                                              struct px_err *err);
/* Two's complement of an integer in the datatype's range, of BOOL 0 or 1. */
PX_MUST_USE enum px_code px_tensor_put_integer(struct px_tensor_writer *writer, uint64_t bits,
                                               struct px_err *err);
PX_MUST_USE enum px_code px_tensor_put_text(struct px_tensor_writer *writer, struct px_str text,
                                            struct px_err *err);
/* NaN of a datatype that has one. */
PX_MUST_USE enum px_code px_tensor_put_missing(struct px_tensor_writer *writer, struct px_err *err);

/* Sets the tensor's bytes; PX_E_INVALID when there were fewer values than the shape says. */
PX_MUST_USE enum px_code px_tensor_writer_end(struct px_tensor_writer *writer, struct px_err *err);

#endif
