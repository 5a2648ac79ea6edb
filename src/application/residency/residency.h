/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Residency: which of the models that a server knows are in its memory.
 *
 * Concepts
 * - A model version is *registered* when its name, version and place are known, and *resident* when it is in memory and answers.
 *   Registering reads folders, no model; a registered model costs about a kilobyte.
 * - A call for a registered model waits until it is resident: px_call_await_model. Calls for one model share one load; the model that
 *   most calls wait for is loaded first; each call waits no longer than serving.load_wait_ms and its own deadline.
 * - What a model takes is *measured*: how much more memory the process holds after its load than before. Models are loaded one
 *   after the other, so that what is measured is one model, and so that loads do not compete for the cores of those who answer.
 * - Under serving.memory_max a load first makes room: models that were not used for the longest time leave memory, but those that
 *   are pinned (model.yaml, residency: pinned) or have not been there for serving.resident_min_s. The same holds for what the system
 *   lets the process have, whatever memory_max says: a load that the system kills takes all models with it.
 * - With serving.preload_s a *look* every so often learns how much each version is used (domain/residency/forecast.h) and brings those into memory that
 *   will be wanted soon: into free room, or for others of which much less is expected.
 *
 * Threads: the settings on main, before the first model; the rest as it says.
 */
#ifndef PX_APPLICATION_RESIDENCY_RESIDENCY_H
#define PX_APPLICATION_RESIDENCY_RESIDENCY_H

#include "application/pressure/pressure.h"
#include "domain/residency/forecast.h"
#include "shared/err.h"

#include <stdatomic.h>

struct px_serving;
struct px_model;
struct px_call;

enum {
    PX_RESIDENCY_CALLS_MAX = 10000, /* that wait for models at a time */
    PX_RESIDENCY_WANTED_MAX = 1000, /* models that are waited for at a time */
    PX_RESIDENCY_PRELOADS_MAX = 16, /* models that are preloaded in one period */
};

struct px_residency_settings {
    bool on_demand; /* models of folders are loaded when they are asked for, else at the start */
    uint64_t memory_max;      /* bytes of resident models; 0: as much as there is */
    uint64_t load_wait_ns;    /* how long a call waits for its model; 0: not at all */
    uint64_t resident_min_ns; /* a model that was loaded stays as long */
    uint64_t poll_ns;         /* between two looks at folders of models (polling.h); 0: never */
    uint64_t preload_ns;      /* between two looks at what will be used soon; 0: never */
    /* What the system lets the process have, just now; any thread. NULL: nobody knows. */
    struct px_pressure_reading (*read_memory)(void);
};

/* What was done since the start; read it anywhere. */
struct px_residency_counts {
    _Atomic uint64_t misses;  /* calls that found their model registered only */
    _Atomic uint64_t refused; /* of them, those that did not get it in time */
    _Atomic uint64_t loads;   /* on demand, that succeeded */
    _Atomic uint64_t failed_loads;
    _Atomic uint64_t load_ns; /* that those took */
    _Atomic uint64_t evictions;
    _Atomic uint64_t evicted_age_ns; /* sum: from its last use to a model's eviction */
    _Atomic uint64_t no_room;        /* loads that were put off because nothing could leave */
    _Atomic uint64_t preloads, failed_preloads;
    _Atomic uint64_t preload_hits;   /* of them, those that were used; noticed by the next look */
    _Atomic uint64_t preload_unused; /* that left memory without */
};

/* What is known of a version's use. It outlives the version's stay in memory; the loader's, when preloading is on. */
struct px_usage {
    struct px_forecast forecast;
    uint64_t n_seen;   /* uses of this stay that the forecast knows of */
    bool is_preloaded; /* and was not used since */
};

/* What is there now. */
struct px_residency_view {
    size_t n_resident, n_registered; /* model versions */
    uint64_t resident_bytes, memory_max;
    size_t n_waiting; /* calls */
};

/* Before the first px_serving_add. */
void px_serving_set_residency(struct px_serving *serving,
                              const struct px_residency_settings *settings);
const struct px_residency_counts *px_residency_counts(const struct px_serving *serving);
/* On a loop. */
void px_residency_look(struct px_serving *serving, struct px_residency_view *ret);

/*
 * The call waits until the model that it asks for is resident. Then, or when it has waited long enough or was cancelled, `loaded` is
 * called in a later wake-up of its loop; call->code says whether it should be opened again. Calls that are not PX_OK are not waited
 * for: the error (also in the call, not counted) is the answer. Asked are model_name, version, loop, received_ns and deadline_ns.
 * Threads: the call's loop.
 */
PX_MUST_USE enum px_code px_call_await_model(struct px_serving *serving, struct px_call *call,
                                             void (*loaded)(struct px_call *call));

/*
 * Somebody would take the model if it were resident, and does not wait: it is loaded behind those that calls wait for. Nothing is done for
 * one that is READY, or when too many are wanted: false.
 * Threads: a loop, or the loader.
 */
bool px_residency_want(struct px_serving *serving, const struct px_model *model);

#endif
