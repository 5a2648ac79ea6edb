/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the files of this room: one run of a graph while it is under way.
 *
 * Events (a step landed, a timer is due, the run is cancelled) are pushed onto a list by any thread. The thread that finds the list idle becomes
 * the driver: it handles events until there are none, alone, so that everything below "the driver's" needs no lock. When the
 * run has finished the list stays taken, and nothing of it is touched any more.
 *
 * The driver may be anybody's thread: a loop's, the timeouts', another engine's. It computes or starts itself what is expected to be small,
 * up to a budget for each time that it drives; everything else is computed on a thread of the pool (graph_pool.h).
 *
 * A step goes through phases:
 *
 *     IDLE -> CONDITION -> INPUTS -> RUNNING -> (OTHERWISE: rows that were not chosen) -> settled
 *                 |           |         `-> FALLBACK -> settled
 *                 `-----------`-> OTHERWISE or absent -> settled
 */
#ifndef PX_APPLICATION_GRAPH_GRAPH_RUN_H
#define PX_APPLICATION_GRAPH_GRAPH_RUN_H

#include "application/control/timers.h"
#include "application/graph/graph_cost.h"
#include "application/graph/graph_engine.h"
#include "application/graph/graph_pool.h"
#include "domain/graph/combine.h"
#include "domain/graph/condition.h"
#include "domain/graph/values.h"
#include "domain/processing/processor.h"

#include <pthread.h>

/* What a step is made of. */
struct px_graph_part {
    struct px_graph_model model;
    struct px_processor *processor;
    size_t *input_places; /* of a processor: which of its inputs each link is */
    size_t *output_places;
    struct px_graph_cost cost; /* of computing it, or of starting its model */
};

struct px_graph_run;

struct px_graph_engine {
    struct px_engine base;
    struct px_engine_ops ops; /* its abilities are those of its models */
    struct px_graph *graph;
    struct px_graph_part parts[PX_GRAPH_STEPS_MAX];
    struct px_graph_sources sources;
    struct px_arena *arena;
    bool holds_timers, holds_pool;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t none_left;
    struct px_graph_run *spare; /* states that may be used again */
    size_t n_spare, n_left;     /* n_left: late steps whose engines have not ended them */
    size_t spare_bytes;         /* kept in arenas of the spare states */
};

enum px_graph_flight_state { PX_FLIGHT_FLYING = 0, PX_FLIGHT_LANDED, PX_FLIGHT_LEFT };

/* Of a flight that the pool starts: whoever comes second, the pool that has started it or the driver that calls it back, cancels. */
enum px_graph_flight_stage { PX_FLIGHT_WAITING = 0, PX_FLIGHT_STARTED, PX_FLIGHT_CALLED_BACK };

/*
 * A run of a step's model, or a step that the pool computes. One with a timeout is allocated by itself, because it may outlive the run
 * of the graph.
 */
struct px_graph_flight {
    struct px_run run;
    bool on_pool;
    struct px_graph_job *job; /* of the pool; NULL until it is needed, then kept */
    _Atomic int n_ends;       /* on the pool: still to come, of the run and of the job */
    _Atomic int stage;
    size_t units; /* of its inputs, for its cost */
    _Atomic int state;
    struct px_graph_run *owner; /* not to be looked at once the flight was left */
    struct px_graph_engine *engine;
    unsigned step;
    struct px_arena arena;
    struct px_tensor *inputs, *outputs;
};

enum px_graph_event_kind { PX_EVENT_LANDED = 1, PX_EVENT_LATE, PX_EVENT_CANCEL };

struct px_graph_event {
    struct px_graph_event *next;
    enum px_graph_event_kind kind;
    unsigned step;
};

enum px_graph_phase {
    PX_PHASE_IDLE = 0,
    PX_PHASE_CONDITION,
    PX_PHASE_INPUTS,
    PX_PHASE_RUNNING,
    PX_PHASE_OTHERWISE,
    PX_PHASE_FALLBACK,
    PX_PHASE_SETTLED,
};

struct px_graph_step_run {
    enum px_graph_phase phase;
    bool has_rows, packed, has_result, fell_back, is_late;
    struct px_graph_rows rows;      /* of a condition of rows that holds for some */
    struct px_graph_search *search; /* while the rows that it fails for are looked for */
    struct px_graph_rows
        kept;       /* n not 0: those whose results stand, the others take the fallback */
    size_t n_given; /* rows that were searched */
    struct px_tensor *tensors; /* results, one per output of the step */
    uint64_t start_ns;
    struct px_err *failure;         /* why it failed, even when it was replaced */
    unsigned blame;                 /* the step whose failure that was */
    struct px_graph_flight *flight; /* while it flies and after it landed */
    struct px_graph_event landed, late;
    struct px_timer timer;
};

struct px_graph_run {
    struct px_graph_engine *engine;
    struct px_run *run;
    struct px_graph_event *_Atomic events;
    _Atomic bool cancel_sent;
    struct px_graph_event cancel;
    struct px_graph_run *next_spare;
    size_t spare_bytes; /* in its arenas, of a spare one */

    /* the driver's */
    uint64_t wanted, settled, absent, failed, running;
    uint64_t small_left_ns; /* that may still be computed here, this time */
    unsigned n_runs;        /* of this state */
    bool measures;          /* all steps of this run are measured */
    bool ending;
    enum px_code code;           /* of the run, when it is ending */
    struct px_err spare_failure; /* of a step, when the run's arena has no room for it */
    uint8_t *degraded_rows;      /* one per row: it took the fallback of some step */
    bool all_degraded;
    size_t next_exit;     /* exits before it have been decided */
    uint8_t *exit_of_row; /* 0: none; else the number of the exit from 1 */
    size_t n_exit_rows, n_exited;
    uint64_t exits_used;             /* those that took a row */
    int exit_of_all;                 /* -1, or the exit that took everything at once */
    struct px_graph_flight *flights; /* of steps without a timeout, one per step */
    struct px_graph_step_run steps[];
};

/* graph_run.c */
void px_graph_start(struct px_engine *engine, struct px_run *run);
void px_graph_cancel(struct px_engine *engine, struct px_run *run);
void px_graph_run_destroy(struct px_graph_run *g);
/* For whoever pushes an event: true when the caller has to drive now. */
PX_MUST_USE bool px_graph_push(struct px_graph_run *g, struct px_graph_event *event);
void px_graph_drive(struct px_graph_run *g);
/* The run has a result or an error: nothing new is started, flights are called back. */
void px_graph_end(struct px_graph_run *g, enum px_code code, const struct px_err *err);

/* graph_step.c */
void px_graph_want(struct px_graph_run *g, uint64_t steps);
/* Goes as far as it can without waiting. */
void px_graph_advance(struct px_graph_run *g);
void px_graph_step_failed(struct px_graph_run *g, unsigned step, const struct px_err *err);
void px_graph_step_computed(struct px_graph_run *g, unsigned step);
size_t px_graph_count_rows(const struct px_graph_run *g); /* of the request */
/* NULL while it is not settled, and when it is absent. */
const struct px_tensor *px_graph_tensor(const struct px_graph_run *g,
                                        struct px_graph_source source);
struct px_graph_tensors px_graph_lookup(struct px_graph_run *g);
/* The tensor that a substitute gives for output `i` with that spec. */
PX_MUST_USE enum px_code px_graph_value_of(struct px_graph_run *g,
                                           const struct px_graph_value *value,
                                           const struct px_tensor_spec *spec, struct px_tensor *ret,
                                           struct px_err *err);

/* graph_search.c: a step whose rows do not know of each other failed for some of them */
struct px_graph_search;
/* The step failed: true when it is computed again, for fewer rows, or takes the fallback for some. */
PX_MUST_USE bool px_graph_search_on(struct px_graph_run *g, unsigned step, enum px_code code);
/* It was computed for the rows that are tried: keeps them and goes on. */
PX_MUST_USE enum px_code px_graph_search_found(struct px_graph_run *g, unsigned step,
                                               struct px_err *err);
/* Input `i` of a step, which is there: the rows of it that the step is to see now. */
PX_MUST_USE enum px_code px_graph_take_input(struct px_graph_run *g, unsigned step, size_t i,
                                             struct px_tensor *ret, struct px_err *err);
size_t px_graph_search_begin(const struct px_graph_search *search); /* first row that is tried */

/* graph_degraded.c: what the answer says of steps that were replaced */
/* The rows that the step was given, but those that it kept, took its fallback. */
void px_graph_note_degraded(struct px_graph_run *g, unsigned step);
/* The step's own engine says so of its run. */
void px_graph_note_degraded_inner(struct px_graph_run *g, unsigned step, const struct px_run *run);

/* graph_work.c: is it small, and how long did it take? */
struct px_graph_work {
    struct px_graph_cost *cost;
    size_t units;
    uint64_t expected_ns, begin_ns; /* begin_ns 0: it is not measured */
};
void px_graph_count_run(struct px_graph_run *g); /* that begins */
void px_graph_begin_driving(struct px_graph_run *g);
struct px_graph_work px_graph_expect_work(struct px_graph_run *g, unsigned step,
                                          const struct px_tensor *inputs, size_t n_inputs);
/* Takes it off the driver's budget when it is. */
PX_MUST_USE bool px_graph_is_small(struct px_graph_run *g, const struct px_graph_work *work);
void px_graph_begin_work(const struct px_graph_run *g, struct px_graph_work *work);
void px_graph_end_work(const struct px_graph_work *work);

/* graph_local.c: a step that is no model */
struct px_graph_local {
    const struct px_graph_engine *engine;
    unsigned step;
    const struct px_tensor *inputs; /* in the order of its links; PX_TYPE_NONE: absent */
    struct px_tensor *outputs;      /* in the order of its `gives` */
    struct px_arena *arena;
};
PX_MUST_USE enum px_code px_graph_compute(const struct px_graph_local *local, struct px_err *err);
/* Computes it now when it is small, else on the pool. */
PX_MUST_USE enum px_code px_graph_compute_step(struct px_graph_run *g, unsigned step,
                                               struct px_err *err);

/* graph_flight.c */
PX_MUST_USE enum px_code px_graph_take_off(struct px_graph_run *g, unsigned step,
                                           struct px_err *err);
/* A step that is no model, whose inputs are in its flight, goes to the pool. */
PX_MUST_USE enum px_code px_graph_send_off(struct px_graph_run *g, unsigned step, size_t units,
                                           struct px_err *err);
/* Calls a flight back; true when nothing more will be heard of it. */
bool px_graph_call_back(struct px_graph_run *g, unsigned step);
void px_graph_clear_flight(struct px_graph_run *g, unsigned step);

/* graph_trace.c */
/* Of a flight that is about to start: asks a graph for its steps, when the run is asked for them. */
void px_graph_trace_flight(struct px_graph_run *g, unsigned step, struct px_graph_flight *flight);
/* Of one that has landed: adds them to the run's, as "step/inner". */
void px_graph_note_inner(struct px_graph_run *g, unsigned step);

/* graph_result.c */
/* Decides exits, and ends the run when everything that was asked for is there. */
void px_graph_conclude(struct px_graph_run *g);

#endif
