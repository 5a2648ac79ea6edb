/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to application/residency and application/serving: the manager of what is resident.
 *
 * waiting.c keeps the calls that wait and the thread that lets them go; making_room.c decides who leaves; bringing.c loads. The last
 * two run on the repository's loader, which is the one writer of snapshots.
 */
#ifndef PX_APPLICATION_RESIDENCY_RESIDENCY_IMPL_H
#define PX_APPLICATION_RESIDENCY_RESIDENCY_IMPL_H

#include "application/control/control.h"
#include "application/residency/residency.h"

#include <pthread.h>

struct px_model;
struct px_repository;

/* One model version that calls wait for, or have waited for: it is loaded even when they have gone, for those that come back. */
struct px_wanted {
    struct px_wanted *next;
    struct px_call *first, *last; /* those that wait, the oldest first */
    size_t n_calls;
    uint64_t since_ns, not_before_ns;
    uint64_t let_go_ns; /* when the patience of one of its calls ended last; 0: never */
    bool is_loading;
    struct px_err no_room; /* code PX_OK unless its load was put off */
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
/* There is no room for it: it is tried again in a moment, for as long as calls wait. */
void px_residency_put_off(struct px_residency *residency, struct px_wanted *wanted,
                          const struct px_err *why);

/* Loads the most wanted model, if any is. */
void px_residency_bring_next(struct px_repository *r);

/* Bytes of all that are resident. On the loader, or on main before the loops run. */
uint64_t px_residency_bytes(struct px_serving *serving);
/* Bytes that a version will probably take: what was measured, else what lies on the disk. */
uint64_t px_residency_expect(const struct px_model *model);
/*
 * Evicts until `n_bytes` more fit under serving.memory_max, but not `keep` (may be NULL). PX_E_OVERLOADED, and nobody leaves, when
 * that cannot be.
 */
PX_MUST_USE enum px_code px_residency_make_room(struct px_repository *r, uint64_t n_bytes,
                                                const struct px_model *keep, struct px_err *err);

#endif
