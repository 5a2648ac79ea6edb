/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk cache of models that were fetched: their tier between memory and the store.
 *
 *     <folder>/blobs/<sha256>       the content of a file, whole and verified
 *     <folder>/versions/<key>/...   a version as its files are named: hard links to blobs
 *     <folder>/partial/<sha256>     a file that is on its way; <sha256>.tag is what the store called it
 *     <folder>/indexes/<sha256>     the last index of a store, for a start without it
 *     <folder>/lock                 ranges of it say which process uses which version
 *
 * Concepts
 * - Files with equal content exist once, whatever they are called and however many versions have them. How many versions use a blob is
 *   its number of links, so there is no list that could be wrong after a crash.
 * - A version is *held* while its files may be open: while it is loaded, and as long as it is in memory. What is held does not leave, also not for another process that
 *   shares the folder.
 * - What all blobs and partial files take stays under `bytes_max`. Room is made, in this order, from partial files that nobody writes, blobs without a
 *   version, and versions that were not used for the longest time (the time of their folder).
 *
 * Several processes may share a folder, as two do while one takes over from the other. A process that is killed at any moment leaves nothing that
 * hinders: see the design note of model_cache.c. Threads: any but loops, since files are looked at under the cache's mutex.
 */
#ifndef PX_APPLICATION_FETCHING_MODEL_CACHE_H
#define PX_APPLICATION_FETCHING_MODEL_CACHE_H

#include "application/fetching/model_index.h"

#include <limits.h>
#include <stdatomic.h>

struct px_model_cache;
struct px_cached_version;

/* The files of one version, as an index describes them; borrowed. */
struct px_version_files {
    const char *key; /* px_index_version.key */
    const struct px_manifest_file *list;
    size_t n;
};

/* What was done since the start; any thread reads. */
struct px_model_cache_counts {
    _Atomic uint64_t bytes; /* that the cache took when it was last counted */
    _Atomic uint64_t evictions, evicted_bytes;
};

/* Makes the folder, and takes away what a process that was killed has left. PX_E_IO and how to mend it. */
PX_MUST_USE enum px_code px_model_cache_open(const char *folder, uint64_t bytes_max,
                                             struct px_model_cache **ret, struct px_err *err);
/* When nothing is held any more. NULL is fine. */
void px_model_cache_close(struct px_model_cache *cache);
const struct px_model_cache_counts *px_model_cache_counts(const struct px_model_cache *cache);
uint64_t px_model_cache_bytes_max(const struct px_model_cache *cache);

/* ---- versions that are there ---- */

/*
 * Holds a version that is there, and marks it as used. Its files are read: with one that is not what it should be, what is wrong goes, and the version
 * is not there. PX_E_NOT_FOUND.
 */
PX_MUST_USE enum px_code px_model_cache_take(struct px_model_cache *cache,
                                             const struct px_version_files *files,
                                             struct px_cached_version **ret, struct px_err *err);
struct px_cached_version *px_cached_version_retain(struct px_cached_version *version);
void px_cached_version_release(struct px_cached_version *version); /* NULL is fine */
/* Its folder; as long as it is held. */
const char *px_cached_version_path(const struct px_cached_version *version);
/* Reads the files of what is held; those that are not what they should be go, so that the next fetch brings them anew. True when there were any. */
bool px_cached_version_distrust(struct px_cached_version *version,
                                const struct px_version_files *files);

/* ---- versions that are being fetched ---- */

/* Room for a version whose files are on their way; embedded in what fetches. */
struct px_cache_room {
    struct px_version_files files;
    uint64_t left; /* bytes of blobs that are to come */
    struct px_cache_room *next;
};

/* PX_E_TOO_LARGE: it alone is larger than the cache. PX_E_OVERLOADED: what is there is held. Not for an error: px_model_cache_leave. */
PX_MUST_USE enum px_code px_model_cache_enter(struct px_model_cache *cache,
                                              struct px_cache_room *room,
                                              const struct px_version_files *files,
                                              struct px_err *err);
void px_model_cache_leave(struct px_model_cache *cache, struct px_cache_room *room);
bool px_model_cache_has_blob(const struct px_model_cache *cache,
                             const struct px_manifest_file *file);

/* A partial file that this caller alone writes. */
struct px_partial_file {
    int fd;
    uint64_t size; /* what it holds */
    char tag[128]; /* of the store; empty when it is not known */
    char path[PATH_MAX];
};

/* PX_E_CONFLICT: somebody else writes it at the moment. */
PX_MUST_USE enum px_code px_model_cache_open_partial(struct px_model_cache *cache,
                                                     const struct px_manifest_file *file,
                                                     struct px_partial_file *ret,
                                                     struct px_err *err);
/* Remembers the tag of the bytes that come from now on. One that cannot be kept is forgotten: then the file begins anew. */
void px_partial_file_set_tag(struct px_partial_file *partial, const char *tag);
/* Its content is verified: it becomes the blob. Closes it, also on failure. */
PX_MUST_USE enum px_code px_model_cache_keep_partial(struct px_model_cache *cache,
                                                     struct px_cache_room *room,
                                                     struct px_partial_file *partial,
                                                     const struct px_manifest_file *file,
                                                     struct px_err *err);
/* Closes it; what it holds stays for the next time, unless it is `wrong`. */
void px_model_cache_close_partial(struct px_partial_file *partial, bool wrong);

/* All blobs are there: makes the version's folder and holds it. PX_E_UNAVAILABLE when a blob has gone meanwhile. */
PX_MUST_USE enum px_code px_model_cache_make_version(struct px_model_cache *cache,
                                                     const struct px_version_files *files,
                                                     struct px_cached_version **ret,
                                                     struct px_err *err);

/* ---- the last index of a store ---- */

/* `name` is any text that names the store. Failing to keep is only logged. */
void px_model_cache_keep_index(struct px_model_cache *cache, struct px_str name,
                               struct px_str text);
PX_MUST_USE enum px_code px_model_cache_read_index(struct px_model_cache *cache, struct px_str name,
                                                   struct px_buf *text, struct px_err *err);

#endif
