/* SPDX-License-Identifier: Apache-2.0 */
/*
 * impute: SimpleImputer of scikit-learn. A column's missing cells get the value that the settings give for it, whatever the strategy
 * was that found it. What is not missing is copied as it is, so the type of the input stays.
 *
 * A value of null drops its column, as scikit-learn does with one that was empty when it was fitted. Indicators
 * (1 where a cell was missing) follow all columns, in the input's type.
 */
#include "domain/processing/tabular_cells.h"
#include "domain/processing/tabular_kinds.h"

struct column {
    bool dropped;
    struct px_str value;
};

struct impute {
    struct px_tabular table;
    struct column *columns;
    size_t n_kept;
    struct px_str missing; /* its key */
    char missing_key[PX_TABULAR_KEY_MAX];
    struct px_str one, zero;  /* cells of the indicators */
    const size_t *indicators; /* columns of the input */
    size_t n_indicators;
};

static bool is_missing(const struct impute *impute, struct px_str cell)
{
    char memory[PX_TABULAR_KEY_MAX];
    return px_str_eq(px_tabular_key(cell, impute->table.from, memory), impute->missing);
}

static void impute_row(const struct impute *impute, const struct px_str *row, struct px_str *to)
{
    for (size_t c = 0; c < impute->table.n_cols; c++) {
        const struct column *column = &impute->columns[c];
        if (!column->dropped)
            *to++ = is_missing(impute, row[c]) ? column->value : row[c];
    }
    for (size_t i = 0; i < impute->n_indicators; i++)
        *to++ = is_missing(impute, row[impute->indicators[i]]) ? impute->one : impute->zero;
}

static enum px_code apply(const struct px_processor *processor, const struct px_tensor *inputs,
                          struct px_tensor *outputs, struct px_arena *arena, struct px_err *err)
{
    const struct impute *impute = (const struct impute *)processor;
    size_t width = impute->n_kept + impute->n_indicators, n = 0;
    const struct px_str *cells = NULL;
    struct px_tabular_size size;
    char *bytes;
    enum px_code code = px_tabular_measure(&impute->table, &inputs[0], &size, err);
    if (code == PX_OK)
        code = px_tabular_cells(&inputs[0], size.n, arena, &cells, err);
    if (code == PX_OK)
        code = px_tabular_make_table(&processor->gives.list[0], size.n_rows, width, arena,
                                     &outputs[0], &bytes, err);
    if (code == PX_OK && !px_tensor_elements(&outputs[0], &n))
        return px_err_set(err, PX_E_TOO_LARGE, "impute: too many elements");
    if (code != PX_OK)
        return code;
    struct px_str *to = px_arena_alloc(arena, n ? n : 1, sizeof *to);
    if (!to)
        return px_arena_check(arena, "cells of a processor", err);
    for (size_t row = 0; n && row < size.n_rows; row++)
        impute_row(impute, cells + row * size.n_cols, to + row * width);
    return px_tabular_set_cells(&outputs[0], bytes, to, n, arena, err);
}

/* ---- creation ---- */

static enum px_code read_missing(const struct px_tabular_settings *settings, struct impute *impute,
                                 struct px_err *err)
{
    const struct px_yaml *node = px_tabular_node(settings, "missing");
    static const struct px_yaml none = {.type = PX_YAML_SCALAR, .text = PX_STR("null")};
    enum px_datatype type = impute->table.from;
    struct px_str cell;
    if (!node && !px_tabular_is_float(type) && type != PX_TYPE_BYTES)
        return px_tabular_need(settings, "missing", "the number that means a missing value", err);
    if (px_tabular_cell_of(node ? node : &none, type, settings->step.arena, &cell, err) != PX_OK) {
        px_err_wrap(err, "missing");
        return px_tabular_wrap(settings, "missing", err);
    }
    impute->missing = px_tabular_key(cell, type, impute->missing_key);
    return PX_OK;
}

static enum px_code read_value(const struct px_yaml *node, struct impute *impute, size_t column,
                               struct px_arena *arena, struct px_err *err)
{
    struct column *c = &impute->columns[column];
    c->dropped = px_yaml_is_null(node);
    impute->n_kept += !c->dropped;
    return c->dropped ? PX_OK : px_tabular_cell_of(node, impute->table.from, arena, &c->value, err);
}

static enum px_code read_values(const struct px_tabular_settings *settings, struct impute *impute,
                                struct px_err *err)
{
    const struct px_yaml *node = px_tabular_node(settings, "values");
    size_t n = impute->table.n_cols;
    bool is_list = node->type == PX_YAML_SEQUENCE;
    enum px_code code = PX_OK;
    impute->columns = px_arena_zalloc(settings->step.arena, n + 1, sizeof *impute->columns);
    if (!impute->columns)
        return px_arena_check(settings->step.arena, "values of a processor", err);
    const struct px_yaml *at = is_list ? node->first_child : node;
    for (size_t i = 0; i < n && code == PX_OK; i++, at = is_list ? at->next : at)
        code = read_value(at, impute, i, settings->step.arena, err);
    if (code != PX_OK) {
        px_err_wrap(err, "values");
        return px_tabular_wrap(settings, "values", err);
    }
    if (impute->n_kept == 0)
        return px_err_set(err, PX_E_INVALID, "values: all of them are null: no column is left");
    return PX_OK;
}

/* The columns of the settings before they can be read: their type is not known yet. */
static enum px_code count_columns(const struct px_tabular_settings *settings, size_t *n_cols,
                                  struct px_err *err)
{
    enum px_code code =
        px_tabular_need(settings, "values", "the value of each column, or one for all", err);
    const struct px_yaml *node = px_tabular_node(settings, "values");
    if (code != PX_OK)
        return code;
    if (node->type == PX_YAML_SEQUENCE && node->n_children > 0 &&
        node->n_children <= PX_TABULAR_COLUMNS_MAX)
        *n_cols = node->n_children;
    else if (node->type != PX_YAML_SCALAR) {
        px_err_set(err, PX_E_INVALID, "values: line %u: expected a list of 1 to %d values",
                   node->line, PX_TABULAR_COLUMNS_MAX);
        return px_tabular_wrap(settings, "values", err);
    }
    return PX_OK;
}

/* true: all columns; a list: those. */
static enum px_code read_indicators(const struct px_tabular_settings *settings,
                                    struct impute *impute, struct px_err *err)
{
    const struct px_yaml *node = px_tabular_node(settings, "add_indicator");
    size_t n_cols = impute->table.n_cols, n = 0;
    bool all = false;
    if (!node)
        return PX_OK;
    if (node->type == PX_YAML_SCALAR &&
        px_tabular_bool(settings, "add_indicator", &all, err) != PX_OK)
        return PX_E_INVALID;
    size_t *list = px_arena_alloc(settings->step.arena, n_cols + 1, sizeof *list);
    if (!list)
        return px_arena_check(settings->step.arena, "indicators of a processor", err);
    for (; all && n < n_cols; n++)
        list[n] = n;
    for (const struct px_yaml *at = node->first_child; at; at = at->next) {
        int64_t column;
        if (px_yaml_i64(at, &column, NULL) != PX_OK || column < 0 || (uint64_t)column >= n_cols ||
            n == n_cols) {
            px_err_set(err, PX_E_INVALID, "add_indicator: line %u: expected columns, 0 to %zu",
                       at->line, n_cols - 1);
            return px_tabular_wrap(settings, "add_indicator", err);
        }
        list[n++] = (size_t)column;
    }
    impute->indicators = list;
    impute->n_indicators = n;
    return PX_OK;
}

static enum px_code make_flags(struct impute *impute, struct px_arena *arena, struct px_err *err)
{
    const struct px_yaml one = {.type = PX_YAML_SCALAR, .text = PX_STR("1")};
    const struct px_yaml zero = {.type = PX_YAML_SCALAR, .text = PX_STR("0")};
    enum px_code code = px_tabular_cell_of(&one, impute->table.from, arena, &impute->one, err);
    return code == PX_OK ? px_tabular_cell_of(&zero, impute->table.from, arena, &impute->zero, err)
                         : code;
}

static enum px_code create_from(const struct px_tabular_settings *settings, struct impute *impute,
                                struct px_err *err)
{
    struct px_tabular_form form = {.accepts = PX_TABULAR_NUMBERS | PX_TABULAR_TEXTS};
    struct px_arena *arena = settings->step.arena;
    enum px_code code = count_columns(settings, &form.n_cols, err);
    if (code == PX_OK)
        code = px_tabular_init(&impute->table, &px_kind_impute, settings, &form, err);
    if (code == PX_OK && impute->table.n_cols == 0)
        return px_err_set(err, PX_E_INVALID,
                          "impute: the number of columns is not known: give a list of values");
    if (code == PX_OK)
        code = read_missing(settings, impute, err);
    if (code == PX_OK)
        code = read_values(settings, impute, err);
    if (code == PX_OK)
        code = read_indicators(settings, impute, err);
    if (code == PX_OK)
        code = make_flags(impute, arena, err);
    size_t width = impute->n_kept + impute->n_indicators;
    if (code != PX_OK)
        return code;
    if (width == 1 && impute->table.takes.n_dims == 1)
        return px_tabular_give(&impute->table, "output", impute->table.from, arena, NULL, err);
    return px_tabular_give_table(&impute->table, "output", impute->table.from, (int64_t)width,
                                 arena, err);
}

static enum px_code create(const struct px_processor_source *source, struct px_processor **ret,
                           struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("values"), PX_STR("missing"),
                                          PX_STR("add_indicator")};
    struct impute *impute = px_arena_zalloc(source->arena, 1, sizeof *impute);
    struct px_tabular_settings settings;
    if (!impute)
        return px_arena_check(source->arena, "processor", err);
    enum px_code code =
        px_tabular_settings_open(&settings, source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = create_from(&settings, impute, err);
    impute->table.base.apply = apply;
    *ret = &impute->table.base;
    return code;
}

const struct px_processor_kind px_kind_impute = {
    "impute", "missing values replaced by a value of their column; indicators of what was missing",
    create};
