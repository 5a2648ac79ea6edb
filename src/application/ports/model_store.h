/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: a store of files behind a URL, from which models are fetched.
 *
 * Concepts
 * - A store holds files under relative paths. What models there are is said by one of them, the index (application/fetching/model_index.h),
 *   so that a store needs no way to list: a plain web server is one.
 * - A read hands a file's bytes over as they come, from an offset on. A *tag* names what a file's bytes were (ETag); with it a read can go on
 *   where an earlier one ended, or find that nothing has changed.
 * - A store does not retry, cache or verify: that is its caller's part.
 *
 * An adapter embeds `struct px_model_store` first in its own object. Adapters: HTTP (infrastructure/stores/http); a memory one with faults in
 * tests/support. Which adapter opens a URL is decided by its scheme; the composition root lists them.
 *
 * Threads: reads of one store may run on several at a time; they block.
 */
#ifndef PX_APPLICATION_PORTS_MODEL_STORE_H
#define PX_APPLICATION_PORTS_MODEL_STORE_H

#include "shared/err.h"
#include "shared/str.h"

enum { PX_MODEL_STORE_ABI = 1, PX_STORE_TAG_MAX = 128, PX_STORE_URL_MAX = 2048 };

/* What the store is about to hand over. */
struct px_store_object {
    uint64_t offset;            /* of the first byte that comes: the one asked for, or 0 */
    char tag[PX_STORE_TAG_MAX]; /* empty: it has none that holds for parts */
};

struct px_store_read {
    struct px_str path; /* below the store's URL; parts are separated by '/', none is "." or ".." */
    uint64_t offset;    /* of the first byte that is wanted */
    const char *tag;    /* of what the caller has of it; NULL: nothing is known */
    bool if_changed;    /* nothing is to come when the tag still holds; the offset is 0 */
    uint64_t limit_ns;  /* for the whole read; 0: as long as bytes keep coming */
    uint64_t bytes_max; /* more are not taken: PX_E_TOO_LARGE */
    /* Before the first byte, also of an empty file. False ends the read: PX_E_CANCELLED. */
    bool (*begin)(void *context, const struct px_store_object *object);
    bool (*take)(void *context, struct px_str bytes);
    bool (*goes_on)(void *context); /* asked now and then, a second apart at the most */
    void *context;
};

struct px_model_store;

struct px_model_store_ops {
    uint32_t abi; /* PX_MODEL_STORE_ABI */
    const char *name;
    /*
     * Blocks until the file has come or cannot. `ret_same`: the tag still holds, and nothing came. NOT_FOUND, FORBIDDEN; UNAVAILABLE, DEADLINE,
     * LIMITED and IO may be other the next time; CANCELLED: begin, take or goes_on said so; TOO_LARGE, INVALID, NO_MEMORY.
     */
    enum px_code (*read)(struct px_model_store *store, const struct px_store_read *read,
                         bool *ret_same, struct px_err *err);
    void (*destroy)(struct px_model_store *store);
};

struct px_model_store {
    const struct px_model_store_ops *ops;
};

/* What a store may need to be let in. Borrowed; texts live as long as the store. */
struct px_model_store_settings {
    const char *token_file; /* NULL: the environment's, or none */
    const char *ca_file;    /* NULL: the system's authorities */
};

/* Opens stores of some schemes. */
struct px_model_store_provider {
    const char *name;
    bool (*knows)(struct px_str url);
    /* Reads nothing yet. INVALID when the URL cannot be used, UNAVAILABLE when a library is missing. */
    enum px_code (*open)(struct px_str url, const struct px_model_store_settings *settings,
                         struct px_model_store **ret, struct px_err *err);
};

struct px_model_stores {
    const struct px_model_store_provider *const *list;
    size_t n;
};

/* Does the text look like a URL: SCHEME://...? */
bool px_store_is_url(struct px_str text);
/* PX_E_UNSUPPORTED when no provider knows the scheme. */
PX_MUST_USE enum px_code px_model_store_open(const struct px_model_stores *stores,
                                             struct px_str url,
                                             const struct px_model_store_settings *settings,
                                             struct px_model_store **ret, struct px_err *err);
PX_MUST_USE enum px_code px_model_store_read(struct px_model_store *store,
                                             const struct px_store_read *read, bool *ret_same,
                                             struct px_err *err);
void px_model_store_destroy(struct px_model_store *store); /* NULL is fine */

/*
 * Is it a path that leads to a file below whatever it is joined to: no empty part, none that begins with '.', no backslash, no control
 * character, not too long or deep?
 */
bool px_store_path_is_valid(struct px_str path);
enum { PX_STORE_PATH_MAX = 1024, PX_STORE_DEPTH_MAX = 12 };

#endif
