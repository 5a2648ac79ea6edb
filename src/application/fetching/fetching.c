/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The repositories of a server, and what is known of each.
 *
 * An index is replaced as a whole, under a mutex that is held for moments; who asks gets copies, so that nothing of an index is in use outside of it. An index is
 * read by one thread at a time: others wait for it and then look themselves, since a read may have begun before what they were told of.
 */
#include "application/fetching/fetching.h"

#include "application/serving/serving_impl.h"
#include "shared/file.h"
#include "shared/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { REPOSITORIES_MAX = 64, VERSION_BYTES_MAX = 16 << 20 };

static const uint64_t index_limit_ns = 120 * PX_NS_PER_S;

struct repository {
    char *url; /* without a '/' at its end */
    struct px_model_store *store;
    struct px_model_index index;
    char tag[PX_STORE_TAG_MAX]; /* of the index; empty: unknown */
    enum px_code told;          /* of the last read that failed: it was logged */
};

struct px_fetching {
    struct px_fetching_settings settings;
    struct px_model_cache *cache; /* NULL until the first repository */
    struct px_fetcher *fetcher;   /* NULL until the start, or without repositories */
    struct px_fetch_counts counts;
    _Atomic bool cancelled;
    struct repository *list[REPOSITORIES_MAX];
    size_t n;
    pthread_mutex_t mutex; /* of the indexes, and of: */
    bool is_reading;
    pthread_cond_t read;
    bool has_ahead; /* a fetch that nobody waits for is on its way: */
    struct px_fetcher_job ahead_job;
    struct px_remote_version ahead; /* its thread's */
};

/* ---- where the cache is ---- */

static bool from_environment(const char *variable, const char *below, char path[PATH_MAX])
{
    const char *base = getenv(variable);
    if (!base || base[0] != '/')
        return false;
    size_t n = strcspn(base, ":"); /* systemd's variable may name several */
    int len = snprintf(path, PATH_MAX, "%.*s%s", (int)n, base, below);
    return len > 0 && len < PATH_MAX;
}

static void choose_folder(const char *setting, char path[PATH_MAX])
{
    if (setting && setting[0])
        snprintf(path, PATH_MAX, "%s", setting);
    else if (!from_environment("CACHE_DIRECTORY", "/models", path) &&
             !from_environment("XDG_CACHE_HOME", "/phoenix/models", path) &&
             !from_environment("HOME", "/.cache/phoenix/models", path))
        snprintf(path, PATH_MAX, "/var/cache/phoenix/models");
}

static enum px_code need_cache(struct px_fetching *f, struct px_err *err)
{
    char path[PATH_MAX];
    if (f->cache)
        return PX_OK;
    choose_folder(f->settings.cache_dir, path);
    return px_model_cache_open(path, f->settings.cache_bytes_max, &f->cache, err);
}

/* ---- life ---- */

enum px_code px_fetching_create(const struct px_fetching_settings *settings,
                                struct px_fetching **ret, struct px_err *err)
{
    struct px_fetching *f = px_alloc(1, sizeof *f);
    if (!f)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to fetch models");
    f->settings = *settings;
    pthread_mutex_init(&f->mutex, NULL);
    pthread_cond_init(&f->read, NULL);
    *ret = f;
    return PX_OK;
}

static void free_repository(struct repository *r)
{
    if (!r)
        return;
    px_model_index_deinit(&r->index);
    px_model_store_destroy(r->store);
    px_free(r->url);
    px_free(r);
}

void px_fetching_destroy(struct px_fetching *f)
{
    if (!f)
        return;
    px_fetching_cancel(f);
    px_fetcher_destroy(f->fetcher);
    for (size_t i = 0; i < f->n; i++)
        free_repository(f->list[i]);
    px_model_cache_close(f->cache);
    pthread_mutex_destroy(&f->mutex);
    pthread_cond_destroy(&f->read);
    px_free(f);
}

enum px_code px_fetching_start(struct px_fetching *f, struct px_err *err)
{
    return f->n > 0 ? px_fetcher_create(&f->fetcher, err) : PX_OK;
}

void px_fetching_cancel(struct px_fetching *f)
{
    /* A flag of its own: nothing else is published by it. */
    atomic_store_explicit(&f->cancelled, true, memory_order_relaxed);
}

void px_fetching_stop(struct px_fetching *f)
{
    px_fetching_cancel(f);
    px_fetcher_stop(f->fetcher);
}

bool px_fetching_has_repositories(const struct px_fetching *f)
{
    return f->n > 0;
}

const struct px_fetch_counts *px_fetching_counts(const struct px_fetching *f)
{
    return &f->counts;
}

const struct px_model_cache *px_fetching_cache(const struct px_fetching *f)
{
    return f->cache;
}

void px_fetching_give(struct px_fetching *f, struct px_fetcher_job *job)
{
    px_fetcher_give(f->fetcher, job);
}

/* ---- reading an index ---- */

struct index_read {
    const struct px_fetching *fetching;
    struct px_buf text;
    char tag[PX_STORE_TAG_MAX];
};

static bool begin(void *context, const struct px_store_object *object)
{
    struct index_read *read = context;
    memcpy(read->tag, object->tag, sizeof read->tag);
    return object->offset == 0;
}

static bool take(void *context, struct px_str bytes)
{
    struct index_read *read = context;
    px_buf_str(&read->text, bytes);
    return !read->text.failed;
}

static bool goes_on(void *context)
{
    const struct index_read *read = context;
    return !atomic_load_explicit(&read->fetching->cancelled, memory_order_relaxed);
}

static enum px_code read_text(struct repository *r, struct index_read *ret, bool *ret_same,
                              struct px_err *err)
{
    const struct px_store_read read = {
        .path = PX_STR(PX_MODEL_INDEX_FILE),
        .tag = r->tag[0] ? r->tag : NULL,
        .if_changed = true,
        .limit_ns = index_limit_ns,
        .bytes_max = PX_MODEL_INDEX_BYTES_MAX,
        .begin = begin,
        .take = take,
        .goes_on = goes_on,
        .context = ret,
    };
    enum px_code code = px_model_store_read(r->store, &read, ret_same, err);
    if (ret->text.failed)
        code = px_buf_check(&ret->text, PX_MODEL_INDEX_FILE, err);
    if (code == PX_E_NOT_FOUND)
        return px_err_hint(err, "phoenix publish --index FOLDER writes it; then a web server can "
                                "serve the folder");
    return code;
}

static void replace_index(struct px_fetching *f, struct repository *r, struct px_model_index *index,
                          const char *tag)
{
    pthread_mutex_lock(&f->mutex);
    struct px_model_index old = r->index;
    r->index = *index;
    memcpy(r->tag, tag, sizeof r->tag);
    pthread_mutex_unlock(&f->mutex);
    px_model_index_deinit(&old);
}

static enum px_code take_text(struct px_fetching *f, struct repository *r, struct px_buf *text,
                              const char *tag, struct px_err *err)
{
    struct px_model_index index;
    enum px_code code = px_model_index_parse(text, &index, err);
    if (code == PX_OK)
        replace_index(f, r, &index, tag);
    else
        px_model_index_deinit(&index);
    return code;
}

/* One at a time: is_reading is this thread's. */
static enum px_code read_index(struct px_fetching *f, struct repository *r, struct px_err *err)
{
    struct index_read read = {.fetching = f, .text = px_buf(PX_MODEL_INDEX_BYTES_MAX)};
    bool is_same;
    enum px_code code = read_text(r, &read, &is_same, err);
    if (code == PX_OK && !is_same) {
        struct px_buf copy = px_buf(PX_MODEL_INDEX_BYTES_MAX);
        px_buf_str(&copy, px_buf_view(&read.text));
        code = take_text(f, r, &read.text, read.tag, err);
        if (code == PX_OK && !copy.failed)
            px_model_cache_keep_index(f->cache, px_str(r->url), px_buf_view(&copy));
        px_buf_deinit(&copy);
    }
    px_buf_deinit(&read.text);
    atomic_fetch_add_explicit(code == PX_OK ? &f->counts.index_reads
                                            : &f->counts.failed_index_reads,
                              1, memory_order_relaxed);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "%.200s", r->url);
}

void px_fetching_refresh(struct px_fetching *f)
{
    pthread_mutex_lock(&f->mutex);
    while (f->is_reading)
        pthread_cond_wait(&f->read, &f->mutex);
    f->is_reading = true;
    pthread_mutex_unlock(&f->mutex);
    for (size_t i = 0; i < f->n; i++) {
        struct px_err err;
        struct repository *r = f->list[i];
        enum px_code code = read_index(f, r, &err);
        if (code != PX_OK && code != PX_E_CANCELLED && code != r->told)
            px_log_err(PX_LOG_WARN, "repository.unreadable", &err);
        r->told = code;
    }
    pthread_mutex_lock(&f->mutex);
    f->is_reading = false;
    pthread_cond_broadcast(&f->read);
    pthread_mutex_unlock(&f->mutex);
}

/* ---- repositories ---- */

/* The index that an earlier process kept, when the store does not answer. */
static enum px_code take_kept_index(struct px_fetching *f, struct repository *r,
                                    const struct px_err *why, struct px_err *err)
{
    struct px_buf text = px_buf(PX_MODEL_INDEX_BYTES_MAX);
    char no_tag[PX_STORE_TAG_MAX] = "";
    enum px_code code = px_model_cache_read_index(f->cache, px_str(r->url), &text, err);
    if (code == PX_OK)
        code = take_text(f, r, &text, no_tag, err);
    px_buf_deinit(&text);
    if (code == PX_OK)
        px_log_err(PX_LOG_WARN, "repository.index_of_before", why);
    return code;
}

static enum px_code open_repository(struct px_fetching *f, const char *url, struct repository **ret,
                                    struct px_err *err)
{
    struct repository *r = px_alloc(1, sizeof *r);
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/')
        n--;
    *ret = r;
    if (r)
        r->url = px_alloc(n + 1, 1);
    if (!r || !r->url)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for another repository");
    memcpy(r->url, url, n);
    return px_model_store_open(f->settings.stores, px_str(r->url), &f->settings.store, &r->store,
                               err);
}

static enum px_code first_index(struct px_fetching *f, struct repository *r, struct px_err *err)
{
    struct px_err why = {0}, other;
    enum px_code code = read_index(f, r, &why);
    if (code == PX_OK || take_kept_index(f, r, &why, &other) == PX_OK)
        return PX_OK;
    if (err)
        *err = why;
    return code;
}

enum px_code px_fetching_add(struct px_fetching *f, const char *url, struct px_err *err)
{
    struct repository *r = NULL;
    if (f->n == REPOSITORIES_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "more than %d URLs", REPOSITORIES_MAX);
    enum px_code code = need_cache(f, err);
    if (code == PX_OK)
        code = open_repository(f, url, &r, err);
    if (code == PX_OK)
        code = first_index(f, r, err);
    if (code == PX_OK)
        f->list[f->n++] = r;
    else
        free_repository(r);
    return code;
}

/* ---- what there is ---- */

static uint64_t stamp_of(const struct px_index_version *version)
{
    char digits[17];
    snprintf(digits, sizeof digits, "%.16s", version->key);
    return strtoull(digits, NULL, 16) | 1;
}

static enum px_code add_place(const struct repository *r, const struct px_index_version *version,
                              struct px_model_places *places, struct px_err *err)
{
    struct px_buf path = px_buf(PX_STORE_URL_MAX + PX_STORE_PATH_MAX + 2);
    px_buf_printf(&path, "%s/%.*s", r->url, (int)version->folder.len, version->folder.ptr);
    struct px_model_place place = {.name = version->name,
                                   .version = version->version,
                                   .path = px_buf_cstr(&path),
                                   .is_remote = true,
                                   .stamp = stamp_of(version)};
    if (places->policy)
        place.policy = *places->policy;
    enum px_code code = px_buf_check(&path, "a URL", err);
    if (code == PX_OK)
        code = px_model_places_add(places, &place, err);
    px_buf_deinit(&path);
    return code;
}

/* What is asked for by name and is not there fails, as in folders. */
static enum px_code add_missing(const struct repository *r, const struct px_index_version *first,
                                size_t n, struct px_model_places *places, struct px_err *err)
{
    enum px_code code = PX_OK;
    struct px_str rest = places->policy ? places->policy->specific : (struct px_str){0};
    while (rest.ptr && code == PX_OK) {
        struct px_str version = px_str_cut(&rest, ',');
        struct px_err reason;
        size_t i = 0;
        while (i < n && !px_str_eq(first[i].version, version))
            i++;
        if (i < n || version.len == 0)
            continue;
        px_err_set(&reason, PX_E_NOT_FOUND,
                   "the version policy names it, and the index of %.200s does not", r->url);
        const struct px_model_place place = {.name = first->name,
                                             .version = version,
                                             .path = r->url,
                                             .policy = *places->policy,
                                             .is_remote = true,
                                             .stamp = 1,
                                             .refusal = &reason};
        code = px_model_places_add(places, &place, err);
    }
    return code;
}

/* The versions of one model. */
static enum px_code add_model(const struct repository *r, const struct px_index_version *first,
                              size_t n, struct px_model_places *places, struct px_err *err)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; i < n && code == PX_OK; i++) {
        if (!places->policy || px_version_policy_takes(places->policy, first[i].version, n - 1 - i))
            code = add_place(r, &first[i], places, err);
    }
    return code == PX_OK ? add_missing(r, first, n, places, err) : code;
}

static struct repository *find_repository(struct px_fetching *f, const char *url)
{
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/')
        n--;
    for (size_t i = 0; i < f->n; i++) {
        if (px_str_eq(px_str(f->list[i]->url), px_str_n(url, n)))
            return f->list[i];
    }
    return NULL;
}

enum px_code px_fetching_scan(struct px_fetching *f, const char *url,
                              struct px_model_places *places, struct px_err *err)
{
    struct repository *r = find_repository(f, url);
    enum px_code code = PX_OK;
    if (!r)
        return px_err_set(err, PX_E_NOT_FOUND, "%s is none of this server's repositories", url);
    pthread_mutex_lock(&f->mutex);
    const struct px_index_version *list = r->index.versions.items;
    for (size_t i = 0, n; i < r->index.versions.len && code == PX_OK; i += n) {
        for (n = 1; i + n < r->index.versions.len && px_str_eq(list[i + n].name, list[i].name);)
            n++;
        code = add_model(r, &list[i], n, places, err);
    }
    pthread_mutex_unlock(&f->mutex);
    return code;
}

/* With the mutex held. */
static enum px_code copy_version(const struct repository *r, const struct px_index_version *version,
                                 struct px_remote_version *ret, struct px_err *err)
{
    struct px_arena *arena = &ret->arena;
    struct px_manifest_file *files = px_arena_alloc(arena, version->n_files, sizeof *files);
    ret->store = r->store;
    ret->folder = px_arena_str(arena, version->folder);
    memcpy(ret->key, version->key, sizeof ret->key);
    for (size_t i = 0; i < version->n_files && files; i++) {
        const struct px_manifest_file *file = &r->index.files.items[version->first_file + i];
        files[i] = (struct px_manifest_file){.path = px_arena_str(arena, file->path),
                                             .sha256 = px_arena_str(arena, file->sha256),
                                             .size = file->size};
    }
    ret->files = (struct px_version_files){ret->key, files, version->n_files};
    return px_arena_check(arena, "the files of a model", err);
}

enum px_code px_fetching_find(struct px_fetching *f, struct px_str name, struct px_str version,
                              struct px_remote_version *ret, struct px_err *err)
{
    const struct px_index_version *found = NULL;
    enum px_code code;
    *ret = (struct px_remote_version){.arena = px_arena(VERSION_BYTES_MAX)};
    pthread_mutex_lock(&f->mutex);
    size_t i = 0;
    while (i < f->n && !(found = px_model_index_find(&f->list[i]->index, name, version)))
        i++;
    if (found)
        code = copy_version(f->list[i], found, ret, err);
    else
        code = px_err_set(err, PX_E_NOT_FOUND, "the index of no repository has it any more");
    pthread_mutex_unlock(&f->mutex);
    if (code != PX_OK)
        px_remote_version_deinit(ret);
    return code;
}

void px_remote_version_deinit(struct px_remote_version *version)
{
    px_arena_deinit(&version->arena);
}

/* ---- versions ---- */

enum px_code px_fetching_take(struct px_fetching *f, const struct px_remote_version *version,
                              struct px_cached_version **ret, struct px_err *err)
{
    const struct px_version_files files = {version->key, version->files.list, version->files.n};
    enum px_code code = px_model_cache_take(f->cache, &files, ret, err);
    if (code == PX_OK)
        atomic_fetch_add_explicit(&f->counts.hits, 1, memory_order_relaxed);
    return code;
}

enum px_code px_fetching_fetch(struct px_fetching *f, const struct px_remote_version *version,
                               struct px_cached_version **ret, struct px_err *err)
{
    const struct px_fetch_job job = {
        .store = version->store,
        .cache = f->cache,
        .counts = &f->counts,
        .stopping = &f->cancelled,
        .folder = version->folder,
        .files = {version->key, version->files.list, version->files.n},
    };
    enum px_code code = px_fetch_version(&job, ret, err);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "fetch");
}

static void end_ahead(struct px_fetching *f)
{
    px_remote_version_deinit(&f->ahead);
    pthread_mutex_lock(&f->mutex);
    f->has_ahead = false;
    pthread_mutex_unlock(&f->mutex);
}

static void run_ahead(struct px_fetcher_job *job)
{
    struct px_fetching *f = PX_CONTAINER_OF(job, struct px_fetching, ahead_job);
    struct px_cached_version *held = NULL;
    struct px_err err;
    if (px_fetching_fetch(f, &f->ahead, &held, &err) != PX_OK)
        px_log_err(PX_LOG_INFO, "fetch.ahead_failed", &err);
    px_cached_version_release(held);
    end_ahead(f);
}

static void drop_ahead(struct px_fetcher_job *job)
{
    end_ahead(PX_CONTAINER_OF(job, struct px_fetching, ahead_job));
}

bool px_fetching_take_ahead(struct px_fetching *f, struct px_str name, struct px_str version,
                            struct px_cached_version **ret)
{
    struct px_remote_version remote;
    if (px_fetching_find(f, name, version, &remote, NULL) != PX_OK)
        return false;
    bool is_here = px_fetching_take(f, &remote, ret, NULL) == PX_OK;
    pthread_mutex_lock(&f->mutex);
    bool begins = !is_here && !f->has_ahead;
    f->has_ahead = f->has_ahead || begins;
    pthread_mutex_unlock(&f->mutex);
    if (!begins) {
        px_remote_version_deinit(&remote);
        return is_here;
    }
    f->ahead = remote;
    f->ahead_job = (struct px_fetcher_job){.run = run_ahead, .drop = drop_ahead};
    px_fetching_give(f, &f->ahead_job);
    return false;
}
