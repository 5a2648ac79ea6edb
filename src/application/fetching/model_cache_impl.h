/* SPDX-License-Identifier: Apache-2.0 */
/* Private to application/fetching: the parts of the disk cache. */
#ifndef PX_APPLICATION_FETCHING_MODEL_CACHE_IMPL_H
#define PX_APPLICATION_FETCHING_MODEL_CACHE_IMPL_H

#include "application/fetching/model_cache.h"

#include <pthread.h>

enum { PX_CACHE_FOLDER_MAX = 1024 }; /* so that every path below fits */

struct px_cached_version {
    struct px_model_cache *cache;
    struct px_cached_version *next;
    size_t n_holders;
    char key[PX_SHA256_HEX];
    char path[];
};

struct px_model_cache {
    char folder[PX_CACHE_FOLDER_MAX];
    uint64_t bytes_max;
    int lock;
    struct px_model_cache_counts counts;
    pthread_mutex_t mutex; /* of what follows, and of what is linked and removed below `folder` */
    struct px_cached_version *held;
    struct px_cache_room *rooms;
    unsigned long n_temporary;
};

/* <folder>/<kind>/<name>; fits. */
void px_cache_path(const struct px_model_cache *cache, const char *kind, const char *name,
                   char path[PATH_MAX]);
/* A path below <kind> whose name begins with '.' and is nobody else's. With the mutex held. */
void px_cache_temporary(struct px_model_cache *cache, const char *kind, char path[PATH_MAX]);
/* Removes a folder and what is in it. */
void px_cache_remove_folder(const char *path);

/* Tells other processes, by a range of the lock: F_RDLCK, F_WRLCK, F_UNLCK. False when another has it. */
bool px_cache_lock(const struct px_model_cache *cache, const char *key, short type);
/* No other process uses the cache at the moment. */
bool px_cache_lock_all(const struct px_model_cache *cache, short type);

/* Makes what all take fit under the maximum (cache_room.c). With the mutex held. */
PX_MUST_USE enum px_code px_cache_make_room(struct px_model_cache *cache, struct px_err *err);
/* Takes away what killed processes have left. Nobody else uses the cache. */
void px_cache_sweep(struct px_model_cache *cache);
/* Adds up what is there, for the counts. With the mutex held. */
uint64_t px_cache_count(struct px_model_cache *cache);

#endif
