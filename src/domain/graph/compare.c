/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/graph/compare.h"

#include "domain/graph/values.h"

#include <math.h>

static struct px_graph_number make_whole(px_graph_whole value)
{
    return (struct px_graph_number){.real = (double)value, .whole = value, .is_whole = true};
}

struct px_graph_number px_graph_number_of_tensor(const struct px_tensor *tensor, size_t i)
{
    uint64_t natural;
    int64_t integer;
    switch (tensor->type) {
    case PX_TYPE_UINT64:
        memcpy(&natural, tensor->bytes.ptr + i * sizeof natural, sizeof natural);
        return make_whole(natural);
    case PX_TYPE_INT64:
        memcpy(&integer, tensor->bytes.ptr + i * sizeof integer, sizeof integer);
        return make_whole(integer);
    case PX_TYPE_FP16:
    case PX_TYPE_BF16:
    case PX_TYPE_FP32:
    case PX_TYPE_FP64:
        return (struct px_graph_number){.real = px_graph_number(tensor, i)};
    case PX_TYPE_NONE:
    case PX_TYPE_BOOL:
    case PX_TYPE_UINT8:
    case PX_TYPE_UINT16:
    case PX_TYPE_UINT32:
    case PX_TYPE_INT8:
    case PX_TYPE_INT16:
    case PX_TYPE_INT32:
    case PX_TYPE_BYTES:
    case PX_TYPE_COUNT:
    default:
        return make_whole((px_graph_whole)px_graph_number(tensor, i)); /* a double holds it */
    }
}

struct px_graph_number px_graph_number_of_text(struct px_str text, double real)
{
    bool negative = text.len && text.ptr[0] == '-';
    uint64_t digits;
    if (!px_str_to_u64(px_str_n(text.ptr + negative, text.len - negative), &digits))
        return (struct px_graph_number){.real = real};
    px_graph_whole value = digits;
    return make_whole(negative ? -value : value);
}

struct px_graph_number px_graph_number_as(struct px_graph_number written, enum px_datatype type)
{
    double real = written.real;
    if (type == PX_TYPE_FP32)
        real = (double)(float)real;
    else if (type == PX_TYPE_FP16)
        real = (double)px_half_to_float(px_float_to_half(real));
    else if (type == PX_TYPE_BF16)
        real = (double)px_bfloat_to_float(px_float_to_bfloat((float)real));
    else if (type != PX_TYPE_FP64)
        return written;
    return (struct px_graph_number){.real = real};
}

/* Below 0, 0 or above 0: where `a` lies from `b`. Neither is NaN. */
static int order_wholes(px_graph_whole a, px_graph_whole b)
{
    return (a > b) - (a < b);
}

static int order_reals(double a, double b)
{
    return (a > b) - (a < b);
}

/* The fraction decides only when the parts before the point are the same. */
static int order_mixed(px_graph_whole a, double b)
{
    static const double beyond = 18446744073709551616.0; /* 2^64: no tensor holds such an integer */
    if (b >= beyond || b <= -beyond)
        return b > 0 ? -1 : 1;
    double before_point = trunc(b);
    int order = order_wholes(a, (px_graph_whole)before_point);
    return order ? order : order_reals(before_point, b);
}

static int order_numbers(const struct px_graph_number *a, const struct px_graph_number *b)
{
    if (a->is_whole && b->is_whole)
        return order_wholes(a->whole, b->whole);
    if (a->is_whole)
        return order_mixed(a->whole, b->real);
    return b->is_whole ? -order_mixed(b->whole, a->real) : order_reals(a->real, b->real);
}

static bool is_nan(const struct px_graph_number *number)
{
    return !number->is_whole && isnan(number->real);
}

bool px_graph_number_compare(const struct px_graph_number *a, enum px_graph_comparison comparison,
                             const struct px_graph_number *b)
{
    if (is_nan(a) || is_nan(b))
        return comparison == PX_GRAPH_NOT_EQUAL;
    int order = order_numbers(a, b);
    switch (comparison) {
    case PX_GRAPH_LESS:
        return order < 0;
    case PX_GRAPH_LESS_EQUAL:
        return order <= 0;
    case PX_GRAPH_GREATER:
        return order > 0;
    case PX_GRAPH_GREATER_EQUAL:
        return order >= 0;
    case PX_GRAPH_EQUAL:
        return order == 0;
    case PX_GRAPH_NOT_EQUAL:
    default:
        return order != 0;
    }
}
