/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads of models behind URLs: what they need is fetched first, beside the loader, which does other things meanwhile.
 *
 *   the loader finds that the load needs files from elsewhere -> a thread that fetches brings them -> the loader gets the load again
 *
 * For a client's load the indexes are read again, as folders are looked at anew, and all versions are brought. For one of polling, which has just read
 * them, those that are to replace what is in memory. What cannot be had is a failed version of the load, with its reason.
 */
#include "application/serving/repository_impl.h"

struct px_fetched {
    struct px_fetched *next;
    struct px_remote_version remote;
    struct px_cached_version *held; /* NULL: not yet, or `failure` */
    struct px_err failure;
    size_t version_len;
    char version[PX_MODEL_NAME_MAX];
};

void px_repository_free_fetched(struct px_repository_request *request)
{
    for (struct px_fetched *f = request->fetched, *next; f; f = next) {
        next = f->next;
        px_cached_version_release(f->held);
        px_remote_version_deinit(&f->remote);
        px_free(f);
    }
    request->fetched = NULL;
}

static enum px_code add_needed(struct px_repository_request *request, struct px_str version,
                               struct px_err *err)
{
    struct px_fetched *f = px_alloc(1, sizeof *f);
    if (!f)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to fetch a model");
    f->next = request->fetched;
    request->fetched = f;
    f->version_len = version.len;
    memcpy(f->version, version.ptr, version.len); /* a valid version fits */
    return PX_OK;
}

/* ---- on a thread that fetches ---- */

/* Every version that the indexes name now. */
static enum px_code need_all(struct px_repository_request *request, struct px_err *err)
{
    struct px_serving *serving = request->serving;
    struct px_model_places places = px_model_places();
    struct px_version_policy policy;
    bool has_policy;
    enum px_code code =
        px_version_policy_of_config(request->config, &places.arena, &policy, &has_policy, err);
    if (has_policy && code == PX_OK)
        places.policy = &policy;
    for (size_t i = 0; i < serving->arguments.len && code == PX_OK; i++) {
        const char *argument = serving->arguments.items[i];
        if (px_store_is_url(px_str(argument)))
            code = px_fetching_scan(serving->fetching, argument, &places, err);
    }
    for (size_t i = 0; i < places.list.len && code == PX_OK; i++) {
        const struct px_model_place *place = &places.list.items[i];
        if (px_str_eq(place->name, request->name) && !place->refusal)
            code = add_needed(request, place->version, err);
    }
    px_model_places_deinit(&places);
    return code;
}

static void bring(struct px_repository_request *request, struct px_fetched *f)
{
    struct px_fetching *fetching = request->serving->fetching;
    struct px_str version = px_str_n(f->version, f->version_len);
    struct px_err err;
    enum px_code code = px_fetching_find(fetching, request->name, version, &f->remote, &err);
    if (code == PX_OK && px_fetching_take(fetching, &f->remote, &f->held, &err) != PX_OK)
        code = px_fetching_fetch(fetching, &f->remote, &f->held, &err);
    if (code != PX_OK)
        f->failure = err;
}

static void run_fetch(struct px_fetcher_job *job)
{
    struct px_repository_request *request =
        PX_CONTAINER_OF(job, struct px_repository_request, fetch);
    struct px_repository *r = px_repository_of(request->serving);
    enum px_code code = PX_OK;
    if (!request->is_own) {
        px_fetching_refresh(request->serving->fetching);
        code = need_all(request, &request->err);
    }
    for (struct px_fetched *f = request->fetched; f && code == PX_OK; f = f->next)
        bring(request, f);
    if (code == PX_OK)
        code = px_control_give(r->loader, &request->job, &request->err);
    if (code == PX_OK)
        return;
    request->code = code;
    px_repository_answer(r, request);
}

static void drop_fetch(struct px_fetcher_job *job)
{
    px_repository_request_free(PX_CONTAINER_OF(job, struct px_repository_request, fetch));
}

/* ---- on the loader ---- */

/* Does the load concern models behind URLs? One that is not known may be in an index that has changed. */
static bool is_concerned(struct px_repository *r, const struct px_repository_request *request)
{
    const struct px_model_set *set = px_serving_models(r->serving);
    bool is_known = false, is_remote = false;
    for (size_t i = 0; i < set->n_models; i++) {
        bool is_it = px_str_eq(set->models[i]->name, request->name);
        is_known = is_known || is_it;
        is_remote = is_remote || (is_it && set->models[i]->is_remote);
    }
    return request->is_own ? is_remote : is_remote || !is_known;
}

/* What polling found changed, and is in memory. */
static enum px_code need_changed(struct px_repository *r, struct px_repository_request *request,
                                 struct px_err *err)
{
    const struct px_model_set *set = px_serving_models(r->serving);
    enum px_code code = PX_OK;
    for (size_t i = 0; i < set->n_models && code == PX_OK; i++) {
        const struct px_model *model = set->models[i];
        if (px_str_eq(model->name, request->name) && model->is_remote &&
            model->state == PX_MODEL_READY && px_repository_names_changed(request, model->version))
            code = add_needed(request, model->version, err);
    }
    return code;
}

bool px_repository_has_files(struct px_repository *r, struct px_repository_request *request)
{
    const struct px_fetching *fetching = r->serving->fetching;
    if (request->was_fetched || request->n_files > 0 || !fetching ||
        !px_fetching_has_repositories(fetching) || !is_concerned(r, request))
        return true;
    request->was_fetched = true;
    /* Without memory for the list its versions fail, which says so. */
    if (request->is_own && (need_changed(r, request, NULL) != PX_OK || !request->fetched))
        return true;
    request->fetch = (struct px_fetcher_job){.run = run_fetch, .drop = drop_fetch};
    px_fetching_give(r->serving->fetching, &request->fetch);
    return false;
}

void px_repository_use_files(const struct px_repository_request *request,
                             struct px_model_place *place, char path[PATH_MAX],
                             struct px_err *refusal)
{
    const struct px_fetched *f = request->fetched;
    while (f && !px_str_eq(px_str_n(f->version, f->version_len), place->version))
        f = f->next;
    place->refusal = refusal;
    if (f && f->failure.code) {
        *refusal = f->failure;
    } else if (!f || !f->held) {
        px_err_set(refusal, PX_E_UNAVAILABLE, "its files have not been fetched");
        px_err_hint(refusal, "load it once more");
    } else if (px_model_find_in_folder(px_cached_version_path(f->held), path, refusal) == PX_OK) {
        place->refusal = NULL;
        place->local = path;
        place->held = f->held;
    }
}
