/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/plugin/instance.h"

#define PX_DATATYPE(name, bytes)                                                                   \
    _Static_assert((int)PX_TYPE_##name == (int)PHX_##name, "the datatypes of plug-ins are ours");
#include "domain/inference/datatypes.def"
#undef PX_DATATYPE
_Static_assert((int)PX_TENSOR_DIMS_MAX == (int)PHX_TENSOR_DIMS_MAX, "as many dimensions");

enum px_code px_plugin_code(int code)
{
    static const enum px_code known[] = {PX_OK,          PX_E_INVALID,     PX_E_UNSUPPORTED,
                                         PX_E_DEADLINE,  PX_E_UNAVAILABLE, PX_E_CORRUPT,
                                         PX_E_NO_MEMORY, PX_E_CANCELLED};
    for (size_t i = 0; i < PX_ARRAY_LEN(known); i++) {
        if (code == (int)known[i])
            return known[i];
    }
    return PX_E_INTERNAL;
}

/* What the plug-in wrote as its reason may not end, may not be UTF-8, and may be empty. */
static enum px_code fail(int number, const struct px_plugin_instance *instance, const char *doing,
                         char *text, struct px_err *err)
{
    text[PX_PLUGIN_ERROR_MAX - 1] = '\0';
    struct px_str reason = px_str_n(text, px_str_utf8_prefix(px_str(text)));
    enum px_code code = px_plugin_code(number);
    if (reason.len)
        return px_err_set(err, code, "%.*s", (int)reason.len, reason.ptr);
    return px_err_set(err, code, "the plug-in '%s' failed to %s and gave no reason (code %d)",
                      instance->ops->name, doing, number);
}

bool px_plugin_shape_take(uint32_t n_dims, const int64_t *dims, struct px_tensor *ret)
{
    if (n_dims > PX_TENSOR_DIMS_MAX)
        return false;
    ret->n_dims = n_dims;
    for (uint32_t i = 0; i < n_dims; i++) {
        if (dims[i] < 0)
            return false;
        ret->shape[i] = (uint64_t)dims[i];
    }
    return true;
}

static bool take_spec(const phx_tensor_spec *from, struct px_arena *arena,
                      struct px_tensor_spec *to)
{
    size_t len = from->name ? strnlen(from->name, PX_PLUGIN_NAME_MAX) : 0;
    struct px_str name = px_str_n(from->name, len);
    if (len == 0 || len >= PX_PLUGIN_NAME_MAX || !px_str_is_utf8(name))
        return false;
    if (from->datatype == PX_TYPE_NONE || from->datatype >= PX_TYPE_COUNT)
        return false;
    if (from->n_dims > PX_TENSOR_DIMS_MAX)
        return false;
    *to = (struct px_tensor_spec){.name = px_arena_str(arena, name),
                                  .type = (enum px_datatype)from->datatype,
                                  .n_dims = from->n_dims,
                                  .any_rank = from->flags & PHX_SPEC_ANY_RANK,
                                  .optional = from->flags & PHX_SPEC_OPTIONAL};
    for (uint32_t i = 0; i < from->n_dims; i++) {
        if (from->dims[i] < PX_DIM_ANY)
            return false;
        to->shape[i] = from->dims[i];
    }
    return true;
}

enum px_code px_plugin_specs_take(const phx_tensor_spec *list, size_t n, const char *what,
                                  struct px_arena *arena, struct px_tensor_specs *ret,
                                  struct px_err *err)
{
    if (n > PHX_TENSORS_MAX || (n && !list))
        return px_err_set(err, PX_E_INVALID, "the plug-in says that it has %zu %ss, at most %d", n,
                          what, PHX_TENSORS_MAX);
    struct px_tensor_spec *specs = px_arena_zalloc(arena, n + 1, sizeof *specs);
    *ret = (struct px_tensor_specs){specs, 0};
    for (size_t i = 0; specs && i < n; i++) {
        if (!take_spec(&list[i], arena, &specs[i]))
            return px_err_set(err, PX_E_INVALID,
                              "the plug-in describes %s %zu wrongly: expected a name, a datatype "
                              "and at most %d dimensions of -1 or more",
                              what, i + 1, PX_TENSOR_DIMS_MAX);
        if (px_tensor_specs_find(ret, specs[i].name))
            return px_err_set(err, PX_E_INVALID, "the plug-in has two %ss called '%.*s'", what,
                              PX_STR_ARG(specs[i].name));
        ret->n++;
    }
    return px_arena_check(arena, "the specs of a plug-in", err);
}

const phx_tensor_spec *px_plugin_specs_give(const struct px_tensor_specs *specs,
                                            struct px_arena *arena)
{
    phx_tensor_spec *list = px_arena_zalloc(arena, specs->n + 1, sizeof *list);
    for (size_t i = 0; list && i < specs->n; i++) {
        const struct px_tensor_spec *from = &specs->list[i];
        list[i] = (phx_tensor_spec){.name = px_arena_cstr(arena, from->name),
                                    .datatype = from->type,
                                    .n_dims = (uint32_t)from->n_dims,
                                    .flags = (from->any_rank ? PHX_SPEC_ANY_RANK : 0u) |
                                             (from->optional ? PHX_SPEC_OPTIONAL : 0u)};
        memcpy(list[i].dims, from->shape, sizeof list[i].dims);
    }
    return arena->failed ? NULL : list;
}

/* What the instance says of itself, and what model.yaml says where it keeps silent. */
static enum px_code take_specs(struct px_plugin_instance *instance, const phx_specs *declared,
                               struct px_arena *arena, struct px_err *err)
{
    phx_specs said = {0};
    if (instance->ops->specs)
        instance->ops->specs(instance->engine, &said);
    if (said.n_inputs == 0) {
        said.inputs = declared->inputs;
        said.n_inputs = declared->n_inputs;
    }
    if (said.n_outputs == 0) {
        said.outputs = declared->outputs;
        said.n_outputs = declared->n_outputs;
    }
    enum px_code code =
        px_plugin_specs_take(said.inputs, said.n_inputs, "input", arena, &instance->takes, err);
    if (code == PX_OK)
        code = px_plugin_specs_take(said.outputs, said.n_outputs, "output", arena, &instance->gives,
                                    err);
    if (code != PX_OK || (said.n_inputs && said.n_outputs))
        return code;
    px_err_set(err, PX_E_INVALID, "the plug-in '%s' does not say what its %s are",
               instance->ops->name, said.n_inputs ? "outputs" : "inputs");
    return px_err_hint(err, "declare 'inputs' and 'outputs' in model.yaml");
}

enum px_code px_plugin_instance_create(const struct px_plugin_library *library,
                                       const struct px_plugin_load *load, struct px_arena *arena,
                                       struct px_plugin_instance *ret, struct px_err *err)
{
    char text[PX_PLUGIN_ERROR_MAX] = "";
    phx_error error = {text, sizeof text};
    phx_engine_config config = {
        .size = sizeof config,
        .n_settings = (uint32_t)load->n_settings,
        .model_name = load->model_name,
        .path = load->path,
        .folder = load->folder,
        .settings = load->settings,
        .declared = {.inputs = px_plugin_specs_give(&load->takes, arena),
                     .outputs = px_plugin_specs_give(&load->gives, arena),
                     .n_inputs = (uint32_t)load->takes.n,
                     .n_outputs = (uint32_t)load->gives.n},
        .log = load->log,
        .log_context = load->log_context,
    };
    *ret = (struct px_plugin_instance){.ops = library->ops};
    if (arena->failed)
        return px_arena_check(arena, "the specs of a plug-in", err);
    int number = library->ops->create(&config, &ret->engine, &error);
    if (number != PHX_ENGINE_OK) {
        ret->engine = NULL; /* whatever it left there */
        return fail(number, ret, "load the model", text, err);
    }
    if (!ret->engine)
        return px_err_set(err, PX_E_INTERNAL, "the plug-in '%s' made no instance and no error",
                          library->ops->name);
    pthread_mutex_init(&ret->one_at_a_time, NULL);
    enum px_code code = take_specs(ret, &config.declared, arena, err);
    if (code != PX_OK)
        px_plugin_instance_destroy(ret);
    return code;
}

void px_plugin_instance_destroy(struct px_plugin_instance *instance)
{
    if (!instance->engine)
        return;
    instance->ops->destroy(instance->engine);
    instance->engine = NULL;
    pthread_mutex_destroy(&instance->one_at_a_time);
}

enum px_code px_plugin_instance_run(struct px_plugin_instance *instance, phx_run *run,
                                    struct px_err *err)
{
    char text[PX_PLUGIN_ERROR_MAX] = "";
    run->error = (phx_error){text, sizeof text};
    bool alone = instance->ops->flags & PHX_ENGINE_ONE_AT_A_TIME;
    if (alone)
        pthread_mutex_lock(&instance->one_at_a_time);
    int number = instance->ops->run(instance->engine, run);
    if (alone)
        pthread_mutex_unlock(&instance->one_at_a_time);
    return number == PHX_ENGINE_OK ? PX_OK : fail(number, instance, "answer", text, err);
}
