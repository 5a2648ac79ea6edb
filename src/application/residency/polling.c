/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each look makes a new list of versions beside the one of the last look, and compares. A version is described by a stamp: a hash over the names,
 * sizes and times of its files. Reading is left to manifests and loads.
 *
 *   stamp is that of the last action          nothing to do
 *   another one than at the last look         somebody is writing: look again
 *   the same, and the manifest matches        act; so it is at the first sight of a stamp, too
 *   the same, and there is no manifest        act at the second sight
 *   the manifest does not match               look again, and tell once per stamp
 */
#include "application/residency/polling.h"

#include "application/residency/manifest.h"
#include "application/serving/repository_impl.h"

#include "shared/clock.h"
#include "shared/file.h"
#include "shared/log.h"
#include "shared/map.h"
#include "shared/thread.h"

#include <stdio.h>

struct watched {
    struct px_str name, version;
    uint64_t stamp;   /* as seen */
    uint64_t acted;   /* on this stamp; 0: never */
    uint64_t checked; /* its manifest matched (or there is none) with this stamp */
    uint64_t told;    /* that its manifest does not match, with this stamp */
    bool has_manifest, is_due;
};

/* What one look found. */
struct look {
    struct px_model_places places; /* its arena has the keys, too */
    PX_VEC(struct watched) list;   /* in the order of the places */
    struct px_map index;           /* "name/version" -> list */
};

struct px_polling {
    struct px_repository *repository;
    uint64_t interval_ns;
    struct look last;
    bool has_looked;
    PX_VEC(struct px_model_name)
    again; /* loads of models behind URLs that may go well the next time; under the mutex */

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    bool stopping;
};

static void free_look(struct look *look)
{
    px_map_deinit(&look->index);
    px_vec_free(&look->list);
    px_model_places_deinit(&look->places);
}

/* ---- looking ---- */

static enum px_code add_watched(struct look *look, const struct px_model_place *place,
                                struct px_err *err)
{
    char path[PATH_MAX], key[2 * PX_MODEL_NAME_MAX + 2];
    struct watched *slot = px_vec_push(&look->list);
    if (!slot)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to watch models");
    px_model_place_folder(place, path);
    *slot = (struct watched){.name = place->name, .version = place->version};
    slot->stamp = place->is_remote ? place->stamp : px_manifest_stamp(path);
    slot->stamp ^= (uint64_t)place->policy.kind; /* a policy that changes changes its versions */
    snprintf(key, sizeof key, "%.*s/%.*s", PX_STR_ARG(place->name), PX_STR_ARG(place->version));
    struct px_str kept = px_arena_str(&look->places.arena, px_str(key));
    enum px_code code = px_arena_check(&look->places.arena, "the list of models", err);
    return code == PX_OK ? px_map_put(&look->index, kept, look->list.len - 1, err) : code;
}

static enum px_code look_around(struct px_polling *polling, struct look *ret, struct px_err *err)
{
    struct px_serving *serving = polling->repository->serving;
    enum px_code code = PX_OK;
    *ret = (struct look){.places = px_model_places()};
    for (size_t i = 0; i < serving->arguments.len && code == PX_OK; i++) {
        /* One that holds nothing at the moment has lost its models; one that cannot be read is not taken for that. */
        code = px_serving_scan(serving, serving->arguments.items[i], &ret->places, err);
        if (code == PX_E_NOT_FOUND && px_file_kind(serving->arguments.items[i]) == PX_FILE_FOLDER)
            code = PX_OK;
    }
    for (size_t i = 0; i < ret->places.list.len && code == PX_OK; i++)
        code = add_watched(ret, &ret->places.list.items[i], err);
    return code;
}

static struct watched *find_watched(struct look *look, const struct watched *like)
{
    char key[2 * PX_MODEL_NAME_MAX + 2];
    size_t at;
    snprintf(key, sizeof key, "%.*s/%.*s", PX_STR_ARG(like->name), PX_STR_ARG(like->version));
    return px_map_get(&look->index, px_str(key), &at) ? &look->list.items[at] : NULL;
}

/* ---- deciding ---- */

/* Is it complete? Reads its files when there is a manifest, once for each stamp. */
static bool is_complete(struct watched *w, const struct px_model_place *place, bool is_second_look)
{
    char path[PATH_MAX];
    struct px_err err;
    if (place->is_remote)
        return true; /* an index names what is whole; what comes is checked */
    if (w->checked == w->stamp)
        return w->has_manifest || is_second_look;
    px_model_place_folder(place, path);
    enum px_code code = px_manifest_check(path, &err);
    w->has_manifest = code != PX_E_NOT_FOUND;
    if (code == PX_OK || code == PX_E_NOT_FOUND)
        w->checked = w->stamp;
    else if (w->told != w->stamp)
        px_log_err(PX_LOG_WARN, "repository.incomplete", &err);
    if (w->checked != w->stamp)
        w->told = w->stamp;
    return w->checked == w->stamp && (w->has_manifest || is_second_look);
}

/* 1: to be acted on, 0: nothing has changed, -1: not yet. */
static int judge(struct look *last, struct watched *w, const struct px_model_place *place)
{
    const struct watched *before = find_watched(last, w);
    bool is_second_look = before && before->stamp == w->stamp;
    if (before) {
        w->acted = before->acted;
        w->checked = before->checked;
        w->told = before->told;
        w->has_manifest = before->has_manifest;
    }
    if (w->acted == w->stamp)
        return 0;
    return is_complete(w, place, is_second_look) ? 1 : -1;
}

/* ---- acting ---- */

/* On a loop. What is behind a URL may be reachable the next time. */
static void take_answer(struct px_repository_request *request)
{
    struct px_polling *polling = request->owner;
    if (request->code == PX_OK)
        return;
    px_log_err(PX_LOG_WARN, "repository.poll_failed", &request->err);
    if (!px_code_retryable(request->code) || !request->serving->fetching)
        return;
    pthread_mutex_lock(&polling->mutex);
    struct px_model_name *slot = px_vec_push(&polling->again);
    if (slot)
        snprintf(slot->text, sizeof slot->text, "%.*s", (int)request->name.len, request->name.ptr);
    pthread_mutex_unlock(&polling->mutex);
}

/* Models that are to be acted on once more: as if their last load had not been. */
static void take_again(struct px_polling *polling)
{
    pthread_mutex_lock(&polling->mutex);
    for (size_t i = 0; i < polling->again.len; i++) {
        for (size_t k = 0; k < polling->last.list.len; k++) {
            struct px_model_place *place = &polling->last.places.list.items[k];
            if (place->is_remote && px_str_is(place->name, polling->again.items[i].text))
                polling->last.list.items[k].acted = 0;
        }
    }
    polling->again.len = 0;
    pthread_mutex_unlock(&polling->mutex);
}

/* False when the loader has too much to do: then it is for the next look. */
static bool submit(struct px_polling *polling, enum px_repository_action action, struct px_str name,
                   struct px_str versions)
{
    struct px_err err;
    struct px_repository_request *request = px_repository_request_create(action);
    if (!request)
        return false;
    request->name = name;
    request->changed = px_arena_str(&request->arena, versions);
    request->is_own = true;
    request->done = take_answer;
    request->owner = polling;
    return px_repository_submit(polling->repository->serving, request, &err) == PX_OK;
}

/* Places of one model follow each other; `n` of them from `first` on. */
static void act(struct px_polling *polling, struct look *now, size_t first, size_t n)
{
    struct px_buf versions = px_buf(1 << 20);
    bool waits = false;
    for (size_t i = first; i < first + n; i++) {
        struct watched *w = &now->list.items[i];
        int verdict = judge(&polling->last, w, &now->places.list.items[i]);
        waits = waits || verdict < 0;
        w->is_due = verdict > 0;
        if (w->is_due)
            px_buf_printf(&versions, "%s%.*s", versions.len ? "," : "", PX_STR_ARG(w->version));
    }
    bool acts =
        versions.len > 0 && !versions.failed && !waits &&
        submit(polling, PX_REPOSITORY_LOAD, now->list.items[first].name, px_buf_view(&versions));
    for (size_t i = first; i < first + n && acts; i++) {
        if (now->list.items[i].is_due)
            now->list.items[i].acted = now->list.items[i].stamp;
    }
    px_buf_deinit(&versions);
}

/* Models of the last look of which no version is left, or some are not. */
static void act_on_lost(struct px_polling *polling, struct look *now)
{
    struct look *last = &polling->last;
    for (size_t i = 0, n; i < last->list.len; i += n) {
        struct px_str name = last->list.items[i].name;
        size_t n_lost = 0;
        for (n = 0; i + n < last->list.len && px_str_eq(last->list.items[i + n].name, name); n++)
            n_lost += find_watched(now, &last->list.items[i + n]) == NULL;
        if (n_lost == n)
            (void)submit(polling, PX_REPOSITORY_UNLOAD, name, (struct px_str){0});
        else if (n_lost > 0)
            (void)submit(polling, PX_REPOSITORY_LOAD, name, (struct px_str)PX_STR(","));
    }
}

/* What was there before the first look was read at the start. */
static void take_as_done(struct look *now)
{
    for (size_t i = 0; i < now->list.len; i++)
        now->list.items[i].acted = now->list.items[i].stamp;
}

void px_polling_look(struct px_polling *polling)
{
    struct look now;
    struct px_err err;
    struct px_fetching *fetching = polling->repository->serving->fetching;
    if (fetching && polling->has_looked) /* else they were read just now */
        px_fetching_refresh(fetching);
    if (look_around(polling, &now, &err) != PX_OK) {
        px_log_err(PX_LOG_WARN, "repository.unreadable", &err);
        free_look(&now);
        return;
    }
    take_again(polling);
    if (!polling->has_looked)
        take_as_done(&now);
    else
        act_on_lost(polling, &now);
    for (size_t i = 0, n; i < now.list.len && polling->has_looked; i += n) {
        for (n = 1;
             i + n < now.list.len && px_str_eq(now.list.items[i + n].name, now.list.items[i].name);)
            n++;
        act(polling, &now, i, n);
    }
    free_look(&polling->last);
    polling->last = now;
    polling->has_looked = true;
}

/* ---- the thread ---- */

static bool sleep_a_while(struct px_polling *polling)
{
    uint64_t until_ns = px_clock_monotonic_ns() + polling->interval_ns;
    const struct timespec until = px_clock_timespec(until_ns);
    pthread_mutex_lock(&polling->mutex);
    while (!polling->stopping && px_clock_monotonic_ns() < until_ns)
        pthread_cond_timedwait(&polling->changed, &polling->mutex, &until);
    bool goes_on = !polling->stopping;
    pthread_mutex_unlock(&polling->mutex);
    return goes_on;
}

static void *run(void *argument)
{
    struct px_polling *polling = argument;
    while (sleep_a_while(polling))
        px_polling_look(polling);
    return NULL;
}

enum px_code px_polling_create(struct px_repository *repository, uint64_t interval_ns,
                               struct px_polling **ret, struct px_err *err)
{
    pthread_condattr_t attributes;
    struct px_polling *polling = px_alloc(1, sizeof *polling);
    if (!polling)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to watch models");
    polling->repository = repository;
    polling->interval_ns = interval_ns;
    polling->last.places = px_model_places();
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&polling->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&polling->mutex, NULL);
    px_polling_look(polling);
    int rc = interval_ns ? px_thread_start("px-polling", run, polling, &polling->thread) : 0;
    polling->has_thread = interval_ns && rc == 0;
    if (rc != 0) {
        px_polling_destroy(polling);
        return px_err_set(err, PX_E_IO, "start the thread px-polling: %s", strerror(rc));
    }
    *ret = polling;
    return PX_OK;
}

void px_polling_destroy(struct px_polling *polling)
{
    if (!polling)
        return;
    pthread_mutex_lock(&polling->mutex);
    polling->stopping = true;
    pthread_cond_signal(&polling->changed);
    pthread_mutex_unlock(&polling->mutex);
    if (polling->has_thread)
        pthread_join(polling->thread, NULL);
    free_look(&polling->last);
    px_vec_free(&polling->again);
    pthread_mutex_destroy(&polling->mutex);
    pthread_cond_destroy(&polling->changed);
    px_free(polling);
}
