/* SPDX-License-Identifier: Apache-2.0 */
/* One element of an Open Inference tensor: its text read as its datatype, then put where the tensor's values go. */
#include "application/tensors/json_value.h"
#include "interfaces/rest/v2/v2.h"

enum px_code px_v2_read_element(struct px_values *values, struct px_json *json)
{
    struct px_json_value value;
    if (!px_json_read_value(json, values->tensor->type, &value))
        return PX_OK;
    switch (value.kind) { // clang-format off
    case PX_VALUE_MISSING: return px_values_put_missing(values);
    case PX_VALUE_NUMBER: return px_values_put_number(values, value.number);
    case PX_VALUE_SIGNED: return px_values_put_signed(values, value.integer);
    case PX_VALUE_UNSIGNED: return px_values_put_unsigned(values, value.natural);
    case PX_VALUE_BOOL: return px_values_put_bool(values, value.flag);
    case PX_VALUE_TEXT: break;
    } // clang-format on
    return px_values_put_text(values, value.text);
}
