/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading and unloading: the jobs of the loader.
 *
 *   load     find places -> load and check each -> plan -> prepare -> publish -> answer -> reclaim
 *   unload   find what serves                          -> prepare -> publish -> answer -> reclaim
 *
 * Invariants
 * 1. Everything that can fail is done before the new snapshot is published; with that, under one mutex, changes what the
 *    index tells of earlier failures. A load that fails before has changed nothing.
 * 2. A version that serves is taken out only for one that is READY: by its successor, or, when its folder is gone, once
 *    another version of this load is.
 * 3. The index names no job in progress once that is answered.
 * 4. A load with a version that failed is answered with that failure, whatever else it brought.
 */
#include "application/lifecycle/package.h"
#include "application/residency/memory_use.h"
#include "application/serving/model_config.h"
#include "application/serving/repository_impl.h"

#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/log.h"

#include <stdio.h>

typedef PX_VEC(struct px_model *) model_vec;

/* One load on its way. */
struct loading {
    struct px_repository *r;
    struct px_repository_request *request;
    struct px_model_folder folder;
    struct px_version_policy policy; /* of the request */
    struct px_model_places places;
    model_vec loaded; /* not yet in a snapshot */
    model_vec added, removed;
    bool has_ready;
    struct px_err failure; /* of the first version that failed */
};

void px_repository_set_busy(struct px_repository *r, struct px_str name,
                            enum px_repository_action action)
{
    pthread_mutex_lock(&r->mutex);
    r->busy_len = name.len;
    memcpy(r->busy, name.ptr, name.len); /* a valid name fits */
    r->busy_with = action;
    pthread_mutex_unlock(&r->mutex);
}

void px_repository_set_idle(struct px_repository *r)
{
    px_repository_set_busy(r, (struct px_str)PX_STR(""), 0);
}

/* ---- finding ---- */

/* Keeps the places of one name, from `first` on. */
static void keep_name(struct px_model_places *places, size_t first, struct px_str name)
{
    size_t n = first;
    for (size_t i = first; i < places->list.len; i++) {
        if (px_str_eq(places->list.items[i].name, name))
            places->list.items[n++] = places->list.items[i];
    }
    places->list.len = n;
}

/* An argument that cannot be read at the moment does not hide what others hold. */
static enum px_code find_in_arguments(struct px_serving *serving, struct px_str name,
                                      struct px_model_places *places, struct px_err *err)
{
    struct px_err first = {0};
    for (size_t i = 0; i < serving->arguments.len; i++) {
        struct px_err why;
        size_t before = places->list.len;
        if (px_serving_scan(serving, serving->arguments.items[i], places, &why) != PX_OK &&
            !first.code)
            first = why;
        keep_name(places, before, name);
    }
    if (places->list.len > 0)
        return PX_OK;
    if (first.code == PX_E_NO_MEMORY) /* nobody has looked yet */
        return px_err_set(err, first.code, "model '%.*s': %.200s", PX_STR_ARG(name), first.message);
    if (first.code)
        return px_err_set(err, PX_E_NOT_FOUND, "model '%.*s' was not found: %.200s",
                          PX_STR_ARG(name), first.message);
    px_err_set(err, PX_E_NOT_FOUND, "model '%.*s' is not in the repository", PX_STR_ARG(name));
    return px_err_hint(err, "put it into a folder that the server was started with");
}

static enum px_code find_places(struct loading *l, struct px_err *err)
{
    struct px_str name = l->request->name;
    bool has_policy;
    enum px_code code = px_version_policy_of_config(l->request->config, &l->request->arena,
                                                    &l->policy, &has_policy, err);
    if (code != PX_OK)
        return code;
    if (has_policy)
        l->places.policy = &l->policy;
    if (l->request->n_files == 0)
        return find_in_arguments(l->r->serving, name, &l->places, err);
    code = px_model_folder_write(l->request, &l->folder, err);
    if (code != PX_OK)
        return code;
    char argument[sizeof l->folder.path + PX_MODEL_NAME_MAX + 2];
    snprintf(argument, sizeof argument, "%.*s=%s", (int)name.len, name.ptr, l->folder.path);
    code = px_model_scan(argument, &l->places, err);
    for (size_t i = 0; i < l->places.list.len; i++)
        l->places.list.items[i].from_client = true;
    return code;
}

/* ---- building ---- */

static void note_failed_version(struct loading *l, const struct px_model *model)
{
    if (l->failure.code)
        return;
    l->failure = model->reason;
    (void)px_err_wrap(&l->failure, "load model '%.*s' version %.*s", PX_STR_ARG(model->name),
                      PX_STR_ARG(model->version));
}

static enum px_code take_config(const struct loading *l, struct px_model *model, struct px_err *err)
{
    const struct px_serving *serving = l->r->serving;
    struct px_model_wishes wishes;
    if (l->request->config.len == 0)
        return PX_OK;
    enum px_code code =
        px_model_config_check(l->request->config, model, &serving->limits, &wishes, err);
    if (code == PX_OK)
        code = px_model_config_apply(serving, model, &wishes, err);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "parameter 'config'");
}

static struct px_model *serving_version(const struct loading *l, struct px_str version)
{
    const struct px_model_set *set = px_serving_models(l->r->serving);
    for (size_t i = 0; i < set->n_models; i++) {
        struct px_model *model = set->models[i];
        if (px_str_eq(model->name, l->request->name) && px_str_eq(model->version, version))
            return model;
    }
    return NULL;
}

static bool is_changed(const struct loading *l, struct px_str version)
{
    return !l->request->is_polled || px_repository_names_changed(l->request, version);
}

static enum px_code make_room_for(struct loading *l, const struct px_model_place *place,
                                  struct px_err *err)
{
    const char *files = px_model_place_files(place);
    uint64_t on_disk = files ? px_memory_on_disk(files) : 0;
    const struct px_room room = {.n_bytes = on_disk, .load_bytes = 2 * on_disk};
    return files ? px_residency_make_room(l->r, &room, err) : PX_OK;
}

/* What is found by polling, and is not in memory, need not come there when models are loaded on demand, as those behind URLs are. */
static bool registers_only(const struct loading *l, const struct px_model_place *place,
                           const struct px_model *old)
{
    if (!l->request->is_polled || (old && old->state == PX_MODEL_READY))
        return false;
    return place->is_remote ||
           (l->r->serving->residency.settings.on_demand && !px_package_is_pinned(place->path));
}

/* Does an older version answer until this one is there? It does not while one that was READY before comes back. */
static bool comes_beside(const struct loading *l, const struct px_model *model,
                         const struct px_model *old)
{
    const struct px_model_set *set = px_serving_models(l->r->serving);
    if (model->state != PX_MODEL_REGISTERED ||
        (old && old->state != PX_MODEL_FAILED && !old->comes_beside))
        return false;
    for (size_t i = 0; i < set->n_models; i++) {
        const struct px_model *other = set->models[i];
        if (other->state == PX_MODEL_READY && px_str_eq(other->name, model->name) &&
            px_compare_versions(other->version, model->version) < 0)
            return true;
    }
    return false;
}

static struct px_model *load_place(struct loading *l, const struct px_model_place *place,
                                   const struct px_model *old, struct px_err *err)
{
    struct px_model_place here = *place;
    struct px_model *model = NULL;
    struct px_err refusal;
    char path[PATH_MAX];
    bool registers = registers_only(l, place, old);
    if (!registers && place->is_remote && !place->refusal)
        px_repository_use_files(l->request, &here, path, &refusal);
    if (registers)
        model = px_model_register(place);
    else if (make_room_for(l, &here, err) == PX_OK)
        model = px_model_load(l->r->serving, &here);
    else
        return NULL;
    if (!model)
        px_err_set(err, PX_E_NO_MEMORY, "no memory for another model");
    else if (registers &&
             comes_beside(l, model, old)) /* the loader looks for it when it has been published */
        model->comes_beside = px_residency_want(l->r->serving, model);
    return model;
}

static enum px_code build(struct loading *l, struct px_err *err)
{
    size_t n = l->places.list.len;
    if (!px_vec_reserve(&l->loaded, n) || !px_vec_reserve(&l->added, n))
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu models", n);
    for (size_t i = 0; i < n; i++) {
        const struct px_model_place *place = &l->places.list.items[i];
        const struct px_model *old = serving_version(l, place->version);
        if (old && !is_changed(l, place->version)) {
            l->has_ready = l->has_ready || old->state != PX_MODEL_FAILED;
            continue;
        }
        struct px_err why;
        struct px_model *model = load_place(l, place, old, &why);
        if (!model) {
            *err = why;
            return err->code;
        }
        l->loaded.items[l->loaded.len++] = model; /* reserved */
        if (model->state == PX_MODEL_FAILED) {
            note_failed_version(l, model);
            continue;
        }
        l->has_ready = true;
        enum px_code code = model->state == PX_MODEL_READY ? take_config(l, model, err) : PX_OK;
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

/* ---- planning ---- */

static const struct px_model *successor_of(const struct loading *l, const struct px_model *old)
{
    for (size_t i = 0; i < l->loaded.len; i++) {
        if (px_str_eq(l->loaded.items[i]->version, old->version))
            return l->loaded.items[i];
    }
    return NULL;
}

/* Has polling found it as it was? */
static bool is_kept(const struct loading *l, const struct px_model *old)
{
    if (is_changed(l, old->version))
        return false;
    for (size_t i = 0; i < l->places.list.len; i++) {
        if (px_str_eq(l->places.list.items[i].version, old->version))
            return true;
    }
    return false;
}

/* Does a version that was there stay? */
static bool stays(const struct loading *l, const struct px_model *old)
{
    const struct px_model *successor = successor_of(l, old);
    if (is_kept(l, old))
        return true;
    if (old->state == PX_MODEL_FAILED)
        return !successor && !l->has_ready;
    if (successor)
        return successor->state == PX_MODEL_FAILED;
    return !l->has_ready;
}

static bool find_version(const model_vec *models, struct px_str version)
{
    for (size_t i = 0; i < models->len; i++) {
        if (px_str_eq(models->items[i]->version, version))
            return true;
    }
    return false;
}

static enum px_code plan_old(struct loading *l, model_vec *staying, struct px_err *err)
{
    const struct px_model_set *set = px_serving_models(l->r->serving);
    for (size_t i = 0; i < set->n_models; i++) {
        struct px_model *old = set->models[i];
        if (!px_str_eq(old->name, l->request->name))
            continue;
        struct px_model **slot = stays(l, old) ? px_vec_push(staying) : px_vec_push(&l->removed);
        if (!slot)
            return px_err_set(err, PX_E_NO_MEMORY, "no memory to replace models");
        *slot = old;
    }
    return PX_OK;
}

/*
 * What goes into the snapshot: READY versions, and FAILED ones where nothing serves instead, so that the reason is seen.
 * Files of a request leave no such mark.
 */
static void plan_new(struct loading *l, const model_vec *staying)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->loaded.len; i++) {
        struct px_model *model = l->loaded.items[i];
        bool ready = model->state != PX_MODEL_FAILED;
        bool marks = !ready && l->request->n_files == 0 && !find_version(staying, model->version);
        if (ready || marks)
            l->added.items[l->added.len++] = model; /* reserved */
        else
            l->loaded.items[kept++] = model;
    }
    l->loaded.len = kept;
}

static enum px_code plan(struct loading *l, struct px_err *err)
{
    model_vec staying = {0};
    enum px_code code = plan_old(l, &staying, err);
    if (code == PX_OK)
        plan_new(l, &staying);
    px_vec_free(&staying);
    return code;
}

/* ---- swapping ---- */

enum px_code px_repository_prepare(struct px_repository *r, const struct px_snapshot_change *change,
                                   struct px_grave **ret, struct px_err *err)
{
    struct px_grave *grave = NULL;
    size_t n_models = px_serving_models(r->serving)->n_models - change->n_removed;
    if (change->n_added == 0 && change->n_removed == 0)
        return PX_OK;
    if (n_models + change->n_added > PX_REPOSITORY_MODELS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "more than %d model versions",
                          PX_REPOSITORY_MODELS_MAX);
    enum px_code code = px_grave_open(r, change->n_removed, &grave, err);
    if (code == PX_OK)
        code = px_snapshot_build(r->serving, change, &grave->snapshot, err);
    if (code != PX_OK) {
        px_grave_free(grave);
        return code;
    }
    px_residency_pass_on(r->serving, change);
    if (change->n_removed > 0) /* else there may be no array */
        memcpy(grave->models, change->removed, change->n_removed * sizeof *grave->models);
    grave->n_models = change->n_removed;
    *ret = grave;
    return PX_OK;
}

/* The grave gets the old snapshot for the new one; it is the caller's to close. Call it with the mutex held. */
static void publish(struct px_repository *r, struct px_grave *grave)
{
    if (grave)
        grave->snapshot = px_snapshot_swap(r->serving, grave->snapshot);
}

void px_repository_publish(struct px_repository *r, struct px_grave *grave)
{
    pthread_mutex_lock(&r->mutex);
    publish(r, grave);
    pthread_mutex_unlock(&r->mutex);
}

static void note_outcome(struct px_repository *r, const model_vec *models)
{
    for (size_t i = 0; i < models->len; i++) {
        const struct px_model *model = models->items[i];
        px_repository_note_failure(r, model->name, model->version,
                                   model->state != PX_MODEL_FAILED ? NULL : &model->reason);
    }
}

static enum px_code swap_loaded(struct loading *l, struct px_grave **ret, struct px_err *err)
{
    const struct px_snapshot_change change = {.added = l->added.items,
                                              .n_added = l->added.len,
                                              .removed = l->removed.items,
                                              .n_removed = l->removed.len};
    enum px_code code = px_repository_prepare(l->r, &change, ret, err);
    if (code != PX_OK)
        return code;
    pthread_mutex_lock(&l->r->mutex);
    publish(l->r, *ret);
    note_outcome(l->r, &l->loaded);
    note_outcome(l->r, &l->added);
    pthread_mutex_unlock(&l->r->mutex);
    l->added.len = 0; /* the snapshot has them */
    return PX_OK;
}

/* Files of a request are told by their own paths: where they were put is the server's affair. */
static void hide_folder(const struct loading *l, struct px_err *err)
{
    size_t n = strlen(l->folder.path);
    char *at;
    while (n && (at = strstr(err->message, l->folder.path)) != NULL) {
        char *rest = at + n + (at[n] == '/');
        memmove(at, rest, strlen(rest) + 1);
    }
}

static void free_loading(struct loading *l)
{
    for (size_t i = 0; i < l->loaded.len; i++)
        px_model_unload(l->loaded.items[i]);
    for (size_t i = 0; i < l->added.len; i++)
        px_model_unload(l->added.items[i]);
    px_vec_free(&l->loaded);
    px_vec_free(&l->added);
    px_vec_free(&l->removed);
    px_model_places_deinit(&l->places);
    px_model_folder_remove(&l->folder);
}

static void count_load(struct px_repository *r, uint64_t started_ns, enum px_code code)
{
    px_metric_add(code == PX_OK ? &r->counts.loads : &r->counts.failed_loads, 1);
    px_metric_add(&r->counts.load_ns, px_clock_monotonic_ns() - started_ns);
}

void px_repository_load(struct px_repository *r, struct px_repository_request *request)
{
    uint64_t started_ns = px_clock_monotonic_ns();
    struct px_err *err = &request->err;
    struct px_grave *grave = NULL;
    struct loading l = {.r = r, .request = request, .places = px_model_places()};
    if (!px_repository_has_files(r, request))
        return;
    px_repository_set_busy(r, request->name, PX_REPOSITORY_LOAD);
    enum px_code code = find_places(&l, err);
    if (code == PX_OK)
        code = build(&l, err);
    if (code == PX_OK)
        code = plan(&l, err);
    if (code == PX_OK)
        code = swap_loaded(&l, &grave, err);
    if (code == PX_OK && l.failure.code) {
        *err = l.failure;
        code = l.failure.code;
    }
    if (code != PX_OK)
        hide_folder(&l, err);
    request->code = code;
    free_loading(&l);
    count_load(r, started_ns, code);
    px_repository_set_idle(r);
    px_repository_answer(r, request);
    if (grave)
        px_grave_close(grave);
}

/* ---- unloading ---- */

static enum px_code collect(struct px_repository *r, struct px_str name, model_vec *models,
                            struct px_err *err)
{
    const struct px_model_set *set = px_serving_models(r->serving);
    for (size_t i = 0; i < set->n_models; i++) {
        if (!px_str_eq(set->models[i]->name, name))
            continue;
        struct px_model **slot = px_vec_push(models);
        if (!slot)
            return px_err_set(err, PX_E_NO_MEMORY, "no memory to unload models");
        *slot = set->models[i];
    }
    if (models->len > 0)
        return PX_OK;
    struct px_model_places places = px_model_places(); /* unloaded already, or unknown? */
    enum px_code code = find_in_arguments(r->serving, name, &places, err);
    px_model_places_deinit(&places);
    return code;
}

static void swap_unloaded(struct px_repository *r, const model_vec *models, struct px_grave *grave)
{
    pthread_mutex_lock(&r->mutex);
    publish(r, grave);
    for (size_t i = 0; i < models->len; i++)
        px_repository_note_failure(r, models->items[i]->name, models->items[i]->version, NULL);
    pthread_mutex_unlock(&r->mutex);
}

/* Did a client take out what a load of the same name brings back? Not what came with a request: its files are gone. */
static bool is_remembered(const struct px_repository_request *request, const model_vec *models)
{
    for (size_t i = 0; i < models->len && !request->is_own; i++) {
        if (models->items[i]->path)
            return true;
    }
    return false;
}

static enum px_code unload(struct px_repository *r, const struct px_repository_request *request,
                           struct px_grave **ret, struct px_err *err)
{
    model_vec models = {0};
    struct px_str name = request->name;
    enum px_code code = collect(r, name, &models, err);
    struct px_snapshot_change change = {.removed = models.items, .n_removed = models.len};
    if (code == PX_OK && is_remembered(request, &models))
        change.unloaded = name;
    if (code == PX_OK)
        code = px_repository_prepare(r, &change, ret, err);
    if (code == PX_OK) {
        swap_unloaded(r, &models, *ret);
        if (r->serving->trace)
            px_trace_forget(r->serving->trace, name);
        px_log(PX_LOG_INFO, "model.unloaded", PX_LOG_S("model", name),
               PX_LOG_U("versions", models.len));
        px_metric_add(&r->counts.unloads, 1);
    }
    px_vec_free(&models);
    return code;
}

void px_repository_unload(struct px_repository *r, struct px_repository_request *request)
{
    struct px_grave *grave = NULL;
    px_repository_set_busy(r, request->name, PX_REPOSITORY_UNLOAD);
    request->code = unload(r, request, &grave, &request->err);
    px_repository_set_idle(r);
    px_repository_answer(r, request);
    if (grave) {
        px_grave_close(grave);
        px_memory_give_back();
    }
}
