/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model store in memory, with the bad days of real ones, each to be set before a read:
 *
 *     memory_store_put(&store, "fraud/1/model.txt", px_str("..."));
 *     store.cut_at = 100;        // the next read breaks after as many bytes
 *     store.fail_reads = 2;      // the next two reads fail with `failure`
 *     store.has_ranges = false;  // every read begins at 0
 */
#ifndef PX_TESTS_MEMORY_STORE_H
#define PX_TESTS_MEMORY_STORE_H

#include "application/ports/model_store.h"
#include "harness.h"
#include "shared/hash.h"
#include "shared/thread.h"

enum { MEMORY_STORE_FILES = 64, MEMORY_STORE_PIECE = 1000 };

struct memory_store {
    struct px_model_store base;
    pthread_mutex_t mutex; /* of what follows */
    struct {
        char path[128];
        struct px_str bytes; /* borrowed */
    } files[MEMORY_STORE_FILES];
    size_t n;
    bool has_ranges, has_tags;
    uint64_t cut_at; /* 0: does not */
    unsigned fail_reads;
    const char *fail_path; /* only reads of it fail; NULL: all */
    enum px_code failure;
    unsigned n_reads;
    uint64_t n_bytes;   /* handed over */
    _Atomic bool holds; /* reads wait, before their first byte */
    _Atomic unsigned n_waiting;
};

static inline void memory_store_put(struct memory_store *store, const char *path,
                                    struct px_str bytes)
{
    size_t i = 0;
    while (i < store->n && strcmp(store->files[i].path, path) != 0)
        i++;
    CHECK(i < MEMORY_STORE_FILES);
    snprintf(store->files[i].path, sizeof store->files[i].path, "%s", path);
    store->files[i].bytes = bytes;
    store->n += i == store->n;
}

static inline bool memory_store_find(const struct memory_store *store, struct px_str path,
                                     struct px_str *ret)
{
    for (size_t i = 0; i < store->n; i++) {
        if (px_str_is(path, store->files[i].path)) {
            *ret = store->files[i].bytes;
            return true;
        }
    }
    return false;
}

static inline bool memory_store_wait(struct memory_store *store, const struct px_store_read *read)
{
    atomic_fetch_add(&store->n_waiting, 1);
    while (atomic_load(&store->holds) && read->goes_on(read->context)) {
        const struct timespec moment = {.tv_nsec = 1000000};
        nanosleep(&moment, NULL);
    }
    atomic_fetch_sub(&store->n_waiting, 1);
    return read->goes_on(read->context);
}

static inline enum px_code memory_store_hand_over(struct memory_store *store,
                                                  const struct px_store_read *read,
                                                  struct px_str bytes, uint64_t cut_at,
                                                  struct px_err *err)
{
    uint64_t done = 0;
    while (bytes.len > 0) {
        size_t n = bytes.len < MEMORY_STORE_PIECE ? bytes.len : MEMORY_STORE_PIECE;
        if (cut_at && done + n > cut_at)
            n = (size_t)(cut_at - done);
        if (n == 0)
            return px_err_set(err, PX_E_UNAVAILABLE, "the connection broke");
        if (!read->goes_on(read->context) || !read->take(read->context, px_str_n(bytes.ptr, n)))
            return px_err_set(err, PX_E_CANCELLED, "given up");
        bytes = px_str_n(bytes.ptr + n, bytes.len - n);
        done += n;
        pthread_mutex_lock(&store->mutex);
        store->n_bytes += n;
        pthread_mutex_unlock(&store->mutex);
    }
    return PX_OK;
}

static inline enum px_code memory_store_read(struct px_model_store *base,
                                             const struct px_store_read *read, bool *ret_same,
                                             struct px_err *err)
{
    struct memory_store *store = PX_CONTAINER_OF(base, struct memory_store, base);
    struct px_store_object object = {0};
    struct px_str bytes;
    pthread_mutex_lock(&store->mutex);
    store->n_reads++;
    bool is_there = memory_store_find(store, read->path, &bytes);
    bool fails =
        store->fail_reads > 0 && (!store->fail_path || px_str_is(read->path, store->fail_path));
    store->fail_reads -= fails;
    uint64_t cut_at = store->cut_at;
    store->cut_at = 0;
    bool has_ranges = store->has_ranges, has_tags = store->has_tags;
    pthread_mutex_unlock(&store->mutex);
    if (!memory_store_wait(store, read))
        return px_err_set(err, PX_E_CANCELLED, "given up");
    if (fails)
        return px_err_set(err, store->failure, "the store fails");
    if (!is_there)
        return px_err_set(err, PX_E_NOT_FOUND, "%.*s is not there", PX_STR_ARG(read->path));
    if (has_tags)
        snprintf(object.tag, sizeof object.tag, "\"%016" PRIx64 "\"",
                 px_hash_content(bytes.ptr, bytes.len));
    bool is_tag = read->tag && strcmp(read->tag, object.tag) == 0;
    if (read->if_changed && is_tag) {
        *ret_same = true;
        return PX_OK;
    }
    if (has_ranges && (!read->tag || is_tag) && read->offset < bytes.len)
        object.offset = read->offset;
    if (bytes.len > read->bytes_max)
        return px_err_set(err, PX_E_TOO_LARGE, "it has more than %" PRIu64 " bytes",
                          read->bytes_max);
    if (!read->begin(read->context, &object))
        return px_err_set(err, PX_E_CANCELLED, "given up");
    bytes = px_str_n(bytes.ptr + object.offset, bytes.len - object.offset);
    return memory_store_hand_over(store, read, bytes, cut_at, err);
}

static inline void memory_store_destroy(struct px_model_store *base)
{
    (void)base; /* the test's */
}

static const struct px_model_store_ops memory_store_ops = {
    .abi = PX_MODEL_STORE_ABI,
    .name = "memory",
    .read = memory_store_read,
    .destroy = memory_store_destroy,
};

static inline void memory_store_init(struct memory_store *store)
{
    *store = (struct memory_store){.base = {&memory_store_ops},
                                   .has_ranges = true,
                                   .has_tags = true,
                                   .failure = PX_E_UNAVAILABLE};
    pthread_mutex_init(&store->mutex, NULL);
}

/* The store that "memory://..." opens. */
static struct memory_store *memory_store_of_urls;

static inline bool memory_store_knows(struct px_str url)
{
    return px_str_starts(url, "memory://");
}

static inline enum px_code memory_store_open(struct px_str url,
                                             const struct px_model_store_settings *settings,
                                             struct px_model_store **ret, struct px_err *err)
{
    (void)url;
    (void)settings;
    (void)err;
    *ret = &memory_store_of_urls->base;
    return PX_OK;
}

static const struct px_model_store_provider memory_store_provider = {"memory", memory_store_knows,
                                                                     memory_store_open};
static const struct px_model_store_provider *const memory_store_list[] = {&memory_store_provider};
static const struct px_model_stores memory_stores = {memory_store_list, 1};

#endif
