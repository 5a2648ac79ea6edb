/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One element of an Open Inference tensor: its text read as its datatype, then encoded for its feature.
 *
 * Half and brain floats are not in the protocol's JSON, yet clients send them: FP16 is the double nearest to
 * the text, rounded to half, and BF16 the float nearest to it, cut to 16 bits, both to nearest even, which is
 * what a client does that makes a binary tensor from its own numbers. Integers outside their datatype are refused, not wrapped.
 */
#include "interfaces/rest/v2/v2.h"

#include <math.h>

static double round_to_half(double value)
{
    /* 11 bits of significand, exponents -14..15, subnormal steps of 2^-24. */
    int exponent;
    if (value == 0 || !isfinite(value))
        return value;
    (void)frexp(value, &exponent);
    int step = exponent - 11 < -24 ? -24 : exponent - 11;
    double rounded = ldexp(nearbyint(ldexp(value, -step)), step);
    return fabs(rounded) > 65504.0 ? copysign(INFINITY, value) : rounded;
}

static double round_to_bfloat(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (isfinite(value))
        bits += 0x7FFFu + (bits >> 16 & 1u);
    bits &= 0xFFFF0000u;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

/* The value's range is its datatype's; what the text is not sticks to `json`. */
static enum px_code put_integer(struct px_values *values, struct px_json *json)
{
    enum px_datatype type = values->tensor->type;
    if (type >= PX_TYPE_UINT8 && type <= PX_TYPE_UINT64) {
        uint64_t value = px_json_u64(json);
        if (!px_tensor_fits_unsigned(type, value))
            px_json_fail(json, "%llu does not fit in %s", (unsigned long long)value,
                         px_datatype_name(type));
        return px_json_failed(json) ? PX_OK : px_values_put_unsigned(values, value);
    }
    int64_t value = px_json_i64(json);
    if (!px_tensor_fits_signed(type, value))
        px_json_fail(json, "%lld does not fit in %s", (long long)value, px_datatype_name(type));
    return px_json_failed(json) ? PX_OK : px_values_put_signed(values, value);
}

static double read_float(struct px_json *json, enum px_datatype type)
{
    switch ((int)type) { // clang-format off
    case PX_TYPE_FP32: return (double)px_json_f32(json);
    case PX_TYPE_FP64: return px_json_f64(json);
    case PX_TYPE_FP16: return round_to_half(px_json_f64(json));
    case PX_TYPE_BF16: return round_to_bfloat(px_json_f32(json));
    } // clang-format on
    PX_ASSERT(false && "a float's datatype");
    return 0;
}

enum px_code px_v2_read_element(struct px_values *values, struct px_json *json)
{
    enum px_datatype type = values->tensor->type;
    if (px_json_null(json))
        return px_values_put_missing(values);
    if (type == PX_TYPE_BOOL) {
        bool value = px_json_bool(json);
        return px_json_failed(json) ? PX_OK : px_values_put_bool(values, value);
    }
    if (type == PX_TYPE_BYTES) {
        struct px_str text = px_json_str(json);
        return px_json_failed(json) ? PX_OK : px_values_put_text(values, text);
    }
    if (type >= PX_TYPE_UINT8 && type <= PX_TYPE_INT64)
        return put_integer(values, json);
    double number = read_float(json, type);
    return px_json_failed(json) ? PX_OK : px_values_put_number(values, number);
}
