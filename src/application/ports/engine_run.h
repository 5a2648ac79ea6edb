/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of an engine that takes tensors (ports/engine.h): what is asked, and what came out.
 *
 * Life of a run
 *   1. The owner fills the "asked" part, with memory that lives until px_run_release, and calls px_engine_start.
 *   2. The engine fills `outputs`, or `code` and `err`, and calls px_run_finish once, on any thread, perhaps before
 *      px_engine_start returns. That calls `done`, which must not block: an owner that lives on a loop posts itself there.
 *   3. The owner reads the outputs and calls px_run_release.
 * Between start and `done` the run and its arena are the engine's; only px_run_cancel may be called meanwhile. After a cancel
 * the run still finishes, with PX_E_CANCELLED unless it was done already.
 */
#ifndef PX_APPLICATION_PORTS_ENGINE_RUN_H
#define PX_APPLICATION_PORTS_ENGINE_RUN_H

#include "domain/batching/urgency.h"
#include "domain/inference/tensor.h"
#include "shared/arena.h"

#include <stdatomic.h>

/* Which sequence a run belongs to (Triton's sequence extension): a number, or a text when that is not empty. */
struct px_sequence_step {
    uint64_t id; /* 0 and no text: none */
    struct px_str text_id;
    bool start, end;
};

struct px_run {
    /* asked, by the owner */
    const struct px_tensor *inputs;
    size_t n_inputs;
    struct px_tensor *outputs; /* names are asked for; the engine fills the rest, in this order */
    size_t n_outputs;
    struct px_arena *arena; /* for outputs and whatever the engine needs meanwhile */
    uint64_t deadline_ns;   /* monotonic, 0 = none */
    struct px_urgency urgency;
    struct px_sequence_step sequence;
    void (*done)(struct px_run *run);
    void *owner;
    struct px_run_trace *trace; /* NULL: nobody wants to know the steps */

    /* answered, by the engine */
    enum px_code code;
    struct px_err err;
    /* PX_E_UNAVAILABLE because of breakers inside the engine: nobody was asked, and `err` says when it is worth trying again. */
    bool is_open;
    uint64_t started_ns; /* monotonic, when the computation began; before it the run waited */
    size_t batch_rows;   /* of all that was computed together with it; 0: the engine does not say */
    bool joined_batch;   /* its batch is counted with another of its runs */
    bool hopeless;       /* PX_E_OVERLOADED since it would have been late, not for want of room */
    /*
     * Steps of an ensemble that failed and were answered by their fallback, "deep,rules", in the run's arena; empty: none.
     * Whoever shows the answer says so.
     */
    struct px_str degraded;
    /* Of `degraded`: one per row of the run, not 0 when it is about that row; NULL: about all. In the run's arena. */
    const uint8_t *degraded_rows;

    /* the engine's */
    void *state; /* from start to done */
    void *entry; /* of the executor that has it; NULL before and after */
    /* Frees what the outputs point to; may be NULL. It reads nothing of the run but `held`: the rest may be gone. */
    void (*release)(struct px_run *run);
    void *held; /* what `release` frees */
    _Atomic bool cancelled;
    struct px_run *next; /* of whoever has the run in a list */
};

/* The steps of a run, of engines that have some (ensembles): in the run's arena, in the order of their ends. */
struct px_run_step {
    struct px_str name;
    uint64_t start_ns, end_ns; /* monotonic */
    enum px_code code;
    struct px_str note; /* "skipped: ...", "fallback: ..."; may be empty */
};
struct px_run_trace {
    struct px_run_step *steps;
    size_t n_steps, n_steps_max;
};

size_t px_run_input_bytes(const struct px_run *run);

/* For engines: the run has ended, `run->err` tells why when `code` is not PX_OK. */
void px_run_finish(struct px_run *run, enum px_code code);
/* For owners, after `done`: the outputs are not read any more. Any thread. */
void px_run_release(struct px_run *run);
/* For engines: notes a step when somebody wants to know. What does not fit is left out. */
void px_run_note_step(struct px_run *run, const struct px_run_step *step);

#endif
