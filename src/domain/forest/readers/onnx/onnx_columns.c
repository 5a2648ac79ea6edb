/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands before the trees. Every step that is taken here is monotone in the number it is done to, or
 * only concerns NaN: additions, products with a number that is not 0, roundings, imputing. So a question
 * about the result is a question about the feature itself (onnx_emit.c finds the threshold). What is not
 * monotone is refused: an imputer that replaces a number, a scale of 0, a normaliser.
 */
#include "domain/forest/readers/onnx/onnx_graph.h"

#include <inttypes.h>
#include <math.h>

static struct px_onnx_column *new_columns(struct px_onnx_graph *graph, size_t n)
{
    return px_arena_alloc(&graph->arena, n, sizeof(struct px_onnx_column));
}

static bool is_number_type(int type)
{
    return type == PX_ONNX_FLOAT || type == PX_ONNX_DOUBLE || type == PX_ONNX_INT32 ||
           type == PX_ONNX_INT64 || type == PX_ONNX_BOOL;
}

enum px_code px_onnx_columns_input(struct px_onnx_graph *graph, const struct px_onnx_port *port,
                                   struct px_onnx_value *ret, struct px_err *err)
{
    size_t first = graph->n_features;
    if (!port->tensor || !is_number_type(port->type)) {
        px_err_set(err, PX_E_UNSUPPORTED, "input '%.*s' of the graph is %s%s, expected numbers",
                   PX_STR_ARG(port->name), port->tensor ? "a tensor of type " : "no tensor",
                   port->tensor ? px_onnx_type_name(port->type) : "");
        return px_err_hint(err, "encode texts as numbers before the model, and export it again");
    }
    int64_t width = port->n_dims == 2 ? port->dims[1] : 0;
    if (port->n_dims > 2 || port->n_dims == 1 || width < -1 || (port->n_dims == 2 && width == 0))
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "input '%.*s' of the graph has %zu dimensions, expected [rows, features]",
                          PX_STR_ARG(port->name), port->n_dims);
    enum px_code code = px_ir_check_features(first + (uint64_t)(width > 0 ? width : 0), err);
    if (code != PX_OK)
        return code;
    *ret = (struct px_onnx_value){.kind = PX_ONNX_COLUMNS, .type = port->type};
    if (width <= 0)
        return PX_OK;
    struct px_onnx_column *columns = new_columns(graph, (size_t)width);
    if (!columns)
        return px_onnx_no_room(graph, err);
    for (size_t i = 0; i < (size_t)width; i++)
        columns[i] = (struct px_onnx_column){.feature = (uint32_t)(first + i)};
    graph->n_features = first + (size_t)width;
    ret->columns = columns;
    ret->n = (size_t)width;
    return PX_OK;
}

static enum px_code need_width(const struct px_onnx_graph *graph, const struct px_onnx_value *from,
                               struct px_err *err)
{
    if (from->n)
        return PX_OK;
    px_err_set(err, PX_E_UNSUPPORTED,
               "the graph has a %s that needs to know how many features there are",
               px_onnx_node_text(graph->node).text);
    return px_err_hint(err, "export the model with the number of features in its input's shape");
}

/* The columns with one more step each: `constants` has one number for all, or one per column. */
static enum px_code add_step(struct px_onnx_graph *graph, const struct px_onnx_value *from,
                             struct px_step step, const double *constants, size_t n,
                             struct px_onnx_value *ret, struct px_err *err)
{
    enum px_code code = need_width(graph, from, err);
    if (code != PX_OK)
        return code;
    if (constants && n != 1 && n != from->n)
        return px_onnx_refuse(graph, "has numbers that do not fit the columns", err);
    struct px_onnx_column *columns = new_columns(graph, from->n);
    for (size_t i = 0; columns && i < from->n; i++) {
        const struct px_onnx_column *old = &from->columns[i];
        struct px_step *steps = px_arena_alloc(&graph->arena, old->n_steps + 1, sizeof *steps);
        if (!steps)
            return px_onnx_no_room(graph, err);
        if (old->n_steps == PX_ONNX_STEPS_MAX)
            return px_onnx_refuse(graph, "is one step too many before the trees", err);
        if (old->n_steps)
            memcpy(steps, old->steps, old->n_steps * sizeof *steps);
        steps[old->n_steps] = step;
        if (constants)
            steps[old->n_steps].constant = constants[n == 1 ? 0 : i];
        columns[i] = (struct px_onnx_column){old->feature, old->n_steps + 1, steps};
    }
    if (!columns)
        return px_onnx_no_room(graph, err);
    *ret = *from;
    ret->columns = columns;
    return PX_OK;
}

static enum px_code check_constants(const struct px_onnx_graph *graph, enum px_step_op op,
                                    const double *constants, size_t n, struct px_err *err)
{
    bool factor = op == PX_STEP_MUL || op == PX_STEP_DIV;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(constants[i]) || (factor && constants[i] == 0.0))
            return px_onnx_refuse(
                graph, "multiplies columns by 0, or has a number that is not finite", err);
    }
    return PX_OK;
}

enum px_code px_onnx_columns_step(struct px_onnx_graph *graph,
                                  const struct px_onnx_operation *operation,
                                  struct px_onnx_value *ret, struct px_err *err)
{
    const struct px_onnx_value *a = operation->a, *b = operation->b;
    bool reversed = a->kind == PX_ONNX_CONSTANT;
    const struct px_onnx_value *from = reversed ? b : a, *constant = reversed ? a : b;
    bool known = operation->op <= PX_STEP_DIV || operation->op == PX_STEP_NEG;
    bool real = from->type == PX_ONNX_FLOAT || from->type == PX_ONNX_DOUBLE;
    bool fits = !constant || (constant->kind == PX_ONNX_CONSTANT && constant->type == from->type);
    if (!known || !real || !fits || (reversed && operation->op == PX_STEP_DIV))
        return px_onnx_refuse_node(graph, err);
    if (constant) {
        enum px_code code =
            check_constants(graph, operation->op, constant->numbers, constant->n, err);
        if (code != PX_OK)
            return code;
    }
    struct px_step step = {
        .op = operation->op, .single = from->type == PX_ONNX_FLOAT, .reversed = reversed};
    return add_step(graph, from, step, constant ? constant->numbers : NULL,
                    constant ? constant->n : 0, ret, err);
}

/*
 * Requests bring features in the forest's own type, and a cast to float is then done. It is a step of its
 * own only when something was computed in double before. A float that becomes a double was rounded, and
 * requests for a forest of doubles bring doubles.
 */
enum px_code px_onnx_columns_cast(struct px_onnx_graph *graph, const struct px_onnx_value *from,
                                  int type, struct px_onnx_value *ret, struct px_err *err)
{
    const struct px_step round = {.op = PX_STEP_ROUND, .single = true};
    bool computed = false;
    for (size_t i = 0; i < from->n; i++)
        computed = computed || from->columns[i].n_steps;
    *ret = *from;
    ret->type = type;
    if (type == from->type ||
        (type == PX_ONNX_FLOAT && !(computed && from->type == PX_ONNX_DOUBLE)))
        return PX_OK;
    bool to_double = type == PX_ONNX_DOUBLE;
    if (!to_double && type != PX_ONNX_FLOAT)
        return px_onnx_refuse(graph, "casts the features to a type that loses what they are", err);
    if (to_double && from->type != PX_ONNX_FLOAT)
        return PX_OK;
    enum px_code code = add_step(graph, from, round, NULL, 0, ret, err);
    ret->type = type;
    return code;
}

enum px_code px_onnx_columns_pick(struct px_onnx_graph *graph, const struct px_onnx_value *from,
                                  const struct px_onnx_value *indices, struct px_onnx_value *ret,
                                  struct px_err *err)
{
    enum px_code code = need_width(graph, from, err);
    if (code != PX_OK)
        return code;
    if (indices->n == 0)
        return px_onnx_refuse(graph, "picks no columns", err);
    struct px_onnx_column *columns = new_columns(graph, indices->n);
    if (!columns)
        return px_onnx_no_room(graph, err);
    for (size_t i = 0; i < indices->n; i++) {
        double at = indices->numbers[i];
        if (!(at >= 0 && at < (double)from->n) || at != trunc(at))
            return px_onnx_refuse(graph, "picks a column that is not there", err);
        columns[i] = from->columns[(size_t)at];
    }
    *ret = *from;
    ret->columns = columns;
    ret->n = indices->n;
    return PX_OK;
}

enum px_code px_onnx_columns_concat(struct px_onnx_graph *graph, const struct px_onnx_value *inputs,
                                    size_t n, struct px_onnx_value *ret, struct px_err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        if (inputs[i].kind != PX_ONNX_COLUMNS || inputs[i].type != inputs[0].type)
            return px_onnx_refuse(graph, "joins what are not columns of one type", err);
        enum px_code code = need_width(graph, &inputs[i], err);
        if (code != PX_OK)
            return code;
        total += inputs[i].n;
    }
    enum px_code code = px_ir_check_features(total, err);
    if (code != PX_OK)
        return code;
    struct px_onnx_column *columns = new_columns(graph, total);
    if (!columns)
        return px_onnx_no_room(graph, err);
    total = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(&columns[total], inputs[i].columns, inputs[i].n * sizeof *columns);
        total += inputs[i].n;
    }
    *ret = inputs[0];
    ret->columns = columns;
    ret->n = total;
    return PX_OK;
}

static enum px_code scale_part(struct px_onnx_graph *graph, const char *name, enum px_step_op op,
                               struct px_onnx_value *value, struct px_err *err)
{
    struct px_doubles numbers = {0};
    enum px_code code = px_onnx_get_floats(graph->model, graph->node, name, &numbers, err);
    if (code == PX_OK)
        code = check_constants(graph, op, numbers.items, numbers.len, err);
    if (code == PX_OK && numbers.len) {
        const struct px_onnx_value before = *value;
        code = add_step(graph, &before, (struct px_step){.op = op, .single = true}, numbers.items,
                        numbers.len, value, err);
    }
    px_vec_free(&numbers);
    return code;
}

enum px_code px_onnx_columns_scale(struct px_onnx_graph *graph, const struct px_onnx_value *from,
                                   struct px_onnx_value *ret, struct px_err *err)
{
    if (from->type == PX_ONNX_DOUBLE)
        return px_onnx_refuse(graph, "scales doubles to floats", err);
    *ret = *from;
    ret->type = PX_ONNX_FLOAT;
    enum px_code code = scale_part(graph, "offset", PX_STEP_SUB, ret, err);
    return code == PX_OK ? scale_part(graph, "scale", PX_STEP_MUL, ret, err) : code;
}

enum px_code px_onnx_columns_impute(struct px_onnx_graph *graph, const struct px_onnx_value *from,
                                    struct px_onnx_value *ret, struct px_err *err)
{
    struct px_doubles numbers = {0};
    double replaced = 0.0;
    if (from->type != PX_ONNX_FLOAT)
        return px_onnx_refuse(graph, "imputes what are not floats", err);
    enum px_code code =
        px_onnx_get_float(graph->model, graph->node, "replaced_value_float", &replaced, err);
    if (code == PX_OK)
        code = px_onnx_get_floats(graph->model, graph->node, "imputed_value_floats", &numbers, err);
    if (code == PX_OK && !isnan(replaced))
        code = px_onnx_refuse(graph, "replaces a number, where only NaN can be replaced", err);
    if (code == PX_OK && numbers.len == 0)
        code = px_onnx_refuse(graph, "has no numbers to impute", err);
    if (code == PX_OK)
        code = check_constants(graph, PX_STEP_IMPUTE, numbers.items, numbers.len, err);
    if (code == PX_OK)
        code = add_step(graph, from, (struct px_step){.op = PX_STEP_IMPUTE, .single = true},
                        numbers.items, numbers.len, ret, err);
    px_vec_free(&numbers);
    return code;
}
