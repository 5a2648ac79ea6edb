/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale: StandardScaler, MinMaxScaler, RobustScaler and MaxAbsScaler of scikit-learn, and clip: numpy.clip.
 *
 * All four are a shift and a factor; they differ in the operation, in their order, and in where FP32 is rounded. StandardScaler takes its
 * parameters as floats then; the others compute with doubles and round each result. Multiplying by 1 / scale would be
 * quicker and give other bits.
 */
#include "domain/processing/tabular.h"
#include "domain/processing/tabular_kinds.h"

#include <math.h>

struct limits {
    bool on;
    double low, high;
};

static double limit(const struct limits *limits, double x)
{
    if (x < limits->low)
        return limits->low;
    return x > limits->high ? limits->high : x; /* NaN stays */
}

enum method { STANDARD, MINMAX, ROBUST, MAXABS };
static const char *const method_names[] = {"standard", "minmax", "robust", "maxabs", NULL};

struct scale {
    struct px_tabular_map base;
    struct px_tabular_numbers shift, factor; /* n = 0: there is none */
    struct limits limits;
};

static void divide(const struct px_tabular_map *map, double *values, size_t n, size_t column)
{
    const struct scale *s = (const struct scale *)map;
    enum px_datatype type = map->table.from;
    for (size_t i = 0; i < n; i++, column = px_tabular_next_column(map, column)) {
        double x = values[i];
        if (s->shift.n)
            x = px_tabular_round(type, x - px_tabular_of_column(&s->shift, column));
        if (s->factor.n)
            x = px_tabular_round(type, x / px_tabular_of_column(&s->factor, column));
        values[i] = s->limits.on ? limit(&s->limits, x) : x;
    }
}

static void multiply(const struct px_tabular_map *map, double *values, size_t n, size_t column)
{
    const struct scale *s = (const struct scale *)map;
    enum px_datatype type = map->table.from;
    for (size_t i = 0; i < n; i++, column = px_tabular_next_column(map, column)) {
        double x = values[i];
        if (s->factor.n)
            x = px_tabular_round(type, x * px_tabular_of_column(&s->factor, column));
        if (s->shift.n)
            x = px_tabular_round(type, x + px_tabular_of_column(&s->shift, column));
        values[i] = s->limits.on ? limit(&s->limits, x) : x;
    }
}

static enum px_code read_limits(const struct px_tabular_settings *settings, enum px_datatype type,
                                struct limits *limits, struct px_err *err)
{
    struct px_tabular_numbers pair;
    const struct px_yaml *node = px_tabular_node(settings, "clip");
    enum px_code code = px_tabular_numbers(settings, "clip", &pair, err);
    if (code != PX_OK || pair.n == 0)
        return code;
    if (pair.is_one || pair.n != 2 || pair.list[0] > pair.list[1]) {
        px_err_set(err, PX_E_INVALID, "clip: line %u: expected [lowest, highest]", node->line);
        return px_tabular_wrap(settings, "clip", err);
    }
    limits->on = true;
    limits->low = px_tabular_round(type, pair.list[0]);
    limits->high = px_tabular_round(type, pair.list[1]);
    return PX_OK;
}

static enum px_code refuse_zeros(const struct px_tabular_settings *settings,
                                 const struct px_tabular_numbers *numbers, struct px_err *err)
{
    for (size_t i = 0; i < numbers->n; i++) {
        if (numbers->list[i] != 0)
            continue;
        px_err_set(err, PX_E_INVALID, "scale: the number of column %zu is 0: it is divided by", i);
        return px_tabular_wrap(settings, "scale", err);
    }
    return PX_OK;
}

static const char *shift_key(enum method method)
{
    static const char *const keys[] = {"mean", "min", "center", NULL};
    return keys[method];
}

/* A parameter of another method would be ignored without a word. */
static enum px_code refuse_others(const struct px_tabular_settings *settings, enum method method,
                                  struct px_err *err)
{
    static const enum method all[] = {STANDARD, MINMAX, ROBUST};
    for (size_t i = 0; i < PX_ARRAY_LEN(all); i++) {
        const char *key = shift_key(all[i]);
        const struct px_yaml *node = px_tabular_node(settings, key);
        if (all[i] == method || !node)
            continue;
        px_err_set(err, PX_E_INVALID, "line %u: '%s' belongs to method %s, not to %s", node->line,
                   key, method_names[all[i]], method_names[method]);
        return px_tabular_wrap(settings, key, err);
    }
    return PX_OK;
}

static enum px_code read_parameters(const struct px_tabular_settings *settings, enum method method,
                                    struct scale *s, size_t *n_cols, struct px_err *err)
{
    const char *shift = shift_key(method);
    enum px_code code = refuse_others(settings, method, err);
    if (code == PX_OK && shift)
        code = px_tabular_numbers(settings, shift, &s->shift, err);
    if (code == PX_OK && shift)
        code = px_tabular_fit(settings, shift, &s->shift, n_cols, err);
    if (code == PX_OK)
        code = px_tabular_numbers(settings, "scale", &s->factor, err);
    if (code == PX_OK)
        code = px_tabular_fit(settings, "scale", &s->factor, n_cols, err);
    if (code == PX_OK && method != MINMAX)
        code = refuse_zeros(settings, &s->factor, err);
    if (code == PX_OK && s->shift.n + s->factor.n == 0)
        code = px_tabular_need(settings, "scale", "one number for each column", err);
    return code;
}

static enum px_code round_numbers(struct px_tabular_numbers *numbers, struct px_arena *arena,
                                  struct px_err *err)
{
    double *list = px_arena_alloc(arena, numbers->n + 1, sizeof *list);
    if (!list)
        return px_arena_check(arena, "numbers of a processor", err);
    for (size_t i = 0; i < numbers->n; i++)
        list[i] = px_tabular_round(PX_TYPE_FP32, numbers->list[i]);
    numbers->list = list;
    return PX_OK;
}

static enum px_code create_scale(const struct px_processor_source *source,
                                 struct px_processor **ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("method"), PX_STR("mean"),  PX_STR("min"),
                                          PX_STR("center"), PX_STR("scale"), PX_STR("clip")};
    struct scale *s = px_arena_zalloc(source->arena, 1, sizeof *s);
    struct px_tabular_settings settings;
    struct px_tabular_form form = {.accepts = PX_TABULAR_NUMBERS};
    size_t method = STANDARD;
    if (!s)
        return px_arena_check(source->arena, "processor", err);
    enum px_code code =
        px_tabular_settings_open(&settings, source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = px_tabular_choice(&settings, "method", method_names, &method, err);
    if (code == PX_OK)
        code = read_parameters(&settings, (enum method)method, s, &form.n_cols, err);
    if (code == PX_OK)
        code = px_tabular_init(&s->base.table, &px_kind_scale, &settings, &form, err);
    if (code == PX_OK)
        code = read_limits(&settings, s->base.table.from, &s->limits, err);
    bool rounds = method == STANDARD && s->base.table.from == PX_TYPE_FP32;
    if (code == PX_OK && rounds)
        code = round_numbers(&s->shift, source->arena, err);
    if (code == PX_OK && rounds)
        code = round_numbers(&s->factor, source->arena, err);
    if (code == PX_OK)
        code =
            px_tabular_map_init(&s->base, px_tabular_float(s->base.table.from), source->arena, err);
    s->base.map = method == MINMAX ? multiply : divide;
    *ret = &s->base.table.base;
    return code;
}

const struct px_processor_kind px_kind_scale = {
    "scale", "numbers shifted and scaled by column: standard, minmax, robust, maxabs",
    create_scale};

/* ---- clip ---- */

struct clip {
    struct px_tabular_map base;
    struct px_tabular_numbers low, high;
};

static void clip(const struct px_tabular_map *map, double *values, size_t n, size_t column)
{
    const struct clip *c = (const struct clip *)map;
    for (size_t i = 0; i < n; i++, column = px_tabular_next_column(map, column)) {
        struct limits limits = {true, -INFINITY, INFINITY};
        if (c->low.n)
            limits.low = px_tabular_round(map->table.from, px_tabular_of_column(&c->low, column));
        if (c->high.n)
            limits.high = px_tabular_round(map->table.from, px_tabular_of_column(&c->high, column));
        values[i] = limit(&limits, values[i]);
    }
}

static enum px_code read_bounds(const struct px_tabular_settings *settings, struct clip *c,
                                size_t *n_cols, struct px_err *err)
{
    enum px_code code = px_tabular_numbers(settings, "min", &c->low, err);
    if (code == PX_OK)
        code = px_tabular_fit(settings, "min", &c->low, n_cols, err);
    if (code == PX_OK)
        code = px_tabular_numbers(settings, "max", &c->high, err);
    if (code == PX_OK)
        code = px_tabular_fit(settings, "max", &c->high, n_cols, err);
    if (code == PX_OK && c->low.n + c->high.n == 0)
        code = px_tabular_need(settings, "min", "or 'max'", err);
    size_t n = c->low.n > c->high.n ? c->low.n : c->high.n;
    for (size_t i = 0; code == PX_OK && c->low.n && c->high.n && i < n; i++) {
        double low = px_tabular_of_column(&c->low, i), high = px_tabular_of_column(&c->high, i);
        if (low > high)
            code = px_err_set(err, PX_E_INVALID, "with: min %g is above max %g", low, high);
    }
    return code;
}

static enum px_code create_clip(const struct px_processor_source *source, struct px_processor **ret,
                                struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("min"), PX_STR("max")};
    struct clip *c = px_arena_zalloc(source->arena, 1, sizeof *c);
    struct px_tabular_settings settings;
    struct px_tabular_form form = {.accepts = PX_TABULAR_NUMBERS};
    if (!c)
        return px_arena_check(source->arena, "processor", err);
    enum px_code code =
        px_tabular_settings_open(&settings, source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_bounds(&settings, c, &form.n_cols, err);
    form.elements = form.n_cols == 0;
    if (code == PX_OK)
        code = px_tabular_init(&c->base.table, &px_kind_clip, &settings, &form, err);
    if (code == PX_OK)
        code =
            px_tabular_map_init(&c->base, px_tabular_float(c->base.table.from), source->arena, err);
    c->base.map = clip;
    *ret = &c->base.table.base;
    return code;
}

const struct px_processor_kind px_kind_clip = {
    "clip", "numbers kept between min and max, for all columns or by column", create_clip};
