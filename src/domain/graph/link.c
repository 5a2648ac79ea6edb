/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References find their steps, and the steps their order.
 *
 * An edge goes from a step to all that it can ever need: its inputs, its condition and both substitutes. So one topological order serves
 * every way a run can take, and a cycle is an error even where it would need a failure to be walked.
 */
#include "domain/graph/condition.h"
#include "domain/graph/substitute.h"

static void list_names(const struct px_graph *graph, struct px_str *names, size_t *ret_n)
{
    size_t n = 0;
    for (size_t i = 0; i < graph->takes.n; i++)
        names[n++] = graph->takes.list[i].name;
    for (size_t i = 0; i < graph->n_steps; i++)
        names[n++] = graph->steps[i].name;
    *ret_n = n;
}

static enum px_code fail_unknown(struct px_graph_reading *r, struct px_str name, unsigned line,
                                 const char *what)
{
    struct px_str names[PX_GRAPH_TENSORS_MAX + PX_GRAPH_STEPS_MAX];
    size_t n;
    list_names(r->graph, names, &n);
    px_err_set(r->err, PX_E_INVALID, "line %u: there is no %s '%.*s'", line, what,
               PX_STR_ARG(name));
    px_err_suggest(r->err, name, names, n);
    return PX_E_INVALID;
}

static int find_step(const struct px_graph *graph, struct px_str name)
{
    for (size_t i = 0; i < graph->n_steps; i++) {
        if (px_str_eq(graph->steps[i].name, name))
            return (int)i;
    }
    return PX_GRAPH_INPUT;
}

/* Fills the step of a reference, or the input of the graph; adds the step to `needs`. */
static enum px_code link_reference(struct px_graph_reading *r, struct px_graph_reference *reference,
                                   uint64_t *needs)
{
    struct px_str rest = reference->text;
    for (size_t i = 0; i < r->graph->takes.n; i++) {
        if (px_str_eq(r->graph->takes.list[i].name, reference->text)) {
            reference->source = (struct px_graph_source){PX_GRAPH_INPUT, (unsigned)i};
            r->graph->inputs_read |= UINT64_C(1) << i;
            return PX_OK;
        }
    }
    struct px_str name = px_str_cut(&rest, '.');
    int step = find_step(r->graph, name);
    if (step == PX_GRAPH_INPUT)
        return fail_unknown(r, name, reference->line, "input or step");
    reference->source = (struct px_graph_source){step, 0};
    *needs |= px_graph_bit(step);
    return PX_OK;
}

static enum px_code link_condition(struct px_graph_reading *r, struct px_graph_condition *condition)
{
    for (size_t i = 0; i < condition->n_nodes; i++) {
        struct px_graph_node *node = &condition->nodes[i];
        enum px_code code = PX_OK;
        if (node->kind == PX_GRAPH_NODE_TENSOR)
            code = link_reference(r, &node->reference, &condition->needs);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

/* "skip", the name of a step, or a mapping of values. */
static enum px_code link_substitute(struct px_graph_reading *r, struct px_graph_substitute *s)
{
    struct px_str text;
    s->step = PX_GRAPH_INPUT;
    if (!s->node)
        return PX_OK;
    s->kind = PX_GRAPH_VALUES;
    if (s->node->type == PX_YAML_SCALAR) {
        enum px_code code = px_yaml_str(s->node, &text, r->err);
        if (code != PX_OK)
            return code;
        if (px_str_is(text, "skip")) {
            s->kind = PX_GRAPH_SKIP;
            return PX_OK;
        }
        s->step = find_step(r->graph, text);
        s->needs = px_graph_bit(s->step);
        return s->step == PX_GRAPH_INPUT ? fail_unknown(r, text, s->node->line, "step") : PX_OK;
    }
    for (const struct px_yaml *node = s->node->first_child; node; node = node->next) {
        struct px_graph_reference reference = {.text = node->text, .line = node->line};
        enum px_code code = PX_OK;
        if (px_graph_is_reference(node))
            code = link_reference(r, &reference, &s->needs);
        if (code != PX_OK && r->err && !r->err->hint[0])
            px_err_hint(r->err, "a text that is a value is quoted");
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

static enum px_code link_step(struct px_graph_reading *r, struct px_graph_step *step)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; i < step->n_inputs && code == PX_OK; i++)
        code = link_reference(r, &step->inputs[i].from, &step->needs);
    if (code == PX_OK && step->when)
        code = link_condition(r, step->when);
    if (code == PX_OK)
        code = link_substitute(r, &step->otherwise);
    return code == PX_OK ? link_substitute(r, &step->fallback) : code;
}

static uint64_t all_needs(const struct px_graph_step *step)
{
    return step->needs | step->otherwise.needs | step->fallback.needs |
           (step->when ? step->when->needs : 0);
}

/* ---- order ---- */

/* A walk from a step that is on a cycle, by the first need that is also left, comes back to where it was. */
static enum px_code fail_cycle(struct px_graph_reading *r, uint64_t left)
{
    char path[256] = "";
    size_t at = 0;
    int step = __builtin_ctzll(left);
    for (size_t i = 0; i < r->graph->n_steps; i++) /* after that many steps it is on the cycle */
        step = __builtin_ctzll(all_needs(&r->graph->steps[step]) & left);
    int first = step;
    do {
        at += (size_t)snprintf(path + at, sizeof path - at, "%.*s -> ",
                               PX_STR_ARG(r->graph->steps[step].name));
        at = at < sizeof path ? at : sizeof path - 1;
        step = __builtin_ctzll(all_needs(&r->graph->steps[step]) & left);
    } while (step != first);
    return px_err_set(r->err, PX_E_INVALID, "line %u: steps need each other in a circle: %s%.*s",
                      r->graph->steps[first].line, path, PX_STR_ARG(r->graph->steps[first].name));
}

static enum px_code sort_steps(struct px_graph_reading *r)
{
    struct px_graph *graph = r->graph;
    uint64_t left = graph->n_steps == 64 ? UINT64_MAX : (UINT64_C(1) << graph->n_steps) - 1;
    size_t n = 0;
    while (left) {
        uint64_t before = left;
        for (unsigned i = 0; i < graph->n_steps; i++) {
            bool ready = (left >> i & 1) && !(all_needs(&graph->steps[i]) & left);
            if (ready) {
                graph->order[n++] = i;
                left &= ~px_graph_bit((int)i);
            }
        }
        if (left == before)
            return fail_cycle(r, left);
    }
    return PX_OK;
}

/* ---- what nothing wants ---- */

static enum px_code check_reached(struct px_graph_reading *r, uint64_t reached)
{
    const struct px_graph *graph = r->graph;
    for (size_t i = graph->n_steps; i-- > 0;) {
        unsigned step = graph->order[i];
        if (reached >> step & 1)
            reached |= all_needs(&graph->steps[step]);
    }
    for (size_t i = 0; i < graph->n_steps; i++) {
        if (reached >> i & 1)
            continue;
        px_err_set(r->err, PX_E_INVALID,
                   "line %u: step '%.*s' is not used: no output, condition or step needs it",
                   graph->steps[i].line, PX_STR_ARG(graph->steps[i].name));
        return px_err_hint(r->err, "use %.*s.OUTPUT in an output or a step, or remove the step",
                           PX_STR_ARG(graph->steps[i].name));
    }
    return PX_OK;
}

enum px_code px_graph_link(struct px_graph_reading *r)
{
    struct px_graph *graph = r->graph;
    uint64_t reached = 0;
    enum px_code code = PX_OK;
    for (size_t i = 0; i < graph->n_steps && code == PX_OK; i++)
        code = link_step(r, &graph->steps[i]);
    for (size_t i = 0; i < graph->gives.n && code == PX_OK; i++)
        code = link_reference(r, &graph->outputs[i].from, &reached);
    for (size_t i = 0; i < graph->n_exits && code == PX_OK; i++) {
        struct px_graph_exit *exit = &graph->exits[i];
        code = link_condition(r, exit->when);
        if (code == PX_OK)
            code = link_substitute(r, &exit->outputs);
        reached |= exit->when->needs | exit->outputs.needs;
    }
    if (code == PX_OK)
        code = sort_steps(r);
    return code == PX_OK ? check_reached(r, reached) : code;
}
