/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to application/residency and application/serving: the manager of what is resident.
 *
 * waiting.c keeps the calls that wait and the thread that lets them go; making_room.c decides who leaves; bringing.c loads what is asked for,
 * preloading.c what will be. The last three run on the repository's loader, which is the one writer of snapshots.
 */
#ifndef PX_APPLICATION_RESIDENCY_RESIDENCY_IMPL_H
#define PX_APPLICATION_RESIDENCY_RESIDENCY_IMPL_H

#include "application/control/control.h"
#include "application/fetching/fetching.h"
#include "application/residency/residency.h"
#include "shared/clock.h"

#include <pthread.h>

struct px_model;
struct px_repository;
struct px_grave;
struct px_snapshot_change;
struct px_model_place;

/* One model version that calls wait for, or have waited for: it is loaded even when they have gone, for those that come back. */
struct px_wanted {
    struct px_wanted *next;
    struct px_call *first, *last; /* those that wait, the oldest first */
    size_t n_calls;
    uint64_t since_ns, not_before_ns;
    uint64_t let_go_ns; /* when the patience of one of its calls ended last; 0: never */
    bool is_for_later;  /* it is to be tried at not_before_ns, or when a call comes for it */
    bool is_loading;    /* or being fetched: the loader passes it over */
    /* Of a model behind a URL (fetch_wanted.c): the loader's, or of the thread that fetches, while is_loading. */
    struct px_residency *residency;
    struct px_fetcher_job fetch;
    struct px_remote_version remote; /* that `held` or `fetch_failure` is of */
    struct px_cached_version *held;
    struct px_err fetch_failure; /* code PX_OK unless it could not be fetched */
    bool is_fetching;
    struct px_err no_room; /* code PX_OK unless its load was put off */
    bool never_fits;       /* then waiting does not help */
    size_t name_len, version_len;
    char text[]; /* name, version */
};

struct px_residency {
    struct px_residency_settings settings;
    struct px_residency_counts counts;

    /* Held for moments, by loops too. Under it: the loader's queue (control). */
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* monotonic clock */
    struct px_wanted *wanted;
    size_t n_wanted, n_calls;
    bool is_job_given, is_running, stopping;
    uint64_t wakes_at_ns; /* when the thread looks again by itself */
    pthread_t thread;
    struct px_control_job job;
    struct px_repository *repository;

    /* Preloading; under the mutex, too. */
    struct px_control_job look;
    bool is_look_given;
    unsigned n_looks;    /* of the period under way: each brings one model */
    uint64_t look_at_ns; /* when the next period begins; UINT64_MAX: never */
};

void px_residency_init(struct px_residency *residency);
void px_residency_deinit(struct px_residency *residency);
/* The thread that ends waits. Calls that wait when it stops are forgotten: their loops have stopped. */
PX_MUST_USE enum px_code px_residency_start(struct px_residency *residency,
                                            struct px_repository *repository, struct px_err *err);
void px_residency_stop(struct px_residency *residency);

/* ---- on the loader ---- */

/* Takes the model that most calls wait for and can be loaded now, or returns NULL. */
struct px_wanted *px_residency_take_wanted(struct px_residency *residency);
/* Its calls go on: the model is there, or has failed, or has gone. Frees it. */
void px_residency_settle(struct px_residency *residency, struct px_wanted *wanted);
/* There is no room for it: it is tried again in a moment, for as long as calls wait. When it never fits they are told at once. */
void px_residency_put_off(struct px_residency *residency, struct px_wanted *wanted,
                          const struct px_err *why, bool never_fits);

/* It was fetched, or could not be: the loader is to look at it again. On the thread that fetches. */
void px_residency_end_fetch(struct px_residency *residency, struct px_wanted *wanted);
/* Gives back what it holds. */
void px_wanted_free(struct px_wanted *wanted);

/*
 * Of a model behind a URL: where its files are, or why there are none, into `place`, whose texts go to `path` and `refusal`. False when they are
 * being fetched now: then the loader has nothing to do with it until they are here.
 */
bool px_residency_find_files(struct px_repository *r, struct px_wanted *wanted,
                             struct px_model_place *place, char path[PATH_MAX],
                             struct px_err *refusal);

/* Loads the most wanted model, if any is. */
void px_residency_bring_next(struct px_repository *r);

/*
 * Loads one that is registered, or has failed, beside it, from the place where its files are. NULL without memory; one that fails is given a time at which it may
 * be tried again.
 */
struct px_model *px_residency_load(struct px_repository *r, const struct px_model *known,
                                   const struct px_model_place *place);
#define PX_RETRY_FIRST_NS PX_NS_PER_S
#define PX_RETRY_LAST_NS  (60 * PX_NS_PER_S)
/* Between a load that failed and the next try: 1, 2, 4, ... 60 s. `pause_ns` is the one before; 0: it is the first. */
static inline uint64_t px_residency_next_pause_ns(uint64_t pause_ns)
{
    uint64_t next_ns = pause_ns ? 2 * pause_ns : PX_RETRY_FIRST_NS;
    return next_ns < PX_RETRY_LAST_NS ? next_ns : PX_RETRY_LAST_NS;
}
/* When one that failed may be tried again: after 1, 2, 4, ... 60 s. `before` is what was known of it, or NULL. */
void px_residency_set_retry(struct px_model *failed, const struct px_model *before);
/* It is wanted at that time, unless it is already. */
void px_residency_want_at(struct px_serving *serving, const struct px_model *model, uint64_t at_ns);
/* Its place; one behind a URL still has to be found on the disk. */
struct px_model_place px_residency_place_of(const struct px_model *known);
/* Publishes `new` for `old`; takes the new one, also on failure. The grave is the caller's to close. */
PX_MUST_USE enum px_code px_residency_replace(struct px_repository *r, struct px_model *old,
                                              struct px_model *new, struct px_grave **ret,
                                              struct px_err *err);

/* Learns, and brings the most wanted of what will be used soon. True when it did: there may be another. */
bool px_residency_preload_next(struct px_repository *r);
/* What was counted since it was last asked goes into the forecasts. Nothing when preloading is off. */
void px_residency_learn(struct px_serving *serving);
/* A new snapshot comes: what is known of those that leave it is known of those that come for them. */
void px_residency_pass_on(struct px_serving *serving, const struct px_snapshot_change *change);
/*
 * The model, loaded for the one that is known, was asked for. Its request is still to come: without knowing of it nothing would be expected of a model that has
 * just been brought.
 */
void px_residency_note_asked(struct px_serving *serving, struct px_model *known,
                             struct px_model *model);
/* Uses that are expected soon; 0 when that is next to nothing, or preloading is off. */
double px_residency_expected_uses(const struct px_serving *serving, const struct px_model *model);

/* How many bytes too many a load that takes so many would make; `ret` is what the system says. */
uint64_t px_residency_over_system(const struct px_residency *residency, uint64_t load_bytes,
                                  struct px_pressure_reading *ret);
/* Bytes of all that are resident. On the loader, or on main before the loops run. */
uint64_t px_residency_bytes(struct px_serving *serving);
/* The room that a version will probably need: what was measured, else what lies on the disk at its place. */
struct px_room px_residency_expect(const struct px_model *model,
                                   const struct px_model_place *place);
/* Room that is needed, and who may leave for it. */
struct px_room {
    uint64_t n_bytes; /* that it will take */
    uint64_t
        load_bytes; /* more than now while it is loaded: its file and what becomes of it; 0: it is loaded */
    const struct px_model *keep; /* NULL: none */
    bool
        is_ahead; /* nobody waits for it: then those that leave have at most this many uses expected, together */
    double uses_max;
};
/* Is there too little for it under serving.memory_max even when all have left that ever may? */
bool px_residency_never_fits(struct px_serving *serving, const struct px_room *room);
/* Warns when no model fits under serving.memory_max, or those that stay are over it. When all models of the start are there. */
void px_residency_check_maximum(struct px_serving *serving);
/*
 * Evicts until that many bytes more fit under serving.memory_max and what the system allows. PX_E_OVERLOADED, and nobody leaves, when
 * that cannot be.
 */
PX_MUST_USE enum px_code px_residency_make_room(struct px_repository *r, const struct px_room *room,
                                                struct px_err *err);

#endif
