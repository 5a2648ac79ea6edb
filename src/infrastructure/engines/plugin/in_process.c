/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each run becomes a phx_run on the stack of its thread; the tensors' tables go to the run's arena.
 *
 * Invariants
 * 1. The plug-in sees names that end with NUL: those of the specs, which the run's were checked against.
 * 2. Inputs are aligned for their datatype. What came from a socket often is not, and is copied then.
 * 3. An output is handed on only when it lies in memory of this run and is of the type, shape and size that the spec allows.
 * 4. run->state is set while the plug-in is inside `run`, under `lock`, so that a cancel never meets a run that has ended.
 */
#include "infrastructure/engines/plugin/in_process.h"

#include "infrastructure/engines/plugin/instance.h"
#include "infrastructure/engines/plugin/memory.h"
#include "shared/alloc.h"
#include "shared/log.h"

struct engine {
    struct px_engine base; /* first: the port's view of this object */
    struct px_engine_ops ops;
    struct px_plugin_library library;
    struct px_plugin_instance instance;
    struct px_str model_name;
    pthread_mutex_t lock; /* of run->state */
};

static void log_line(void *context, int level, const char *text)
{
    const struct engine *engine = context;
    enum px_log_level least = level >= PHX_LOG_ERROR   ? PX_LOG_ERROR
                              : level == PHX_LOG_WARN  ? PX_LOG_WARN
                              : level <= PHX_LOG_DEBUG ? PX_LOG_DEBUG
                                                       : PX_LOG_INFO;
    px_log(least, "plugin.log", PX_LOG_S("model", engine->model_name), PX_LOG_T("text", text));
}

static void *allocate(phx_run *run, uint64_t size)
{
    return px_plugin_memory(run->host, size);
}

static int is_cancelled(const phx_run *run)
{
    const struct px_run *owner = run->host;
    return atomic_load_explicit(&owner->cancelled, memory_order_relaxed);
}

/* The bytes of an input where they are aligned. */
static const void *align_bytes(struct px_run *run, const struct px_tensor *tensor)
{
    size_t size = px_datatype_size(tensor->type);
    if (size < 2 || (uintptr_t)tensor->bytes.ptr % size == 0)
        return tensor->bytes.ptr ? tensor->bytes.ptr : "";
    void *copy = px_plugin_memory(run, tensor->bytes.len);
    return copy ? memcpy(copy, tensor->bytes.ptr, tensor->bytes.len) : NULL;
}

static bool give_input(struct engine *engine, struct px_run *run, const struct px_tensor *from,
                       phx_tensor *to)
{
    const struct px_tensor_spec *spec = px_tensor_specs_find(&engine->instance.takes, from->name);
    PX_ASSERT(spec);
    *to = (phx_tensor){.name = spec->name.ptr,
                       .datatype = from->type,
                       .n_dims = (uint32_t)from->n_dims,
                       .data = align_bytes(run, from),
                       .size = from->bytes.len};
    for (size_t i = 0; i < from->n_dims; i++)
        to->dims[i] = (int64_t)from->shape[i];
    return to->data;
}

/* The tables of the tensors; false without memory. */
static bool give_tensors(struct engine *engine, struct px_run *run, phx_run *asked)
{
    phx_tensor *inputs = px_arena_zalloc(run->arena, run->n_inputs + 1, sizeof *inputs);
    phx_tensor *outputs = px_arena_zalloc(run->arena, run->n_outputs + 1, sizeof *outputs);
    if (!inputs || !outputs)
        return false;
    for (size_t i = 0; i < run->n_inputs; i++) {
        if (!give_input(engine, run, &run->inputs[i], &inputs[i]))
            return false;
    }
    for (size_t i = 0; i < run->n_outputs; i++) {
        const struct px_tensor_spec *spec =
            px_tensor_specs_find(&engine->instance.gives, run->outputs[i].name);
        PX_ASSERT(spec);
        outputs[i].name = spec->name.ptr;
    }
    asked->inputs = inputs;
    asked->outputs = outputs;
    asked->n_inputs = (uint32_t)run->n_inputs;
    asked->n_outputs = (uint32_t)run->n_outputs;
    asked->sequence = run->sequence.id;
    asked->sequence_text =
        run->sequence.text_id.len ? px_arena_cstr(run->arena, run->sequence.text_id) : NULL;
    asked->flags = (run->sequence.start ? PHX_RUN_SEQUENCE_START : 0u) |
                   (run->sequence.end ? PHX_RUN_SEQUENCE_END : 0u);
    return !run->arena->failed;
}

static enum px_code take_output(struct engine *engine, struct px_run *run, const phx_tensor *from,
                                struct px_tensor *to, struct px_err *err)
{
    const struct px_tensor_spec *spec = px_tensor_specs_find(&engine->instance.gives, to->name);
    if (from->datatype == PX_TYPE_NONE || from->datatype >= PX_TYPE_COUNT)
        return px_err_set(err, PX_E_INTERNAL, "output '%.*s': %u is no datatype",
                          PX_STR_ARG(to->name), from->datatype);
    if (!px_plugin_shape_take(from->n_dims, from->dims, to))
        return px_err_set(err, PX_E_INTERNAL, "output '%.*s' has no valid shape",
                          PX_STR_ARG(to->name));
    if (from->size && !px_plugin_memory_holds(run, from->data, from->size))
        return px_err_set(err, PX_E_INTERNAL,
                          "output '%.*s' does not lie in memory of this run (see phx_run.alloc)",
                          PX_STR_ARG(to->name));
    to->type = (enum px_datatype)from->datatype;
    to->bytes = px_str_n(from->data, from->size);
    struct px_err detail;
    enum px_code code = px_tensor_check_spec(to, spec, &detail);
    if (code == PX_OK)
        code = px_tensor_check_bytes(to, &detail);
    return code == PX_OK ? PX_OK : px_err_set(err, PX_E_INTERNAL, "%s", detail.message);
}

static void note_state(struct engine *engine, struct px_run *run, phx_run *state)
{
    if (!engine->instance.ops->cancel)
        return;
    pthread_mutex_lock(&engine->lock);
    run->state = state;
    pthread_mutex_unlock(&engine->lock);
}

static enum px_code run_plugin(struct px_engine *base, struct px_run *run, struct px_err *err)
{
    struct engine *engine = (struct engine *)base;
    phx_run asked = {.size = sizeof asked,
                     .deadline_ns = run->deadline_ns,
                     .alloc = allocate,
                     .cancelled = is_cancelled,
                     .host = run};
    if (!give_tensors(engine, run, &asked))
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to hand the tensors to the plug-in");
    note_state(engine, run, &asked);
    enum px_code code = px_plugin_instance_run(&engine->instance, &asked, err);
    note_state(engine, run, NULL);
    for (size_t i = 0; code == PX_OK && i < run->n_outputs; i++) {
        code = take_output(engine, run, &asked.outputs[i], &run->outputs[i], err);
        if (code != PX_OK)
            px_err_wrap(err, "the plug-in '%s' answered wrongly", engine->instance.ops->name);
    }
    return code;
}

static void cancel_plugin(struct px_engine *base, struct px_run *run)
{
    struct engine *engine = (struct engine *)base;
    pthread_mutex_lock(&engine->lock);
    if (run->state)
        engine->instance.ops->cancel(engine->instance.engine, run->state);
    pthread_mutex_unlock(&engine->lock);
}

static void describe(const struct px_engine *base, struct px_json_writer *json)
{
    const struct engine *engine = (const struct engine *)base;
    const phx_engine_ops *ops = engine->instance.ops;
    px_json_member_text(json, "plugin", ops->name);
    if (ops->version)
        px_json_member_text(json, "version", ops->version);
    px_json_member_text(json, "library", engine->library.path);
    px_json_member_bool(json, "isolated", false);
}

static void destroy(struct px_engine *base)
{
    struct engine *engine = (struct engine *)base;
    px_plugin_instance_destroy(&engine->instance);
    pthread_mutex_destroy(&engine->lock);
    px_free(engine);
}

static struct px_engine_ops ops_of(const phx_engine_ops *plugin)
{
    uint32_t caps = PX_ENGINE_TENSORS;
    caps |= plugin->flags & PHX_ENGINE_BATCHES ? PX_ENGINE_BATCHES : 0u;
    caps |= plugin->flags & PHX_ENGINE_SEQUENCES ? PX_ENGINE_SEQUENCES : 0u;
    return (struct px_engine_ops){.abi = PX_ENGINE_ABI,
                                  .caps = caps,
                                  .name = "plugin",
                                  .run = run_plugin,
                                  .cancel = plugin->cancel ? cancel_plugin : NULL,
                                  .describe = describe,
                                  .destroy = destroy};
}

enum px_code px_plugin_in_process_open(const struct px_engine_request *request,
                                       const struct px_plugin_settings *settings,
                                       const char *library_path, struct px_engine **ret,
                                       struct px_err *err)
{
    struct engine *engine = px_alloc(1, sizeof *engine);
    if (!engine)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the plug-in");
    engine->model_name = request->model_name;
    pthread_mutex_init(&engine->lock, NULL);
    struct px_plugin_load load = {
        .model_name = px_arena_cstr(request->arena, request->model_name),
        .path = px_arena_cstr(request->arena, request->path),
        .folder = px_arena_cstr(request->arena, request->folder),
        .settings = settings->pairs,
        .n_settings = settings->n_pairs,
        .takes = request->inputs,
        .gives = request->outputs,
        .log = log_line,
        .log_context = engine,
    };
    enum px_code code = px_arena_check(request->arena, "the plug-in", err);
    if (code == PX_OK)
        code = px_plugin_library_open(library_path, &engine->library, err);
    if (code == PX_OK)
        code = px_plugin_instance_create(&engine->library, &load, request->arena, &engine->instance,
                                         err);
    if (code != PX_OK) {
        destroy(&engine->base);
        return code;
    }
    engine->ops = ops_of(engine->library.ops);
    engine->base = (struct px_engine){
        .ops = &engine->ops, .takes = engine->instance.takes, .gives = engine->instance.gives};
    *ret = &engine->base;
    return PX_OK;
}
