/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an answer says of steps that failed and were replaced: their names for the whole run, and which of its rows took a fallback.
 *
 * Rows are only told apart where the step knows them: it was given some by a condition, kept some, or says that its rows do not know of
 * each other. Without memory for them the answer says it of all.
 */
#include "application/graph/graph_run.h"

/* Is it in the list, between commas? */
static bool lists(struct px_str list, struct px_str item)
{
    for (size_t at = 0; at + item.len <= list.len; at++) {
        bool begins = at == 0 || list.ptr[at - 1] == ',';
        bool ends = at + item.len == list.len || list.ptr[at + item.len] == ',';
        if (begins && ends && memcmp(list.ptr + at, item.ptr, item.len) == 0)
            return true;
    }
    return false;
}

/* Adds a step to the list; `inner` is what its own engine says of itself. */
static void add_name(struct px_graph_run *g, struct px_str name, struct px_str inner)
{
    struct px_run *run = g->run;
    size_t len = run->degraded.len + name.len + inner.len + 4;
    char *text = px_arena_alloc(run->arena, len, 1);
    if (!text)
        return;
    int n = snprintf(text, len, "%.*s%s%.*s", (int)name.len, name.ptr, inner.len ? "/" : "",
                     (int)inner.len, inner.ptr ? inner.ptr : "");
    if (lists(run->degraded, px_str_n(text, (size_t)n)))
        return;
    n = snprintf(text, len, "%.*s%s%.*s%s%.*s", (int)run->degraded.len,
                 run->degraded.ptr ? run->degraded.ptr : "", run->degraded.len ? "," : "",
                 (int)name.len, name.ptr, inner.len ? "/" : "", (int)inner.len,
                 inner.ptr ? inner.ptr : "");
    run->degraded = px_str_n(text, (size_t)n);
}

/* The marks of the rows, or NULL when it is about all of them. */
static uint8_t *reserve_rows(struct px_graph_run *g, unsigned step)
{
    const struct px_graph_step_run *s = &g->steps[step];
    size_t n = px_graph_count_rows(g);
    bool fits = (!s->has_rows || s->rows.n == n) && (s->kept.n == 0 || s->kept.n == n);
    bool tells = s->has_rows || g->engine->graph->steps[step].row_wise;
    if (!g->degraded_rows && fits && tells && !g->all_degraded)
        g->degraded_rows = px_arena_zalloc(g->run->arena, n + 1, 1);
    g->all_degraded |= !fits || !tells || !g->degraded_rows;
    g->run->degraded_rows = g->all_degraded ? NULL : g->degraded_rows;
    return g->all_degraded ? NULL : g->degraded_rows;
}

void px_graph_note_degraded(struct px_graph_run *g, unsigned step)
{
    const struct px_graph_step_run *s = &g->steps[step];
    add_name(g, g->engine->graph->steps[step].name, px_str(""));
    uint8_t *marks = reserve_rows(g, step);
    for (size_t i = 0; marks && i < px_graph_count_rows(g); i++) {
        bool given = !s->has_rows || s->rows.chosen[i];
        marks[i] |= given && !(s->kept.n && s->kept.chosen[i]);
    }
}

void px_graph_note_degraded_inner(struct px_graph_run *g, unsigned step, const struct px_run *run)
{
    const struct px_graph_step_run *s = &g->steps[step];
    add_name(g, g->engine->graph->steps[step].name, run->degraded);
    uint8_t *marks = reserve_rows(g, step);
    size_t n = px_graph_count_rows(g), n_seen = run->n_inputs ? px_graph_n_rows(run->inputs) : 0;
    size_t at = 0, begin = s->search ? px_graph_search_begin(s->search) : 0;
    for (size_t i = 0; marks && i < n; i++) {
        bool given = !s->has_rows || s->rows.chosen[i];
        if (given && at >= begin && at - begin < n_seen)
            marks[i] |= !run->degraded_rows || run->degraded_rows[at - begin];
        at += given || !s->packed;
    }
}
