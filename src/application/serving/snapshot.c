/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The published set of models: an immutable snapshot behind an atomic pointer.
 *
 * Writers build a new snapshot beside the old one and swap the pointer; loops load it once per look-up and never
 * lock. What a snapshot no longer holds is given back by reclaim.c once no loop can be using it; before the loops
 * run, at once. Models that stay are shared by both snapshots.
 */
#include "application/serving/serving_impl.h"

#include "shared/alloc.h"
#include "shared/clock.h"

#include <stdlib.h>

void px_snapshot_free(struct px_snapshot *snapshot)
{
    if (!snapshot)
        return;
    px_map_deinit(&snapshot->first_of);
    px_free(snapshot->models);
    px_free(snapshot->unloaded);
    px_free(snapshot);
}

struct px_snapshot *px_snapshot_current(struct px_serving *serving)
{
    /* Pairs with the release in px_snapshot_swap: what the pointer leads to is complete. */
    return atomic_load_explicit(&serving->snapshot, memory_order_acquire);
}

/* Versions that are whole numbers sort by value and before all others. */
int px_compare_versions(struct px_str a, struct px_str b)
{
    uint64_t x, y;
    bool x_ok = px_str_to_u64(a, &x), y_ok = px_str_to_u64(b, &y);
    if (x_ok && y_ok && x != y)
        return x < y ? -1 : 1;
    if (x_ok != y_ok)
        return x_ok ? -1 : 1;
    return px_str_cmp(a, b);
}

static int compare_models(const void *a, const void *b)
{
    const struct px_model *x = *(struct px_model *const *)a, *y = *(struct px_model *const *)b;
    int order = px_str_cmp(x->name, y->name);
    return order ? order : px_compare_versions(x->version, y->version);
}

static enum px_code index_names(struct px_snapshot *snapshot, struct px_err *err)
{
    enum px_code code = px_map_reserve(&snapshot->first_of, snapshot->set.n_models, err);
    if (code != PX_OK)
        return code;
    for (size_t i = snapshot->set.n_models; i-- > 0;) { /* backwards: the first version stays */
        code = px_map_put(&snapshot->first_of, snapshot->models[i]->name, i, err);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

static enum px_code refuse_twins(const struct px_snapshot *snapshot, struct px_err *err)
{
    for (size_t i = 1; i < snapshot->set.n_models; i++) {
        const struct px_model *a = snapshot->models[i - 1], *b = snapshot->models[i];
        if (compare_models(&a, &b) != 0)
            continue;
        px_err_set(err, PX_E_CONFLICT, "model '%.*s' version %.*s is given twice",
                   PX_STR_ARG(a->name), PX_STR_ARG(a->version));
        return px_err_hint(err, "give one of them another name: NAME=MODEL");
    }
    return PX_OK;
}

static bool is_removed(const struct px_snapshot_change *change, const struct px_model *model)
{
    for (size_t i = 0; i < change->n_removed; i++) {
        if (change->removed[i] == model)
            return true;
    }
    return false;
}

/* The old list is sorted already: with thousands of models and one that changes, merging is what makes a swap cheap. */
static enum px_code fill(struct px_snapshot *snapshot, const struct px_snapshot *old,
                         const struct px_snapshot_change *change, struct px_err *err)
{
    size_t n_old = old ? old->set.n_models : 0, n = 0, n_added = change->n_added;
    snapshot->models = px_alloc(n_old + 2 * n_added + 1, sizeof *snapshot->models);
    if (!snapshot->models)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu models", n_old + n_added);
    struct px_model **added = snapshot->models + n_old + n_added; /* sorted behind the list */
    if (n_added > 0)                                              /* else there may be no array */
        memcpy(added, change->added, n_added * sizeof *added);
    qsort(added, n_added, sizeof *added, compare_models);
    for (size_t i = 0, a = 0; i < n_old || a < n_added;) {
        if (i < n_old && is_removed(change, old->models[i]))
            i++;
        else if (a == n_added || (i < n_old && compare_models(&old->models[i], &added[a]) <= 0))
            snapshot->models[n++] = old->models[i++];
        else
            snapshot->models[n++] = added[a++];
    }
    snapshot->set = (struct px_model_set){snapshot->models, n};
    for (size_t i = 0; i < n; i++)
        snapshot->has_ladders =
            snapshot->has_ladders ||
            (snapshot->models[i]->state == PX_MODEL_FAILED && snapshot->models[i]->rescue);
    enum px_code code = refuse_twins(snapshot, err);
    return code != PX_OK ? code : index_names(snapshot, err);
}

/* ---- what was unloaded ---- */

enum { UNLOADED_BYTES_MAX = 64 << 10 }; /* of names; those that were unloaded first are forgotten */

static struct px_str next_unloaded(const struct px_snapshot *snapshot, size_t *at)
{
    struct px_str name = {0};
    if (snapshot && *at < snapshot->unloaded_len)
        name = px_str(snapshot->unloaded + *at);
    *at += name.len + 1;
    return name;
}

static bool was_unloaded(const struct px_snapshot *snapshot, struct px_str name)
{
    size_t at = 0;
    for (struct px_str one; (one = next_unloaded(snapshot, &at)).len;) {
        if (px_str_eq(one, name))
            return true;
    }
    return false;
}

/* There is room. */
static void put_unloaded(struct px_snapshot *snapshot, struct px_str name)
{
    size_t first;
    if (px_map_get(&snapshot->first_of, name, &first) || was_unloaded(snapshot, name) ||
        snapshot->unloaded_len + name.len + 1 > UNLOADED_BYTES_MAX)
        return;
    memcpy(snapshot->unloaded + snapshot->unloaded_len, name.ptr, name.len);
    snapshot->unloaded_len += name.len + 1; /* the rest is zeros */
}

/* So that a request can be told how such a model comes back. The latest first; who serves again is one no longer. */
static enum px_code list_unloaded(struct px_snapshot *snapshot, const struct px_snapshot *old,
                                  const struct px_snapshot_change *change, struct px_err *err)
{
    size_t at = 0, size = (old ? old->unloaded_len : 0) + change->unloaded.len + 1;
    if (size == 1)
        return PX_OK;
    snapshot->unloaded = px_alloc(size, 1);
    if (!snapshot->unloaded)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the names of unloaded models");
    if (change->unloaded.len)
        put_unloaded(snapshot, change->unloaded);
    for (struct px_str name; (name = next_unloaded(old, &at)).len;)
        put_unloaded(snapshot, name);
    return PX_OK;
}

enum px_code px_snapshot_build(struct px_serving *serving, const struct px_snapshot_change *change,
                               struct px_snapshot **ret, struct px_err *err)
{
    struct px_snapshot *snapshot = px_alloc(1, sizeof *snapshot);
    if (!snapshot)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a snapshot");
    const struct px_snapshot *old = px_snapshot_current(serving);
    enum px_code code = fill(snapshot, old, change, err);
    if (code == PX_OK)
        code = list_unloaded(snapshot, old, change, err);
    if (code == PX_OK)
        *ret = snapshot;
    else
        px_snapshot_free(snapshot);
    return code;
}

struct px_snapshot *px_snapshot_swap(struct px_serving *serving, struct px_snapshot *snapshot)
{
    struct px_snapshot *old = px_snapshot_current(serving);
    atomic_store_explicit(&serving->snapshot, snapshot, memory_order_release);
    return old;
}

enum px_code px_serving_publish(struct px_serving *serving, struct px_model *const *added, size_t n,
                                struct px_err *err)
{
    struct px_snapshot *snapshot = NULL;
    const struct px_snapshot_change change = {.added = added, .n_added = n};
    enum px_code code = px_snapshot_build(serving, &change, &snapshot, err);
    if (code != PX_OK) {
        for (size_t i = 0; i < n; i++)
            px_model_unload(added[i]);
        return code;
    }
    px_snapshot_free(px_snapshot_swap(serving, snapshot));
    return PX_OK;
}

const struct px_model_set *px_serving_models(struct px_serving *serving)
{
    return &px_snapshot_current(serving)->set;
}

enum { SUGGESTIONS_MAX = 256 };

static enum px_code unknown_name(const struct px_snapshot *snapshot, struct px_str name,
                                 struct px_err *err)
{
    const struct px_model_set *set = &snapshot->set;
    struct px_str names[SUGGESTIONS_MAX];
    size_t n = 0;
    if (was_unloaded(snapshot, name)) {
        px_err_set(err, PX_E_NOT_FOUND, "model '%.*s' was unloaded by a client", PX_STR_ARG(name));
        return px_err_hint(err, "POST /v2/repository/models/%.*s/load loads it again",
                           PX_STR_ARG(name));
    }
    for (size_t i = 0; i < set->n_models && n < SUGGESTIONS_MAX; i++)
        names[n++] = set->models[i]->name;
    px_err_set(err, PX_E_NOT_FOUND, "unknown model '%.*s'", PX_STR_ARG(name));
    if (px_err_suggest(err, name, names, n))
        return PX_E_NOT_FOUND;
    return px_err_hint(err, "GET /api/v1/models lists the models of this server");
}

enum px_code px_refuse_absent(const struct px_model *model, struct px_err *err)
{
    px_err_set(err, PX_E_UNAVAILABLE, "model '%.*s' version %.*s is not in memory",
               PX_STR_ARG(model->name), PX_STR_ARG(model->version));
    return px_err_hint(err, "a request for a prediction loads it");
}

static struct px_model *refuse_failed(struct px_model *model, struct px_err *err)
{
    px_err_set(err, PX_E_UNAVAILABLE, "model '%.*s' version %.*s failed to load: %.200s",
               PX_STR_ARG(model->name), PX_STR_ARG(model->version), model->reason.message);
    px_err_hint(err, "%s", model->reason.hint);
    return NULL;
}

/* Can a load that failed be tried again? */
static bool is_due(const struct px_model *model)
{
    return model->retry_ns && px_clock_monotonic_ns() >= model->retry_ns;
}

/* READY, or loaded when it is wanted. */
static bool is_answerable(const struct px_model *model)
{
    return model->state != PX_MODEL_FAILED || is_due(model);
}

static struct px_model *find_version(const struct px_model_set *set, size_t first,
                                     struct px_str version, struct px_err *err)
{
    struct px_str name = set->models[first]->name;
    for (size_t i = first; i < set->n_models && px_str_eq(set->models[i]->name, name); i++) {
        struct px_model *model = set->models[i];
        if (px_str_eq(model->version, version))
            return is_answerable(model) ? model : refuse_failed(model, err);
    }
    px_err_set(err, PX_E_NOT_FOUND, "model '%.*s' has no version '%.*s'", PX_STR_ARG(name),
               PX_STR_ARG(version));
    px_err_hint(err, "GET /v2/models/%.*s lists its versions", PX_STR_ARG(name));
    return NULL;
}

/* One that failed is tried again only when no other version answers; one that comes beside others leaves them the requests until it is there. */
static struct px_model *find_latest(const struct px_model_set *set, size_t first,
                                    struct px_err *err)
{
    struct px_str name = set->models[first]->name;
    struct px_model *latest = NULL, *ready = NULL, *last = set->models[first];
    for (size_t i = first; i < set->n_models && px_str_eq(set->models[i]->name, name); i++) {
        last = set->models[i];
        if (last->state != PX_MODEL_FAILED)
            latest = last;
        if (last->state == PX_MODEL_READY)
            ready = last;
    }
    if (latest)
        return latest->comes_beside && ready ? ready : latest;
    return is_due(last) ? last : refuse_failed(last, err);
}

struct px_model *px_serving_find_known(struct px_serving *serving, struct px_str name,
                                       struct px_str version, struct px_err *err)
{
    const struct px_snapshot *snapshot = px_snapshot_current(serving);
    size_t first;
    if (!px_map_get(&snapshot->first_of, name, &first)) {
        unknown_name(snapshot, name, err);
        return NULL;
    }
    return version.len ? find_version(&snapshot->set, first, version, err)
                       : find_latest(&snapshot->set, first, err);
}

/* The versions of a name: their number, and the first. */
static size_t find_versions(struct px_serving *serving, struct px_str name,
                            struct px_model *const **ret)
{
    const struct px_snapshot *snapshot = px_snapshot_current(serving);
    size_t first, n = 0;
    if (!px_map_get(&snapshot->first_of, name, &first))
        return 0;
    *ret = &snapshot->set.models[first];
    while (first + n < snapshot->set.n_models && px_str_eq((*ret)[n]->name, name))
        n++;
    return n;
}

struct px_model *px_serving_find_before(struct px_serving *serving, struct px_str name,
                                        struct px_str version, bool is_ready)
{
    struct px_model *const *versions = NULL, *before = NULL;
    size_t n = find_versions(serving, name, &versions);
    for (size_t i = 0; i < n && px_compare_versions(versions[i]->version, version) < 0; i++) {
        if (is_ready ? versions[i]->state == PX_MODEL_READY : is_answerable(versions[i]))
            before = versions[i];
    }
    return before;
}

struct px_model *px_serving_find_failed(struct px_serving *serving, struct px_str name,
                                        struct px_str version)
{
    struct px_model *const *versions = NULL, *asked = NULL;
    size_t n = find_versions(serving, name, &versions);
    for (size_t i = 0; i < n; i++) {
        if (version.len == 0 || px_str_eq(versions[i]->version, version))
            asked = versions[i];
    }
    return asked && asked->state == PX_MODEL_FAILED ? asked : NULL;
}

struct px_model *px_serving_find(struct px_serving *serving, struct px_str name,
                                 struct px_str version, struct px_err *err)
{
    struct px_model *model = px_serving_find_known(serving, name, version, err);
    if (!model || PX_LIKELY(model->state == PX_MODEL_READY))
        return model;
    (void)px_refuse_absent(model, err);
    return NULL;
}
