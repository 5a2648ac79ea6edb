/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs of the models of a graph.
 *
 * A flight without a timeout lives in the run's own block and is waited for. One with a timeout is a block by itself with copies of its inputs: when
 * it is late it is left to its engine, whose `done` then frees it. Who frees is decided by one atomic change from FLYING, either to LANDED, by
 * the engine, or to LEFT, by the driver. A flight is always called back before it is left, so that the engine is never asked to cancel
 * what it has been told to forget.
 *
 * A flight on the pool has two ends: that of the job, which starts the model or computes the step, and that of the run. It lands, or is forgotten, with the
 * second of them, so that neither the pool nor the engine ever holds memory that is gone. An engine hears of a cancel only after it has been
 * given the run, whoever of driver and pool comes second.
 */
#include "application/graph/graph_run.h"

#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/unconst.h"

enum { KEPT_BYTES_MAX = 256 << 10 };

static size_t count_used(const struct px_graph_step *spec)
{
    return (size_t)__builtin_popcountll(spec->used);
}

/* ---- flights by themselves ---- */

static struct px_graph_flight *create_flight(const struct px_graph_step *spec)
{
    size_t n = count_used(spec) + spec->n_inputs;
    char *block = px_alloc(1, sizeof(struct px_graph_flight) + n * sizeof(struct px_tensor));
    struct px_graph_flight *flight = (void *)block;
    if (!block)
        return NULL;
    flight->outputs = (void *)(block + sizeof *flight);
    flight->inputs = flight->outputs + count_used(spec);
    return flight;
}

static void destroy_flight(struct px_graph_flight *flight)
{
    px_run_release(&flight->run);
    px_arena_deinit(&flight->arena);
    px_free(flight->job);
    px_free(flight);
}

/* The engine has ended a step that was late: nobody wants it. */
static void forget(struct px_graph_flight *flight)
{
    struct px_graph_engine *engine = flight->engine;
    destroy_flight(flight);
    pthread_mutex_lock(&engine->mutex);
    if (--engine->n_left == 0)
        pthread_cond_signal(&engine->none_left);
    pthread_mutex_unlock(&engine->mutex);
}

static bool change_state(struct px_graph_flight *flight, enum px_graph_flight_state to)
{
    int flying = PX_FLIGHT_FLYING;
    return atomic_compare_exchange_strong_explicit(&flight->state, &flying, (int)to,
                                                   memory_order_acq_rel, memory_order_acquire);
}

/* Called by the step's engine, on any thread. */
static void landed(struct px_run *run)
{
    struct px_graph_flight *flight = run->owner;
    if (!change_state(flight, PX_FLIGHT_LANDED)) {
        forget(flight);
        return;
    }
    struct px_graph_run *g = flight->owner;
    if (px_graph_push(g, &g->steps[flight->step].landed))
        px_graph_drive(g);
}

/* ---- flights on the pool ---- */

static struct px_engine *engine_of(const struct px_graph_flight *flight)
{
    return flight->engine->parts[flight->step].model.engine;
}

/* The run or the job has ended; with the second of them the flight lands. */
static void end_one(struct px_graph_flight *flight)
{
    if (atomic_fetch_sub_explicit(&flight->n_ends, 1, memory_order_acq_rel) == 1)
        landed(&flight->run);
}

static void run_ended(struct px_run *run)
{
    end_one(run->owner);
}

/* A job that never began says why the run did not either. */
static void job_ended(struct px_run *job)
{
    struct px_graph_flight *flight = job->owner;
    if (!flight->job->began) {
        flight->run.err = job->err;
        if (job->code == PX_E_OVERLOADED) {
            px_err_set(&flight->run.err, PX_E_OVERLOADED,
                       "too many steps of graphs wait to be computed");
            px_err_hint(&flight->run.err, "send fewer requests at a time");
        }
        px_run_finish(&flight->run, job->code);
    }
    end_one(flight);
}

/* Starts a model for a driver that could not wait for that. */
static void start_model(struct px_graph_flight *flight)
{
    int waiting = PX_FLIGHT_WAITING;
    px_engine_start(engine_of(flight), &flight->run);
    if (!atomic_compare_exchange_strong_explicit(&flight->stage, &waiting, PX_FLIGHT_STARTED,
                                                 memory_order_acq_rel, memory_order_acquire))
        px_engine_cancel(engine_of(flight), &flight->run);
}

static void compute(struct px_graph_flight *flight)
{
    const struct px_graph_local local = {flight->engine, flight->step, flight->inputs,
                                         flight->owner->steps[flight->step].tensors,
                                         &flight->arena};
    px_run_finish(&flight->run, px_graph_compute(&local, &flight->run.err));
}

static void work(struct px_graph_job *job)
{
    struct px_graph_flight *flight = job->run.owner;
    uint64_t begin_ns = px_clock_monotonic_ns();
    if (engine_of(flight))
        start_model(flight);
    else
        compute(flight);
    px_graph_cost_note(&flight->engine->parts[flight->step].cost, flight->units,
                       px_clock_monotonic_ns() - begin_ns);
}

static enum px_code fail_memory(struct px_err *err)
{
    return px_err_set(err, PX_E_NO_MEMORY, "no memory for a step of a graph");
}

static enum px_code reserve_job(struct px_graph_flight *flight, struct px_err *err)
{
    if (!flight->job)
        flight->job = px_alloc(1, sizeof *flight->job);
    return flight->job ? PX_OK : fail_memory(err);
}

static void start_on_pool(struct px_graph_flight *flight)
{
    struct px_graph_job *job = flight->job;
    memset(job, 0, sizeof *job);
    job->work = work;
    job->run.arena = &flight->arena;
    job->run.deadline_ns = flight->run.deadline_ns;
    job->run.done = job_ended;
    job->run.owner = flight;
    flight->run.done = run_ended;
    atomic_store_explicit(&flight->n_ends, 2, memory_order_relaxed);
    atomic_store_explicit(&flight->stage, PX_FLIGHT_WAITING, memory_order_relaxed);
    px_graph_pool_start(job);
}

/* The engine hears of it when it has heard of the run. */
static void cancel(struct px_graph_flight *flight)
{
    int waiting = PX_FLIGHT_WAITING;
    if (!flight->on_pool) {
        px_engine_cancel(engine_of(flight), &flight->run);
        return;
    }
    atomic_store_explicit(&flight->run.cancelled, true, memory_order_relaxed);
    if (!atomic_compare_exchange_strong_explicit(&flight->stage, &waiting, PX_FLIGHT_CALLED_BACK,
                                                 memory_order_acq_rel, memory_order_acquire))
        px_engine_cancel(engine_of(flight), &flight->run);
    px_graph_pool_cancel(flight->job);
}

bool px_graph_call_back(struct px_graph_run *g, unsigned step)
{
    struct px_graph_flight *flight = g->steps[step].flight;
    struct px_graph_engine *engine = g->engine;
    cancel(flight);
    if (!engine->graph->steps[step].timeout_ns)
        return false;
    pthread_mutex_lock(&engine->mutex);
    engine->n_left++;
    pthread_mutex_unlock(&engine->mutex);
    if (change_state(flight, PX_FLIGHT_LEFT)) {
        g->steps[step].flight = NULL;
        return true;
    }
    pthread_mutex_lock(&engine->mutex);
    engine->n_left--;
    pthread_mutex_unlock(&engine->mutex);
    return false;
}

void px_graph_clear_flight(struct px_graph_run *g, unsigned step)
{
    struct px_graph_flight *flight = g->steps[step].flight;
    g->steps[step].flight = NULL;
    if (!flight)
        return;
    if (flight != &g->flights[step]) {
        destroy_flight(flight);
        return;
    }
    px_run_release(&flight->run);
    if (flight->arena.used > KEPT_BYTES_MAX)
        px_arena_deinit(&flight->arena);
    else
        px_arena_reset(&flight->arena);
}

/* ---- take-off ---- */

static enum px_code copy_bytes(struct px_arena *arena, struct px_tensor *tensor, struct px_err *err)
{
    tensor->bytes = px_arena_str(arena, tensor->bytes);
    return tensor->bytes.ptr ? PX_OK : px_arena_check(arena, "the inputs of a step", err);
}

static enum px_code fill_inputs(struct px_graph_run *g, unsigned step,
                                struct px_graph_flight *flight, struct px_err *err)
{
    const struct px_graph_step *spec = &g->engine->graph->steps[step];
    size_t n = 0;
    for (size_t i = 0; i < spec->n_inputs; i++) {
        struct px_tensor *input = &flight->inputs[n];
        if (!px_graph_tensor(g, spec->inputs[i].from.source))
            continue;
        enum px_code code = px_graph_take_input(g, step, i, input, err);
        input->name = spec->takes.list[i].name;
        px_graph_shape_column(input, &spec->takes.list[i]);
        if (code == PX_OK)
            code = px_tensor_check_spec(input, &spec->takes.list[i], err);
        if (code == PX_OK && spec->timeout_ns)
            code = copy_bytes(&flight->arena, input, err);
        if (code != PX_OK)
            return code;
        n++;
    }
    flight->run.inputs = flight->inputs;
    flight->run.n_inputs = n;
    return PX_OK;
}

static void name_outputs(const struct px_graph_step *spec, struct px_graph_flight *flight)
{
    size_t n = 0;
    for (size_t i = 0; i < spec->gives.n; i++) {
        if (spec->used >> i & 1)
            flight->outputs[n++] = (struct px_tensor){.name = spec->engine_names[i]};
    }
    flight->run.outputs = flight->outputs;
    flight->run.n_outputs = n;
}

static bool note_late(struct px_timer *timer)
{
    struct px_graph_run *g = timer->subject;
    struct px_graph_step_run *s = PX_CONTAINER_OF(timer, struct px_graph_step_run, timer);
    return px_graph_push(g, &s->late);
}

static void drive(void *subject)
{
    px_graph_drive(subject);
}

/* The deadline of a step is the run's, or its own when that comes first. */
static void set_deadline(struct px_graph_run *g, const struct px_graph_step *spec,
                         struct px_graph_step_run *s, struct px_run *run)
{
    run->deadline_ns = g->run->deadline_ns;
    if (!spec->timeout_ns)
        return;
    s->timer = (struct px_timer){
        .at_ns = s->start_ns + spec->timeout_ns, .due = note_late, .run = drive, .subject = g};
    if (!run->deadline_ns || s->timer.at_ns < run->deadline_ns)
        run->deadline_ns = s->timer.at_ns;
}

/* Will step `i` ask for memory while `step` has its share? Of processors, those that wait for nothing that `step` gives. */
static bool is_waiting(const struct px_graph_run *g, unsigned i, unsigned step)
{
    const struct px_graph_step *spec = &g->engine->graph->steps[i];
    if (i == step || !((g->wanted & ~g->settled) >> i & 1))
        return i == step;
    bool starts_meanwhile =
        !(spec->needs & ~g->settled & ~g->running) && !(spec->needs >> step & 1);
    return spec->kind == PX_GRAPH_MODEL || starts_meanwhile;
}

/*
 * One budget, that of the run's own arena, for all flights: what those under way were given and the others used is taken off, and the
 * rest is shared among the models that are still to start, and processors that may start meanwhile, so that no order of ends starves one.
 */
static size_t memory_share(const struct px_graph_run *g, unsigned step)
{
    const struct px_graph *graph = g->engine->graph;
    size_t max = g->run->arena->max, used = g->run->arena->used;
    size_t n_waiting = 0;
    for (unsigned i = 0; i < graph->n_steps; i++) {
        const struct px_graph_flight *flight = g->steps[i].flight;
        uint64_t bit = UINT64_C(1) << i;
        if (g->running & bit)
            used += flight->arena.max; /* it is its engine's to write */
        else if (flight)
            used += flight->arena.used;
        else
            n_waiting += is_waiting(g, i, step);
    }
    return used < max ? (max - used) / (n_waiting ? n_waiting : 1) : 0;
}

static void grant_memory(struct px_graph_flight *flight, size_t max)
{
    if (flight->arena.reserved > max) /* kept from a run that had more */
        px_arena_deinit(&flight->arena);
    flight->arena.max = max;
}

static void prepare(struct px_graph_run *g, unsigned step, struct px_graph_flight *flight)
{
    struct px_graph_step_run *s = &g->steps[step];
    flight->owner = g;
    flight->engine = g->engine;
    flight->step = step;
    flight->on_pool = false;
    atomic_store_explicit(&flight->state, PX_FLIGHT_FLYING, memory_order_relaxed);
    memset(&flight->run, 0, sizeof flight->run);
    flight->run.arena = &flight->arena;
    flight->run.done = landed;
    flight->run.owner = flight;
    flight->run.sequence = g->run->sequence;
    px_graph_trace_flight(g, step, flight);
    s->landed = (struct px_graph_event){.kind = PX_EVENT_LANDED, .step = step};
    s->late = (struct px_graph_event){.kind = PX_EVENT_LATE, .step = step};
    set_deadline(g, &g->engine->graph->steps[step], s, &flight->run);
}

/*
 * A model of sequences is always started by the driver: what it keeps depends on the order of starts. To start it is to put the run into
 * its queue.
 */
static bool goes_to_pool(struct px_graph_run *g, const struct px_graph_flight *flight,
                         const struct px_graph_work *work)
{
    return !px_engine_has(engine_of(flight), PX_ENGINE_SEQUENCES) && !px_graph_is_small(g, work);
}

static enum px_code expect(struct px_graph_run *g, struct px_graph_flight *flight,
                           struct px_graph_work *ret, struct px_err *err)
{
    *ret = px_graph_expect_work(g, flight->step, flight->run.inputs, flight->run.n_inputs);
    flight->units = ret->units;
    flight->on_pool = goes_to_pool(g, flight, ret);
    return flight->on_pool ? reserve_job(flight, err) : PX_OK;
}

static void start(struct px_graph_run *g, struct px_graph_flight *flight,
                  struct px_graph_work *work)
{
    g->running |= UINT64_C(1) << flight->step;
    if (flight->on_pool) {
        start_on_pool(flight);
        return;
    }
    px_graph_begin_work(g, work);
    px_engine_start(engine_of(flight), &flight->run);
    px_graph_end_work(work);
}

enum px_code px_graph_take_off(struct px_graph_run *g, unsigned step, struct px_err *err)
{
    const struct px_graph_step *spec = &g->engine->graph->steps[step];
    struct px_graph_step_run *s = &g->steps[step];
    bool timed = spec->timeout_ns != 0;
    struct px_graph_flight *flight = timed ? create_flight(spec) : &g->flights[step];
    struct px_graph_work work;
    if (!flight)
        return fail_memory(err);
    grant_memory(flight, memory_share(g, step)); /* before it counts itself */
    s->flight = flight;
    prepare(g, step, flight);
    name_outputs(spec, flight);
    enum px_code code = fill_inputs(g, step, flight, err);
    if (code == PX_OK)
        code = expect(g, flight, &work, err);
    if (code == PX_OK && timed)
        code = px_timer_start(&s->timer, err);
    if (code == PX_OK)
        start(g, flight, &work);
    else /* what there is of it goes with the run */
        atomic_store_explicit(&flight->state, PX_FLIGHT_LANDED, memory_order_relaxed);
    return code;
}

enum px_code px_graph_send_off(struct px_graph_run *g, unsigned step, size_t units,
                               struct px_err *err)
{
    struct px_graph_flight *flight = &g->flights[step];
    grant_memory(flight, memory_share(g, step));
    g->steps[step].flight = flight;
    prepare(g, step, flight);
    flight->units = units;
    flight->on_pool = true;
    if (reserve_job(flight, err) != PX_OK)
        return PX_E_NO_MEMORY;
    g->running |= UINT64_C(1) << step;
    start_on_pool(flight);
    return PX_OK;
}
