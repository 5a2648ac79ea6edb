/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/grpc: an inference, of a unary call or of a slot of a stream.
 *
 * infer.c reads ModelInferRequest, contents.c values by type, infer_reply.c writes ModelInferResponse, infer_unary.c and
 * infer_stream.c say where both come from and go to.
 */
#ifndef PX_INTERFACES_GRPC_INFER_H
#define PX_INTERFACES_GRPC_INFER_H

#include "interfaces/grpc/parameters.h"
#include "interfaces/inference/tensor.h"

struct px_grpc_infer {
    struct px_infer infer; /* first */
    struct px_grpc_call *call;
    struct px_grpc_slot *slot; /* NULL of a unary call */
};

/*
 * Reads a request and submits or fails it: `encode` or `fail` is called in any case, at once or in the wave.
 * `base` holds everything but the model's name and version. inference->infer.owner need not be set.
 */
void px_grpc_infer_start(struct px_grpc_infer *inference, struct px_str message,
                         const struct px_infer_request *base);

static inline struct px_grpc_infer *px_grpc_infer_of(struct px_infer *infer)
{
    return PX_CONTAINER_OF(infer, struct px_grpc_infer, infer);
}

/* Values of one tensor by type (InferTensorContents) into the rows. */
PX_MUST_USE enum px_code px_grpc_read_contents(struct px_inputs *in, const struct px_tensor *tensor,
                                               struct px_str contents);

/* Appends the fields of a ModelInferResponse, the tensors raw. A failure is in the call's err, nothing is appended. */
PX_MUST_USE enum px_code px_grpc_put_infer_response(struct px_grpc_infer *inference,
                                                    bool is_of_stream, struct px_buf *buf);

#endif
