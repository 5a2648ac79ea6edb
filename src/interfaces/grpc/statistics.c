/* SPDX-License-Identifier: Apache-2.0 */
/* ModelStatistics. */
#include "interfaces/grpc/handlers.h"
#include "interfaces/grpc/message.h"
#include "interfaces/grpc/status.h"

#include "application/serving/statistics.h"

enum { REQUEST_NAME = 1, REQUEST_VERSION, RESPONSE_MODELS = 1 };

enum model_field {
    NAME = 1,
    VERSION,
    LAST_INFERENCE,
    INFERENCE_COUNT,
    EXECUTION_COUNT,
    INFERENCE_STATS,
    BATCH_STATS,
    MEMORY_USAGE,
};

static void put_duration(struct px_buf *buf, uint32_t number, const struct px_duration_sum *sum)
{
    enum { COUNT = 1, NS };
    size_t duration = px_protobuf_begin(buf, number);
    px_protobuf_put_u64(buf, COUNT, sum->count);
    px_protobuf_put_u64(buf, NS, sum->ns);
    px_protobuf_end(buf, duration);
}

static void put_inference_stats(struct px_buf *buf, const struct px_model_statistics *model)
{
    const struct px_duration_sum *const sums[] = {
        &model->success,       &model->fail,           &model->queue,     &model->compute_input,
        &model->compute_infer, &model->compute_output, &model->cache_hit, &model->cache_miss,
    };
    size_t stats = px_protobuf_begin(buf, INFERENCE_STATS);
    for (uint32_t i = 0; i < PX_ARRAY_LEN(sums); i++)
        put_duration(buf, i + 1, sums[i]);
    px_protobuf_end(buf, stats);
}

static void put_batch(struct px_buf *buf, const struct px_batch_statistics *batch)
{
    enum { BATCH_SIZE = 1, COMPUTE_INPUT, COMPUTE_INFER, COMPUTE_OUTPUT };
    size_t stats = px_protobuf_begin(buf, BATCH_STATS);
    px_protobuf_put_u64(buf, BATCH_SIZE, batch->batch_size);
    put_duration(buf, COMPUTE_INPUT, &batch->compute_input);
    put_duration(buf, COMPUTE_INFER, &batch->compute_infer);
    put_duration(buf, COMPUTE_OUTPUT, &batch->compute_output);
    px_protobuf_end(buf, stats);
}

static void put_memory(struct px_buf *buf, uint64_t bytes)
{
    enum { TYPE = 1, ID, BYTE_SIZE };
    size_t usage = px_protobuf_begin(buf, MEMORY_USAGE);
    px_protobuf_put_text(buf, TYPE, "CPU");
    px_protobuf_put_u64(buf, ID, 0);
    px_protobuf_put_u64(buf, BYTE_SIZE, bytes);
    px_protobuf_end(buf, usage);
}

static void put_model(struct px_buf *buf, const struct px_model_statistics *model)
{
    size_t message = px_protobuf_begin(buf, RESPONSE_MODELS);
    px_protobuf_put_bytes(buf, NAME, model->name);
    px_protobuf_put_bytes(buf, VERSION, model->version);
    px_protobuf_put_u64(buf, LAST_INFERENCE, model->last_inference_ms);
    px_protobuf_put_u64(buf, INFERENCE_COUNT, model->inference_count);
    px_protobuf_put_u64(buf, EXECUTION_COUNT, model->execution_count);
    put_inference_stats(buf, model);
    for (size_t i = 0; i < model->n_batches; i++)
        put_batch(buf, &model->batches[i]);
    put_memory(buf, model->memory_bytes);
    px_protobuf_end(buf, message);
}

void px_grpc_handle_model_statistics(struct px_grpc_call *call)
{
    struct px_http_exchange *exchange = call->exchange;
    struct px_model_choice choice;
    struct px_statistics statistics;
    struct px_err err;
    enum px_code code =
        px_grpc_read_name_version(call->message, &choice.name, &choice.version, &err);
    if (code == PX_OK)
        code = px_serving_statistics(call->grpc->settings.serving, &choice, exchange->arena,
                                     &statistics, &err);
    if (code != PX_OK) {
        px_grpc_fail(call, &err);
        return;
    }
    size_t mark = px_grpc_begin_message(exchange->body);
    for (size_t i = 0; i < statistics.n_models; i++)
        put_model(exchange->body, &statistics.models[i]);
    px_grpc_end_message(exchange->body, mark);
    px_grpc_reply(call);
}
