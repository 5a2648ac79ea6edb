/* SPDX-License-Identifier: Apache-2.0 */
/* Objects "parameters" of JSON: which type each value has. What they mean is in interfaces/inference/parameters.h. */
#include "interfaces/rest/v2/v2.h"

static struct px_parameter_value read_number(struct px_json *json)
{
    struct px_parameter_value value = {.type = PX_PARAMETER_NUMBER};
    value.text = px_json_raw(json);
    if (px_str_to_u64(value.text, &value.number))
        value.type = PX_PARAMETER_UNSIGNED;
    return value;
}

/* One of another type is passed over, and refused by its name. */
static struct px_parameter_value read_value(struct px_json *json)
{
    struct px_parameter_value value = {.type = PX_PARAMETER_NONE};
    switch (px_json_peek(json)) {
    case PX_JSON_NUMBER:
        return read_number(json);
    case PX_JSON_BOOL:
        value.type = PX_PARAMETER_BOOL;
        value.boolean = px_json_bool(json);
        return value;
    case PX_JSON_STRING:
        value.type = PX_PARAMETER_TEXT;
        value.text = px_json_str(json);
        return value;
    case PX_JSON_NONE:
    case PX_JSON_NULL:
    case PX_JSON_ARRAY:
    case PX_JSON_OBJECT:
        break;
    }
    px_json_skip(json);
    return value;
}

enum px_code px_v2_read_parameters(struct px_json *json, enum px_parameter_place place,
                                   struct px_parameters *ret, struct px_err *err)
{
    struct px_str key;
    *ret = (struct px_parameters){.places = place | PX_PARAMETER_IN_JSON};
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        struct px_parameter_value value = read_value(json);
        enum px_code code = px_json_check(json, err);
        if (code == PX_OK)
            code = px_parameters_add(ret, key, &value, err);
        if (code != PX_OK)
            return code;
    }
    return px_json_check(json, err);
}
