/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode: OneHotEncoder and OrdinalEncoder of scikit-learn, from texts, integers, BOOL or floats.
 *
 * The categories of a column, in their order, have the places 0, 1 ...; they are found by a binary search of their keys
 * (tabular_cells.h). A place becomes a code: of one_hot, a column of the column's block, or none for what gives zeros; of
 * ordinal, the number itself.
 */
#include "domain/processing/tabular_cells.h"
#include "domain/processing/tabular_kinds.h"

#include "shared/number.h"

#include <math.h>
#include <stdlib.h>

enum {
    WIDTH_MAX = 1 << 20, /* columns of one_hot */
    PLACE_UNKNOWN = -1,
};

enum unknown { FAIL, IGNORE, OTHER };
static const char *const unknown_names[] = {"error", "ignore", "other", NULL};
static const char *const method_names[] = {"one_hot", "ordinal", NULL};

struct category {
    struct px_str key;
    int64_t place;
};

struct column {
    struct category *sorted;
    size_t n;
    int64_t missing; /* place of the category null; PLACE_UNKNOWN without */
    int64_t dropped; /* place that gives zeros; PLACE_UNKNOWN without */
    bool has_other;
    size_t first, width; /* of one_hot: its block */
};

struct encode {
    struct px_tabular table;
    struct column *columns;
    bool one_hot;
    enum unknown unknown;
    double unknown_value, missing_value; /* of ordinal */
    size_t width;
};

static int compare_categories(const void *a, const void *b)
{
    const struct category *x = a, *y = b;
    return px_str_cmp(x->key, y->key);
}

static int64_t find_place(const struct column *column, struct px_str key)
{
    const struct category wanted = {.key = key};
    const struct category *found =
        column->n ? bsearch(&wanted, column->sorted, column->n, sizeof wanted, compare_categories)
                  : NULL;
    return found ? found->place : PLACE_UNKNOWN;
}

static enum px_code refuse_unknown(const struct encode *encode, struct px_str cell, size_t row,
                                   size_t col, struct px_err *err)
{
    char out[PX_NUMBER_TEXT_MAX];
    struct px_str text = px_tabular_cell_text(cell, encode->table.from, out);
    return px_err_set(err, PX_E_INVALID, "encode: row %zu column %zu: '%.*s' is no known category",
                      row, col, PX_STR_ARG(text));
}

/* ---- one_hot ---- */

/* The column that is 1 in this block; SIZE_MAX: none. */
static size_t hot_column(const struct encode *encode, const struct column *column, int64_t place)
{
    if (place == PLACE_UNKNOWN)
        return encode->unknown == OTHER && column->has_other ? column->first + column->width - 1
                                                             : SIZE_MAX;
    if (place == column->dropped)
        return SIZE_MAX;
    bool after = column->dropped != PLACE_UNKNOWN && place > column->dropped;
    return column->first + (size_t)place - after;
}

/* ---- ordinal ---- */

static double code_of(const struct encode *encode, const struct column *column, int64_t place)
{
    if (place == PLACE_UNKNOWN)
        return encode->unknown == OTHER ? (double)column->n : encode->unknown_value;
    return place == column->missing ? encode->missing_value : (double)place;
}

static enum px_code encode_row(const struct encode *encode, const struct px_str *cells, size_t row,
                               double *to, struct px_err *err)
{
    char memory[PX_TABULAR_KEY_MAX];
    for (size_t c = 0; c < encode->table.n_cols; c++) {
        const struct column *column = &encode->columns[c];
        int64_t place = find_place(column, px_tabular_key(cells[c], encode->table.from, memory));
        if (place == PLACE_UNKNOWN && encode->unknown == FAIL)
            return refuse_unknown(encode, cells[c], row, c, err);
        size_t hot = encode->one_hot ? hot_column(encode, column, place) : SIZE_MAX;
        if (hot != SIZE_MAX)
            to[hot] = 1;
        if (!encode->one_hot)
            to[c] = code_of(encode, column, place);
    }
    return PX_OK;
}

static enum px_code apply(const struct px_processor *processor, const struct px_tensor *inputs,
                          struct px_tensor *outputs, struct px_arena *arena, struct px_err *err)
{
    const struct encode *encode = (const struct encode *)processor;
    const struct px_tensor_spec *spec = &processor->gives.list[0];
    const struct px_str *cells = NULL;
    struct px_tabular_size size;
    char *to;
    enum px_code code = px_tabular_measure(&encode->table, &inputs[0], &size, err);
    if (code == PX_OK)
        code = px_tabular_cells(&inputs[0], size.n, arena, &cells, err);
    if (code == PX_OK)
        code =
            px_tabular_make_table(spec, size.n_rows, encode->width, arena, &outputs[0], &to, err);
    double *row = code == PX_OK ? px_arena_alloc(arena, encode->width + 1, sizeof *row) : NULL;
    if (code == PX_OK && !row)
        return px_arena_check(arena, "codes of a processor", err);
    size_t row_bytes = encode->width * px_datatype_size(spec->type);
    for (size_t i = 0; code == PX_OK && encode->width && i < size.n_rows; i++) {
        memset(row, 0, encode->width * sizeof *row);
        code = encode_row(encode, cells + i * size.n_cols, i, row, err);
        px_tabular_write(spec->type, row, encode->width, to + i * row_bytes);
    }
    return code;
}

/* ---- creation ---- */

static enum px_code check_twice(const struct column *column, const struct px_yaml *list,
                                struct px_err *err)
{
    for (size_t i = 1; i < column->n; i++) {
        if (px_str_eq(column->sorted[i - 1].key, column->sorted[i].key))
            return px_err_set(err, PX_E_INVALID, "line %u: the categories %lld and %lld are equal",
                              list->line, (long long)column->sorted[i - 1].place,
                              (long long)column->sorted[i].place);
    }
    return PX_OK;
}

static enum px_code read_categories(const struct px_yaml *list, enum px_datatype type,
                                    struct column *column, struct px_arena *arena,
                                    struct px_err *err)
{
    enum px_code code = PX_OK;
    struct px_str cell;
    if (list->type != PX_YAML_SEQUENCE)
        return px_err_set(err, PX_E_INVALID, "line %u: expected a list of categories", list->line);
    column->sorted = px_arena_zalloc(arena, list->n_children + 1, sizeof *column->sorted);
    if (!column->sorted)
        return px_arena_check(arena, "categories", err);
    column->missing = column->dropped = PLACE_UNKNOWN;
    for (const struct px_yaml *at = list->first_child; at && code == PX_OK; at = at->next) {
        char *memory = px_arena_alloc(arena, 1, PX_TABULAR_KEY_MAX);
        if (!memory)
            return px_arena_check(arena, "categories", err);
        code = px_tabular_cell_of(at, type, arena, &cell, err);
        if (code != PX_OK)
            return code;
        struct category *category = &column->sorted[column->n];
        *category = (struct category){px_tabular_key(cell, type, memory), (int64_t)column->n};
        if (px_yaml_is_null(at))
            column->missing = category->place;
        column->n++;
    }
    qsort(column->sorted, column->n, sizeof *column->sorted, compare_categories);
    return check_twice(column, list, err);
}

/* A list of lists, or the list of the only column. */
static size_t count_lists(const struct px_yaml *node)
{
    bool nested = node->type == PX_YAML_SEQUENCE && node->first_child &&
                  node->first_child->type == PX_YAML_SEQUENCE;
    return nested ? node->n_children : 1;
}

static enum px_code read_columns(const struct px_tabular_settings *settings, struct encode *encode,
                                 struct px_err *err)
{
    const struct px_yaml *node = px_tabular_node(settings, "categories");
    size_t n = encode->table.n_cols;
    encode->columns = px_arena_zalloc(settings->step.arena, n, sizeof *encode->columns);
    if (!encode->columns)
        return px_arena_check(settings->step.arena, "categories", err);
    bool nested = node->first_child && node->first_child->type == PX_YAML_SEQUENCE;
    const struct px_yaml *list = nested ? node->first_child : node;
    for (size_t i = 0; i < n; i++, list = list->next) {
        if (read_categories(list, encode->table.from, &encode->columns[i], settings->step.arena,
                            err) != PX_OK) {
            px_err_wrap(err, "categories of column %zu", i);
            return px_tabular_wrap(settings, "categories", err);
        }
        encode->columns[i].has_other = true;
    }
    return PX_OK;
}

/* drop: a place for each column, null for none. */
static enum px_code read_drop(const struct px_tabular_settings *settings, struct encode *encode,
                              struct px_err *err)
{
    const struct px_yaml *node = px_tabular_node(settings, "drop");
    if (!node)
        return PX_OK;
    const struct px_yaml *at = node->first_child;
    bool right = node->type == PX_YAML_SEQUENCE && node->n_children == encode->table.n_cols;
    for (size_t i = 0; right && at; i++, at = at->next) {
        int64_t place = PLACE_UNKNOWN;
        if (!px_yaml_is_null(at))
            right = px_yaml_i64(at, &place, NULL) == PX_OK && place >= 0 &&
                    (uint64_t)place < encode->columns[i].n;
        encode->columns[i].dropped = place;
    }
    if (right)
        return PX_OK;
    px_err_set(err, PX_E_INVALID,
               "drop: line %u: expected, for each column, the place of a category or null",
               node->line);
    return px_tabular_wrap(settings, "drop", err);
}

/* other_columns: the columns that have a column for what is not in their list. */
static enum px_code read_others(const struct px_tabular_settings *settings, struct encode *encode,
                                struct px_err *err)
{
    const struct px_yaml *node = px_tabular_node(settings, "other_columns");
    if (!node)
        return PX_OK;
    for (size_t i = 0; i < encode->table.n_cols; i++)
        encode->columns[i].has_other = false;
    bool right = node->type == PX_YAML_SEQUENCE;
    for (const struct px_yaml *at = node->first_child; right && at; at = at->next) {
        int64_t column = 0;
        right = px_yaml_i64(at, &column, NULL) == PX_OK && column >= 0 &&
                (uint64_t)column < encode->table.n_cols;
        if (right)
            encode->columns[column].has_other = true;
    }
    if (right)
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "other_columns: line %u: expected columns, 0 to %zu", node->line,
               encode->table.n_cols - 1);
    return px_tabular_wrap(settings, "other_columns", err);
}

static enum px_code lay_out(struct encode *encode, struct px_err *err)
{
    size_t n = encode->table.n_cols;
    encode->width = encode->one_hot ? 0 : n;
    for (size_t i = 0; encode->one_hot && i < n; i++) {
        struct column *column = &encode->columns[i];
        column->first = encode->width;
        column->width = column->n - (column->dropped != PLACE_UNKNOWN) +
                        (encode->unknown == OTHER && column->has_other);
        encode->width += column->width;
    }
    if (encode->width == 0 || encode->width > WIDTH_MAX)
        return px_err_set(err, PX_E_INVALID, "encode: %zu columns would come out; 1 to %d can",
                          encode->width, WIDTH_MAX);
    return PX_OK;
}

static enum px_code read_value(const struct px_tabular_settings *settings, const char *key,
                               double *value, struct px_err *err)
{
    const struct px_yaml *node = px_tabular_node(settings, key);
    if (!node || px_tabular_scalar(node, true, value, err) == PX_OK)
        return PX_OK;
    px_err_wrap(err, "%s", key);
    return px_tabular_wrap(settings, key, err);
}

static enum px_code read_options(const struct px_tabular_settings *settings, struct encode *encode,
                                 enum px_datatype *type, struct px_err *err)
{
    static const char *const types[] = {"FP64", "FP32", "INT64", NULL};
    size_t method = 0, unknown = FAIL;
    enum px_code code = px_tabular_choice(settings, "method", method_names, &method, err);
    if (code == PX_OK)
        code = px_tabular_choice(settings, "unknown", unknown_names, &unknown, err);
    if (code == PX_OK)
        code = read_value(settings, "unknown_value", &encode->unknown_value, err);
    if (code == PX_OK)
        code = read_value(settings, "missing_value", &encode->missing_value, err);
    if (code == PX_OK)
        code = px_tabular_type(settings, types, type, err);
    encode->one_hot = method == 0;
    encode->unknown = (enum unknown)unknown;
    return code;
}

/* What would be ignored, or could not be written. */
static enum px_code check_options(const struct px_tabular_settings *settings,
                                  const struct encode *encode, enum px_datatype type,
                                  struct px_err *err)
{
    static const char *const of_one_hot[] = {"drop", "other_columns"};
    static const char *const of_ordinal[] = {"unknown_value", "missing_value"};
    const char *const *others = encode->one_hot ? of_ordinal : of_one_hot;
    for (size_t i = 0; i < PX_ARRAY_LEN(of_ordinal); i++) {
        if (px_tabular_node(settings, others[i]))
            return px_err_set(err, PX_E_INVALID, "with: line %u: '%s' is for method %s",
                              px_tabular_node(settings, others[i])->line, others[i],
                              encode->one_hot ? "ordinal" : "one_hot");
    }
    bool unwritable = encode->unknown == IGNORE && !(fabs(encode->unknown_value) < 1e15);
    for (size_t i = 0; i < encode->table.n_cols; i++)
        unwritable |=
            encode->columns[i].missing != PLACE_UNKNOWN && !(fabs(encode->missing_value) < 1e15);
    if (!encode->one_hot && type == PX_TYPE_INT64 && unwritable)
        return px_err_set(err, PX_E_INVALID,
                          "encode: type INT64 has no NaN: give unknown_value and missing_value");
    return PX_OK;
}

static enum px_code create_from(const struct px_tabular_settings *settings, struct encode *encode,
                                struct px_err *err)
{
    struct px_tabular_form form = {.accepts = PX_TABULAR_NUMBERS | PX_TABULAR_TEXTS};
    enum px_datatype type = PX_TYPE_FP64;
    enum px_code code =
        px_tabular_need(settings, "categories", "a list of them for each column", err);
    if (code == PX_OK)
        code = read_options(settings, encode, &type, err);
    if (code != PX_OK)
        return code;
    form.n_cols = count_lists(px_tabular_node(settings, "categories"));
    if (form.n_cols > PX_TABULAR_COLUMNS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "categories: %zu columns; at most %d", form.n_cols,
                          PX_TABULAR_COLUMNS_MAX);
    code = px_tabular_init(&encode->table, &px_kind_encode, settings, &form, err);
    if (code == PX_OK)
        code = read_columns(settings, encode, err);
    if (code == PX_OK)
        code = read_drop(settings, encode, err);
    if (code == PX_OK)
        code = read_others(settings, encode, err);
    if (code == PX_OK)
        code = check_options(settings, encode, type, err);
    if (code == PX_OK)
        code = lay_out(encode, err);
    if (code != PX_OK)
        return code;
    if (!encode->one_hot)
        return px_tabular_give(&encode->table, "output", type, settings->step.arena, NULL, err);
    return px_tabular_give_table(&encode->table, "output", type, (int64_t)encode->width,
                                 settings->step.arena, err);
}

static enum px_code create(const struct px_processor_source *source, struct px_processor **ret,
                           struct px_err *err)
{
    static const struct px_str known[] = {
        PX_STR("categories"),    PX_STR("method"),        PX_STR("unknown"),       PX_STR("drop"),
        PX_STR("other_columns"), PX_STR("unknown_value"), PX_STR("missing_value"), PX_STR("type")};
    struct encode *encode = px_arena_zalloc(source->arena, 1, sizeof *encode);
    struct px_tabular_settings settings;
    if (!encode)
        return px_arena_check(source->arena, "processor", err);
    encode->unknown_value = encode->missing_value = (double)NAN;
    enum px_code code =
        px_tabular_settings_open(&settings, source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = create_from(&settings, encode, err);
    encode->table.base.apply = apply;
    *ret = &encode->table.base;
    return code;
}

const struct px_processor_kind px_kind_encode = {
    "encode", "categories as numbers: one_hot or ordinal, with a say about unknown ones", create};
