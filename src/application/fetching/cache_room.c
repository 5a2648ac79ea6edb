/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who leaves the disk when others need the room. What is there is added up anew from the folders each time: a sum that is kept could drift, would
 * not know of other processes, and a fetch takes thousands of times longer than the walk.
 */
#include "application/fetching/model_cache_impl.h"

#include "shared/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* One entry of a folder; visits end with false. */
typedef bool visit_fn(void *context, const char *name, int folder, const struct stat *st);

/* Also of what begins with '.', when `hidden`. False when a visit ended it. */
static bool visit_folder(const struct px_model_cache *cache, const char *kind, visit_fn *visit,
                         void *context)
{
    char path[PATH_MAX];
    bool goes_on = true;
    snprintf(path, sizeof path, "%s/%s", cache->folder, kind);
    DIR *dir = opendir(path);
    if (!dir)
        return true;
    for (struct dirent *entry; goes_on && (entry = readdir(dir));) {
        struct stat st;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            goes_on = visit(context, entry->d_name, dirfd(dir), &st);
    }
    closedir(dir);
    return goes_on;
}

static bool is_awaited(const struct px_model_cache *cache, const char *sha256)
{
    for (const struct px_cache_room *room = cache->rooms; room; room = room->next) {
        for (size_t i = 0; i < room->files.n; i++) {
            if (memcmp(room->files.list[i].sha256.ptr, sha256, PX_SHA256_HEX - 1) == 0)
                return true;
        }
    }
    return false;
}

static bool is_digest_name(const char *name)
{
    return strlen(name) == PX_SHA256_HEX - 1;
}

/* ---- counting ---- */

struct sum {
    const struct px_model_cache *cache;
    uint64_t bytes;
};

static bool add_blob(void *context, const char *name, int folder, const struct stat *st)
{
    struct sum *sum = context;
    (void)name;
    (void)folder;
    sum->bytes += (uint64_t)st->st_size;
    return true;
}

/* What is on its way is counted with its room. */
static bool add_partial(void *context, const char *name, int folder, const struct stat *st)
{
    struct sum *sum = context;
    if (!is_digest_name(name) || !is_awaited(sum->cache, name))
        add_blob(context, name, folder, st);
    return true;
}

/* Does a room before it in the list await the same files? Two who fetch one version bring it once. */
static bool is_counted(const struct px_model_cache *cache, const struct px_cache_room *room)
{
    const struct px_cache_room *other = cache->rooms;
    while (other != room && strcmp(other->files.key, room->files.key) != 0)
        other = other->next;
    return other != room;
}

uint64_t px_cache_count(struct px_model_cache *cache)
{
    struct sum sum = {.cache = cache};
    visit_folder(cache, "blobs", add_blob, &sum);
    visit_folder(cache, "partial", add_partial, &sum);
    for (const struct px_cache_room *room = cache->rooms; room; room = room->next)
        sum.bytes += is_counted(cache, room) ? 0 : room->left;
    atomic_store_explicit(&cache->counts.bytes, sum.bytes, memory_order_relaxed);
    return sum.bytes;
}

/* ---- leaving ---- */

struct drop {
    struct px_model_cache *cache;
    uint64_t n_bytes; /* to be freed; what was, is taken off */
    bool has_dropped;
};

static bool note_dropped(struct drop *drop, uint64_t n_bytes)
{
    drop->has_dropped = true;
    drop->n_bytes -= drop->n_bytes < n_bytes ? drop->n_bytes : n_bytes;
    return drop->n_bytes > 0;
}

/* A partial file whose lock can be had is nobody's. */
static bool drop_partial(void *context, const char *name, int folder, const struct stat *st)
{
    struct drop *drop = context;
    bool goes_on = true;
    if (is_digest_name(name) && is_awaited(drop->cache, name))
        return true;
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return true;
    if (flock(file, LOCK_EX | LOCK_NB) == 0 && unlinkat(folder, name, 0) == 0)
        goes_on = note_dropped(drop, (uint64_t)st->st_size);
    close(file);
    return goes_on;
}

/* A blob with one link is of no version. */
static bool drop_blob(void *context, const char *name, int folder, const struct stat *st)
{
    struct drop *drop = context;
    if (st->st_nlink != 1 || (is_digest_name(name) && is_awaited(drop->cache, name)) ||
        unlinkat(folder, name, 0) != 0)
        return true;
    atomic_fetch_add_explicit(&drop->cache->counts.evicted_bytes, (uint64_t)st->st_size,
                              memory_order_relaxed);
    return note_dropped(drop, (uint64_t)st->st_size);
}

struct oldest {
    struct px_model_cache *cache;
    char name[PX_SHA256_HEX];
    struct timespec used;
};

static bool is_held(const struct px_model_cache *cache, const char *key)
{
    for (const struct px_cached_version *v = cache->held; v; v = v->next) {
        if (strcmp(v->key, key) == 0)
            return true;
    }
    return false;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* May it leave? The lock is kept by who is chosen: others cannot begin to use it then. */
static bool may_leave(const struct px_model_cache *cache, const char *key)
{
    return !is_held(cache, key) && px_cache_lock(cache, key, F_WRLCK);
}

static bool find_oldest(void *context, const char *name, int folder, const struct stat *st)
{
    struct oldest *oldest = context;
    (void)folder;
    if (!is_digest_name(name) || (oldest->name[0] && !is_before(&st->st_mtim, &oldest->used)) ||
        !may_leave(oldest->cache, name))
        return true;
    if (oldest->name[0])
        (void)px_cache_lock(oldest->cache, oldest->name, F_UNLCK);
    memcpy(oldest->name, name, sizeof oldest->name);
    oldest->used = st->st_mtim;
    return true;
}

static bool drop_oldest_version(struct px_model_cache *cache)
{
    struct oldest oldest = {.cache = cache};
    char path[PATH_MAX], gone[PATH_MAX];
    visit_folder(cache, "versions", find_oldest, &oldest);
    if (!oldest.name[0])
        return false;
    px_cache_path(cache, "versions", oldest.name, path);
    px_cache_temporary(cache, "versions", gone);
    bool is_gone = rename(path, gone) == 0;
    (void)px_cache_lock(cache, oldest.name, F_UNLCK);
    if (!is_gone)
        return false;
    px_cache_remove_folder(gone);
    atomic_fetch_add_explicit(&cache->counts.evictions, 1, memory_order_relaxed);
    px_log(PX_LOG_INFO, "cache.evicted", PX_LOG_T("version", oldest.name));
    return true;
}

/* Frees something, at best `n_bytes`; false when there is nothing that may leave. */
static bool drop_some(struct px_model_cache *cache, uint64_t n_bytes)
{
    struct drop drop = {.cache = cache, .n_bytes = n_bytes};
    if (visit_folder(cache, "partial", drop_partial, &drop))
        visit_folder(cache, "blobs", drop_blob, &drop);
    return drop.has_dropped || drop_oldest_version(cache);
}

enum px_code px_cache_make_room(struct px_model_cache *cache, struct px_err *err)
{
    for (;;) {
        uint64_t bytes = px_cache_count(cache);
        if (cache->bytes_max == 0 || bytes <= cache->bytes_max)
            return PX_OK;
        if (drop_some(cache, bytes - cache->bytes_max))
            continue;
        px_err_set(err, PX_E_OVERLOADED,
                   "the cache of fetched models would have %llu bytes of %llu, and what is in it "
                   "is in memory or on its way",
                   (unsigned long long)bytes, (unsigned long long)cache->bytes_max);
        return px_err_hint(err, "raise repository.cache_bytes_max, or lower serving.memory_max");
    }
}

/* ---- after a crash ---- */

static bool sweep_version(void *context, const char *name, int folder, const struct stat *st)
{
    const struct px_model_cache *cache = context;
    char path[PATH_MAX];
    (void)folder;
    (void)st;
    if (name[0] == '.') {
        px_cache_path(cache, "versions", name, path);
        px_cache_remove_folder(path);
    }
    return true;
}

void px_cache_sweep(struct px_model_cache *cache)
{
    visit_folder(cache, "versions", sweep_version, cache);
}
