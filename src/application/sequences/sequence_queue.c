/* SPDX-License-Identifier: Apache-2.0 */
#include "application/sequences/sequence_queue.h"

#include "application/sequences/sequence_flight.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <inttypes.h>

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

static void end_run(struct px_sequencer *self, struct px_sequence_ended *ended, struct px_run *run,
                    enum px_code code)
{
    run->code = code;
    run->state = NULL;
    self->counts.failed += code != PX_OK;
    append(&ended->first, &ended->last, run);
}

void px_sequence_finish(struct px_sequence_ended *ended)
{
    for (struct px_run *run = ended->first, *next; run; run = next) {
        next = run->next;
        px_run_finish(run, run->code);
    }
}

enum px_code px_sequence_refuse_without_start(const struct px_sequencer *self, struct px_run *run)
{
    struct px_str text = run->sequence.text_id;
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, run->sequence.id);
    px_err_set(&run->err, PX_E_INVALID,
               "inference request for sequence %.*s to model '%.*s' must specify the START flag on "
               "the first request of the sequence",
               PX_STR_ARG(text.len ? text : px_str(number)), PX_STR_ARG(self->model_name));
    return px_err_hint(
        &run->err, "it never began, its start failed, it has ended, or was idle for %" PRIu64 " ms",
        (uint64_t)(self->settings.rules.idle_timeout_ns / PX_NS_PER_MS));
}

static enum px_code refuse_after_failure(struct px_run *run)
{
    px_err_set(&run->err, PX_E_CONFLICT,
               "not computed, because a step of the same sequence before it failed");
    return px_err_hint(&run->err, "send the steps again from the one that failed");
}

/* ---- queues ---- */

void px_sequence_enqueue(struct px_sequencer *self, struct px_sequence_live *live,
                         struct px_run *run, uint64_t now_ns)
{
    run->state = NULL;
    if (run->sequence.start)
        live->cut = false;
    append(&live->first, &live->last, run);
    self->n_steps++;
    px_sequences_add_step(&self->table, &live->base, now_ns);
}

struct px_run *px_sequence_dequeue(struct px_sequencer *self, struct px_sequence_live *live)
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
                             uint64_t now_ns, struct px_sequence_ended *ended)
{
    while (live->first && !live->first->sequence.start) {
        struct px_run *run = px_sequence_dequeue(self, live);
        px_sequences_drop_step(&self->table, &live->base, now_ns);
        end_run(self, ended, run,
                why == AFTER_FAILURE ? refuse_after_failure(run)
                                     : px_sequence_refuse_without_start(self, run));
    }
}

/* ---- sequences ---- */

void px_sequence_live_free(struct px_sequence_live *live)
{
    px_free(live->state);
    px_free(live);
}

bool px_sequence_settle(struct px_sequencer *self, struct px_sequence_live *live, uint64_t now_ns,
                        struct px_sequence_ended *ended)
{
    if (live->base.busy)
        return true;
    if (live->cut && !live->first)
        live->begun = false;
    if (live->begun)
        return true;
    drop_until_start(self, live, WITHOUT_START, now_ns, ended);
    px_free(live->state);
    live->state = NULL;
    if (live->first)
        return true;
    px_sequences_remove(&self->table, &live->base, now_ns);
    px_sequence_live_free(live);
    return false;
}

void px_sequence_conclude(struct px_sequencer *self, struct px_sequence_live *live,
                          struct px_run *run, uint64_t now_ns, struct px_sequence_ended *ended)
{
    bool ok = run->code == PX_OK;
    if (run->sequence.start)
        live->begun = false; /* whatever became of it: its caller does not go on from what was */
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
    if (px_sequence_settle(self, live, now_ns, ended) && !live->begun)
        px_sequences_requeue(&self->table, &live->base, now_ns);
}

uint64_t px_sequence_sift(struct px_sequencer *self, struct px_sequence_live *live, uint64_t now_ns,
                          struct px_sequence_ended *ended)
{
    struct px_run *run = live->first, *next;
    uint64_t earliest = PX_SEQUENCE_NEVER;
    bool failed = false, cut = false;
    live->first = live->last = NULL;
    for (; run; run = next) {
        next = run->next;
        enum px_code code =
            px_sequence_check_wanted(run, "while the request waited for its turn in the sequence");
        if (code == PX_OK && failed && !run->sequence.start)
            code = refuse_after_failure(run);
        failed = code != PX_OK;
        if (run->sequence.start)
            cut = failed;
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
    live->cut |= cut;
    return earliest;
}
