/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads one model version: package, engine, lanes, metrics, self-test, warm-up.
 *
 * Everything that can fail fails here, before the model is in the snapshot, and ends in a FAILED model with the
 * reason. All memory that scoring needs is reserved here. Golden rows are compared first, then the version is warmed (model_warm.c).
 */
#include "application/execution/forest_engine.h"
#include "application/lifecycle/check.h"
#include "application/residency/manifest.h"
#include "application/residency/memory_use.h"
#include "application/serving/serving_impl.h"

#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/log.h"
#include "shared/thread.h"

enum { SAMPLE_JSON_MAX = 1 << 16 };

size_t px_lane_row_bytes(const struct px_engine *engine)
{
    size_t n_scores = engine->n_margins > engine->n_outputs ? engine->n_margins : engine->n_outputs;
    return engine->n_features * px_datatype_size(engine->feature_type) +
           n_scores * px_datatype_size(engine->score_type);
}

static enum px_code choose_rows_max(const struct px_serving *serving,
                                    const struct px_engine *engine, size_t *ret, struct px_err *err)
{
    size_t row_bytes = px_lane_row_bytes(engine), fit = PX_LANE_BYTES_MAX / row_bytes;
    if (fit == 0)
        return px_err_set(err, PX_E_TOO_LARGE,
                          "one row of %zu features takes %zu bytes, expected at most %d",
                          engine->n_features, row_bytes, PX_LANE_BYTES_MAX);
    *ret = fit < serving->limits.batch_rows_max ? fit : serving->limits.batch_rows_max;
    return PX_OK;
}

static enum px_code init_lane(struct px_lane *lane, struct px_model *model, size_t rows_max,
                              struct px_err *err)
{
    const struct px_engine *engine = model->engine;
    size_t n_scores = engine->n_margins > engine->n_outputs ? engine->n_margins : engine->n_outputs;
    lane->model = model;
    lane->rows_max = rows_max;
    lane->rows = (struct px_matrix){
        .type = engine->feature_type,
        .data = px_alloc(rows_max * engine->n_features, px_datatype_size(engine->feature_type)),
        .n_cols = engine->n_features,
        .stride = engine->n_features,
    };
    lane->scores = (struct px_matrix){
        .type = engine->score_type,
        .data = px_alloc(rows_max * n_scores, px_datatype_size(engine->score_type)),
        .n_cols = engine->n_outputs,
        .stride = engine->n_outputs,
    };
    lane->scratch = px_alloc_aligned(PX_CACHE_LINE, 1, px_engine_scratch_size(engine, rows_max));
    if (!lane->rows.data || !lane->scores.data || !lane->scratch)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for batches of %zu rows", rows_max);
    return PX_OK;
}

enum px_code px_model_reserve(const struct px_serving *serving, struct px_model *model,
                              struct px_err *err)
{
    unsigned n_loops = serving->n_loops;
    bool has_rows = !px_engine_has(model->engine, PX_ENGINE_TENSORS);
    size_t rows_max = 0;
    enum px_code code = has_rows ? choose_rows_max(serving, model->engine, &rows_max, err) : PX_OK;
    if (code != PX_OK)
        return code;
    model->metrics = px_alloc_aligned(PX_CACHE_LINE, n_loops, sizeof *model->metrics);
    model->lanes = px_alloc_aligned(PX_CACHE_LINE, n_loops, sizeof *model->lanes);
    model->n_lanes = model->lanes ? n_loops : 0;
    if (!model->metrics || !model->lanes)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the counters of %u loops", n_loops);
    for (unsigned i = 0; i < n_loops && code == PX_OK && has_rows; i++)
        code = init_lane(&model->lanes[i], model, rows_max, err);
    return code;
}

/* An example is a help, not a need: a model that is too wide for one has none. */
static void keep_sample(struct px_model *model)
{
    struct px_buf json = px_buf(SAMPLE_JSON_MAX);
    px_model_sample(model->package, &json);
    if (!json.failed)
        model->sample_json = px_arena_str(&model->package->arena, px_buf_view(&json));
    px_buf_deinit(&json);
}

static enum px_code load_forest(struct px_serving *serving, struct px_model *model,
                                const struct px_model_place *place, struct px_err *err)
{
    struct px_check_report report;
    enum px_code code = px_check_package(model->package, NULL, &report, err);
    model->forest = px_forest_info(model->package->forest);
    if (code == PX_OK)
        code = px_forest_engine_create(model->package->forest, serving->pool, &model->engine, err);
    if (code == PX_OK)
        code = px_model_reserve(serving, model, err);
    if (code != PX_OK)
        return code;
    px_model_warm_rows(model);
    return px_model_warm_recorded(serving, model, place, err);
}

struct forest_work {
    struct px_serving *serving;
    struct px_model *model;
    const struct px_model_place *place;
    enum px_code code;
    struct px_err *err;
};

static void do_forest_work(void *argument)
{
    struct forest_work *w = argument;
    w->code = load_forest(w->serving, w->model, w->place, w->err);
}

/* Before the repository is managed no loop is at work. */
static enum px_standing standing_of(const struct px_serving *serving,
                                    const struct px_model_place *place)
{
    if (!atomic_load_explicit(&serving->repository, memory_order_relaxed))
        return PX_STANDING_EQUAL;
    return place->is_awaited ? PX_STANDING_BEHIND : PX_STANDING_LAST;
}

/* Checking a large forest takes as long as reading a part of it, and stands back like that. */
static enum px_code load_forest_behind(struct px_serving *serving, struct px_model *model,
                                       const struct px_model_place *place, struct px_err *err)
{
    struct forest_work work = {.serving = serving, .model = model, .place = place, .err = err};
    bool is_large = model->package->model_size >= PX_PACKAGE_BEHIND_BYTES;
    px_thread_run_behind(is_large ? standing_of(serving, place) : PX_STANDING_EQUAL, do_forest_work,
                         &work);
    return work.code;
}

static enum px_code load_tensors(struct px_serving *serving, struct px_model *model,
                                 const struct px_model_place *place, struct px_err *err)
{
    struct px_check_report report;
    enum px_code code = px_check_package(model->package, NULL, &report, err);
    model->engine = model->package->engine;
    model->score_max = 1;
    if (code == PX_OK)
        code = px_model_reserve(serving, model, err);
    if (code == PX_OK)
        code = px_limit_create(&model->package->limits, model->engine, &model->limit, err);
    if (code == PX_OK)
        code = px_model_warm_tensors(model, err);
    return code == PX_OK ? px_model_warm_recorded(serving, model, place, err) : code;
}

static bool has_rung(const struct px_package *package, enum px_rung_kind kind)
{
    for (size_t i = 0; i < package->fallback.n_rungs; i++) {
        if (package->fallback.rungs[i].kind == kind)
            return true;
    }
    return false;
}

enum px_code px_model_open_cache(const struct px_serving *serving, struct px_model *model,
                                 struct px_err *err)
{
    const struct px_cache_space_settings settings = {
        .ttl_ns = model->package->cache.ttl_ns,
        .waits = px_engine_has(model->engine, PX_ENGINE_TENSORS),
        .keeps_stale = has_rung(model->package, PX_RUNG_CACHED),
    };
    return px_cache_open(serving->cache, &settings, &model->cache, err);
}

struct manifest_work {
    const char *folder;
    enum px_code code;
    struct px_err *err;
};

static void do_manifest_work(void *argument)
{
    struct manifest_work *w = argument;
    w->code = px_manifest_check(w->folder, w->err);
}

/*
 * At every load, whoever asked for it: what polling refuses must not serve after the next start. The files are read for it, so the load finds them in the
 * system's cache; those of a large model are hashed behind those who answer.
 */
static enum px_code check_manifest(const struct px_serving *serving,
                                   const struct px_model_place *place, struct px_err *err)
{
    char folder[PATH_MAX];
    if (place->is_remote)
        return PX_OK; /* the cache has compared its files with the index */
    px_model_place_folder(place, folder);
    struct manifest_work work = {.folder = folder, .err = err};
    bool is_large = px_memory_on_disk(folder) >= PX_PACKAGE_BEHIND_BYTES;
    px_thread_run_behind(is_large ? standing_of(serving, place) : PX_STANDING_EQUAL,
                         do_manifest_work, &work);
    return work.code == PX_E_NOT_FOUND ? PX_OK : work.code; /* there need not be one */
}

static enum px_code load(struct px_serving *serving, struct px_model *model,
                         const struct px_model_place *place, struct px_err *err)
{
    if (place->refusal) {
        *err = *place->refusal;
        return err->code;
    }
    enum px_code code = check_manifest(serving, place, err);
    if (code != PX_OK)
        return code;
    const struct px_package_options options = {.engines = serving->engines,
                                               .from_client = place->from_client,
                                               .standing = standing_of(serving, place)};
    const char *path = px_model_place_files(place);
    PX_ASSERT(path); /* what is remote has been fetched */
    code = px_package_open(path, &options, &model->package, err);
    if (code != PX_OK)
        return code;
    model->signature = &model->package->signature;
    model->is_pinned = model->package->is_pinned;
    code = model->package->engine ? load_tensors(serving, model, place, err)
                                  : load_forest_behind(serving, model, place, err);
    if (code == PX_OK)
        keep_sample(model);
    if (code != PX_OK || !model->package->cache.is_on || !serving->cache)
        return code; /* a server without room for a cache serves the model without one */
    return px_model_open_cache(serving, model, err);
}

void px_model_release(struct px_model *model)
{
    for (unsigned i = 0; i < model->n_lanes; i++) {
        px_free(model->lanes[i].rows.data);
        px_free(model->lanes[i].scores.data);
        px_free(model->lanes[i].scratch);
    }
    px_cache_close(model->cache);
    px_limit_destroy(model->limit);
    px_recorder_release(model->recorder);
    px_rescue_destroy(model->rescue); /* before the package */
    model->rescue = NULL;
    px_free(model->lanes);
    px_free(model->metrics);
    if (!model->package || model->engine != model->package->engine)
        px_engine_destroy(model->engine); /* else the package does */
    px_package_close(model->package);
    px_cached_version_release(model->held); /* after all that may have its files open */
    model->held = NULL;
    model->cache = NULL;
    model->limit = NULL;
    model->recorder = NULL;
    model->lanes = NULL;
    model->n_lanes = 0;
    model->metrics = NULL;
    model->engine = NULL;
    model->package = NULL;
    model->signature = NULL;
    model->forest = NULL;
    model->sample_json = (struct px_str){0};
}

static bool set_names(struct px_model *model, const struct px_model_place *place)
{
    struct px_str name = place->name;
    struct px_str specific = place->policy.specific;
    size_t n = name.len + place->version.len, path_size = strlen(place->path) + 1;
    model->names = px_alloc(n + path_size + specific.len, 1);
    if (!model->names)
        return false;
    memcpy(model->names + n, place->path, path_size);
    model->path = place->from_client ? NULL : model->names + n;
    model->is_remote = place->is_remote;
    if (specific.len)
        memcpy(model->names + n + path_size, specific.ptr, specific.len);
    model->policy = place->policy;
    model->policy.specific = px_str_n(model->names + n + path_size, specific.len);
    memcpy(model->names, name.ptr, name.len);
    memcpy(model->names + name.len, place->version.ptr, place->version.len);
    model->name = px_str_n(model->names, name.len);
    model->version = px_str_n(model->names + name.len, place->version.len);
    return true;
}

static void log_model(const struct px_model *model)
{
    if (model->state == PX_MODEL_READY && !model->forest)
        px_log(PX_LOG_INFO, "model.loaded", PX_LOG_S("model", model->name),
               PX_LOG_S("version", model->version),
               PX_LOG_T("engine", px_engine_name(model->engine)));
    else if (model->state == PX_MODEL_READY)
        px_log(PX_LOG_INFO, "model.loaded", PX_LOG_S("model", model->name),
               PX_LOG_S("version", model->version), PX_LOG_U("trees", model->forest->n_trees),
               PX_LOG_T("kernel", model->forest->kernel_many));
    else
        px_log(PX_LOG_WARN, "model.failed", PX_LOG_S("model", model->name),
               PX_LOG_S("version", model->version),
               PX_LOG_T("code", px_code_name(model->reason.code)),
               PX_LOG_T("reason", model->reason.message), PX_LOG_T("hint", model->reason.hint));
}

/* Of a version that could not be loaded only the ladder, which says who answers instead. */
static bool set_rescue(struct px_model *model, const struct px_model_place *place)
{
    struct px_rescue_settings settings = {model->package, model->name, model->version, false};
    if (!model->package) {
        const char *path = px_model_place_files(place);
        if (place->refusal || !path || px_package_open_head(path, &settings.package, NULL) != PX_OK)
            return true;
        settings.owned = true;
    }
    bool done = px_rescue_create(&settings, &model->rescue, NULL) == PX_OK;
    if (settings.owned && !model->rescue)
        px_package_close(settings.package);
    return done;
}

struct px_model *px_model_load(struct px_serving *serving, const struct px_model_place *place)
{
    struct px_model *model = px_alloc(1, sizeof *model);
    if (!model)
        return NULL;
    if (place->held)
        model->held = px_cached_version_retain(place->held);
    uint64_t before = px_memory_in_use();
    model->loaded_ns = px_clock_wall_ns();
    model->stands_alone = place->stands_alone;
    bool ready = load(serving, model, place, &model->reason) == PX_OK;
    uint64_t after = px_memory_in_use();
    if (ready) /* others may have freed more meanwhile: then its files are the next best guess */
        model->bytes =
            after > before ? after - before : px_memory_on_disk(px_model_place_files(place));
    model->ready_ns = px_clock_monotonic_ns();
    bool named = set_names(model, place);
    model->state = ready ? PX_MODEL_READY : PX_MODEL_FAILED;
    if (!ready)
        px_model_release(model);
    if (named && !set_rescue(model, place))
        named = false;
    if (!named) {
        px_model_unload(model);
        return NULL;
    }
    log_model(model);
    return model;
}

struct px_model *px_model_register(const struct px_model_place *place)
{
    struct px_model *model = px_alloc(1, sizeof *model);
    if (!model || !set_names(model, place)) {
        px_free(model);
        return NULL;
    }
    model->stands_alone = place->stands_alone;
    model->state = place->refusal ? PX_MODEL_FAILED : PX_MODEL_REGISTERED;
    if (place->refusal)
        model->reason = *place->refusal;
    return model;
}

struct px_model *px_model_register_again(const struct px_model *model)
{
    const struct px_model_place place = {.name = model->name,
                                         .version = model->version,
                                         .path = model->path,
                                         .policy = model->policy,
                                         .stands_alone = model->stands_alone,
                                         .is_remote = model->is_remote};
    struct px_model *known = px_model_register(&place);
    if (known) {
        known->bytes = model->bytes;
        known->comes_beside = model->comes_beside;
    }
    return known;
}

void px_model_unload(struct px_model *model)
{
    if (!model)
        return;
    px_model_release(model);
    px_free(model->names);
    px_free(model);
}
