/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waking a thread takes 10 to 50 us, more than a small network computes. So a run that is predicted to take no longer than PX_EXECUTOR_SHORT_NS is
 * computed by its caller, if the engine waits for nobody (PX_ENGINE_COMPUTES), no other run waits, nothing asks to wait for company, and
 * a slot is free. The prediction is a line over the bytes of the inputs, learned from every run. A caller that was held up for long
 * does not compute again for some runs. Rejected: threads that spin before they sleep (a core for every model that is loaded).
 *
 * An entry is made before the mutex is taken, because hashing its shape takes as long as all the rest of a start.
 */
#include "application/execution/executor_impl.h"

#include "shared/alloc.h"
#include "shared/clock.h"

#include <stdio.h>
#include <string.h>

/* ---- starting ---- */

static void set_item(const struct px_executor *self, struct px_run *run, struct px_entry *ret)
{
    const struct px_batching *batching = &self->batching;
    size_t rows_max = batching->policy.rows_max;
    *ret = (struct px_entry){.run = run, .n_rows = px_engine_run_rows(self->blocking, run)};
    ret->item.n_rows = ret->n_rows;
    if (!batching->limits_rows && ret->n_rows > rows_max)
        ret->item.n_rows = rows_max;
    ret->item.urgency = run->urgency;
    ret->item.deadline_ns = run->deadline_ns;
    run->started_ns = 0;
    run->batch_rows = 0;
    run->joined_batch = false;
}

static bool may_be_short(const struct px_executor *self)
{
    const struct px_batching *batching = &self->batching;
    bool waits_for_company = batching->policy.delay_ns > 0 && !batching->policy.tunes_delay;
    return px_engine_has(self->blocking, PX_ENGINE_COMPUTES) && !batching->preserves_order &&
           !waits_for_company;
}

static bool is_short_now(const struct px_executor *self, const struct px_entry *entry)
{
    double bytes = (double)px_run_input_bytes(entry->run);
    return self->queue.n_items == 0 && self->counts.running < self->n_instances &&
           entry->item.n_rows <= self->batching.policy.rows_max &&
           self->counts.computed >= self->short_from &&
           px_cost_line_knows(&self->bytes_cost, bytes) &&
           px_cost_line_predict(&self->bytes_cost, bytes) <= PX_EXECUTOR_SHORT_NS;
}

/* The watch has to know the deadline of a run that is computed here too: an engine can be wrong about how long it takes. */
static bool try_to_compute_here(struct px_executor *self, struct px_run *run)
{
    struct px_entry entry;
    struct px_entries ended = {0};
    set_item(self, run, &entry);
    px_executor_lock(self);
    bool here = is_short_now(self, &entry);
    if (here) {
        run->entry = &entry;
        self->counts.accepted++;
        if (run->deadline_ns)
            px_executor_wake_watch(self, run->deadline_ns);
        px_executor_compute_here(self, &entry, &ended);
    }
    px_executor_unlock(self);
    px_entries_finish(&ended);
    return here;
}

static struct px_batch_instances instances(const struct px_executor *self)
{
    return (struct px_batch_instances){self->n_instances, (unsigned)self->counts.running};
}

uint64_t px_executor_foresee(const struct px_executor *self, const struct px_batch_item *item)
{
    return px_batch_queue_foresee_ns(&self->queue, item, px_clock_monotonic_ns(), &self->cost,
                                     instances(self));
}

static uint64_t foresee(struct px_executor *self, const struct px_entry *entry)
{
    px_executor_lock(self);
    uint64_t ns = px_executor_foresee(self, &entry->item);
    px_executor_unlock(self);
    return ns;
}

static void refuse(struct px_executor *self, struct px_entry *entry, enum px_batch_refusal why)
{
    struct px_run *run = entry->run;
    const struct px_batch_policy *policy = &self->batching.policy;
    struct px_err *err = &run->err;
    uint64_t takes_ns = why == PX_BATCH_TOO_LARGE ? 0 : foresee(self, entry);
    if (why == PX_BATCH_TOO_LARGE) {
        px_err_set(err, PX_E_TOO_LARGE, "expected at most %zu rows in one request, got %zu",
                   policy->rows_max, px_engine_run_rows(self->blocking, run));
        px_err_hint(err, "split the request, or set 'split: true' under 'batching' in model.yaml");
    } else if (why == PX_BATCH_HOPELESS) {
        run->hopeless = true;
        px_err_set(err, PX_E_OVERLOADED,
                   "the answer would be late: waiting and computing take about %.3g ms, and the "
                   "deadline of this request is sooner",
                   (double)takes_ns * 1e-6);
        px_err_hint(err, "give it more time, or send fewer at a time");
    } else if (why == PX_BATCH_LEVEL_FULL) {
        unsigned level = entry->item.in.level;
        px_err_set(err, PX_E_OVERLOADED,
                   "%zu requests of priority %u wait for this model already, as many as may",
                   policy->levels[level].items_max, level + 1);
        px_err_hint(err, "send fewer at a time, or raise 'max_queue' of level %u in model.yaml",
                    level + 1);
    } else {
        px_err_set(err, PX_E_OVERLOADED,
                   "%zu requests wait for this model already, with %u at a time being computed",
                   policy->items_max, self->n_instances);
        px_err_hint(err, "send fewer at a time, or raise 'instances' or 'queue_max' in model.yaml");
    }
    if (err->code == PX_E_OVERLOADED)
        px_err_retry(err, takes_ns);
    px_run_finish(run, err->code);
}

static void push_out(struct px_executor *self, struct px_batch_item *item, struct px_entries *ended)
{
    struct px_entry *entry = px_entry_of(item);
    if (entry->why)
        return;
    px_err_set(&entry->run->err, PX_E_OVERLOADED,
               "the queue of this model is full, and more critical requests came");
    px_err_hint(&entry->run->err, "send fewer at a time, or raise 'queue_max' in model.yaml");
    px_err_retry(&entry->run->err, px_executor_foresee(self, item));
    px_entry_give_up(self, entry, ended);
}

static enum px_batch_refusal accept(struct px_executor *self, struct px_entry *entry,
                                    struct px_entries *ended)
{
    struct px_batch_item *shed = NULL;
    if (entry->item.shape == 0 || self->alone_why)
        entry->item.shape = ++self->n_alone;
    enum px_batch_refusal refusal = px_batch_queue_add(
        &self->queue, &entry->item, px_clock_monotonic_ns(), &self->cost, instances(self), &shed);
    if (shed)
        push_out(self, shed, ended);
    if (refusal != PX_BATCH_ACCEPTED) {
        self->counts.refused += refusal != PX_BATCH_TOO_LARGE;
        return refusal;
    }
    self->counts.accepted++;
    entry->run->entry = entry;
    px_entry_keep_order(self, entry);
    px_executor_wake_watch(self, px_batch_queue_next_late_ns(&self->queue));
    if (self->counts.running < self->n_instances)
        pthread_cond_signal(&self->queued);
    return PX_BATCH_ACCEPTED;
}

void px_executor_start(struct px_engine *engine, struct px_run *run)
{
    struct px_executor *self = (struct px_executor *)engine;
    struct px_entries ended = {0};
    if (may_be_short(self) && try_to_compute_here(self, run))
        return;
    struct px_entry *entry = px_arena_alloc(run->arena, 1, sizeof *entry);
    if (!entry) {
        px_run_finish(run, px_arena_check(run->arena, "the request", &run->err));
        return;
    }
    set_item(self, run, entry);
    entry->item.shape = px_joint_run_shape(self->blocking, run);
    px_executor_lock(self);
    enum px_batch_refusal refusal = accept(self, entry, &ended);
    px_executor_unlock(self);
    if (refusal != PX_BATCH_ACCEPTED)
        refuse(self, entry, refusal);
    px_entries_finish(&ended);
}

/* The watch finishes what ends here. */
static void cancel(struct px_engine *engine, struct px_run *run)
{
    struct px_executor *self = (struct px_executor *)engine;
    px_executor_lock(self);
    if (run->entry)
        px_entry_unwant(self, run->entry, PX_E_CANCELLED, &self->ended);
    if (self->ended.first)
        pthread_cond_signal(&self->watch);
    px_executor_unlock(self);
}

/* ---- batching ---- */

static const char *find_alone_why(const struct px_engine *blocking,
                                  const struct px_batching *batching)
{
    if (px_engine_has(blocking, PX_ENGINE_SEQUENCES))
        return "it keeps state between the requests of a sequence";
    if (!px_engine_has(blocking, PX_ENGINE_BATCHES))
        return "nobody has said that the first dimension of its tensors counts independent rows; "
               "for ONNX "
               "'engine: {batches: true}' in model.yaml does";
    if (batching->is_off)
        return "model.yaml says so";
    return batching->policy.rows_max == 1 ? "max_rows is 1" : NULL;
}

/* Joins nothing. Rows are counted, but unless model.yaml limits them there is no number of them that is too many. */
static void set_alone(struct px_batch_policy *policy, bool limits_rows)
{
    policy->together_max = 1;
    if (limits_rows)
        return;
    policy->rows_max = PX_BATCH_ROWS_MAX;
    policy->n_preferred = 0;
    policy->delay_ns = 0;
    policy->splits = false;
}

static void free_slots(struct px_slot *slots, unsigned n)
{
    for (unsigned i = 0; slots && i < n; i++) {
        px_joint_run_deinit(&slots[i].joint);
        px_free(slots[i].parts);
        px_free(slots[i].sources);
        px_free(slots[i].pieces);
        px_free(slots[i].codes);
    }
    px_free(slots);
}

static struct px_slot *make_slots(unsigned n, size_t n_parts)
{
    struct px_slot *slots = px_alloc(n, sizeof *slots);
    bool ok = slots != NULL;
    for (unsigned i = 0; ok && i < n; i++) {
        struct px_slot *slot = &slots[i];
        px_joint_run_init(&slot->joint);
        slot->parts = px_alloc(n_parts, sizeof *slot->parts);
        slot->sources = px_alloc(n_parts, sizeof *slot->sources);
        slot->pieces = px_alloc(n_parts, sizeof(struct px_split_piece *));
        slot->codes = px_alloc(n_parts, sizeof *slot->codes);
        ok = slot->parts && slot->sources && slot->pieces && slot->codes;
    }
    if (ok)
        return slots;
    free_slots(slots, n);
    return NULL;
}

/* Slots and queue for these rules; what the executor had before is given back. */
static enum px_code apply(struct px_executor *self, const struct px_batching *batching,
                          struct px_err *err)
{
    const char *alone_why = find_alone_why(self->blocking, batching);
    size_t n_parts = alone_why ? 1 : batching->policy.rows_max;
    struct px_slot *slots = make_slots(self->n_instances, n_parts);
    if (!slots)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for batches of %zu requests", n_parts);
    size_t items_max = self->batching.policy.items_max;
    free_slots(self->slots, self->n_instances);
    self->slots = slots;
    self->n_parts_max = n_parts;
    self->batching = *batching;
    self->batching.policy.items_max = items_max;
    self->alone_why = alone_why;
    if (alone_why)
        set_alone(&self->batching.policy, batching->limits_rows && !batching->is_off);
    px_batch_queue_init(&self->queue, &self->batching.policy);
    return PX_OK;
}

enum px_code px_executor_set_batching(struct px_engine *engine, const struct px_batching *batching,
                                      struct px_err *err)
{
    struct px_executor *self = px_executor_of(engine);
    if (!self)
        return px_err_set(err, PX_E_UNSUPPORTED, "engine '%s' has no queue of its own",
                          px_engine_name(engine));
    px_executor_lock(self);
    bool is_busy = self->queue.n_items > 0 || self->counts.running > 0;
    enum px_code code = is_busy ? px_err_set(err, PX_E_CONFLICT, "the model is computing")
                                : apply(self, batching, err);
    px_executor_unlock(self);
    return code;
}

/* ---- the port ---- */

static void stop_threads(struct px_executor *self)
{
    px_executor_lock(self);
    PX_ASSERT(self->queue.n_items == 0);
    self->stopping = true;
    pthread_cond_broadcast(&self->queued);
    pthread_cond_broadcast(&self->watch);
    px_executor_unlock(self);
    for (unsigned i = 0; i < self->n_threads; i++)
        pthread_join(self->threads[i], NULL);
    if (self->has_watcher)
        pthread_join(self->watcher, NULL);
}

static void free_executor(struct px_executor *self)
{
    stop_threads(self);
    pthread_cond_destroy(&self->queued);
    pthread_cond_destroy(&self->watch);
    pthread_mutex_destroy(&self->mutex);
    free_slots(self->slots, self->n_instances);
    px_free(self->threads);
    px_free(self);
}

static bool is_idle(struct px_engine *engine)
{
    return px_engine_is_idle(((struct px_executor *)engine)->blocking);
}

static bool is_able(struct px_engine *engine, struct px_err *err)
{
    return px_engine_is_able(((struct px_executor *)engine)->blocking, err);
}

static void measure(struct px_engine *engine, const struct px_engine_measures *to)
{
    px_engine_measure(((struct px_executor *)engine)->blocking, to);
}

/* Batches that wait for company are computed now. */
static void drain(struct px_engine *engine)
{
    struct px_executor *self = (struct px_executor *)engine;
    px_executor_lock(self);
    px_batch_queue_drain(&self->queue);
    pthread_cond_broadcast(&self->queued);
    px_executor_unlock(self);
}

static void destroy(struct px_engine *engine)
{
    struct px_executor *self = (struct px_executor *)engine;
    struct px_engine *blocking = self->blocking;
    free_executor(self);
    px_engine_destroy(blocking);
}

/* ---- making ---- */

static void init_conditions(struct px_executor *self)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->queued, &monotonic);
    pthread_cond_init(&self->watch, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static int start_workers(struct px_executor *self)
{
    int failure = px_thread_start("px-watch", px_executor_watch, self, &self->watcher);
    self->has_watcher = !failure;
    while (!failure && self->n_threads < self->n_instances) {
        failure = px_thread_start(self->thread_name, px_executor_work, self,
                                  &self->threads[self->n_threads]);
        self->n_threads += !failure;
    }
    return failure;
}

static enum px_code start_threads(struct px_executor *self, struct px_err *err)
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

static void set_up(struct px_executor *self, struct px_engine *blocking,
                   const struct px_executor_options *options)
{
    const char *name = options->name ? options->name : blocking->ops->name;
    self->ops = (struct px_engine_ops){
        .abi = PX_ENGINE_ABI,
        .caps = blocking->ops->caps | PX_ENGINE_ASYNC,
        .name = blocking->ops->name,
        .start = px_executor_start,
        .cancel = cancel,
        .describe = px_executor_describe,
        .measure = measure,
        .is_idle = is_idle,
        .is_able = is_able,
        .drain = drain,
        .destroy = destroy,
    };
    self->n_instances = self->counts.n_threads = options->n_threads ? options->n_threads : 1;
    self->base = *blocking;
    self->base.ops = &self->ops;
    self->blocking = blocking;
    self->batching.policy.items_max =
        options->queue_max ? options->queue_max : PX_EXECUTOR_QUEUE_DEFAULT;
    self->watch_at_ns = PX_EXECUTOR_NEVER;
    snprintf(self->name, sizeof self->name, "%s", name);
    snprintf(self->thread_name, sizeof self->thread_name, "px-%s", name);
    init_conditions(self);
}

enum px_code px_executor_engine_create(struct px_engine *blocking,
                                       const struct px_executor_options *options,
                                       struct px_engine **ret, struct px_err *err)
{
    PX_ASSERT(px_engine_has(blocking, PX_ENGINE_TENSORS) && blocking->ops->run);
    struct px_batching usual;
    enum px_code code = check_options(options, err);
    if (code != PX_OK)
        return code;
    struct px_executor *self = px_alloc(1, sizeof *self);
    if (!self)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for an executor");
    set_up(self, blocking, options);
    px_batching_init(&usual);
    code = apply(self, options->batching ? options->batching : &usual, err);
    self->threads = px_alloc(self->n_instances, sizeof *self->threads);
    if (code == PX_OK && !self->threads)
        code = px_err_set(err, PX_E_NO_MEMORY, "no memory for %u threads", self->n_instances);
    if (code == PX_OK)
        code = start_threads(self, err);
    if (code == PX_OK)
        *ret = &self->base;
    else
        free_executor(self); /* the blocking engine stays the caller's */
    return code;
}
