/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Problem. A client maps an object, fills it, and asks the server to read it while the client can still do anything with
 * it: write into it, shrink it (ftruncate), unlink it. A server that maps the object too is killed by SIGBUS when it
 * touches a page that is gone, and reads values twice that may differ.
 *
 * Approach. The object is not mapped. Bytes are copied with pread and pwrite on its descriptor, where a page that is gone is
 * a short read, and a copy is taken once. On tmpfs that is one system call and a memcpy: about a microsecond for
 * 64 rows of 30 features, paid once per tensor. Rejected: a mapping guarded by a SIGBUS handler and siglongjmp (process-wide
 * state in a place that other libraries want too); seals (shm_open's objects refuse them); fstat before touching a
 * mapping (the client may shrink it right after).
 * pwrite behind the end would grow the object, so fstat comes first; a client that shrinks it in between gets its
 * own object back at a size that it had before.
 *
 * Regions are slots in a fixed table. What requests do (take, release, read, write) takes no lock, because it runs on event
 * loops; add, remove and visit are rare and share a mutex.
 *
 *   state  LIVE | n   registered, n references       take: n -> n + 1 only while LIVE
 *          n          unregistered, n references     release of the last one, or the removal itself, empties the slot
 *   used   false only after the slot was emptied; add claims such a slot under the mutex
 *
 * Invariants
 *   1. The fields of a slot change only while its state is 0 and `used` belongs to who changes it.
 *   2. Exactly one thread sees the state become 0 (from LIVE by a removal, or from 1 by a release) and empties.
 *   3. take compares the name only while it holds a reference, so a slot that was reused meanwhile is let go again.
 */
#include "infrastructure/ipc/posix_memory.h"

#include "shared/alloc.h"
#include "shared/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t LIVE = 1ull << 63;

struct slot {
    struct px_shared_region base; /* first */
    _Atomic uint64_t state;
    _Atomic uint64_t name_hash; /* to pass over slots without taking them */
    _Atomic bool used;
    uint64_t number; /* order of registration */
    int fd;
    char name[PX_POSIX_NAME_MAX + 1];
    char key[PX_POSIX_NAME_MAX + 2]; /* with its slash */
};

struct memory {
    struct px_shared_memory base; /* first */
    pthread_mutex_t mutex;        /* of add, remove and visit */
    uint64_t n_added;
    struct slot slots[PX_POSIX_REGIONS_MAX];
};

static struct memory *memory_of(struct px_shared_memory *memory)
{
    return (struct memory *)memory;
}

static uint64_t hash_of(struct px_str name)
{
    return px_hash(name.ptr, name.len);
}

/* ---- references ---- */

static void empty(struct slot *slot)
{
    close(slot->fd);
    atomic_store_explicit(&slot->used, false, memory_order_release); /* pairs with find_free */
}

static void release(struct px_shared_region *region)
{
    struct slot *slot = (struct slot *)region;
    if (atomic_fetch_sub_explicit(&slot->state, 1, memory_order_acq_rel) == 1)
        empty(slot);
}

static bool try_take(struct slot *slot)
{
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    while (state & LIVE) {
        /* Acquire pairs with publish: the fields of a live slot are complete. */
        if (atomic_compare_exchange_weak_explicit(&slot->state, &state, state + 1,
                                                  memory_order_acquire, memory_order_relaxed))
            return true;
    }
    return false;
}

static struct px_shared_region *take(struct px_shared_memory *memory, struct px_str name)
{
    struct memory *self = memory_of(memory);
    uint64_t hash = hash_of(name);
    for (size_t i = 0; i < PX_POSIX_REGIONS_MAX; i++) {
        struct slot *slot = &self->slots[i];
        if (atomic_load_explicit(&slot->name_hash, memory_order_relaxed) != hash || !try_take(slot))
            continue;
        if (px_str_eq(slot->base.info.name, name))
            return &slot->base;
        release(&slot->base);
    }
    return NULL;
}

/* ---- the table, under the mutex ---- */

static bool is_live(const struct slot *slot)
{
    return atomic_load_explicit(&slot->state, memory_order_relaxed) & LIVE;
}

static struct slot *find_live(struct memory *self, struct px_str name)
{
    for (size_t i = 0; i < PX_POSIX_REGIONS_MAX; i++) {
        if (is_live(&self->slots[i]) && px_str_eq(self->slots[i].base.info.name, name))
            return &self->slots[i];
    }
    return NULL;
}

static struct slot *find_free(struct memory *self)
{
    for (size_t i = 0; i < PX_POSIX_REGIONS_MAX; i++) {
        if (!atomic_load_explicit(&self->slots[i].used, memory_order_acquire))
            return &self->slots[i];
    }
    return NULL;
}

static void forget(struct slot *slot)
{
    if (atomic_fetch_and_explicit(&slot->state, ~LIVE, memory_order_acq_rel) == LIVE)
        empty(slot);
}

static void publish(struct memory *self, struct slot *slot,
                    const struct px_shared_region_info *info, int fd)
{
    bool slash = info->key.ptr[0] == '/';
    memcpy(slot->name, info->name.ptr, info->name.len);
    int key_len = snprintf(slot->key, sizeof slot->key, "%s%.*s", slash ? "" : "/",
                           (int)info->key.len, info->key.ptr);
    slot->base = (struct px_shared_region){
        .ops = self->base.ops,
        .info = {.name = px_str_n(slot->name, info->name.len),
                 .key = px_str_n(slot->key, (size_t)key_len),
                 .offset = info->offset,
                 .size = info->size},
    };
    slot->fd = fd;
    slot->number = self->n_added++;
    atomic_store_explicit(&slot->name_hash, hash_of(info->name), memory_order_relaxed);
    atomic_store_explicit(&slot->used, true, memory_order_relaxed);
    atomic_store_explicit(&slot->state, LIVE, memory_order_release); /* pairs with try_take */
}

/* ---- registering ---- */

static enum px_code check_names(const struct px_shared_region_info *info, struct px_err *err)
{
    struct px_str key = info->key;
    if (info->name.len > PX_POSIX_NAME_MAX)
        return px_err_set(err, PX_E_INVALID,
                          "expected a region's name of at most %d bytes, got %zu",
                          PX_POSIX_NAME_MAX, info->name.len);
    if (key.len && key.ptr[0] == '/')
        key = px_str_n(key.ptr + 1, key.len - 1);
    bool plain = key.len > 0 && key.len < PX_POSIX_NAME_MAX && px_str_find(key, '/') == key.len &&
                 px_str_find(key, '\0') == key.len && !px_str_is(key, ".") && !px_str_is(key, "..");
    if (plain)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID,
                      "shared memory region '%.*s': expected a key of the form '/name' of at most "
                      "%d bytes, got '%.*s'",
                      PX_STR_ARG(info->name), PX_POSIX_NAME_MAX, PX_STR_ARG(info->key));
}

static enum px_code check_object(int fd, const struct px_shared_region_info *info,
                                 struct px_err *err)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode))
        return px_err_set(err, PX_E_INVALID,
                          "shared memory region '%.*s': '%.*s' is no shared memory object",
                          PX_STR_ARG(info->name), PX_STR_ARG(info->key));
    uint64_t size = (uint64_t)stat.st_size;
    if (info->offset <= size && info->size <= size - info->offset)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID,
                      "shared memory region '%.*s': %llu bytes at offset %llu are not inside "
                      "'%.*s' of %llu bytes",
                      PX_STR_ARG(info->name), (unsigned long long)info->size,
                      (unsigned long long)info->offset, PX_STR_ARG(info->key),
                      (unsigned long long)size);
}

/* The descriptor, or -1 and the error. */
static int open_object(const struct px_shared_region_info *info, struct px_err *err)
{
    char name[PX_POSIX_NAME_MAX + 2];
    snprintf(name, sizeof name, "%s%.*s", info->key.ptr[0] == '/' ? "" : "/", (int)info->key.len,
             info->key.ptr);
    int fd = shm_open(name, O_RDWR, 0); /* follows no link, is closed on exec */
    if (fd < 0) {
        int reason = errno;
        bool full = reason == EMFILE || reason == ENFILE || reason == ENOMEM;
        px_err_set(err, full ? PX_E_NO_MEMORY : PX_E_INVALID,
                   "shared memory region '%.*s': cannot open '%s': %s", PX_STR_ARG(info->name),
                   name, strerror(reason));
        return -1;
    }
    if (check_object(fd, info, err) == PX_OK)
        return fd;
    close(fd);
    return -1;
}

static enum px_code add_locked(struct memory *self, const struct px_shared_region_info *info,
                               struct px_err *err)
{
    if (find_live(self, info->name))
        return px_err_set(err, PX_E_CONFLICT, "shared memory region '%.*s' is registered already",
                          PX_STR_ARG(info->name));
    struct slot *slot = find_free(self);
    if (!slot) {
        px_err_set(err, PX_E_TOO_LARGE, "expected at most %d regions of shared memory",
                   PX_POSIX_REGIONS_MAX);
        return px_err_hint(err, "unregister regions that are not used any more");
    }
    struct px_err reason;
    int fd = open_object(info, &reason);
    if (fd < 0) {
        if (err)
            *err = reason;
        return reason.code;
    }
    publish(self, slot, info, fd);
    return PX_OK;
}

static enum px_code add(struct px_shared_memory *memory, const struct px_shared_region_info *info,
                        struct px_err *err)
{
    struct memory *self = memory_of(memory);
    enum px_code code = check_names(info, err);
    if (code != PX_OK)
        return code;
    pthread_mutex_lock(&self->mutex);
    code = add_locked(self, info, err);
    pthread_mutex_unlock(&self->mutex);
    return code;
}

static void remove_region(struct px_shared_memory *memory, struct px_str name)
{
    struct memory *self = memory_of(memory);
    pthread_mutex_lock(&self->mutex);
    struct slot *slot = find_live(self, name);
    if (slot)
        forget(slot);
    pthread_mutex_unlock(&self->mutex);
}

static void remove_all(struct px_shared_memory *memory)
{
    struct memory *self = memory_of(memory);
    pthread_mutex_lock(&self->mutex);
    for (size_t i = 0; i < PX_POSIX_REGIONS_MAX; i++) {
        if (is_live(&self->slots[i]))
            forget(&self->slots[i]);
    }
    pthread_mutex_unlock(&self->mutex);
}

/* The live slot that was registered first of those from `number` on; NULL when there is none. */
static struct slot *next_live(struct memory *self, uint64_t number)
{
    struct slot *next = NULL;
    for (size_t i = 0; i < PX_POSIX_REGIONS_MAX; i++) {
        struct slot *slot = &self->slots[i];
        if (is_live(slot) && slot->number >= number && (!next || slot->number < next->number))
            next = slot;
    }
    return next;
}

static void visit_regions(struct px_shared_memory *memory, px_shared_region_visit *visit,
                          void *context)
{
    struct memory *self = memory_of(memory);
    pthread_mutex_lock(&self->mutex);
    for (struct slot *slot = next_live(self, 0); slot; slot = next_live(self, slot->number + 1)) {
        if (!visit(context, &slot->base.info))
            break;
    }
    pthread_mutex_unlock(&self->mutex);
}

/* ---- bytes ---- */

static enum px_code refuse_shrunk(const struct px_shared_region *region, struct px_err *err)
{
    px_err_set(err, PX_E_INVALID,
               "shared memory region '%.*s': the object '%.*s' is smaller now than when it was "
               "registered",
               PX_STR_ARG(region->info.name), PX_STR_ARG(region->info.key));
    return px_err_hint(err, "unregister the region and register the object again");
}

static enum px_code read_region(struct px_shared_region *region, uint64_t offset, void *out,
                                size_t n, struct px_err *err)
{
    const struct slot *slot = (struct slot *)region;
    char *to = out;
    while (n > 0) {
        ssize_t got = pread(slot->fd, to, n, (off_t)(region->info.offset + offset));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return refuse_shrunk(region, err);
        to += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return PX_OK;
}

static enum px_code write_region(struct px_shared_region *region, uint64_t offset,
                                 const void *bytes, size_t n, struct px_err *err)
{
    const struct slot *slot = (struct slot *)region;
    const char *from = bytes;
    struct stat stat;
    uint64_t at = region->info.offset + offset;
    if (fstat(slot->fd, &stat) != 0 || at + n > (uint64_t)stat.st_size)
        return refuse_shrunk(region, err);
    while (n > 0) {
        ssize_t put = pwrite(slot->fd, from, n, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return px_err_set(err, PX_E_IO, "shared memory region '%.*s': cannot write: %s",
                              PX_STR_ARG(region->info.name), strerror(errno));
        from += put;
        at += (uint64_t)put;
        n -= (size_t)put;
    }
    return PX_OK;
}

static void destroy(struct px_shared_memory *memory)
{
    struct memory *self = memory_of(memory);
    remove_all(memory);
    pthread_mutex_destroy(&self->mutex);
    px_free(self);
}

enum px_code px_posix_memory_create(struct px_shared_memory **ret, struct px_err *err)
{
    static const struct px_shared_memory_ops ops = {
        .abi = PX_SHARED_MEMORY_ABI,
        .name = "posix",
        .add = add,
        .remove = remove_region,
        .remove_all = remove_all,
        .visit = visit_regions,
        .take = take,
        .release = release,
        .read = read_region,
        .write = write_region,
        .destroy = destroy,
    };
    struct memory *self = px_alloc(1, sizeof *self);
    if (!self)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the regions of shared memory");
    self->base.ops = &ops;
    pthread_mutex_init(&self->mutex, NULL);
    *ret = &self->base;
    return PX_OK;
}
