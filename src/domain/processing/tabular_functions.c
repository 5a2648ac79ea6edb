/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platt, isotonic: calibration of scores as scikit-learn's CalibratedClassifierCV does it; sigmoid, log1p, softmax.
 *
 * platt is scipy's expit of -(a f + b), which is 1 / (1 + exp(a f + b)) to the bit. isotonic is numpy.interp, which is what
 * IsotonicRegression calls: its slope is computed for each value from the same two points, so no table of slopes is needed
 * for the same bits. Both compute in double precision whatever comes in, and give FP64 as those do.
 */
#include "domain/processing/tabular.h"
#include "domain/processing/tabular_kinds.h"

#include <math.h>

static const char *const float_names[] = {"FP64", "FP32", NULL};

static double logistic(double negated)
{
    return 1.0 / (1.0 + exp(negated));
}

/* ---- platt ---- */

struct platt {
    struct px_tabular_map base;
    double a, b;
};

static void apply_platt(const struct px_tabular_map *map, double *values, size_t n, size_t column)
{
    const struct platt *p = (const struct platt *)map;
    (void)column;
    for (size_t i = 0; i < n; i++)
        values[i] = logistic(p->a * values[i] + p->b);
}

static enum px_code create_platt(const struct px_processor_source *source,
                                 struct px_processor **ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("a"), PX_STR("b"), PX_STR("type")};
    static const struct px_tabular_form form = {.accepts = PX_TABULAR_NUMBERS, .elements = true};
    struct platt *p = px_arena_zalloc(source->arena, 1, sizeof *p);
    struct px_tabular_settings settings;
    enum px_datatype type = PX_TYPE_FP64;
    if (!p)
        return px_arena_check(source->arena, "processor", err);
    enum px_code code =
        px_tabular_settings_open(&settings, source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = px_tabular_need(&settings, "a", "the slope (negative where high scores are likely)",
                               err);
    if (code == PX_OK)
        code = px_tabular_need(&settings, "b", "the intercept", err);
    if (code == PX_OK)
        code = px_tabular_number(&settings, "a", &p->a, err);
    if (code == PX_OK)
        code = px_tabular_number(&settings, "b", &p->b, err);
    if (code == PX_OK)
        code = px_tabular_type(&settings, float_names, &type, err);
    if (code == PX_OK)
        code = px_tabular_init(&p->base.table, &px_kind_platt, &settings, &form, err);
    if (code == PX_OK)
        code = px_tabular_map_init(&p->base, type, source->arena, err);
    p->base.map = apply_platt;
    *ret = &p->base.table.base;
    return code;
}

const struct px_processor_kind px_kind_platt = {
    "platt", "probabilities of scores: 1 / (1 + exp(a * score + b))", create_platt};

/* ---- isotonic ---- */

enum outside { CLIP, NOT_A_NUMBER, ERROR };
static const char *const outside_names[] = {"clip", "nan", "error", NULL};

struct isotonic {
    struct px_tabular_map base;
    struct px_tabular_numbers x, y;
    enum outside outside;
    enum px_code (*apply_map)(const struct px_processor *processor, const struct px_tensor *inputs,
                              struct px_tensor *outputs, struct px_arena *arena,
                              struct px_err *err);
};

/* The last threshold that is not above `value`, which is between the first and the last. */
static size_t find_segment(const struct px_tabular_numbers *x, double value)
{
    size_t low = 0, high = x->n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (x->list[middle] <= value)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static double interpolate(const struct isotonic *iso, double value)
{
    const double *x = iso->x.list, *y = iso->y.list;
    size_t n = iso->x.n;
    if (isnan(value))
        return value;
    if (value < x[0] || value > x[n - 1])
        return iso->outside != CLIP && n > 1 ? (double)NAN : value < x[0] ? y[0] : y[n - 1];
    size_t at = find_segment(&iso->x, value);
    if (at == n - 1 || x[at] == value)
        return y[at];
    double slope = (y[at + 1] - y[at]) / (x[at + 1] - x[at]);
    return slope * (value - x[at]) + y[at];
}

static void apply_isotonic(const struct px_tabular_map *map, double *values, size_t n,
                           size_t column)
{
    (void)column;
    for (size_t i = 0; i < n; i++)
        values[i] = interpolate((const struct isotonic *)map, values[i]);
}

static enum px_code check_range(const struct isotonic *iso, const struct px_tensor *input,
                                struct px_err *err)
{
    struct px_tabular_size size;
    double low = iso->x.list[0], high = iso->x.list[iso->x.n - 1], value;
    enum px_code code = px_tabular_measure(&iso->base.table, input, &size, err);
    for (size_t i = 0; code == PX_OK && i < size.n; i++) {
        px_tabular_read(input, i, 1, &value);
        if (value < low || value > high)
            code = px_err_set(err, PX_E_INVALID,
                              "isotonic: element %zu is %g, outside of what was fitted, %g to %g",
                              i, value, low, high);
    }
    return code;
}

static enum px_code apply_in_range(const struct px_processor *processor,
                                   const struct px_tensor *inputs, struct px_tensor *outputs,
                                   struct px_arena *arena, struct px_err *err)
{
    const struct isotonic *iso = (const struct isotonic *)processor;
    enum px_code code = check_range(iso, &inputs[0], err);
    return code == PX_OK ? iso->apply_map(processor, inputs, outputs, arena, err) : code;
}

static enum px_code read_thresholds(const struct px_tabular_settings *settings,
                                    struct isotonic *iso, struct px_err *err)
{
    enum px_code code = px_tabular_need(settings, "x", "the thresholds, ascending", err);
    if (code == PX_OK)
        code = px_tabular_need(settings, "y", "the value at each threshold", err);
    if (code == PX_OK)
        code = px_tabular_numbers(settings, "x", &iso->x, err);
    if (code == PX_OK)
        code = px_tabular_numbers(settings, "y", &iso->y, err);
    if (code == PX_OK && iso->x.n != iso->y.n) {
        px_err_set(err, PX_E_INVALID, "line %u: y: expected %zu numbers, as many as x; got %zu",
                   px_tabular_node(settings, "y")->line, iso->x.n, iso->y.n);
        return px_tabular_wrap(settings, "y", err);
    }
    if (code == PX_OK && px_tabular_ascending(&iso->x, true, err) != PX_OK) {
        px_err_wrap(err, "line %u: x", px_tabular_node(settings, "x")->line);
        return px_tabular_wrap(settings, "x", err);
    }
    return code;
}

static enum px_code create_isotonic(const struct px_processor_source *source,
                                    struct px_processor **ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("x"), PX_STR("y"), PX_STR("out_of_bounds"),
                                          PX_STR("type")};
    static const struct px_tabular_form form = {.accepts = PX_TABULAR_NUMBERS, .elements = true};
    struct isotonic *iso = px_arena_zalloc(source->arena, 1, sizeof *iso);
    struct px_tabular_settings settings;
    enum px_datatype type = PX_TYPE_FP64;
    size_t outside = CLIP;
    if (!iso)
        return px_arena_check(source->arena, "processor", err);
    enum px_code code =
        px_tabular_settings_open(&settings, source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_thresholds(&settings, iso, err);
    if (code == PX_OK)
        code = px_tabular_choice(&settings, "out_of_bounds", outside_names, &outside, err);
    if (code == PX_OK)
        code = px_tabular_type(&settings, float_names, &type, err);
    if (code == PX_OK)
        code = px_tabular_init(&iso->base.table, &px_kind_isotonic, &settings, &form, err);
    if (code == PX_OK)
        code = px_tabular_map_init(&iso->base, type, source->arena, err);
    iso->outside = (enum outside)outside;
    iso->base.map = apply_isotonic;
    iso->apply_map = iso->base.table.base.apply;
    if (outside == ERROR && iso->x.n > 1)
        iso->base.table.base.apply = apply_in_range;
    *ret = &iso->base.table.base;
    return code;
}

const struct px_processor_kind px_kind_isotonic = {
    "isotonic", "values between thresholds: linear interpolation, as IsotonicRegression",
    create_isotonic};

/* ---- functions without settings ---- */

static enum px_code create_plain(const struct px_processor_kind *kind,
                                 const struct px_processor_source *source, bool elements,
                                 struct px_tabular_map **ret, struct px_err *err)
{
    struct px_tabular_form form = {.accepts = PX_TABULAR_NUMBERS, .elements = elements};
    struct px_tabular_map *map = px_arena_zalloc(source->arena, 1, sizeof *map);
    struct px_tabular_settings settings;
    if (!map)
        return px_arena_check(source->arena, "processor", err);
    *ret = map;
    enum px_code code = px_tabular_settings_open(&settings, source, NULL, 0, err);
    if (code == PX_OK)
        code = px_tabular_init(&map->table, kind, &settings, &form, err);
    if (code == PX_OK)
        code = px_tabular_map_init(map, px_tabular_float(map->table.from), source->arena, err);
    return code;
}

static void apply_sigmoid(const struct px_tabular_map *map, double *values, size_t n, size_t column)
{
    (void)map, (void)column;
    for (size_t i = 0; i < n; i++)
        values[i] = logistic(-values[i]);
}

static enum px_code create_sigmoid(const struct px_processor_source *source,
                                   struct px_processor **ret, struct px_err *err)
{
    struct px_tabular_map *map;
    enum px_code code = create_plain(&px_kind_sigmoid, source, true, &map, err);
    if (code != PX_OK)
        return code;
    map->map = apply_sigmoid;
    *ret = &map->table.base;
    return PX_OK;
}

const struct px_processor_kind px_kind_sigmoid = {"sigmoid", "1 / (1 + exp(-x)) of each element",
                                                  create_sigmoid};

static void apply_log1p(const struct px_tabular_map *map, double *values, size_t n, size_t column)
{
    (void)map, (void)column;
    for (size_t i = 0; i < n; i++)
        values[i] = log1p(values[i]);
}

static enum px_code create_log1p(const struct px_processor_source *source,
                                 struct px_processor **ret, struct px_err *err)
{
    struct px_tabular_map *map;
    enum px_code code = create_plain(&px_kind_log1p, source, true, &map, err);
    if (code != PX_OK)
        return code;
    map->map = apply_log1p;
    *ret = &map->table.base;
    return PX_OK;
}

const struct px_processor_kind px_kind_log1p = {"log1p", "log(1 + x) of each element",
                                                create_log1p};

/* ---- softmax ---- */

static void soften(double *row, size_t n)
{
    double highest = n ? row[0] : 0, sum = 0;
    for (size_t i = 1; i < n; i++)
        highest = row[i] > highest || isnan(row[i]) ? row[i] : highest;
    for (size_t i = 0; i < n; i++) {
        row[i] = exp(row[i] - highest);
        sum += row[i];
    }
    for (size_t i = 0; i < n; i++)
        row[i] /= sum;
}

static enum px_code apply_softmax(const struct px_processor *processor,
                                  const struct px_tensor *inputs, struct px_tensor *outputs,
                                  struct px_arena *arena, struct px_err *err)
{
    const struct px_tabular *t = (const struct px_tabular *)processor;
    const struct px_tensor_spec *spec = &processor->gives.list[0];
    struct px_tabular_size size;
    char *to;
    enum px_code code = px_tabular_measure(t, &inputs[0], &size, err);
    if (code == PX_OK)
        code = px_tabular_make(spec, &inputs[0], arena, &outputs[0], &to, err);
    if (code != PX_OK || size.n == 0)
        return code;
    double *row = px_arena_alloc(arena, size.n_cols, sizeof *row);
    if (!row)
        return px_arena_check(arena, "softmax", err);
    for (size_t i = 0; i < size.n_rows; i++) {
        px_tabular_read(&inputs[0], i * size.n_cols, size.n_cols, row);
        soften(row, size.n_cols);
        px_tabular_write(spec->type, row, size.n_cols,
                         to + i * size.n_cols * px_datatype_size(spec->type));
    }
    return PX_OK;
}

static enum px_code create_softmax(const struct px_processor_source *source,
                                   struct px_processor **ret, struct px_err *err)
{
    struct px_tabular_map *map;
    enum px_code code = create_plain(&px_kind_softmax, source, false, &map, err);
    if (code != PX_OK)
        return code;
    map->table.base.apply = apply_softmax;
    *ret = &map->table.base;
    return PX_OK;
}

const struct px_processor_kind px_kind_softmax = {
    "softmax", "probabilities of the scores in each row, with a sum of 1", create_softmax};
