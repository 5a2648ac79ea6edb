/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/rest/rows/rows.h"

enum { GROWTH_MAX = 16 };

/* How many rows the whole text will hold if the rest is like what was read, with a tenth to spare. */
static size_t estimate(const struct px_row_growth *growth, size_t text_used, size_t text_left)
{
    size_t per_row = growth->n ? text_used / growth->n + 1 : text_left + 1;
    size_t wanted = growth->n + 1 + text_left / per_row;
    wanted += wanted / 10;
    if (wanted < 2 * growth->capacity)
        wanted = 2 * growth->capacity;
    if (wanted > GROWTH_MAX * growth->capacity)
        wanted = GROWTH_MAX * growth->capacity;
    return wanted ? wanted : 1;
}

static enum px_code grow(struct px_row_growth *growth, size_t capacity)
{
    struct px_call *call = &growth->infer->call;
    struct px_matrix old = call->rows;
    struct px_matrix *rows = px_call_rows(growth->infer->serving, call, capacity);
    if (!rows)
        return call->err.code;
    if (growth->n)
        memcpy(rows->data, old.data, growth->n * old.stride * px_datatype_size(old.type));
    growth->capacity = capacity;
    return PX_OK;
}

enum px_code px_rows_add(struct px_row_growth *growth, size_t text_used, size_t text_left,
                         size_t *ret_row)
{
    struct px_infer *infer = growth->infer;
    size_t rows_max = px_serving_limits(infer->serving)->request_rows_max;
    enum px_code code = px_call_check_rows(infer->serving, &infer->call, growth->n + 1);
    if (code != PX_OK)
        return code;
    if (growth->n == growth->capacity) {
        size_t capacity = estimate(growth, text_used, text_left);
        code = grow(growth, capacity < rows_max ? capacity : rows_max);
        if (code != PX_OK)
            return code;
    }
    *ret_row = growth->n++;
    return PX_OK;
}

enum px_code px_rows_end(struct px_row_growth *growth)
{
    struct px_call *call = &growth->infer->call;
    if (growth->n == 0 && !px_call_rows(growth->infer->serving, call, 0))
        return call->err.code;
    call->rows.n_rows = growth->n;
    return PX_OK;
}
