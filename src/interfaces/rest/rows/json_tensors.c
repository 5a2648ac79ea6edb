/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models of tensors in the dialects that send rows: KServe's V1, TensorFlow Serving's, MLflow's, SageMaker's and Vertex AI's.
 *
 *   instances   a row each: nested arrays when the model has one input, {input: nested arrays} else
 *   inputs      all rows at once, in the same two forms
 *
 * JSON does not say a tensor's shape before its values, so a value is walked twice: first its nesting, which is its
 * shape, then its values, of which there must be as many. The model's specs have the last word on both.
 */
#include "interfaces/rest/rows/rows.h"
#include "interfaces/rest/v2/v2.h"

/* One input while it is read. */
struct input {
    struct px_tensor tensor;
    struct px_values values;
    bool met; /* in the current instance */
};

/* All inputs of the instances that are read. */
struct instances {
    struct px_json_rows *in;
    struct px_inputs to;
    struct input *inputs; /* in the order of the first instance */
    size_t n_inputs, n_rows;
    bool by_name;
};

static const struct px_tensor_specs *specs_of(const struct px_json_rows *in)
{
    return &in->infer->call.model->engine->takes;
}

static enum px_code refuse_unnamed(struct px_json_rows *in)
{
    const struct px_tensor_specs *takes = specs_of(in);
    return px_err_set(in->err, PX_E_INVALID,
                      "expected an object with the model's %zu inputs by name, '%.*s' among them",
                      takes->n, PX_STR_ARG(takes->list[0].name));
}

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

/* Rows of one value may leave the last dimension out. */
static void complete_shape(struct px_tensor *t, const struct px_tensor_spec *spec)
{
    if (spec && !spec->any_rank && spec->n_dims == t->n_dims + 1 && t->n_dims > 0 &&
        spec->shape[t->n_dims] == 1)
        t->shape[t->n_dims++] = 1;
}

/* Name and datatype from the model, an unknown name as it came: the inputs refuse it. */
static void describe(struct px_json_rows *in, struct px_tensor *t, struct px_str name)
{
    const struct px_tensor_spec *spec = px_tensor_specs_find(specs_of(in), name);
    t->name = name;
    t->type = spec ? spec->type : PX_TYPE_FP32;
    complete_shape(t, spec);
}

/* ---- values ---- */

/* Every value of nested arrays, or the one that there is. */
static enum px_code read_values(struct px_json *json, struct px_values *values)
{
    if (px_json_peek(json) != PX_JSON_ARRAY)
        return px_v2_read_element(values, json);
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        enum px_code code = read_values(json, values);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

static enum px_code put_value(struct px_json_rows *in, struct px_json *json,
                              struct px_values *values)
{
    enum px_code code = read_values(json, values);
    return code == PX_OK ? px_json_check(json, in->err) : code;
}

/* ---- instances ---- */

static enum px_code add_input(struct instances *all, struct px_str name, struct px_json *json)
{
    struct input *input = &all->inputs[all->n_inputs];
    if (all->n_inputs == specs_of(all->in)->n)
        return px_err_set(all->in->err, PX_E_INVALID, "expected at most %zu inputs, got '%.*s' too",
                          all->n_inputs, PX_STR_ARG(name));
    *input = (struct input){.tensor = {.shape = {all->n_rows}, .n_dims = 1}};
    all->n_inputs++;
    read_nesting(json, &input->tensor);
    describe(all->in, &input->tensor, name);
    return px_json_check(json, all->in->err);
}

/* The first instance says which inputs there are, and the shape of a row of each. */
static enum px_code read_first(struct instances *all, struct px_json *json)
{
    const struct px_tensor_specs *takes = specs_of(all->in);
    struct px_str name;
    all->by_name = px_json_peek(json) == PX_JSON_OBJECT;
    if (!all->by_name)
        return takes->n == 1 ? add_input(all, takes->list[0].name, json) : refuse_unnamed(all->in);
    px_json_enter_object(json);
    while (px_json_next_key(json, &name)) {
        enum px_code code = add_input(all, name, json);
        if (code != PX_OK)
            return code;
    }
    return px_json_check(json, all->in->err);
}

static enum px_code read_shapes(struct instances *all, struct px_str text)
{
    struct px_json json;
    enum px_code code = PX_OK;
    px_json_init(&json, text, all->in->infer->call.arena, PX_JSON_NONFINITE);
    px_json_enter_array(&json);
    while (px_json_next_element(&json)) {
        px_json_skip(&json);
        all->n_rows++;
    }
    code = px_json_check(&json, all->in->err);
    if (code != PX_OK || all->n_rows == 0)
        return code;
    px_json_init(&json, text, all->in->infer->call.arena, PX_JSON_NONFINITE);
    px_json_enter_array(&json);
    return px_json_next_element(&json) ? read_first(all, &json)
                                       : px_json_check(&json, all->in->err);
}

static struct input *find_input(struct instances *all, struct px_str name)
{
    for (size_t i = 0; i < all->n_inputs; i++) {
        if (px_str_eq(all->inputs[i].tensor.name, name))
            return &all->inputs[i];
    }
    return NULL;
}

static enum px_code read_named(struct instances *all, struct px_json *json)
{
    struct px_json_rows *in = all->in;
    struct px_str name;
    size_t n_met = 0;
    for (size_t i = 0; i < all->n_inputs; i++)
        all->inputs[i].met = false;
    px_json_enter_object(json);
    while (px_json_next_key(json, &name)) {
        struct input *input = find_input(all, name);
        if (!input || input->met)
            return px_err_set(in->err, PX_E_INVALID, "input '%.*s' %s", PX_STR_ARG(name),
                              input ? "is given twice" : "is not in the first instance");
        input->met = true;
        n_met++;
        enum px_code code = put_value(in, json, &input->values);
        if (code != PX_OK)
            return code;
    }
    enum px_code code = px_json_check(json, in->err);
    if (code == PX_OK && n_met < all->n_inputs)
        code = px_err_set(in->err, PX_E_INVALID, "expected %zu inputs as in the first, got %zu",
                          all->n_inputs, n_met);
    return code;
}

/* Did each input get the values of one row more? */
static enum px_code check_row(const struct instances *all, size_t row)
{
    for (size_t i = 0; i < all->n_inputs; i++) {
        const struct px_values *v = &all->inputs[i].values;
        size_t width = v->n_total / all->n_rows;
        if (v->n != (row + 1) * width)
            return px_err_set(all->in->err, PX_E_INVALID,
                              "input '%.*s': expected %zu values as in the first, got %zu",
                              PX_STR_ARG(v->tensor->name), width, v->n - row * width);
    }
    return PX_OK;
}

static enum px_code read_rows(struct instances *all, struct px_str text)
{
    struct px_json_rows *in = all->in;
    struct px_json json;
    enum px_code code = PX_OK;
    px_json_init(&json, text, in->infer->call.arena, PX_JSON_NONFINITE);
    px_json_enter_array(&json);
    for (size_t row = 0; code == PX_OK && px_json_next_element(&json); row++) {
        bool is_object = px_json_peek(&json) == PX_JSON_OBJECT;
        if (is_object != all->by_name)
            code = refuse_unnamed(in);
        else if (all->by_name)
            code = read_named(all, &json);
        else
            code = put_value(in, &json, &all->inputs[0].values);
        if (code == PX_OK)
            code = check_row(all, row);
        if (code != PX_OK)
            return px_err_wrap(in->err, "instance %zu", row);
    }
    return code;
}

enum px_code px_json_tensors_instances(struct px_json_rows *in)
{
    struct px_str text = px_json_raw(&in->json);
    struct instances all = {.in = in};
    enum px_code code = px_json_check(&in->json, in->err);
    all.inputs = px_arena_zalloc(in->infer->call.arena, specs_of(in)->n + 1, sizeof *all.inputs);
    if (code == PX_OK)
        code = px_arena_check(in->infer->call.arena, "the request", in->err);
    if (code == PX_OK)
        code = px_inputs_begin(&all.to, in->infer);
    if (code == PX_OK)
        code = read_shapes(&all, text);
    for (size_t i = 0; code == PX_OK && i < all.n_inputs; i++)
        code = px_inputs_open(&all.to, &all.inputs[i].tensor, text.len, /* a value takes a byte */
                              &all.inputs[i].values);
    if (code == PX_OK)
        code = read_rows(&all, text);
    for (size_t i = 0; code == PX_OK && i < all.n_inputs; i++)
        code = px_values_end(&all.inputs[i].values);
    return code == PX_OK ? px_inputs_end(&all.to) : code;
}

/* ---- inputs ---- */

static enum px_code read_whole(struct px_json_rows *in, struct px_inputs *to, struct px_str name)
{
    struct px_str text = px_json_raw(&in->json);
    struct px_tensor *tensor = px_arena_zalloc(in->infer->call.arena, 1, sizeof *tensor);
    struct px_json json;
    struct px_values values;
    enum px_code code = px_json_check(&in->json, in->err);
    if (code == PX_OK)
        code = px_arena_check(in->infer->call.arena, "the request", in->err);
    if (code != PX_OK)
        return code;
    px_json_init(&json, text, in->infer->call.arena, PX_JSON_NONFINITE);
    read_nesting(&json, tensor);
    describe(in, tensor, name);
    code = px_inputs_open(to, tensor, text.len, &values);
    if (code != PX_OK)
        return code;
    px_json_init(&json, text, in->infer->call.arena, PX_JSON_NONFINITE);
    code = put_value(in, &json, &values);
    return code == PX_OK ? px_values_end(&values)
                         : px_err_wrap(in->err, "input '%.*s'", PX_STR_ARG(name));
}

enum px_code px_json_tensors_inputs(struct px_json_rows *in)
{
    const struct px_tensor_specs *takes = specs_of(in);
    struct px_inputs to;
    struct px_str name;
    enum px_code code = px_inputs_begin(&to, in->infer);
    if (code != PX_OK)
        return code;
    if (px_json_peek(&in->json) != PX_JSON_OBJECT) {
        code = takes->n == 1 ? read_whole(in, &to, takes->list[0].name) : refuse_unnamed(in);
        return code == PX_OK ? px_inputs_end(&to) : code;
    }
    px_json_enter_object(&in->json);
    while (code == PX_OK && px_json_next_key(&in->json, &name))
        code = read_whole(in, &to, name);
    if (code == PX_OK)
        code = px_json_check(&in->json, in->err);
    return code == PX_OK ? px_inputs_end(&to) : code;
}

enum px_code px_refuse_tables(struct px_infer *infer, const char *what)
{
    px_err_set(&infer->call.err, PX_E_UNSUPPORTED, "model '%.*s' takes tensors, not %s",
               PX_STR_ARG(infer->call.model->name), what);
    return px_err_hint(&infer->call.err,
                       "send JSON with \"instances\" or \"inputs\", or use /v2/models/%.*s/infer",
                       PX_STR_ARG(infer->call.model->name));
}

/* ---- the reply ---- */

static void put_part(struct px_json_writer *w, const struct px_tensor *t, size_t dim,
                     struct px_str *bytes)
{
    struct px_str text;
    size_t size = px_datatype_size(t->type);
    if (dim < t->n_dims) {
        px_json_begin_array(w);
        for (uint64_t i = 0; i < t->shape[dim]; i++)
            put_part(w, t, dim + 1, bytes);
        px_json_end_array(w);
    } else if (t->type == PX_TYPE_BYTES) {
        if (px_tensor_next_text(bytes, &text))
            px_json_put_str(w, text);
    } else {
        px_put_element(w, t->type, bytes->ptr);
        *bytes = px_str_n(bytes->ptr + size, bytes->len - size);
    }
}

/* Do the outputs have a row for each of the same number of rows? */
static bool have_rows(const struct px_tensor *outputs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (outputs[i].n_dims == 0 || outputs[i].shape[0] != outputs[0].shape[0])
            return false;
    }
    return n > 0;
}

static void put_rows(struct px_json_writer *w, const struct px_tensor *outputs, size_t n,
                     struct px_str *left)
{
    px_json_begin_array(w);
    for (uint64_t row = 0; row < outputs[0].shape[0]; row++) {
        if (n > 1)
            px_json_begin_object(w);
        for (size_t i = 0; i < n; i++) {
            if (n > 1)
                px_json_key_str(w, outputs[i].name);
            put_part(w, &outputs[i], 1, &left[i]);
        }
        if (n > 1)
            px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void put_columns(struct px_json_writer *w, const struct px_tensor *outputs, size_t n,
                        struct px_str *left)
{
    if (n > 1)
        px_json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        if (n > 1)
            px_json_key_str(w, outputs[i].name);
        put_part(w, &outputs[i], 0, &left[i]);
    }
    if (n > 1)
        px_json_end_object(w);
}

void px_put_run_predictions(struct px_json_writer *w, const struct px_infer *infer, bool by_columns)
{
    const struct px_run *run = infer->call.run;
    PX_UNINITIALIZED struct px_str left[PX_ENGINE_TENSORS_MAX];
    for (size_t i = 0; i < run->n_outputs; i++)
        left[i] = run->outputs[i].bytes;
    if (!by_columns && have_rows(run->outputs, run->n_outputs))
        put_rows(w, run->outputs, run->n_outputs, left);
    else
        put_columns(w, run->outputs, run->n_outputs, left);
}
