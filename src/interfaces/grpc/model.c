/* SPDX-License-Identifier: Apache-2.0 */
/* ModelReady, ModelMetadata and ModelConfig: what a model is, from the same description as over REST. */
#include "interfaces/grpc/config_batching.h"
#include "interfaces/grpc/config_sequence.h"
#include "interfaces/grpc/handlers.h"
#include "interfaces/grpc/infer.h"
#include "interfaces/grpc/message.h"
#include "interfaces/grpc/parameters.h"
#include "interfaces/grpc/status.h"
#include "interfaces/inference/properties.h"

#include "application/serving/model_config.h"

static void loaded(struct px_call *asked)
{
    struct px_grpc_call *call = asked->owner;
    call->infer = NULL;
    if (asked->code == PX_OK)
        call->method->unary(call);
    else
        px_grpc_fail(call, &asked->err);
}

/* The call goes on when the model is in memory. NULL and `err` when it cannot wait for that. */
static struct px_call *await_model(struct px_grpc_call *call, struct px_str name,
                                   struct px_str version, struct px_err *err)
{
    struct px_http_exchange *exchange = call->exchange;
    struct px_infer *infer = px_arena_zalloc(exchange->arena, 1, sizeof *infer);
    if (px_arena_check(exchange->arena, "the request", err) != PX_OK)
        return NULL;
    infer->call = (struct px_call){.model_name = name,
                                   .version = version,
                                   .loop = exchange->loop,
                                   .received_ns = exchange->request.received_ns,
                                   .deadline_ns = call->deadline_ns,
                                   .owner = call};
    if (px_call_await_model(call->grpc->settings.serving, &infer->call, loaded) != PX_OK) {
        *err = infer->call.err;
        return NULL;
    }
    call->infer = infer; /* an abandoned call cancels it */
    px_http_defer(exchange);
    return &infer->call;
}

/* The model that a request of name and version asks for; NULL after the call has failed, or while it waits for the model. */
static struct px_model *find_model(struct px_grpc_call *call, struct px_str *ret_version)
{
    struct px_str name;
    struct px_err err;
    struct px_model *model = NULL;
    struct px_call *asked = NULL;
    if (px_grpc_read_name_version(call->message, &name, ret_version, &err) == PX_OK) {
        model = px_serving_find(call->grpc->settings.serving, name, *ret_version, &err);
        if (!model && err.code == PX_E_UNAVAILABLE)
            asked = await_model(call, name, *ret_version, &err);
    }
    if (!model && !asked)
        px_grpc_fail(call, &err);
    return model;
}

void px_grpc_handle_model_ready(struct px_grpc_call *call)
{
    enum { READY = 1 };
    struct px_str name, version;
    struct px_err err;
    enum px_code code = px_grpc_read_name_version(call->message, &name, &version, &err);
    struct px_model *model = NULL;
    if (code == PX_OK)
        model = px_serving_find_known(call->grpc->settings.serving, name, version, &err);
    bool ready = model && px_model_is_able(model, &err);
    /* A model that is unknown is not ready, as Triton answers; what is no request is an error. */
    if (!ready && err.code != PX_E_UNAVAILABLE && err.code != PX_E_NOT_FOUND) {
        px_grpc_fail(call, &err);
        return;
    }
    struct px_buf *body = call->exchange->body;
    size_t mark = px_grpc_begin_message(body);
    if (ready)
        px_protobuf_put_bool(body, READY, true);
    px_grpc_end_message(body, mark);
    px_grpc_reply(call);
}

static bool describe(struct px_grpc_call *call, const struct px_model *model,
                     struct px_model_config *ret)
{
    struct px_err err;
    if (px_model_config(model, px_serving_limits(call->grpc->settings.serving),
                        call->exchange->arena, ret, &err) == PX_OK)
        return true;
    px_grpc_fail(call, &err);
    return false;
}

/* ---- metadata ---- */

enum metadata_field {
    METADATA_NAME = 1,
    METADATA_VERSIONS,
    METADATA_PLATFORM,
    METADATA_INPUTS,
    METADATA_OUTPUTS,
    METADATA_PROPERTIES,
};

/*
 * Any number of dimensions is told as [-1], as over REST, and the parameter says that it is not one of any length. A scalar's shape is no
 * field at all, so there it says that the shape is known.
 */
static void put_unknown_rank(struct px_buf *buf, uint32_t number, bool unknown)
{
    enum { KEY = 1, VALUE };
    size_t entry = px_protobuf_begin(buf, number);
    px_protobuf_put_text(buf, KEY, "unknown_rank");
    size_t value = px_protobuf_begin(buf, VALUE);
    px_protobuf_put_bool(buf, PX_GRPC_PARAMETER_BOOL, unknown);
    px_protobuf_end(buf, value);
    px_protobuf_end(buf, entry);
}

static void put_tensor(struct px_buf *buf, uint32_t number, const struct px_model_tensor *tensor)
{
    enum { NAME = 1, DATATYPE, SHAPE, PARAMETERS };
    int64_t shape[PX_TENSOR_DIMS_MAX];
    size_t n_dims = px_model_tensor_shape(tensor, shape);
    size_t message = px_protobuf_begin(buf, number);
    px_protobuf_put_bytes(buf, NAME, tensor->name);
    px_protobuf_put_text(buf, DATATYPE, px_datatype_name(tensor->type));
    px_protobuf_put_packed(buf, SHAPE, shape, n_dims);
    if (tensor->any_rank || n_dims == 0)
        put_unknown_rank(buf, PARAMETERS, tensor->any_rank);
    px_protobuf_end(buf, message);
}

/* Without a version in the request: every version that answers. */
static void put_versions(struct px_buf *buf, const struct px_grpc_call *call,
                         const struct px_model *model, bool only_this)
{
    const struct px_model_set *set = px_serving_models(call->grpc->settings.serving);
    for (size_t i = 0; i < set->n_models; i++) {
        const struct px_model *other = set->models[i];
        bool wanted = only_this ? other == model : other->state != PX_MODEL_FAILED;
        if (wanted && px_str_eq(other->name, model->name))
            px_protobuf_put_bytes(buf, METADATA_VERSIONS, other->version);
    }
}

static void put_properties(struct px_buf *buf, const struct px_model *model)
{
    enum { KEY = 1, VALUE };
    struct px_property properties[PX_PROPERTIES_MAX];
    size_t n = px_model_properties(model, properties);
    for (size_t i = 0; i < n; i++) {
        size_t entry = px_protobuf_begin(buf, METADATA_PROPERTIES);
        px_protobuf_put_text(buf, KEY, properties[i].key);
        px_protobuf_put_text(buf, VALUE, properties[i].value);
        px_protobuf_end(buf, entry);
    }
}

void px_grpc_handle_model_metadata(struct px_grpc_call *call)
{
    struct px_str version;
    struct px_model_config config;
    const struct px_model *model = find_model(call, &version);
    if (!model || !describe(call, model, &config))
        return;
    struct px_buf *body = call->exchange->body;
    size_t mark = px_grpc_begin_message(body);
    px_protobuf_put_bytes(body, METADATA_NAME, config.name);
    put_versions(body, call, model, version.len > 0);
    px_protobuf_put_text(body, METADATA_PLATFORM, config.platform);
    for (size_t i = 0; i < config.n_inputs; i++)
        put_tensor(body, METADATA_INPUTS, &config.inputs[i]);
    for (size_t i = 0; i < config.n_outputs; i++)
        put_tensor(body, METADATA_OUTPUTS, &config.outputs[i]);
    put_properties(body, model);
    px_grpc_end_message(body, mark);
    px_grpc_reply(call);
}

/* ---- configuration ---- */

enum config_field {
    CONFIG_NAME = 1,
    CONFIG_PLATFORM = 2,
    CONFIG_VERSION_POLICY = 3,
    CONFIG_MAX_BATCH_SIZE = 4,
    CONFIG_INPUT = 5,
    CONFIG_OUTPUT = 6,
    CONFIG_INSTANCE_GROUP = 7,
    CONFIG_DYNAMIC_BATCHING = 11,
    CONFIG_SEQUENCE_BATCHING = 13,
    CONFIG_BACKEND = 17,
    CONFIG_RESPONSE_CACHE = 24,
};

/* A message without fields, which says that its choice is made. */
static void put_empty(struct px_buf *buf, uint32_t number)
{
    px_protobuf_put_header(buf, number, 0);
}

static void put_config_tensor(struct px_buf *buf, uint32_t number,
                              const struct px_model_tensor *tensor)
{
    enum { NAME = 1, DATA_TYPE = 2, OUTPUT_DIMS = 3, INPUT_DIMS = 4, OPTIONAL = 8 };
    bool is_input = number == CONFIG_INPUT;
    size_t message = px_protobuf_begin(buf, number);
    px_protobuf_put_bytes(buf, NAME, tensor->name);
    px_protobuf_put_u64(buf, DATA_TYPE, px_config_type_number(tensor->type));
    px_protobuf_put_packed(buf, is_input ? INPUT_DIMS : OUTPUT_DIMS, tensor->dims, tensor->n_dims);
    if (is_input && tensor->optional)
        px_protobuf_put_bool(buf, OPTIONAL, true);
    px_protobuf_end(buf, message);
}

static void put_instance_group(struct px_buf *buf, const struct px_model_config *config)
{
    enum { NAME = 1, COUNT = 2, KIND = 4, KIND_CPU = 2 };
    size_t group = px_protobuf_begin(buf, CONFIG_INSTANCE_GROUP);
    px_protobuf_put_bytes(buf, NAME, config->instance_group);
    px_protobuf_put_u64(buf, COUNT, config->n_instances);
    px_protobuf_put_u64(buf, KIND, KIND_CPU);
    px_protobuf_end(buf, group);
}

/* Versions whose names are no numbers have no place in the protocol's list. */
static void put_policy(struct px_buf *buf, const struct px_version_policy *policy)
{
    enum { LATEST = 1, ALL = 2, SPECIFIC = 3, NUM_VERSIONS = 1, VERSIONS = 1 };
    size_t message = px_protobuf_begin(buf, CONFIG_VERSION_POLICY);
    if (policy->kind == PX_VERSIONS_ALL) {
        put_empty(buf, ALL);
    } else if (policy->kind == PX_VERSIONS_LATEST) {
        size_t latest = px_protobuf_begin(buf, LATEST);
        px_protobuf_put_u64(buf, NUM_VERSIONS, policy->n_latest);
        px_protobuf_end(buf, latest);
    } else {
        size_t specific = px_protobuf_begin(buf, SPECIFIC);
        for (struct px_str rest = policy->specific; rest.ptr;) {
            uint64_t version;
            if (px_str_to_u64(px_str_cut(&rest, ','), &version))
                px_protobuf_put_u64(buf, VERSIONS, version);
        }
        px_protobuf_end(buf, specific);
    }
    px_protobuf_end(buf, message);
}

static void put_cache(struct px_buf *buf)
{
    enum { ENABLE = 1 };
    size_t message = px_protobuf_begin(buf, CONFIG_RESPONSE_CACHE);
    px_protobuf_put_bool(buf, ENABLE, true);
    px_protobuf_end(buf, message);
}

void px_grpc_handle_model_config(struct px_grpc_call *call)
{
    enum { RESPONSE_CONFIG = 1 };
    struct px_str version;
    struct px_model_config config;
    const struct px_model *model = find_model(call, &version);
    if (!model || !describe(call, model, &config))
        return;
    struct px_buf *body = call->exchange->body;
    size_t mark = px_grpc_begin_message(body), message = px_protobuf_begin(body, RESPONSE_CONFIG);
    px_protobuf_put_bytes(body, CONFIG_NAME, config.name);
    px_protobuf_put_text(body, CONFIG_PLATFORM, config.platform);
    px_protobuf_put_text(body, CONFIG_BACKEND, config.backend);
    put_policy(body, &config.versions);
    px_protobuf_put_i64(body, CONFIG_MAX_BATCH_SIZE, config.max_batch_size);
    for (size_t i = 0; i < config.n_inputs; i++)
        put_config_tensor(body, CONFIG_INPUT, &config.inputs[i]);
    for (size_t i = 0; i < config.n_outputs; i++)
        put_config_tensor(body, CONFIG_OUTPUT, &config.outputs[i]);
    put_instance_group(body, &config);
    if (config.has_waves)
        put_empty(body, CONFIG_DYNAMIC_BATCHING);
    if (config.has_queue)
        px_grpc_put_dynamic_batching(body, CONFIG_DYNAMIC_BATCHING, &config.batching);
    if (config.has_cache)
        put_cache(body);
    if (config.sequence)
        px_grpc_put_sequence_batching(body, CONFIG_SEQUENCE_BATCHING, &config);
    px_protobuf_end(body, message);
    px_grpc_end_message(body, mark);
    px_grpc_reply(call);
}
