/* SPDX-License-Identifier: Apache-2.0 */
/* The serving core: its parts, readiness, and what the loops own. */
#include "application/lifecycle/package.h"
#include "application/residency/memory_use.h"
#include "application/serving/repository_impl.h"
#include "application/serving/serving_impl.h"

#include "shared/alloc.h"
#include "shared/clock.h"

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
    px_residency_init(&serving->residency);
    serving->loops = px_alloc_aligned(PX_CACHE_LINE, n_loops, sizeof *serving->loops);
    if (!serving->loops || px_serving_publish(serving, NULL, 0, err) != PX_OK) {
        px_serving_destroy(serving);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %u event loops", n_loops);
    }
    if (limits->cache_bytes_max > 0) {
        const struct px_cache_settings settings = {.bytes_max = limits->cache_bytes_max};
        enum px_code code = px_cache_create(&settings, &serving->cache, err);
        if (code != PX_OK) {
            px_serving_destroy(serving);
            return code;
        }
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

static void free_arguments(struct px_serving *serving)
{
    for (size_t i = 0; i < serving->arguments.len; i++)
        px_free(serving->arguments.items[i]);
    px_vec_free(&serving->arguments);
}

void px_serving_destroy(struct px_serving *serving)
{
    if (!serving)
        return;
    px_repository_destroy(serving);
    struct px_snapshot *snapshot = px_snapshot_current(serving);
    for (size_t i = 0; snapshot && i < snapshot->set.n_models; i++)
        px_model_unload(snapshot->models[i]);
    px_snapshot_free(snapshot);
    px_pool_destroy(serving->pool);   /* after the engines that use it */
    px_cache_destroy(serving->cache); /* after the models, which have spaces in it */
    free_arguments(serving);
    px_residency_deinit(&serving->residency);
    px_fetching_destroy(serving->fetching); /* after the models, which hold fetched files */
    px_free(serving->loops);
    px_free(serving);
}

static bool has_room(const struct px_residency *residency, const struct px_model_place *place,
                     uint64_t resident)
{
    struct px_pressure_reading unused;
    uint64_t n_bytes = px_memory_on_disk(place->path), most = residency->settings.memory_max;
    return (most == 0 || resident + n_bytes <= most) &&
           px_residency_over_system(residency, 2 * n_bytes, &unused) == 0;
}

/* The others are registered: on demand all that nobody pinned or named, else those that find no room. */
static bool is_loaded_now(const struct px_serving *serving, const struct px_model_place *place,
                          uint64_t resident)
{
    const struct px_residency_settings *settings = &serving->residency.settings;
    if (place->stands_alone || place->refusal)
        return true;
    if (place->is_remote)
        return false; /* there may be thousands, and whoever asks for one fetches it */
    return (!settings->on_demand && has_room(&serving->residency, place, resident)) ||
           px_package_is_pinned(place->path);
}

static enum px_code load_places(struct px_serving *serving, const struct px_model_places *places,
                                struct px_err *err)
{
    PX_VEC(struct px_model *) models = {0};
    uint64_t resident = px_residency_bytes(serving);
    enum px_code code = PX_OK;
    if (!px_vec_reserve(&models, places->list.len + 1))
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu models", places->list.len);
    for (size_t i = 0; code == PX_OK && i < places->list.len; i++) {
        const struct px_model_place *place = &places->list.items[i];
        struct px_model *model = is_loaded_now(serving, place, resident)
                                     ? px_model_load(serving, place)
                                     : px_model_register(place);
        if (model && model->state == PX_MODEL_FAILED && !place->refusal &&
            px_code_retryable(model->reason.code))
            px_residency_set_retry(model, NULL);
        if (model)
            models.items[models.len++] = model; /* reserved */
        else
            code = px_err_set(err, PX_E_NO_MEMORY, "no memory for another model");
        resident += model && model->state == PX_MODEL_READY ? model->bytes : 0;
    }
    if (code == PX_OK) {
        code = px_serving_publish(serving, models.items, models.len, err);
    } else {
        for (size_t i = 0; i < models.len; i++)
            px_model_unload(models.items[i]);
    }
    px_vec_free(&models);
    return code;
}

/* The repository looks there again when something is loaded. */
static enum px_code keep_argument(struct px_serving *serving, const char *argument,
                                  struct px_err *err)
{
    size_t size = strlen(argument) + 1;
    char *copy = px_alloc(size, 1);
    char **slot = copy ? px_vec_push(&serving->arguments) : NULL;
    if (!slot) {
        px_free(copy);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for another model");
    }
    memcpy(copy, argument, size);
    *slot = copy;
    return PX_OK;
}

enum px_code px_serving_add(struct px_serving *serving, const char *argument, struct px_err *err)
{
    struct px_model_places places = px_model_places();
    enum px_code code = PX_OK;
    if (serving->fetching && px_store_is_url(px_str(argument)))
        code = px_fetching_add(serving->fetching, argument, err);
    if (code == PX_OK)
        code = px_serving_scan(serving, argument, &places, err);
    if (code == PX_OK)
        code = load_places(serving, &places, err);
    if (code == PX_OK)
        code = keep_argument(serving, argument, err);
    px_model_places_deinit(&places);
    return code;
}

enum px_code px_serving_set_fetching(struct px_serving *serving,
                                     const struct px_fetching_settings *settings,
                                     struct px_err *err)
{
    PX_ASSERT(!serving->fetching);
    return px_fetching_create(settings, &serving->fetching, err);
}

const struct px_fetching *px_serving_fetching(const struct px_serving *serving)
{
    return serving->fetching;
}

void px_serving_set_engines(struct px_serving *serving, const struct px_engines *engines)
{
    serving->engines = engines;
}

void px_serving_set_rows_max(struct px_serving *serving, size_t rows_max)
{
    /* A number of its own: nothing else is published by it. */
    atomic_store_explicit(&serving->limits.request_rows_max, rows_max, memory_order_relaxed);
}

void px_serving_set_pressure(struct px_serving *serving, const struct px_pressure *pressure)
{
    serving->pressure = pressure;
}

void px_serving_set_trace(struct px_serving *serving, struct px_trace *trace)
{
    serving->trace = trace;
}

struct px_trace *px_serving_trace(struct px_serving *serving)
{
    return serving->trace;
}

const struct px_warm_up_counts *px_warm_up_counts(const struct px_serving *serving)
{
    return &serving->warmed;
}

void px_serving_drain(struct px_serving *serving)
{
    /* A flag of its own: nothing else is published by it. */
    atomic_store_explicit(&serving->draining, true, memory_order_relaxed);
}

void px_serving_drain_engines(struct px_serving *serving)
{
    const struct px_model_set *set = px_serving_models(serving);
    for (size_t i = 0; i < set->n_models; i++) {
        if (set->models[i]->engine)
            px_engine_drain(set->models[i]->engine);
    }
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
        if (set->models[i]->state != PX_MODEL_FAILED)
            return true;
    }
    if (set->n_models == 0)
        px_err_set(err, PX_E_UNAVAILABLE, "no model is loaded");
    else
        px_err_set(err, PX_E_UNAVAILABLE, "no model is ready (%zu failed to load)", set->n_models);
    return false;
}

bool px_model_is_able(const struct px_model *model, struct px_err *err)
{
    if (model->state == PX_MODEL_READY)
        return px_engine_is_able(model->engine, err);
    if (model->state == PX_MODEL_FAILED && err)
        *err = model->reason;
    return model->state != PX_MODEL_FAILED;
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
