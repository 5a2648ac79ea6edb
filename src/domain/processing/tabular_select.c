/* SPDX-License-Identifier: Apache-2.0 */
/* select: columns of a table, in the order that is asked for; any datatype. */
#include "domain/processing/tabular_cells.h"
#include "domain/processing/tabular_kinds.h"

struct select {
    struct px_tabular table;
    size_t *columns, n;
    size_t n_least; /* columns that the input must have */
};

static enum px_code apply(const struct px_processor *processor, const struct px_tensor *inputs,
                          struct px_tensor *outputs, struct px_arena *arena, struct px_err *err)
{
    const struct select *select = (const struct select *)processor;
    const struct px_str *cells = NULL;
    struct px_tabular_size size;
    char *bytes;
    enum px_code code = px_tabular_measure(&select->table, &inputs[0], &size, err);
    if (code == PX_OK && size.n_cols < select->n_least)
        return px_err_set(err, PX_E_INVALID, "select: expected at least %zu columns, got %zu",
                          select->n_least, size.n_cols);
    if (code == PX_OK)
        code = px_tabular_cells(&inputs[0], size.n, arena, &cells, err);
    if (code == PX_OK)
        code = px_tabular_make_table(&processor->gives.list[0], size.n_rows, select->n, arena,
                                     &outputs[0], &bytes, err);
    if (code != PX_OK)
        return code;
    size_t n = size.n_rows * select->n; /* fits: the output has been made */
    struct px_str *to = px_arena_alloc(arena, n ? n : 1, sizeof *to);
    if (!to)
        return px_arena_check(arena, "cells of a processor", err);
    for (size_t row = 0; row < size.n_rows; row++) {
        for (size_t i = 0; i < select->n; i++)
            to[row * select->n + i] = cells[row * size.n_cols + select->columns[i]];
    }
    return px_tabular_set_cells(&outputs[0], bytes, to, n, arena, err);
}

static enum px_code read_columns(const struct px_tabular_settings *settings, struct select *select,
                                 struct px_err *err)
{
    enum px_code code = px_tabular_need(settings, "columns", "the numbers of columns, from 0", err);
    if (code != PX_OK)
        return code;
    const struct px_yaml *node = px_tabular_node(settings, "columns");
    bool right = node->type == PX_YAML_SEQUENCE && node->n_children > 0 &&
                 node->n_children <= PX_TABULAR_COLUMNS_MAX;
    select->columns =
        px_arena_alloc(settings->step.arena, right ? node->n_children : 1, sizeof *select->columns);
    if (!select->columns)
        return px_arena_check(settings->step.arena, "columns", err);
    for (const struct px_yaml *at = node->first_child; right && at; at = at->next) {
        int64_t column = 0;
        right = px_yaml_i64(at, &column, NULL) == PX_OK && column >= 0 &&
                column < PX_TABULAR_COLUMNS_MAX;
        select->columns[select->n++] = (size_t)column;
        if ((size_t)column >= select->n_least)
            select->n_least = (size_t)column + 1;
    }
    if (right)
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "columns: line %u: expected a list of columns, 0 to %d",
               node->line, PX_TABULAR_COLUMNS_MAX - 1);
    return px_tabular_wrap(settings, "columns", err);
}

static enum px_code create(const struct px_processor_source *source, struct px_processor **ret,
                           struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("columns")};
    static const struct px_tabular_form form = {.accepts = PX_TABULAR_ANY};
    struct select *select = px_arena_zalloc(source->arena, 1, sizeof *select);
    struct px_tabular_settings settings;
    if (!select)
        return px_arena_check(source->arena, "processor", err);
    enum px_code code =
        px_tabular_settings_open(&settings, source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_columns(&settings, select, err);
    if (code == PX_OK)
        code = px_tabular_init(&select->table, &px_kind_select, &settings, &form, err);
    size_t n_cols = select->table.n_cols;
    if (code == PX_OK && n_cols && n_cols < select->n_least)
        return px_err_set(err, PX_E_INVALID, "select: there is no column %zu: the input has %zu",
                          select->n_least - 1, n_cols);
    if (code == PX_OK)
        code = px_tabular_give_table(&select->table, "output", select->table.from,
                                     (int64_t)select->n, source->arena, err);
    select->table.base.apply = apply;
    *ret = &select->table.base;
    return code;
}

const struct px_processor_kind px_kind_select = {
    "select", "columns of a table, in the order that is asked for", create};
