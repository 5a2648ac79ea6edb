/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Substitutes are checked like everything else when the graph is loaded: on the day when a model fails is no time to find that its fallback
 * has another type. Constants are turned into bytes here, once.
 */
#include "domain/graph/substitute.h"

#include "shared/number.h"

#include <inttypes.h>

enum { CONSTANT_BYTES_MAX = 1 << 20 };

static bool is_truth(struct px_str text)
{
    return px_str_is(text, "true") || px_str_is(text, "false");
}

bool px_graph_is_reference(const struct px_yaml *node)
{
    double number;
    return node->type == PX_YAML_SCALAR && !node->quoted && !px_yaml_is_null(node) &&
           !is_truth(node->text) && !px_str_to_f64(node->text, &number);
}

/* ---- constants ---- */

static enum px_code fail_constant(struct px_graph_reading *r, const struct px_yaml *node,
                                  const struct px_tensor_spec *spec)
{
    return px_err_set(r->err, PX_E_INVALID,
                      "line %u: expected a value of %s for '%.*s', got '%.*s'", node->line,
                      px_datatype_name(spec->type), PX_STR_ARG(spec->name), PX_STR_ARG(node->text));
}

static bool fits_integer(enum px_datatype type, int64_t value)
{
    bool is_unsigned = type <= PX_TYPE_UINT64;
    size_t bits = px_datatype_size(type) * 8;
    if (is_unsigned)
        return value >= 0 && (bits == 64 || value >> bits == 0);
    return bits == 64 || (value >= -(INT64_C(1) << (bits - 1)) && value < INT64_C(1) << (bits - 1));
}

/* One element, appended. Types of 16-bit floats have no constants: no engine gives them to a decision. */
static enum px_code put_element(struct px_graph_reading *r, const struct px_yaml *node,
                                const struct px_tensor_spec *spec, struct px_buf *out)
{
    int64_t whole;
    double wide;
    float narrow;
    if (node->type != PX_YAML_SCALAR || px_yaml_is_null(node))
        return fail_constant(r, node, spec);
    if (spec->type == PX_TYPE_BYTES) {
        uint32_t len = (uint32_t)node->text.len;
        px_buf_append(out, &len, sizeof len);
        px_buf_str(out, node->text);
        return PX_OK;
    }
    if (node->quoted)
        return fail_constant(r, node, spec);
    if (spec->type == PX_TYPE_BOOL && is_truth(node->text))
        px_buf_byte(out, px_str_is(node->text, "true"));
    else if (spec->type == PX_TYPE_FP32 && px_str_to_f32(node->text, &narrow))
        px_buf_append(out, &narrow, sizeof narrow);
    else if (spec->type == PX_TYPE_FP64 && px_str_to_f64(node->text, &wide))
        px_buf_append(out, &wide, sizeof wide);
    else if (spec->type > PX_TYPE_BOOL && spec->type <= PX_TYPE_INT64 &&
             px_str_to_i64(node->text, &whole) && fits_integer(spec->type, whole))
        px_buf_append(out, &whole, px_datatype_size(spec->type)); /* little-endian */
    else
        return fail_constant(r, node, spec);
    return PX_OK;
}

/* Elements of what is written once: a row, or everything when there are no rows. */
static enum px_code count_elements(struct px_graph_reading *r, const struct px_yaml *node,
                                   const struct px_tensor_spec *spec, size_t *ret)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    size_t from = spec->n_dims && spec->shape[0] == PX_DIM_ANY;
    bool known = !spec->any_rank;
    *ret = 1;
    for (size_t i = from; known && i < spec->n_dims; i++)
        known = spec->shape[i] >= 0 && spec->shape[i] <= CONSTANT_BYTES_MAX &&
                !__builtin_mul_overflow(*ret, (size_t)spec->shape[i], ret);
    if (known && *ret <= CONSTANT_BYTES_MAX / 8)
        return PX_OK;
    return px_err_set(r->err, PX_E_INVALID,
                      "line %u: a constant cannot stand in for '%.*s' of shape %s: only the number "
                      "of rows may be open",
                      node->line, PX_STR_ARG(spec->name), px_tensor_spec_shape_text(spec, shape));
}

static enum px_code make_constant(struct px_graph_reading *r, const struct px_tensor_spec *spec,
                                  struct px_graph_value *value)
{
    const struct px_yaml *node = value->node;
    bool list = node->type == PX_YAML_SEQUENCE;
    size_t n;
    enum px_code code = count_elements(r, node, spec, &n);
    if (code != PX_OK)
        return code;
    if (list && node->n_children != n)
        return px_err_set(r->err, PX_E_INVALID,
                          "line %u: expected %zu values for '%.*s', or one for all, got %zu",
                          node->line, n, PX_STR_ARG(spec->name), node->n_children);
    struct px_buf out = px_buf(CONSTANT_BYTES_MAX);
    const struct px_yaml *child = node->first_child;
    for (size_t i = 0; i < n && code == PX_OK; i++) {
        code = put_element(r, list ? child : node, spec, &out);
        child = list ? child->next : NULL;
    }
    if (code == PX_OK)
        code = px_buf_check(&out, "a constant", r->err);
    if (code == PX_OK) {
        value->bytes = px_arena_str(r->arena, px_buf_view(&out));
        if (!value->bytes.ptr)
            code = px_graph_fail_memory(r);
    }
    px_buf_deinit(&out);
    return code;
}

/* ---- references ---- */

static enum px_code check_reference(struct px_graph_reading *r, const struct px_tensor_spec *spec,
                                    struct px_graph_value *value, struct px_str owner)
{
    char expected[PX_TENSOR_SHAPE_TEXT_MAX], got[PX_TENSOR_SHAPE_TEXT_MAX];
    enum px_code code = px_graph_find_tensor(r, &value->from);
    if (code != PX_OK)
        return code;
    const struct px_tensor_spec *from = px_graph_spec(r->graph, value->from.source);
    if (from->optional)
        return px_err_set(r->err, PX_E_INVALID,
                          "line %u: '%.*s' stands in for '%.*s' of '%.*s' and may itself be absent",
                          value->from.line, PX_STR_ARG(value->from.text), PX_STR_ARG(spec->name),
                          PX_STR_ARG(owner));
    if (from->type == spec->type && px_graph_shapes_fit(from, spec))
        return PX_OK;
    return px_err_set(
        r->err, PX_E_INVALID,
        "line %u: '%.*s' is %s %s and cannot stand in for '%.*s' of '%.*s', which is %s %s",
        value->from.line, PX_STR_ARG(value->from.text), px_datatype_name(from->type),
        px_tensor_spec_shape_text(from, got), PX_STR_ARG(spec->name), PX_STR_ARG(owner),
        px_datatype_name(spec->type), px_tensor_spec_shape_text(spec, expected));
}

/* "quick" for the output "score" is "quick.score"; a step with one output gives it to a step with one. */
static enum px_code name_same_output(struct px_graph_reading *r,
                                     const struct px_graph_substitute *substitute, size_t n_specs,
                                     const struct px_tensor_spec *spec,
                                     struct px_graph_value *value)
{
    const struct px_graph_step *step = &r->graph->steps[substitute->step];
    bool only = n_specs == 1 && step->gives.n == 1;
    struct px_str output = only ? step->gives.list[0].name : spec->name;
    struct px_buf text = px_buf(4096);
    px_buf_str(&text, step->name);
    px_buf_byte(&text, '.');
    px_buf_str(&text, output);
    value->from.text = px_arena_str(r->arena, px_buf_view(&text));
    bool failed = text.failed || !value->from.text.ptr;
    px_buf_deinit(&text);
    value->from.line = substitute->node->line;
    value->from.source.step = substitute->step;
    if (failed)
        return px_err_set(r->err, PX_E_NO_MEMORY, "no memory for the graph");
    return PX_OK;
}

static enum px_code check_value(struct px_graph_reading *r,
                                const struct px_graph_substitute *substitute,
                                const struct px_graph_replaced *replaced, size_t i)
{
    struct px_graph_value *value = &substitute->values[i];
    const struct px_tensor_spec *spec = &replaced->specs->list[i];
    bool used = replaced->used >> i & 1;
    if (substitute->step != PX_GRAPH_INPUT) {
        enum px_code code =
            used ? name_same_output(r, substitute, replaced->specs->n, spec, value) : PX_OK;
        return code == PX_OK && used ? check_reference(r, spec, value, replaced->owner) : code;
    }
    for (value->node = substitute->node->first_child; value->node;
         value->node = value->node->next) {
        if (px_str_eq(value->node->key, spec->name))
            break;
    }
    if (!value->node && !used)
        return PX_OK;
    if (!value->node)
        return px_err_set(r->err, PX_E_INVALID, "line %u: there is no value for '%.*s' of '%.*s'",
                          substitute->node->line, PX_STR_ARG(spec->name),
                          PX_STR_ARG(replaced->owner));
    value->constant = !px_graph_is_reference(value->node);
    if (value->constant)
        return make_constant(r, spec, value);
    value->from = (struct px_graph_reference){.text = value->node->text, .line = value->node->line};
    value->from.source.step = PX_GRAPH_INPUT;
    return check_reference(r, spec, value, replaced->owner);
}

/* Every key of the mapping is an output. */
static enum px_code check_keys(struct px_graph_reading *r, const struct px_graph_substitute *s,
                               const struct px_tensor_specs *specs)
{
    struct px_str names[PX_GRAPH_TENSORS_MAX];
    if (s->node->type == PX_YAML_SCALAR)
        return PX_OK;
    for (size_t i = 0; i < specs->n; i++)
        names[i] = specs->list[i].name;
    return px_yaml_only(s->node, names, specs->n, r->err);
}

enum px_code px_graph_check_substitute(struct px_graph_reading *r, struct px_graph_substitute *s,
                                       const struct px_graph_replaced *replaced)
{
    if (s->kind != PX_GRAPH_VALUES)
        return PX_OK;
    s->values = px_arena_zalloc(r->arena, replaced->specs->n + 1, sizeof *s->values);
    if (!s->values)
        return px_graph_fail_memory(r);
    enum px_code code = check_keys(r, s, replaced->specs);
    for (size_t i = 0; i < replaced->specs->n && code == PX_OK; i++)
        code = check_value(r, s, replaced, i);
    return code;
}
