/* SPDX-License-Identifier: Apache-2.0 */
/* What stands behind the trees: sums of ensembles, and steps that are done to every score. */
#include "domain/forest/readers/onnx/onnx_graph.h"

#include <math.h>

/* One target, one tree: the result is a function of the leaf. */
static enum px_code single_tree_table(struct px_onnx_graph *graph, size_t number,
                                      struct px_onnx_value *ret, struct px_err *err)
{
    const struct px_onnx_ensemble *e = &graph->ensembles.items[number].ensemble;
    const struct px_onnx_tree *tree = &e->trees.items[0];
    double base = e->base.len ? e->base.items[0] : 0.0;
    double *numbers = px_arena_alloc(&graph->arena, tree->n_rows + 1, sizeof *numbers);
    if (!numbers)
        return px_onnx_no_room(graph, err);
    for (size_t i = 0; i < tree->n_rows; i++) {
        numbers[i] = px_step_compute(PX_STEP_ADD, !e->wide, e->values.items[i], base);
        if (e->float_result)
            numbers[i] = (double)(float)numbers[i];
    }
    *ret =
        (struct px_onnx_value){.kind = PX_ONNX_TABLE,
                               .type = e->float_result || !e->wide ? PX_ONNX_FLOAT : PX_ONNX_DOUBLE,
                               .n = tree->n_rows,
                               .numbers = numbers,
                               .ensemble = number};
    return PX_OK;
}

enum px_code px_onnx_ensemble_value(struct px_onnx_graph *graph, size_t ensemble,
                                    struct px_onnx_value *ret, struct px_err *err)
{
    const struct px_onnx_ensemble *e = &graph->ensembles.items[ensemble].ensemble;
    if (!e->classifier && e->n_targets == 1 && e->trees.len == 1 && e->post != PX_ONNX_POST_PROBIT)
        return single_tree_table(graph, ensemble, ret, err);
    struct px_onnx_term *term = px_arena_zalloc(&graph->arena, 1, sizeof *term);
    struct px_onnx_scores *scores = px_arena_zalloc(&graph->arena, 1, sizeof *scores);
    if (!term || !scores)
        return px_onnx_no_room(graph, err);
    term->ensemble = ensemble;
    *scores = (struct px_onnx_scores){.terms = term, .n_terms = 1, .n_targets = e->n_targets};
    *ret =
        (struct px_onnx_value){.kind = PX_ONNX_SCORES,
                               .type = e->float_result || !e->wide ? PX_ONNX_FLOAT : PX_ONNX_DOUBLE,
                               .scores = scores};
    return PX_OK;
}

static struct px_onnx_scores *copy_scores(struct px_onnx_graph *graph,
                                          const struct px_onnx_scores *from)
{
    struct px_onnx_scores *copy = px_arena_alloc(&graph->arena, 1, sizeof *copy);
    if (copy)
        *copy = *from;
    return copy;
}

static const struct px_onnx_ensemble *first_ensemble(const struct px_onnx_graph *graph,
                                                     const struct px_onnx_scores *scores)
{
    return &graph->ensembles.items[scores->terms[0].ensemble].ensemble;
}

/* Is it nothing but a sum: no transform, no step, no average? */
static bool is_plain_sum(const struct px_onnx_graph *graph, const struct px_onnx_scores *scores)
{
    const struct px_onnx_ensemble *e = first_ensemble(graph, scores);
    bool transformed = e->post != PX_ONNX_POST_NONE &&
                       !(e->n_targets == 1 && !e->classifier && e->post != PX_ONNX_POST_PROBIT);
    return !e->classifier && !transformed && e->aggregate == PX_ONNX_SUM && scores->n_steps == 0;
}

static enum px_code add_step(struct px_onnx_graph *graph, const struct px_onnx_value *from,
                             struct px_step step, struct px_onnx_value *ret, struct px_err *err)
{
    const struct px_onnx_scores *old = from->scores;
    struct px_onnx_scores *scores = copy_scores(graph, old);
    struct px_step *steps = px_arena_alloc(&graph->arena, old->n_steps + 1, sizeof *steps);
    if (!scores || !steps)
        return px_onnx_no_room(graph, err);
    if (first_ensemble(graph, old)->classifier)
        return px_onnx_refuse(graph, "computes with the probabilities of a classifier", err);
    if (old->n_steps == PX_ONNX_STEPS_MAX)
        return px_onnx_refuse(graph, "is one step too many behind the trees", err);
    if (old->n_steps)
        memcpy(steps, old->steps, old->n_steps * sizeof *steps);
    steps[old->n_steps] = step;
    scores->steps = steps;
    scores->n_steps = old->n_steps + 1;
    *ret = *from;
    ret->scores = scores;
    return PX_OK;
}

/* Numbers that are added to the plain sum are its base, which comes last. */
static enum px_code add_base(struct px_onnx_graph *graph, const struct px_onnx_value *from,
                             const struct px_onnx_value *constant, struct px_onnx_value *ret,
                             struct px_err *err)
{
    struct px_onnx_scores *scores = copy_scores(graph, from->scores);
    double *base = px_arena_alloc(&graph->arena, from->scores->n_targets, sizeof *base);
    if (!scores || !base)
        return px_onnx_no_room(graph, err);
    for (size_t k = 0; k < scores->n_targets; k++)
        base[k] = constant->numbers[constant->n == 1 ? 0 : k];
    scores->base = base;
    *ret = *from;
    ret->scores = scores;
    return PX_OK;
}

static bool all_finite(const struct px_onnx_value *constant)
{
    for (size_t i = 0; i < constant->n; i++) {
        if (!isfinite(constant->numbers[i]))
            return false;
    }
    return constant->n > 0;
}

static bool takes_base(const struct px_onnx_graph *graph, const struct px_onnx_scores *scores)
{
    if (!is_plain_sum(graph, scores) || scores->base)
        return false;
    for (size_t i = 0; i < scores->n_terms; i++) {
        const struct px_onnx_term *term = &scores->terms[i];
        if (!term->values && graph->ensembles.items[term->ensemble].ensemble.base.len)
            return false;
    }
    return true;
}

static bool does_nothing(enum px_step_op op, const struct px_onnx_value *constant)
{
    return op == PX_STEP_MUL && constant && constant->n == 1 && constant->numbers[0] == 1.0;
}

static enum px_code compare(struct px_onnx_graph *graph, const struct px_onnx_operation *operation,
                            struct px_onnx_value *ret, struct px_err *err)
{
    const struct px_onnx_value *scores = operation->a, *limit = operation->b;
    if (!limit || limit->kind != PX_ONNX_CONSTANT || limit->n != 1 ||
        scores->kind != PX_ONNX_SCORES || scores->scores->n_targets != 1 ||
        operation->op == PX_STEP_EQUAL || isnan(limit->numbers[0]))
        return px_onnx_refuse_node(graph, err);
    *ret = (struct px_onnx_value){.kind = PX_ONNX_DECISION,
                                  .type = PX_ONNX_BOOL,
                                  .scores = scores->scores,
                                  .compare = operation->op,
                                  .limit = limit->numbers[0],
                                  .yes = 1.0,
                                  .no = 0.0};
    return PX_OK;
}

enum px_code px_onnx_scores_step(struct px_onnx_graph *graph,
                                 const struct px_onnx_operation *operation,
                                 struct px_onnx_value *ret, struct px_err *err)
{
    const struct px_onnx_value *a = operation->a, *b = operation->b;
    enum px_step_op op = operation->op;
    bool reversed = a->kind == PX_ONNX_CONSTANT;
    const struct px_onnx_value *from = reversed ? b : a, *constant = reversed ? a : b;
    bool one_or_each = !constant || constant->n == 1 || constant->n == from->scores->n_targets;
    if (constant && (constant->kind != PX_ONNX_CONSTANT || constant->type != from->type ||
                     !one_or_each || !all_finite(constant)))
        return px_onnx_refuse_node(graph, err);
    if (op == PX_STEP_EQUAL || op == PX_STEP_GREATER || op == PX_STEP_LESS)
        return compare(graph, operation, ret, err);
    if (does_nothing(op, constant)) {
        *ret = *from;
        return PX_OK;
    }
    if (op == PX_STEP_ADD && takes_base(graph, from->scores))
        return add_base(graph, from, constant, ret, err);
    if (constant && constant->n != 1)
        return px_onnx_refuse(graph, "has one number per output, where one for all is served", err);
    struct px_step step = {.op = op,
                           .single = from->type == PX_ONNX_FLOAT,
                           .reversed = reversed,
                           .constant = constant ? constant->numbers[0] : 0.0};
    return add_step(graph, from, step, ret, err);
}

enum px_code px_onnx_scores_cast(struct px_onnx_graph *graph, const struct px_onnx_value *from,
                                 int type, struct px_onnx_value *ret, struct px_err *err)
{
    if (type != PX_ONNX_FLOAT && type != PX_ONNX_DOUBLE)
        return px_onnx_refuse_node(graph, err);
    *ret = *from;
    ret->type = type;
    if (type == from->type || first_ensemble(graph, from->scores)->classifier ||
        type == PX_ONNX_DOUBLE)
        return PX_OK;
    const struct px_step round = {.op = PX_STEP_ROUND, .single = true};
    enum px_code code = add_step(graph, from, round, ret, err);
    ret->type = type;
    return code;
}

/* What a term contributes to the base: nothing when its own is in its table. */
static void sum_base(const struct px_onnx_scores *scores, double *base)
{
    for (size_t k = 0; scores->base && k < scores->n_targets; k++)
        base[k] += scores->base[k];
}

static enum px_code check_operand(struct px_onnx_graph *graph, const struct px_onnx_value *inputs,
                                  size_t i, struct px_err *err)
{
    if (inputs[i].kind != PX_ONNX_SCORES || inputs[i].type != inputs[0].type)
        return px_onnx_refuse_node(graph, err);
    if (inputs[i].scores->n_targets != inputs[0].scores->n_targets ||
        !is_plain_sum(graph, inputs[i].scores))
        return px_onnx_refuse(graph, "adds what are not plain sums of trees", err);
    return PX_OK;
}

/*
 * An ensemble may be one term of a sum. Else twenty nodes that add a sum to itself would ask for a million
 * times the trees of the file.
 */
static enum px_code check_distinct(struct px_onnx_graph *graph, const struct px_onnx_scores *scores,
                                   struct px_err *err)
{
    for (size_t i = 0; i < scores->n_terms; i++) {
        struct px_onnx_used_ensemble *used = &graph->ensembles.items[scores->terms[i].ensemble];
        if (used->in_sum == graph->n_sums)
            return px_onnx_refuse(graph, "adds the trees of one ensemble twice", err);
        used->in_sum = graph->n_sums;
    }
    return PX_OK;
}

/* Sums of sums are one sum: the trees of all, in order. */
enum px_code px_onnx_scores_sum(struct px_onnx_graph *graph, const struct px_onnx_value *inputs,
                                size_t n, struct px_onnx_value *ret, struct px_err *err)
{
    size_t n_terms = 0;
    graph->n_sums++;
    for (size_t i = 0; i < n; i++) {
        enum px_code code = check_operand(graph, inputs, i, err);
        if (code == PX_OK)
            code = check_distinct(graph, inputs[i].scores, err);
        if (code != PX_OK)
            return code;
        n_terms += inputs[i].scores->n_terms;
    }
    struct px_onnx_term *terms = px_arena_alloc(&graph->arena, n_terms, sizeof *terms);
    struct px_onnx_scores *scores = copy_scores(graph, inputs[0].scores);
    double *base = px_arena_zalloc(&graph->arena, inputs[0].scores->n_targets, sizeof *base);
    if (!terms || !scores || !base)
        return px_onnx_no_room(graph, err);
    n_terms = 0;
    for (size_t i = 0; i < n; i++) {
        const struct px_onnx_scores *from = inputs[i].scores;
        memcpy(&terms[n_terms], from->terms, from->n_terms * sizeof *terms);
        n_terms += from->n_terms;
        sum_base(from, base);
        scores->wide = scores->wide || from->wide;
    }
    scores->terms = terms;
    scores->n_terms = n_terms;
    scores->base = base;
    scores->wide = scores->wide || inputs[0].type == PX_ONNX_DOUBLE;
    *ret = inputs[0];
    ret->scores = scores;
    return PX_OK;
}
