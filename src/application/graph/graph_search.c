/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row that cannot be computed must not take its neighbours' results away: when a step whose rows do not know of each other fails and has values
 * to fall back on, it is computed again by halves, until the rows that it fails for are alone. They take the fallback, the others keep
 * what was computed for them, which is what they would get in requests of their own.
 *
 * The ranges that are still to be tried are a stack, the leftmost on top, so that results arrive in the order of the rows and are appended. A few
 * rows among n cost some 2 log n tries each; if all fail, there are fewer than 2 n. Each try is a computation of the step like any other: small ones
 * here, the rest on the pool or in the model's engine, and cancels, deadlines and the step's timeout count in between.
 *
 * Not every failure is a row's: of one for want of memory, time or a server, trying again with fewer rows would only bring more load. A
 * model of sequences is not tried again, because its state has gone on.
 */
#include "application/graph/graph_run.h"

#include "shared/clock.h"
#include "shared/unconst.h"

struct range {
    size_t begin, end;
};

/* A model that fails as if it were broken, and for every row so far, is not asked about each of them. */
enum { TRIES_IN_VAIN_MAX = 32 };

enum { RANGES_MAX = 66 }; /* one more than a size_t can be halved, and the first */

struct px_graph_search {
    struct px_tensor *inputs; /* all rows that the step is given, in the order of its links */
    size_t **starts;          /* of each input */
    size_t n_rows, n_kept;
    uint8_t *kept; /* one per row */
    struct px_tensor *outputs;
    size_t *caps; /* of the bytes of each output */
    struct range todo[RANGES_MAX], now;
    size_t n_todo, n_failed; /* n_failed: tries */
};

size_t px_graph_search_begin(const struct px_graph_search *search)
{
    return search->now.begin;
}

enum px_code px_graph_take_input(struct px_graph_run *g, unsigned step, size_t i,
                                 struct px_tensor *ret, struct px_err *err)
{
    const struct px_graph_step_run *s = &g->steps[step];
    const struct px_graph_search *search = s->search;
    const struct px_tensor *from =
        px_graph_tensor(g, g->engine->graph->steps[step].inputs[i].from.source);
    if (search) {
        *ret = px_graph_slice(&search->inputs[i], search->starts[i], search->now.begin,
                              search->now.end);
        return PX_OK;
    }
    if (s->packed)
        return px_graph_gather(from, &s->rows, g->run->arena, ret, err);
    *ret = *from;
    return PX_OK;
}

/* ---- beginning ---- */

static bool may_be_of_rows(const struct px_graph_run *g, unsigned step, enum px_code code)
{
    const struct px_graph_step *spec = &g->engine->graph->steps[step];
    const struct px_graph_step_run *s = &g->steps[step];
    const struct px_engine *model = g->engine->parts[step].model.engine;
    return (code == PX_E_INVALID || code == PX_E_INTERNAL) && s->phase == PX_PHASE_RUNNING &&
           spec->row_wise && spec->kind != PX_GRAPH_COMBINE &&
           spec->fallback.kind == PX_GRAPH_VALUES && !s->fell_back && !s->is_late &&
           !(model && px_engine_has(model, PX_ENGINE_SEQUENCES));
}

/* All rows that the step is given; false when they are not rows, or there is one, or no memory. */
static bool take_inputs(struct px_graph_run *g, unsigned step, struct px_graph_search *search)
{
    const struct px_graph_step *spec = &g->engine->graph->steps[step];
    for (size_t i = 0; i < spec->n_inputs; i++) {
        struct px_tensor *input = &search->inputs[i];
        if (!px_graph_tensor(g, spec->inputs[i].from.source))
            continue;
        if (px_graph_take_input(g, step, i, input, NULL) != PX_OK || input->n_dims == 0)
            return false;
        if (search->n_rows && search->n_rows != input->shape[0])
            return false;
        search->n_rows = input->shape[0];
        struct px_tensor shaped = *input;
        px_graph_shape_column(&shaped, &spec->takes.list[i]);
        if (px_tensor_check_spec(&shaped, &spec->takes.list[i], NULL) != PX_OK)
            return false;
        search->starts[i] = px_graph_row_starts(input, g->run->arena);
        if (!search->starts[i])
            return false;
    }
    return search->n_rows > 1;
}

static struct px_graph_search *begin_search(struct px_graph_run *g, unsigned step)
{
    const struct px_graph_step *spec = &g->engine->graph->steps[step];
    struct px_arena *arena = g->run->arena;
    struct px_graph_search *search = px_arena_zalloc(arena, 1, sizeof *search);
    if (!search)
        return NULL;
    search->inputs = px_arena_zalloc(arena, spec->n_inputs + 1, sizeof *search->inputs);
    search->starts = px_arena_zalloc(arena, spec->n_inputs + 1, sizeof *search->starts);
    search->outputs = px_arena_zalloc(arena, spec->gives.n + 1, sizeof *search->outputs);
    search->caps = px_arena_zalloc(arena, spec->gives.n + 1, sizeof *search->caps);
    if (!search->inputs || !search->starts || !search->outputs || !search->caps ||
        !take_inputs(g, step, search))
        return NULL;
    search->kept = px_arena_zalloc(arena, search->n_rows, 1);
    search->now = (struct range){0, search->n_rows};
    return search->kept ? search : NULL;
}

/* ---- going on ---- */

/* Which rows of the run those are that were kept. */
static bool place_kept(struct px_graph_run *g, unsigned step, const struct px_graph_search *search)
{
    struct px_graph_step_run *s = &g->steps[step];
    struct px_graph_rows rows = {.n = s->packed ? s->rows.n : search->n_rows,
                                 .n_chosen = search->n_kept};
    rows.chosen = px_arena_zalloc(g->run->arena, rows.n + 1, 1);
    if (!rows.chosen)
        return false;
    for (size_t i = 0, at = 0; i < rows.n; i++) {
        if (!s->packed || s->rows.chosen[i])
            rows.chosen[i] = search->kept[at++];
    }
    s->kept = rows;
    s->n_given = search->n_rows;
    return true;
}

/* Everything was tried. False when nothing was kept: the step failed as a whole. */
static bool end_search(struct px_graph_run *g, unsigned step)
{
    const struct px_graph_step *spec = &g->engine->graph->steps[step];
    struct px_graph_step_run *s = &g->steps[step];
    const struct px_graph_search *search = s->search;
    s->search = NULL;
    if (search->n_kept == 0 || !place_kept(g, step, search))
        return false;
    memcpy(s->tensors, search->outputs, spec->gives.n * sizeof *s->tensors);
    s->fell_back = true;
    s->phase = PX_PHASE_FALLBACK;
    px_graph_want(g, spec->fallback.needs);
    return true;
}

/* Its timer may have told the driver, who has not heard of it yet: the step must not fly again. */
static bool is_past_timeout(const struct px_graph_run *g, unsigned step)
{
    return g->engine->graph->steps[step].timeout_ns &&
           px_clock_monotonic_ns() >= g->steps[step].timer.at_ns;
}

static bool try_next(struct px_graph_run *g, unsigned step)
{
    struct px_graph_step_run *s = &g->steps[step];
    if (is_past_timeout(g, step)) {
        s->search = NULL;
        return false;
    }
    px_graph_clear_flight(g, step);
    if (s->search->n_todo == 0)
        return end_search(g, step);
    s->search->now = s->search->todo[--s->search->n_todo];
    s->phase = PX_PHASE_INPUTS;
    return true;
}

bool px_graph_search_on(struct px_graph_run *g, unsigned step, enum px_code code)
{
    struct px_graph_step_run *s = &g->steps[step];
    if (!may_be_of_rows(g, step, code)) {
        s->search = NULL;
        return false;
    }
    if (!s->search && !(s->search = begin_search(g, step)))
        return false;
    if (code == PX_E_INTERNAL && s->search->n_kept == 0 &&
        ++s->search->n_failed > TRIES_IN_VAIN_MAX) {
        s->search = NULL;
        return false;
    }
    struct range now = s->search->now;
    size_t middle = now.begin + (now.end - now.begin) / 2;
    if (middle > now.begin) {
        s->search->todo[s->search->n_todo++] = (struct range){middle, now.end};
        s->search->todo[s->search->n_todo++] = (struct range){now.begin, middle};
    }
    return try_next(g, step);
}

/* Results of some rows after those of the rows before. */
static enum px_code append(struct px_graph_run *g, struct px_graph_search *search, size_t i,
                           const struct px_tensor *found, struct px_err *err)
{
    struct px_tensor *all = &search->outputs[i];
    size_t len = all->bytes.len, need = len + found->bytes.len;
    size_t n_rows = search->now.end - search->now.begin;
    if (found->n_dims == 0 || found->shape[0] != n_rows ||
        (search->n_kept && !px_graph_same_rows(all, found)))
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "output '%.*s' does not have one shape for all rows",
                          PX_STR_ARG(found->name));
    char *bytes = px_unconst(all->bytes.ptr);
    if (!bytes || need > search->caps[i]) {
        search->caps[i] = need > SIZE_MAX / 2 ? need : need * 2 + 64;
        bytes = px_arena_alloc(g->run->arena, search->caps[i], 1);
        if (!bytes)
            return px_arena_check(g->run->arena, "the rows of a step", err);
        if (len)
            memcpy(bytes, all->bytes.ptr, len);
    }
    if (found->bytes.len)
        memcpy(bytes + len, found->bytes.ptr, found->bytes.len);
    *all = *found;
    all->shape[0] = search->n_kept + n_rows;
    all->bytes = px_str_n(bytes, need);
    return PX_OK;
}

enum px_code px_graph_search_found(struct px_graph_run *g, unsigned step, struct px_err *err)
{
    const struct px_graph_step *spec = &g->engine->graph->steps[step];
    struct px_graph_step_run *s = &g->steps[step];
    struct px_graph_search *search = s->search;
    enum px_code code = PX_OK;
    for (size_t i = 0; i < spec->gives.n && code == PX_OK; i++) {
        if (spec->used >> i & 1)
            code = append(g, search, i, &s->tensors[i], err);
    }
    if (code != PX_OK)
        return code;
    memset(search->kept + search->now.begin, 1, search->now.end - search->now.begin);
    search->n_kept += search->now.end - search->now.begin;
    if (try_next(g, step))
        return PX_OK;
    return px_err_set(err, PX_E_TOO_LARGE, "no time or memory to find the rows that it fails for");
}
