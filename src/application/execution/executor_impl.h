/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the executor: its queue, its instances, and what they share. Private to execution.
 *
 *   executor.c         the port: starts, cancels, making and destroying
 *   executor_work.c    instances: batches are taken, computed and given back
 *   executor_watch.c   what nobody waits for is ended
 *   executor_report.c  what it says of itself
 *
 * One mutex guards all of it; it is held for moments, never while an engine computes, rows are copied or a run finishes.
 *
 *   start    loop     -> queue, wakes an instance; wakes the watch when this deadline is before the next one that it knows
 *                     or, when the run is short and its turn is now, computes and finishes it
 *   work     thread   has the queue form a batch, joins its rows, computes, gives every run its rows, finishes them
 *   watch    thread   sleeps until the earliest deadline; then ends what is late
 *   cancel   loop     takes a run out of the queue or of its batch, or stops one that is computed alone
 *
 * Invariants
 * 1. An entry is in the queue (item.in.waits), in slots (n_flying parts), or both, if it is split. Who takes it out of the last of them, under
 *    the mutex, puts it into a list of ended ones; who has the list finishes it, once, without the mutex.
 * 2. While a slot loads or unloads, its thread reads or writes the memory of its runs: nobody leaves it then. While it computes, the
 *    engine knows only the joint run, and everybody may leave, but for the one run whose memory is lent to the engine.
 * 3. What a slot computes has not finished while the mutex is held, so the blocking engine's `cancel` never sees a run that is gone.
 * 4. `why` of an entry is how it ends, once; it outlives whatever the engine answers. The error of one that was cancelled or late is
 *    written at its end, because until then the engine may write there.
 * 5. Runs are finished by threads of the executor, or within a start: who cancels is never called back from the cancel.
 * 6. There are as many slots as instances. Whoever computes holds one, a thread or a caller, so no more batches compute at a time.
 */
#ifndef PX_APPLICATION_EXECUTION_EXECUTOR_IMPL_H
#define PX_APPLICATION_EXECUTION_EXECUTOR_IMPL_H

#include "application/execution/executor.h"
#include "application/execution/joint_run.h"
#include "application/execution/split_run.h"
#include "shared/thread.h"

#define PX_EXECUTOR_NEVER UINT64_MAX

/* A run that is predicted to take no longer may be computed by its caller. */
enum { PX_EXECUTOR_SHORT_NS = 30000 };

/* A run in the executor; in the run's arena. */
struct px_entry {
    struct px_batch_item item; /* first: the queue's view of it */
    struct px_run *run;
    size_t n_rows;     /* item.n_rows may be less, of one that fills a batch alone */
    unsigned n_flying; /* parts of it that are in slots */
    enum px_code why;
    bool was_computing; /* when it was cancelled or late */
    bool has_reason;    /* the engine ended it by a limit of its own, and said which */
    bool has_ended;
    struct px_split_piece *pieces;  /* of one that is split */
    struct px_entry *next;          /* in a list of ended ones */
    struct px_entry *older, *newer; /* in the order of acceptance, where that is kept */
};

struct px_entries {
    struct px_entry *first, *last;
};

enum px_slot_phase { PX_SLOT_FREE, PX_SLOT_LOADING, PX_SLOT_COMPUTING, PX_SLOT_UNLOADING };

/* A batch on its way, and the memory that the next one uses again. */
struct px_slot {
    enum px_slot_phase phase;
    struct px_batch_part *parts; /* the item of one that has left is NULL */
    size_t n_parts;
    struct px_run *run; /* the engine's, while it computes */
    bool lends;         /* the engine reads the memory of part `lent` */
    size_t lent;
    uint64_t began_ns; /* the computation */
    bool has_computed; /* the engine was asked: not everybody had left before */
    size_t n_rows;     /* of what was computed last */
    struct px_executor_batch note;
    struct px_err err; /* why a joint run failed */
    bool miscounts;    /* because its outputs have other rows */
    struct px_joint_run joint;
    struct px_joint_part *sources;  /* [n_parts_max] */
    struct px_split_piece **pieces; /* [n_parts_max] */
    enum px_code *codes;            /* [n_parts_max] */
};

struct px_executor {
    struct px_engine base; /* first: the port's view of this object */
    struct px_engine_ops ops;
    struct px_engine *blocking;
    char thread_name[PX_THREAD_NAME_MAX];
    char name[PX_EXECUTOR_NAME_MAX]; /* of the model, for the log; a longer one is cut */

    pthread_mutex_t mutex; /* of everything below */
    pthread_cond_t queued; /* there may be a batch, or the end */
    pthread_cond_t watch;  /* there may be something to end */
    struct px_batching batching;
    const char *alone_why; /* why a batch has one run; NULL: it may have more */
    struct px_batch_queue queue;
    uint64_t n_alone;                 /* makes shapes that nobody else has */
    uint64_t watch_at_ns;             /* when the watch looks again */
    uint64_t watch_from_ns;           /* not before */
    struct px_entries ended;          /* for the watch to finish */
    struct px_entry *oldest, *newest; /* accepted ones, where the order of answers is kept */
    bool stopping;
    struct px_executor_counts counts;
    struct px_cost_line cost;       /* of a batch, over its rows */
    struct px_cost_line bytes_cost; /* of a computation, over the bytes of the inputs */
    uint64_t short_from; /* no run is computed by its caller before so many were computed */
    struct px_executor_batch latest[PX_EXECUTOR_BATCHES]; /* a ring */
    uint64_t n_noted;
    struct px_slot *slots; /* [n_instances] */
    size_t n_parts_max;    /* of a slot */
    unsigned n_instances;

    pthread_t watcher;
    bool has_watcher;
    unsigned n_threads; /* that were started */
    pthread_t *threads; /* [n_instances] */
};

static inline void px_executor_lock(struct px_executor *self)
{
    pthread_mutex_lock(&self->mutex);
}

static inline void px_executor_unlock(struct px_executor *self)
{
    pthread_mutex_unlock(&self->mutex);
}

static inline struct px_entry *px_entry_of(struct px_batch_item *item)
{
    return (struct px_entry *)(void *)item;
}

/* ---- entries (executor_watch.c); all with the mutex but px_entries_finish ---- */

/* The entry is in no slot and not in the queue any more: it ends, and those behind it whose answers waited for its own. */
void px_entry_settle(struct px_executor *self, struct px_entry *entry, struct px_entries *ended);
/* An entry was accepted. */
void px_entry_keep_order(struct px_executor *self, struct px_entry *entry);
/* Nobody waits for it any more. */
void px_entry_unwant(struct px_executor *self, struct px_entry *entry, enum px_code why,
                     struct px_entries *ended);
/* The queue gave it up. The error is in the run already. */
void px_entry_give_up(struct px_executor *self, struct px_entry *entry, struct px_entries *ended);
void px_entries_finish(struct px_entries *ended);

/* Takes what is late out of the queue. */
void px_executor_take_late(struct px_executor *self, uint64_t now_ns, struct px_entries *ended);
void px_executor_wake_watch(struct px_executor *self, uint64_t at_ns);
void px_executor_wait(struct px_executor *self, pthread_cond_t *condition, uint64_t at_ns);
void *px_executor_watch(void *executor);

/* What waiting and computing would take for that item if it came again now; with the mutex. */
uint64_t px_executor_foresee(const struct px_executor *self, const struct px_batch_item *item);

/* ---- working (executor_work.c) ---- */

void *px_executor_work(void *executor);
struct px_slot *px_executor_free_slot(struct px_executor *self);
/* Computes an entry that was never queued on the calling thread, with the mutex given up meanwhile. */
void px_executor_compute_here(struct px_executor *self, struct px_entry *entry,
                              struct px_entries *ended);

/* ---- saying (executor_report.c) ---- */

struct px_executor *px_executor_of(const struct px_engine *engine); /* NULL: of another kind */
void px_executor_note_batch(struct px_executor *self, const struct px_executor_batch *batch);
void px_executor_describe(const struct px_engine *engine, struct px_json_writer *json);
/* The port's `start`, by which executors know their own. */
void px_executor_start(struct px_engine *engine, struct px_run *run);

#endif
