/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/rest: the Open Inference Protocol's inference request, in JSON.
 *
 * v2_infer.c reads the request, v2_inputs.c and v2_element.c the tensors, v2_reply.c writes the answer, v2_metadata.c says
 * which form of input a model advertises (interfaces/inference/tensor.h).
 */
#ifndef PX_INTERFACES_REST_V2_H
#define PX_INTERFACES_REST_V2_H

#include "interfaces/inference/tensor.h"
#include "interfaces/rest/inference.h"

/* Name that a whole-matrix input is advertised under. */
#define PX_V2_INPUT_NAME "input"

/* Does metadata advertise one tensor per feature? So it is when a feature takes names or dates. */
bool px_v2_by_columns(const struct px_signature *signature);

/* Reads the "inputs" array into the call's rows; errors go to call.err. */
PX_MUST_USE enum px_code px_v2_read_inputs(struct px_infer *infer, struct px_json *json);

/*
 * The next element of a tensor, put where it goes; null is missing. A failure of the text sticks to `json`, for the
 * caller to find; the return is the encoder's.
 */
PX_MUST_USE enum px_code px_v2_read_element(struct px_values *values, struct px_json *json);

/*
 * Parameters of the protocol: text, number or boolean by name. `refused` lists reserved names that cannot be
 * served, with the reason; a parameter that must be false may still be sent as false.
 */
struct px_v2_refusal {
    const char *name;
    const char *reason;
};
PX_MUST_USE enum px_code px_v2_read_parameters(struct px_json *json,
                                               const struct px_v2_refusal *refused,
                                               struct px_err *err);

/* Writes the reply and finishes the exchange. */
void px_v2_reply(struct px_infer *infer);

#endif
