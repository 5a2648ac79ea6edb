/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serving core: the models of this process, and the machinery that answers calls.
 *
 * Concepts
 * - A model version is READY, FAILED (with a reason) or REGISTERED (not in memory); a bad one never stops the others.
 * - The set of models is an immutable snapshot behind an atomic pointer; loops read it without a lock. While the
 *   server answers it changes by application/serving/repository.h, and what a loop found in it is valid until the end
 *   of that loop's wake-up.
 * - Each loop has a wave (calls parked until the end of its wake-up), scratch memory for engines, and a
 *   metric shard per model.
 *
 * Threads: create, add and destroy on main, while no loop runs; open/submit/wave on the loop named in the call; those
 * that return models or a set of them on a loop, or on main before px_serving_manage; the rest anywhere.
 */
#ifndef PX_APPLICATION_SERVING_SERVING_H
#define PX_APPLICATION_SERVING_SERVING_H

#include "application/ports/engine_provider.h"
#include "application/residency/residency.h"
#include "application/serving/call.h"
#include "application/serving/version_policy.h"
#include "application/telemetry/metrics.h"
#include "application/telemetry/trace.h"
#include "domain/forest/forest.h"
#include "shared/clock.h"

#include <stdatomic.h>

struct px_cache_space;
struct px_cached_version;
struct px_fetching;
struct px_fetching_settings;
struct px_recorder;
struct px_package;
struct px_rescue;
struct px_pressure;

struct px_serving_limits {
    _Atomic size_t request_rows_max; /* rows of one request; px_serving_set_rows_max changes it */
    size_t batch_rows_max;           /* rows of one engine call */
    size_t wave_bytes_max;           /* rows that one loop may hold decoded at a time */
    /* That may share one large batch, the loop's included; 0 and 1: no sharing. */
    unsigned batch_threads;
    size_t cache_bytes_max; /* answers kept for all models; 0: no cache */
    uint64_t
        stop_ns; /* how long a server that stops waits for runs of models of tensors; 0: PX_STOP_NS */
};
#define PX_STOP_NS (10 * PX_NS_PER_S)

enum px_model_state {
    PX_MODEL_READY = 1,
    PX_MODEL_FAILED,
    PX_MODEL_REGISTERED /* known, and loaded when it is asked for (application/residency) */
};

/* One version of one model. Fields are fixed once it is in the snapshot. */
struct px_model {
    struct px_str name, version;
    enum px_model_state state;
    bool stands_alone;          /* an argument of its own, not found in a folder of models */
    struct px_err reason;       /* when FAILED */
    struct px_package *package; /* NULL when not READY */
    const struct px_signature *signature;
    const struct px_forest_info
        *forest; /* NULL of a model of tensors, whose signature has no features */
    struct px_engine *engine;
    uint64_t loaded_ns;        /* wall clock */
    struct px_str sample_json; /* an example instance {"age":58,...} with the real feature names */
    double score_min, score_max;      /* range of the score histogram */
    struct px_model_metrics *metrics; /* [n_loops]; NULL when not READY */
    struct px_limit *limit;           /* NULL: any number may be on their way */
    struct px_cache_space *cache;     /* NULL: its answers are not kept */
    struct px_recorder *recorder;     /* NULL: its requests are not recorded */
    struct px_rescue
        *rescue; /* breaker and ladder; NULL: neither. A version that FAILED may have a ladder */
    const char
        *path; /* where it can be loaded again, also a URL; NULL: its files came with a request */
    bool is_remote; /* it is fetched before it is loaded */
    bool
        comes_beside; /* it came by polling while an older version was READY, which answers until this one was READY once */
    struct px_cached_version *held;  /* the files that it was loaded from, when they were fetched */
    struct px_version_policy policy; /* of the model's versions */
    bool is_pinned;                  /* never leaves memory to make room */
    uint64_t
        bytes; /* that it takes, measured; of one that is not READY: took last, 0 when unknown */
    uint64_t ready_ns; /* monotonic: when it was loaded */
    uint64_t retry_ns,
        retry_pause_ns; /* of one that FAILED on demand, or at the start for a reason that may pass: when it is tried again; 0: never */
    /* private */
    struct px_usage usage; /* the one that changes: the loader's */
    struct px_lane *lanes; /* [n_lanes], one per loop: what it has parked for this model */
    unsigned n_lanes;
    char *names; /* what name, version and path point to */
};

struct px_model_set {
    struct px_model *const *models; /* sorted by name, then version (numbers numerically) */
    size_t n_models;
};

struct px_serving;

PX_MUST_USE enum px_code px_serving_create(unsigned n_loops, const struct px_serving_limits *limits,
                                           struct px_serving **ret, struct px_err *err);
void px_serving_destroy(struct px_serving *serving);

/* From where models behind URLs come, and where they are kept. Before the first px_serving_add; what the settings point to must outlive the core. */
PX_MUST_USE enum px_code px_serving_set_fetching(struct px_serving *serving,
                                                 const struct px_fetching_settings *settings,
                                                 struct px_err *err);
/* NULL when it was not set. For its counts. */
const struct px_fetching *px_serving_fetching(const struct px_serving *serving);

/*
 * Adds what one command-line argument names: MODEL, NAME=MODEL, or a folder <model>/<version>/file. A model that cannot be
 * loaded is added as FAILED with its reason; the return is not PX_OK only when the argument itself is wrong.
 */
PX_MUST_USE enum px_code px_serving_add(struct px_serving *serving, const char *argument,
                                        struct px_err *err);

const struct px_model_set *px_serving_models(struct px_serving *serving);

/* The version asked for, or the latest READY one when `version` is empty. NULL and `err`
 * (NOT_FOUND with the nearest name, UNAVAILABLE with the reason of the failed load, or because it is not in memory: then
 * px_call_await_model helps). */
struct px_model *px_serving_find(struct px_serving *serving, struct px_str name,
                                 struct px_str version, struct px_err *err);
/* The same, also of one that is REGISTERED, or may be tried again: for who asks whether requests will be answered. */
struct px_model *px_serving_find_known(struct px_serving *serving, struct px_str name,
                                       struct px_str version, struct px_err *err);

/* The highest version below that one that is READY, or else that is READY or would be loaded when it is wanted; NULL when there is none. */
struct px_model *px_serving_find_before(struct px_serving *serving, struct px_str name,
                                        struct px_str version, bool is_ready);
/* Does the model take and give what `asked` does, so that it can answer its requests? Else PX_E_CONFLICT says what differs. */
PX_MUST_USE enum px_code px_model_can_stand_in(const struct px_model *model,
                                               const struct px_model *asked, struct px_err *err);

/* The other model that a rung of a version's ladder means now, on a loop; NULL, and why there is none. */
struct px_model *px_rung_find(struct px_serving *serving, const struct px_rung *rung,
                              const struct px_model *asked, struct px_err *err);

/*
 * Will this version answer requests? One that is REGISTERED will, when it has been loaded. False with the reason when it failed to load,
 * or while its engine has nothing that could answer (px_engine_is_able). What every interface says of a model's readiness.
 */
bool px_model_is_able(const struct px_model *model, struct px_err *err);

/* Scores every call parked on the loop and completes them. */
void px_serving_wave(struct px_serving *serving, unsigned loop);
/* The loop goes to see what others have sent: after one wave or several. Renews the budget of explanations. */
void px_serving_end_wakeup(struct px_serving *serving, unsigned loop);
/*
 * How long the wake-up that ends now kept others waiting. While it was longer than PX_SHED_LAG_NS, sheddable requests of models of
 * rows are refused: what they would cost is what the others wait for.
 */
#define PX_SHED_LAG_NS (20 * PX_NS_PER_MS)
void px_serving_note_lag(struct px_serving *serving, unsigned loop, uint64_t lag_ns);

/* What opens models of tensors; before the first px_serving_add. NULL, as it is at first: tree models only. */
void px_serving_set_engines(struct px_serving *serving, const struct px_engines *engines);

/* Lends the traces; before the loops run, and until they have ended. */
void px_serving_set_trace(struct px_serving *serving, struct px_trace *trace);
struct px_trace *px_serving_trace(struct px_serving *serving); /* NULL when none were lent */

/* Another serving.request_rows_max, for requests from now on. Threads: any. */
void px_serving_set_rows_max(struct px_serving *serving, size_t rows_max);

/* Lends the gauges of memory: while it is critical, clients' loads are refused. NULL, as at first: nothing is. */
void px_serving_set_pressure(struct px_serving *serving, const struct px_pressure *pressure);

/* Recorded requests (recorder.h) that versions computed before they answered anybody, since the start; read it anywhere. */
struct px_warm_up_counts {
    _Atomic uint64_t runs, failures;
};
const struct px_warm_up_counts *px_warm_up_counts(const struct px_serving *serving);

/* Draining: ready turns false, calls are still answered. */
void px_serving_drain(struct px_serving *serving);
/* What waits in queues for company waits no more. On a loop. */
void px_serving_drain_engines(struct px_serving *serving);
bool px_serving_is_draining(const struct px_serving *serving);
/*
 * Is it not draining, and is at least one model READY or REGISTERED? Else `err` says what is missing. A failed model
 * does not count against the others: taking them out of rotation would make its fault theirs.
 */
bool px_serving_is_ready(struct px_serving *serving, struct px_err *err);

/* What an interface counts, on the loop that is named: a request over HTTP, and an error that concerns no model. */
void px_serving_count_request(struct px_serving *serving, unsigned loop);
void px_serving_count_error(struct px_serving *serving, unsigned loop, enum px_code code);
struct px_loop_metrics *px_serving_loop_metrics(struct px_serving *serving, unsigned loop);
unsigned px_serving_n_loops(const struct px_serving *serving);
uint64_t px_serving_started_ns(const struct px_serving *serving); /* wall clock */
const struct px_serving_limits *px_serving_limits(const struct px_serving *serving);

#endif
