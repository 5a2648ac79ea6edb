/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mutex guards the table of sequences and their waiting steps; it is held for moments, never while a batch is joined, computed or
 * split, and never while a run finishes.
 *
 *   start    caller          -> step into its sequence's queue, wakes the thread
 *   work     the thread      chooses a batch, joins it, starts the inner engine
 *   landed   inner engine    splits the answers, keeps states, frees the sequences for their next steps, finishes the steps
 *   look     the thread      ends what waits and is late or cancelled, and sequences that were idle too long
 *
 * Invariants
 * 1. A run is in the queue of one sequence, or a row of one flight, or in a list of ended ones of one thread, which finishes it, once.
 * 2. A busy sequence belongs to its flight: who holds the mutex touches its queue only.
 * 3. A sequence that has not begun and has no waiting step is not in the table. The first waiting step of one that has not begun
 *    has `start`.
 * 4. `landed` touches nothing of the sequencer once the last of its runs is finished: its owner may then destroy it.
 *
 * A thread of its own, although callers could start batches themselves: joining takes time that a loop does not have, and
 * an inner engine that finishes within its start would lead from batch to batch on the caller's stack.
 */
#include "application/sequences/sequence_engine.h"

#include "application/sequences/sequence_impl.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/thread.h"

#include <inttypes.h>
#include <time.h>

enum {
    LOOK_PAUSE_NS = 1000000,
    SPARE_MAX = 8,
    FLIGHT_BYTES_MAX = 1 << 30,
    PLAN_BYTES_MAX = 16 << 20,
};

static const uint64_t never = UINT64_MAX;

/* Runs that have ended and are still to be finished. */
struct ended {
    struct px_run *first, *last;
};

static struct px_sequencer *sequencer_of(struct px_engine *engine)
{
    return (struct px_sequencer *)engine;
}

static struct px_sequence_live *live_of(struct px_sequence *sequence)
{
    return (struct px_sequence_live *)sequence;
}

static void lock(struct px_sequencer *self)
{
    pthread_mutex_lock(&self->mutex);
}

static void unlock(struct px_sequencer *self)
{
    pthread_mutex_unlock(&self->mutex);
}

/* ---- ending runs ---- */

static void append(struct px_run **first, struct px_run **last, struct px_run *run)
{
    PX_ASSERT(run);
    run->next = NULL;
    if (*last)
        (*last)->next = run;
    else
        *first = run;
    *last = run;
}

static void end_run(struct px_sequencer *self, struct ended *ended, struct px_run *run,
                    enum px_code code)
{
    run->code = code;
    run->state = NULL;
    self->counts.failed += code != PX_OK;
    append(&ended->first, &ended->last, run);
}

/* Without the mutex. */
static void finish_all(struct ended *ended)
{
    for (struct px_run *run = ended->first, *next; run; run = next) {
        next = run->next;
        px_run_finish(run, run->code);
    }
}

static enum px_code refuse_without_start(const struct px_sequencer *self, struct px_run *run)
{
    struct px_str text = run->sequence.text_id;
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, run->sequence.id);
    px_err_set(&run->err, PX_E_INVALID,
               "inference request for sequence %.*s to model '%.*s' must specify the START flag on "
               "the first request of the sequence",
               PX_STR_ARG(text.len ? text : px_str(number)), PX_STR_ARG(self->model_name));
    return px_err_hint(&run->err, "it never began, has ended, or was idle for %" PRIu64 " ms",
                       (uint64_t)(self->settings.rules.idle_timeout_ns / PX_NS_PER_MS));
}

static enum px_code refuse_after_failure(struct px_run *run)
{
    px_err_set(&run->err, PX_E_CONFLICT,
               "not computed, because a step of the same sequence before it failed");
    return px_err_hint(&run->err, "send the steps again from the one that failed");
}

/* ---- queues of sequences ---- */

static struct px_run *take_first(struct px_sequencer *self, struct px_sequence_live *live)
{
    struct px_run *run = live->first;
    live->first = run->next;
    if (!live->first)
        live->last = NULL;
    run->next = NULL;
    self->n_steps--;
    return run;
}

/* Steps of which the next one has not `start` end, as `why` says. */
enum why { AFTER_FAILURE, WITHOUT_START };

static void drop_until_start(struct px_sequencer *self, struct px_sequence_live *live, enum why why,
                             uint64_t now_ns, struct ended *ended)
{
    while (live->first && !live->first->sequence.start) {
        struct px_run *run = take_first(self, live);
        px_sequences_drop_step(&self->table, &live->base, now_ns);
        end_run(self, ended, run,
                why == AFTER_FAILURE ? refuse_after_failure(run) : refuse_without_start(self, run));
    }
}

static void free_live(struct px_sequence_live *live)
{
    px_free(live->state);
    px_free(live);
}

/* After something happened to one that is not busy: keeps invariant 3. One that has ended gives its place to others first. */
static void settle(struct px_sequencer *self, struct px_sequence_live *live, uint64_t now_ns,
                   struct ended *ended)
{
    if (live->begun || live->base.busy)
        return;
    drop_until_start(self, live, WITHOUT_START, now_ns, ended);
    px_free(live->state);
    live->state = NULL;
    if (live->first) {
        px_sequences_requeue(&self->table, &live->base, now_ns);
    } else {
        px_sequences_remove(&self->table, &live->base, now_ns);
        free_live(live);
    }
}

/* ---- time ---- */

static void wake(struct px_sequencer *self)
{
    pthread_cond_signal(&self->changed);
}

/* Has the thread look at that time, or as soon as it may. */
static void look_at(struct px_sequencer *self, uint64_t at_ns)
{
    if (at_ns < self->look_from_ns)
        at_ns = self->look_from_ns;
    if (at_ns < self->look_at_ns)
        self->look_at_ns = at_ns;
}

static void look_for_idle(struct px_sequencer *self)
{
    uint64_t at_ns = px_sequences_expire_at(&self->table);
    if (at_ns)
        look_at(self, at_ns);
}

static void expire(struct px_sequencer *self, uint64_t now_ns)
{
    struct px_sequence *sequence;
    while ((sequence = px_sequences_expired(&self->table, now_ns)) != NULL) {
        px_sequences_remove(&self->table, sequence, now_ns);
        free_live(live_of(sequence));
        self->counts.timed_out++;
    }
}

/* Ends the unwanted steps of one sequence, and those behind them; returns the earliest deadline of the others. */
static uint64_t sift(struct px_sequencer *self, struct px_sequence_live *live, uint64_t now_ns,
                     struct ended *ended)
{
    struct px_run *run = live->first, *next;
    uint64_t earliest = never;
    bool failed = false;
    live->first = live->last = NULL;
    for (; run; run = next) {
        next = run->next;
        enum px_code code =
            px_sequence_check_wanted(run, "while the request waited for its turn in the sequence");
        if (code == PX_OK && failed && !run->sequence.start)
            code = refuse_after_failure(run);
        failed = code != PX_OK;
        if (!failed) {
            append(&live->first, &live->last, run);
            if (run->deadline_ns && run->deadline_ns < earliest)
                earliest = run->deadline_ns;
            continue;
        }
        self->n_steps--;
        px_sequences_drop_step(&self->table, &live->base, now_ns);
        end_run(self, ended, run, code);
    }
    return earliest;
}

static void look(struct px_sequencer *self, uint64_t now_ns, struct ended *ended)
{
    uint64_t earliest = never;
    self->look_from_ns = now_ns + LOOK_PAUSE_NS;
    self->look_at_ns = never;
    expire(self, now_ns);
    for (size_t i = 0; i <= self->table.mask && self->n_steps > 0; i++) {
        struct px_sequence *next, *s = self->table.buckets[i];
        for (; s; s = next) {
            next = s->same_bucket;
            uint64_t at_ns = live_of(s)->first ? sift(self, live_of(s), now_ns, ended) : never;
            earliest = at_ns < earliest ? at_ns : earliest;
            settle(self, live_of(s), now_ns, ended);
        }
    }
    if (earliest != never)
        look_at(self, earliest);
    look_for_idle(self);
}

/* ---- flights ---- */

static void free_flight(struct px_flight *flight)
{
    if (!flight)
        return;
    px_arena_deinit(&flight->arena);
    px_free(flight->rows);
    px_free(flight);
}

static struct px_flight *make_flight(struct px_sequencer *self)
{
    struct px_flight *flight = px_alloc(1, sizeof *flight);
    if (!flight)
        return NULL;
    flight->arena = px_arena(FLIGHT_BYTES_MAX);
    flight->rows = px_alloc(px_sequences_batch_max(&self->table.rules), sizeof *flight->rows);
    if (flight->rows)
        return flight;
    free_flight(flight);
    return NULL;
}

/* With the mutex; a flight that was used before has memory already. */
static struct px_flight *take_flight(struct px_sequencer *self)
{
    struct px_flight *flight = self->spare;
    if (!flight)
        return make_flight(self);
    self->spare = flight->next;
    self->n_spare--;
    return flight;
}

static void put_flight(struct px_sequencer *self, struct px_flight *flight)
{
    if (!flight->ended || flight->n_holds > 0)
        return;
    if (self->n_spare == SPARE_MAX) {
        free_flight(flight);
        return;
    }
    px_arena_reset(&flight->arena);
    flight->next = self->spare;
    self->spare = flight;
    self->n_spare++;
}

/* What a step leaves behind in its sequence. */
static void end_step(struct px_sequencer *self, struct px_sequence_live *live, struct px_run *run,
                     uint64_t now_ns, struct ended *ended)
{
    bool ok = run->code == PX_OK;
    if (ok) {
        live->begun = !run->sequence.end;
        self->counts.started += run->sequence.start;
        self->counts.ended += run->sequence.end;
        self->counts.computed++;
    }
    end_run(self, ended, run, run->code);
    px_sequences_end_step(&self->table, &live->base, now_ns);
    if (!ok)
        drop_until_start(self, live, AFTER_FAILURE, now_ns, ended);
    settle(self, live, now_ns, ended);
}

/* `done` of the inner run. */
static void landed(struct px_run *inner_run)
{
    struct px_flight *flight = inner_run->owner;
    struct px_sequencer *self = flight->sequencer;
    struct ended ended = {0};
    px_flight_unload(flight);
    lock(self);
    uint64_t now_ns = px_clock_monotonic_ns();
    for (size_t i = 0; i < flight->n_rows; i++) {
        const struct px_flight_row *row = &flight->rows[i];
        if (row->live && row->run)
            end_step(self, row->live, row->run, now_ns, &ended);
    }
    flight->ended = true;
    self->n_flights--;
    put_flight(self, flight);
    look_for_idle(self);
    wake(self);
    unlock(self);
    finish_all(&ended);
}

/* Does nobody want any step of the flight? */
static bool is_unwanted(const struct px_flight *flight)
{
    for (size_t i = 0; i < flight->n_rows; i++) {
        const struct px_run *run = flight->rows[i].run;
        if (run && !atomic_load_explicit(&run->cancelled, memory_order_relaxed))
            return false;
    }
    return true;
}

/* With the mutex, which is given up while the inner engine is told. */
static void stop_flight(struct px_sequencer *self, struct px_flight *flight)
{
    if (!flight->started || flight->ended || !is_unwanted(flight))
        return;
    flight->n_holds++;
    unlock(self);
    px_engine_cancel(self->inner, &flight->run);
    lock(self);
    flight->n_holds--;
    put_flight(self, flight);
}

/* ---- batches ---- */

/* The first step of a chosen sequence becomes a row, unless nobody wants it. */
static void board(struct px_sequencer *self, struct px_flight *flight, size_t row,
                  struct px_sequence_live *live, struct ended *ended)
{
    struct px_run *run = take_first(self, live);
    run->code = px_sequence_check_wanted(run, "while the request waited for its turn in the "
                                              "sequence");
    if (run->code != PX_OK) {
        end_step(self, live, run, px_clock_monotonic_ns(), ended);
        return;
    }
    if (run->sequence.start)
        live->begun = false;
    run->state = flight;
    flight->rows[row] = (struct px_flight_row){live, run};
    flight->n_steps++;
    if (row >= flight->n_rows)
        flight->n_rows = row + 1;
}

static void board_all(struct px_sequencer *self, struct px_flight *flight, size_t n,
                      struct ended *ended)
{
    struct px_flight_row *rows = flight->rows;
    bool direct = self->table.rules.scheduler == PX_SEQUENCE_DIRECT;
    struct px_arena arena = flight->arena;
    memset(rows, 0,
           flight->n_rows * sizeof *rows); /* what lies behind was never used, or cleared */
    *flight = (struct px_flight){.sequencer = self, .arena = arena, .rows = rows, .n_holds = 1};
    for (size_t i = 0; i < n; i++) {
        size_t row = direct ? self->chosen[i]->place : flight->n_rows;
        board(self, flight, row, live_of(self->chosen[i]), ended);
    }
    flight->run.done = landed;
    flight->run.owner = flight;
}

static void fail_chosen(struct px_sequencer *self, size_t n, struct ended *ended)
{
    for (size_t i = 0; i < n; i++) {
        struct px_sequence_live *live = live_of(self->chosen[i]);
        struct px_run *run = take_first(self, live);
        run->code = px_err_set(&run->err, PX_E_NO_MEMORY, "no memory for a batch of sequences");
        end_step(self, live, run, px_clock_monotonic_ns(), ended);
    }
}

/* With the mutex, which is given up while the batch is joined and started. */
static void take_off(struct px_sequencer *self, struct px_flight *flight)
{
    self->n_flights++;
    self->counts.batches++;
    unlock(self);
    enum px_code code = px_flight_load(flight);
    if (code == PX_OK)
        px_engine_start(self->inner, &flight->run);
    else
        px_run_finish(&flight->run, code);
    lock(self);
    flight->started = true;
    stop_flight(self, flight); /* cancels that came before there was something to stop */
}

static void launch(struct px_sequencer *self, size_t n)
{
    struct ended ended = {0};
    struct px_flight *flight = take_flight(self);
    if (flight)
        board_all(self, flight, n, &ended);
    else
        fail_chosen(self, n, &ended);
    if (ended.first) {
        unlock(self);
        finish_all(&ended);
        lock(self);
    }
    if (!flight)
        return;
    if (flight->n_steps > 0)
        take_off(self, flight);
    else
        flight->ended = true;
    flight->n_holds--;
    put_flight(self, flight);
}

static void sleep_until(struct px_sequencer *self, uint64_t at_ns)
{
    if (at_ns == never) {
        pthread_cond_wait(&self->changed, &self->mutex);
        return;
    }
    struct timespec at = {.tv_sec = (time_t)(at_ns / PX_NS_PER_S),
                          .tv_nsec = (long)(at_ns % PX_NS_PER_S)};
    pthread_cond_timedwait(&self->changed, &self->mutex, &at);
}

static void look_and_finish(struct px_sequencer *self, uint64_t now_ns)
{
    struct ended ended = {0};
    look(self, now_ns, &ended);
    unlock(self);
    finish_all(&ended);
    lock(self);
}

static void *work(void *argument)
{
    struct px_sequencer *self = argument;
    lock(self);
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
            launch(self, n);
        else
            sleep_until(self, at_ns && at_ns < self->look_at_ns ? at_ns : self->look_at_ns);
    }
    unlock(self);
    return NULL;
}

/* ---- the port ---- */

static bool fits(const struct px_sequence *first, const struct px_sequence *other)
{
    return px_flight_fits(((const struct px_sequence_live *)first)->first,
                          ((const struct px_sequence_live *)other)->first);
}

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
        return refuse_without_start(self, run);
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
    expire(self, now_ns);
    struct px_sequence *known = px_sequences_find(&self->table, &id);
    struct px_sequence_live *live = known ? live_of(known) : NULL;
    enum px_code code = check_steps(self, live, run);
    if (code == PX_OK && !live)
        code = add_sequence(self, &id, run, now_ns, &live);
    if (code != PX_OK || !live)
        return code;
    run->state = NULL;
    append(&live->first, &live->last, run);
    self->n_steps++;
    px_sequences_add_step(&self->table, &live->base, now_ns);
    if (run->deadline_ns)
        look_at(self, run->deadline_ns);
    wake(self);
    return PX_OK;
}

static void start(struct px_engine *engine, struct px_run *run)
{
    struct px_sequencer *self = sequencer_of(engine);
    enum px_code code = px_sequence_check_step(self, run, &run->err);
    if (code == PX_OK) {
        lock(self);
        code = accept(self, run);
        self->counts.failed += code != PX_OK;
        unlock(self);
    }
    if (code != PX_OK)
        px_run_finish(run, code);
}

static void cancel(struct px_engine *engine, struct px_run *run)
{
    struct px_sequencer *self = sequencer_of(engine);
    lock(self);
    if (run->state) {
        stop_flight(self, run->state);
    } else {
        look_at(self, 0);
        wake(self);
    }
    unlock(self);
}

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
    lock(self);
    *ret = self->counts;
    ret->live = self->table.n_places;
    ret->backlog = self->table.backlog.n;
    ret->steps = self->n_steps;
    unlock(self);
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
    lock(self);
    PX_ASSERT(self->n_steps == 0);
    self->stopping = true;
    wake(self);
    unlock(self);
    pthread_join(self->thread, NULL);
}

static void free_sequencer(struct px_sequencer *self)
{
    struct px_sequence *sequence;
    while (self->table.buckets && (sequence = px_sequences_any(&self->table)) != NULL) {
        px_sequences_remove(&self->table, sequence, sequence->since_ns);
        free_live(live_of(sequence));
    }
    while (self->spare) {
        struct px_flight *flight = self->spare;
        self->spare = flight->next;
        free_flight(flight);
    }
    px_sequences_deinit(&self->table);
    px_free(self->chosen);
    px_free(self->initial);
    px_arena_deinit(&self->arena);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->mutex);
    px_free(self);
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

/* Where rows are not counted there are no batches, and both schedulers are one. */
static enum px_code make_table(struct px_sequencer *self, unsigned batches_max, struct px_err *err)
{
    struct px_sequence_rules rules = self->settings.rules;
    rules.fits = fits;
    self->flights_max = batches_max ? batches_max : 1;
    if (!self->batches) {
        rules.scheduler = PX_SEQUENCE_OLDEST;
        rules.batch_max = 1;
        rules.n_preferred = 0;
        rules.delay_ns = 0;
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
    self->arena = px_arena(PLAN_BYTES_MAX);
    self->look_at_ns = never;
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
