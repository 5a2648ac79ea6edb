/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/processing/tabular_cells.h"

#include "shared/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum px_code px_tabular_cells(const struct px_tensor *tensor, size_t n, struct px_arena *arena,
                              const struct px_str **ret, struct px_err *err)
{
    size_t size = px_datatype_size(tensor->type);
    if (size == 0)
        return px_tabular_read_texts(tensor, n, arena, ret, err);
    struct px_str *cells = px_arena_alloc(arena, n ? n : 1, sizeof *cells);
    if (!cells)
        return px_arena_check(arena, "cells of a processor", err);
    for (size_t i = 0; i < n; i++)
        cells[i] = px_str_n(tensor->bytes.ptr + i * size, size);
    *ret = cells;
    return PX_OK;
}

enum px_code px_tabular_set_cells(struct px_tensor *tensor, char *bytes, const struct px_str *cells,
                                  size_t n, struct px_arena *arena, struct px_err *err)
{
    size_t size = px_datatype_size(tensor->type);
    if (size == 0)
        return px_tabular_set_texts(tensor, cells, n, arena, err);
    for (size_t i = 0; i < n; i++)
        memcpy(bytes + i * size, cells[i].ptr, size);
    return PX_OK;
}

/* ---- cells of settings ---- */

/* The range of each integer type. */
static bool fits(enum px_datatype type, int64_t value)
{
    static const struct {
        enum px_datatype type;
        int64_t low, high;
    } ranges[] = {{PX_TYPE_BOOL, 0, 1},
                  {PX_TYPE_UINT8, 0, UINT8_MAX},
                  {PX_TYPE_UINT16, 0, UINT16_MAX},
                  {PX_TYPE_UINT32, 0, UINT32_MAX},
                  {PX_TYPE_UINT64, 0, INT64_MAX},
                  {PX_TYPE_INT8, INT8_MIN, INT8_MAX},
                  {PX_TYPE_INT16, INT16_MIN, INT16_MAX},
                  {PX_TYPE_INT32, INT32_MIN, INT32_MAX},
                  {PX_TYPE_INT64, INT64_MIN, INT64_MAX}};
    for (size_t i = 0; i < PX_ARRAY_LEN(ranges); i++) {
        if (ranges[i].type == type)
            return value >= ranges[i].low && value <= ranges[i].high;
    }
    return false;
}

/* A whole number, also as a float without a fraction: libraries write the categories of a column of integers as 1.0. */
static enum px_code read_integer(const struct px_yaml *node, enum px_datatype type, int64_t *ret,
                                 struct px_err *err)
{
    double number;
    const double limit = 9007199254740992.0; /* 2^53: floats beyond it skip integers */
    bool is_truth = type == PX_TYPE_BOOL && !node->quoted;
    if (is_truth && (px_str_is(node->text, "true") || px_str_is(node->text, "false")))
        *ret = px_str_is(node->text, "true");
    else if (px_yaml_i64(node, ret, NULL) != PX_OK) {
        enum px_code code = px_tabular_scalar(node, false, &number, err);
        if (code != PX_OK)
            return code;
        if (number != trunc(number) || fabs(number) > limit)
            return px_err_set(err, PX_E_INVALID, "line %u: expected a whole number, got '%.*s'",
                              node->line, PX_STR_ARG(node->text));
        *ret = (int64_t)number;
    }
    if (fits(type, *ret))
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "line %u: %" PRId64 " is outside of %s", node->line, *ret,
                      px_datatype_name(type));
}

static enum px_code read_float(const struct px_yaml *node, enum px_datatype type, char *cell,
                               struct px_err *err)
{
    double number = (double)NAN;
    enum px_code code = px_yaml_is_null(node) ? PX_OK : px_tabular_scalar(node, true, &number, err);
    if (code == PX_OK)
        px_tabular_write(type, &number, 1, cell);
    return code;
}

enum px_code px_tabular_cell_of(const struct px_yaml *node, enum px_datatype type,
                                struct px_arena *arena, struct px_str *ret, struct px_err *err)
{
    int64_t integer;
    if (type == PX_TYPE_BYTES) {
        *ret = px_str("");
        return px_yaml_is_null(node) ? PX_OK : px_yaml_str(node, ret, err);
    }
    size_t size = px_datatype_size(type);
    char *cell = px_arena_alloc(arena, 1, PX_TABULAR_KEY_MAX);
    if (!cell)
        return px_arena_check(arena, "values of a processor", err);
    *ret = px_str_n(cell, size);
    if (px_tabular_is_float(type))
        return read_float(node, type, cell, err);
    enum px_code code = read_integer(node, type, &integer, err);
    if (code == PX_OK)
        memcpy(cell, &integer, size); /* little-endian: the low bytes */
    return code;
}

/* ---- keys ---- */

static double number_of(struct px_str cell, enum px_datatype type)
{
    double number;
    const struct px_tensor one = {.type = type, .bytes = cell};
    px_tabular_read(&one, 0, 1, &number);
    return number;
}

struct px_str px_tabular_key(struct px_str cell, enum px_datatype type, char *memory)
{
    if (!px_tabular_is_float(type))
        return cell;
    double number = number_of(cell, type);
    number = isnan(number) ? (double)NAN : number + 0.0; /* -0 + 0 is 0 */
    memcpy(memory, &number, sizeof number);
    return px_str_n(memory, sizeof number);
}

struct px_str px_tabular_cell_text(struct px_str cell, enum px_datatype type, char *out)
{
    uint64_t integer = 0;
    if (type == PX_TYPE_BYTES)
        return cell;
    if (px_tabular_is_float(type))
        return px_str_n(out, px_number_print_f64(number_of(cell, type), out));
    if (type == PX_TYPE_UINT64) {
        memcpy(&integer, cell.ptr, cell.len);
        return px_str_n(out, (size_t)snprintf(out, PX_NUMBER_TEXT_MAX, "%" PRIu64, integer));
    }
    const int64_t whole = type == PX_TYPE_INT64 ? 0 : (int64_t)number_of(cell, type);
    memcpy(&integer, &whole, sizeof integer);
    if (type == PX_TYPE_INT64)
        memcpy(&integer, cell.ptr, cell.len);
    return px_str_n(out, (size_t)snprintf(out, PX_NUMBER_TEXT_MAX, "%" PRId64, (int64_t)integer));
}
