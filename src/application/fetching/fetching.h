/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models behind URLs: the third tier, behind memory and the disk.
 *
 * Concepts
 * - A *repository* is a URL that was an argument of `phoenix serve`. Its index (model_index.h) says which versions it has; it is all that is read at the
 *   start, and read again when somebody asks (px_fetching_refresh). One that cannot be read leaves the one before, or the one that an earlier process kept.
 * - A *version* is fetched when it is wanted: its files come into the disk cache (model_cache.h) and are loaded from there, and stay held while the
 *   model is in memory.
 *
 * Threads: create, add and destroy on main; start and stop around what gives jobs; the rest on control threads and those that fetch, never on
 * a loop, but for the counts.
 */
#ifndef PX_APPLICATION_FETCHING_FETCHING_H
#define PX_APPLICATION_FETCHING_FETCHING_H

#include "application/fetching/fetch.h"
#include "application/fetching/fetcher.h"

struct px_fetching;
struct px_model_places;

/* Borrowed, also the texts. */
struct px_fetching_settings {
    const struct px_model_stores *stores;
    const char *cache_dir;    /* empty: the user's or service's own (fetching.c) */
    uint64_t cache_bytes_max; /* 0: as much as there is */
    struct px_model_store_settings store;
};

/* Of a version, at the moment of asking; of its own memory. */
struct px_remote_version {
    struct px_arena arena;
    struct px_model_store *store;
    struct px_str folder;
    struct px_version_files files;
    char key[PX_SHA256_HEX];
};

PX_MUST_USE enum px_code px_fetching_create(const struct px_fetching_settings *settings,
                                            struct px_fetching **ret, struct px_err *err);
/* When no model holds a version any more. NULL is fine. */
void px_fetching_destroy(struct px_fetching *fetching);
/*
 * Another repository; reads its index. When that cannot be had at the moment and an earlier process kept one, that one is taken; else the error
 * is the reader's.
 */
PX_MUST_USE enum px_code px_fetching_add(struct px_fetching *fetching, const char *url,
                                         struct px_err *err);
/* Threads that fetch. Without a repository there are none, and nothing is done. */
PX_MUST_USE enum px_code px_fetching_start(struct px_fetching *fetching, struct px_err *err);
/* Reads at work end soon, with PX_E_CANCELLED; before px_fetching_stop, which waits for them. */
void px_fetching_cancel(struct px_fetching *fetching);
void px_fetching_stop(struct px_fetching *fetching);
bool px_fetching_has_repositories(const struct px_fetching *fetching);

/* Appends the versions of the repository at `url`, as the policy of `places` says. */
PX_MUST_USE enum px_code px_fetching_scan(struct px_fetching *fetching, const char *url,
                                          struct px_model_places *places, struct px_err *err);
/* Reads the indexes again, where they have changed. What fails is logged, once for each reason. Blocks. */
void px_fetching_refresh(struct px_fetching *fetching);

/* PX_E_NOT_FOUND when no index has it now. */
PX_MUST_USE enum px_code px_fetching_find(struct px_fetching *fetching, struct px_str name,
                                          struct px_str version, struct px_remote_version *ret,
                                          struct px_err *err);
void px_remote_version_deinit(struct px_remote_version *version);
/* Holds it when it is on the disk. PX_E_NOT_FOUND. */
PX_MUST_USE enum px_code px_fetching_take(struct px_fetching *fetching,
                                          const struct px_remote_version *version,
                                          struct px_cached_version **ret, struct px_err *err);
/* Brings it. Blocks, for minutes: in a job of px_fetching_give. */
PX_MUST_USE enum px_code px_fetching_fetch(struct px_fetching *fetching,
                                           const struct px_remote_version *version,
                                           struct px_cached_version **ret, struct px_err *err);
/*
 * Of a version that nobody waits for: holds it when it is on the disk, true; else it is fetched, one such version at a time. Does not block.
 */
bool px_fetching_take_ahead(struct px_fetching *fetching, struct px_str name, struct px_str version,
                            struct px_cached_version **ret);
void px_fetching_give(struct px_fetching *fetching, struct px_fetcher_job *job);

const struct px_fetch_counts *px_fetching_counts(const struct px_fetching *fetching);
/* NULL while there is no repository. */
const struct px_model_cache *px_fetching_cache(const struct px_fetching *fetching);

#endif
