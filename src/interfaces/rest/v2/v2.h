/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/rest: the Open Inference Protocol's inference request, in JSON and with binary tensors.
 *
 * A body is JSON, or JSON of the length that the header Inference-Header-Content-Length says and then the bytes of
 * its binary tensors in their order. infer.c reads the request, parameters.c its parameters, inputs.c and element.c the
 * tensors, reply.c writes the answer. Which form of input a model advertises is in application/serving/model_config.h.
 */
#ifndef PX_INTERFACES_REST_V2_H
#define PX_INTERFACES_REST_V2_H

#include "interfaces/inference/shared.h"
#include "interfaces/inference/tensor.h"
#include "interfaces/rest/inference.h"

/* Header that says where a body's JSON ends. */
#define PX_V2_LENGTH_HEADER "Inference-Header-Content-Length"

/* How an output is sent: px_infer_output.form. */
enum px_v2_form {
    PX_V2_FORM_DEFAULT = 0, /* as the request's binary_data_output says */
    PX_V2_FORM_JSON,
    PX_V2_FORM_BINARY,
};

/* A request while it is read. */
struct px_v2_request {
    struct px_infer *infer;
    struct px_json json;
    struct px_str binary; /* of its tensors, not yet taken */
    enum px_v2_form form; /* of outputs that do not say */
};

/* Reads the "inputs" array into the call's rows; errors go to call.err. */
PX_MUST_USE enum px_code px_v2_read_inputs(struct px_v2_request *request);

/* The whole body is the one input of the model, without JSON; errors go to call.err. */
PX_MUST_USE enum px_code px_v2_read_raw(struct px_infer *infer, struct px_str body);

/*
 * The next element of a tensor, put where it goes; null is missing. A failure of the text sticks to `json`, for the
 * caller to find; the return is the encoder's.
 */
PX_MUST_USE enum px_code px_v2_read_element(struct px_values *values, struct px_json *json);

enum px_v2_place { PX_V2_OF_REQUEST = 1, PX_V2_OF_INPUT = 2, PX_V2_OF_OUTPUT = 4 };

enum px_v2_parameter {
    PX_V2_CUSTOM = 0,
    PX_V2_BINARY,
    PX_V2_BINARY_SIZE,
    PX_V2_TIMEOUT,
    PX_V2_PRIORITY,
    PX_V2_SEQUENCE_ID,
    PX_V2_SEQUENCE_START,
    PX_V2_SEQUENCE_END,
    PX_V2_CLASSIFICATION,
    PX_V2_REGION,
    PX_V2_REGION_OFFSET,
    PX_V2_REGION_SIZE,
    PX_V2_RESERVED,
};

/* What a "parameters" object says that the server acts on. */
struct px_v2_parameters {
    unsigned seen; /* bit p: px_v2_parameter p was given */
    bool binary;
    uint64_t binary_size;
    uint64_t timeout_us;
    uint64_t n_best;
    struct px_shared_range region;
};

PX_MUST_USE enum px_code px_v2_read_parameters(struct px_json *json, enum px_v2_place place,
                                               struct px_v2_parameters *ret, struct px_err *err);

/* Writes the reply and finishes the exchange. */
void px_v2_reply(struct px_infer *infer);

#endif
