/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of graphs inside graphs, when somebody wants to know the steps of a run. Each flight of a graph notes its own steps, because several fly at
 * once; the driver takes them over under the name of the step when the flight has landed.  Without memory for the list they are left out.
 */
#include "application/graph/graph_run.h"

enum { INNER_STEPS_MAX = 64 };

void px_graph_trace_flight(struct px_graph_run *g, unsigned step, struct px_graph_flight *flight)
{
    const struct px_engine *engine = g->engine->parts[step].model.engine; /* NULL: no model */
    if (!g->run->trace || g->steps[step].search || !engine || !px_graph_of_engine(engine))
        return;
    struct px_run_trace *trace = px_arena_zalloc(&flight->arena, 1, sizeof *trace);
    struct px_run_step *steps = px_arena_zalloc(&flight->arena, INNER_STEPS_MAX, sizeof *steps);
    if (!trace || !steps)
        return; /* the run itself will say that memory is short */
    *trace = (struct px_run_trace){.steps = steps, .n_steps_max = INNER_STEPS_MAX};
    flight->run.trace = trace;
}

void px_graph_note_inner(struct px_graph_run *g, unsigned step)
{
    const struct px_run_trace *trace = g->steps[step].flight->run.trace;
    struct px_str outer = g->engine->graph->steps[step].name;
    for (size_t i = 0; trace && i < trace->n_steps; i++) {
        struct px_run_step note = trace->steps[i];
        size_t size = outer.len + note.name.len + 2;
        char *name = px_arena_alloc(g->run->arena, size, 1);
        if (!name)
            return;
        snprintf(name, size, "%.*s/%.*s", (int)outer.len, outer.ptr, (int)note.name.len,
                 note.name.ptr);
        note.name = px_str(name);
        note.note = px_arena_str(g->run->arena, note.note); /* the flight may go before the run */
        px_run_note_step(g->run, &note);
    }
}
