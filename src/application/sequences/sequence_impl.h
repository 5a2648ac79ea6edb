/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects behind a sequence engine, which the files of this folder share. Who does what with them:
 *
 *   sequence_engine  the port and the thread; makes and frees everything
 *   sequence_plan    decides once which tensors of the model are states and controls
 *   sequence_queue   steps that wait, how they end, and what they leave in their sequence
 *   sequence_watch   what time ends: late and cancelled steps, idle sequences
 *   sequence_launch  lets chosen steps board a flight, starts it, stops it, takes it back when it has landed
 *   sequence_flight  the bytes of a flight: rows joined, answers split, states kept
 *
 * Invariants
 * 1. A run is in the queue of one sequence, or a row of one flight, or in a list of ended ones of one thread, which finishes it, once.
 * 2. A busy sequence belongs to its flight: who holds the mutex touches its queue only.
 * 3. A sequence that has not begun and has no waiting step is not in the table. The first waiting step of one that has not begun
 *    has `start`.
 */
#ifndef PX_APPLICATION_SEQUENCES_SEQUENCE_IMPL_H
#define PX_APPLICATION_SEQUENCES_SEQUENCE_IMPL_H

#include "application/sequences/sequence_engine.h"

#include <pthread.h>

#define PX_SEQUENCE_NEVER UINT64_MAX /* a time that does not come */

enum { PX_FLIGHT_BYTES_MAX = 1 << 30 }; /* of the tensors of one batch */

/* One state as a tensor of one row; its bytes lie at `at` of what a sequence keeps. */
struct px_state_plan {
    struct px_tensor tensor; /* named as the input, without bytes */
    struct px_str output;
    size_t bytes, at;
};

struct px_control_plan {
    enum px_sequence_control kind;
    struct px_tensor tensor; /* of one row, without bytes */
};

struct px_sequence_live {
    struct px_sequence base; /* first */
    struct px_run *first, *last;
    bool begun; /* a step has left states */
    /* A start that came behind all that waits has failed: what was there ends with the last of them. */
    bool cut;
    unsigned char *state; /* NULL until a step needs it */
};

struct px_flight_row {
    struct px_sequence_live *live; /* NULL: the row is empty */
    struct px_run *run;
};

struct px_sequencer;

/* One run of the inner engine, and the steps in it. */
struct px_flight {
    struct px_run run;
    struct px_sequencer *sequencer;
    struct px_arena arena;
    struct px_flight_row *rows;
    size_t n_rows, n_steps;
    bool asked; /* the inner engine has got it, and may have computed it */
    bool started, ended;
    unsigned n_holds; /* threads that use the flight although it may have ended */
    struct px_flight *next;
};

struct px_sequencer {
    struct px_engine base; /* first: the port's view of this object */
    struct px_engine_ops ops;
    struct px_engine *inner;
    struct px_sequence_settings settings;
    struct px_str model_name;
    bool batches; /* the inner engine counts rows */
    size_t flights_max;

    /* the plan, which does not change */
    struct px_arena arena;
    struct px_state_plan *states;
    size_t n_states, state_bytes;
    unsigned char *initial;
    struct px_control_plan controls[PX_SEQUENCE_CONTROLS];
    size_t n_controls;

    pthread_mutex_t mutex; /* of everything below */
    pthread_cond_t changed;
    struct px_sequences table;
    struct px_sequence **chosen; /* room for a batch */
    struct px_flight *spare;
    size_t n_spare, n_flights, n_steps;
    uint64_t look_at_ns;   /* when time may have ended something */
    uint64_t look_from_ns; /* not before */
    bool stopping;
    struct px_sequence_counts counts;

    pthread_t thread;
    bool has_thread;
};

static inline struct px_sequence_live *px_sequence_live_of(struct px_sequence *sequence)
{
    return (struct px_sequence_live *)sequence;
}

static inline void px_sequencer_lock(struct px_sequencer *self)
{
    pthread_mutex_lock(&self->mutex);
}

static inline void px_sequencer_unlock(struct px_sequencer *self)
{
    pthread_mutex_unlock(&self->mutex);
}

/* There may be something to do for the thread. With the mutex. */
static inline void px_sequencer_wake(struct px_sequencer *self)
{
    pthread_cond_signal(&self->changed);
}

#endif
