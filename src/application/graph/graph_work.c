/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small is what is expected to fit into the driver's budget of SMALL_NS, which every thread has afresh each time that it drives. To hand a
 * step over and to come back takes some ten microseconds, so that the pool costs little of what it is worth its while for, and no thread is held
 * up for much longer than that by one event of one graph.
 *
 * Looking at the clock twice costs as much as the rest of a tiny step. Steps that are known to be tiny are measured in every 16th run.
 */
#include "application/graph/graph_run.h"

#include "shared/clock.h"

enum { SMALL_NS = 50000, WATCHED_NS = SMALL_NS / 8, MEASURED_RUNS = 16 };

void px_graph_count_run(struct px_graph_run *g)
{
    g->measures = g->n_runs++ % MEASURED_RUNS == 0;
}

void px_graph_begin_driving(struct px_graph_run *g)
{
    g->small_left_ns = SMALL_NS;
}

struct px_graph_work px_graph_expect_work(struct px_graph_run *g, unsigned step,
                                          const struct px_tensor *inputs, size_t n_inputs)
{
    struct px_graph_cost *cost = &g->engine->parts[step].cost;
    size_t units = px_graph_cost_units(inputs, n_inputs);
    return (struct px_graph_work){
        .cost = cost, .units = units, .expected_ns = px_graph_cost_expect_ns(cost, units)};
}

bool px_graph_is_small(struct px_graph_run *g, const struct px_graph_work *work)
{
    if (work->expected_ns > g->small_left_ns)
        return false;
    g->small_left_ns -= work->expected_ns;
    return true;
}

void px_graph_begin_work(const struct px_graph_run *g, struct px_graph_work *work)
{
    if (g->measures || work->expected_ns >= WATCHED_NS || !px_graph_cost_is_known(work->cost))
        work->begin_ns = px_clock_monotonic_ns();
}

void px_graph_end_work(const struct px_graph_work *work)
{
    if (work->begin_ns)
        px_graph_cost_note(work->cost, work->units, px_clock_monotonic_ns() - work->begin_ns);
}
