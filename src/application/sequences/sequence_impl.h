/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. */
#ifndef PX_APPLICATION_SEQUENCES_SEQUENCE_IMPL_H
#define PX_APPLICATION_SEQUENCES_SEQUENCE_IMPL_H

#include "application/sequences/sequence_engine.h"

#include <pthread.h>

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
    bool begun;           /* a step has left states */
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

/* Binds states and controls to the model's tensors, and reads initial states (sequence_plan.c). */
PX_MUST_USE enum px_code px_sequence_plan(struct px_sequencer *self, struct px_err *err);
/* Can the run be a step: one row, and an id that the model can take? */
PX_MUST_USE enum px_code px_sequence_check_step(const struct px_sequencer *self,
                                                const struct px_run *run, struct px_err *err);

/* May the two runs be rows of one batch? */
bool px_flight_fits(const struct px_run *a, const struct px_run *b);
/* Makes the inner run of the flight's rows (sequence_flight.c). */
PX_MUST_USE enum px_code px_flight_load(struct px_flight *flight);
/* Gives each row its outputs, or an error, and keeps its states; `run->code` of each says how it ends. */
void px_flight_unload(struct px_flight *flight);

/* Is the run late or cancelled? Sets its error. */
PX_MUST_USE enum px_code px_sequence_check_wanted(struct px_run *run, const char *where);

#endif
