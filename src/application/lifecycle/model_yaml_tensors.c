/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of model.yaml for models of tensors.
 *
 * The settings of an engine are the engine's to understand. They are copied out of the parsed tree, which is gone by the time that
 * the engine reads them; lines stay, so that its errors can point at them.
 */
#include "application/lifecycle/model_yaml.h"

#include "application/execution/executor.h"
#include "application/lifecycle/model_batching.h"
#include "application/ports/engine.h"
#include "shared/yaml_scalars.h"

#include <inttypes.h>

/* ---- settings ---- */

static struct px_yaml *copy_node(const struct px_yaml *node, struct px_arena *arena)
{
    struct px_yaml *copy = px_arena_alloc(arena, 1, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *node;
    if (node->key.ptr)
        copy->key = px_arena_str(arena, node->key);
    if (node->text.ptr)
        copy->text = px_arena_str(arena, node->text);
    copy->first_child = copy->next = NULL;
    const struct px_yaml **end = &copy->first_child;
    for (const struct px_yaml *child = node->first_child; child; child = child->next) {
        struct px_yaml *kept = copy_node(child, arena); /* as deep as px_yaml_parse allows */
        if (!kept)
            return NULL;
        *end = kept;
        end = &kept->next;
    }
    return copy;
}

/* {name: NAME} for the scalar NAME. */
static struct px_yaml *wrap_name(const struct px_yaml *scalar, struct px_arena *arena)
{
    struct px_yaml *name = copy_node(scalar, arena);
    struct px_yaml *mapping = px_arena_zalloc(arena, 1, sizeof *mapping);
    if (!name || !mapping)
        return NULL;
    *mapping = (struct px_yaml){.type = PX_YAML_MAPPING,
                                .line = scalar->line,
                                .column = scalar->column,
                                .key = name->key,
                                .key_line = scalar->key_line,
                                .key_column = scalar->key_column,
                                .n_children = 1,
                                .first_child = name};
    name->key = (struct px_str)PX_STR("name");
    return mapping;
}

static enum px_code read_engine(const struct px_yaml *node, struct px_arena *arena,
                                struct px_model_yaml *ret, struct px_err *err)
{
    if (node->type == PX_YAML_SEQUENCE)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: 'engine' must be a name, or a mapping with a 'name'",
                          node->line);
    struct px_yaml *engine =
        node->type == PX_YAML_SCALAR ? wrap_name(node, arena) : copy_node(node, arena);
    if (!engine)
        return px_arena_check(arena, "model.yaml", err);
    const struct px_yaml *name = px_yaml_get(engine, "name");
    if (!name) {
        px_err_set(err, PX_E_INVALID, "line %u: 'engine' has no 'name'", node->line);
        return px_err_hint(err, "as in engine: {name: onnxruntime}");
    }
    ret->engine = engine;
    return px_yaml_str(name, &ret->engine_name, err);
}

/* ---- specs ---- */

static enum px_code unknown_type(const struct px_yaml *node, struct px_str text, struct px_err *err)
{
    struct px_str names[PX_TYPE_COUNT];
    size_t n = 0;
    for (int type = PX_TYPE_NONE + 1; type < PX_TYPE_COUNT; type++)
        names[n++] = px_str(px_datatype_name((enum px_datatype)type));
    px_err_set(err, PX_E_INVALID, "line %u: unknown type '%.*s'", node->line, PX_STR_ARG(text));
    if (!px_err_suggest(err, text, names, n))
        px_err_hint(err, "types are called as in the Open Inference Protocol: FP32, INT64, BYTES");
    return PX_E_INVALID;
}

static enum px_code read_type(const struct px_yaml *entry, struct px_tensor_spec *ret,
                              struct px_err *err)
{
    const struct px_yaml *node = px_yaml_get(entry, "type");
    struct px_str text;
    if (!node)
        return px_err_set(err, PX_E_INVALID, "line %u: tensor '%.*s' has no 'type'", entry->line,
                          PX_STR_ARG(ret->name));
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    ret->type = px_datatype_from_name(text);
    return ret->type == PX_TYPE_NONE ? unknown_type(node, text, err) : PX_OK;
}

static enum px_code read_shape(const struct px_yaml *list, struct px_tensor_spec *ret,
                               struct px_err *err)
{
    ret->any_rank = list == NULL;
    if (!list)
        return PX_OK;
    if (list->type != PX_YAML_SEQUENCE || list->n_children > PX_TENSOR_DIMS_MAX)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: 'shape' must be a list of at most %d lengths, as [-1, 4]",
                          list->line, PX_TENSOR_DIMS_MAX);
    for (const struct px_yaml *node = list->first_child; node; node = node->next) {
        int64_t length;
        enum px_code code = px_yaml_i64(node, &length, err);
        if (code != PX_OK)
            return code;
        if (length < PX_DIM_ANY)
            return px_err_set(err, PX_E_INVALID,
                              "line %u: a length must be 0 or more, or -1 for any, got %" PRId64,
                              node->line, length);
        ret->shape[ret->n_dims++] = length;
    }
    return PX_OK;
}

static enum px_code read_spec(const struct px_yaml *entry, struct px_arena *arena,
                              struct px_tensor_spec *ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("name"), PX_STR("type"), PX_STR("shape"),
                                          PX_STR("optional")};
    struct px_str name;
    if (entry->type != PX_YAML_MAPPING)
        return px_err_set(
            err, PX_E_INVALID,
            "line %u: a tensor is a mapping, as {name: x, type: FP32, shape: [-1, 4]}",
            entry->line);
    enum px_code code = px_yaml_only(entry, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK && !px_yaml_get(entry, "name"))
        return px_err_set(err, PX_E_INVALID, "line %u: a tensor has no name", entry->line);
    if (code == PX_OK)
        code = px_yaml_str(px_yaml_get(entry, "name"), &name, err);
    if (code != PX_OK)
        return code;
    ret->name = px_arena_str(arena, name);
    code = px_arena_check(arena, "model.yaml", err);
    if (code == PX_OK)
        code = read_type(entry, ret, err);
    if (code == PX_OK)
        code = read_shape(px_yaml_get(entry, "shape"), ret, err);
    return code == PX_OK ? px_yaml_switch(px_yaml_get(entry, "optional"), &ret->optional, err)
                         : code;
}

static enum px_code read_specs(const struct px_yaml *list, struct px_arena *arena,
                               struct px_tensor_specs *ret, struct px_err *err)
{
    if (list->type != PX_YAML_SEQUENCE || list->n_children == 0 ||
        list->n_children > PX_ENGINE_TENSORS_MAX)
        return px_err_set(err, PX_E_INVALID, "line %u: '%.*s' must be a list of 1 to %d tensors",
                          list->line, PX_STR_ARG(list->key), PX_ENGINE_TENSORS_MAX);
    struct px_tensor_spec *specs = px_arena_zalloc(arena, list->n_children, sizeof *specs);
    if (!specs)
        return px_arena_check(arena, "model.yaml", err);
    ret->list = specs;
    for (const struct px_yaml *node = list->first_child; node; node = node->next) {
        struct px_tensor_spec spec = {0};
        enum px_code code = read_spec(node, arena, &spec, err);
        if (code != PX_OK)
            return code;
        if (px_tensor_specs_find(ret, spec.name))
            return px_err_set(err, PX_E_INVALID, "line %u: tensor '%.*s' is listed twice",
                              node->line, PX_STR_ARG(spec.name));
        specs[ret->n++] = spec;
    }
    return PX_OK;
}

/* ---- numbers ---- */

static enum px_code read_numbers(const struct px_yaml *root, struct px_model_yaml *ret,
                                 struct px_err *err)
{
    enum px_code code = px_yaml_count32(px_yaml_get(root, "instances"), 1, PX_EXECUTOR_THREADS_MAX,
                                        &ret->instances, err);
    if (code == PX_OK)
        code = px_yaml_count32(px_yaml_get(root, "queue_max"), 1, PX_EXECUTOR_QUEUE_MAX,
                               &ret->queue_max, err);
    return code;
}

static enum px_code read_sequence(const struct px_yaml *node, struct px_arena *arena,
                                  struct px_model_yaml *ret, struct px_err *err)
{
    ret->sequence = px_arena_alloc(arena, 1, sizeof *ret->sequence);
    return ret->sequence ? px_sequence_settings_read(node, arena, ret->sequence, err)
                         : px_arena_check(arena, "model.yaml", err);
}

static enum px_code read_batching(const struct px_yaml *node, struct px_arena *arena,
                                  struct px_model_yaml *ret, struct px_err *err)
{
    ret->batching = px_arena_alloc(arena, 1, sizeof *ret->batching);
    return ret->batching ? px_model_batching_read(node, ret->batching, err)
                         : px_arena_check(arena, "model.yaml", err);
}

enum px_code px_model_yaml_read_tensors(const struct px_yaml *root, struct px_arena *arena,
                                        struct px_model_yaml *ret, struct px_err *err)
{
    static const char *const keys[] = {"inputs",   "outputs",  "instances", "queue_max",
                                       "sequence", "batching", "limits",    "breaker"};
    const struct px_yaml *engine = px_yaml_get(root, "engine");
    const struct px_yaml *inputs = px_yaml_get(root, "inputs");
    const struct px_yaml *outputs = px_yaml_get(root, "outputs");
    const struct px_yaml *sequence = px_yaml_get(root, "sequence");
    const struct px_yaml *batching = px_yaml_get(root, "batching");
    enum px_code code = engine ? read_engine(engine, arena, ret, err) : PX_OK;
    if (code == PX_OK && inputs)
        code = read_specs(inputs, arena, &ret->inputs, err);
    if (code == PX_OK && outputs)
        code = read_specs(outputs, arena, &ret->outputs, err);
    if (code == PX_OK && sequence)
        code = read_sequence(sequence, arena, ret, err);
    if (code == PX_OK && batching)
        code = read_batching(batching, arena, ret, err);
    const struct px_yaml *warm_up = px_yaml_get(root, "warm_up");
    if (code == PX_OK && warm_up)
        code = px_model_warm_up_read(warm_up, &ret->warm_up, err);
    for (size_t i = 0; i < PX_ARRAY_LEN(keys) && !ret->tensors_only; i++) {
        const struct px_yaml *node = px_yaml_get(root, keys[i]);
        bool is_on = true;
        if (node &&
            !(px_yaml_is_switch(node, &is_on) && !is_on)) /* `breaker: off` is true of all */
            ret->tensors_only = keys[i];
    }
    if (ret->warm_up.says_runs && !ret->tensors_only)
        ret->tensors_only = "warm_up"; /* its other settings are for trees, too */
    if (code == PX_OK)
        code = read_numbers(root, ret, err);
    return code == PX_OK && ret->batching
               ? px_model_batching_check_queue(ret->batching, ret->queue_max, err)
               : code;
}
