/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing: the graph is read with a resolver that opens the model of each step, so that a graph whose models do not fit together
 * never becomes an engine. Whether steps that name the same model share it is the sources' business.
 */
#include "application/graph/graph_run.h"

#include "application/execution/executor.h"
#include "application/sequences/sequence_engine.h"
#include "shared/alloc.h"
#include "shared/unconst.h"

static struct px_graph_engine *engine_of(const struct px_engine *engine)
{
    return px_unconst(engine);
}

/* ---- opening steps ---- */

static enum px_code check_engine(const struct px_engine *engine, struct px_str path,
                                 struct px_err *err)
{
    if (px_engine_has(engine, PX_ENGINE_TENSORS) && px_engine_has(engine, PX_ENGINE_ASYNC))
        return PX_OK;
    return px_err_set(err, PX_E_UNSUPPORTED, "engine '%s' of '%.*s' does not take runs of tensors",
                      px_engine_name(engine), PX_STR_ARG(path));
}

static enum px_code open_model(struct px_graph_engine *e, const struct px_graph *graph, size_t at,
                               struct px_graph_resolved *ret, struct px_err *err)
{
    struct px_str path = graph->steps[at].what;
    struct px_graph_part *part = &e->parts[at];
    enum px_code code = e->sources.open(e->sources.context, path, &part->model, err);
    if (code == PX_OK)
        code = check_engine(part->model.engine, path, err);
    if (code != PX_OK)
        return code;
    const struct px_engine *engine = part->model.engine;
    *ret = (struct px_graph_resolved){engine->takes, engine->gives,
                                      px_engine_has(engine, PX_ENGINE_BATCHES)};
    return PX_OK;
}

static enum px_code open_processor(struct px_graph_engine *e, const struct px_graph_step *step,
                                   struct px_graph_part *part, const struct px_tensor_specs *inputs,
                                   struct px_graph_resolved *ret, struct px_err *err)
{
    const struct px_processor_kind *kind = px_processor_kind_find(step->what, err);
    if (!kind)
        return PX_E_UNKNOWN_OPTION;
    struct px_tensor_spec *named = px_arena_alloc(e->arena, inputs->n, sizeof *named);
    if (!named)
        return px_arena_check(e->arena, "the graph", err);
    memcpy(named, inputs->list, inputs->n * sizeof *named);
    for (size_t i = 0; i < inputs->n; i++)
        named[i].name = named[i].name.len ? named[i].name : px_str("input");
    const struct px_processor_source source = {.settings = step->settings,
                                               .inputs = {named, inputs->n},
                                               .arena = e->arena,
                                               .read_file = e->sources.read_file,
                                               .context = e->sources.context};
    enum px_code code = kind->create(&source, &part->processor, err);
    if (code != PX_OK)
        return code;
    const struct px_processor *processor = part->processor;
    if (processor->takes.n > PX_PROCESSOR_INPUTS_MAX ||
        processor->gives.n > PX_PROCESSOR_OUTPUTS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "processor '%s' takes %zu and gives %zu tensors",
                          kind->name, processor->takes.n, processor->gives.n);
    *ret = (struct px_graph_resolved){processor->takes, processor->gives, processor->row_wise};
    return PX_OK;
}

static enum px_code resolve(void *context, const struct px_graph *graph, size_t at,
                            const struct px_tensor_specs *inputs, struct px_graph_resolved *ret,
                            struct px_err *err)
{
    struct px_graph_engine *e = context;
    const struct px_graph_step *step = &graph->steps[at];
    return step->kind == PX_GRAPH_MODEL ? open_model(e, graph, at, ret, err)
                                        : open_processor(e, step, &e->parts[at], inputs, ret, err);
}

/* ---- the engine ---- */

static size_t find_place(const struct px_tensor_specs *specs, struct px_str name)
{
    size_t i = 0;
    while (i < specs->n && !px_str_eq(specs->list[i].name, name))
        i++;
    PX_ASSERT(i < specs->n);
    return i;
}

/* Where the tensors of a processor's step are in its own lists. */
static enum px_code place_tensors(struct px_graph_engine *e, size_t at, struct px_err *err)
{
    const struct px_graph_step *step = &e->graph->steps[at];
    struct px_graph_part *part = &e->parts[at];
    part->input_places = px_arena_alloc(e->arena, step->n_inputs, sizeof *part->input_places);
    part->output_places = px_arena_alloc(e->arena, step->gives.n, sizeof *part->output_places);
    if (!part->input_places || !part->output_places)
        return px_arena_check(e->arena, "the graph", err);
    for (size_t i = 0; i < step->n_inputs; i++)
        part->input_places[i] = find_place(&part->processor->takes, step->takes.list[i].name);
    for (size_t i = 0; i < step->gives.n; i++)
        part->output_places[i] = find_place(&part->processor->gives, step->engine_names[i]);
    return PX_OK;
}

static void destroy(struct px_engine *engine)
{
    struct px_graph_engine *e = engine_of(engine);
    pthread_mutex_lock(&e->mutex);
    while (e->n_left > 0)
        pthread_cond_wait(&e->none_left, &e->mutex);
    pthread_mutex_unlock(&e->mutex);
    for (struct px_graph_run *g = e->spare, *next; g; g = next) {
        next = g->next_spare;
        px_graph_run_destroy(g);
    }
    for (size_t i = 0; i < PX_GRAPH_STEPS_MAX; i++) {
        if (e->parts[i].model.engine)
            e->sources.close(e->sources.context, &e->parts[i].model);
    }
    if (e->holds_timers)
        px_timers_release();
    if (e->holds_pool)
        px_graph_pool_release();
    pthread_cond_destroy(&e->none_left);
    pthread_mutex_destroy(&e->mutex);
    px_free(e);
}

static void drain(struct px_engine *engine)
{
    struct px_graph_engine *e = engine_of(engine);
    for (size_t i = 0; i < PX_GRAPH_STEPS_MAX; i++) {
        if (e->parts[i].model.engine)
            px_engine_drain(e->parts[i].model.engine);
    }
}

/* Late steps that were left count, here and in graphs that are steps. */
static bool is_idle(struct px_engine *engine)
{
    struct px_graph_engine *e = engine_of(engine);
    pthread_mutex_lock(&e->mutex);
    bool idle = e->n_left == 0;
    pthread_mutex_unlock(&e->mutex);
    for (size_t i = 0; i < PX_GRAPH_STEPS_MAX && idle; i++)
        idle = !e->parts[i].model.engine || px_engine_is_idle(e->parts[i].model.engine);
    return idle;
}

/* Does the request, or another step, wait for this one in every run, with nothing to stand in for it? */
static bool is_indispensable(const struct px_graph *graph, uint64_t needed, size_t at)
{
    const struct px_graph_step *step = &graph->steps[at];
    return (needed >> at & 1) && step->fallback.kind == PX_GRAPH_NOTHING;
}

/* Steps that every run computes: those that outputs and conditions come from, and what these need. */
static uint64_t find_needed(const struct px_graph *graph)
{
    uint64_t needed = 0;
    if (graph->n_exits) /* a row may never come further than what the first one reads */
        needed = graph->exits[0].when->needs;
    for (size_t i = 0; i < graph->gives.n && graph->n_exits == 0; i++) {
        int step = graph->outputs[i].from.source.step;
        needed |= step == PX_GRAPH_INPUT ? 0 : UINT64_C(1) << step;
    }
    for (size_t i = graph->n_steps; i-- > 0;) {
        unsigned at = graph->order[i];
        const struct px_graph_step *step = &graph->steps[at];
        if (is_indispensable(graph, needed, at))
            needed |= step->when ? step->when->needs : step->needs;
    }
    return needed;
}

/* It is not while a model that every request needs is not: one without a fallback and without a condition. */
static bool is_able(struct px_engine *engine, struct px_err *err)
{
    struct px_graph_engine *e = engine_of(engine);
    uint64_t needed = find_needed(e->graph);
    for (size_t i = 0; i < e->graph->n_steps; i++) {
        const struct px_graph_step *step = &e->graph->steps[i];
        struct px_engine *model = e->parts[i].model.engine;
        if (!model || step->when || !is_indispensable(e->graph, needed, i) ||
            px_engine_is_able(model, err))
            continue;
        px_err_wrap(err, "step '%.*s'", PX_STR_ARG(step->name));
        return false;
    }
    return true;
}

const struct px_engine *px_graph_step_model(const struct px_engine *engine, size_t at)
{
    return px_graph_of_engine(engine) && at < PX_GRAPH_STEPS_MAX
               ? engine_of(engine)->parts[at].model.engine
               : NULL;
}

/* How the runs of a step's model are put together: of its queue, or of the steps of a graph inside. */
static void put_batching(const void *context, size_t at, struct px_json_writer *json)
{
    const struct px_engine *model = px_graph_step_model(context, at);
    struct px_executor_report report;
    if (!model)
        return;
    const struct px_engine *inner = px_sequence_engine_inner(model);
    model = inner ? inner : model;
    const struct px_graph *graph = px_graph_of_engine(model);
    if (px_executor_report(model, &report))
        px_executor_put_batching(&report, json);
    if (!graph)
        return;
    px_json_key(json, "steps");
    px_json_begin_array(json);
    for (size_t i = 0; i < graph->n_steps; i++) {
        px_json_begin_object(json);
        px_json_member_str(json, "name", graph->steps[i].name);
        put_batching(model, i, json); /* as deep as graphs may be nested */
        px_json_end_object(json);
    }
    px_json_end_array(json);
}

static void describe(const struct px_engine *engine, struct px_json_writer *json)
{
    px_graph_put_json(engine_of(engine)->graph, &(struct px_graph_step_notes){put_batching, engine},
                      json);
}

static const struct px_engine_ops graph_ops = {
    .abi = PX_ENGINE_ABI,
    .caps = PX_ENGINE_TENSORS | PX_ENGINE_ASYNC,
    .name = "graph",
    .start = px_graph_start,
    .cancel = px_graph_cancel,
    .describe = describe,
    .is_idle = is_idle,
    .drain = drain,
    .is_able = is_able,
    .destroy = destroy,
};

/* What the steps can do together, and what they need. */
static enum px_code settle_abilities(struct px_graph_engine *e, struct px_err *err)
{
    bool timed = false;
    enum px_code code = PX_OK;
    if (e->graph->row_wise)
        e->ops.caps |= PX_ENGINE_BATCHES;
    for (size_t i = 0; i < e->graph->n_steps && code == PX_OK; i++) {
        const struct px_engine *model = e->parts[i].model.engine;
        timed |= e->graph->steps[i].timeout_ns != 0;
        if (model && px_engine_has(model, PX_ENGINE_SEQUENCES))
            e->ops.caps |= PX_ENGINE_SEQUENCES;
        if (e->parts[i].processor)
            code = place_tensors(e, i, err);
    }
    if (code == PX_OK) {
        code = px_graph_pool_hold(err);
        e->holds_pool = code == PX_OK;
    }
    if (code == PX_OK && timed) {
        code = px_timers_hold(err);
        e->holds_timers = code == PX_OK;
    }
    return code;
}

enum px_code px_graph_engine_create(struct px_str yaml, const struct px_graph_sources *sources,
                                    struct px_arena *arena, struct px_engine **ret,
                                    struct px_err *err)
{
    struct px_graph_engine *e = px_alloc(1, sizeof *e);
    if (!e)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a graph");
    e->ops = graph_ops;
    e->base.ops = &e->ops;
    e->sources = *sources;
    e->arena = arena;
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->none_left, NULL);
    const struct px_graph_resolver resolver = {resolve, e};
    enum px_code code = px_graph_read(yaml, &resolver, arena, &e->graph, err);
    if (code == PX_OK)
        code = settle_abilities(e, err);
    if (code != PX_OK) {
        destroy(&e->base);
        return code;
    }
    e->base.takes = e->graph->takes;
    e->base.gives = e->graph->gives;
    *ret = &e->base;
    return PX_OK;
}

const struct px_graph *px_graph_of_engine(const struct px_engine *engine)
{
    return engine->ops->destroy == destroy ? engine_of(engine)->graph : NULL;
}
