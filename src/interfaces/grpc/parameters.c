/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/grpc/parameters.h"

enum px_code px_grpc_read_entry(const struct px_protobuf_field *field, struct px_str *ret_key,
                                struct px_str *ret_value, struct px_err *err)
{
    struct px_protobuf p = px_protobuf(field->bytes);
    struct px_protobuf_field part;
    enum px_code code = PX_OK;
    *ret_key = *ret_value = (struct px_str)PX_STR("");
    while (code == PX_OK && px_protobuf_next(&p, &part)) {
        if (part.number == PX_GRPC_MAP_KEY)
            code = px_grpc_read_text(&part, "a key", ret_key, err);
        else if (part.number == PX_GRPC_MAP_VALUE && part.wire == PX_PROTOBUF_BYTES)
            *ret_value = part.bytes;
    }
    return code == PX_OK ? px_grpc_check(&p, "an entry of a map", err) : code;
}

enum px_code px_grpc_read_choice(struct px_str message, struct px_protobuf_field *ret,
                                 struct px_err *err)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    *ret = (struct px_protobuf_field){.bytes = PX_STR("")};
    while (px_protobuf_next(&p, &field))
        *ret = field;
    return px_grpc_check(&p, "the value of a parameter", err);
}

static bool has_its_wire(const struct px_protobuf_field *value)
{
    switch (value->number) {
    case PX_GRPC_PARAMETER_BOOL:
    case PX_GRPC_PARAMETER_INT64:
    case PX_GRPC_PARAMETER_UINT64:
        return value->wire == PX_PROTOBUF_VARINT;
    case PX_GRPC_PARAMETER_TEXT:
        return value->wire == PX_PROTOBUF_BYTES;
    case PX_GRPC_PARAMETER_DOUBLE:
        return value->wire == PX_PROTOBUF_FIXED64;
    default:
        return false;
    }
}

enum px_code px_grpc_read_parameter(const struct px_protobuf_field *field,
                                    struct px_grpc_parameter *ret, struct px_err *err)
{
    struct px_str value;
    enum px_code code = px_grpc_read_entry(field, &ret->key, &value, err);
    if (code == PX_OK)
        code = px_grpc_read_choice(value, &ret->value, err);
    if (code != PX_OK)
        return code;
    if (ret->value.number != 0 && !has_its_wire(&ret->value))
        return px_err_set(err, PX_E_INVALID,
                          "parameter '%.*s': expected a boolean, an integer, a text or a double",
                          PX_STR_ARG(ret->key));
    ret->type = (enum px_grpc_parameter_type)ret->value.number;
    return PX_OK;
}

enum px_code px_grpc_parameter_u64(const struct px_grpc_parameter *parameter, uint64_t *ret,
                                   struct px_err *err)
{
    bool is_signed = parameter->type == PX_GRPC_PARAMETER_INT64;
    *ret = parameter->value.value;
    if (parameter->type == PX_GRPC_PARAMETER_UINT64 ||
        (is_signed && px_protobuf_i64(&parameter->value) >= 0))
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "parameter '%.*s': expected an integer >= 0",
                      PX_STR_ARG(parameter->key));
}

enum px_code px_grpc_parameter_text(const struct px_grpc_parameter *parameter, struct px_str *ret,
                                    struct px_err *err)
{
    *ret = parameter->value.bytes;
    if (parameter->type == PX_GRPC_PARAMETER_TEXT)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "parameter '%.*s': expected a text",
                      PX_STR_ARG(parameter->key));
}
