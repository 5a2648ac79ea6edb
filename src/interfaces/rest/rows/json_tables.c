/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as tables: columns, a split table, records, and lines.
 *
 * A table names its columns once, so what is missing or superfluous is known at once: every feature needs a column,
 * as in CSV, because a misspelt one would silently be missing; columns that are no feature are passed over.
 * Columns that have numbers for names (what pandas writes for a table without names) are features by position.
 */
#include "interfaces/rest/rows/rows.h"

static enum px_code check_every_feature(const struct px_json_rows *in)
{
    const struct px_signature *s = in->signature;
    for (size_t i = 0; i < s->n_features; i++) {
        if (!(in->is_ever[i / 64] >> (i % 64) & 1))
            return px_err_set(in->err, PX_E_INVALID, "no column for feature '%.*s'",
                              PX_STR_ARG(s->features[i].name));
    }
    return PX_OK;
}

enum px_code px_json_rows_records(struct px_json_rows *in)
{
    if (px_infer_has_run(in->infer))
        return px_json_tensors_instances(in);
    in->skips_unknown = true;
    enum px_code code = px_json_rows_instances(in);
    return code == PX_OK && in->growth.n ? check_every_feature(in) : code;
}

/* ---- columns ---- */

/* One value of a column; the first column makes the rows. */
static enum px_code read_cell(struct px_json_rows *in, size_t feature, size_t row, bool is_first,
                              const char *begin)
{
    struct px_json *json = &in->json;
    double value;
    enum px_code code = PX_OK;
    if (is_first)
        code = px_rows_add(&in->growth, (size_t)(json->at - begin), (size_t)(json->end - json->at),
                           &row);
    else if (row >= in->growth.n)
        code = px_err_set(in->err, PX_E_INVALID,
                          "expected %zu values as in the first column, got more", in->growth.n);
    if (code == PX_OK)
        code = px_json_rows_value(in, feature, &value);
    if (code == PX_OK)
        px_matrix_set(&in->infer->call.rows, row, feature, value);
    return code;
}

static enum px_code read_column(struct px_json_rows *in, size_t feature, bool is_first)
{
    struct px_json *json = &in->json;
    const char *begin = json->at;
    size_t row = 0;
    enum px_code code = PX_OK;
    if (px_json_peek(json) != PX_JSON_ARRAY) { /* a table of one row */
        if (!is_first && in->growth.n != 1)
            return px_err_set(in->err, PX_E_INVALID,
                              "expected %zu values as in the first column, got one that is no list",
                              in->growth.n);
        return read_cell(in, feature, 0, is_first, begin);
    }
    px_json_enter_array(json);
    while (code == PX_OK && px_json_next_element(json))
        code = read_cell(in, feature, row++, is_first, begin);
    if (code == PX_OK)
        code = px_json_check(json, in->err);
    if (code == PX_OK && row != in->growth.n)
        code = px_err_set(in->err, PX_E_INVALID,
                          "expected %zu values as in the first column, got %zu", in->growth.n, row);
    return code;
}

static enum px_code read_named_column(struct px_json_rows *in, struct px_str name, bool is_first)
{
    long feature = px_signature_find(in->signature, name);
    if (feature < 0)
        return px_signature_unknown(in->signature, name, in->err);
    uint64_t *word = &in->is_ever[feature / 64], bit = 1ull << (feature % 64);
    if (*word & bit)
        return px_err_set(in->err, PX_E_INVALID, "feature '%.*s' is given twice", PX_STR_ARG(name));
    *word |= bit;
    enum px_code code = read_column(in, (size_t)feature, is_first);
    return code == PX_OK ? code : px_err_wrap(in->err, "column '%.*s'", PX_STR_ARG(name));
}

enum px_code px_json_rows_columns(struct px_json_rows *in)
{
    if (px_infer_has_run(in->infer))
        return px_json_tensors_inputs(in);
    struct px_str name;
    bool is_first = true;
    if (px_json_peek(&in->json) != PX_JSON_OBJECT)
        return px_json_rows_instances(in);
    px_json_enter_object(&in->json);
    while (px_json_next_key(&in->json, &name)) {
        enum px_code code = read_named_column(in, name, is_first);
        if (code != PX_OK)
            return code;
        is_first = false;
    }
    enum px_code code = px_json_check(&in->json, in->err);
    return code == PX_OK ? px_rows_end(&in->growth) : code;
}

/* ---- a split table ---- */

struct split {
    struct px_json_rows *in;
    struct px_str *names; /* [n_names] */
    size_t n_names;
    bool are_numbers; /* some name is one */
    struct px_column_binding binding;
};

/* A column's name, or its number as text. */
static enum px_code read_name(struct split *split, struct px_str *ret)
{
    struct px_json *json = &split->in->json;
    if (px_json_peek(json) != PX_JSON_NUMBER) {
        *ret = px_json_str(json);
    } else {
        *ret = px_json_raw(json);
        split->are_numbers = true;
    }
    return px_json_check(json, split->in->err);
}

static enum px_code read_names(struct split *split)
{
    struct px_json_rows *in = split->in;
    struct px_arena *arena = in->infer->call.arena;
    struct px_json count = in->json;
    size_t n = 0;
    px_json_enter_array(&count);
    while (px_json_next_element(&count)) {
        px_json_skip(&count);
        n++;
    }
    split->names = px_arena_alloc(arena, n + 1, sizeof *split->names);
    if (!split->names)
        return px_arena_check(arena, "the columns", in->err);
    px_json_enter_array(&in->json);
    while (px_json_next_element(&in->json)) {
        enum px_code code = read_name(split, &split->names[split->n_names++]);
        if (code != PX_OK)
            return code;
    }
    return px_json_check(&in->json, in->err);
}

static enum px_code bind_by_position(struct split *split)
{
    struct px_json_rows *in = split->in;
    size_t n = in->signature->n_features;
    if (split->names && split->n_names != n)
        return px_err_set(in->err, PX_E_INVALID, "expected %zu columns, got %zu", n,
                          split->n_names);
    split->binding.feature_of = px_arena_alloc(in->infer->call.arena, n, sizeof(long));
    if (!split->binding.feature_of)
        return px_arena_check(in->infer->call.arena, "the columns", in->err);
    for (size_t i = 0; i < n; i++)
        split->binding.feature_of[i] = (long)i;
    split->binding.n_columns = n;
    return PX_OK;
}

static enum px_code bind_columns(struct split *split)
{
    struct px_json_rows *in = split->in;
    if (!split->names || split->are_numbers)
        return bind_by_position(split);
    return px_signature_bind(in->signature, split->names, split->n_names, false,
                             in->infer->call.arena, &split->binding, in->err);
}

static enum px_code read_split_row(struct split *split, size_t row)
{
    struct px_json_rows *in = split->in;
    size_t i = 0, n = split->binding.n_columns;
    px_json_enter_array(&in->json);
    while (px_json_next_element(&in->json)) {
        double value = 0;
        if (i == n)
            return px_err_set(in->err, PX_E_INVALID, "expected %zu values, got more", n);
        long feature = split->binding.feature_of[i++];
        enum px_code code = PX_OK;
        if (feature < 0)
            px_json_skip(&in->json);
        else
            code = px_json_rows_value(in, (size_t)feature, &value);
        if (code != PX_OK)
            return code;
        if (feature >= 0)
            px_matrix_set(&in->infer->call.rows, row, (size_t)feature, value);
    }
    enum px_code code = px_json_check(&in->json, in->err);
    if (code == PX_OK && i != n)
        code = px_err_set(in->err, PX_E_INVALID, "expected %zu values, got %zu", n, i);
    return code;
}

static enum px_code read_data(struct split *split)
{
    struct px_json_rows *in = split->in;
    enum px_code code = bind_columns(split);
    px_json_init(&in->json, in->held, in->infer->call.arena, PX_JSON_NONFINITE);
    px_json_enter_array(&in->json);
    const char *first = in->json.at;
    while (code == PX_OK && px_json_next_element(&in->json)) {
        size_t row;
        code = px_rows_add(&in->growth, (size_t)(in->json.at - first),
                           (size_t)(in->json.end - in->json.at), &row);
        if (code == PX_OK && read_split_row(split, row) != PX_OK)
            code = px_err_wrap(in->err, "row %zu", row);
    }
    if (code == PX_OK)
        code = px_json_finish(&in->json, in->err);
    return code == PX_OK ? px_rows_end(&in->growth) : code;
}

static enum px_code read_split_members(struct split *split)
{
    struct px_json_rows *in = split->in;
    struct px_str key;
    px_json_enter_object(&in->json);
    while (px_json_next_key(&in->json, &key)) {
        enum px_code code = PX_OK;
        if (px_str_is(key, "columns") && !split->names)
            code = read_names(split);
        else if (px_str_is(key, "data") && !in->held.ptr)
            in->held = px_json_raw(&in->json);
        else if (px_str_is(key, "index"))
            px_json_skip(&in->json);
        else
            return px_err_set(
                in->err, PX_E_INVALID,
                "unknown or repeated member '%.*s'; expected 'columns', 'index' and 'data'",
                PX_STR_ARG(key));
        if (code != PX_OK)
            return code;
    }
    return px_json_check(&in->json, in->err);
}

/* The data may come before the columns; it is read when both are known, with a reader of its own. */
enum px_code px_json_rows_split(struct px_json_rows *in)
{
    if (px_infer_has_run(in->infer))
        return px_refuse_tables(in->infer, "a split table");
    struct split split = {.in = in};
    enum px_code code = read_split_members(&split);
    if (code == PX_OK && !in->held.ptr)
        code = px_err_set(in->err, PX_E_INVALID, "the table has no 'data'");
    if (code != PX_OK)
        return code;
    struct px_json after = in->json;
    code = read_data(&split);
    in->json = after;
    return code;
}

/* ---- lines ---- */

/* The reader sees the text from its begin, so that it counts lines as the client does. */
static enum px_code read_line(struct px_json_rows *in, struct px_str body, struct px_str line)
{
    size_t used = (size_t)(line.ptr - body.ptr);
    px_json_init(&in->json, px_str_n(body.ptr, used + line.len), in->infer->call.arena,
                 PX_JSON_NONFINITE);
    in->json.at = line.ptr;
    enum px_code code = px_json_rows_line(in, used, body.len - used);
    return code == PX_OK ? px_json_finish(&in->json, in->err) : code;
}

/* Nothing at all is a body that got lost, as for CSV. */
static enum px_code end_lines(struct px_json_rows *in)
{
    if (in->growth.n)
        return px_rows_end(&in->growth);
    return px_err_set(in->err, PX_E_INVALID, "expected a JSON value per line, got an empty body");
}

enum px_code px_json_rows_lines(struct px_infer *infer, const char *row_key)
{
    if (px_infer_has_run(infer))
        return px_refuse_tables(infer, "JSON lines");
    struct px_json_rows in;
    struct px_str body = px_rest_exchange(infer)->request.body, rest = body;
    size_t number = 0;
    enum px_code code = px_json_rows_init(&in, infer, body);
    in.row_key = row_key;
    while (code == PX_OK && rest.ptr) {
        struct px_str line = px_str_trim(px_str_cut(&rest, '\n'));
        number++;
        if (line.len == 0)
            continue;
        code = read_line(&in, body, line);
        if (code != PX_OK && !px_json_failed(&in.json))
            px_err_wrap(in.err, "line %zu", number);
    }
    return code == PX_OK ? end_lines(&in) : code;
}
