/* SPDX-License-Identifier: Apache-2.0 */
/*
 * px_call: one inference request on its way through the pipeline, whatever protocol brought it.
 *
 * Life (design: "A request")
 *   1. the interface zeroes a call, fills the "asked" part and calls px_call_open: route; now `model` is known.
 *   2. the interface decodes the rows into px_call_rows(call, n) with the model's signature, and calls
 *      px_call_submit; the call is parked in the loop's wave.
 *   3. px_serving_wave (end of the loop's wake-up) scores every parked call, model by model, in as few engine
 *      calls as the batch limit allows, and calls `done`. A call that the cache answers is only completed there.
 * pipeline.c has the stages of each step, in their order.
 * A model of tensors (PX_ENGINE_TENSORS) computes elsewhere:
 *   2. the interface fills `run->inputs`, `run->outputs` (names; none means all of them) and `run->sequence`, and defers its
 *      exchange; px_call_submit takes it through its stages, the last of which starts the run.
 *   3. `done` is called in the wave or in a later wake-up of the loop, never within px_call_submit. The outputs are in `run->outputs` until it
 *      returns. Until then the arena is the engine's.
 * A call that is cancelled, or whose deadline has passed, costs no engine work: submit refuses it, and the wave
 * answers it with PX_E_CANCELLED or PX_E_DEADLINE instead of scoring it.
 * If a step fails, the call is answered with `code` and `err`: px_call_open and px_call_submit return it,
 * and the interface answers at once; `done` is only called for calls that were parked.
 * A model that is known but not in memory fails px_call_open with PX_E_UNAVAILABLE and `is_absent`, not counted: px_call_await_model
 * (application/residency) waits for it, and then the call is opened anew.
 * An interface that finds bad input itself calls px_call_fail, so that it is counted.
 *
 * Ownership: the call and everything that it points to live in the exchange's arena. `model` may be used from
 * px_call_open to the end of `done`, all within one wake-up of the loop: an opened call is submitted or failed
 * before the handler returns to its loop, because a model that was unloaded lives only so long; one whose run is on its way lives
 * until `done` has returned. Threads: one loop.
 */
#ifndef PX_APPLICATION_SERVING_CALL_H
#define PX_APPLICATION_SERVING_CALL_H

#include "application/lifecycle/model_breaker.h"
#include "application/lifecycle/model_fallback.h"
#include "application/ports/engine.h"
#include "application/ports/loops.h"
#include "application/serving/limit.h"
#include "domain/inference/signature.h"

struct px_model;
struct px_serving;
struct px_wanted;

/* What the cache did for a call, of a model that has one. */
enum px_call_cache {
    PX_CALL_UNCACHED = 0,
    PX_CALL_CACHE_MISS, /* it was computed */
    PX_CALL_CACHE_HIT,  /* an equal request was answered before */
    PX_CALL_CACHE_JOINED, /* an equal request was being computed, and this one waited for its answer */
};

struct px_call {
    /* asked, by the interface */
    struct px_str model_name;
    struct px_str version; /* empty = the latest that is ready */
    unsigned loop;         /* the loop's number */
    uint64_t received_ns;  /* monotonic */
    uint64_t deadline_ns;  /* monotonic, 0 = none: no answer is wanted after it */
    struct px_urgency urgency;
    struct px_arena *arena;
    unsigned score_flags; /* px_score_flags */
    void (*done)(struct px_call *call);
    void *owner; /* the interface's */

    struct px_run *
        run; /* of a model of tensors, made by px_call_open, see above; the rest of it is the pipeline's */

    /* answered */
    struct px_model *model;  /* after route */
    struct px_matrix rows;   /* after decoding */
    uint64_t n_unseen;       /* categories that the model never saw; counted by who decodes */
    struct px_matrix scores; /* when done with PX_OK; dense */
    size_t
        batch_rows; /* rows of the engine call that scored this one; 0 when it was not computed */
    enum px_call_cache cache;
    enum px_rung_kind fallback; /* 0: who was asked has answered; else who did instead, and why */
    enum px_fallback_reason fallback_reason;
    enum px_code code;
    struct px_err err;

    /* private to the pipeline */
    bool cancelled;
    unsigned traced;    /* px_trace_level */
    uint64_t opened_ns; /* of a traced one */
    uint64_t queued_ns; /* when it was submitted */
    struct px_call *next, *previous;
    bool is_running; /* its run was started, and `done` is still to come */
    uint64_t run_ended_ns;
    size_t n_run_rows;             /* of its run */
    bool has_answer;               /* no further stage of the submit is wanted */
    uint64_t limited_ns;           /* since when it has a place of its model's limit; 0: none */
    enum px_refusal refusal;       /* why it was not computed, set by who refused it */
    struct px_cached_call *cached; /* NULL: it does not take part in the cache */
    struct px_breaker_ticket ticket;
    bool is_open;                  /* its breaker refused it */
    struct px_call_ladder *ladder; /* NULL: who was asked is computing */
    struct px_serving *serving;
    struct px_loop_task task;

    /* private to application/residency: it waits for its model */
    bool is_absent; /* px_call_open found the model registered only */
    bool awaits;
    uint64_t wait_until_ns;
    struct px_wanted *wanted;
    void (*loaded)(struct px_call *call);
};

PX_MUST_USE enum px_code px_call_open(struct px_serving *serving, struct px_call *call);

/* PX_E_TOO_LARGE, in the call too, for more rows than one request may have. px_call_submit checks it again. */
PX_MUST_USE enum px_code px_call_check_rows(const struct px_serving *serving, struct px_call *call,
                                            size_t n_rows);

/*
 * Memory for `n_rows` rows of the model, every value missing (NaN); NULL when the request is too large for its arena
 * (the call's error is set).
 */
PX_MUST_USE struct px_matrix *px_call_rows(struct px_serving *serving, struct px_call *call,
                                           size_t n_rows);

/* The same, not filled: for who sets every value or fails the call. */
PX_MUST_USE struct px_matrix *px_call_rows_unset(struct px_serving *serving, struct px_call *call,
                                                 size_t n_rows);
/*
 * Rows where they lie already, dense, in the model's own type and aligned for it: nothing is copied. They must
 * not change until `done`.
 */
void px_call_lend_rows(struct px_call *call, const void *data, size_t n_rows);

/*
 * Charges memory that the call needs besides its rows (which charge themselves) to its loop's wave. False, and
 * PX_E_OVERLOADED in the call, when the requests that arrived together hold all there is.
 */
PX_MUST_USE bool px_call_charge_bytes(struct px_serving *serving, struct px_call *call,
                                      size_t bytes);

PX_MUST_USE enum px_code px_call_submit(struct px_serving *serving, struct px_call *call);

void px_call_cancel_run(struct px_call *call);       /* for px_call_cancel */
void px_residency_forget_call(struct px_call *call); /* as well; `loaded` is called soon */

/*
 * Nobody waits for the answer any more. A parked call is still completed by its wave, with PX_E_CANCELLED, and one whose run is on
 * its way when that ends. Call it on the call's loop and before `done`, which it does not call.
 */
static inline void px_call_cancel(struct px_call *call)
{
    call->cancelled = true;
    if (call->is_running)
        px_call_cancel_run(call);
    else if (call->awaits)
        px_residency_forget_call(call);
}

/*
 * What each feature contributed to the margins of the call's rows, in `done` of a scored call: as px_engine_explain gives it,
 * in the call's arena. What one wake-up explains is bounded, by PX_EXPLAIN_STEPS_MAX steps or one row: PX_E_TOO_LARGE for a
 * call that is over it alone, PX_E_OVERLOADED when others have used it up. The error is set in the call.
 */
enum { PX_EXPLAIN_STEPS_MAX = 40000000 }; /* some 250 ms */
PX_MUST_USE enum px_code px_call_explain(struct px_serving *serving, struct px_call *call,
                                         double **ret);

/* Counts and keeps an error that the interface found; returns its code. */
enum px_code px_call_fail(struct px_serving *serving, struct px_call *call,
                          const struct px_err *err);

#endif
