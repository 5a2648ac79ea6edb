/* SPDX-License-Identifier: Apache-2.0 */
/* Private to application/serving: the core's own structs, the stages, and model loading. */
#ifndef PX_APPLICATION_SERVING_SERVING_IMPL_H
#define PX_APPLICATION_SERVING_SERVING_IMPL_H

#include "application/cache/cache.h"
#include "application/fetching/fetching.h"
#include "application/parallel/pool.h"
#include "application/residency/residency_impl.h"
#include "application/serving/recorder.h"
#include "application/serving/rescue.h"
#include "application/serving/serving.h"
#include "application/serving/version_policy.h"
#include "shared/vec.h"

#include <limits.h>

/*
 * A lane is what one loop has parked for one model, and the memory that its batches are built in. The
 * memory is reserved when the model is loaded, so scoring allocates nothing. It is bounded whatever a
 * model file declares: a wide model gets fewer rows per batch.
 */
enum { PX_LANE_BYTES_MAX = 32 << 20 };

struct px_lane {
    struct px_call *first, *last; /* parked calls, oldest first */
    struct px_call *answered;     /* that the cache has answered, or that failed there; any order */
    struct px_lane *next;         /* in the loop's list of lanes with parked or answered calls */
    bool is_busy;                 /* it is in that list */
    struct px_model *model;
    size_t rows_max;               /* of one batch */
    struct px_matrix rows, scores; /* slabs of rows_max rows */
    void *scratch;
    size_t n_runs;                 /* of a model of tensors: on their way */
    struct px_grave_task *leaving; /* waits until there are none */
    uint64_t record_at_ns;         /* when it may record another request of a model that does */
    _Atomic uint64_t used_ns; /* monotonic, when it last had a call; this loop is the one writer */
} __attribute__((aligned(PX_CACHE_LINE)));

/* One event loop's part of the core; only its thread touches it. */
struct px_serving_loop {
    struct px_lane *busy;    /* lanes with parked calls */
    size_t wave_bytes;       /* rows decoded since the last wave */
    uint64_t lag_ns;         /* of the latest wake-ups, the longest; it fades */
    uint64_t lag_at_ns;      /* when it was told, monotonic */
    double explain_steps;    /* of the explanations of this wake-up */
    uint64_t waves;          /* so far */
    struct px_call *running; /* whose runs are on their way */
    size_t run_bytes;        /* of their inputs */
    struct px_loop_metrics metrics;
} __attribute__((aligned(PX_CACHE_LINE)));

/* The snapshot that loops read (snapshot.c). */
struct px_snapshot {
    struct px_model_set set;
    struct px_model **models; /* what set.models points to */
    struct px_map first_of;   /* model name -> index of its first version */
    bool has_ladders;         /* a version that failed has one */
    char *unloaded;           /* names of models that clients have unloaded, each ended by a NUL */
    size_t unloaded_len;
};

struct px_repository;

struct px_serving {
    struct px_serving_limits limits;
    unsigned n_loops;
    const struct px_engines *engines;   /* NULL: tree models only */
    struct px_trace *trace;             /* NULL when there is none */
    const struct px_pressure *pressure; /* NULL when nobody measures */
    struct px_pool *pool;   /* helps any loop with a large batch; NULL when there is no sharing */
    struct px_cache *cache; /* NULL when there is none */
    uint64_t started_ns;
    _Atomic bool draining;
    _Atomic(struct px_snapshot *) snapshot;
    struct px_serving_loop *loops; /* [n_loops] */
    PX_VEC(char *) arguments;      /* of px_serving_add; unchanged once the repository runs */
    _Atomic(struct px_repository *) repository; /* NULL until px_serving_manage */
    struct px_residency residency;
    struct px_fetching *fetching; /* models behind URLs; NULL: there is no way to fetch any */
    struct px_warm_up_counts warmed;
};

struct px_snapshot *px_snapshot_current(struct px_serving *serving);
void px_snapshot_free(struct px_snapshot *snapshot); /* not its models; NULL is fine */

/* What a new snapshot has beside, and instead of, what the current one has. */
struct px_snapshot_change {
    struct px_model *const *added;
    size_t n_added;
    struct px_model *const *removed;
    size_t n_removed;
    struct px_str
        unloaded; /* the name of those that are removed, when a client may load it again */
};

/* Builds the next snapshot; the models stay the caller's when it fails. */
PX_MUST_USE enum px_code px_snapshot_build(struct px_serving *serving,
                                           const struct px_snapshot_change *change,
                                           struct px_snapshot **ret, struct px_err *err);
/* Publishes it and returns the one before, which loops may still be reading. One writer at a time. */
struct px_snapshot *px_snapshot_swap(struct px_serving *serving, struct px_snapshot *snapshot);

/* Why a model that is registered only does not answer. */
enum px_code px_refuse_absent(const struct px_model *model, struct px_err *err);

/* Versions that are whole numbers sort by value and before all others. */
int px_compare_versions(struct px_str a, struct px_str b);

/* A stage of the pipeline: PX_OK passes on, anything else answers the call with that error. */
typedef enum px_code px_stage_fn(struct px_serving *serving, struct px_call *call);

px_stage_fn px_stage_route;    /* name and version -> model */
px_stage_fn px_stage_deadline; /* does anybody still wait for it? */
px_stage_fn px_stage_admit;    /* rows within the limits, engine able */

/* Is the call cancelled or late at `now_ns`? With the second its code and error say so. */
PX_MUST_USE bool px_call_is_unwanted(const struct px_call *call, uint64_t now_ns);
PX_MUST_USE bool px_call_has_ended(struct px_call *call, uint64_t now_ns);

px_stage_fn px_stage_batch; /* parks the call in its lane */

/* The lane has something for the wave. */
void px_lane_is_busy(struct px_serving_loop *loop, struct px_lane *lane);
/* Room for the scores of a call of rows. */
PX_MUST_USE bool px_call_reserve_scores(struct px_call *call);

/* The stages of a call of a model of tensors, in their order (pipeline.c). */
enum px_run_stage {
    PX_RUN_DEADLINE = 0,
    PX_RUN_ADMIT,
    PX_RUN_CACHE,
    PX_RUN_BREAKER,
    PX_RUN_LIMIT,
    PX_RUN_START,
    PX_RUN_STAGES,
};
/*
 * Takes the call through them from `first` on, until it is on its way or answered. Else its code and error say why, it holds no place
 * and leads nobody; it is not counted yet.
 */
PX_MUST_USE enum px_code px_call_take_stages(struct px_serving *serving, struct px_call *call,
                                             enum px_run_stage first);

/* Of models of tensors (stage_run.c). */
px_stage_fn px_stage_admit_run; /* the run fits the model and the limits */
px_stage_fn px_stage_limit;     /* there is room for another (stage_limit.c) */
/* On any thread: the run of a call that may have a place has ended. */
void px_call_leave_limit(struct px_call *call);
px_stage_fn px_stage_start;
/* Counts the call among those that run: it is completed by a task of its loop. */
void px_call_enter_running(struct px_serving *serving, struct px_call *call);
/* That task: the run has its code. */
void px_call_complete(struct px_loop_task *task);
/* Sends the task to the loop, from any thread. */
void px_call_post(struct px_call *call);

/*
 * The cache (stage_cache.c): is there an answer, or one that is on its way? A call that gets one is completed in the wave, or, of
 * tensors and when it waited, by a task.
 */
px_stage_fn px_stage_cache;
/*
 * For a call that cannot be computed, before px_stage_cache or when it does not wait: true when there is a kept answer, also one whose
 * time has passed. The call then is completed in the wave.
 */
PX_MUST_USE bool px_call_take_kept(struct px_serving *serving, struct px_call *call);
/* The call was computed with that code, or will not be: whoever waits for it hears of it. */
void px_call_end_lead(struct px_call *call, enum px_code code);
/* Is the call waiting for another's answer? Then it is completed, cancelled, by a task. */
PX_MUST_USE bool px_call_stop_waiting(struct px_call *call);
/* The loops have stopped, and no task completes the call any more. */
void px_call_forget_cache(struct px_call *call);

/* Completed by the wave of this wake-up. */
void px_call_park_answered(struct px_serving *serving, struct px_call *call);

/*
 * The breaker and the ladder (stage_fallback.c). The first call of px_call_leave_breaker after the stage gives its ticket back: any thread.
 */
px_stage_fn px_stage_breaker;
void px_call_leave_breaker(struct px_call *call, enum px_code code, uint64_t started_ns);
/*
 * The call has failed at its model, which is counted here, is in no list, and leads nobody: true when another rung of its ladder has taken
 * it, so that it is completed later.
 */
PX_MUST_USE bool px_call_fall_back(struct px_serving *serving, struct px_call *call);
/* The version that was asked for failed to load: true when another was found for it. */
PX_MUST_USE bool px_call_fall_back_at_route(struct px_serving *serving, struct px_call *call);
/* Of one that is answered: counts the rung that did it, if any. */
void px_call_count_fallback(const struct px_call *call);
/* The lane that counts a call on its ladder, besides that of its model; before `done`. NULL: none. */
struct px_lane *px_call_origin_lane(const struct px_call *call);
/* One of its calls less. */
void px_lane_leave(struct px_lane *lane);

/* The version that was asked for, when it is FAILED; an empty version means the highest. */
struct px_model *px_serving_find_failed(struct px_serving *serving, struct px_str name,
                                        struct px_str version);

/* Scores all calls of a lane (stage_engine.c) and completes them (observe, done). */
void px_lane_score(struct px_serving *serving, unsigned loop, struct px_lane *lane);

/*
 * The score of a row that the histogram shows: of several classes the winner's probability, which tells how
 * sure the model is.
 */
double px_shown_score(const struct px_matrix *scores, size_t row);

/* When the steps of a batch happened, monotonic. Without copying, steps share a time. */
struct px_batch_times {
    uint64_t started_ns; /* the calls stop waiting, their rows are collected */
    uint64_t engine_ns;  /* the engine starts */
    uint64_t scored_ns;  /* the engine is done, the scores are handed out */
    uint64_t ended_ns;
};

/* Counts a scored call (stage_observe.c), and one engine call of `n_rows` rows. */
void px_observe_call(struct px_call *call, const struct px_batch_times *times);
void px_observe_batch(const struct px_model *model, unsigned loop, size_t n_rows,
                      const struct px_batch_times *times);
/* Counts a run that went well, which is a batch of its own. */
void px_observe_run(struct px_call *call);
/* Counts a call that the cache answered, and what one that it could not answer has spent there. */
void px_observe_cached(const struct px_call *call, uint64_t now_ns);
void px_observe_cache_miss(const struct px_call *call, uint64_t now_ns);
void px_observe_failure(struct px_serving *serving, const struct px_call *call);

/* Traces (stage_trace.c): is this call sampled; and, around `done`, what is written about it. */
void px_trace_open_call(struct px_serving *serving, struct px_call *call);
struct px_trace_record *px_trace_begin_call(struct px_serving *serving, const struct px_call *call,
                                            const struct px_batch_times *times);
/* The same of a run; before it, room for its steps. */
void px_trace_prepare_run(struct px_call *call);
struct px_trace_record *px_trace_begin_run(struct px_serving *serving, const struct px_call *call);
void px_trace_end_call(struct px_serving *serving, unsigned loop, struct px_trace_record *record);

/* What could be loaded, and under which name (model_source.c). */
struct px_model_place {
    struct px_str name, version;
    const char *path;                /* of a remote one its URL */
    bool stands_alone;               /* an argument of its own, not found in a folder of models */
    bool is_remote;                  /* its files have to be fetched */
    uint64_t stamp;                  /* of a remote one: changes with its files */
    const char *local;               /* where the files of a remote one are; NULL: not fetched */
    struct px_cached_version *held;  /* what keeps them there */
    bool is_unchosen;                /* by its model's policy; only where all are listed */
    bool from_client;                /* its files came with a request */
    bool is_awaited;                 /* calls wait for it */
    struct px_version_policy policy; /* of its model; its text lives as long as the place */
    const struct px_err *refusal;    /* not NULL: the version cannot be used, for this reason */
};

struct px_model_places {
    struct px_arena arena; /* of texts and refusals */
    PX_VEC(struct px_model_place) list;
    bool lists_all; /* also versions that the policy does not choose, as such */
    const struct px_version_policy
        *policy; /* instead of what the models' folders say; may be NULL */
};

enum { PX_MODEL_PLACES_BYTES_MAX = 64 << 20 };

static inline struct px_model_places px_model_places(void)
{
    return (struct px_model_places){.arena = px_arena(PX_MODEL_PLACES_BYTES_MAX)};
}
void px_model_places_deinit(struct px_model_places *places);

/* Keeps a place; its texts are copied. */
PX_MUST_USE enum px_code px_model_places_add(struct px_model_places *places,
                                             const struct px_model_place *place,
                                             struct px_err *err);
/* Appends what one argument of `phoenix serve` names on the disk, without loading anything. */
PX_MUST_USE enum px_code px_model_scan(const char *argument, struct px_model_places *places,
                                       struct px_err *err);
/* The same, also of a URL that px_serving_add was given: what its index said when it was read last. */
PX_MUST_USE enum px_code px_serving_scan(struct px_serving *serving, const char *argument,
                                         struct px_model_places *places, struct px_err *err);
/* What is to be opened in the folder of a version: itself, if it is a package, else its only file. `path` has PATH_MAX bytes. */
PX_MUST_USE enum px_code px_model_find_in_folder(const char *folder, char *path,
                                                 struct px_err *err);
/* Where a place can be read; NULL when it has to be fetched. */
static inline const char *px_model_place_files(const struct px_model_place *place)
{
    return place->is_remote ? place->local : place->path;
}

/* The folder of a version that is one file, else what the place names. */
void px_model_place_folder(const struct px_model_place *place, char path[PATH_MAX]);

/*
 * Loads one model version (model_load.c). NULL only when memory is short: one that cannot be loaded is
 * FAILED and says why.
 */
struct px_model *px_model_load(struct px_serving *serving, const struct px_model_place *place);
/*
 * Knows one without loading it; FAILED when the place says that it cannot be used. NULL when memory is short. The second is for one
 * that leaves memory.
 */
struct px_model *px_model_register(const struct px_model_place *place);
struct px_model *px_model_register_again(const struct px_model *model);
/* Room in the server's cache, which there is, for the answers of a model that has none. */
PX_MUST_USE enum px_code px_model_open_cache(const struct px_serving *serving,
                                             struct px_model *model, struct px_err *err);
/*
 * Warming (model_warm.c): what a version computes before it is in a snapshot. An error fails the load. With package, engine, signature and lanes set;
 * the last on the loader, or on main before the loops run.
 */
void px_model_warm_rows(struct px_model *model);
PX_MUST_USE enum px_code px_model_warm_tensors(const struct px_model *model, struct px_err *err);
PX_MUST_USE enum px_code px_model_warm_recorded(struct px_serving *serving, struct px_model *model,
                                                const struct px_model_place *place,
                                                struct px_err *err);
/* Reserves counters and lanes for a model whose engine is set. */
PX_MUST_USE enum px_code px_model_reserve(const struct px_serving *serving, struct px_model *model,
                                          struct px_err *err);
/* Bytes that one row needs in a lane, for its features and its scores. */
size_t px_lane_row_bytes(const struct px_engine *engine);
/* Gives back everything but the names and the reason. */
void px_model_release(struct px_model *model);
void px_model_unload(struct px_model *model); /* NULL is fine */

/*
 * An example instance as JSON with the model's real feature names (model_sample.c); of a model of tensors, a whole request of
 * the Open Inference Protocol.
 */
void px_model_sample(const struct px_package *package, struct px_buf *json);

/*
 * Adds loaded models to a new snapshot and publishes it; takes them, also on failure. Only before the loops run: the
 * snapshot before is freed.
 */
PX_MUST_USE enum px_code px_serving_publish(struct px_serving *serving,
                                            struct px_model *const *added, size_t n,
                                            struct px_err *err);

#endif
