/* SPDX-License-Identifier: Apache-2.0 */
#include "application/tensors/json_tensors.h"

#include "application/tensors/json_value.h"

#include <inttypes.h>

/* ---- shapes ---- */

/* The lengths of the nested arrays at `json`, along their first elements, behind `*n_dims`. Consumes the value. */
static void read_nesting(struct px_json *json, struct px_tensor *t)
{
    if (px_json_peek(json) != PX_JSON_ARRAY) {
        px_json_skip(json);
        return;
    }
    if (t->n_dims == PX_TENSOR_DIMS_MAX) {
        px_json_fail(json, "expected at most %d dimensions", PX_TENSOR_DIMS_MAX);
        return;
    }
    uint64_t *length = &t->shape[t->n_dims++];
    *length = 0;
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        if ((*length)++ == 0)
            read_nesting(json, t);
        else
            px_json_skip(json);
    }
}

/* Rows of one value may leave the last dimension out; the JSON has one level less than the shape then. */
static void complete_shape(struct px_tensor *t, const struct px_tensor_spec *spec)
{
    if (!spec->any_rank && spec->n_dims == t->n_dims + 1 && t->n_dims > 0 &&
        spec->shape[t->n_dims] == 1)
        t->shape[t->n_dims++] = 1;
}

/* ---- inputs ---- */

static enum px_code refuse_name(const struct px_json_tensors *to, struct px_str name,
                                struct px_err *err)
{
    const struct px_tensor_specs *takes = to->takes;
    long nearest = px_str_nearest_of(name, &takes->list[0].name, sizeof *takes->list, takes->n);
    px_err_set(err, PX_E_INVALID, "unknown input '%.*s'", PX_STR_ARG(name));
    return px_err_hint(err, "the model takes %zu inputs, '%.*s' among them", takes->n,
                       PX_STR_ARG(takes->list[nearest >= 0 ? nearest : 0].name));
}

static enum px_code refuse_unnamed(const struct px_json_tensors *to, struct px_err *err)
{
    return px_err_set(err, PX_E_INVALID,
                      "expected an object with the model's %zu inputs by name, '%.*s' among them",
                      to->takes->n, PX_STR_ARG(to->takes->list[0].name));
}

static struct px_tensor *find_input(const struct px_json_tensors *to, struct px_str name)
{
    for (size_t i = 0; i < to->n_inputs; i++) {
        if (px_str_eq(to->inputs[i].name, name))
            return &to->inputs[i];
    }
    return NULL;
}

/* A new input with the shape that its first value has, behind the `n_rows` rows unless that is 0. Consumes the value. */
static enum px_code add_input(struct px_json_tensors *to, struct px_str name, size_t n_rows,
                              struct px_json *json, struct px_err *err)
{
    const struct px_tensor_spec *spec = px_tensor_specs_find(to->takes, name);
    if (!spec)
        return refuse_name(to, name, err);
    if (find_input(to, name))
        return px_err_set(err, PX_E_INVALID, "input '%.*s' is given twice", PX_STR_ARG(name));
    struct px_tensor *t = &to->inputs[to->n_inputs++];
    *t = (struct px_tensor){.name = spec->name, .type = spec->type, .shape = {n_rows}};
    t->n_dims = n_rows > 0;
    read_nesting(json, t);
    to->depths[to->n_inputs - 1] = t->n_dims;
    complete_shape(t, spec);
    enum px_code code = px_json_check(json, err);
    return code == PX_OK ? px_tensor_check_spec(t, spec, err) : code;
}

static enum px_code begin(struct px_json_tensors *to, struct px_err *err)
{
    to->n_inputs = 0;
    to->inputs = px_arena_zalloc(to->arena, to->takes->n + 1, sizeof *to->inputs);
    to->depths = px_arena_zalloc(to->arena, to->takes->n + 1, sizeof *to->depths);
    return px_arena_check(to->arena, "the tensors", err);
}

/*
 * The values below dimension `dim`: lists as long as the shape says down to level `depth`, then one value. A failure of the text
 * sticks to `json`.
 */
static enum px_code read_values(struct px_json *json, struct px_tensor_writer *writer, size_t dim,
                                size_t depth, struct px_err *err)
{
    const struct px_tensor *t = writer->tensor;
    bool is_list = px_json_peek(json) == PX_JSON_ARRAY;
    uint64_t n = 0;
    if (is_list != (dim < depth))
        return px_err_set(
            err, PX_E_INVALID, "input '%.*s': expected a %s as in the first, got a %s",
            PX_STR_ARG(t->name), is_list ? "value" : "list", is_list ? "list" : "value");
    if (!is_list)
        return px_json_read_element(json, writer, err);
    px_json_enter_array(json);
    for (; px_json_next_element(json); n++) {
        enum px_code code = PX_OK;
        if (n < t->shape[dim])
            code = read_values(json, writer, dim + 1, depth, err);
        else
            px_json_skip(json);
        if (code != PX_OK)
            return code;
    }
    if (n == t->shape[dim] || px_json_failed(json))
        return PX_OK;
    return px_err_set(err, PX_E_INVALID,
                      "input '%.*s': expected %" PRIu64 " values as in the first, got %" PRIu64,
                      PX_STR_ARG(t->name), t->shape[dim], n);
}

/* A value of the input that `writer` writes, from dimension `dim` on. */
static enum px_code put_value(const struct px_json_tensors *to, struct px_json *json,
                              struct px_tensor_writer *writer, size_t dim, struct px_err *err)
{
    const struct px_tensor *t = writer->tensor;
    enum px_code code = read_values(json, writer, dim, to->depths[t - to->inputs], err);
    if (code != PX_OK)
        return code;
    code = px_json_check(json, err);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "input '%.*s'", PX_STR_ARG(t->name));
}

/* ---- instances ---- */

struct instances {
    struct px_json_tensors *to;
    struct px_tensor_writer *writers; /* [to->n_inputs] */
    bool *met;                        /* in the current instance */
    size_t n_rows;
    bool by_name;
    struct px_err *err;
};

/* The first instance says which inputs there are, and the shape of a row of each. */
static enum px_code read_first(struct instances *all, struct px_json *json)
{
    const struct px_tensor_specs *takes = all->to->takes;
    struct px_str name;
    all->by_name = px_json_peek(json) == PX_JSON_OBJECT;
    if (!all->by_name)
        return takes->n == 1 ? add_input(all->to, takes->list[0].name, all->n_rows, json, all->err)
                             : refuse_unnamed(all->to, all->err);
    px_json_enter_object(json);
    while (px_json_next_key(json, &name)) {
        enum px_code code = add_input(all->to, name, all->n_rows, json, all->err);
        if (code != PX_OK)
            return code;
    }
    return px_json_check(json, all->err);
}

static enum px_code read_shapes(struct instances *all, struct px_str text)
{
    struct px_json json;
    px_json_init(&json, text, all->to->arena, PX_JSON_NONFINITE);
    px_json_enter_array(&json);
    while (px_json_next_element(&json)) {
        px_json_skip(&json);
        all->n_rows++;
    }
    enum px_code code = px_json_check(&json, all->err);
    if (code != PX_OK || all->n_rows == 0)
        return code;
    px_json_init(&json, text, all->to->arena, PX_JSON_NONFINITE);
    px_json_enter_array(&json);
    return px_json_next_element(&json) ? read_first(all, &json) : px_json_check(&json, all->err);
}

static enum px_code read_named(struct instances *all, struct px_json *json)
{
    struct px_str name;
    size_t n_met = 0, n = all->to->n_inputs;
    memset(all->met, 0, n * sizeof *all->met);
    px_json_enter_object(json);
    while (px_json_next_key(json, &name)) {
        const struct px_tensor *input = find_input(all->to, name);
        size_t i = input ? (size_t)(input - all->to->inputs) : n;
        if (!input || all->met[i])
            return px_err_set(all->err, PX_E_INVALID, "input '%.*s' %s", PX_STR_ARG(name),
                              input ? "is given twice" : "is not in the first instance");
        all->met[i] = true;
        n_met++;
        enum px_code code = put_value(all->to, json, &all->writers[i], 1, all->err);
        if (code != PX_OK)
            return code;
    }
    enum px_code code = px_json_check(json, all->err);
    if (code == PX_OK && n_met < n)
        code = px_err_set(all->err, PX_E_INVALID, "expected %zu inputs as in the first, got %zu", n,
                          n_met);
    return code;
}

static enum px_code read_row(struct instances *all, struct px_json *json)
{
    bool is_object = px_json_peek(json) == PX_JSON_OBJECT;
    if (is_object != all->by_name)
        return refuse_unnamed(all->to, all->err);
    return all->by_name ? read_named(all, json)
                        : put_value(all->to, json, &all->writers[0], 1, all->err);
}

static enum px_code read_rows(struct instances *all, struct px_str text)
{
    struct px_json json;
    px_json_init(&json, text, all->to->arena, PX_JSON_NONFINITE);
    px_json_enter_array(&json);
    for (size_t row = 0; px_json_next_element(&json); row++) {
        enum px_code code = read_row(all, &json);
        if (code != PX_OK)
            return px_err_wrap(all->err, "instance %zu", row);
    }
    return px_json_finish(&json, all->err);
}

/* Writers for the inputs that the first instance has; a value takes a byte of `text` at least. */
static enum px_code open_writers(struct instances *all, struct px_str text)
{
    struct px_json_tensors *to = all->to;
    all->writers = px_arena_zalloc(to->arena, to->n_inputs + 1, sizeof *all->writers);
    all->met = px_arena_zalloc(to->arena, to->n_inputs + 1, sizeof *all->met);
    enum px_code code = px_arena_check(to->arena, "the tensors", all->err);
    for (size_t i = 0; code == PX_OK && i < to->n_inputs; i++)
        code =
            px_tensor_writer_init(&all->writers[i], &to->inputs[i], to->arena, text.len, all->err);
    return code;
}

enum px_code px_json_read_instances(struct px_json_tensors *to, struct px_str text,
                                    struct px_err *err)
{
    struct instances all = {.to = to, .err = err};
    enum px_code code = begin(to, err);
    if (code == PX_OK)
        code = read_shapes(&all, text);
    if (code == PX_OK && all.n_rows == 0)
        code = px_err_set(err, PX_E_INVALID, "expected at least one instance, the list is empty");
    if (code == PX_OK)
        code = open_writers(&all, text);
    if (code == PX_OK)
        code = read_rows(&all, text);
    for (size_t i = 0; code == PX_OK && i < to->n_inputs; i++)
        code = px_tensor_writer_end(&all.writers[i], err);
    return code;
}

/* ---- inputs ---- */

static enum px_code read_whole(struct px_json_tensors *to, struct px_str name, struct px_str text,
                               struct px_err *err)
{
    struct px_json json;
    struct px_tensor_writer writer;
    px_json_init(&json, text, to->arena, PX_JSON_NONFINITE);
    enum px_code code = add_input(to, name, 0, &json, err);
    if (code == PX_OK)
        code =
            px_tensor_writer_init(&writer, &to->inputs[to->n_inputs - 1], to->arena, text.len, err);
    if (code != PX_OK)
        return code;
    px_json_init(&json, text, to->arena, PX_JSON_NONFINITE);
    code = put_value(to, &json, &writer, 0, err);
    return code == PX_OK ? px_tensor_writer_end(&writer, err) : code;
}

enum px_code px_json_read_inputs(struct px_json_tensors *to, struct px_str text, struct px_err *err)
{
    struct px_json json;
    struct px_str name;
    enum px_code code = begin(to, err);
    if (code != PX_OK)
        return code;
    px_json_init(&json, text, to->arena, PX_JSON_NONFINITE);
    if (px_json_peek(&json) != PX_JSON_OBJECT)
        return to->takes->n == 1 ? read_whole(to, to->takes->list[0].name, text, err)
                                 : refuse_unnamed(to, err);
    px_json_enter_object(&json);
    while (code == PX_OK && px_json_next_key(&json, &name)) {
        struct px_str value = px_json_raw(&json);
        code = px_json_check(&json, err);
        if (code == PX_OK)
            code = read_whole(to, name, value, err);
    }
    return code == PX_OK ? px_json_finish(&json, err) : code;
}

/* ---- outputs ---- */

enum px_code px_json_check_output(const struct px_tensor *output, struct px_err *err)
{
    struct px_str rest = output->bytes, text;
    if (output->type != PX_TYPE_BYTES)
        return PX_OK;
    for (size_t i = 0; px_tensor_next_text(&rest, &text); i++) {
        if (px_str_is_utf8(text))
            continue;
        px_err_set(err, PX_E_INVALID,
                   "value %zu of the output '%.*s' is not valid UTF-8, which JSON cannot hold", i,
                   PX_STR_ARG(output->name));
        return px_err_hint(err, "ask for binary data over /v2: \"binary_data\": true in the "
                                "parameters of the output; or use gRPC");
    }
    return PX_OK;
}

static void put_part(struct px_json_writer *w, const struct px_tensor *t, size_t dim,
                     struct px_str *bytes)
{
    struct px_str text;
    size_t size = px_datatype_size(t->type);
    if (dim < t->n_dims) {
        px_json_begin_array(w);
        for (uint64_t i = 0; i < t->shape[dim] && !w->buf->failed; i++)
            put_part(w, t, dim + 1, bytes);
        px_json_end_array(w);
    } else if (t->type == PX_TYPE_BYTES) {
        if (px_tensor_next_text(bytes, &text))
            px_json_put_str(w, text);
    } else {
        px_json_put_element(w, t->type, bytes->ptr);
        *bytes = px_str_n(bytes->ptr + size, bytes->len - size);
    }
}

bool px_json_rows_begin(struct px_json_rows_of_tensors *rows, const struct px_tensor *outputs,
                        size_t n_outputs, struct px_str *left)
{
    for (size_t i = 0; i < n_outputs; i++) {
        if (outputs[i].n_dims == 0 || outputs[i].shape[0] != outputs[0].shape[0])
            return false;
        left[i] = outputs[i].bytes;
    }
    *rows =
        (struct px_json_rows_of_tensors){.outputs = outputs, .n_outputs = n_outputs, .left = left};
    rows->n_rows = n_outputs ? (size_t)outputs[0].shape[0] : 0;
    return n_outputs > 0;
}

void px_json_rows_put(struct px_json_rows_of_tensors *rows, struct px_json_writer *w)
{
    if (rows->n_outputs > 1)
        px_json_begin_object(w);
    for (size_t i = 0; i < rows->n_outputs; i++) {
        if (rows->n_outputs > 1)
            px_json_key_str(w, rows->outputs[i].name);
        put_part(w, &rows->outputs[i], 1, &rows->left[i]);
    }
    if (rows->n_outputs > 1)
        px_json_end_object(w);
}

void px_json_put_columns(struct px_json_writer *w, const struct px_tensor *outputs,
                         size_t n_outputs)
{
    if (n_outputs != 1)
        px_json_begin_object(w);
    for (size_t i = 0; i < n_outputs; i++) {
        struct px_str bytes = outputs[i].bytes;
        if (n_outputs != 1)
            px_json_key_str(w, outputs[i].name);
        put_part(w, &outputs[i], 0, &bytes);
    }
    if (n_outputs != 1)
        px_json_end_object(w);
}
