/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends of runs that nobody waits for, and the order of answers.
 *
 * The queue has a heap of the deadlines of what waits. What computes is found by walking the slots, at most once in WATCH_PAUSE_NS, and
 * a run that starts after another mostly has the later deadline, so that almost no start wakes the watch.
 */
#include "application/execution/executor_impl.h"

#include "shared/clock.h"

#include <time.h>

enum { WATCH_PAUSE_NS = 1000000 };

/* ---- lists ---- */

static void append(struct px_entries *list, struct px_entry *entry)
{
    entry->next = NULL;
    if (list->last)
        list->last->next = entry;
    else
        list->first = entry;
    list->last = entry;
}

/* The arena that the entry lives in may be gone once its run has finished. */
void px_entries_finish(struct px_entries *ended)
{
    struct px_entry *entry = ended->first, *next;
    *ended = (struct px_entries){0};
    for (; entry; entry = next) {
        struct px_run *run = entry->run;
        enum px_code code = entry->why;
        next = entry->next;
        if (code == PX_OK && entry->pieces)
            code = px_split_pieces_join(entry->pieces, run);
        px_split_pieces_free(entry->pieces);
        px_run_finish(run, code);
    }
}

/* ---- the order of answers ---- */

void px_entry_keep_order(struct px_executor *self, struct px_entry *entry)
{
    if (!self->batching.preserves_order)
        return;
    entry->older = self->newest;
    if (self->newest)
        self->newest->newer = entry;
    else
        self->oldest = entry;
    self->newest = entry;
}

static void leave_order(struct px_executor *self, struct px_entry *entry)
{
    if (entry->older)
        entry->older->newer = entry->newer;
    else
        self->oldest = entry->newer;
    if (entry->newer)
        entry->newer->older = entry->older;
    else
        self->newest = entry->older;
}

/* Answers whose turn it is, to the watch: two instances that finish theirs at the same time would change the order again. */
static void release_order(struct px_executor *self)
{
    while (self->oldest && self->oldest->has_ended) {
        struct px_entry *entry = self->oldest;
        leave_order(self, entry);
        append(&self->ended, entry);
        pthread_cond_signal(&self->watch);
    }
}

/* ---- ends ---- */

static void say_why(struct px_entry *entry)
{
    const char *where = entry->was_computing ? "while the model was computing"
                                             : "while the request waited for the model";
    if (entry->has_reason)
        return;
    if (entry->why == PX_E_DEADLINE)
        px_err_set(&entry->run->err, PX_E_DEADLINE, "the deadline passed %s", where);
    else if (entry->why == PX_E_CANCELLED)
        px_err_set(&entry->run->err, PX_E_CANCELLED, "the request was cancelled %s", where);
}

/* One that nobody waits for goes before its turn: nothing is out of order without it. */
void px_entry_settle(struct px_executor *self, struct px_entry *entry, struct px_entries *ended)
{
    bool is_wanted =
        entry->has_reason || (entry->why != PX_E_CANCELLED && entry->why != PX_E_DEADLINE);
    if (entry->n_flying > 0 || entry->item.in.waits || entry->has_ended)
        return;
    say_why(entry);
    entry->has_ended = true;
    entry->run->entry = NULL;
    if (!self->batching.preserves_order) {
        append(ended, entry);
        return;
    }
    if (!is_wanted) {
        leave_order(self, entry);
        append(ended, entry);
    }
    release_order(self);
}

/* The entry leaves a batch that is computed, unless the engine reads its memory: then it is stopped. */
static void leave_slot(struct px_executor *self, struct px_slot *slot, struct px_entry *entry)
{
    bool has_left = false, is_empty = true;
    for (size_t i = 0; i < slot->n_parts; i++) {
        struct px_batch_part *part = &slot->parts[i];
        if (part->item == &entry->item) {
            entry->was_computing = true;
            if (slot->lends && slot->lent == i) {
                px_engine_cancel(self->blocking, slot->run);
            } else {
                part->item = NULL;
                entry->n_flying--;
                has_left = true;
            }
        }
        is_empty = is_empty && !part->item;
    }
    if (has_left && is_empty)
        px_engine_cancel(self->blocking, slot->run);
}

void px_entry_unwant(struct px_executor *self, struct px_entry *entry, enum px_code why,
                     struct px_entries *ended)
{
    if (entry->why)
        return;
    entry->why = why;
    self->counts.cancelled += why == PX_E_CANCELLED;
    self->counts.late += why == PX_E_DEADLINE;
    px_batch_queue_remove(&self->queue, &entry->item);
    for (unsigned i = 0; entry->n_flying > 0 && i < self->n_instances; i++) {
        if (self->slots[i].phase == PX_SLOT_COMPUTING)
            leave_slot(self, &self->slots[i], entry);
    }
    px_entry_settle(self, entry, ended);
}

void px_entry_give_up(struct px_executor *self, struct px_entry *entry, struct px_entries *ended)
{
    entry->why = entry->run->err.code;
    self->counts.shed++;
    px_entry_settle(self, entry, ended);
}

/* ---- watching ---- */

/* A level's timeout is the model's, not the request's: it is told as overload. */
static void end_late(struct px_executor *self, struct px_entry *entry, uint64_t now_ns,
                     struct px_entries *ended)
{
    struct px_run *run = entry->run;
    if (entry->why)
        return;
    if (run->deadline_ns && now_ns >= run->deadline_ns) {
        px_entry_unwant(self, entry, PX_E_DEADLINE, ended);
        return;
    }
    unsigned level = entry->item.in.level;
    px_err_set(&run->err, PX_E_OVERLOADED,
               "the request waited longer than the %.3g ms that priority %u allows",
               (double)self->batching.policy.levels[level].timeout_ns * 1e-6, level + 1);
    px_err_hint(&run->err, "send fewer at a time, or raise 'timeout' of level %u in model.yaml",
                level + 1);
    px_err_retry(&run->err, px_executor_foresee(self, &entry->item));
    px_entry_give_up(self, entry, ended);
}

void px_executor_take_late(struct px_executor *self, uint64_t now_ns, struct px_entries *ended)
{
    struct px_batch_item *item = px_batch_queue_take_late(&self->queue, now_ns), *next;
    for (; item; item = next) {
        next = item->next;
        end_late(self, px_entry_of(item), now_ns, ended);
    }
}

/* Ends what is late in a slot; returns the earliest deadline of the others. */
static uint64_t watch_slot(struct px_executor *self, struct px_slot *slot, uint64_t now_ns,
                           struct px_entries *ended)
{
    uint64_t next_ns = PX_EXECUTOR_NEVER;
    for (size_t i = 0; slot->phase != PX_SLOT_FREE && i < slot->n_parts; i++) {
        if (!slot->parts[i].item)
            continue;
        struct px_entry *entry = px_entry_of(slot->parts[i].item);
        uint64_t deadline_ns = entry->run->deadline_ns;
        if (!deadline_ns || entry->why)
            continue;
        if (slot->phase == PX_SLOT_COMPUTING && now_ns >= deadline_ns)
            px_entry_unwant(self, entry, PX_E_DEADLINE, ended);
        else if (deadline_ns < next_ns)
            next_ns = deadline_ns;
    }
    return next_ns;
}

/* Ends what is to be ended now; the mutex is given up while runs finish. */
static void end_unwanted(struct px_executor *self)
{
    uint64_t now_ns = px_clock_monotonic_ns();
    struct px_entries ended = self->ended;
    self->ended = (struct px_entries){0};
    px_executor_take_late(self, now_ns, &ended);
    uint64_t next_ns = px_batch_queue_next_late_ns(&self->queue);
    for (unsigned i = 0; i < self->n_instances; i++) {
        uint64_t at_ns = watch_slot(self, &self->slots[i], now_ns, &ended);
        next_ns = at_ns < next_ns ? at_ns : next_ns;
    }
    self->watch_from_ns = now_ns + WATCH_PAUSE_NS;
    self->watch_at_ns = next_ns < self->watch_from_ns ? self->watch_from_ns : next_ns;
    if (!ended.first)
        return;
    px_executor_unlock(self);
    px_entries_finish(&ended);
    px_executor_lock(self);
}

void px_executor_wait(struct px_executor *self, pthread_cond_t *condition, uint64_t at_ns)
{
    if (at_ns == PX_EXECUTOR_NEVER) {
        pthread_cond_wait(condition, &self->mutex);
        return;
    }
    struct timespec at = px_clock_timespec(at_ns);
    pthread_cond_timedwait(condition, &self->mutex, &at);
}

void *px_executor_watch(void *executor)
{
    struct px_executor *self = executor;
    px_executor_lock(self);
    while (!self->stopping || self->ended.first) {
        if (self->ended.first || px_clock_monotonic_ns() >= self->watch_at_ns)
            end_unwanted(self);
        else
            px_executor_wait(self, &self->watch, self->watch_at_ns);
    }
    px_executor_unlock(self);
    return NULL;
}

/* Has the watch look at that time, or as soon as it may. */
void px_executor_wake_watch(struct px_executor *self, uint64_t at_ns)
{
    if (at_ns < self->watch_from_ns)
        at_ns = self->watch_from_ns;
    if (at_ns >= self->watch_at_ns)
        return;
    self->watch_at_ns = at_ns;
    pthread_cond_signal(&self->watch);
}
