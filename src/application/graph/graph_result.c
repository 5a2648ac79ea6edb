/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From settled steps to the outputs of the run.
 *
 * Exits are decided one after the other, and before the normal outputs are wanted: what an exit makes needless is never started, and
 * which exit a row takes does not depend on how fast steps are.
 */
#include "application/graph/graph_run.h"

static uint64_t bit(int step)
{
    return step < 0 ? 0 : UINT64_C(1) << step;
}

/* ---- exits ---- */

static void exit_all(struct px_graph_run *g, size_t exit)
{
    if (g->n_exit_rows == 0)
        g->exit_of_all = (int)exit;
    for (size_t i = 0; i < g->n_exit_rows; i++) {
        if (g->exit_of_row[i] == 0)
            g->exit_of_row[i] = (uint8_t)(exit + 1);
    }
    g->n_exited = g->n_exit_rows;
}

/* Rows that no earlier exit took. */
static enum px_code exit_rows(struct px_graph_run *g, size_t exit, const struct px_graph_rows *rows,
                              struct px_err *err)
{
    if (g->n_exit_rows == 0) {
        g->exit_of_row = px_arena_zalloc(g->run->arena, rows->n + 1, 1);
        if (!g->exit_of_row)
            return px_arena_check(g->run->arena, "an exit", err);
        g->n_exit_rows = rows->n;
    }
    if (rows->n != g->n_exit_rows)
        return px_err_set(err, PX_E_INVALID, "an exit decides on %zu rows, one before it on %zu",
                          rows->n, g->n_exit_rows);
    for (size_t i = 0; i < rows->n; i++) {
        if (rows->chosen[i] && g->exit_of_row[i] == 0) {
            g->exit_of_row[i] = (uint8_t)(exit + 1);
            g->n_exited++;
        }
    }
    return PX_OK;
}

static bool all_exited(const struct px_graph_run *g)
{
    return g->exit_of_all >= 0 || (g->n_exit_rows && g->n_exited == g->n_exit_rows);
}

static enum px_code decide_exit(struct px_graph_run *g, size_t exit, struct px_err *err)
{
    const struct px_graph_exit *spec = &g->engine->graph->exits[exit];
    const struct px_graph_tensors tensors = px_graph_lookup(g);
    struct px_graph_rows rows;
    enum px_code code =
        px_graph_condition_evaluate(spec->when, &tensors, g->run->arena, &rows, err);
    if (code != PX_OK || rows.n_chosen == 0)
        return code;
    if (spec->when->is_rows)
        code = exit_rows(g, exit, &rows, err);
    else
        exit_all(g, exit);
    g->exits_used |= bit((int)exit);
    px_graph_want(g, spec->outputs.needs);
    return code;
}

/* A step that cannot be done without has failed: its error is the run's. */
static void end_with_failure(struct px_graph_run *g, uint64_t failed)
{
    unsigned step = (unsigned)__builtin_ctzll(failed);
    unsigned blame = g->steps[step].blame;
    const struct px_graph_flight *flight = g->steps[blame].flight;
    struct px_err err = *g->steps[step].failure;
    bool lacks_memory = flight && flight->arena.failed;
    if (lacks_memory && err.code == PX_E_TOO_LARGE) /* it only knows its share */
        px_err_set(&err, PX_E_TOO_LARGE, "the request needs more than %zu bytes of memory",
                   g->run->arena->max);
    px_err_wrap(&err, "step '%.*s'", PX_STR_ARG(g->engine->graph->steps[blame].name));
    if (lacks_memory)
        g->run->arena->failed = true; /* whoever gave it knows how to give more */
    px_graph_end(g, err.code, &err);
}

/* True when all exits have been decided; may end the run with an error. */
static bool decide_exits(struct px_graph_run *g)
{
    const struct px_graph *graph = g->engine->graph;
    struct px_err err;
    while (g->next_exit < graph->n_exits && !all_exited(g)) {
        uint64_t needs = graph->exits[g->next_exit].when->needs;
        px_graph_want(g, needs);
        if (needs & g->failed)
            end_with_failure(g, needs & g->failed);
        if (g->ending || needs & ~g->settled)
            return false;
        enum px_code code = decide_exit(g, g->next_exit, &err);
        if (code != PX_OK) {
            px_graph_end(g, code, &err);
            return false;
        }
        g->next_exit++;
    }
    return true;
}

/* ---- outputs ---- */

static size_t find_output(const struct px_graph *graph, struct px_str name)
{
    size_t i = 0;
    while (i < graph->gives.n && !px_str_eq(graph->gives.list[i].name, name))
        i++;
    return i;
}

/* Steps that the outputs that were asked for come from. */
static uint64_t find_goal(const struct px_graph_run *g)
{
    const struct px_graph *graph = g->engine->graph;
    uint64_t goal = 0;
    for (size_t i = 0; i < g->run->n_outputs && !all_exited(g); i++) {
        size_t output = find_output(graph, g->run->outputs[i].name);
        if (output < graph->gives.n)
            goal |= bit(graph->outputs[output].from.source.step);
    }
    for (uint64_t used = g->exits_used; used; used &= used - 1)
        goal |= graph->exits[__builtin_ctzll(used)].outputs.needs;
    return goal;
}

/* Rows that took an exit get its value. */
static enum px_code merge_exit(struct px_graph_run *g, size_t exit, size_t output,
                               struct px_tensor *tensor, struct px_err *err)
{
    const struct px_graph_value *value = &g->engine->graph->exits[exit].outputs.values[output];
    const struct px_tensor_spec *spec = &g->engine->graph->gives.list[output];
    struct px_tensor ours;
    enum px_code code = px_graph_value_of(g, value, spec, &ours, err);
    if (code != PX_OK)
        return code;
    if (g->exit_of_all >= 0 || tensor->type == PX_TYPE_NONE) {
        *tensor = ours;
        return PX_OK;
    }
    struct px_graph_rows rows = {.n = g->n_exit_rows};
    rows.chosen = px_arena_zalloc(g->run->arena, rows.n + 1, 1);
    if (!rows.chosen)
        return px_arena_check(g->run->arena, "an exit", err);
    for (size_t i = 0; i < rows.n; i++)
        rows.n_chosen += rows.chosen[i] = g->exit_of_row[i] == exit + 1;
    const struct px_graph_merge merge = {&ours, tensor, false, &rows};
    return px_graph_merge_rows(&merge, g->run->arena, tensor, err);
}

static enum px_code fill_output(struct px_graph_run *g, struct px_tensor *ret, struct px_err *err)
{
    const struct px_graph *graph = g->engine->graph;
    struct px_str name = ret->name;
    struct px_tensor tensor = {.type = PX_TYPE_NONE};
    size_t output = find_output(graph, name);
    if (output == graph->gives.n)
        return px_err_set(err, PX_E_INVALID, "the graph has no output '%.*s'", PX_STR_ARG(name));
    if (!all_exited(g)) {
        const struct px_tensor *from = px_graph_tensor(g, graph->outputs[output].from.source);
        if (!from)
            return px_err_set(err, PX_E_INTERNAL, "output '%.*s' is absent", PX_STR_ARG(name));
        tensor = *from;
    }
    enum px_code code = PX_OK;
    for (uint64_t used = g->exits_used; used && code == PX_OK; used &= used - 1)
        code = merge_exit(g, (size_t)__builtin_ctzll(used), output, &tensor, err);
    *ret = tensor;
    ret->name = name;
    return code;
}

void px_graph_conclude(struct px_graph_run *g)
{
    struct px_err err;
    enum px_code code = PX_OK;
    if (!decide_exits(g))
        return;
    uint64_t goal = find_goal(g);
    px_graph_want(g, goal);
    if (goal & g->failed) {
        end_with_failure(g, goal & g->failed);
        return;
    }
    if (goal & ~g->settled)
        return;
    for (size_t i = 0; i < g->run->n_outputs && code == PX_OK; i++)
        code = fill_output(g, &g->run->outputs[i], &err);
    px_graph_end(g, code, code == PX_OK ? NULL : &err);
}
