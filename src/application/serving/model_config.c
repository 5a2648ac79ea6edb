/* SPDX-License-Identifier: Apache-2.0 */
#include "application/serving/model_config.h"

#include "application/execution/executor.h"
#include "application/sequences/sequence_engine.h"
#include "shared/json.h"

#include <stdio.h>

enum { GROUP_NAME_MAX = 160 };

static const struct {
    enum px_datatype type;
    unsigned number;
    const char *name;
} config_types[] = {
    {PX_TYPE_BOOL, 1, "TYPE_BOOL"},     {PX_TYPE_UINT8, 2, "TYPE_UINT8"},
    {PX_TYPE_UINT16, 3, "TYPE_UINT16"}, {PX_TYPE_UINT32, 4, "TYPE_UINT32"},
    {PX_TYPE_UINT64, 5, "TYPE_UINT64"}, {PX_TYPE_INT8, 6, "TYPE_INT8"},
    {PX_TYPE_INT16, 7, "TYPE_INT16"},   {PX_TYPE_INT32, 8, "TYPE_INT32"},
    {PX_TYPE_INT64, 9, "TYPE_INT64"},   {PX_TYPE_FP16, 10, "TYPE_FP16"},
    {PX_TYPE_FP32, 11, "TYPE_FP32"},    {PX_TYPE_FP64, 12, "TYPE_FP64"},
    {PX_TYPE_BYTES, 13, "TYPE_STRING"}, {PX_TYPE_BF16, 14, "TYPE_BF16"},
};

static size_t find_type(enum px_datatype type)
{
    size_t i = 0;
    while (config_types[i].type != type) {
        i++;
        PX_ASSERT(i < PX_ARRAY_LEN(config_types));
    }
    return i;
}

const char *px_config_type_name(enum px_datatype type)
{
    return config_types[find_type(type)].name;
}

unsigned px_config_type_number(enum px_datatype type)
{
    return config_types[find_type(type)].number;
}

/* ---- what the model is ---- */

bool px_model_is_by_columns(const struct px_signature *signature)
{
    for (size_t i = 0; i < signature->n_features; i++) {
        if (px_feature_takes_text(&signature->features[i]))
            return true;
    }
    return false;
}

static enum px_datatype column_type(const struct px_feature *feature, enum px_datatype number)
{
    if (px_feature_takes_text(feature))
        return PX_TYPE_BYTES;
    if (feature->kind == PX_FEATURE_BOOLEAN)
        return PX_TYPE_BOOL;
    return feature->kind == PX_FEATURE_CATEGORY ? PX_TYPE_INT64 : number;
}

static void describe_inputs(const struct px_model *model, struct px_model_tensor *inputs, size_t n)
{
    const struct px_signature *signature = model->signature;
    enum px_datatype number = model->engine->feature_type;
    if (!px_model_is_by_columns(signature)) {
        inputs[0] = (struct px_model_tensor){.name = PX_STR(PX_MODEL_INPUT_NAME),
                                             .type = number,
                                             .n_columns = signature->n_features,
                                             .dims = {(int64_t)signature->n_features},
                                             .n_dims = 1};
        return;
    }
    for (size_t i = 0; i < n; i++)
        inputs[i] = (struct px_model_tensor){
            .name = signature->features[i].name,
            .type = column_type(&signature->features[i], number),
            .n_columns = 1,
            .dims = {1},
            .n_dims = 1,
            .optional = true,
        };
}

size_t px_model_tensor_shape(const struct px_model_tensor *tensor, int64_t ret[PX_TENSOR_DIMS_MAX])
{
    const struct px_tensor_spec *spec = tensor->spec;
    if (spec && !spec->any_rank) {
        memcpy(ret, spec->shape, spec->n_dims * sizeof *ret);
        return spec->n_dims;
    }
    ret[0] = PX_DIM_ANY;
    ret[1] = (int64_t)tensor->n_columns;
    return spec ? 1 : 2;
}

const char *px_model_platform(const struct px_model *model)
{
    static const struct {
        const char *engine, *platform;
    } known[] = {{"onnxruntime", "onnxruntime_onnx"},
                 {"torchscript", "pytorch_libtorch"},
                 {"graph", "ensemble"}};
    if (model->forest)
        return px_forest_format_name(model->forest->format);
    for (size_t i = 0; i < PX_ARRAY_LEN(known); i++) {
        if (strcmp(known[i].engine, px_engine_name(model->engine)) == 0)
            return known[i].platform;
    }
    return px_engine_name(model->engine);
}

/* Of a model whose first dimensions count rows, `skipped` is 1. */
static struct px_model_tensor describe_spec(const struct px_tensor_spec *spec, size_t skipped)
{
    struct px_model_tensor tensor = {
        .name = spec->name, .type = spec->type, .optional = spec->optional, .spec = spec};
    tensor.any_rank = spec->any_rank;
    if (spec->any_rank || spec->n_dims < skipped)
        tensor.dims[tensor.n_dims++] = PX_DIM_ANY;
    for (size_t i = skipped; !spec->any_rank && i < spec->n_dims; i++)
        tensor.dims[tensor.n_dims++] = spec->shape[i];
    return tensor;
}

static enum px_code describe_tensors(const struct px_model *model,
                                     const struct px_serving_limits *limits, struct px_arena *arena,
                                     struct px_model_config *ret, struct px_err *err)
{
    const struct px_tensor_specs *takes = &model->engine->takes, *gives = &model->engine->gives;
    struct px_model_tensor *inputs = px_arena_alloc(arena, takes->n + 1, sizeof *inputs);
    struct px_model_tensor *outputs = px_arena_alloc(arena, gives->n + 1, sizeof *outputs);
    size_t skipped = px_engine_has(model->engine, PX_ENGINE_BATCHES),
           rows = limits->request_rows_max;
    if (!inputs || !outputs)
        return px_arena_check(arena, "the configuration", err);
    for (size_t i = 0; i < takes->n; i++)
        inputs[i] = describe_spec(&takes->list[i], skipped);
    for (size_t i = 0; i < gives->n; i++)
        outputs[i] = describe_spec(&gives->list[i], skipped);
    ret->inputs = inputs;
    ret->n_inputs = takes->n;
    ret->outputs = outputs;
    ret->n_outputs = gives->n;
    if (skipped)
        ret->max_batch_size = rows < INT32_MAX ? (int32_t)rows : INT32_MAX;
    return PX_OK;
}

static enum px_code describe_features(const struct px_model *model,
                                      const struct px_serving_limits *limits,
                                      struct px_arena *arena, struct px_model_config *ret,
                                      struct px_err *err)
{
    const struct px_signature *signature = model->signature;
    size_t n_inputs = px_model_is_by_columns(signature) ? signature->n_features : 1;
    struct px_model_tensor *inputs = px_arena_alloc(arena, n_inputs, sizeof *inputs);
    struct px_model_tensor *output = px_arena_alloc(arena, 1, sizeof *output);
    if (!inputs || !output)
        return px_arena_check(arena, "the configuration", err);
    describe_inputs(model, inputs, n_inputs);
    *output = (struct px_model_tensor){.name = signature->output_name,
                                       .type = model->engine->score_type,
                                       .n_columns = model->engine->n_outputs,
                                       .dims = {(int64_t)model->engine->n_outputs},
                                       .n_dims = 1};
    size_t rows = limits->request_rows_max;
    ret->max_batch_size = rows < INT32_MAX ? (int32_t)rows : INT32_MAX;
    ret->inputs = inputs;
    ret->outputs = output;
    ret->n_inputs = n_inputs;
    ret->n_outputs = 1;
    ret->has_waves = true;
    return PX_OK;
}

/* How many runs an engine computes at a time, as far as it is known. */
static unsigned count_instances(const struct px_model *model)
{
    struct px_executor_counts counts;
    const struct px_engine *inner = px_sequence_engine_inner(model->engine);
    if (model->forest)
        return model->n_lanes;
    return px_executor_counts(inner ? inner : model->engine, &counts) ? counts.n_threads : 1;
}

struct px_model_tensor px_config_state(const struct px_model_config *config,
                                       const struct px_sequence_state *state)
{
    const struct px_tensor_spec *spec = px_tensor_specs_find(config->model_inputs, state->input);
    PX_ASSERT(spec); /* the engine was not made without it */
    struct px_model_tensor tensor = describe_spec(spec, config->max_batch_size > 0);
    if (state->type)
        tensor.type = state->type;
    if (state->has_shape) {
        memcpy(tensor.dims, state->shape, sizeof tensor.dims);
        tensor.n_dims = state->n_dims;
    }
    return tensor;
}

enum px_datatype px_config_input_type(const struct px_model_config *config, struct px_str name)
{
    const struct px_tensor_spec *spec = px_tensor_specs_find(config->model_inputs, name);
    PX_ASSERT(spec);
    return spec->type;
}

const char *px_config_control_name(enum px_sequence_control control)
{
    static const char *const names[] = {"CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_END",
                                        "CONTROL_SEQUENCE_READY", "CONTROL_SEQUENCE_CORRID"};
    return names[control];
}

unsigned px_config_control_number(enum px_sequence_control control)
{
    static const unsigned numbers[] = {0, 2, 1, 3};
    return numbers[control];
}

struct px_str px_config_file_name(struct px_str path)
{
    size_t at = path.len;
    while (at > 0 && path.ptr[at - 1] != '/')
        at--;
    return px_str_n(path.ptr + at, path.len - at);
}

/* What may be computed together, of a model with a queue whose rows do not know of each other. */
static void describe_queue(const struct px_model *model, struct px_model_config *ret)
{
    struct px_executor_report report;
    ret->has_queue = px_executor_report(model->engine, &report) && report.batches;
    ret->batching = report.batching;
}

/* Batches of sequences are as large as their scheduler makes them. */
static void describe_sequences(const struct px_model *model, struct px_model_config *ret)
{
    const struct px_engine *inner = px_sequence_engine_inner(model->engine);
    ret->sequence = px_sequence_engine_settings(model->engine);
    if (!inner || !ret->sequence)
        return;
    ret->model_inputs = &inner->takes;
    if (ret->max_batch_size > 0)
        ret->max_batch_size = (int32_t)px_sequences_batch_max(&ret->sequence->rules);
}

enum px_code px_model_config(const struct px_model *model, const struct px_serving_limits *limits,
                             struct px_arena *arena, struct px_model_config *ret,
                             struct px_err *err)
{
    char group[GROUP_NAME_MAX];
    snprintf(group, sizeof group, "%.*s_0", PX_STR_ARG(model->name));
    *ret = (struct px_model_config){
        .name = model->name,
        .platform = px_model_platform(model),
        .backend = px_engine_name(model->engine),
        .instance_group = px_arena_str(arena, px_str(group)),
        .versions = model->policy,
        .n_instances = count_instances(model),
        .has_cache = model->cache != NULL,
    };
    if (!ret->instance_group.ptr)
        return px_arena_check(arena, "the configuration", err);
    enum px_code code = px_engine_has(model->engine, PX_ENGINE_TENSORS)
                            ? describe_tensors(model, limits, arena, ret, err)
                            : describe_features(model, limits, arena, ret, err);
    describe_queue(model, ret);
    describe_sequences(model, ret);
    return code;
}
