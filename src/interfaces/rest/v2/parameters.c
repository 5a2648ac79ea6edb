/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters of Open Inference: of a request, an input or an output.
 *
 * A name that the protocol or one of its extensions gives a meaning is read as its type; one that the server cannot honour
 * is refused by name, because a client that asked for it must not get something else. Any other name is the
 * client's own: it must be text, a number or a boolean, and has no effect.
 */
#include "interfaces/rest/v2/v2.h"

static const struct known {
    const char *name;
    unsigned places;
    enum px_v2_parameter parameter;
} known_parameters[] = {
    {"binary_data_output", PX_V2_OF_REQUEST, PX_V2_BINARY},
    {"timeout", PX_V2_OF_REQUEST, PX_V2_TIMEOUT},
    {"priority", PX_V2_OF_REQUEST, PX_V2_PRIORITY},
    {"sequence_id", PX_V2_OF_REQUEST, PX_V2_SEQUENCE_ID},
    {"sequence_start", PX_V2_OF_REQUEST, PX_V2_SEQUENCE_START},
    {"sequence_end", PX_V2_OF_REQUEST, PX_V2_SEQUENCE_END},
    {"headers", PX_V2_OF_REQUEST, PX_V2_RESERVED},
    {"binary_data_size", PX_V2_OF_INPUT, PX_V2_BINARY_SIZE},
    {"binary_data", PX_V2_OF_OUTPUT, PX_V2_BINARY},
    {"classification", PX_V2_OF_OUTPUT, PX_V2_CLASSIFICATION},
    {"shared_memory_region", PX_V2_OF_INPUT | PX_V2_OF_OUTPUT, PX_V2_REGION},
    {"shared_memory_offset", PX_V2_OF_INPUT | PX_V2_OF_OUTPUT, PX_V2_REGION_OFFSET},
    {"shared_memory_byte_size", PX_V2_OF_INPUT | PX_V2_OF_OUTPUT, PX_V2_REGION_SIZE},
};

static enum px_v2_parameter find_parameter(struct px_str key, enum px_v2_place place)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(known_parameters); i++) {
        const struct known *known = &known_parameters[i];
        if ((known->places & place) && px_str_is(key, known->name))
            return known->parameter;
    }
    return PX_V2_CUSTOM;
}

static void read_custom(struct px_json *json, struct px_str key)
{
    enum px_json_type type = px_json_peek(json);
    if (type == PX_JSON_BOOL || type == PX_JSON_STRING || type == PX_JSON_NUMBER)
        px_json_skip(json);
    else
        px_json_fail(json, "expected text, a number or a boolean for parameter '%.*s'",
                     PX_STR_ARG(key));
}

static enum px_code refuse(struct px_str key, const char *reason, struct px_err *err)
{
    return px_err_set(err, PX_E_UNSUPPORTED, "parameter '%.*s': %s", PX_STR_ARG(key), reason);
}

/*
 * A model that keeps no state answers a member of a sequence as it answers any other request: the members are checked
 * and have no effect.
 */
static void read_sequence(struct px_json *json, enum px_v2_parameter parameter)
{
    if (parameter != PX_V2_SEQUENCE_ID)
        (void)px_json_bool(json);
    else if (px_json_peek(json) == PX_JSON_STRING)
        (void)px_json_str(json);
    else
        (void)px_json_u64(json);
}

static enum px_code read_classification(struct px_json *json, struct px_v2_parameters *ret,
                                        struct px_err *err)
{
    ret->n_best = px_json_u64(json);
    if (ret->n_best == 0 && !px_json_failed(json))
        return px_err_set(err, PX_E_INVALID,
                          "parameter 'classification': expected a number above 0");
    return PX_OK;
}

static enum px_code read_known(struct px_json *json, struct px_str key,
                               enum px_v2_parameter parameter, struct px_v2_parameters *ret,
                               struct px_err *err)
{
    switch (parameter) { // clang-format off
    case PX_V2_BINARY: ret->binary = px_json_bool(json); return PX_OK;
    case PX_V2_BINARY_SIZE: ret->binary_size = px_json_u64(json); return PX_OK;
    case PX_V2_TIMEOUT: ret->timeout_us = px_json_u64(json); return PX_OK;
    case PX_V2_PRIORITY: (void)px_json_u64(json); return PX_OK; /* waves have no queue to jump */
    case PX_V2_CLASSIFICATION: return read_classification(json, ret, err);
    case PX_V2_REGION: ret->region.name = px_json_str(json); return PX_OK;
    case PX_V2_REGION_OFFSET: ret->region.offset = px_json_u64(json); return PX_OK;
    case PX_V2_REGION_SIZE: ret->region.size = px_json_u64(json); return PX_OK;
    case PX_V2_RESERVED: return refuse(key, "the name is reserved", err);
    case PX_V2_SEQUENCE_ID: case PX_V2_SEQUENCE_START: case PX_V2_SEQUENCE_END:
        read_sequence(json, parameter);
        return PX_OK;
    case PX_V2_CUSTOM: break;
    } // clang-format on
    read_custom(json, key);
    return PX_OK;
}

enum px_code px_v2_read_parameters(struct px_json *json, enum px_v2_place place,
                                   struct px_v2_parameters *ret, struct px_err *err)
{
    struct px_str key;
    *ret = (struct px_v2_parameters){0};
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_starts(key, "triton_"))
            return px_err_set(err, PX_E_INVALID,
                              "parameter '%.*s': names that start with 'triton_' are reserved",
                              PX_STR_ARG(key));
        enum px_v2_parameter parameter = find_parameter(key, place);
        if (ret->seen & 1u << parameter & ~(1u << PX_V2_CUSTOM))
            px_json_fail(json, "parameter '%.*s' is repeated", PX_STR_ARG(key));
        ret->seen |= 1u << parameter;
        enum px_code code = read_known(json, key, parameter, ret, err);
        if (code != PX_OK)
            return code;
    }
    return px_json_check(json, err);
}
