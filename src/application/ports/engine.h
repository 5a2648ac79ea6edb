/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: an inference engine.
 *
 * Two kinds, told apart by PX_ENGINE_TENSORS:
 *   rows     turns a matrix of features into scores (`score`). The forest engine; with PX_ENGINE_WAVE it takes microseconds and
 *            runs on the event loops, batched by waves.
 *   tensors  turns named tensors into named tensors, in runs (ports/engine_run.h). Either `run`, which blocks, or with
 *            PX_ENGINE_ASYNC `start`, which returns at once. Callers only start: application/execution gives a
 *            blocking engine its threads, a queue and a watch over deadlines, and application/graph makes a rows engine
 *            take tensors.
 *
 * An adapter fills a `const struct px_engine_ops` and embeds `struct px_engine` first in its own object. Callers use
 * the px_engine_* wrappers, never the slots.
 *
 * Threads: `score`, `run`, `start` and `cancel` may be called by any number of threads at once; `destroy` when nobody uses
 * the engine any more and every run has finished.
 */
#ifndef PX_APPLICATION_PORTS_ENGINE_H
#define PX_APPLICATION_PORTS_ENGINE_H

#include "application/ports/engine_run.h"
#include "shared/json.h"

enum { PX_ENGINE_ABI = 2 };

enum px_engine_caps {
    PX_ENGINE_WAVE = 1,    /* scores in microseconds: runs on the event loop, batched by wave */
    PX_ENGINE_MARGIN = 2,  /* can return raw margins */
    PX_ENGINE_EXPLAIN = 4, /* can say what each feature contributed */
    PX_ENGINE_TENSORS = 8, /* takes and gives named tensors */
    PX_ENGINE_ASYNC = 16,  /* has `start`; without it `run` */
    PX_ENGINE_BATCHES =
        32, /* the first dimension of every tensor counts rows that do not know of each other */
    PX_ENGINE_SEQUENCES =
        64, /* keeps state between the runs of a sequence: every run needs an id */
    PX_ENGINE_COMPUTES =
        128, /* `run` only computes, on the calling thread: it waits for no other thread, process or device */
};

enum px_score_flags { PX_SCORE_MARGIN = 1 };

enum { PX_ENGINE_TENSORS_MAX = 256 }; /* inputs or outputs of one engine */

struct px_engine;

/* What engines of some kinds count of themselves; the rows of engine_metrics.def. */
enum px_engine_metric {
#define PX_ENGINE_METRIC(id, name, type, help) PX_ENGINE_METRIC_##id,
#include "application/ports/engine_metrics.def"
#undef PX_ENGINE_METRIC
};

/* Takes the numbers of an engine; `peer` is the server that a number is of, or empty. */
struct px_engine_measures {
    void (*put)(void *context, enum px_engine_metric metric, struct px_str peer, uint64_t value);
    void *context;
};

struct px_engine_ops {
    uint32_t abi; /* PX_ENGINE_ABI */
    uint32_t caps;
    const char *name;

    /* ---- rows ---- */

    /*
     * Scores `rows` into `scores` (shape and type set by the caller, memory the caller's). Must not
     * block when PX_ENGINE_WAVE is set. Idempotent. `scratch` has scratch_size(rows->n_rows) bytes.
     */
    enum px_code (*score)(struct px_engine *engine, const struct px_matrix *rows,
                          struct px_matrix *scores, void *scratch, unsigned flags,
                          struct px_err *err);
    /*
     * Contributions of the features to the margins of `rows`: `out` is [n_rows, n_margins, n_features + 1] doubles,
     * the last of each the expected margin. Scratch comes from `arena`. PX_E_UNSUPPORTED when this model has none.
     * NULL without PX_ENGINE_EXPLAIN.
     */
    enum px_code (*explain)(struct px_engine *engine, const struct px_matrix *rows, double *out,
                            struct px_arena *arena, struct px_err *err);
    /* What explaining one row costs, in steps of some nanoseconds: the caller bounds them. NULL as `explain`. */
    double (*explain_steps)(const struct px_engine *engine);
    /* Bytes of scratch for at most that many rows; monotonic in `rows_max`. */
    size_t (*scratch_size)(const struct px_engine *engine, size_t rows_max);

    /* ---- tensors; the inputs have been checked against the specs, and every output is one that the engine gives ---- */

    /* Computes on the calling thread, which may block. Fills the outputs; does not call px_run_finish. */
    enum px_code (*run)(struct px_engine *engine, struct px_run *run, struct px_err *err);
    /* Never blocks; finishes the run now or later. */
    void (*start)(struct px_engine *engine, struct px_run *run);
    /*
     * Nobody waits for this run, which has been started and may be finishing at this moment: stop what can be stopped. Of an
     * engine that blocks, `run` may be about to be entered or may have returned: what both touch, the engine guards.
     * May be NULL; engines that compute in pieces look at `cancelled` themselves.
     */
    void (*cancel)(struct px_engine *engine, struct px_run *run);
    /* Facts about this engine as members of a JSON object ("library":"1.28.2","threads":1), for people. May be NULL. */
    void (*describe)(const struct px_engine *engine, struct px_json_writer *json);
    /* Puts what it counts of itself, for /metrics. Any thread; never blocks. NULL: nothing. */
    void (*measure)(struct px_engine *engine, const struct px_engine_measures *to);

    /*
     * Has everything ended that was done for runs, also for those that have finished without it? `destroy` waits for the rest, so whoever
     * must not wait asks before. Any thread. NULL: nothing outlives its run.
     */
    bool (*is_idle)(struct px_engine *engine);
    /*
     * Could anything answer a run now? False with the reason while every process or server that computes is down; runs may be started all
     * the same. Any thread; never blocks. NULL: always. For the readiness of the model, which is not that of the server.
     */
    bool (*is_able)(struct px_engine *engine, struct px_err *err);

    /*
     * Nobody will start runs but those who have begun with this engine: the model was replaced, or the server ends. What waits for more
     * before it is computed does not any more. Any thread; never blocks. NULL: nothing waits.
     */
    void (*drain)(struct px_engine *engine);

    void (*destroy)(struct px_engine *engine);
};

/* What every engine knows about itself; set once by the adapter before it is handed out. */
struct px_engine {
    const struct px_engine_ops *ops;

    /* rows */
    enum px_datatype feature_type; /* element type of rows: FP32 or FP64 */
    enum px_datatype score_type;
    size_t n_features, n_outputs, n_margins;

    /* tensors */
    struct px_tensor_specs takes, gives;
};

PX_MUST_USE enum px_code px_engine_score(struct px_engine *engine, const struct px_matrix *rows,
                                         struct px_matrix *scores, void *scratch, unsigned flags,
                                         struct px_err *err);
PX_MUST_USE enum px_code px_engine_explain(struct px_engine *engine, const struct px_matrix *rows,
                                           double *out, struct px_arena *arena, struct px_err *err);
double px_engine_explain_steps(const struct px_engine *engine); /* 0: it explains nothing */
size_t px_engine_scratch_size(const struct px_engine *engine, size_t rows_max);

/*
 * Do the inputs of the run fit the engine's specs, and does it give every output that is asked for? PX_E_INVALID names
 * the tensor, what was expected and what came. Whoever has requests from outside calls it before px_engine_start.
 */
PX_MUST_USE enum px_code px_engine_check_run(const struct px_engine *engine,
                                             const struct px_run *run, struct px_err *err);
/* Asks for all that the engine gives: `outputs` in the run's arena, with their names. PX_E_TOO_LARGE, PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_run_ask_all(struct px_run *run, const struct px_engine *engine,
                                        struct px_err *err);
/* Rows of a run: the first dimension of the first input that has one, where that counts rows (PX_ENGINE_BATCHES); else 1. */
size_t px_engine_run_rows(const struct px_engine *engine, const struct px_run *run);
/* Starts a run of an engine with PX_ENGINE_ASYNC. One that is cancelled or late already finishes at once. */
void px_engine_start(struct px_engine *engine, struct px_run *run);
/* Computes on the calling thread with an engine without PX_ENGINE_ASYNC; `done` is not called. */
PX_MUST_USE enum px_code px_engine_run(struct px_engine *engine, struct px_run *run,
                                       struct px_err *err);
/* Asks a started run to end. The caller owns the run, so that its memory outlives the call. */
void px_engine_cancel(struct px_engine *engine, struct px_run *run);

bool px_engine_is_idle(
    struct px_engine *engine); /* destroy would not wait; every run has finished */

void px_engine_drain(struct px_engine *engine);

bool px_engine_is_able(struct px_engine *engine, struct px_err *err); /* `err`: why not */

void px_engine_measure(struct px_engine *engine, const struct px_engine_measures *to);

const char *px_engine_name(const struct px_engine *engine); /* static */
bool px_engine_has(const struct px_engine *engine, enum px_engine_caps cap);
void px_engine_destroy(struct px_engine *engine); /* NULL is fine */

#endif
