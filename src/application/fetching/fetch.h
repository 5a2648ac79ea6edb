/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching: the files of one version come from a store into the disk cache.
 *
 * What is there is not fetched; a file that came in part goes on where it ended, when the store says that it is the same; each is hashed while it comes and
 * is taken only when it is what the index says. What may be better the next time (a connection that breaks, 503) is tried again after 0.2 s, 0.4 s, ...
 * as long as bytes come, and FETCH_ATTEMPTS_MAX times without any.
 *
 * Threads: those of the fetcher (fetcher.h).
 */
#ifndef PX_APPLICATION_FETCHING_FETCH_H
#define PX_APPLICATION_FETCHING_FETCH_H

#include "application/fetching/model_cache.h"
#include "application/ports/model_store.h"

/* What was done since the start; several threads add, any reads. */
struct px_fetch_counts {
    _Atomic uint64_t hits;          /* versions that were wanted and found in the cache */
    _Atomic uint64_t fetches;       /* versions that were fetched */
    _Atomic uint64_t failed;        /* versions that could not be */
    _Atomic uint64_t bytes;         /* that came */
    _Atomic uint64_t resumed_bytes; /* that were there of files which went on */
    _Atomic uint64_t retries;
    _Atomic uint64_t ns; /* that fetches took, failed ones too */
    _Atomic uint64_t index_reads, failed_index_reads;
};

struct px_fetch_job {
    struct px_model_store *store;
    struct px_model_cache *cache;
    struct px_fetch_counts *counts;
    const _Atomic bool *stopping; /* ends it, PX_E_CANCELLED */
    struct px_str folder;         /* of the version, below the store's URL */
    struct px_version_files files;
};

PX_MUST_USE enum px_code px_fetch_version(const struct px_fetch_job *job,
                                          struct px_cached_version **ret, struct px_err *err);

#endif
