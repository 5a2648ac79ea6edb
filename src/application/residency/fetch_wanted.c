/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models behind URLs that calls wait for: are their files here?
 *
 * The loader only looks, and takes what is on the disk; what has to come is another thread's affair, so that a slow store delays no other
 * load. The wanted model stays in its list meanwhile, marked so that the loader passes it over, and calls go on to wait for it, or not. Then the loader
 * looks at it again. The index may have changed by then: what was fetched for other files than it names now is not loaded.
 */
#include "application/residency/residency_impl.h"
#include "application/serving/repository_impl.h"

void px_wanted_free(struct px_wanted *wanted)
{
    px_cached_version_release(wanted->held);
    px_remote_version_deinit(&wanted->remote);
    px_free(wanted);
}

static void run_fetch(struct px_fetcher_job *job)
{
    struct px_wanted *wanted = PX_CONTAINER_OF(job, struct px_wanted, fetch);
    struct px_fetching *fetching = wanted->residency->repository->serving->fetching;
    struct px_err err;
    if (px_fetching_fetch(fetching, &wanted->remote, &wanted->held, &err) != PX_OK)
        wanted->fetch_failure = err;
    px_residency_end_fetch(wanted->residency, wanted);
}

static void drop_fetch(struct px_fetcher_job *job)
{
    (void)job; /* part of the wanted model, which the manager frees */
}

/* What an earlier fetch brought, or failed with, is of files that the index no longer names, or was told. */
static void forget(struct px_wanted *wanted)
{
    px_cached_version_release(wanted->held);
    wanted->held = NULL;
    wanted->fetch_failure.code = PX_OK;
}

static void begin_fetch(struct px_repository *r, struct px_wanted *wanted)
{
    struct px_residency *residency = &r->serving->residency;
    pthread_mutex_lock(&residency->mutex);
    wanted->is_fetching = true; /* it is loading already */
    pthread_mutex_unlock(&residency->mutex);
    wanted->fetch = (struct px_fetcher_job){.run = run_fetch, .drop = drop_fetch};
    px_fetching_give(r->serving->fetching, &wanted->fetch);
}

/* PX_OK: it is held, or `*ret_comes`: it is being fetched. */
static enum px_code need_files(struct px_repository *r, struct px_wanted *wanted,
                               const struct px_model_place *place, bool *ret_comes,
                               struct px_err *err)
{
    struct px_remote_version now;
    struct px_fetching *fetching = r->serving->fetching;
    enum px_code code = px_fetching_find(fetching, place->name, place->version, &now, err);
    if (code != PX_OK)
        return code;
    bool is_same = strcmp(now.key, wanted->remote.key) == 0;
    px_remote_version_deinit(&wanted->remote);
    wanted->remote = now;
    if (is_same && wanted->fetch_failure.code) {
        *err = wanted->fetch_failure;
        forget(wanted);
        return err->code;
    }
    if (is_same && wanted->held)
        return PX_OK;
    forget(wanted);
    if (px_fetching_take(fetching, &wanted->remote, &wanted->held, err) == PX_OK)
        return PX_OK;
    begin_fetch(r, wanted);
    *ret_comes = true;
    return PX_OK;
}

bool px_residency_find_files(struct px_repository *r, struct px_wanted *wanted,
                             struct px_model_place *place, char path[PATH_MAX],
                             struct px_err *refusal)
{
    bool comes = false;
    enum px_code code = need_files(r, wanted, place, &comes, refusal);
    if (comes)
        return false;
    if (code == PX_OK) {
        code = px_model_find_in_folder(px_cached_version_path(wanted->held), path, refusal);
        place->local = path;
        place->held = wanted->held;
    }
    place->refusal = code == PX_OK ? NULL : refusal;
    return true;
}
