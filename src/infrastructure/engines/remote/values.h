/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements of tensors between the bytes of struct px_tensor and the forms that replies and requests have them in: numbers and
 * texts of JSON, typed fields of protobuf. FP16 and BF16 have neither form in the protocol.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_REMOTE_VALUES_H
#define PX_INFRASTRUCTURE_ENGINES_REMOTE_VALUES_H

#include "domain/inference/tensor.h"
#include "shared/json.h"

/* Writes the flat array of a tensor whose bytes have been checked. PX_E_UNSUPPORTED for what JSON cannot say. */
PX_MUST_USE enum px_code px_remote_put_values(struct px_json_writer *w,
                                              const struct px_tensor *tensor, struct px_err *err);

/*
 * Reads an array of JSON, flat or nested, as the elements of a tensor of known type and shape, whose bytes it sets; they are
 * allocated in `arena`. Numbers must fit the type, and there must be as many as the shape says.
 */
PX_MUST_USE enum px_code px_remote_read_values(struct px_str json, struct px_tensor *tensor,
                                               struct px_arena *arena, struct px_err *err);

/* The same for a message InferTensorContents of gRPC. */
PX_MUST_USE enum px_code px_remote_read_contents(struct px_str message, struct px_tensor *tensor,
                                                 struct px_arena *arena, struct px_err *err);

#endif
