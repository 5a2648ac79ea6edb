/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters of Open Inference: of a request, an input or an output, for every dialect, which only decodes their values.
 *
 * A name that the protocol or one of its extensions gives a meaning must have its type and come once; one that the server
 * cannot honour is refused by name, because a client that asked for it must not get something else. Any other name is the
 * client's own: it must be text, a number or a boolean, and has no effect.
 */
#ifndef PX_INTERFACES_INFERENCE_PARAMETERS_H
#define PX_INTERFACES_INFERENCE_PARAMETERS_H

#include "interfaces/inference/infer.h"

/* Bits: what the parameters belong to, and in which dialect. */
enum px_parameter_place {
    PX_PARAMETER_OF_REQUEST = 1,
    PX_PARAMETER_OF_INPUT = 2,
    PX_PARAMETER_OF_OUTPUT = 4,
    PX_PARAMETER_IN_JSON = 8,
    PX_PARAMETER_IN_GRPC = 16,
};

enum px_parameter {
    PX_PARAMETER_CUSTOM = 0,
    PX_PARAMETER_BINARY,
    PX_PARAMETER_BINARY_SIZE,
    PX_PARAMETER_TIMEOUT,
    PX_PARAMETER_CLASSIFICATION,
    PX_PARAMETER_REGION,
    PX_PARAMETER_REGION_OFFSET,
    PX_PARAMETER_REGION_SIZE,
    PX_PARAMETER_PRIORITY,
    PX_PARAMETER_CRITICALITY,
    PX_PARAMETER_SEQUENCE_ID,
    PX_PARAMETER_SEQUENCE_START,
    PX_PARAMETER_SEQUENCE_END,
    PX_PARAMETER_EMPTY_FINAL,
    PX_PARAMETER_RESERVED,
};

struct px_parameter_value {
    enum {
        PX_PARAMETER_NONE = 0, /* of a type that no parameter has */
        PX_PARAMETER_BOOL = 1,
        PX_PARAMETER_UNSIGNED = 2, /* an integer >= 0, in `number` */
        PX_PARAMETER_NUMBER = 4,   /* any other number */
        PX_PARAMETER_TEXT = 8,
    } type;
    bool boolean;
    uint64_t number;
    struct px_str text; /* of a number as it was written, or empty */
};

/* What parameters say that the server acts on; what was not given is 0. */
struct px_parameters {
    unsigned
        places;    /* px_parameter_place: set by who reads, where they stand and in which dialect */
    unsigned seen; /* bit p: px_parameter p was given */
    bool binary;
    uint64_t binary_size;
    uint64_t timeout_us;
    unsigned priority;
    enum px_criticality criticality;
    uint64_t n_best;
    struct px_shared_range region;
    struct px_sequence_step sequence;
};

static inline bool px_parameters_has(const struct px_parameters *parameters,
                                     enum px_parameter which)
{
    return parameters->seen & 1u << which;
}

/* What a request's parameters say about its time, its urgency and its sequence becomes the call's. */
void px_parameters_apply(const struct px_parameters *parameters, struct px_infer *infer);

/* Adds one. PX_E_INVALID and PX_E_UNSUPPORTED name it. */
PX_MUST_USE enum px_code px_parameters_add(struct px_parameters *parameters, struct px_str key,
                                           const struct px_parameter_value *value,
                                           struct px_err *err);

#endif
