/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of a run and who handles them.
 *
 * `events` is NULL when nobody drives, TAKEN when somebody does and nothing has come, else the newest event of a list that ends in TAKEN or NULL.
 * A push that finds NULL makes the pusher the driver. The driver takes the whole list at once by putting TAKEN in its place, and
 * leaves only by changing TAKEN into NULL; what came in between keeps it. The exchange that takes the list pairs with the
 * push (release, acquire), so that the driver sees all that the pusher wrote.
 *
 * An engine may finish a step within px_engine_start: the event is pushed while its receiver drives, so the stack does not grow with the number
 * of steps.
 *
 * The run ends when its outcome is known and no flight refers to its memory any more. After px_run_finish the owner may release the
 * run on another thread at once, therefore that call is the last thing that the driver does.
 */
#include "application/graph/graph_run.h"

#include "shared/alloc.h"
#include "shared/clock.h"

/* Of states that wait to be used again. */
enum { SPARE_MAX = 64, SPARE_BYTES_MAX = 16 << 20 };

static struct px_graph_event taken;
#define TAKEN (&taken)

bool px_graph_push(struct px_graph_run *g, struct px_graph_event *event)
{
    struct px_graph_event *head = atomic_load_explicit(&g->events, memory_order_relaxed);
    do
        event->next = head;
    while (!atomic_compare_exchange_weak_explicit(&g->events, &head, event, memory_order_acq_rel,
                                                  memory_order_relaxed));
    return head == NULL;
}

/* ---- states ---- */

static size_t align_up(size_t size)
{
    return (size + 63) / 64 * 64;
}

/* One block: the run, its flights, the tensors of every step and the arrays of every flight. */
static struct px_graph_run *create_state(struct px_graph_engine *engine)
{
    const struct px_graph *graph = engine->graph;
    size_t n = graph->n_steps, n_tensors = 0;
    for (size_t i = 0; i < n; i++)
        n_tensors += graph->steps[i].gives.n * 2 + graph->steps[i].n_inputs;
    size_t flights_at =
        align_up(sizeof(struct px_graph_run) + n * sizeof(struct px_graph_step_run));
    size_t tensors_at = align_up(flights_at + n * sizeof(struct px_graph_flight));
    char *block = px_alloc(1, tensors_at + n_tensors * sizeof(struct px_tensor));
    if (!block)
        return NULL;
    struct px_graph_run *g = (void *)block;
    struct px_tensor *tensors = (void *)(block + tensors_at);
    g->engine = engine;
    g->flights = (void *)(block + flights_at);
    for (size_t i = 0; i < n; i++) {
        g->steps[i].tensors = tensors;
        tensors += graph->steps[i].gives.n;
        g->flights[i].outputs = tensors;
        tensors += graph->steps[i].gives.n;
        g->flights[i].inputs = tensors;
        tensors += graph->steps[i].n_inputs;
    }
    return g;
}

void px_graph_run_destroy(struct px_graph_run *g)
{
    for (size_t i = 0; i < g->engine->graph->n_steps; i++) {
        px_arena_deinit(&g->flights[i].arena);
        px_free(g->flights[i].job);
    }
    px_free(g);
}

static struct px_graph_run *take_state(struct px_graph_engine *engine)
{
    pthread_mutex_lock(&engine->mutex);
    struct px_graph_run *g = engine->spare;
    if (g) {
        engine->spare = g->next_spare;
        engine->n_spare--;
        engine->spare_bytes -= g->spare_bytes;
    }
    pthread_mutex_unlock(&engine->mutex);
    return g ? g : create_state(engine);
}

static void give_state_back(struct px_graph_run *g)
{
    struct px_graph_engine *engine = g->engine;
    g->spare_bytes = 0;
    for (size_t i = 0; i < engine->graph->n_steps; i++)
        g->spare_bytes += g->flights[i].arena.reserved;
    pthread_mutex_lock(&engine->mutex);
    bool keep =
        engine->n_spare < SPARE_MAX && g->spare_bytes <= SPARE_BYTES_MAX - engine->spare_bytes;
    if (keep) {
        g->next_spare = engine->spare;
        engine->spare = g;
        engine->n_spare++;
        engine->spare_bytes += g->spare_bytes;
    }
    pthread_mutex_unlock(&engine->mutex);
    if (!keep)
        px_graph_run_destroy(g);
}

/* Everything but the memory that is kept starts afresh. */
static void reset_state(struct px_graph_run *g, struct px_run *run)
{
    g->run = run;
    g->wanted = g->settled = g->absent = g->failed = g->running = 0;
    g->ending = false;
    g->code = PX_OK;
    g->spare_failure.code = PX_OK;
    g->next_exit = g->n_exit_rows = g->n_exited = 0;
    g->exit_of_row = NULL;
    g->exits_used = 0;
    g->degraded_rows = NULL;
    g->all_degraded = false;
    g->exit_of_all = -1;
    px_graph_count_run(g);
    g->cancel = (struct px_graph_event){.kind = PX_EVENT_CANCEL};
    atomic_store_explicit(&g->cancel_sent, false, memory_order_relaxed);
    atomic_store_explicit(&g->events, TAKEN, memory_order_relaxed);
    for (size_t i = 0; i < g->engine->graph->n_steps; i++) {
        struct px_tensor *tensors = g->steps[i].tensors;
        g->steps[i] = (struct px_graph_step_run){.tensors = tensors};
    }
}

static void release_run(struct px_run *run)
{
    struct px_graph_run *g = run->held;
    for (unsigned i = 0; i < g->engine->graph->n_steps; i++)
        px_graph_clear_flight(g, i);
    give_state_back(g);
}

/* ---- driving ---- */

static void stop_timer(struct px_graph_run *g, unsigned step)
{
    if (g->engine->graph->steps[step].timeout_ns)
        px_timer_stop(&g->steps[step].timer);
}

static void fail_late(struct px_graph_run *g, unsigned step)
{
    const struct px_graph_step *spec = &g->engine->graph->steps[step];
    struct px_err err;
    px_err_set(&err, PX_E_DEADLINE, "it took longer than its %u ms",
               (unsigned)(spec->timeout_ns / PX_NS_PER_MS));
    px_graph_step_failed(g, step, &err);
}

static void land(struct px_graph_run *g, unsigned step)
{
    struct px_run *run = &g->steps[step].flight->run;
    stop_timer(g, step);
    g->running &= ~(UINT64_C(1) << step);
    if (g->ending)
        return;
    px_graph_note_inner(g, step);
    if (run->code == PX_OK) { /* however late it is */
        px_graph_step_computed(g, step);
        return;
    }
    if (g->steps[step].is_late) {
        fail_late(g, step);
        return;
    }
    if (run->err.code != run->code)
        px_err_set(&run->err, run->code, "the engine did not say why");
    g->run->hopeless = run->hopeless;
    g->run->is_open = run->is_open;
    px_graph_step_failed(g, step, &run->err);
}

/* The timer is due. A step that ends while it is called back lands as any other. */
static void give_up(struct px_graph_run *g, unsigned step)
{
    if (g->ending || !(g->running >> step & 1))
        return;
    g->steps[step].is_late = true;
    if (!px_graph_call_back(g, step))
        return;
    g->running &= ~(UINT64_C(1) << step);
    fail_late(g, step);
}

static void handle(struct px_graph_run *g, const struct px_graph_event *event)
{
    struct px_err err;
    if (event->kind == PX_EVENT_LANDED)
        land(g, event->step);
    else if (event->kind == PX_EVENT_LATE)
        give_up(g, event->step);
    else if (!g->ending) {
        px_err_set(&err, PX_E_CANCELLED, "the request was cancelled");
        px_graph_end(g, PX_E_CANCELLED, &err);
    }
}

/* States of sequences do not go back: whoever sends the request again should know. */
static void tell_of_states(struct px_graph_run *g)
{
    const struct px_graph *graph = g->engine->graph;
    for (size_t i = 0; i < graph->n_steps; i++) {
        const struct px_engine *model = g->engine->parts[i].model.engine;
        bool advanced =
            g->steps[i].has_result && model && px_engine_has(model, PX_ENGINE_SEQUENCES);
        if (!advanced)
            continue;
        px_err_hint(
            &g->run->err,
            "the state of step '%.*s' has advanced: sent again, the request advances it again",
            PX_STR_ARG(graph->steps[i].name));
        return;
    }
}

void px_graph_end(struct px_graph_run *g, enum px_code code, const struct px_err *err)
{
    PX_ASSERT(!g->ending);
    g->ending = true;
    g->code = code;
    if (err)
        g->run->err = *err;
    if (code != PX_OK)
        tell_of_states(g);
    for (uint64_t left = g->running; left; left &= left - 1) {
        unsigned step = (unsigned)__builtin_ctzll(left);
        stop_timer(g, step);
        if (px_graph_call_back(g, step))
            g->running &= ~(UINT64_C(1) << step);
    }
}

/* The list without its end, oldest first. */
static struct px_graph_event *reverse(struct px_graph_event *list)
{
    struct px_graph_event *out = NULL;
    while (list && list != TAKEN) {
        struct px_graph_event *next = list->next;
        list->next = out;
        out = list;
        list = next;
    }
    return out;
}

static bool try_to_finish(struct px_graph_run *g)
{
    struct px_run *run = g->run;
    if (!g->ending || g->running)
        return false;
    run->release = release_run;
    run->held = g;
    px_run_finish(run, g->code);
    return true;
}

void px_graph_drive(struct px_graph_run *g)
{
    px_graph_begin_driving(g);
    for (;;) {
        struct px_graph_event *expected = TAKEN;
        struct px_graph_event *list =
            atomic_exchange_explicit(&g->events, TAKEN, memory_order_acq_rel);
        for (struct px_graph_event *event = reverse(list), *next; event; event = next) {
            next = event->next;
            handle(g, event);
        }
        if (!g->ending)
            px_graph_advance(g);
        if (try_to_finish(g))
            return;
        if (atomic_compare_exchange_strong_explicit(&g->events, &expected, NULL,
                                                    memory_order_acq_rel, memory_order_relaxed))
            return;
    }
}

/* ---- the engine's slots ---- */

void px_graph_start(struct px_engine *engine, struct px_run *run)
{
    struct px_graph_engine *graph = (struct px_graph_engine *)(void *)engine;
    struct px_graph_run *g = take_state(graph);
    run->started_ns = px_clock_monotonic_ns();
    if (!g) {
        px_run_finish(run, px_err_set(&run->err, PX_E_NO_MEMORY, "no memory for a run of a graph"));
        return;
    }
    reset_state(g, run);
    run->state = g;
    px_graph_drive(g);
}

void px_graph_cancel(struct px_engine *engine, struct px_run *run)
{
    struct px_graph_run *g = run->state;
    (void)engine;
    if (!g || atomic_exchange_explicit(&g->cancel_sent, true, memory_order_relaxed))
        return;
    if (px_graph_push(g, &g->cancel))
        px_graph_drive(g);
}
