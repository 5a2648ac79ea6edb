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

#include "application/serving/model_config.h"
#include "interfaces/inference/regions.h"
#include "interfaces/inference/tensor.h"
#include "interfaces/rest/inference.h"

/* Header that says where a body's JSON ends. */
#define PX_V2_LENGTH_HEADER "Inference-Header-Content-Length"

/* How an output is sent: px_infer_output.form; px_rest_infer.form for those that do not say. */
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

PX_MUST_USE enum px_code px_v2_read_parameters(struct px_json *json, enum px_parameter_place place,
                                               struct px_parameters *ret, struct px_err *err);

/* May who sent the request name regions of shared memory? PX_E_FORBIDDEN for a page of another origin. */
PX_MUST_USE enum px_code px_v2_guard_region(struct px_infer *infer);

/* The part of a ModelConfig that a model which keeps state has. */
void px_v2_put_sequence_batching(struct px_json_writer *w, const struct px_model_config *config);

/* Writes the reply and finishes the exchange. */
void px_v2_reply(struct px_infer *infer);

#endif
