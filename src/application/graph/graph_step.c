/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The phases of a step (graph_run.h), in the hands of the driver.
 *
 * Demand goes from the outputs back, results go forward; a pass over the steps in each direction, until neither moves anything. What a
 * step waits for is a set of steps, so a look at a waiting step costs two ANDs.
 *
 * A failure counts only where something needs it: a step that is not chosen never looks at its inputs, and a fallback that nothing uses may
 * have failed.
 */
#include "application/graph/graph_run.h"

#include "shared/clock.h"

static uint64_t bit(unsigned step)
{
    return UINT64_C(1) << step;
}

static const struct px_graph_step *spec_of(const struct px_graph_run *g, unsigned step)
{
    return &g->engine->graph->steps[step];
}

void px_graph_want(struct px_graph_run *g, uint64_t steps)
{
    g->wanted |= steps;
}

/* ---- tensors ---- */

const struct px_tensor *px_graph_tensor(const struct px_graph_run *g, struct px_graph_source source)
{
    if (source.step == PX_GRAPH_INPUT) {
        struct px_str name = g->engine->graph->takes.list[source.tensor].name;
        for (size_t i = 0; i < g->run->n_inputs; i++) {
            if (px_str_eq(g->run->inputs[i].name, name))
                return &g->run->inputs[i];
        }
        return NULL;
    }
    bool there = (g->settled & ~g->absent & ~g->failed) >> source.step & 1;
    return there ? &g->steps[source.step].tensors[source.tensor] : NULL;
}

static const struct px_tensor *look_up(void *context, struct px_graph_source source)
{
    return px_graph_tensor(context, source);
}

struct px_graph_tensors px_graph_lookup(struct px_graph_run *g)
{
    return (struct px_graph_tensors){look_up, g};
}

/* Rows of the request: of the graph's first input that has some. */
size_t px_graph_count_rows(const struct px_graph_run *g)
{
    const struct px_graph *graph = g->engine->graph;
    for (unsigned i = 0; i < graph->takes.n; i++) {
        const struct px_tensor_spec *spec = &graph->takes.list[i];
        const struct px_tensor *tensor =
            px_graph_tensor(g, (struct px_graph_source){PX_GRAPH_INPUT, i});
        if (tensor && (spec->any_rank || (spec->n_dims && spec->shape[0] == PX_DIM_ANY)))
            return px_graph_n_rows(tensor);
    }
    return 1;
}

enum px_code px_graph_value_of(struct px_graph_run *g, const struct px_graph_value *value,
                               const struct px_tensor_spec *spec, struct px_tensor *ret,
                               struct px_err *err)
{
    if (value->constant)
        return px_graph_fill(value, spec, px_graph_count_rows(g), g->run->arena, ret, err);
    const struct px_tensor *tensor = px_graph_tensor(g, value->from.source);
    if (!tensor)
        return px_err_set(err, PX_E_INTERNAL, "'%.*s' is absent", PX_STR_ARG(value->from.text));
    *ret = *tensor;
    ret->name = spec->name;
    px_graph_shape_column(ret, spec);
    return PX_OK;
}

/* ---- ends of a step ---- */

static struct px_str make_note(struct px_graph_run *g, unsigned step, bool replaced)
{
    struct px_graph_step_run *s = &g->steps[step];
    char text[PX_ERR_MESSAGE_MAX + 64] = "";
    if (replaced && s->failure && s->kept.n)
        snprintf(text, sizeof text, "fallback: %zu of %zu rows: %s", s->n_given - s->kept.n_chosen,
                 s->n_given, s->failure->message);
    else if (replaced && s->failure)
        snprintf(text, sizeof text, "fallback: %s", s->failure->message);
    else if (s->failure)
        snprintf(text, sizeof text, "failed: %s", s->failure->message);
    else if (g->absent >> step & 1 || !s->has_result)
        snprintf(text, sizeof text, "skipped");
    else if (s->has_rows)
        snprintf(text, sizeof text, "%zu of %zu rows", s->rows.n_chosen, s->rows.n);
    return px_arena_str(g->run->arena, px_str(text));
}

static void settle(struct px_graph_run *g, unsigned step, bool replaced)
{
    struct px_graph_step_run *s = &g->steps[step];
    s->phase = PX_PHASE_SETTLED;
    g->settled |= bit(step);
    if (!g->run->trace)
        return;
    uint64_t now = px_clock_monotonic_ns();
    const struct px_run_step note = {.name = spec_of(g, step)->name,
                                     .start_ns = s->start_ns ? s->start_ns : now,
                                     .end_ns = now,
                                     .code = s->failure ? s->failure->code : PX_OK,
                                     .note = make_note(g, step, replaced)};
    px_run_note_step(g->run, &note);
}

/* The whole step was not chosen, or what it needs is absent. */
static void skip(struct px_graph_run *g, unsigned step)
{
    const struct px_graph_step *spec = spec_of(g, step);
    g->steps[step].has_rows = false;
    if (spec->otherwise.kind == PX_GRAPH_VALUES) {
        g->steps[step].phase = PX_PHASE_OTHERWISE;
        px_graph_want(g, spec->otherwise.needs);
        return;
    }
    g->absent |= bit(step);
    settle(g, step, false);
}

/* In the run's arena; when that is full, the first of such failures is kept beside it: it says what was too large. */
static struct px_err *keep_failure(struct px_graph_run *g, const struct px_err *err)
{
    struct px_err *copy = px_arena_alloc(g->run->arena, 1, sizeof *copy);
    if (copy)
        *copy = *err;
    else if (g->spare_failure.code == PX_OK)
        g->spare_failure = *err;
    return copy ? copy : &g->spare_failure;
}

/* Nobody waits for an answer that comes after the run's own deadline. */
static bool end_if_late(struct px_graph_run *g)
{
    struct px_err err;
    bool cancelled = atomic_load_explicit(&g->run->cancelled, memory_order_relaxed);
    bool late = g->run->deadline_ns && px_clock_monotonic_ns() >= g->run->deadline_ns;
    if (!cancelled && !late)
        return false;
    enum px_code code = cancelled ? PX_E_CANCELLED : PX_E_DEADLINE;
    px_err_set(&err, code, "%s",
               cancelled ? "the request was cancelled" : "the deadline has passed");
    px_graph_end(g, code, &err);
    return true;
}

void px_graph_step_failed(struct px_graph_run *g, unsigned step, const struct px_err *err)
{
    const struct px_graph_step *spec = spec_of(g, step);
    struct px_graph_step_run *s = &g->steps[step];
    if (end_if_late(g))
        return;
    if (!s->failure) {
        s->failure = keep_failure(g, err);
        s->blame = step;
    }
    if (px_graph_search_on(g, step, err->code))
        return;
    if (spec->fallback.kind == PX_GRAPH_VALUES && !s->fell_back) {
        s->fell_back = true;
        s->phase = PX_PHASE_FALLBACK;
        px_graph_want(g, spec->fallback.needs);
        return;
    }
    if (spec->fallback.kind == PX_GRAPH_SKIP) {
        g->absent |= bit(step);
        px_graph_note_degraded(g, step);
    } else
        g->failed |= bit(step);
    settle(g, step, spec->fallback.kind == PX_GRAPH_SKIP);
}

/* ---- substitutes ---- */

/* Results for the rows that were chosen, the values of `otherwise` for the rest. */
static enum px_code merge_rows(struct px_graph_run *g, unsigned step, struct px_err *err)
{
    const struct px_graph_step *spec = spec_of(g, step);
    struct px_graph_step_run *s = &g->steps[step];
    enum px_code code = PX_OK;
    for (size_t i = 0; i < spec->gives.n && code == PX_OK; i++) {
        struct px_tensor other;
        if (!(spec->used >> i & 1))
            continue;
        code = px_graph_value_of(g, &spec->otherwise.values[i], &spec->gives.list[i], &other, err);
        const struct px_graph_merge merge = {&s->tensors[i], &other, s->packed, &s->rows};
        if (code == PX_OK)
            code = px_graph_merge_rows(&merge, g->run->arena, &s->tensors[i], err);
    }
    return code;
}

static enum px_code take_values(struct px_graph_run *g, unsigned step,
                                const struct px_graph_substitute *substitute, struct px_err *err)
{
    const struct px_graph_step *spec = spec_of(g, step);
    enum px_code code = PX_OK;
    for (size_t i = 0; i < spec->gives.n && code == PX_OK; i++) {
        if (spec->used >> i & 1)
            code = px_graph_value_of(g, &substitute->values[i], &spec->gives.list[i],
                                     &g->steps[step].tensors[i], err);
    }
    return code;
}

/*
 * Results for the rows that the step could be computed for, its fallback for the rest. Where both do not have the same shape in a
 * row, the fallback is for all.
 */
static enum px_code take_fallback(struct px_graph_run *g, unsigned step, struct px_err *err)
{
    const struct px_graph_step *spec = spec_of(g, step);
    struct px_graph_step_run *s = &g->steps[step];
    struct px_tensor *found = s->tensors;
    enum px_code code = PX_OK;
    if (s->kept.n == 0)
        return take_values(g, step, &spec->fallback, err);
    for (size_t i = 0; i < spec->gives.n && code == PX_OK; i++) {
        struct px_tensor other;
        if (!(spec->used >> i & 1))
            continue;
        code = px_graph_value_of(g, &spec->fallback.values[i], &spec->gives.list[i], &other, err);
        const struct px_graph_merge merge = {&found[i], &other, true, &s->kept};
        if (code == PX_OK)
            code = px_graph_merge_rows(&merge, g->run->arena, &found[i], err);
    }
    if (code != PX_E_INVALID)
        return code;
    s->kept.n = 0;
    return take_values(g, step, &spec->fallback, err);
}

/* The step has its tensors, from its engine or its fallback. */
static void complete(struct px_graph_run *g, unsigned step)
{
    const struct px_graph_step *spec = spec_of(g, step);
    struct px_graph_step_run *s = &g->steps[step];
    if (s->has_rows) {
        s->phase = PX_PHASE_OTHERWISE;
        px_graph_want(g, spec->otherwise.needs);
    } else
        settle(g, step, s->failure != NULL);
}

void px_graph_step_computed(struct px_graph_run *g, unsigned step)
{
    const struct px_graph_step *spec = spec_of(g, step);
    struct px_graph_step_run *s = &g->steps[step];
    if (spec->kind == PX_GRAPH_MODEL) {
        size_t n = 0;
        for (size_t i = 0; i < spec->gives.n; i++) {
            if (spec->used >> i & 1)
                s->tensors[i] = s->flight->run.outputs[n++];
        }
        if (s->flight->run.degraded.len)
            px_graph_note_degraded_inner(g, step, &s->flight->run);
    }
    s->has_result = true;
    if (!s->search) {
        complete(g, step);
        return;
    }
    struct px_err err;
    if (px_graph_search_found(g, step, &err) != PX_OK)
        px_graph_step_failed(g, step, &err);
}

/* ---- phases ---- */

/* A step that was needed failed: so does this one, for the same reason. */
static void fail_with_need(struct px_graph_run *g, unsigned step, uint64_t needs)
{
    unsigned need = (unsigned)__builtin_ctzll(needs & g->failed);
    bool first = !g->steps[step].failure;
    struct px_err err = *g->steps[need].failure;
    px_graph_step_failed(g, step, &err);
    if (first)
        g->steps[step].blame = g->steps[need].blame;
}

static void try_condition(struct px_graph_run *g, unsigned step)
{
    const struct px_graph_step *spec = spec_of(g, step);
    struct px_graph_step_run *s = &g->steps[step];
    const struct px_graph_tensors tensors = px_graph_lookup(g);
    struct px_graph_rows rows;
    struct px_err err;
    enum px_code code =
        px_graph_condition_evaluate(spec->when, &tensors, g->run->arena, &rows, &err);
    if (code != PX_OK) {
        px_graph_step_failed(g, step, &err);
        return;
    }
    if (rows.n_chosen == 0) {
        skip(g, step);
        return;
    }
    s->rows = rows;
    s->has_rows = rows.n_chosen < rows.n;
    s->packed = s->has_rows && spec->row_wise;
    s->phase = PX_PHASE_INPUTS;
    px_graph_want(g, spec->needs | (s->has_rows ? spec->otherwise.needs : 0));
}

static void compute(struct px_graph_run *g, unsigned step)
{
    const struct px_graph_step *spec = spec_of(g, step);
    struct px_err err;
    bool asked = g->run->trace || spec->timeout_ns;
    if (asked && !g->steps[step].search) /* of a search: since its first try */
        g->steps[step].start_ns = px_clock_monotonic_ns();
    g->steps[step].phase = PX_PHASE_RUNNING;
    enum px_code code = spec->kind == PX_GRAPH_MODEL ? px_graph_take_off(g, step, &err)
                                                     : px_graph_compute_step(g, step, &err);
    if (code != PX_OK)
        px_graph_step_failed(g, step, &err);
}

/* Is there something to compute with? */
static bool has_inputs(const struct px_graph_run *g, unsigned step)
{
    const struct px_graph_step *spec = spec_of(g, step);
    bool any = spec->kind == PX_GRAPH_COMBINE && spec->combiner->kind != PX_GRAPH_CONCAT;
    size_t n_there = 0;
    for (size_t i = 0; i < spec->n_inputs; i++)
        n_there += spec->inputs[i].optional || px_graph_tensor(g, spec->inputs[i].from.source);
    return any ? n_there > 0 : n_there == spec->n_inputs;
}

static void try_inputs(struct px_graph_run *g, unsigned step)
{
    if (has_inputs(g, step))
        compute(g, step);
    else
        skip(g, step);
}

static void try_otherwise(struct px_graph_run *g, unsigned step)
{
    struct px_graph_step_run *s = &g->steps[step];
    struct px_err err;
    enum px_code code = s->has_rows ? merge_rows(g, step, &err)
                                    : take_values(g, step, &spec_of(g, step)->otherwise, &err);
    if (code == PX_OK)
        settle(g, step, s->failure != NULL);
    else
        px_graph_step_failed(g, step, &err);
}

static void try_fallback(struct px_graph_run *g, unsigned step)
{
    struct px_err err;
    if (take_fallback(g, step, &err) != PX_OK) {
        px_graph_step_failed(g, step, &err);
        return;
    }
    g->steps[step].packed = false; /* a substitute has all rows */
    px_graph_note_degraded(g, step);
    complete(g, step);
}

/* What the step waits for in its phase. */
static uint64_t needs_of(const struct px_graph_run *g, unsigned step)
{
    const struct px_graph_step *spec = spec_of(g, step);
    switch (g->steps[step].phase) {
    case PX_PHASE_CONDITION:
        return spec->when->needs;
    case PX_PHASE_INPUTS:
        return spec->needs;
    case PX_PHASE_OTHERWISE:
        return spec->otherwise.needs;
    case PX_PHASE_FALLBACK:
        return spec->fallback.needs;
    case PX_PHASE_IDLE:
    case PX_PHASE_RUNNING:
    case PX_PHASE_SETTLED:
    default:
        return 0;
    }
}

/* One look at a step that waits; true when it moved. */
static bool try_step(struct px_graph_run *g, unsigned step)
{
    enum px_graph_phase phase = g->steps[step].phase;
    uint64_t needs = needs_of(g, step);
    if (phase == PX_PHASE_IDLE || phase == PX_PHASE_RUNNING || phase == PX_PHASE_SETTLED)
        return false;
    if (needs & g->failed) {
        fail_with_need(g, step, needs);
        return true;
    }
    if (needs & ~g->settled)
        return false;
    if (phase == PX_PHASE_CONDITION)
        try_condition(g, step);
    else if (phase == PX_PHASE_INPUTS)
        try_inputs(g, step);
    else if (phase == PX_PHASE_OTHERWISE)
        try_otherwise(g, step);
    else
        try_fallback(g, step);
    return true;
}

/* Steps that are wanted begin to want. */
static bool spread_demand(struct px_graph_run *g)
{
    const struct px_graph *graph = g->engine->graph;
    bool moved = false;
    for (size_t i = graph->n_steps; i-- > 0;) {
        unsigned step = graph->order[i];
        const struct px_graph_step *spec = &graph->steps[step];
        if (!(g->wanted >> step & 1) || g->steps[step].phase != PX_PHASE_IDLE)
            continue;
        g->steps[step].phase = spec->when ? PX_PHASE_CONDITION : PX_PHASE_INPUTS;
        px_graph_want(g, spec->when ? spec->when->needs : spec->needs);
        moved = true;
    }
    return moved;
}

void px_graph_advance(struct px_graph_run *g)
{
    const struct px_graph *graph = g->engine->graph;
    bool moved = true;
    if (end_if_late(g))
        return;
    while (moved && !g->ending) {
        px_graph_conclude(g);
        moved = !g->ending && spread_demand(g);
        for (size_t i = 0; i < graph->n_steps && !g->ending; i++) {
            unsigned step = graph->order[i];
            if (g->wanted & ~g->settled & ~g->running & bit(step))
                moved |= try_step(g, step);
        }
    }
}
