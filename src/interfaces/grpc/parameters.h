/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/grpc: maps on the wire. An entry is a message of a key (1) and a value (2); the value of a
 * parameter is a message with one field set, and of several the last counts.
 */
#ifndef PX_INTERFACES_GRPC_PARAMETERS_H
#define PX_INTERFACES_GRPC_PARAMETERS_H

#include "interfaces/grpc/status.h"
#include "interfaces/inference/parameters.h"

enum { PX_GRPC_MAP_KEY = 1, PX_GRPC_MAP_VALUE = 2 };

/* Fields of InferParameter. */
enum px_grpc_parameter_type {
    PX_GRPC_PARAMETER_NONE = 0,
    PX_GRPC_PARAMETER_BOOL,
    PX_GRPC_PARAMETER_INT64,
    PX_GRPC_PARAMETER_TEXT,
    PX_GRPC_PARAMETER_DOUBLE,
    PX_GRPC_PARAMETER_UINT64,
};

/* Key and value message of an entry; absent ones are empty. PX_E_INVALID. */
PX_MUST_USE enum px_code px_grpc_read_entry(const struct px_protobuf_field *field,
                                            struct px_str *ret_key, struct px_str *ret_value,
                                            struct px_err *err);

/* The field that counts of a message in which one should be set; number 0 when none is. */
PX_MUST_USE enum px_code px_grpc_read_choice(struct px_str message, struct px_protobuf_field *ret,
                                             struct px_err *err);

/* Adds an entry of a map<string, InferParameter>. */
PX_MUST_USE enum px_code px_grpc_read_parameter(const struct px_protobuf_field *field,
                                                struct px_parameters *ret, struct px_err *err);

#endif
