/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Types and shapes of everything, step by step in the order of the graph: what a step is given, what the resolver makes of it, what comes
 * out, and whether its substitutes can stand in for that.
 *
 * Of a tensor that a run may not have (`spec.optional`) it is known here where that would leave a hole: models need their inputs,
 * substitutes and the outputs of the graph must always be there.
 */
#include "domain/graph/combine.h"
#include "domain/graph/condition.h"
#include "shared/unconst.h"

static struct px_str tensor_name(struct px_str reference)
{
    px_str_cut(&reference, '.');
    return reference.ptr ? reference : px_str("");
}

/* Looks up "step.output"; "step" alone is its only output. */
static enum px_code find_output(struct px_graph_reading *r, struct px_graph_reference *reference)
{
    const struct px_graph_step *step = &r->graph->steps[reference->source.step];
    struct px_str names[PX_GRAPH_TENSORS_MAX], name = tensor_name(reference->text);
    for (size_t i = 0; i < step->gives.n; i++) {
        names[i] = step->gives.list[i].name;
        if (px_str_eq(names[i], name) || (name.len == 0 && step->gives.n == 1)) {
            reference->source.tensor = (unsigned)i;
            return PX_OK;
        }
    }
    if (name.len == 0)
        px_err_set(r->err, PX_E_INVALID,
                   "line %u: step '%.*s' has %zu outputs: say which, as %.*s.%.*s", reference->line,
                   PX_STR_ARG(step->name), step->gives.n, PX_STR_ARG(step->name),
                   PX_STR_ARG(names[0]));
    else
        px_err_set(r->err, PX_E_INVALID, "line %u: step '%.*s' has no output '%.*s'",
                   reference->line, PX_STR_ARG(step->name), PX_STR_ARG(name));
    if (name.len && !px_err_suggest(r->err, name, names, step->gives.n))
        px_err_hint(r->err, "its first output is '%.*s'", PX_STR_ARG(names[0]));
    return PX_E_INVALID;
}

enum px_code px_graph_find_tensor(struct px_graph_reading *r, struct px_graph_reference *reference)
{
    struct px_graph_source *source = &reference->source;
    if (source->step == PX_GRAPH_INPUT) { /* of the graph; or one that has not been looked up yet */
        for (size_t i = 0; i < r->graph->takes.n; i++) {
            if (px_str_eq(r->graph->takes.list[i].name, reference->text)) {
                source->tensor = (unsigned)i;
                return PX_OK;
            }
        }
        struct px_str rest = reference->text, name = px_str_cut(&rest, '.');
        for (size_t i = 0; i < r->graph->n_steps; i++) {
            if (px_str_eq(r->graph->steps[i].name, name))
                source->step = (int)i;
        }
    }
    PX_ASSERT(source->step != PX_GRAPH_INPUT);
    enum px_code code = find_output(r, reference);
    if (code == PX_OK)
        r->graph->steps[source->step].used |= UINT64_C(1) << source->tensor;
    return code;
}

/* ---- inputs of a step ---- */

/* The specs of what the step will be given, under the names of its inputs. */
static enum px_code find_inputs(struct px_graph_reading *r, struct px_graph_step *step,
                                struct px_tensor_specs *ret)
{
    struct px_tensor_spec *specs = px_arena_zalloc(r->arena, step->n_inputs, sizeof *specs);
    if (!specs)
        return px_graph_fail_memory(r);
    for (size_t i = 0; i < step->n_inputs; i++) {
        enum px_code code = px_graph_find_tensor(r, &step->inputs[i].from);
        if (code != PX_OK)
            return code;
        specs[i] = *px_graph_spec(r->graph, step->inputs[i].from.source);
        specs[i].name = step->inputs[i].name;
    }
    *ret = (struct px_tensor_specs){specs, step->n_inputs};
    return PX_OK;
}

static enum px_code fail_input_name(struct px_graph_reading *r, const struct px_graph_step *step,
                                    const struct px_graph_link *link,
                                    const struct px_tensor_specs *takes)
{
    struct px_str names[PX_GRAPH_TENSORS_MAX];
    size_t n = takes->n < PX_GRAPH_TENSORS_MAX ? takes->n : PX_GRAPH_TENSORS_MAX;
    for (size_t i = 0; i < n; i++)
        names[i] = takes->list[i].name;
    if (link->name.len == 0)
        return px_err_set(r->err, PX_E_INVALID,
                          "line %u: step '%.*s' takes %zu inputs: name them, as {%.*s: %.*s}",
                          link->from.line, PX_STR_ARG(step->name), takes->n,
                          PX_STR_ARG(n ? names[0] : px_str("x")), PX_STR_ARG(link->from.text));
    px_err_set(r->err, PX_E_INVALID, "line %u: step '%.*s' has no input '%.*s'", link->from.line,
               PX_STR_ARG(step->name), PX_STR_ARG(link->name));
    if (n && !px_err_suggest(r->err, link->name, names, n))
        px_err_hint(r->err, "its first input is '%.*s'", PX_STR_ARG(names[0]));
    return PX_E_INVALID;
}

/* The spec that an input without a name means: the only one that is needed, else the one called `input`. */
static const struct px_tensor_spec *find_only(const struct px_tensor_specs *takes)
{
    const struct px_tensor_spec *needed = NULL;
    size_t n_needed = 0;
    for (size_t i = 0; i < takes->n; i++) {
        if (!takes->list[i].optional) {
            needed = &takes->list[i];
            n_needed++;
        }
    }
    if (n_needed == 0)
        return takes->n == 1 ? &takes->list[0] : px_tensor_specs_find(takes, px_str("input"));
    return n_needed == 1 ? needed : NULL;
}

static enum px_code check_input(struct px_graph_reading *r, const struct px_graph_step *step,
                                struct px_graph_link *link, const struct px_tensor_spec *spec)
{
    char expected[PX_TENSOR_SHAPE_TEXT_MAX], got[PX_TENSOR_SHAPE_TEXT_MAX];
    const struct px_tensor_spec *from = px_graph_spec(r->graph, link->from.source);
    link->name = spec->name;
    link->optional = spec->optional;
    if (from->type == spec->type && px_graph_shapes_fit(from, spec))
        return PX_OK;
    return px_err_set(r->err, PX_E_INVALID,
                      "line %u: input '%.*s' of step '%.*s' is %s %s, but '%.*s' is %s %s",
                      link->from.line, PX_STR_ARG(spec->name), PX_STR_ARG(step->name),
                      px_datatype_name(spec->type), px_tensor_spec_shape_text(spec, expected),
                      PX_STR_ARG(link->from.text), px_datatype_name(from->type),
                      px_tensor_spec_shape_text(from, got));
}

/* Matches the links of a step with what it takes; `takes` of the step is in the order of its links. */
static enum px_code check_inputs(struct px_graph_reading *r, struct px_graph_step *step,
                                 const struct px_tensor_specs *takes)
{
    struct px_tensor_spec *specs = px_arena_zalloc(r->arena, step->n_inputs, sizeof *specs);
    if (!specs)
        return px_graph_fail_memory(r);
    for (size_t i = 0; i < step->n_inputs; i++) {
        struct px_graph_link *link = &step->inputs[i];
        const struct px_tensor_spec *spec =
            link->name.len ? px_tensor_specs_find(takes, link->name) : find_only(takes);
        if (!spec)
            return fail_input_name(r, step, link, takes);
        enum px_code code = check_input(r, step, link, spec);
        if (code != PX_OK)
            return code;
        specs[i] = *spec;
    }
    step->takes = (struct px_tensor_specs){specs, step->n_inputs};
    for (size_t i = 0; i < takes->n; i++) {
        if (!takes->list[i].optional && !px_tensor_specs_find(&step->takes, takes->list[i].name))
            return px_err_set(r->err, PX_E_INVALID, "line %u: step '%.*s' needs the input '%.*s'",
                              step->line, PX_STR_ARG(step->name), PX_STR_ARG(takes->list[i].name));
    }
    return PX_OK;
}

/* ---- outputs of a step ---- */

static enum px_code name_outputs(struct px_graph_reading *r, struct px_graph_step *step,
                                 const struct px_tensor_specs *gives)
{
    const struct px_yaml *node = step->outputs_node ? step->outputs_node->first_child : NULL;
    size_t n = step->outputs_node ? step->outputs_node->n_children : gives->n;
    if (n == 0 || n > PX_GRAPH_TENSORS_MAX)
        return px_err_set(r->err, n ? PX_E_TOO_LARGE : PX_E_INVALID,
                          "line %u: step '%.*s' has %zu outputs: list 1 to %d of them in 'outputs'",
                          step->line, PX_STR_ARG(step->name), n, PX_GRAPH_TENSORS_MAX);
    struct px_tensor_spec *specs = px_arena_zalloc(r->arena, n, sizeof *specs);
    step->engine_names = px_arena_zalloc(r->arena, n, sizeof *step->engine_names);
    if (!specs || !step->engine_names)
        return px_graph_fail_memory(r);
    for (size_t i = 0; i < n; i++) {
        struct px_str theirs = node ? node->text : gives->list[i].name;
        const struct px_tensor_spec *spec = px_tensor_specs_find(gives, theirs);
        if (!spec) {
            px_err_set(r->err, PX_E_INVALID, "line %u: the %s of step '%.*s' has no output '%.*s'",
                       node ? node->line : step->line, px_graph_kind_name(step->kind),
                       PX_STR_ARG(step->name), PX_STR_ARG(theirs));
            return px_err_hint(r->err, "its first output is '%.*s'",
                               PX_STR_ARG(gives->n ? gives->list[0].name : px_str("")));
        }
        specs[i] = *spec;
        specs[i].name = node ? node->key : spec->name;
        step->engine_names[i] = spec->name;
        node = node ? node->next : NULL;
    }
    step->gives = (struct px_tensor_specs){specs, n};
    return PX_OK;
}

static bool condition_may_be_absent(const struct px_graph *graph,
                                    const struct px_graph_condition *condition)
{
    for (size_t i = 0; condition && i < condition->n_nodes; i++) {
        const struct px_graph_node *node = &condition->nodes[i];
        if (node->kind == PX_GRAPH_NODE_TENSOR &&
            px_graph_spec(graph, node->reference.source)->optional)
            return true;
    }
    return false;
}

/* Could an input be absent that the step cannot do without? Combiners but concat do with one. */
static bool inputs_may_be_absent(const struct px_graph *graph, const struct px_graph_step *step)
{
    size_t n_absent = 0, n_needed = 0;
    for (size_t i = 0; i < step->n_inputs; i++) {
        bool absent = px_graph_spec(graph, step->inputs[i].from.source)->optional;
        n_absent += absent;
        n_needed += absent && !step->inputs[i].optional;
    }
    bool leaves_out = step->combiner && step->combiner->kind != PX_GRAPH_CONCAT;
    return leaves_out ? n_absent == step->n_inputs : n_needed > 0;
}

/* Outputs that a run may lack are marked as optional, for those that refer to them. */
static void mark_absence(struct px_graph_reading *r, struct px_graph_step *step)
{
    bool skipped = step->when || condition_may_be_absent(r->graph, step->when) ||
                   inputs_may_be_absent(r->graph, step);
    step->may_be_absent = (skipped && step->otherwise.kind != PX_GRAPH_VALUES) ||
                          step->fallback.kind == PX_GRAPH_SKIP;
    struct px_tensor_spec *specs = px_unconst(step->gives.list);
    for (size_t i = 0; i < step->gives.n; i++)
        specs[i].optional = step->may_be_absent;
}

/* With a condition of rows the rows that are not chosen need a value. */
static enum px_code check_otherwise(struct px_graph_reading *r, const struct px_graph_step *step)
{
    if (!step->when || !step->when->is_rows || step->otherwise.kind == PX_GRAPH_VALUES)
        return PX_OK;
    px_err_set(r->err, PX_E_INVALID,
               "line %u: step '%.*s': the condition is true or false for each row, and rows for "
               "which it is false have no value",
               step->line, PX_STR_ARG(step->name));
    return px_err_hint(r->err, "add 'otherwise' with a step, or a value for each output");
}

/* ... and outputs need rows. */
static enum px_code check_rows(struct px_graph_reading *r, const struct px_graph_step *step)
{
    for (size_t i = 0; i < step->gives.n && step->when && step->when->is_rows; i++) {
        const struct px_tensor_spec *spec = &step->gives.list[i];
        bool rows = spec->any_rank || (spec->n_dims && spec->shape[0] == PX_DIM_ANY);
        if (!rows && step->used >> i & 1)
            return px_err_set(r->err, PX_E_INVALID,
                              "line %u: step '%.*s' has a condition per row, but its output "
                              "'%.*s' has no rows (its first dimension is not -1)",
                              step->line, PX_STR_ARG(step->name), PX_STR_ARG(spec->name));
    }
    return PX_OK;
}

/* ---- steps ---- */

static enum px_code open_combiner(struct px_graph_reading *r, struct px_graph_step *step,
                                  const struct px_tensor_specs *inputs)
{
    enum px_code code = px_graph_combiner_create(r, step, inputs, &step->combiner);
    if (code != PX_OK)
        return code;
    step->row_wise = true;
    step->takes = *inputs;
    const struct px_tensor_specs gives = {&step->combiner->gives, 1};
    return name_outputs(r, step, &gives);
}

static enum px_code open_step(struct px_graph_reading *r, size_t at,
                              const struct px_tensor_specs *inputs)
{
    struct px_graph_step *step = &r->graph->steps[at];
    struct px_graph_resolved resolved = {0};
    enum px_code code =
        r->resolver->resolve(r->resolver->context, r->graph, at, inputs, &resolved, r->err);
    if (code != PX_OK)
        return px_err_wrap(r->err, "line %u: step '%.*s'", step->line, PX_STR_ARG(step->name));
    step->row_wise = resolved.row_wise;
    code = check_inputs(r, step, &resolved.takes);
    return code == PX_OK ? name_outputs(r, step, &resolved.gives) : code;
}

static enum px_code check_step(struct px_graph_reading *r, size_t at)
{
    struct px_graph_step *step = &r->graph->steps[at];
    struct px_tensor_specs inputs;
    enum px_code code = find_inputs(r, step, &inputs);
    if (code == PX_OK && step->when)
        code = px_graph_condition_check(r, step->when);
    if (code == PX_OK)
        code = step->kind == PX_GRAPH_COMBINE ? open_combiner(r, step, &inputs)
                                              : open_step(r, at, &inputs);
    if (code == PX_OK)
        code = check_otherwise(r, step);
    if (code == PX_OK)
        mark_absence(r, step);
    return code;
}

/* What stands in for the outputs that something uses. */
static enum px_code check_ways_down(struct px_graph_reading *r, struct px_graph_step *step)
{
    const struct px_graph_replaced replaced = {&step->gives, step->used, step->name};
    enum px_code code = px_graph_check_substitute(r, &step->otherwise, &replaced);
    if (code == PX_OK)
        code = px_graph_check_substitute(r, &step->fallback, &replaced);
    return code == PX_OK ? check_rows(r, step) : code;
}

/* ---- the graph's outputs ---- */

static enum px_code check_output(struct px_graph_reading *r, size_t i)
{
    struct px_graph_output *output = &r->graph->outputs[i];
    struct px_tensor_spec *spec = px_unconst(&r->graph->gives.list[i]);
    enum px_code code = px_graph_find_tensor(r, &output->from);
    if (code != PX_OK)
        return code;
    *spec = *px_graph_spec(r->graph, output->from.source);
    spec->name = output->name;
    if (!spec->optional)
        return PX_OK;
    px_err_set(r->err, PX_E_INVALID, "line %u: output '%.*s' may be absent: '%.*s' can be skipped",
               output->from.line, PX_STR_ARG(output->name), PX_STR_ARG(output->from.text));
    return px_err_hint(r->err, "give that step 'otherwise', or combine it with 'first'");
}

static enum px_code check_exit(struct px_graph_reading *r, struct px_graph_exit *exit)
{
    const struct px_graph_replaced replaced = {&r->graph->gives, UINT64_MAX, px_str("the graph")};
    enum px_code code = px_graph_condition_check(r, exit->when);
    if (code == PX_OK)
        code = px_graph_check_substitute(r, &exit->outputs, &replaced);
    for (size_t i = 0; i < r->graph->gives.n && code == PX_OK && exit->when->is_rows; i++) {
        const struct px_tensor_spec *spec = &r->graph->gives.list[i];
        if (!spec->any_rank && (spec->n_dims == 0 || spec->shape[0] != PX_DIM_ANY))
            code = px_err_set(r->err, PX_E_INVALID,
                              "line %u: an exit with a condition per row, but output '%.*s' has no "
                              "rows (its first dimension is not -1)",
                              exit->line, PX_STR_ARG(spec->name));
    }
    return code;
}

/* Do rows not know of each other, from the inputs to the outputs? */
static bool is_row_wise(const struct px_graph *graph)
{
    bool rows = true;
    for (size_t i = 0; i < graph->n_steps; i++)
        rows &=
            graph->steps[i].row_wise && (!graph->steps[i].when || graph->steps[i].when->is_rows);
    for (size_t i = 0; i < graph->n_exits; i++)
        rows &= graph->exits[i].when->is_rows;
    for (size_t i = 0; i < graph->takes.n; i++) {
        const struct px_tensor_spec *spec = &graph->takes.list[i];
        rows &= !spec->any_rank && spec->n_dims && spec->shape[0] == PX_DIM_ANY;
    }
    return rows;
}

enum px_code px_graph_check_types(struct px_graph_reading *r)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; i < r->graph->n_steps && code == PX_OK; i++)
        code = check_step(r, r->graph->order[i]);
    for (size_t i = 0; i < r->graph->gives.n && code == PX_OK; i++)
        code = check_output(r, i);
    for (size_t i = 0; i < r->graph->n_exits && code == PX_OK; i++)
        code = check_exit(r, &r->graph->exits[i]);
    for (size_t i = r->graph->n_steps; i-- > 0 && code == PX_OK;) /* what uses a step comes first */
        code = check_ways_down(r, &r->graph->steps[r->graph->order[i]]);
    if (code == PX_OK)
        r->graph->row_wise = is_row_wise(r->graph);
    return code;
}
