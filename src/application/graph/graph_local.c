/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps that are computed here: processors and combiners. One that is small is computed by the driver, in the run's own memory; any other
 * is a flight on the pool, in memory of the flight, so that the driver goes on with other branches and hears of cancels meanwhile.
 */
#include "application/graph/graph_run.h"

static enum px_code combine(const struct px_graph_local *local, struct px_err *err)
{
    const struct px_graph_step *spec = &local->engine->graph->steps[local->step];
    const struct px_tensor *inputs[PX_GRAPH_TENSORS_MAX];
    for (size_t i = 0; i < spec->n_inputs; i++)
        inputs[i] = local->inputs[i].type == PX_TYPE_NONE ? NULL : &local->inputs[i];
    return px_graph_combine(spec->combiner, inputs, spec->n_inputs, local->arena,
                            &local->outputs[0], err);
}

static enum px_code process(const struct px_graph_local *local, struct px_err *err)
{
    const struct px_graph_step *spec = &local->engine->graph->steps[local->step];
    const struct px_graph_part *part = &local->engine->parts[local->step];
    struct px_tensor inputs[PX_PROCESSOR_INPUTS_MAX] = {{.type = PX_TYPE_NONE}};
    struct px_tensor outputs[PX_PROCESSOR_OUTPUTS_MAX] = {{.type = PX_TYPE_NONE}};
    for (size_t i = 0; i < spec->n_inputs; i++)
        inputs[part->input_places[i]] = local->inputs[i];
    enum px_code code = part->processor->apply(part->processor, inputs, outputs, local->arena, err);
    for (size_t i = 0; i < spec->gives.n && code == PX_OK; i++)
        local->outputs[i] = outputs[part->output_places[i]];
    return code;
}

enum px_code px_graph_compute(const struct px_graph_local *local, struct px_err *err)
{
    bool combines = local->engine->graph->steps[local->step].kind == PX_GRAPH_COMBINE;
    return combines ? combine(local, err) : process(local, err);
}

/* The tensor of an input; cut to the chosen rows when the step computes only those. PX_TYPE_NONE: it is absent. */
static enum px_code fetch_input(struct px_graph_run *g, unsigned step, size_t i,
                                struct px_tensor *ret, struct px_err *err)
{
    const struct px_graph_step *spec = &g->engine->graph->steps[step];
    if (!px_graph_tensor(g, spec->inputs[i].from.source)) {
        *ret = (struct px_tensor){.type = PX_TYPE_NONE};
        return PX_OK;
    }
    enum px_code code = px_graph_take_input(g, step, i, ret, err);
    if (code != PX_OK || spec->kind == PX_GRAPH_COMBINE)
        return code;
    px_graph_shape_column(ret, &spec->takes.list[i]);
    return px_tensor_check_spec(ret, &spec->takes.list[i], err);
}

static enum px_code fetch_inputs(struct px_graph_run *g, unsigned step, struct px_tensor *ret,
                                 struct px_err *err)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; i < g->engine->graph->steps[step].n_inputs && code == PX_OK; i++)
        code = fetch_input(g, step, i, &ret[i], err);
    return code;
}

enum px_code px_graph_compute_step(struct px_graph_run *g, unsigned step, struct px_err *err)
{
    struct px_tensor *inputs = g->flights[step].inputs;
    enum px_code code = fetch_inputs(g, step, inputs, err);
    if (code != PX_OK)
        return code;
    size_t n_inputs = g->engine->graph->steps[step].n_inputs;
    struct px_graph_work work = px_graph_expect_work(g, step, inputs, n_inputs);
    if (!px_graph_is_small(g, &work))
        return px_graph_send_off(g, step, work.units, err);
    const struct px_graph_local local = {g->engine, step, inputs, g->steps[step].tensors,
                                         g->run->arena};
    px_graph_begin_work(g, &work);
    code = px_graph_compute(&local, err);
    px_graph_end_work(&work);
    if (code == PX_OK)
        px_graph_step_computed(g, step);
    return code;
}
