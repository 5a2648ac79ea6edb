/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's statistics extension: what requests to a model cost, in its members and units. */
#include "application/serving/statistics.h"
#include "interfaces/rest/handlers.h"
#include "interfaces/rest/reply.h"

static void put_sum(struct px_json_writer *w, const char *name, struct px_duration_sum sum)
{
    px_json_key(w, name);
    px_json_begin_object(w);
    px_json_member_u64(w, "count", sum.count);
    px_json_member_u64(w, "ns", sum.ns);
    px_json_end_object(w);
}

static void put_requests(struct px_json_writer *w, const struct px_model_statistics *s)
{
    px_json_key(w, "inference_stats");
    px_json_begin_object(w);
    put_sum(w, "success", s->success);
    put_sum(w, "fail", s->fail);
    put_sum(w, "queue", s->queue);
    put_sum(w, "compute_input", s->compute_input);
    put_sum(w, "compute_infer", s->compute_infer);
    put_sum(w, "compute_output", s->compute_output);
    put_sum(w, "cache_hit", s->cache_hit);
    put_sum(w, "cache_miss", s->cache_miss);
    px_json_end_object(w);
    px_json_key(w, "response_stats"); /* of models with several responses to a request */
    px_json_begin_object(w);
    px_json_end_object(w);
}

static void put_batches(struct px_json_writer *w, const struct px_model_statistics *s)
{
    px_json_key(w, "batch_stats");
    px_json_begin_array(w);
    for (size_t i = 0; i < s->n_batches; i++) {
        const struct px_batch_statistics *batch = &s->batches[i];
        px_json_begin_object(w);
        px_json_member_u64(w, "batch_size", batch->batch_size);
        put_sum(w, "compute_input", batch->compute_input);
        put_sum(w, "compute_infer", batch->compute_infer);
        put_sum(w, "compute_output", batch->compute_output);
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void put_memory(struct px_json_writer *w, const struct px_model_statistics *s)
{
    px_json_key(w, "memory_usage");
    px_json_begin_array(w);
    px_json_begin_object(w);
    px_json_member_text(w, "type", "CPU");
    px_json_member_u64(w, "id", 0);
    px_json_member_u64(w, "byte_size", s->memory_bytes);
    px_json_end_object(w);
    px_json_end_array(w);
}

static void put_model(struct px_json_writer *w, const struct px_model_statistics *s)
{
    px_json_begin_object(w);
    px_json_member_str(w, "name", s->name);
    px_json_member_str(w, "version", s->version);
    px_json_member_u64(w, "last_inference", s->last_inference_ms);
    px_json_member_u64(w, "inference_count", s->inference_count);
    px_json_member_u64(w, "execution_count", s->execution_count);
    put_requests(w, s);
    put_batches(w, s);
    put_memory(w, s);
    px_json_end_object(w);
}

void px_handle_v2_statistics(struct px_rest_request *request)
{
    const struct px_model_choice choice = {request->args[0], request->args[1]};
    struct px_http_exchange *exchange = request->exchange;
    struct px_statistics statistics;
    struct px_err err;
    if (px_serving_statistics(request->rest->settings.serving, &choice, exchange->arena,
                              &statistics, &err) != PX_OK) {
        px_rest_fail(request, &err);
        return;
    }
    struct px_json_writer w = px_json_writer(exchange->body);
    px_json_begin_object(&w);
    px_json_key(&w, "model_stats");
    px_json_begin_array(&w);
    for (size_t i = 0; i < statistics.n_models; i++)
        put_model(&w, &statistics.models[i]);
    px_json_end_array(&w);
    px_json_end_object(&w);
    px_reply_json(request, 200);
}

void px_handle_v2_all_statistics(struct px_rest_request *request)
{
    px_handle_v2_statistics(request); /* no {model} in the path: every one */
}
