/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing models, and what they tell about themselves.
 *
 * A model opens in the library when, and only when, `phoenix check` passes it and `phoenix serve` would
 * serve it: the same package code reads it, and the same tests (kernels on the model's own thresholds, golden rows)
 * are run before the handle is given out. Numbers are read, compiled and tested under the default arithmetic.
 *
 * Models of tensors have no rows. They are known as such by the engines' own tests, but no engine is asked to open one.
 */
#include "interfaces/library/model.h"

#include "application/lifecycle/check.h"
#include "application/parallel/share.h"
#include "interfaces/library/engines.h"
#include "interfaces/library/exact.h"
#include "shared/alloc.h"

enum {
    NAMES_BYTES_MAX = 512 << 20,
    JSON_BYTES_MAX = 512 << 20,
    ENGINES_MAX = 16,
};

#define SAME_CODE(name)                                                                            \
    _Static_assert((int)PHX_##name == (int)PX_E_##name,                                            \
                   "the library's codes are those of errors.def")
SAME_CODE(INVALID);
SAME_CODE(UNSUPPORTED);
SAME_CODE(TOO_LARGE);
SAME_CODE(OVERLOADED);
SAME_CODE(LIMITED);
SAME_CODE(DEADLINE);
SAME_CODE(UNAVAILABLE);
SAME_CODE(CANCELLED);
SAME_CODE(CORRUPT);
SAME_CODE(NO_MEMORY);
SAME_CODE(INTERNAL);

/* Bytes of one slot at its largest. */
static size_t slot_bytes(const void *context, size_t block_rows)
{
    const phx_model *model = context;
    const struct px_forest_info *info = model->info;
    size_t n_scores = info->n_margins > info->n_outputs ? info->n_margins : info->n_outputs;
    size_t row = info->n_features * px_datatype_size(info->feature_type) +
                 n_scores * px_datatype_size(info->score_type);
    return px_forest_scratch_size(model->forest, block_rows) + block_rows * row;
}

static void choose_block_rows(phx_model *model)
{
    const struct px_share_room room = {slot_bytes, model, PX_LIBRARY_SLOT_BYTES_MAX,
                                       PX_LIBRARY_BLOCK_ROWS_MIN};
    model->block_rows = px_share_rows_that_fit(&room, PX_LIBRARY_BLOCK_ROWS_MAX);
}

static enum px_code keep_names(phx_model *model, struct px_err *err)
{
    const struct px_signature *signature = &model->package->signature;
    size_t n = model->info->n_features;
    model->arena = px_arena(NAMES_BYTES_MAX);
    model->feature_names = px_arena_zalloc(&model->arena, n + 1, sizeof *model->feature_names);
    for (size_t i = 0; model->feature_names && i < n; i++)
        model->feature_names[i] = px_arena_cstr(&model->arena, signature->features[i].name);
    return px_arena_check(&model->arena, "the names of the features", err);
}

static enum px_code reserve(phx_model *model, struct px_err *err)
{
    model->shared = px_alloc_aligned(PX_CACHE_LINE, 1, sizeof *model->shared);
    if (!model->shared)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a model");
    choose_block_rows(model);
    struct px_library_slot *first = px_library_take_slot(model); /* the first call finds it */
    if (!first)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for blocks of %zu rows",
                          model->block_rows);
    px_library_give_slot(model, first);
    enum px_code code = keep_names(model, err);
    if (code != PX_OK)
        return code;
    model->json = px_buf(JSON_BYTES_MAX);
    px_library_describe(model, &model->json);
    return px_buf_check(&model->json, "the description of the model", err);
}

static enum px_code refuse_tensors(const struct px_engine_request *request, struct px_engine **ret,
                                   struct px_err *err)
{
    (void)request;
    (void)ret;
    px_err_set(err, PX_E_UNSUPPORTED, "this is a model of tensors, which has no rows of features");
    return px_err_hint(err, "open it with phx_session_open");
}

static enum px_code open_forest(phx_model *model, const char *path, struct px_err *err)
{
    const struct px_engines *engines = px_library_engines();
    struct px_engine_provider refusing[ENGINES_MAX];
    const struct px_engine_provider *list[ENGINES_MAX];
    PX_ASSERT(engines->n <= ENGINES_MAX);
    for (size_t i = 0; i < engines->n; i++) {
        refusing[i] = *engines->list[i];
        refusing[i].open = refuse_tensors;
        list[i] = &refusing[i];
    }
    const struct px_engines refused = {list, engines->n};
    return px_package_open(path, &(struct px_package_options){.engines = &refused}, &model->package,
                           err);
}

static enum px_code read_model(phx_model *model, const char *path, struct px_err *err)
{
    struct px_check_report report;
    enum px_code code = open_forest(model, path, err);
    if (code != PX_OK)
        return code;
    model->forest = model->package->forest;
    model->info = px_forest_info(model->forest);
    code = px_check_package(model->package, NULL, &report, err);
    return code == PX_OK ? reserve(model, err) : code;
}

static enum px_code open_model(phx_model *model, const char *path, struct px_err *err)
{
    uint64_t modes = px_exact_begin();
    enum px_code code = read_model(model, path, err);
    px_exact_end(modes);
    return code;
}

phx_model *phx_model_open(const char *path, char *err, size_t err_cap)
{
    struct px_err why = {0};
    enum px_code code = PX_E_INVALID;
    phx_model *model = NULL;
    if (!path)
        px_err_set(&why, PX_E_INVALID, "expected the path of a model, got NULL");
    else if (!(model = px_alloc(1, sizeof *model)))
        code = px_err_set(&why, PX_E_NO_MEMORY, "no memory for a model");
    else
        code = open_model(model, path, &why);
    if (code == PX_OK)
        return model;
    phx_model_close(model);
    if (err && err_cap)
        px_err_text(&why, err, err_cap);
    return NULL;
}

void phx_model_close(phx_model *model)
{
    if (!model)
        return;
    struct px_library_shared *shared = model->shared;
    if (shared)
        px_pool_destroy(atomic_load_explicit(&shared->pool, memory_order_acquire));
    for (size_t i = 0; shared && i < PX_LIBRARY_SLOTS; i++)
        px_library_free_slot(atomic_load_explicit(&shared->places[i].slot, memory_order_acquire));
    px_free(shared);
    px_arena_deinit(&model->arena);
    px_buf_deinit(&model->json);
    px_package_close(model->package);
    px_free(model);
}

size_t phx_model_features(const phx_model *model)
{
    return model ? model->info->n_features : 0;
}

size_t phx_model_outputs(const phx_model *model)
{
    return model ? model->info->n_outputs : 0;
}

size_t phx_model_margins(const phx_model *model)
{
    return model ? model->info->n_margins : 0;
}

const char *phx_model_feature_name(const phx_model *model, size_t feature)
{
    return model && feature < model->info->n_features ? model->feature_names[feature] : NULL;
}

const char *phx_model_info(const phx_model *model)
{
    return model ? px_buf_cstr(&model->json) : NULL;
}

int phx_model_set_threads(phx_model *model, unsigned n_threads)
{
    if (!model || n_threads > PX_POOL_THREADS_MAX)
        return PHX_INVALID;
    struct px_library_shared *shared = model->shared;
    px_pool_destroy(atomic_exchange_explicit(&shared->pool, NULL, memory_order_acquire));
    atomic_store_explicit(&shared->pool_asked_for, false, memory_order_relaxed);
    shared->n_threads = n_threads;
    return PHX_OK;
}

const char *phx_error_text(int code)
{
    switch (code) {
    case PHX_OK:
    case PHX_INVALID:
    case PHX_UNSUPPORTED:
    case PHX_TOO_LARGE:
    case PHX_OVERLOADED:
    case PHX_LIMITED:
    case PHX_DEADLINE:
    case PHX_UNAVAILABLE:
    case PHX_CANCELLED:
    case PHX_CORRUPT:
    case PHX_NO_MEMORY:
    case PHX_INTERNAL:
        return px_code_text((enum px_code)code);
    default:
        return "unknown code";
    }
}

const char *phx_version(void)
{
    return PX_VERSION;
}
