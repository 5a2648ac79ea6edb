/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mutex guards the queue and what each thread computes; it is held for moments, never while an engine computes or
 * a run finishes.
 *
 *   start    loop     -> queue, wakes a thread; wakes the watch when this deadline is before the next one that it knows
 *                     or, when the run is short and its turn is now, computes and finishes it
 *   work     thread   takes the oldest run, computes, finishes it
 *   watch    thread   sleeps until the earliest deadline; then stops what is late, and ends what waits and is not wanted
 *   cancel   loop     stops a run that is computed, or asks the watch to end one that waits
 *
 * Invariants
 * 1. Whoever takes a run out of the queue, or out of its thread's slot, under the mutex finishes it, once.
 * 2. A run in a slot has not finished while the mutex is held, so the blocking engine's `cancel` never sees a run
 *    that is gone.
 * 3. `stopped` of a slot is why the run ends, once; it outlives whatever the engine answers.
 * 4. Runs are finished by threads of the executor, or within their start: who cancels is never called back from the cancel.
 * 5. There are as many slots as instances. Whoever computes holds one, a thread or a caller, so no more runs compute at a time.
 *
 * Deadlines are found by walking the queue. The watch does so at most once in WATCH_PAUSE_NS, and a run that starts after
 * another mostly has the later deadline, so that almost no start wakes the watch. Rejected: a heap of deadlines (every start
 * pays for the few that are late), ending late runs when their turn comes (they hold places in the queue and memory meanwhile).
 *
 * Waking a thread takes 10 to 50 us, more than a small network computes. So a run that is predicted to take no longer than SHORT_NS is
 * computed by its caller, if the engine waits for nobody (PX_ENGINE_COMPUTES), no other run waits, and a slot is free. The prediction
 * is a line over the bytes of the inputs, learned from every run. A caller that was held up LONG_TIMES as long as that
 * does not compute again for PENALTY_RUNS runs. Rejected: threads that spin before they sleep (a core for every model that is loaded).
 */
#include "application/execution/executor.h"

#include "domain/batching/cost_line.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/thread.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

enum { WATCH_PAUSE_NS = 1000000, SHORT_NS = 30000, LONG_TIMES = 10, PENALTY_RUNS = 1000 };

static const uint64_t never = UINT64_MAX;

struct executor;

/* A run that is being computed. */
struct slot {
    struct px_run *run;   /* NULL: none */
    enum px_code stopped; /* PX_E_CANCELLED or PX_E_DEADLINE once it was told to end */
};

struct executor {
    struct px_engine base; /* first: the port's view of this object */
    struct px_engine_ops ops;
    struct px_engine *blocking;
    size_t queue_max;
    char thread_name[PX_THREAD_NAME_MAX];

    pthread_mutex_t mutex; /* of everything below */
    pthread_cond_t queued; /* there may be a run, or the end */
    pthread_cond_t watch;  /* there may be something to end */
    struct px_run *first, *last;
    uint64_t watch_at_ns;   /* when the watch looks again */
    uint64_t watch_from_ns; /* not before */
    bool stopping;
    struct px_executor_counts counts;
    struct px_cost_line cost; /* of a run, over the bytes of its inputs */
    uint64_t short_from;      /* no run is computed by its caller before so many were computed */
    struct slot *slots;       /* [n_instances] */
    unsigned n_instances;

    pthread_t watcher;
    bool has_watcher;
    unsigned n_threads; /* that were started */
    pthread_t *threads; /* [n_instances] */
};

static void lock(struct executor *self)
{
    pthread_mutex_lock(&self->mutex);
}

static void unlock(struct executor *self)
{
    pthread_mutex_unlock(&self->mutex);
}

/* ---- ending runs ---- */

static bool is_cancelled(const struct px_run *run)
{
    return atomic_load_explicit(&run->cancelled, memory_order_relaxed);
}

static enum px_code say_why(struct px_run *run, enum px_code why, const char *where)
{
    return px_err_set(
        &run->err, why,
        why == PX_E_DEADLINE ? "the deadline passed %s" : "the request was cancelled %s", where);
}

/* Does nobody wait for this run any more? PX_OK when somebody does. */
static enum px_code why_unwanted(const struct px_run *run, uint64_t now_ns)
{
    if (is_cancelled(run))
        return PX_E_CANCELLED;
    return run->deadline_ns && now_ns >= run->deadline_ns ? PX_E_DEADLINE : PX_OK;
}

static void count_end(struct executor *self, enum px_code why)
{
    self->counts.cancelled += why == PX_E_CANCELLED;
    self->counts.late += why == PX_E_DEADLINE;
}

static void append(struct px_run **first, struct px_run **last, struct px_run *run)
{
    run->next = NULL;
    if (*last)
        (*last)->next = run;
    else
        *first = run;
    *last = run;
}

/* ---- working ---- */

static struct px_run *take_oldest(struct executor *self)
{
    struct px_run *run = self->first;
    self->first = run->next;
    if (!self->first)
        self->last = NULL;
    run->next = NULL;
    self->counts.queued--;
    return run;
}

/* Engines of others may forget to say why. */
static enum px_code check_error(const struct executor *self, struct px_run *run, enum px_code code)
{
    if (code == PX_OK || run->err.code == code)
        return code;
    return px_err_set(&run->err, code, "engine '%s' failed and did not say why", self->ops.name);
}

static bool has_free_slot(const struct executor *self)
{
    return self->counts.running < self->n_instances;
}

static struct slot *slot_of(struct executor *self, const struct px_run *run)
{
    for (unsigned i = 0; i < self->n_instances; i++) {
        if (self->slots[i].run == run)
            return &self->slots[i];
    }
    return NULL;
}

/* Computes in a free slot, with the mutex given up meanwhile; returns how the run ends. */
static enum px_code compute(struct executor *self, struct px_run *run)
{
    struct slot *slot = slot_of(self, NULL);
    PX_ASSERT(slot);
    *slot = (struct slot){.run = run};
    self->counts.running++;
    unlock(self);
    uint64_t from_ns = px_clock_monotonic_ns();
    enum px_code code = px_engine_run(self->blocking, run, &run->err);
    uint64_t took_ns = px_clock_monotonic_ns() - from_ns;
    lock(self);
    slot->run = NULL;
    self->counts.running--;
    self->counts.computed++;
    if (slot->stopped)
        return say_why(run, slot->stopped, "while the model was computing");
    if (code == PX_OK)
        px_cost_line_learn(&self->cost, (double)px_run_input_bytes(run), (double)took_ns);
    return check_error(self, run, code);
}

static bool has_work(const struct executor *self)
{
    return self->first && has_free_slot(self);
}

static void *work(void *argument)
{
    struct executor *self = argument;
    lock(self);
    for (;;) {
        while (!has_work(self) && !self->stopping)
            pthread_cond_wait(&self->queued, &self->mutex);
        if (!has_work(self))
            break;
        struct px_run *run = take_oldest(self);
        enum px_code code = why_unwanted(run, px_clock_monotonic_ns());
        count_end(self, code);
        code = code ? say_why(run, code, "while the request waited for the model")
                    : compute(self, run);
        unlock(self);
        px_run_finish(run, code);
        lock(self);
    }
    unlock(self);
    return NULL;
}

/* ---- short runs, computed by who starts them ---- */

static bool is_short(const struct executor *self, const struct px_run *run)
{
    double bytes = (double)px_run_input_bytes(run);
    return px_engine_has(self->blocking, PX_ENGINE_COMPUTES) &&
           self->counts.computed >= self->short_from && px_cost_line_knows(&self->cost, bytes) &&
           px_cost_line_predict(&self->cost, bytes) <= SHORT_NS;
}

/* A run that has begun to wait while this one was computed found no free slot, and woke nobody who could use it. */
static enum px_code compute_here(struct executor *self, struct px_run *run)
{
    uint64_t from_ns = px_clock_monotonic_ns();
    enum px_code code = compute(self, run);
    if (px_clock_monotonic_ns() - from_ns > (uint64_t)LONG_TIMES * SHORT_NS)
        self->short_from = self->counts.computed + PENALTY_RUNS;
    if (self->first)
        pthread_cond_signal(&self->queued);
    return code;
}

/* ---- watching ---- */

static uint64_t earlier(uint64_t at_ns, const struct px_run *run)
{
    return run->deadline_ns && run->deadline_ns < at_ns ? run->deadline_ns : at_ns;
}

static void stop_slot(struct executor *self, struct slot *slot, enum px_code why)
{
    slot->stopped = why;
    count_end(self, why);
    px_engine_cancel(self->blocking, slot->run);
}

/* Stops what is late; returns the earliest deadline of the others. */
static uint64_t watch_slots(struct executor *self, uint64_t now_ns)
{
    uint64_t next_ns = never;
    for (unsigned i = 0; i < self->n_instances; i++) {
        struct slot *slot = &self->slots[i];
        if (!slot->run || slot->stopped)
            continue;
        if (slot->run->deadline_ns && now_ns >= slot->run->deadline_ns)
            stop_slot(self, slot, PX_E_DEADLINE);
        else
            next_ns = earlier(next_ns, slot->run);
    }
    return next_ns;
}

/* Takes what is not wanted out of the queue into the list `*ended`; returns the earliest deadline of the others. */
static uint64_t watch_queue(struct executor *self, uint64_t now_ns, struct px_run **ended)
{
    struct px_run *run = self->first, *last_ended = NULL;
    uint64_t next_ns = never;
    self->first = self->last = NULL;
    while (run) {
        struct px_run *next = run->next;
        enum px_code why = why_unwanted(run, now_ns);
        if (why) {
            say_why(run, why, "while the request waited for the model");
            count_end(self, why);
            self->counts.queued--;
            append(ended, &last_ended, run);
        } else {
            next_ns = earlier(next_ns, run);
            append(&self->first, &self->last, run);
        }
        run = next;
    }
    return next_ns;
}

/* Ends what is to be ended now; the mutex is given up while runs finish. */
static void end_unwanted(struct executor *self)
{
    uint64_t now_ns = px_clock_monotonic_ns();
    struct px_run *ended = NULL;
    uint64_t a = watch_slots(self, now_ns), b = watch_queue(self, now_ns, &ended);
    uint64_t next_ns = a < b ? a : b;
    self->watch_from_ns = now_ns + WATCH_PAUSE_NS;
    self->watch_at_ns = next_ns < self->watch_from_ns ? self->watch_from_ns : next_ns;
    if (!ended)
        return;
    unlock(self);
    while (ended) {
        struct px_run *next = ended->next;
        px_run_finish(ended, ended->err.code);
        ended = next;
    }
    lock(self);
}

static void sleep_until(struct executor *self, uint64_t at_ns)
{
    if (at_ns == never) {
        pthread_cond_wait(&self->watch, &self->mutex);
        return;
    }
    struct timespec at = {.tv_sec = (time_t)(at_ns / PX_NS_PER_S),
                          .tv_nsec = (long)(at_ns % PX_NS_PER_S)};
    pthread_cond_timedwait(&self->watch, &self->mutex, &at);
}

static void *watch(void *argument)
{
    struct executor *self = argument;
    lock(self);
    while (!self->stopping) {
        if (px_clock_monotonic_ns() >= self->watch_at_ns)
            end_unwanted(self);
        else
            sleep_until(self, self->watch_at_ns);
    }
    unlock(self);
    return NULL;
}

/* Has the watch look at that time, or as soon as it may. */
static void wake_watch(struct executor *self, uint64_t at_ns)
{
    if (at_ns < self->watch_from_ns)
        at_ns = self->watch_from_ns;
    if (at_ns >= self->watch_at_ns)
        return;
    self->watch_at_ns = at_ns;
    pthread_cond_signal(&self->watch);
}

/* ---- the port ---- */

static struct executor *executor_of(struct px_engine *engine)
{
    return (struct executor *)engine;
}

static void accept(struct executor *self, struct px_run *run)
{
    self->counts.accepted++;
    self->counts.queued++;
    append(&self->first, &self->last, run);
    if (run->deadline_ns)
        wake_watch(self, run->deadline_ns);
    pthread_cond_signal(&self->queued);
}

static void refuse(struct executor *self, struct px_run *run)
{
    px_err_set(&run->err, PX_E_OVERLOADED,
               "%zu requests wait for this model already, with %u at a time being computed",
               self->queue_max, self->n_instances);
    px_err_hint(&run->err,
                "send fewer at a time, or raise 'instances' or 'queue_max' in model.yaml");
    px_run_finish(run, PX_E_OVERLOADED);
}

/* The watch has to know the deadline of a run that is computed here too: an engine can be wrong about how long it takes. */
static void start_now(struct executor *self, struct px_run *run)
{
    self->counts.accepted++;
    if (run->deadline_ns)
        wake_watch(self, run->deadline_ns);
    enum px_code code = compute_here(self, run);
    unlock(self);
    px_run_finish(run, code);
}

static void start(struct px_engine *engine, struct px_run *run)
{
    struct executor *self = executor_of(engine);
    lock(self);
    if (!self->first && has_free_slot(self) && is_short(self, run)) {
        start_now(self, run);
        return;
    }
    bool has_room = self->counts.queued < self->queue_max;
    if (has_room)
        accept(self, run);
    else
        self->counts.refused++;
    unlock(self);
    if (!has_room)
        refuse(self, run);
}

/* A run that is in no slot waits, or is ending: the watch finds it, or nothing. */
static void cancel(struct px_engine *engine, struct px_run *run)
{
    struct executor *self = executor_of(engine);
    lock(self);
    struct slot *slot = slot_of(self, run);
    if (!slot)
        wake_watch(self, 0);
    else if (!slot->stopped)
        stop_slot(self, slot, PX_E_CANCELLED);
    unlock(self);
}

bool px_executor_counts(const struct px_engine *engine, struct px_executor_counts *ret)
{
    *ret = (struct px_executor_counts){0};
    if (engine->ops->start != start)
        return false;
    union {
        const struct px_engine *engine;
        struct executor *executor; /* only its mutex changes */
    } view = {.engine = engine};
    lock(view.executor);
    *ret = view.executor->counts;
    unlock(view.executor);
    return true;
}

static void describe(const struct px_engine *engine, struct px_json_writer *json)
{
    const struct executor *self = (const struct executor *)engine;
    struct px_executor_counts counts;
    px_executor_counts(engine, &counts);
    px_json_member_u64(json, "instances", self->n_instances);
    px_json_member_u64(json, "queue_max", self->queue_max);
    px_json_member_u64(json, "queued", counts.queued);
    px_json_member_u64(json, "running", counts.running);
    if (self->blocking->ops->describe)
        self->blocking->ops->describe(self->blocking, json);
}

static void stop_threads(struct executor *self)
{
    lock(self);
    PX_ASSERT(!self->first);
    self->stopping = true;
    pthread_cond_broadcast(&self->queued);
    pthread_cond_broadcast(&self->watch);
    unlock(self);
    for (unsigned i = 0; i < self->n_threads; i++)
        pthread_join(self->threads[i], NULL);
    if (self->has_watcher)
        pthread_join(self->watcher, NULL);
}

static void free_executor(struct executor *self)
{
    stop_threads(self);
    pthread_cond_destroy(&self->queued);
    pthread_cond_destroy(&self->watch);
    pthread_mutex_destroy(&self->mutex);
    px_free(self->slots);
    px_free(self->threads);
    px_free(self);
}

static bool is_idle(struct px_engine *engine)
{
    return px_engine_is_idle(executor_of(engine)->blocking);
}

static void destroy(struct px_engine *engine)
{
    struct executor *self = executor_of(engine);
    struct px_engine *blocking = self->blocking;
    free_executor(self);
    px_engine_destroy(blocking);
}

/* ---- making ---- */

static void init_conditions(struct executor *self)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->queued, NULL);
    pthread_cond_init(&self->watch, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static int start_workers(struct executor *self)
{
    int failure = px_thread_start("px-watch", watch, self, &self->watcher);
    self->has_watcher = !failure;
    while (!failure && self->n_threads < self->n_instances) {
        failure = px_thread_start(self->thread_name, work, self, &self->threads[self->n_threads]);
        self->n_threads += !failure;
    }
    return failure;
}

static enum px_code start_threads(struct executor *self, struct px_err *err)
{
    int failure = start_workers(self);
    if (!failure)
        return PX_OK;
    px_err_set(err, PX_E_UNAVAILABLE, "cannot start %u threads for a model: %s",
               self->n_instances + 1, strerror(failure));
    return px_err_hint(err, "ask for fewer instances, or raise the limit of processes (ulimit -u)");
}

static enum px_code check_options(const struct px_executor_options *options, struct px_err *err)
{
    if (options->n_threads > PX_EXECUTOR_THREADS_MAX)
        return px_err_set(err, PX_E_INVALID, "expected at most %d instances, got %u",
                          PX_EXECUTOR_THREADS_MAX, options->n_threads);
    if (options->queue_max > PX_EXECUTOR_QUEUE_MAX)
        return px_err_set(err, PX_E_INVALID, "expected a queue_max of at most %d, got %zu",
                          PX_EXECUTOR_QUEUE_MAX, options->queue_max);
    return PX_OK;
}

static void set_up(struct executor *self, struct px_engine *blocking,
                   const struct px_executor_options *options)
{
    const char *name = options->name ? options->name : blocking->ops->name;
    self->ops = (struct px_engine_ops){
        .abi = PX_ENGINE_ABI,
        .caps = blocking->ops->caps | PX_ENGINE_ASYNC,
        .name = blocking->ops->name,
        .start = start,
        .cancel = cancel,
        .describe = describe,
        .is_idle = is_idle,
        .destroy = destroy,
    };
    self->n_instances = self->counts.n_threads = options->n_threads ? options->n_threads : 1;
    self->base = *blocking;
    self->base.ops = &self->ops;
    self->blocking = blocking;
    self->queue_max = options->queue_max ? options->queue_max : PX_EXECUTOR_QUEUE_DEFAULT;
    self->watch_at_ns = never;
    snprintf(self->thread_name, sizeof self->thread_name, "px-%s", name);
    init_conditions(self);
}

enum px_code px_executor_engine_create(struct px_engine *blocking,
                                       const struct px_executor_options *options,
                                       struct px_engine **ret, struct px_err *err)
{
    PX_ASSERT(px_engine_has(blocking, PX_ENGINE_TENSORS) && blocking->ops->run);
    unsigned n_threads = options->n_threads ? options->n_threads : 1;
    enum px_code code = check_options(options, err);
    if (code != PX_OK)
        return code;
    struct executor *self = px_alloc(1, sizeof *self);
    struct slot *slots = px_alloc(n_threads, sizeof *slots);
    pthread_t *threads = px_alloc(n_threads, sizeof *threads);
    if (!self || !slots || !threads) {
        px_free(self);
        px_free(slots);
        px_free(threads);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for an executor of %u threads",
                          n_threads);
    }
    self->slots = slots;
    self->threads = threads;
    set_up(self, blocking, options);
    code = start_threads(self, err);
    if (code == PX_OK)
        *ret = &self->base;
    else
        free_executor(self); /* the blocking engine stays the caller's */
    return code;
}
