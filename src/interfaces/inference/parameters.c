/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of what parameters mean.
 *
 * A model of rows has no queue to jump: priority and criticality are for those of tensors. Without an effect, and only checked, is the wish for an
 * empty final response, because every request has exactly one response, which is its final one. That one is Triton's of gRPC; over HTTP it
 * reserves every name that starts with "triton_", as it does others over gRPC. A model that keeps no state answers the members of a
 * sequence as any other request.
 */
#include "interfaces/inference/parameters.h"

#include "interfaces/inference/deadline.h"
#include "interfaces/inference/terms.h"
#include "shared/clock.h"

#include <inttypes.h>

enum {
    REQUEST = PX_PARAMETER_OF_REQUEST,
    INPUT = PX_PARAMETER_OF_INPUT,
    OUTPUT = PX_PARAMETER_OF_OUTPUT,
    JSON = PX_PARAMETER_IN_JSON,
    GRPC = PX_PARAMETER_IN_GRPC,
    ANYWHERE = REQUEST | INPUT | OUTPUT,
    BOTH = JSON | GRPC,
    BOOL = PX_PARAMETER_BOOL,
    UNSIGNED = PX_PARAMETER_UNSIGNED,
    TEXT = PX_PARAMETER_TEXT,
    ANY = BOOL | UNSIGNED | PX_PARAMETER_NUMBER | TEXT,
};

static const struct known {
    const char *name;
    unsigned places, types;
    enum px_parameter parameter;
} known_parameters[] = {
    {"binary_data_output", REQUEST | JSON, BOOL, PX_PARAMETER_BINARY},
    {"binary_data", OUTPUT | JSON, BOOL, PX_PARAMETER_BINARY},
    {"binary_data_size", INPUT | JSON, UNSIGNED, PX_PARAMETER_BINARY_SIZE},
    {"timeout", REQUEST | BOTH, UNSIGNED, PX_PARAMETER_TIMEOUT},
    {"priority", REQUEST | BOTH, UNSIGNED, PX_PARAMETER_PRIORITY},
    {"criticality", REQUEST | BOTH, TEXT, PX_PARAMETER_CRITICALITY},
    {"sequence_id", REQUEST | BOTH, UNSIGNED | TEXT, PX_PARAMETER_SEQUENCE_ID},
    {"sequence_start", REQUEST | BOTH, BOOL, PX_PARAMETER_SEQUENCE_START},
    {"sequence_end", REQUEST | BOTH, BOOL, PX_PARAMETER_SEQUENCE_END},
    {"triton_enable_empty_final_response", REQUEST | GRPC, BOOL, PX_PARAMETER_EMPTY_FINAL},
    {"headers", REQUEST | BOTH, ANY, PX_PARAMETER_RESERVED},
    {"classification", OUTPUT | BOTH, UNSIGNED, PX_PARAMETER_CLASSIFICATION},
    {"shared_memory_region", INPUT | OUTPUT | BOTH, TEXT, PX_PARAMETER_REGION},
    {"shared_memory_offset", INPUT | OUTPUT | BOTH, UNSIGNED, PX_PARAMETER_REGION_OFFSET},
    {"shared_memory_byte_size", INPUT | OUTPUT | BOTH, UNSIGNED, PX_PARAMETER_REGION_SIZE},
};

static const struct known custom = {"", ANYWHERE | BOTH, ANY, PX_PARAMETER_CUSTOM};

static const struct known *find(struct px_str key, unsigned places)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(known_parameters); i++) {
        const struct known *known = &known_parameters[i];
        if ((known->places & places) == places && px_str_is(key, known->name))
            return known;
    }
    return &custom;
}

static const char *expected(unsigned types)
{
    switch (types) { // clang-format off
    case BOOL: return "true or false";
    case UNSIGNED: return "an integer >= 0";
    case TEXT: return "a text";
    case UNSIGNED | TEXT: return "an integer from 0 to 18446744073709551615, or a text";
    default: return "text, a number or a boolean";
    } // clang-format on
}

/* What came, as far as it can be shown. */
static struct px_str describe(const struct px_parameter_value *value)
{
    switch (value->type) { // clang-format off
    case PX_PARAMETER_BOOL: return px_str(value->boolean ? "true" : "false");
    case PX_PARAMETER_TEXT: return px_str("a text");
    case PX_PARAMETER_UNSIGNED: return value->text.len ? value->text : px_str("a number");
    case PX_PARAMETER_NUMBER: return value->text.len ? value->text : px_str("another number");
    case PX_PARAMETER_NONE: default: return px_str("none of these");
    } // clang-format on
}

static enum px_code refuse_type(const struct known *known, struct px_str key,
                                const struct px_parameter_value *value, struct px_err *err)
{
    px_err_set(err, PX_E_INVALID, "parameter '%.*s': expected %s, got %.*s", PX_STR_ARG(key),
               expected(known->types), PX_STR_ARG(describe(value)));
    if (known->parameter == PX_PARAMETER_TIMEOUT)
        return px_err_hint(err, "it is in microseconds, at most a day");
    if (known->parameter == PX_PARAMETER_PRIORITY)
        return px_err_hint(err, "it is a level of the model's queue, 1 for what is served first");
    return PX_E_INVALID;
}

static enum px_code check_timeout(const struct px_parameter_value *value, struct px_err *err)
{
    const uint64_t most = PX_TIMEOUT_NS_MAX / PX_NS_PER_US;
    if (value->number <= most)
        return PX_OK;
    px_err_set(err, PX_E_INVALID,
               "parameter 'timeout': expected microseconds, at most %" PRIu64 ", got %" PRIu64,
               most, value->number);
    return px_err_hint(err, "that is a day; 0 is no timeout");
}

static enum px_code check(const struct px_parameters *parameters, const struct known *known,
                          struct px_str key, const struct px_parameter_value *value,
                          struct px_err *err)
{
    if (known == &custom && px_str_starts(key, "triton_"))
        return px_err_set(err, PX_E_INVALID,
                          "parameter '%.*s': names that start with 'triton_' are reserved",
                          PX_STR_ARG(key));
    if (known != &custom && px_parameters_has(parameters, known->parameter))
        return px_err_set(err, PX_E_INVALID, "parameter '%.*s' is repeated", PX_STR_ARG(key));
    if (known->parameter == PX_PARAMETER_RESERVED)
        return px_err_set(err, PX_E_UNSUPPORTED, "parameter '%.*s': the name is reserved",
                          PX_STR_ARG(key));
    if (!(value->type & known->types))
        return refuse_type(known, key, value, err);
    if (known->parameter == PX_PARAMETER_TIMEOUT)
        return check_timeout(value, err);
    if (known->parameter == PX_PARAMETER_CLASSIFICATION && value->number == 0)
        return px_err_set(err, PX_E_INVALID, "parameter '%.*s': expected a number above 0",
                          PX_STR_ARG(key));
    return PX_OK;
}

static void keep(struct px_parameters *ret, enum px_parameter which,
                 const struct px_parameter_value *value)
{
    switch (which) { // clang-format off
    case PX_PARAMETER_BINARY: ret->binary = value->boolean; return;
    case PX_PARAMETER_BINARY_SIZE: ret->binary_size = value->number; return;
    case PX_PARAMETER_TIMEOUT: ret->timeout_us = value->number; return;
    case PX_PARAMETER_CLASSIFICATION: ret->n_best = value->number; return;
    case PX_PARAMETER_REGION: ret->region.name = value->text; return;
    case PX_PARAMETER_REGION_OFFSET: ret->region.offset = value->number; return;
    case PX_PARAMETER_REGION_SIZE: ret->region.size = value->number; return;
    case PX_PARAMETER_SEQUENCE_ID: ret->sequence.id = value->number; ret->sequence.text_id = value->text; return;
    case PX_PARAMETER_SEQUENCE_START: ret->sequence.start = value->boolean; return;
    case PX_PARAMETER_SEQUENCE_END: ret->sequence.end = value->boolean; return;
    case PX_PARAMETER_PRIORITY: ret->priority = value->number < UINT32_MAX ? (unsigned)value->number : UINT32_MAX; return;
    case PX_PARAMETER_CUSTOM: case PX_PARAMETER_CRITICALITY:
    case PX_PARAMETER_EMPTY_FINAL: case PX_PARAMETER_RESERVED: return;
    } // clang-format on
}

enum px_code px_parameters_add(struct px_parameters *parameters, struct px_str key,
                               const struct px_parameter_value *value, struct px_err *err)
{
    const struct known *known = find(key, parameters->places);
    enum px_code code = check(parameters, known, key, value, err);
    if (code != PX_OK)
        return code;
    if (known->parameter == PX_PARAMETER_CRITICALITY) {
        code = px_criticality_read("parameter 'criticality'", value->text, &parameters->criticality,
                                   err);
        if (code != PX_OK)
            return code;
    }
    parameters->seen |= 1u << known->parameter;
    keep(parameters, known->parameter, value);
    return PX_OK;
}

void px_parameters_apply(const struct px_parameters *parameters, struct px_infer *infer)
{
    struct px_urgency *urgency = &infer->call.urgency;
    px_infer_limit_time(infer, parameters->timeout_us);
    px_infer_set_sequence(infer, &parameters->sequence);
    if (px_parameters_has(parameters, PX_PARAMETER_PRIORITY))
        urgency->priority = parameters->priority;
    if (px_parameters_has(parameters, PX_PARAMETER_CRITICALITY))
        urgency->criticality = parameters->criticality;
}
