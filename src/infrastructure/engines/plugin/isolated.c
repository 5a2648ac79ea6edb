/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/plugin/isolated.h"

#include "infrastructure/engines/plugin/children.h"
#include "shared/alloc.h"

struct engine {
    struct px_engine base; /* first: the port's view of this object */
    struct px_engine_ops ops;
    struct px_plugin_settings settings;
    struct px_children_options options;
    struct px_children *children;
};

static enum px_code run_isolated(struct px_engine *base, struct px_run *run, struct px_err *err)
{
    struct px_children *children = ((struct engine *)base)->children;
    enum px_code code = px_children_run(children, run, err);
    if (code ==
        PX_E_INTERNAL) /* its fault, not the caller's: whoever reads the log wants to know whose */
        return px_err_wrap(err, "plug-in '%.*s'", PX_STR_ARG(px_children_model(children)->name));
    return code;
}

static void cancel_isolated(struct px_engine *base, struct px_run *run)
{
    (void)run; /* its flag is set; whoever computes it looks at that */
    px_children_wake(((struct engine *)base)->children);
}

/* A worker that loads again, or waits for that, may be back in a moment; the one that answers readiness does not know. */
static bool is_able(struct px_engine *base, struct px_err *err)
{
    const struct engine *engine = (const struct engine *)base;
    struct px_children_counts counts;
    px_children_count(engine->children, &counts);
    if (counts.up > 0)
        return true;
    px_err_set(err, PX_E_UNAVAILABLE, "plug-in '%.*s': no worker is up%s%s",
               PX_STR_ARG(px_children_model(engine->children)->name),
               counts.last_end[0] ? ": " : "", counts.last_end);
    return false;
}

static void describe(const struct px_engine *base, struct px_json_writer *json)
{
    const struct engine *engine = (const struct engine *)base;
    const struct px_children_model *model = px_children_model(engine->children);
    struct px_children_counts counts;
    px_children_count(engine->children, &counts);
    px_json_member_str(json, "plugin", model->name);
    if (model->version.len)
        px_json_member_str(json, "version", model->version);
    px_json_member_text(json, "code", engine->options.code);
    px_json_member_bool(json, "isolated", true);
    px_json_member_u64(json, "workers", counts.workers);
    px_json_member_u64(json, "workers_up", counts.up);
    px_json_member_u64(json, "restarts", counts.restarts);
    if (counts.last_end[0])
        px_json_member_text(json, "last_end", counts.last_end);
    if (counts.last_printed[0])
        px_json_member_text(json, "last_printed", counts.last_printed);
}

static void destroy(struct px_engine *base)
{
    struct engine *engine = (struct engine *)base;
    px_children_destroy(engine->children);
    px_free(engine);
}

static struct px_engine_ops ops_of(const char *name, uint32_t flags)
{
    uint32_t caps = PX_ENGINE_TENSORS;
    caps |= flags & PHX_ENGINE_BATCHES ? PX_ENGINE_BATCHES : 0u;
    caps |= flags & PHX_ENGINE_SEQUENCES ? PX_ENGINE_SEQUENCES : 0u;
    return (struct px_engine_ops){.abi = PX_ENGINE_ABI,
                                  .caps = caps,
                                  .name = name,
                                  .run = run_isolated,
                                  .cancel = cancel_isolated,
                                  .describe = describe,
                                  .is_able = is_able,
                                  .destroy = destroy};
}

/* Workers are told again at each start, when the request is long gone. */
static struct px_tensor_specs keep_specs(const struct px_tensor_specs *specs,
                                         struct px_arena *arena)
{
    struct px_tensor_spec *list = px_arena_alloc(arena, specs->n + 1, sizeof *list);
    if (list && specs->n)
        memcpy(list, specs->list, specs->n * sizeof *list);
    for (size_t i = 0; list && i < specs->n; i++)
        list[i].name = px_arena_str(arena, list[i].name);
    return (struct px_tensor_specs){list, specs->n};
}

static enum px_code start(struct engine *engine, const struct px_engine_request *request,
                          const struct px_isolated_code *code, struct px_err *err)
{
    struct px_arena *arena = request->arena;
    engine->options = (struct px_children_options){
        .argv = code->argv,
        .load = {.model_name = px_arena_cstr(arena, request->model_name),
                 .path = px_arena_cstr(arena, request->path),
                 .folder = px_arena_cstr(arena, request->folder),
                 .settings = engine->settings.pairs,
                 .n_settings = engine->settings.n_pairs,
                 .takes = keep_specs(&request->inputs, arena),
                 .gives = keep_specs(&request->outputs, arena)},
        .code = px_arena_cstr(arena, px_str(code->path)),
        .function = code->function,
        .settings = &engine->settings,
    };
    if (arena->failed)
        return px_arena_check(arena, "the plug-in", err);
    enum px_code result = px_children_create(&engine->options, arena, &engine->children, err);
    if (result != PX_OK)
        return result;
    const struct px_children_model *model = px_children_model(engine->children);
    if (model->flags & PHX_ENGINE_SEQUENCES && engine->settings.workers > 1)
        return px_err_set(err, PX_E_INVALID,
                          "a model that keeps sequences needs engine.workers: 1, got %u",
                          engine->settings.workers);
    engine->ops = ops_of(code->engine_name, model->flags);
    engine->base =
        (struct px_engine){.ops = &engine->ops, .takes = model->takes, .gives = model->gives};
    return PX_OK;
}

enum px_code px_isolated_open(const struct px_engine_request *request,
                              const struct px_plugin_settings *settings,
                              const struct px_isolated_code *code, struct px_engine **ret,
                              struct px_err *err)
{
    struct engine *engine = px_alloc(1, sizeof *engine);
    if (!engine)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the plug-in");
    engine->settings = *settings;
    enum px_code result = start(engine, request, code, err);
    if (result != PX_OK) {
        destroy(&engine->base);
        return result;
    }
    *ret = &engine->base;
    return PX_OK;
}
