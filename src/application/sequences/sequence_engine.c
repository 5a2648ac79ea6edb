/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mutex guards the table of sequences and their waiting steps; it is held for moments, never while a batch is joined, computed or
 * split, and never while a run finishes.
 *
 *   start    caller          -> step into its sequence's queue, wakes the thread
 *   work     the thread      chooses a batch and launches it, or looks after time
 *   landed   inner engine    splits the answers, keeps states, frees the sequences for their next steps, finishes the steps
 *   cancel   caller          stops the flight of the step, or has the thread look
 *
 * A thread of its own, although callers could start batches themselves: joining takes time that a loop does not have, and
 * an inner engine that finishes within its start would lead from batch to batch on the caller's stack.
 */
#include "application/sequences/sequence_engine.h"

#include "application/sequences/sequence_flight.h"
#include "application/sequences/sequence_launch.h"
#include "application/sequences/sequence_plan.h"
#include "application/sequences/sequence_queue.h"
#include "application/sequences/sequence_watch.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/thread.h"

#include <time.h>

enum { PLAN_BYTES_MAX = 16 << 20 };

static struct px_sequencer *sequencer_of(struct px_engine *engine)
{
    return (struct px_sequencer *)engine;
}

/* ---- the thread ---- */

static void sleep_until(struct px_sequencer *self, uint64_t at_ns)
{
    if (at_ns == PX_SEQUENCE_NEVER) {
        pthread_cond_wait(&self->changed, &self->mutex);
        return;
    }
    struct timespec at = px_clock_timespec(at_ns);
    pthread_cond_timedwait(&self->changed, &self->mutex, &at);
}

static void look_and_finish(struct px_sequencer *self, uint64_t now_ns)
{
    struct px_sequence_ended ended = {0};
    px_sequence_look(self, now_ns, &ended);
    px_sequencer_unlock(self);
    px_sequence_finish(&ended);
    px_sequencer_lock(self);
}

static void *work(void *argument)
{
    struct px_sequencer *self = argument;
    px_sequencer_lock(self);
    while (!self->stopping) {
        uint64_t now_ns = px_clock_monotonic_ns(), at_ns = 0;
        size_t n = 0;
        if (now_ns >= self->look_at_ns) {
            look_and_finish(self, now_ns);
            continue;
        }
        if (self->n_flights < self->flights_max)
            n = px_sequences_choose(&self->table, now_ns, self->chosen, &at_ns);
        if (n > 0)
            px_flight_launch(self, n);
        else
            sleep_until(self, at_ns && at_ns < self->look_at_ns ? at_ns : self->look_at_ns);
    }
    px_sequencer_unlock(self);
    return NULL;
}

/* ---- the port ---- */

/* One waiting step of a sequence that has a place always fits: a full backlog must not keep it from ending. */
static enum px_code check_steps(const struct px_sequencer *self,
                                const struct px_sequence_live *live, struct px_run *run)
{
    if (self->n_steps < self->settings.steps_max || (live && live->base.has_place && !live->first))
        return PX_OK;
    px_err_set(&run->err, PX_E_OVERLOADED, "%zu steps of sequences wait for this model already",
               self->n_steps);
    return px_err_hint(&run->err, "send fewer at a time, or raise 'steps_max' under 'sequence'");
}

static enum px_code add_sequence(struct px_sequencer *self, const struct px_sequence_id *id,
                                 struct px_run *run, uint64_t now_ns, struct px_sequence_live **ret)
{
    if (!run->sequence.start)
        return px_sequence_refuse_without_start(self, run);
    struct px_sequence_live *live = px_alloc(1, sizeof *live);
    if (!live)
        return px_err_set(&run->err, PX_E_NO_MEMORY, "no memory for a sequence");
    enum px_code code = px_sequences_add(&self->table, &live->base, id, now_ns, &run->err);
    if (code != PX_OK)
        px_free(live);
    else
        *ret = live;
    return code;
}

static enum px_code accept(struct px_sequencer *self, struct px_run *run)
{
    const struct px_sequence_id id = {run->sequence.id, run->sequence.text_id};
    uint64_t now_ns = px_clock_monotonic_ns();
    px_sequence_expire(self, now_ns);
    struct px_sequence *known = px_sequences_find(&self->table, &id);
    struct px_sequence_live *live = known ? px_sequence_live_of(known) : NULL;
    enum px_code code = check_steps(self, live, run);
    if (code == PX_OK && live && live->cut && !run->sequence.start)
        code = px_sequence_refuse_without_start(self, run);
    if (code == PX_OK && !live)
        code = add_sequence(self, &id, run, now_ns, &live);
    if (code != PX_OK || !live)
        return code;
    px_sequence_enqueue(self, live, run, now_ns);
    if (run->deadline_ns)
        px_sequence_watch_at(self, run->deadline_ns);
    px_sequencer_wake(self);
    return PX_OK;
}

static void start(struct px_engine *engine, struct px_run *run)
{
    struct px_sequencer *self = sequencer_of(engine);
    enum px_code code = px_sequence_check_step(self, run, &run->err);
    px_sequencer_lock(self);
    if (code == PX_OK)
        code = accept(self, run);
    self->counts.failed += code != PX_OK;
    px_sequencer_unlock(self);
    if (code != PX_OK)
        px_run_finish(run, code);
}

static void cancel(struct px_engine *engine, struct px_run *run)
{
    struct px_sequencer *self = sequencer_of(engine);
    px_sequencer_lock(self);
    if (run->state) {
        px_flight_stop(self, run->state);
    } else {
        px_sequence_watch_at(self, 0);
        px_sequencer_wake(self);
    }
    px_sequencer_unlock(self);
}

/* ---- what it keeps ---- */

static struct px_sequencer *find_sequencer(const struct px_engine *engine)
{
    union {
        const struct px_engine *engine;
        struct px_sequencer *sequencer; /* only its mutex changes */
    } view = {.engine = engine};
    return engine->ops->start == start ? view.sequencer : NULL;
}

const struct px_sequence_settings *px_sequence_engine_settings(const struct px_engine *engine)
{
    const struct px_sequencer *self = find_sequencer(engine);
    return self ? &self->settings : NULL;
}

const struct px_engine *px_sequence_engine_inner(const struct px_engine *engine)
{
    const struct px_sequencer *self = find_sequencer(engine);
    return self ? self->inner : NULL;
}

bool px_sequence_engine_counts(const struct px_engine *engine, struct px_sequence_counts *ret)
{
    struct px_sequencer *self = find_sequencer(engine);
    *ret = (struct px_sequence_counts){0};
    if (!self)
        return false;
    px_sequencer_lock(self);
    *ret = self->counts;
    ret->live = self->table.n_places;
    ret->backlog = self->table.backlog.n;
    ret->steps = self->n_steps;
    px_sequencer_unlock(self);
    ret->state_bytes = self->state_bytes;
    return true;
}

static void describe(const struct px_engine *engine, struct px_json_writer *json)
{
    const struct px_sequencer *self = (const struct px_sequencer *)engine;
    struct px_sequence_counts counts;
    px_sequence_engine_counts(engine, &counts);
    px_json_key(json, "sequences");
    px_json_begin_object(json);
    px_json_member_u64(json, "live", counts.live);
    px_json_member_u64(json, "live_max", self->settings.rules.sequences_max);
    px_json_member_u64(json, "backlog", counts.backlog);
    px_json_member_u64(json, "waiting_steps", counts.steps);
    px_json_member_u64(json, "state_bytes", counts.live * self->state_bytes);
    px_json_member_u64(json, "started", counts.started);
    px_json_member_u64(json, "ended", counts.ended);
    px_json_member_u64(json, "timed_out", counts.timed_out);
    px_json_member_u64(json, "steps", counts.computed);
    px_json_member_u64(json, "steps_failed", counts.failed);
    px_json_member_u64(json, "batches", counts.batches);
    px_json_end_object(json);
    if (self->inner->ops->describe)
        self->inner->ops->describe(self->inner, json);
}

/* ---- making ---- */

static void stop_thread(struct px_sequencer *self)
{
    if (!self->has_thread)
        return;
    px_sequencer_lock(self);
    PX_ASSERT(self->n_steps == 0);
    self->stopping = true;
    px_sequencer_wake(self);
    px_sequencer_unlock(self);
    pthread_join(self->thread, NULL);
}

static void free_sequencer(struct px_sequencer *self)
{
    struct px_sequence *sequence;
    while (self->table.buckets && (sequence = px_sequences_any(&self->table)) != NULL) {
        px_sequences_remove(&self->table, sequence, sequence->since_ns);
        px_sequence_live_free(px_sequence_live_of(sequence));
    }
    while (self->spare) {
        struct px_flight *flight = self->spare;
        self->spare = flight->next;
        px_flight_free(flight);
    }
    px_sequences_deinit(&self->table);
    px_free(self->chosen);
    px_free(self->initial);
    px_arena_deinit(&self->arena);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->mutex);
    px_free(self);
}

static void drain(struct px_engine *engine)
{
    px_engine_drain(sequencer_of(engine)->inner);
}

static bool is_idle(struct px_engine *engine)
{
    return px_engine_is_idle(sequencer_of(engine)->inner);
}

static bool is_able(struct px_engine *engine, struct px_err *err)
{
    return px_engine_is_able(sequencer_of(engine)->inner, err);
}

static void measure(struct px_engine *engine, const struct px_engine_measures *to)
{
    px_engine_measure(sequencer_of(engine)->inner, to);
}

/* The inner engine goes first: its threads may still be leaving `landed`. */
static void destroy(struct px_engine *engine)
{
    struct px_sequencer *self = sequencer_of(engine);
    stop_thread(self);
    px_engine_destroy(self->inner);
    free_sequencer(self);
}

static void init_locks(struct px_sequencer *self)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static bool fits(const struct px_sequence *first, const struct px_sequence *other)
{
    return px_flight_fits(((const struct px_sequence_live *)first)->first,
                          ((const struct px_sequence_live *)other)->first);
}

/* One step in a run: there are no batches, and both schedulers are one. */
static void take_steps_alone(struct px_sequence_rules *rules)
{
    rules->scheduler = PX_SEQUENCE_OLDEST;
    rules->batch_max = 1;
    rules->n_preferred = 0;
    rules->delay_ns = 0;
}

/* Does the model find its states by the id of the run, which is the id of one sequence? */
static bool needs_ids(const struct px_sequencer *self)
{
    const struct px_sequence_settings *settings = &self->settings;
    bool is_told = settings->n_states > 0;
    for (size_t i = 0; i < PX_SEQUENCE_CONTROLS; i++)
        is_told = is_told || settings->controls[i].len > 0;
    return !is_told || px_engine_has(self->inner, PX_ENGINE_SEQUENCES);
}

static enum px_code make_table(struct px_sequencer *self, unsigned batches_max, struct px_err *err)
{
    struct px_sequence_rules rules = self->settings.rules;
    rules.fits = fits;
    self->flights_max = batches_max ? batches_max : 1;
    if (!self->batches) {
        take_steps_alone(&rules);
    } else if (rules.scheduler == PX_SEQUENCE_DIRECT) {
        self->flights_max = 1; /* a place is a row of one batch */
    }
    self->chosen = px_alloc(px_sequences_batch_max(&rules), sizeof(struct px_sequence *));
    if (!self->chosen)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for sequences");
    return px_sequences_init(&self->table, &rules, err);
}

static enum px_code start_thread(struct px_sequencer *self, struct px_err *err)
{
    int failure = px_thread_start("sequences", work, self, &self->thread);
    self->has_thread = failure == 0;
    if (self->has_thread)
        return PX_OK;
    return px_err_set(err, PX_E_UNAVAILABLE, "cannot start a thread for sequences: %s",
                      strerror(failure));
}

static void set_ops(struct px_sequencer *self)
{
    const struct px_engine *inner = self->inner;
    self->ops = (struct px_engine_ops){
        .abi = PX_ENGINE_ABI,
        .caps = PX_ENGINE_TENSORS | PX_ENGINE_ASYNC | PX_ENGINE_SEQUENCES |
                (self->batches ? PX_ENGINE_BATCHES : 0),
        .name = inner->ops->name,
        .start = start,
        .cancel = cancel,
        .describe = describe,
        .measure = measure,
        .is_idle = is_idle,
        .drain = drain,
        .is_able = is_able,
        .destroy = destroy,
    };
    self->base.ops = &self->ops;
}

enum px_code px_sequence_engine_create(struct px_engine *inner,
                                       const struct px_sequence_options *options,
                                       struct px_engine **ret, struct px_err *err)
{
    struct px_sequencer *self = px_alloc(1, sizeof *self);
    PX_ASSERT(px_engine_has(inner, PX_ENGINE_TENSORS) && px_engine_has(inner, PX_ENGINE_ASYNC));
    if (!self)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for sequences");
    self->inner = inner;
    self->settings = *options->settings;
    self->model_name = options->model_name;
    self->batches = px_engine_has(inner, PX_ENGINE_BATCHES);
    if (self->batches && needs_ids(self))
        take_steps_alone(&self->settings.rules);
    self->arena = px_arena(PLAN_BYTES_MAX);
    self->look_at_ns = PX_SEQUENCE_NEVER;
    init_locks(self);
    set_ops(self);
    enum px_code code = px_sequence_plan(self, err);
    if (code == PX_OK)
        code = make_table(self, options->batches_max, err);
    if (code == PX_OK)
        code = start_thread(self, err);
    if (code == PX_OK)
        *ret = &self->base;
    else
        free_sequencer(self);
    return code;
}
