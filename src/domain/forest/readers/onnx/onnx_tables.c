/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values that depend on one tree alone are functions of the leaf. They are computed here for every leaf, in
 * the type and in the order of the graph, so that nothing but the tree is left to do for a row.
 */
#include "domain/forest/readers/onnx/onnx_graph.h"

#include <math.h>
#include <stdlib.h>

static double *new_numbers(struct px_onnx_graph *graph, size_t n)
{
    return px_arena_alloc(&graph->arena, n, sizeof(double));
}

static bool is_real(int type)
{
    return type == PX_ONNX_FLOAT || type == PX_ONNX_DOUBLE;
}

static bool is_comparison(enum px_step_op op)
{
    return op == PX_STEP_EQUAL || op == PX_STEP_GREATER || op == PX_STEP_LESS;
}

/* The operand's number for leaf `i`. */
static double at(const struct px_onnx_value *value, size_t i)
{
    return value->numbers[value->kind == PX_ONNX_CONSTANT ? 0 : i];
}

static bool fits(const struct px_onnx_value *table, const struct px_onnx_value *other)
{
    if (other->type != table->type || !is_real(table->type))
        return false;
    if (other->kind == PX_ONNX_CONSTANT)
        return other->n == 1;
    return other->kind == PX_ONNX_TABLE && other->ensemble == table->ensemble;
}

enum px_code px_onnx_table_step(struct px_onnx_graph *graph,
                                const struct px_onnx_operation *operation,
                                struct px_onnx_value *ret, struct px_err *err)
{
    const struct px_onnx_value *a = operation->a, *b = operation->b;
    const struct px_onnx_value *table = a->kind == PX_ONNX_TABLE ? a : b;
    if (!fits(table, a) || (b && !fits(table, b)))
        return px_onnx_refuse_node(graph, err);
    double *numbers = new_numbers(graph, table->n);
    if (!numbers)
        return px_onnx_no_room(graph, err);
    bool single = table->type == PX_ONNX_FLOAT;
    for (size_t i = 0; i < table->n; i++)
        numbers[i] = px_step_compute(operation->op, single, at(a, i), b ? at(b, i) : 0.0);
    *ret = *table;
    ret->numbers = numbers;
    if (is_comparison(operation->op))
        ret->type = PX_ONNX_BOOL;
    return PX_OK;
}

static double cast_number(double x, int type)
{
    if (type == PX_ONNX_FLOAT)
        return (double)(float)x;
    return type == PX_ONNX_DOUBLE ? x : trunc(x);
}

enum px_code px_onnx_table_cast(struct px_onnx_graph *graph, const struct px_onnx_value *from,
                                int type, struct px_onnx_value *ret, struct px_err *err)
{
    bool known = is_real(type) || type == PX_ONNX_INT64 || type == PX_ONNX_INT32;
    double *numbers = new_numbers(graph, from->n);
    if (!known)
        return px_onnx_refuse_node(graph, err);
    if (!numbers)
        return px_onnx_no_room(graph, err);
    for (size_t i = 0; i < from->n; i++) {
        if (!is_real(type) && !(fabs(from->numbers[i]) < (double)PX_FOREST_NODES_MAX))
            return px_onnx_refuse(graph, "casts a number that is no integer", err);
        numbers[i] = cast_number(from->numbers[i], type);
    }
    *ret = *from;
    ret->numbers = numbers;
    ret->type = type;
    return PX_OK;
}

struct pair {
    double key, value;
};

static int compare_pairs(const void *a, const void *b)
{
    double x = ((const struct pair *)a)->key, y = ((const struct pair *)b)->key;
    return (x > y) - (x < y);
}

struct dictionary {
    struct px_ints integers;
    struct px_doubles floats, values;
    PX_VEC(struct pair) pairs;
    double otherwise;
};

static void free_dictionary(struct dictionary *d)
{
    px_vec_free(&d->integers);
    px_vec_free(&d->floats);
    px_vec_free(&d->values);
    px_vec_free(&d->pairs);
}

static enum px_code read_dictionary(struct px_onnx_graph *graph, struct dictionary *d,
                                    struct px_err *err)
{
    const struct px_onnx_model *model = graph->model;
    d->otherwise = -0.0; /* the standard's default_float */
    enum px_code code = px_onnx_get_ints(model, graph->node, "keys_int64s", &d->integers, err);
    if (code == PX_OK)
        code = px_onnx_get_floats(model, graph->node, "keys_floats", &d->floats, err);
    if (code == PX_OK)
        code = px_onnx_get_floats(model, graph->node, "values_floats", &d->values, err);
    if (code == PX_OK)
        code = px_onnx_get_float(model, graph->node, "default_float", &d->otherwise, err);
    if (code != PX_OK)
        return code;
    size_t n = d->integers.len ? d->integers.len : d->floats.len;
    if (n == 0 || n != d->values.len)
        return px_onnx_refuse(graph, "is no table from numbers to floats", err);
    if (!px_vec_reserve(&d->pairs, n))
        return px_ir_no_memory(err);
    for (size_t i = 0; i < n; i++)
        d->pairs.items[i] =
            (struct pair){d->integers.len ? (double)d->integers.items[i] : d->floats.items[i],
                          d->values.items[i]};
    d->pairs.len = n;
    qsort(d->pairs.items, n, sizeof *d->pairs.items, compare_pairs);
    for (size_t i = 0; i < n; i++) {
        if (isnan(d->pairs.items[i].key) ||
            (i && d->pairs.items[i].key == d->pairs.items[i - 1].key))
            return px_onnx_refuse(graph, "has a key twice", err);
    }
    return PX_OK;
}

static enum px_code encode(struct px_onnx_graph *graph, const struct dictionary *d,
                           const struct px_onnx_value *from, struct px_onnx_value *ret,
                           struct px_err *err)
{
    double *numbers = new_numbers(graph, from->n);
    if (!numbers)
        return px_onnx_no_room(graph, err);
    for (size_t i = 0; i < from->n; i++) {
        const struct pair key = {.key = from->numbers[i]};
        const struct pair *found = NULL; /* NaN equals no key, though the order takes it for any */
        if (!isnan(key.key))
            found = bsearch(&key, d->pairs.items, d->pairs.len, sizeof key, compare_pairs);
        numbers[i] = found ? found->value : d->otherwise;
    }
    *ret = *from;
    ret->numbers = numbers;
    ret->type = PX_ONNX_FLOAT;
    return PX_OK;
}

enum px_code px_onnx_table_encode(struct px_onnx_graph *graph, const struct px_onnx_value *from,
                                  struct px_onnx_value *ret, struct px_err *err)
{
    struct dictionary d = {0};
    enum px_code code = read_dictionary(graph, &d, err);
    bool integers = from->type == PX_ONNX_INT64;
    if (code == PX_OK && integers != (d.integers.len != 0))
        code = px_onnx_refuse(graph, "has keys of another type than its input", err);
    if (code == PX_OK)
        code = encode(graph, &d, from, ret, err);
    free_dictionary(&d);
    return code;
}

enum px_code px_onnx_table_as_scores(struct px_onnx_graph *graph, const struct px_onnx_value *table,
                                     struct px_onnx_value *ret, struct px_err *err)
{
    struct px_onnx_term *term = px_arena_alloc(&graph->arena, 1, sizeof *term);
    struct px_onnx_scores *scores = px_arena_zalloc(&graph->arena, 1, sizeof *scores);
    if (!term || !scores)
        return px_onnx_no_room(graph, err);
    if (!is_real(table->type))
        return px_onnx_refuse_node(graph, err);
    *term = (struct px_onnx_term){table->ensemble, table->numbers};
    *scores = (struct px_onnx_scores){.terms = term, .n_terms = 1, .n_targets = 1};
    scores->wide = table->type == PX_ONNX_DOUBLE;
    *ret = (struct px_onnx_value){.kind = PX_ONNX_SCORES, .type = table->type, .scores = scores};
    return PX_OK;
}
