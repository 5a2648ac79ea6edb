/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index: what serves, and what could be loaded, as one sorted list.
 *
 * Folders are read first, without the mutex; then the snapshot, the work in progress and the failures are read under it, so
 * that the list is of one moment.
 */
#include "application/serving/repository_impl.h"

#include "shared/log.h"

#include <stdlib.h>

/* A version as it was found: in a folder, in the snapshot, or in both. */
struct found {
    struct px_str name, version;
    const struct px_model_place *place;
    const struct px_model *model;
    bool is_unchosen; /* by the policy that the model's last load followed, or its folder's */
};

static int compare_found(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    int order = px_str_cmp(x->name, y->name);
    return order ? order : px_compare_versions(x->version, y->version);
}

/* Neighbours that are the same version become one. */
static size_t merge_found(struct found *found, size_t n)
{
    size_t kept = 0;
    if (n > 1)
        qsort(found, n, sizeof *found, compare_found);
    for (size_t i = 0; i < n; i++) {
        struct found *last = kept ? &found[kept - 1] : NULL;
        if (last && compare_found(last, &found[i]) == 0) {
            last->place = last->place ? last->place : found[i].place;
            last->model = last->model ? last->model : found[i].model;
        } else {
            found[kept++] = found[i];
        }
    }
    return kept;
}

static bool is_busy(const struct px_repository *r, struct px_str name,
                    enum px_repository_action action)
{
    return r->busy_with == action && px_str_eq(px_str_n(r->busy, r->busy_len), name);
}

static struct px_str text(struct px_arena *arena, const char *message)
{
    return px_arena_str(arena, px_str(message));
}

static struct px_str text_with_hint(struct px_arena *arena, const struct px_err *err)
{
    char line[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX + 8];
    return text(arena, px_err_text(err, line, sizeof line));
}

static void describe(const struct px_repository *r, const struct found *f, struct px_arena *arena,
                     struct px_repository_entry *entry)
{
    const struct px_err *failure = px_repository_failure(r, f->name, f->version);
    struct px_err reason = {0};
    bool is_able = f->model && px_model_is_able(f->model, &reason);
    bool ready = is_able && f->model->state == PX_MODEL_READY;
    *entry = (struct px_repository_entry){
        .name = px_arena_str(arena, f->name),
        .version = px_arena_str(arena, f->version),
        .state = ready ? "READY" : "UNAVAILABLE",
    };
    if (!ready && is_busy(r, f->name, PX_REPOSITORY_LOAD))
        entry->state = "LOADING";
    else if (!ready && is_busy(r, f->name, PX_REPOSITORY_UNLOAD))
        entry->state = "UNLOADING";
    else if (f->is_unchosen)
        entry->reason = text(arena, "not chosen by the version policy");
    else if (failure)
        entry->reason = text_with_hint(arena, failure);
    else if (f->model && f->model->state == PX_MODEL_REGISTERED)
        entry->reason = text(arena, "registered: it is loaded when it is asked for");
    else if (f->model && !is_able)
        entry->reason = text(arena, reason.message);
    else if (f->place && f->place->refusal)
        entry->reason = text_with_hint(arena, f->place->refusal);
    else if (!ready)
        entry->reason = text(arena, "unloaded");
}

/* Of one model: a load may have brought its own policy, else the folder's holds. */
static void mark_unchosen(struct found *found, size_t n)
{
    const struct px_version_policy *policy = NULL;
    for (size_t i = 0; i < n && !policy; i++)
        policy = found[i].model ? &found[i].model->policy : NULL;
    for (size_t i = n, n_newer = 0; i-- > 0; n_newer += found[i].place != NULL) {
        if (found[i].model || !found[i].place)
            continue;
        found[i].is_unchosen = found[i].place->is_unchosen;
        if (policy && policy->kind != PX_VERSIONS_ALL)
            found[i].is_unchosen = !px_version_policy_takes(policy, found[i].version, n_newer);
    }
}

static void list(struct px_repository *r, struct px_repository_request *request,
                 struct found *found, const struct px_model_places *places)
{
    const struct px_model_set *set = px_serving_models(r->serving);
    size_t n = 0;
    for (size_t i = 0; i < set->n_models; i++) {
        const struct px_model *model = set->models[i];
        found[n++] = (struct found){.name = model->name, .version = model->version, .model = model};
    }
    for (size_t i = 0; i < places->list.len; i++) {
        const struct px_model_place *place = &places->list.items[i];
        found[n++] = (struct found){.name = place->name, .version = place->version, .place = place};
    }
    n = merge_found(found, n);
    for (size_t i = 0, same; i < n; i += same) {
        for (same = 1; i + same < n && px_str_eq(found[i + same].name, found[i].name);)
            same++;
        mark_unchosen(&found[i], same);
    }
    for (size_t i = 0; i < n; i++) {
        struct px_repository_entry entry;
        describe(r, &found[i], &request->arena, &entry);
        if (!request->ready_only || px_str_is(px_str(entry.state), "READY"))
            request->entries[request->n_entries++] = entry;
    }
}

/* A folder that cannot be read now is told in the log; what serves is listed. */
static void scan_all(struct px_serving *serving, struct px_model_places *places)
{
    for (size_t i = 0; i < serving->arguments.len; i++) {
        struct px_err err;
        if (px_serving_scan(serving, serving->arguments.items[i], places, &err) != PX_OK)
            px_log_err(PX_LOG_WARN, "repository.unreadable", &err);
    }
}

static void list_now(struct px_repository *r, struct px_repository_request *request,
                     const struct px_model_places *places)
{
    struct px_arena *arena = &request->arena;
    size_t n_max = places->list.len + px_serving_models(r->serving)->n_models + 1;
    struct found *found = px_arena_alloc(arena, n_max, sizeof *found);
    request->entries = px_arena_alloc(arena, n_max, sizeof *request->entries);
    if (found && request->entries)
        list(r, request, found, places);
}

void px_repository_index(struct px_repository *r, struct px_repository_request *request)
{
    struct px_model_places places = px_model_places();
    places.lists_all = true;
    scan_all(r->serving, &places);
    pthread_mutex_lock(&r->mutex);
    list_now(r, request, &places);
    pthread_mutex_unlock(&r->mutex);
    request->code = px_arena_check(&request->arena, "the index", &request->err);
    px_model_places_deinit(&places);
    px_repository_answer(r, request);
}

/* ---- failures ---- */

static size_t find_failure(const struct px_repository *r, struct px_str name, struct px_str version)
{
    for (size_t i = 0; i < r->failures.len; i++) {
        const struct px_load_failure *failure = &r->failures.items[i];
        if (px_str_is(name, failure->name) && px_str_is(version, failure->version))
            return i;
    }
    return r->failures.len;
}

const struct px_err *px_repository_failure(const struct px_repository *r, struct px_str name,
                                           struct px_str version)
{
    size_t i = find_failure(r, name, version);
    return i < r->failures.len ? &r->failures.items[i].reason : NULL;
}

static void forget(struct px_repository *r, size_t i)
{
    px_free(r->failures.items[i].name);
    r->failures.items[i] = r->failures.items[--r->failures.len];
}

/* Without memory the reason stands only in the log and in the answer. */
void px_repository_note_failure(struct px_repository *r, struct px_str name, struct px_str version,
                                const struct px_err *reason)
{
    size_t i = find_failure(r, name, version);
    if (i < r->failures.len)
        forget(r, i);
    if (!reason)
        return;
    if (r->failures.len == PX_REPOSITORY_FAILURES_MAX)
        forget(r, 0); /* any: they are kept in no order, and so many failures are seen in the log */
    char *names = px_alloc(name.len + version.len + 2, 1);
    struct px_load_failure *failure = names ? px_vec_push(&r->failures) : NULL;
    if (!failure) {
        px_free(names);
        return;
    }
    memcpy(names, name.ptr, name.len);
    memcpy(names + name.len + 1, version.ptr, version.len);
    *failure = (struct px_load_failure){names, names + name.len + 1, *reason};
}
