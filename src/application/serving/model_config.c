/* SPDX-License-Identifier: Apache-2.0 */
#include "application/serving/model_config.h"

#include "application/execution/executor.h"
#include "application/sequences/sequence_engine.h"
#include "shared/json.h"

#include <stdio.h>

enum { GROUP_NAME_MAX = 160, CONFIG_MEMORY_MAX = 1 << 20 };

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

/* ---- what a client thinks that it is ---- */

/* One check on its way. A contradiction goes to `err` at once; what is no JSON sticks to `json`. */
struct check {
    struct px_json json;
    const struct px_model_config *config;
    struct px_err *err;
    enum px_code code;
};

static void refuse(struct check *c, enum px_code code, const char *field, struct px_str got)
{
    if (c->code == PX_OK)
        c->code =
            px_err_set(c->err, code, "field '%s': '%.*s' %s", field, PX_STR_ARG(got),
                       code == PX_E_UNSUPPORTED ? "is not supported" : "is not what the model has");
}

/* A text that must be empty or one of `a`, `b` (NULL: no second). */
static void expect_text(struct check *c, const char *field, struct px_str a, const char *b)
{
    struct px_str got = px_json_str(&c->json);
    if (got.len && !px_str_eq(got, a) && !(b && px_str_is(got, b)))
        refuse(c, PX_E_INVALID, field, got);
}

/* null, false, 0, "", [] and {} say nothing in proto3's JSON; anything else asks for something. */
static bool says_nothing(struct px_str raw)
{
    static const char *const nothing[] = {"null", "false", "0", "\"\"", "[]", "{}", "\"0\""};
    for (size_t i = 0; i < PX_ARRAY_LEN(nothing); i++) {
        if (px_str_is(raw, nothing[i]))
            return true;
    }
    return false;
}

static void expect_nothing(struct check *c, struct px_str field)
{
    char name[80];
    struct px_str raw = px_json_raw(&c->json);
    snprintf(name, sizeof name, "%.*s", PX_STR_ARG(field));
    if (!px_json_failed(&c->json) && !says_nothing(raw))
        refuse(c, PX_E_UNSUPPORTED, name, raw);
}

/* An integer, which proto3's JSON may also write as text. */
static int64_t read_integer(struct check *c)
{
    int64_t number = 0;
    if (px_json_peek(&c->json) != PX_JSON_STRING)
        return px_json_i64(&c->json);
    struct px_str text = px_json_str(&c->json);
    if (!px_str_to_i64(text, &number))
        px_json_fail(&c->json, "expected an integer, got '%.*s'", PX_STR_ARG(text));
    return number;
}

/* A smaller one would have no effect: the limit is the server's, for every model. */
static void check_batch_size(struct check *c)
{
    char text[32];
    int64_t n = read_integer(c);
    if (px_json_failed(&c->json) || n == c->config->max_batch_size)
        return;
    snprintf(text, sizeof text, "%lld", (long long)n);
    refuse(c, PX_E_INVALID, "max_batch_size", px_str(text));
    if (c->code == PX_E_INVALID)
        c->code = px_err_hint(c->err, "the model has %ld; leave the field out to keep it",
                              (long)c->config->max_batch_size);
}

/* ---- tensors ---- */

struct tensor_text {
    struct px_str name, type;
    int64_t columns; /* the product of dims; -1 when one of them is any */
    int64_t dims[PX_TENSOR_DIMS_MAX];
    size_t n_dims;
};

static void read_dims(struct check *c, struct tensor_text *t)
{
    px_json_enter_array(&c->json);
    while (px_json_next_element(&c->json)) {
        int64_t dim = read_integer(c);
        if (dim < -1 || dim > 1 << 30 || t->columns > 1 << 30)
            px_json_fail(&c->json, "expected a dimension, got %lld", (long long)dim);
        t->columns = dim == -1 || t->columns == -1 ? -1 : t->columns * dim;
        if (t->n_dims < PX_TENSOR_DIMS_MAX)
            t->dims[t->n_dims++] = dim;
        else
            px_json_fail(&c->json, "expected at most %d dimensions", PX_TENSOR_DIMS_MAX);
    }
}

/* What is any on one side agrees with everything. */
static bool dims_agree(const struct tensor_text *t, const struct px_model_tensor *tensor)
{
    if (!tensor->spec)
        return t->columns == -1 || (uint64_t)t->columns == tensor->n_columns;
    bool agree = tensor->any_rank || t->n_dims == tensor->n_dims;
    for (size_t i = 0; agree && !tensor->any_rank && i < t->n_dims; i++)
        agree = t->dims[i] == tensor->dims[i] || t->dims[i] == -1 || tensor->dims[i] == -1;
    return agree;
}

static void read_tensor(struct check *c, struct tensor_text *t)
{
    struct px_str key;
    *t = (struct tensor_text){.columns = 1};
    px_json_enter_object(&c->json);
    while (px_json_next_key(&c->json, &key)) {
        if (px_str_is(key, "name"))
            t->name = px_json_str(&c->json);
        else if (px_str_is(key, "data_type"))
            t->type = px_json_str(&c->json);
        else if (px_str_is(key, "dims"))
            read_dims(c, t);
        else if (px_str_is(key, "format"))
            expect_text(c, "format", (struct px_str)PX_STR("FORMAT_NONE"), NULL);
        else if (px_str_is(key, "optional"))
            (void)px_json_bool(&c->json);
        else
            expect_nothing(c, key);
    }
}

static void check_tensor(struct check *c, const char *field, const struct px_model_tensor *tensors,
                         size_t n)
{
    struct tensor_text t;
    read_tensor(c, &t);
    for (size_t i = 0; i < n; i++) {
        const struct px_model_tensor *tensor = &tensors[i];
        if (!px_str_eq(tensor->name, t.name))
            continue;
        if (!px_str_is(t.type, px_config_type_name(tensor->type)))
            refuse(c, PX_E_INVALID, "data_type", t.type);
        if (!dims_agree(&t, tensor))
            refuse(c, PX_E_INVALID, "dims", t.name);
        return;
    }
    if (!px_json_failed(&c->json))
        refuse(c, PX_E_INVALID, field, t.name);
}

static void check_tensors(struct check *c, const char *field, const struct px_model_tensor *tensors,
                          size_t n)
{
    px_json_enter_array(&c->json);
    while (px_json_next_element(&c->json))
        check_tensor(c, field, tensors, n);
}

/* ---- scheduling ---- */

static void check_group(struct check *c)
{
    struct px_str key;
    px_json_enter_object(&c->json);
    while (px_json_next_key(&c->json, &key)) {
        if (px_str_is(key, "name")) {
            (void)px_json_str(&c->json);
        } else if (px_str_is(key, "kind")) {
            expect_text(c, "kind", (struct px_str)PX_STR("KIND_CPU"), "KIND_AUTO");
        } else if (px_str_is(key, "count")) {
            int64_t n = read_integer(c);
            if (!px_json_failed(&c->json) && n != 1 && n != (int64_t)c->config->n_instances)
                refuse(c, PX_E_UNSUPPORTED, "count", px_str("another number of instances"));
        } else {
            expect_nothing(c, key);
        }
    }
}

static void check_groups(struct check *c)
{
    px_json_enter_array(&c->json);
    while (px_json_next_element(&c->json))
        check_group(c);
}

/* Waves keep the order and add no delay; priorities and queues of a size are not theirs. */
static void check_batching(struct check *c)
{
    struct px_str key;
    px_json_enter_object(&c->json);
    while (px_json_next_key(&c->json, &key)) {
        if (px_str_is(key, "preserve_ordering"))
            (void)px_json_bool(&c->json);
        else
            expect_nothing(c, key);
    }
}

static void check_field(struct check *c, struct px_str key)
{
    const struct px_model_config *config = c->config;
    if (px_str_is(key, "name"))
        expect_text(c, "name", config->name, NULL);
    else if (px_str_is(key, "platform"))
        expect_text(c, "platform", px_str(config->platform), NULL);
    else if (px_str_is(key, "backend"))
        expect_text(c, "backend", px_str(config->backend), NULL);
    else if (px_str_is(key, "max_batch_size"))
        check_batch_size(c);
    else if (px_str_is(key, "input"))
        check_tensors(c, "input", config->inputs, config->n_inputs);
    else if (px_str_is(key, "output"))
        check_tensors(c, "output", config->outputs, config->n_outputs);
    else if (px_str_is(key, "instance_group"))
        check_groups(c);
    else if (px_str_is(key, "version_policy"))
        px_json_skip(&c->json); /* what was loaded was chosen by it (version_policy.h) */
    else if (px_str_is(key, "dynamic_batching"))
        check_batching(c);
    else
        expect_nothing(c, key);
}

static enum px_code check_all(struct check *c)
{
    struct px_str key;
    px_json_enter_object(&c->json);
    while (px_json_next_key(&c->json, &key))
        check_field(c, key);
    enum px_code code = px_json_finish(&c->json, c->code == PX_OK ? c->err : NULL);
    return c->code != PX_OK ? c->code : code;
}

enum px_code px_model_config_check(struct px_str json, const struct px_model *model,
                                   const struct px_serving_limits *limits, struct px_err *err)
{
    struct px_model_config config;
    struct px_arena arena = px_arena(CONFIG_MEMORY_MAX + json.len * 2);
    enum px_code code = px_model_config(model, limits, &arena, &config, err);
    if (code == PX_OK) {
        struct check c = {.config = &config, .err = err};
        px_json_init(&c.json, json, &arena, 0);
        code = check_all(&c);
    }
    px_arena_deinit(&arena);
    return code;
}
