/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of any type as the text of a trace: "1,2.5,nan", texts in JSON's quotes; "..." where more were there. */
#include "application/telemetry/trace.h"

#include "shared/json.h"
#include "shared/number.h"

#include <inttypes.h>

static int64_t read_signed(const char *at, size_t size)
{
    int8_t a;
    int16_t b;
    int32_t c;
    int64_t d;
    switch (size) {
    case 1:
        memcpy(&a, at, sizeof a);
        return a;
    case 2:
        memcpy(&b, at, sizeof b);
        return b;
    case 4:
        memcpy(&c, at, sizeof c);
        return c;
    default:
        memcpy(&d, at, sizeof d);
        return d;
    }
}

static uint64_t read_unsigned(const char *at, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, at, size); /* little-endian */
    return value;
}

static void put_real(struct px_buf *out, double value)
{
    char text[PX_NUMBER_TEXT_MAX];
    px_buf_append(out, text, px_number_print_f64(value, text));
}

static void put_number(struct px_buf *out, enum px_datatype type, const char *at)
{
    float narrow;
    double wide;
    size_t size = px_datatype_size(type);
    if (type == PX_TYPE_FP32) {
        memcpy(&narrow, at, sizeof narrow);
        put_real(out, (double)narrow);
    } else if (type == PX_TYPE_FP64) {
        memcpy(&wide, at, sizeof wide);
        put_real(out, wide);
    } else if (type == PX_TYPE_FP16 || type == PX_TYPE_BF16) {
        px_buf_printf(out, "0x%04" PRIx64, read_unsigned(at, size)); /* its bits */
    } else if (type == PX_TYPE_INT8 || type == PX_TYPE_INT16 || type == PX_TYPE_INT32 ||
               type == PX_TYPE_INT64) {
        px_buf_printf(out, "%" PRId64, read_signed(at, size));
    } else {
        px_buf_printf(out, "%" PRIu64, read_unsigned(at, size));
    }
}

static void put_next(struct px_buf *out, enum px_datatype type, struct px_str *rest)
{
    struct px_json_writer w = px_json_writer(out);
    struct px_str text;
    size_t size = px_datatype_size(type);
    if (type != PX_TYPE_BYTES) {
        put_number(out, type, rest->ptr);
        *rest = px_str_n(rest->ptr + size, rest->len - size);
    } else if (px_tensor_next_text(rest, &text)) {
        px_json_put_str(&w, text);
    } else {
        rest->len = 0;
    }
}

/* The shape as "1,2". */
static void put_shape(struct px_trace_text *text, const struct px_tensor *tensor)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    struct px_str inner = px_str(px_tensor_shape_text(tensor, shape)); /* "[1,2]" */
    snprintf(text->shape, sizeof text->shape, "%.*s", (int)inner.len - 2, inner.ptr + 1);
}

/* What does not fit is left out, whole elements only. */
static void put_values(struct px_trace_text *text, const struct px_tensor *tensor)
{
    static const char more[] = ",...";
    struct px_buf out = px_buf_fixed(text->values, sizeof text->values - sizeof more);
    struct px_str rest = tensor->bytes;
    size_t end = 0;
    while (rest.len > 0) {
        if (end)
            px_buf_byte(&out, ',');
        put_next(&out, tensor->type, &rest);
        if (out.failed)
            break;
        end = out.len;
    }
    const char *tail = out.failed ? more + (end == 0) : "";
    memcpy(text->values + end, tail, strlen(tail) + 1);
}

void px_trace_put_values(struct px_trace_text *text, const struct px_tensor *tensor)
{
    snprintf(text->name, sizeof text->name, "%.*s", PX_STR_ARG(tensor->name));
    put_values(text, tensor);
    put_shape(text, tensor);
    text->type = tensor->type;
}
