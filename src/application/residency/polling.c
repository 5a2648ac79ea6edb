/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each look makes a new list of versions beside the one of the last look, and compares. A version is described by a stamp: a hash over the names,
 * sizes and times of its files. Reading is left to manifests and loads.
 *
 *   stamp is that of the last action          nothing to do
 *   another one than at the last look         somebody is writing: look again
 *   the same, and the manifest matches        act; so it is at the first sight of a stamp, too
 *   the same, and there is no manifest        act at the second sight
 *   the manifest does not match               look again, and tell once per stamp; the model's other versions wait for one look
 *   its load failed for a passing reason      act again after 1, 2, 4, ... 60 s
 */
#include "application/residency/polling.h"

#include "application/residency/manifest.h"
#include "application/serving/repository_impl.h"

#include "shared/clock.h"
#include "shared/file.h"
#include "shared/hash.h"
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
    bool is_sent;      /* it was part of a load with this stamp */
    bool is_told_lost; /* of the last look: that it is gone was acted on */
    uint64_t retry_ns,
        pause_ns; /* its load failed and may go well then; 0: it is not tried again */
};

/* What one look found. */
struct look {
    struct px_model_places places; /* its arena has the keys, too */
    PX_VEC(struct watched) list;   /* in the order of the places */
    struct px_map index;           /* "name/version" -> list */
};

typedef PX_VEC(struct px_model_name) name_vec;

struct px_polling {
    struct px_repository *repository;
    uint64_t interval_ns;
    struct look last;
    bool has_looked;
    name_vec
        again; /* models of which a load failed that may go well the next time; under the mutex */

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

/* A policy that changes, or can be read no longer, changes its versions: they are loaded anew, or fail with the reason. */
static uint64_t stamp_of_policy(const struct px_model_place *place)
{
    const struct px_version_policy *policy = &place->policy;
    const uint64_t numbers[] = {(uint64_t)policy->kind, policy->n_latest};
    uint64_t stamp = 0;
    if (policy->kind != PX_VERSIONS_ALL)
        stamp = px_hash_content(numbers, sizeof numbers) ^
                px_hash_content(policy->specific.ptr, policy->specific.len);
    if (place->refusal)
        stamp ^= px_hash_content(place->refusal->message, strlen(place->refusal->message));
    return stamp;
}

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
    slot->stamp = (slot->stamp ^ stamp_of_policy(place)) | 1; /* never 0 */
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

/* The index tells it until a load has its own to tell. */
static void note(struct px_repository *r, const struct watched *w, const struct px_err *why)
{
    pthread_mutex_lock(&r->mutex);
    px_repository_note_failure(r, w->name, w->version, why);
    pthread_mutex_unlock(&r->mutex);
}

/* Once for each stamp. */
static void tell_incomplete(struct px_repository *r, struct watched *w, const struct px_err *why)
{
    if (w->told == w->stamp)
        return;
    px_log_err(PX_LOG_WARN, "repository.incomplete", why);
    note(r, w, why);
    w->told = w->stamp;
}

static void tell_copied(struct px_repository *r, struct watched *w)
{
    struct px_err why;
    px_err_set(&why, PX_E_UNAVAILABLE,
               "its files have just changed, and it has no " PX_MANIFEST_FILE
               ": it is loaded when the next look sees the same");
    note(r, w, &why);
}

/* Reads its files when there is a manifest, once for each stamp, or until it matches. 1, 0, -1 as judge says. */
static int judge_files(struct px_repository *r, struct watched *w,
                       const struct px_model_place *place, bool is_second_look)
{
    char path[PATH_MAX];
    struct px_err err;
    if (place->is_remote)
        return 1; /* an index names what is whole; what comes is checked */
    px_model_place_folder(place, path);
    enum px_code code = w->checked == w->stamp ? PX_OK : px_manifest_check(path, &err);
    if (w->checked != w->stamp)
        w->has_manifest = code != PX_E_NOT_FOUND;
    if (code != PX_OK && code != PX_E_NOT_FOUND) {
        tell_incomplete(r, w, &err);
        return is_second_look ? 0 : -1; /* others do not wait for what is broken */
    }
    w->checked = w->stamp;
    if (w->has_manifest || is_second_look)
        return 1;
    tell_copied(r, w);
    return -1;
}

static int judge(struct px_polling *polling, struct watched *w, const struct px_model_place *place)
{
    const struct watched *before = find_watched(&polling->last, w);
    bool is_same = before && before->stamp == w->stamp;
    if (before) {
        w->acted = before->is_told_lost ? 0 : before->acted;
        w->checked = before->checked;
        w->told = before->told;
        w->has_manifest = before->has_manifest;
    }
    if (is_same) {
        w->is_sent = before->is_sent;
        w->retry_ns = before->retry_ns;
        w->pause_ns = before->pause_ns;
    }
    if (w->retry_ns && px_clock_monotonic_ns() >= w->retry_ns) {
        w->retry_ns = 0;
        w->acted = 0;
    }
    return w->acted == w->stamp ? 0 : judge_files(polling->repository, w, place, is_same);
}

/* ---- acting ---- */

/* On a loop. */
static void take_answer(struct px_repository_request *request)
{
    struct px_polling *polling = request->owner;
    if (request->code == PX_OK)
        return;
    px_log_err(PX_LOG_WARN, "repository.poll_failed", &request->err);
    if (!px_code_retryable(request->code))
        return;
    pthread_mutex_lock(&polling->mutex);
    struct px_model_name *slot = px_vec_push(&polling->again);
    if (slot)
        snprintf(slot->text, sizeof slot->text, "%.*s", (int)request->name.len, request->name.ptr);
    pthread_mutex_unlock(&polling->mutex);
}

/* After 1, 2, 4, ... 60 s; a stamp that changes begins anew. */
static void set_retry(struct watched *w)
{
    w->pause_ns = px_residency_next_pause_ns(w->pause_ns);
    w->retry_ns = px_clock_monotonic_ns() + w->pause_ns;
}

static bool has_passing_failure(struct px_repository *r, const struct watched *w)
{
    pthread_mutex_lock(&r->mutex);
    const struct px_err *failure = px_repository_failure(r, w->name, w->version);
    bool may_pass = failure && px_code_retryable(failure->code);
    pthread_mutex_unlock(&r->mutex);
    return may_pass;
}

/* The versions that failed so; when none has, the load did not come to them, and all that it was for are tried again. */
static void try_again(struct px_polling *polling, struct px_str name)
{
    size_t n_failed = 0;
    for (size_t i = 0; i < polling->last.list.len; i++) {
        struct watched *w = &polling->last.list.items[i];
        if (!px_str_eq(w->name, name) || !has_passing_failure(polling->repository, w))
            continue;
        set_retry(w);
        n_failed++;
    }
    for (size_t i = 0; i < polling->last.list.len && n_failed == 0; i++) {
        struct watched *w = &polling->last.list.items[i];
        if (px_str_eq(w->name, name) && w->is_sent)
            set_retry(w);
    }
}

/* Loads that failed for a reason that can pass: no memory, no right to read, a store that is not reachable. */
static void take_again(struct px_polling *polling)
{
    pthread_mutex_lock(&polling->mutex);
    name_vec again = polling->again;
    polling->again = (name_vec){0};
    pthread_mutex_unlock(&polling->mutex);
    for (size_t i = 0; i < again.len; i++)
        try_again(polling, px_str(again.items[i].text));
    px_vec_free(&again);
}

static struct px_repository_request *create_request(struct px_polling *polling,
                                                    enum px_repository_action action,
                                                    struct px_str name)
{
    struct px_repository_request *request = px_repository_request_create(action);
    if (!request)
        return NULL;
    request->name = name;
    request->is_own = true;
    request->is_polled = true;
    request->done = take_answer;
    request->owner = polling;
    return request;
}

/* False when the loader has too much to do: then it is for the next look. */
static bool submit(struct px_polling *polling, struct px_repository_request *request)
{
    struct px_err err;
    return px_repository_submit(polling->repository->serving, request, &err) == PX_OK;
}

/* Those that are due, of `n` versions of one model. False without memory. */
static bool name_changed(struct px_repository_request *request, const struct watched *list,
                         size_t n)
{
    struct px_str *changed = px_arena_alloc(&request->arena, n, sizeof *changed);
    for (size_t i = 0; i < n && changed; i++) {
        if (list[i].is_due)
            changed[request->n_changed++] = px_arena_str(&request->arena, list[i].version);
    }
    request->changed = changed;
    return changed && px_arena_check(&request->arena, "the versions", NULL) == PX_OK;
}

static bool load_due(struct px_polling *polling, const struct watched *list, size_t n)
{
    struct px_repository_request *request =
        create_request(polling, PX_REPOSITORY_LOAD, list[0].name);
    if (request && name_changed(request, list, n))
        return submit(polling, request);
    px_repository_request_free(request);
    return false;
}

/* Places of one model follow each other; `n` of them from `first` on. */
static void act(struct px_polling *polling, struct look *now, size_t first, size_t n)
{
    struct watched *list = &now->list.items[first];
    size_t n_due = 0;
    bool waits = false;
    for (size_t i = 0; i < n; i++) {
        int verdict = judge(polling, &list[i], &now->places.list.items[first + i]);
        waits = waits || verdict < 0;
        list[i].is_due = verdict > 0;
        n_due += verdict > 0;
    }
    bool acts = n_due > 0 && !waits && load_due(polling, list, n);
    for (size_t i = 0; i < n && acts; i++) {
        if (!list[i].is_due)
            continue;
        list[i].acted = list[i].stamp;
        list[i].is_sent = true;
    }
}

/* Versions `list` of one model, of the last look: true when all that are gone were acted on, now or before. */
static bool act_on_lost_of(struct px_polling *polling, struct look *now, struct watched *list,
                           size_t n)
{
    size_t n_lost = 0, n_new = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_lost = find_watched(now, &list[i]) == NULL;
        n_lost += is_lost;
        n_new += is_lost && !list[i].is_told_lost;
    }
    if (n_new == 0)
        return true;
    struct px_repository_request *request = create_request(
        polling, n_lost == n ? PX_REPOSITORY_UNLOAD : PX_REPOSITORY_LOAD, list[0].name);
    if (!request || !submit(polling, request))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (list[i].is_told_lost || find_watched(now, &list[i]))
            continue;
        list[i].is_told_lost = true;
        note(polling->repository, &list[i], NULL);
        px_log(PX_LOG_INFO, "repository.gone", PX_LOG_S("model", list[i].name),
               PX_LOG_S("version", list[i].version));
    }
    return true;
}

/* Models of the last look of which no version is left, or some are not. False: the loader did not take it all. */
static bool act_on_lost(struct px_polling *polling, struct look *now)
{
    struct look *last = &polling->last;
    bool all = true;
    for (size_t i = 0, n; i < last->list.len; i += n) {
        struct px_str name = last->list.items[i].name;
        for (n = 1; i + n < last->list.len && px_str_eq(last->list.items[i + n].name, name);)
            n++;
        all = act_on_lost_of(polling, now, &last->list.items[i], n) && all;
    }
    return all;
}

/* What was there before the first look was read at the start; on main. What failed then for a reason that can pass is tried again. */
static void take_as_done(struct px_polling *polling, struct look *now)
{
    const struct px_model_set *set = px_serving_models(polling->repository->serving);
    for (size_t i = 0; i < now->list.len; i++)
        now->list.items[i].acted = now->list.items[i].stamp;
    for (size_t i = 0; i < set->n_models; i++) {
        const struct px_model *model = set->models[i];
        const struct watched like = {.name = model->name, .version = model->version};
        struct watched *w = find_watched(now, &like);
        if (w && model->state == PX_MODEL_FAILED && px_code_retryable(model->reason.code))
            set_retry(w);
    }
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
    if (!polling->has_looked) {
        take_as_done(polling, &now);
    } else if (!act_on_lost(polling, &now)) {
        free_look(&now); /* what is gone is remembered by the last look until the loader takes it */
        return;
    }
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
