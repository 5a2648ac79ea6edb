/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serving core's state: the published snapshot of models, look-ups in it, readiness.
 *
 * Writers build a new snapshot beside the old one and swap the pointer; loops load it once per look-up and
 * never lock. Old snapshots are small (pointers) and are kept until the end, because a loop may be
 * reading one; the models themselves are shared by all snapshots.
 */
#include "application/serving/serving_impl.h"

#include "shared/alloc.h"
#include "shared/clock.h"

#include <stdlib.h>

enum px_code px_serving_create(unsigned n_loops, const struct px_serving_limits *limits,
                               struct px_serving **ret, struct px_err *err)
{
    PX_ASSERT(n_loops > 0 && limits->batch_rows_max > 0);
    struct px_serving *serving = px_alloc(1, sizeof *serving);
    if (!serving)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the serving core");
    serving->limits = *limits;
    serving->n_loops = n_loops;
    serving->started_ns = px_clock_wall_ns();
    serving->loops = px_alloc_aligned(PX_CACHE_LINE, n_loops, sizeof *serving->loops);
    if (!serving->loops || px_serving_publish(serving, NULL, 0, err) != PX_OK) {
        px_serving_destroy(serving);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %u event loops", n_loops);
    }
    if (limits->batch_threads > 1) {
        enum px_code code = px_pool_create(limits->batch_threads, &serving->pool, err);
        if (code != PX_OK) {
            px_serving_destroy(serving);
            return px_err_wrap(err, "serving.batch_threads");
        }
    }
    *ret = serving;
    return PX_OK;
}

static void free_snapshot(struct px_snapshot *snapshot)
{
    px_map_deinit(&snapshot->first_of);
    px_free(snapshot->models);
    px_free(snapshot);
}

static struct px_snapshot *current(struct px_serving *serving)
{
    /* Pairs with the release in px_serving_publish: what the pointer leads to is complete. */
    return atomic_load_explicit(&serving->snapshot, memory_order_acquire);
}

void px_serving_destroy(struct px_serving *serving)
{
    if (!serving)
        return;
    struct px_snapshot *snapshot = current(serving);
    for (size_t i = 0; snapshot && i < snapshot->set.n_models; i++)
        px_model_unload(snapshot->models[i]);
    while (snapshot) {
        struct px_snapshot *older = snapshot->older;
        free_snapshot(snapshot);
        snapshot = older;
    }
    px_pool_destroy(serving->pool); /* after the engines that use it */
    px_free(serving->loops);
    px_free(serving);
}

/* Versions that are whole numbers sort by value and before all others. */
static int compare_versions(struct px_str a, struct px_str b)
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
    return order ? order : compare_versions(x->version, y->version);
}

static enum px_code index_names(struct px_snapshot *snapshot, struct px_err *err)
{
    for (size_t i = snapshot->set.n_models; i-- > 0;) { /* backwards: the first version stays */
        enum px_code code = px_map_put(&snapshot->first_of, snapshot->models[i]->name, i, err);
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

static enum px_code build_snapshot(struct px_snapshot *snapshot, const struct px_snapshot *old,
                                   struct px_model *const *added, size_t n, struct px_err *err)
{
    size_t n_old = old ? old->set.n_models : 0;
    snapshot->models = px_alloc(n_old + n, sizeof *snapshot->models);
    if (!snapshot->models)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu models", n_old + n);
    for (size_t i = 0; i < n_old; i++)
        snapshot->models[i] = old->models[i];
    for (size_t i = 0; i < n; i++)
        snapshot->models[n_old + i] = added[i];
    snapshot->set = (struct px_model_set){snapshot->models, n_old + n};
    qsort(snapshot->models, n_old + n, sizeof *snapshot->models, compare_models);
    enum px_code code = refuse_twins(snapshot, err);
    return code != PX_OK ? code : index_names(snapshot, err);
}

enum px_code px_serving_publish(struct px_serving *serving, struct px_model *const *added, size_t n,
                                struct px_err *err)
{
    struct px_snapshot *old = current(serving);
    struct px_snapshot *snapshot = px_alloc(1, sizeof *snapshot);
    enum px_code code = snapshot ? build_snapshot(snapshot, old, added, n, err)
                                 : px_err_set(err, PX_E_NO_MEMORY, "no memory for a snapshot");
    if (code != PX_OK) {
        for (size_t i = 0; i < n; i++)
            px_model_unload(added[i]);
        if (snapshot)
            free_snapshot(snapshot);
        return code;
    }
    snapshot->older = old;
    atomic_store_explicit(&serving->snapshot, snapshot, memory_order_release);
    return PX_OK;
}

const struct px_model_set *px_serving_models(struct px_serving *serving)
{
    return &current(serving)->set;
}

enum { SUGGESTIONS_MAX = 256 };

static enum px_code unknown_name(const struct px_model_set *set, struct px_str name,
                                 struct px_err *err)
{
    struct px_str names[SUGGESTIONS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < set->n_models && n < SUGGESTIONS_MAX; i++)
        names[n++] = set->models[i]->name;
    px_err_set(err, PX_E_NOT_FOUND, "unknown model '%.*s'", PX_STR_ARG(name));
    if (px_err_suggest(err, name, names, n))
        return PX_E_NOT_FOUND;
    return px_err_hint(err, "GET /api/v1/models lists the models of this server");
}

static struct px_model *refuse_failed(struct px_model *model, struct px_err *err)
{
    px_err_set(err, PX_E_UNAVAILABLE, "model '%.*s' version %.*s failed to load: %.200s",
               PX_STR_ARG(model->name), PX_STR_ARG(model->version), model->reason.message);
    px_err_hint(err, "%s", model->reason.hint);
    return NULL;
}

static struct px_model *find_version(const struct px_model_set *set, size_t first,
                                     struct px_str version, struct px_err *err)
{
    struct px_str name = set->models[first]->name;
    for (size_t i = first; i < set->n_models && px_str_eq(set->models[i]->name, name); i++) {
        struct px_model *model = set->models[i];
        if (px_str_eq(model->version, version))
            return model->state == PX_MODEL_READY ? model : refuse_failed(model, err);
    }
    px_err_set(err, PX_E_NOT_FOUND, "model '%.*s' has no version '%.*s'", PX_STR_ARG(name),
               PX_STR_ARG(version));
    px_err_hint(err, "GET /v2/models/%.*s lists its versions", PX_STR_ARG(name));
    return NULL;
}

static struct px_model *find_latest(const struct px_model_set *set, size_t first,
                                    struct px_err *err)
{
    struct px_str name = set->models[first]->name;
    struct px_model *latest = NULL;
    size_t i = first;
    for (; i < set->n_models && px_str_eq(set->models[i]->name, name); i++) {
        if (set->models[i]->state == PX_MODEL_READY)
            latest = set->models[i];
    }
    return latest ? latest : refuse_failed(set->models[i - 1], err);
}

struct px_model *px_serving_find(struct px_serving *serving, struct px_str name,
                                 struct px_str version, struct px_err *err)
{
    const struct px_snapshot *snapshot = current(serving);
    size_t first;
    if (!px_map_get(&snapshot->first_of, name, &first)) {
        unknown_name(&snapshot->set, name, err);
        return NULL;
    }
    return version.len ? find_version(&snapshot->set, first, version, err)
                       : find_latest(&snapshot->set, first, err);
}

void px_serving_drain(struct px_serving *serving)
{
    /* A flag of its own: nothing else is published by it. */
    atomic_store_explicit(&serving->draining, true, memory_order_relaxed);
}

bool px_serving_is_draining(const struct px_serving *serving)
{
    return atomic_load_explicit(&serving->draining, memory_order_relaxed);
}

bool px_serving_is_ready(struct px_serving *serving, struct px_err *err)
{
    const struct px_model_set *set = px_serving_models(serving);
    if (px_serving_is_draining(serving)) {
        px_err_set(err, PX_E_UNAVAILABLE, "the server is draining and will stop");
        return false;
    }
    for (size_t i = 0; i < set->n_models; i++) {
        if (set->models[i]->state == PX_MODEL_READY)
            return true;
    }
    px_err_set(err, PX_E_UNAVAILABLE, "no model is ready (%zu failed to load)", set->n_models);
    return false;
}

struct px_loop_metrics *px_serving_loop_metrics(struct px_serving *serving, unsigned loop)
{
    PX_ASSERT(loop < serving->n_loops);
    return &serving->loops[loop].metrics;
}

unsigned px_serving_n_loops(const struct px_serving *serving)
{
    return serving->n_loops;
}

uint64_t px_serving_started_ns(const struct px_serving *serving)
{
    return serving->started_ns;
}

const struct px_serving_limits *px_serving_limits(const struct px_serving *serving)
{
    return &serving->limits;
}
