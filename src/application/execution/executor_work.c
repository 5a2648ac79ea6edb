/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances: take a batch, compute it, give every run its rows.
 *
 *   one part that is a whole run   the engine gets the run itself
 *   else                           load (gather) -> compute -> unload (scatter), with a joint run of the slot
 *
 * A joint run that fails may have been spoilt by one bad row. Its parts are then computed one after the other, so that only who is to
 * blame fails; what is not about a request (a model that is gone, a stop) fails them all at once. The price is bounded: one more
 * computation for each run of the batch.
 *
 * A model that answers a batch with outputs of other rows than it was given does not count rows, whatever it was declared to do:
 * from then on its runs are computed by themselves.
 */
#include "application/execution/executor_impl.h"

#include "shared/clock.h"
#include "shared/log.h"

enum { LONG_TIMES = 10, PENALTY_RUNS = 1000 };

struct px_slot *px_executor_free_slot(struct px_executor *self)
{
    for (unsigned i = 0; i < self->n_instances; i++) {
        if (self->slots[i].phase == PX_SLOT_FREE)
            return &self->slots[i];
    }
    return NULL;
}

static struct px_entry *entry_at(const struct px_slot *slot, size_t i)
{
    return slot->parts[i].item ? px_entry_of(slot->parts[i].item) : NULL;
}

/* Engines of others may forget to say why. */
static enum px_code check_error(const struct px_executor *self, struct px_run *run,
                                enum px_code code)
{
    if (code == PX_OK || run->err.code == code)
        return code;
    return px_err_set(&run->err, code, "engine '%s' failed and did not say why", self->ops.name);
}

/* ---- giving parts back ---- */

/* Has the engine ended the run by a limit of its own, while its caller would still have waited? Then it knows which. */
static bool is_own_limit(const struct px_run *run, enum px_code code)
{
    return code == PX_E_DEADLINE &&
           (run->deadline_ns == 0 || px_clock_monotonic_ns() < run->deadline_ns);
}

/* The queue keeps the rows of a split run that were not taken yet, until one of its parts fails. */
static void land(struct px_executor *self, struct px_slot *slot, size_t i, enum px_code code,
                 struct px_entries *ended)
{
    struct px_entry *entry = entry_at(slot, i);
    slot->parts[i].item = NULL;
    entry->n_flying--;
    if (code != PX_OK && !entry->why) {
        entry->why = code;
        entry->has_reason = is_own_limit(entry->run, code);
        px_batch_queue_remove(&self->queue, &entry->item);
    }
    if (entry->why == PX_E_CANCELLED || entry->why == PX_E_DEADLINE)
        entry->was_computing = true;
    entry->run->started_ns = slot->began_ns;
    entry->run->batch_rows = slot->n_rows;
    self->counts.computed += entry->n_flying == 0 && !entry->item.in.waits;
    px_entry_settle(self, entry, ended);
}

static void fail_part(struct px_executor *self, struct px_slot *slot, size_t i,
                      struct px_entries *ended)
{
    struct px_entry *entry = entry_at(slot, i);
    if (!entry->why)
        entry->run->err = slot->err;
    land(self, slot, i, slot->err.code, ended);
}

/* What nobody wants any more has not to be computed. Returns how many parts are left. */
static size_t drop_unwanted(struct px_executor *self, struct px_slot *slot,
                            struct px_entries *ended)
{
    size_t n = 0;
    for (size_t i = 0; i < slot->n_parts; i++) {
        struct px_entry *entry = entry_at(slot, i);
        if (!entry)
            continue;
        n += !entry->why;
        if (!entry->why)
            continue;
        slot->parts[i].item = NULL;
        entry->n_flying--;
        px_entry_settle(self, entry, ended);
    }
    return n;
}

/* ---- computing ---- */

/* The mutex is given up while the engine computes. */
static enum px_code run_engine(struct px_executor *self, struct px_slot *slot, struct px_run *run)
{
    slot->run = run;
    slot->has_computed = true;
    slot->phase = PX_SLOT_COMPUTING;
    px_executor_unlock(self);
    size_t bytes = px_run_input_bytes(run);
    slot->began_ns = px_clock_monotonic_ns();
    enum px_code code = px_engine_run(self->blocking, run, &run->err);
    uint64_t took_ns = px_clock_monotonic_ns() - slot->began_ns;
    px_executor_lock(self);
    slot->phase = PX_SLOT_UNLOADING;
    slot->run = NULL;
    slot->lends = false;
    if (code == PX_OK)
        px_cost_line_learn(&self->bytes_cost, (double)bytes, (double)took_ns);
    return check_error(self, run, code);
}

/* A run of its own, as it came. */
static void compute_whole(struct px_executor *self, struct px_slot *slot, size_t i,
                          struct px_entries *ended)
{
    struct px_entry *entry = entry_at(slot, i);
    slot->lends = true;
    slot->lent = i;
    slot->n_rows = entry->n_rows;
    enum px_code code = run_engine(self, slot, entry->run);
    slot->note.code = code != PX_OK && entry->why ? entry->why : code;
    land(self, slot, i, code, ended);
}

/* Copies the next rows of the outputs to whom they belong. Without the mutex. */
static enum px_code unload_part(struct px_slot *slot, size_t i, struct px_tensor *slices)
{
    const struct px_batch_part *part = &slot->parts[i];
    size_t n = slot->joint.run.n_outputs;
    px_joint_run_scatter(&slot->joint, slot->sources[i].n_rows, slices);
    if (!part->item)
        return PX_OK;
    struct px_run *run = px_entry_of(part->item)->run;
    if (part->n_rows == part->item->n_rows)
        return px_joint_run_give(run, slices, n);
    slot->pieces[i] = px_split_piece_create(slices, n, part->first_row);
    return slot->pieces[i] ? PX_OK : PX_E_NO_MEMORY;
}

static enum px_code unload(struct px_slot *slot, size_t from, size_t to)
{
    struct px_joint_run *joint = &slot->joint;
    struct px_tensor *slices =
        px_arena_alloc(&joint->arena, joint->run.n_outputs + 1, sizeof *slices);
    enum px_code code = px_joint_run_begin_scatter(joint);
    slot->miscounts = code != PX_OK;
    if (code == PX_OK && !slices)
        code = px_arena_check(&joint->arena, "a batch", &joint->run.err);
    for (size_t i = from; code == PX_OK && i < to; i++)
        slot->codes[i] = unload_part(slot, i, slices);
    return code;
}

static void land_unloaded(struct px_executor *self, struct px_slot *slot, size_t i,
                          struct px_entries *ended)
{
    struct px_entry *entry = entry_at(slot, i);
    if (!entry)
        return;
    if (slot->pieces[i])
        px_split_pieces_insert(&entry->pieces, slot->pieces[i]);
    else if (slot->codes[i] != PX_OK && !entry->run->err.code && !entry->why)
        px_err_set(&entry->run->err, slot->codes[i], "no memory for a part of the answer");
    slot->pieces[i] = NULL;
    land(self, slot, i, slot->codes[i], ended);
}

/* The parts of the slot as the rows of one run. */
static enum px_code load(struct px_executor *self, struct px_slot *slot, size_t from, size_t to)
{
    slot->n_rows = 0;
    for (size_t i = from; i < to; i++) {
        const struct px_batch_part *part = &slot->parts[i];
        const struct px_entry *entry = entry_at(slot, i);
        PX_ASSERT(entry->n_rows == entry->item.n_rows); /* a larger one fills a batch alone */
        slot->sources[i] = (struct px_joint_part){entry->run, part->first_row, part->n_rows};
        slot->n_rows += part->n_rows;
    }
    return px_joint_run_gather(&slot->joint, self->blocking, &slot->sources[from], to - from);
}

/* Parts [from, to) together; on failure they stay in the slot, with the reason in slot->err. */
static enum px_code compute_joint(struct px_executor *self, struct px_slot *slot, size_t from,
                                  size_t to, struct px_entries *ended)
{
    slot->phase = PX_SLOT_LOADING;
    slot->miscounts = false;
    px_executor_unlock(self);
    enum px_code code = load(self, slot, from, to);
    px_executor_lock(self);
    slot->lends = to - from == 1;
    slot->lent = from;
    if (code == PX_OK && drop_unwanted(self, slot, ended) > 0)
        code = run_engine(self, slot, &slot->joint.run);
    slot->phase = PX_SLOT_UNLOADING;
    bool has_answer = code == PX_OK && slot->joint.run.started_ns > 0;
    px_executor_unlock(self);
    if (has_answer)
        code = unload(slot, from, to);
    slot->err = slot->joint.run.err;
    px_joint_run_clear(&slot->joint);
    px_executor_lock(self);
    for (size_t i = from; code == PX_OK && i < to; i++)
        land_unloaded(self, slot, i, ended);
    slot->note.code = code;
    return code;
}

/* One part by itself, whole or not. */
static void compute_part(struct px_executor *self, struct px_slot *slot, size_t i,
                         struct px_entries *ended)
{
    const struct px_batch_part *part = &slot->parts[i];
    if (part->n_rows == part->item->n_rows)
        compute_whole(self, slot, i, ended);
    else if (compute_joint(self, slot, i, i + 1, ended) != PX_OK && slot->parts[i].item)
        fail_part(self, slot, i, ended);
}

/* ---- batches ---- */

static bool may_be_one_runs_fault(enum px_code code)
{
    return code != PX_E_CANCELLED && code != PX_E_DEADLINE && code != PX_E_UNAVAILABLE &&
           code != PX_E_OVERLOADED;
}

/* From now on each run is computed by itself, and waits for no other. Logging takes locks of its own, so the mutex is given up. */
static void stop_joining(struct px_executor *self, const struct px_err *err)
{
    if (self->alone_why)
        return;
    self->alone_why = "its outputs do not have the rows of its inputs";
    self->queue.policy.together_max = 1;
    self->queue.policy.delay_ns = 0;
    px_executor_unlock(self);
    px_log(PX_LOG_WARN, "model.not_batched", PX_LOG_T("model", self->name),
           PX_LOG_T("reason", err->message));
    px_executor_lock(self);
}

static void compute_one_by_one(struct px_executor *self, struct px_slot *slot,
                               struct px_entries *ended)
{
    slot->note.retried = true;
    for (size_t i = 0; i < slot->n_parts; i++) {
        (void)drop_unwanted(self, slot, ended);
        if (!slot->parts[i].item)
            continue;
        self->counts.retried++;
        compute_part(self, slot, i, ended);
    }
}

static void compute_all(struct px_executor *self, struct px_slot *slot, struct px_entries *ended)
{
    if (slot->n_parts == 1) {
        compute_part(self, slot, 0, ended);
        return;
    }
    enum px_code code = compute_joint(self, slot, 0, slot->n_parts, ended);
    if (code == PX_OK)
        return;
    struct px_err err = slot->err;
    if (slot->miscounts)
        stop_joining(self, &err);
    if (may_be_one_runs_fault(code))
        compute_one_by_one(self, slot, ended);
    for (size_t i = 0; i < slot->n_parts; i++) {
        slot->err = err;
        if (slot->parts[i].item)
            fail_part(self, slot, i, ended);
    }
    slot->note.code = code;
}

static void compute_batch(struct px_executor *self, struct px_slot *slot, struct px_entries *ended)
{
    struct px_executor_batch *note = &slot->note;
    self->counts.running++;
    slot->phase = PX_SLOT_LOADING;
    slot->has_computed = false;
    for (size_t i = 0; i < slot->n_parts; i++) {
        struct px_entry *entry = entry_at(slot, i);
        entry->n_flying++;
        entry->run->joined_batch = i > 0;
        note->rows +=
            slot->parts[i].n_rows == entry->item.n_rows ? entry->n_rows : slot->parts[i].n_rows;
    }
    note->requests = slot->n_parts;
    if (px_cost_line_knows(&self->cost, (double)note->rows))
        note->predicted_ns = (uint64_t)px_cost_line_predict(&self->cost, (double)note->rows);
    compute_all(self, slot, ended);
    note->took_ns = px_clock_monotonic_ns() - note->formed_ns;
    if (note->code == PX_OK && slot->has_computed)
        px_cost_line_learn(&self->cost, (double)note->rows, (double)note->took_ns);
    px_executor_note_batch(self, note);
    slot->phase = PX_SLOT_FREE;
    slot->n_parts = 0;
    self->counts.running--;
}

static bool take_batch(struct px_executor *self, uint64_t now_ns, struct px_slot **ret,
                       uint64_t *ret_again_ns)
{
    struct px_slot *slot = px_executor_free_slot(self);
    *ret_again_ns = PX_EXECUTOR_NEVER;
    if (!slot)
        return false;
    struct px_batch batch = {.parts = slot->parts, .n_parts_max = self->n_parts_max};
    if (!px_batch_queue_form(&self->queue, now_ns, &self->cost, &batch, ret_again_ns))
        return false;
    slot->n_parts = batch.n_parts;
    slot->note = (struct px_executor_batch){
        .formed_ns = now_ns, .reason = batch.reason, .waited_ns = now_ns - batch.oldest_ns};
    *ret = slot;
    return true;
}

void *px_executor_work(void *executor)
{
    struct px_executor *self = executor;
    px_executor_lock(self);
    for (;;) {
        struct px_entries ended = {0};
        struct px_slot *slot;
        uint64_t now_ns = px_clock_monotonic_ns(), again_ns = PX_EXECUTOR_NEVER;
        px_executor_take_late(self, now_ns, &ended);
        if (!ended.first && take_batch(self, now_ns, &slot, &again_ns)) {
            if (self->queue.n_items > 0 && px_executor_free_slot(self))
                pthread_cond_signal(&self->queued);
            compute_batch(self, slot, &ended);
        } else if (!ended.first && self->stopping && self->queue.n_items == 0) {
            break;
        } else if (!ended.first) {
            px_executor_wait(self, &self->queued, again_ns);
        }
        if (ended.first) {
            px_executor_unlock(self);
            px_entries_finish(&ended);
            px_executor_lock(self);
        }
    }
    px_executor_unlock(self);
    return NULL;
}

/* ---- on the thread of a caller ---- */

/* A run that has begun to wait while this one was computed found no free slot, and woke nobody who could use it. */
void px_executor_compute_here(struct px_executor *self, struct px_entry *entry,
                              struct px_entries *ended)
{
    struct px_slot *slot = px_executor_free_slot(self);
    uint64_t now_ns = px_clock_monotonic_ns();
    PX_ASSERT(slot); /* fewer than there are compute */
    slot->parts[0] = (struct px_batch_part){&entry->item, 0, entry->item.n_rows};
    slot->n_parts = 1;
    slot->note =
        (struct px_executor_batch){.formed_ns = now_ns, .reason = PX_BATCH_IDLE, .in_place = true};
    compute_batch(self, slot, ended);
    if (slot->note.took_ns > (uint64_t)LONG_TIMES * PX_EXECUTOR_SHORT_NS)
        self->short_from = self->counts.computed + PENALTY_RUNS;
    if (self->queue.n_items > 0)
        pthread_cond_signal(&self->queued);
}
