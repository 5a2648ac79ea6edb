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

static struct px_parameter_value read_int64(const struct px_protobuf_field *choice)
{
    bool is_negative = px_protobuf_i64(choice) < 0;
    return (struct px_parameter_value){
        .type = is_negative ? PX_PARAMETER_NUMBER : PX_PARAMETER_UNSIGNED, .number = choice->value};
}

/* One with a type that no parameter has, or the wrong wire type, is refused by its name. */
static struct px_parameter_value read_value(const struct px_protobuf_field *choice)
{
    struct px_parameter_value none = {.type = PX_PARAMETER_NONE};
    bool is_varint = choice->wire == PX_PROTOBUF_VARINT;
    switch (choice->number) {
    case PX_GRPC_PARAMETER_BOOL:
        return is_varint ? (struct px_parameter_value){.type = PX_PARAMETER_BOOL,
                                                       .boolean = choice->value != 0}
                         : none;
    case PX_GRPC_PARAMETER_INT64:
        return is_varint ? read_int64(choice) : none;
    case PX_GRPC_PARAMETER_UINT64:
        return is_varint ? (struct px_parameter_value){.type = PX_PARAMETER_UNSIGNED,
                                                       .number = choice->value}
                         : none;
    case PX_GRPC_PARAMETER_TEXT:
        return choice->wire == PX_PROTOBUF_BYTES
                   ? (struct px_parameter_value){.type = PX_PARAMETER_TEXT, .text = choice->bytes}
                   : none;
    case PX_GRPC_PARAMETER_DOUBLE:
        none.type = choice->wire == PX_PROTOBUF_FIXED64 ? PX_PARAMETER_NUMBER : PX_PARAMETER_NONE;
        return none;
    default:
        return none;
    }
}

enum px_code px_grpc_read_parameter(const struct px_protobuf_field *field,
                                    struct px_parameters *ret, struct px_err *err)
{
    struct px_str key, message;
    struct px_protobuf_field choice;
    enum px_code code = px_grpc_read_entry(field, &key, &message, err);
    if (code == PX_OK)
        code = px_grpc_read_choice(message, &choice, err);
    if (code != PX_OK)
        return code;
    if (choice.number == PX_GRPC_PARAMETER_TEXT && choice.wire == PX_PROTOBUF_BYTES &&
        !px_str_is_utf8(choice.bytes))
        return px_err_set(err, PX_E_INVALID, "parameter '%.*s': the text is not valid UTF-8",
                          PX_STR_ARG(key));
    const struct px_parameter_value value = read_value(&choice);
    return px_parameters_add(ret, key, &value, err);
}
