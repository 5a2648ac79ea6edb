/* SPDX-License-Identifier: Apache-2.0 */
/* Private to application/serving: the repository's parts. */
#ifndef PX_APPLICATION_SERVING_REPOSITORY_IMPL_H
#define PX_APPLICATION_SERVING_REPOSITORY_IMPL_H

#include "application/lifecycle/model_name.h"
#include "application/serving/repository.h"
#include "application/serving/serving_impl.h"

#include <limits.h>
#include <pthread.h>
#include <semaphore.h>

enum { PX_REPOSITORY_FAILURES_MAX = 1024 }; /* remembered */

/* Why the last load of a version failed, while an older one of the same number serves on. */
struct px_load_failure {
    char *name, *version; /* one allocation, at `name` */
    struct px_err reason;
};

/* What a swap took out of the snapshot, and the tasks that tell when no loop uses it any more (reclaim.c). */
struct px_grave;

struct px_repository {
    struct px_serving *serving;
    struct px_loops loops;
    bool may_control; /* clients may change what the server does */
    struct px_control *loader, *lister;

    /*
     * Of the snapshot as the lister sees it, the work in progress and the failures. Held for moments; loops never
     * take it.
     */
    pthread_mutex_t mutex;
    char busy[PX_MODEL_NAME_MAX]; /* the name that is being loaded or unloaded */
    size_t busy_len;
    enum px_repository_action busy_with; /* 0 when none is */
    PX_VEC(struct px_load_failure) failures;

    _Atomic size_t waiting_bytes;       /* of requests that were submitted and not freed */
    struct px_repository_counts counts; /* the loader is the one writer */

    struct px_polling *polling; /* NULL: nobody looks at folders unasked */
    _Atomic bool stopping;
    sem_t passed;            /* once for each grave that nobody uses any more */
    sem_t orphaned;          /* once for each run that ended when its loop had stopped */
    size_t n_orphaned;       /* of these, waited for */
    struct px_grave *graves; /* that could not be freed yet; the loader's */
    uint64_t patience_ns;    /* how long the loader waits for loops and runs, before it goes on */
};

/* NULL before px_serving_manage. */
struct px_repository *px_repository_of(struct px_serving *serving);
/* After px_serving_unmanage and the loops' end. */
void px_repository_destroy(struct px_serving *serving);

/* What the index shows as being loaded. On the loader. */
void px_repository_set_busy(struct px_repository *r, struct px_str name,
                            enum px_repository_action action);
void px_repository_set_idle(struct px_repository *r);

/*
 * Makes the next snapshot; between this and px_repository_publish nothing may fail. Without a change there is no grave. Publishing takes the
 * repository's mutex; the grave is the caller's to close. On the loader.
 */
PX_MUST_USE enum px_code px_repository_prepare(struct px_repository *r,
                                               const struct px_snapshot_change *change,
                                               struct px_grave **ret, struct px_err *err);
void px_repository_publish(struct px_repository *r, struct px_grave *grave);

/* Sends the request with its answer back to its loop; it is not the caller's any more. */
void px_repository_answer(struct px_repository *r, struct px_repository_request *request);

/* The jobs; each answers its request. */
void px_repository_load(struct px_repository *r, struct px_repository_request *request);
void px_repository_unload(struct px_repository *r, struct px_repository_request *request);
void px_repository_index(struct px_repository *r, struct px_repository_request *request);

/*
 * Versions behind URLs that a load needs (repository_fetch.c). False: they are being fetched, and the load is given to the loader again when they are
 * here or cannot be had. On the loader.
 */
bool px_repository_has_files(struct px_repository *r, struct px_repository_request *request);
/* Where they are, or why they are not, into `place`, whose texts go to `path` and `refusal`. */
void px_repository_use_files(const struct px_repository_request *request,
                             struct px_model_place *place, char path[PATH_MAX],
                             struct px_err *refusal);
void px_repository_free_fetched(struct px_repository_request *request);

/* Has polling found that version of the model changed? */
bool px_repository_names_changed(const struct px_repository_request *request,
                                 struct px_str version);

/* Remembers, or forgets with `reason` NULL, why a version could not be loaded. Call it with the mutex held. */
void px_repository_note_failure(struct px_repository *r, struct px_str name, struct px_str version,
                                const struct px_err *reason);
/* The reason, or NULL. Call it with the mutex held. */
const struct px_err *px_repository_failure(const struct px_repository *r, struct px_str name,
                                           struct px_str version);

/*
 * A snapshot that was replaced, and models that it alone held: freed by px_grave_close once every loop has passed.
 * Opened before the swap, with the snapshot that is to come, so that nothing can fail after it. `models` has room for `n` entries.
 */
struct px_grave {
    struct px_repository *repository;
    struct px_grave *next;
    struct px_snapshot *snapshot;
    struct px_model **models;
    size_t n_models;
    struct px_grave_task *tasks; /* [n_loops] */
    _Atomic unsigned n_left;     /* loops that may use it */
    _Atomic bool is_cut;         /* a loop stopped before it had passed */
};

PX_MUST_USE enum px_code px_grave_open(struct px_repository *r, size_t n_models,
                                       struct px_grave **ret, struct px_err *err);
/*
 * Waits until every loop has finished what it may have parked, and what runs for it, and frees. Runs that take long are not waited
 * for: such a grave is freed by a later px_grave_close, or with the repository. On the loader.
 */
void px_grave_close(struct px_grave *grave);
/* On the lane's loop: the last run of a model that is leaving has ended. */
void px_grave_lane_empty(struct px_lane *lane);
void px_grave_free(struct px_grave *grave); /* at once; NULL is fine */

/*
 * Cancels the runs on their way, waits for their ends and releases them; when the loops have stopped (stage_run.c). False when some
 * have not ended in time, or engines still work for runs that have: it may be called again.
 */
bool px_end_all_runs(struct px_serving *serving);

/*
 * Writes the files of a request into a private folder <folder>/<name>/<version>/... and names it (model_files.c). The
 * caller removes it, also after a failure.
 */
struct px_model_folder {
    char path[128]; /* empty when there is none */
};
PX_MUST_USE enum px_code px_model_folder_write(const struct px_repository_request *request,
                                               struct px_model_folder *ret, struct px_err *err);
void px_model_folder_remove(const struct px_model_folder *folder);

#endif
