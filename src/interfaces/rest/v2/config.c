/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Triton's model configuration extension: ModelConfig in proto3's JSON with its own field names. Fields that have
 * nothing to say are written as Triton writes them, so that tools which index into them find them.
 */
#include "application/serving/model_config.h"
#include "interfaces/rest/handlers.h"
#include "interfaces/rest/reply.h"
#include "interfaces/rest/v2/v2.h"
#include "shared/clock.h"

#include <stdio.h>

static void put_empty_array(struct px_json_writer *w, const char *name)
{
    px_json_key(w, name);
    px_json_begin_array(w);
    px_json_end_array(w);
}

static void put_empty_object(struct px_json_writer *w, const char *name)
{
    px_json_key(w, name);
    px_json_begin_object(w);
    px_json_end_object(w);
}

/* Dimensions without the batch's. */
static void put_tensor_head(struct px_json_writer *w, const struct px_model_tensor *tensor)
{
    px_json_member_str(w, "name", tensor->name);
    px_json_member_text(w, "data_type", px_config_type_name(tensor->type));
    px_json_key(w, "dims");
    px_json_begin_array(w);
    for (size_t i = 0; i < tensor->n_dims; i++)
        px_json_put_i64(w, tensor->dims[i]);
    px_json_end_array(w);
    px_json_member_bool(w, "is_shape_tensor", false);
}

static void put_inputs(struct px_json_writer *w, const struct px_model_config *config)
{
    px_json_key(w, "input");
    px_json_begin_array(w);
    for (size_t i = 0; i < config->n_inputs; i++) {
        px_json_begin_object(w);
        put_tensor_head(w, &config->inputs[i]);
        px_json_member_text(w, "format", "FORMAT_NONE");
        px_json_member_bool(w, "allow_ragged_batch", false);
        px_json_member_bool(w, "optional", config->inputs[i].optional);
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void put_outputs(struct px_json_writer *w, const struct px_model_config *config)
{
    px_json_key(w, "output");
    px_json_begin_array(w);
    for (size_t i = 0; i < config->n_outputs; i++) {
        px_json_begin_object(w);
        put_tensor_head(w, &config->outputs[i]);
        px_json_member_text(w, "label_filename", "");
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void put_group(struct px_json_writer *w, const struct px_model_config *config)
{
    px_json_key(w, "instance_group");
    px_json_begin_array(w);
    px_json_begin_object(w);
    px_json_member_str(w, "name", config->instance_group);
    px_json_member_text(w, "kind", "KIND_CPU");
    px_json_member_u64(w, "count", config->n_instances);
    put_empty_array(w, "gpus");
    put_empty_array(w, "secondary_devices");
    put_empty_array(w, "profile");
    px_json_member_bool(w, "passive", false);
    px_json_member_text(w, "host_policy", "");
    px_json_end_object(w);
    px_json_end_array(w);
}

static void put_batching(struct px_json_writer *w)
{
    px_json_key(w, "dynamic_batching");
    px_json_begin_object(w);
    put_empty_array(w, "preferred_batch_size");
    px_json_member_u64(w, "max_queue_delay_microseconds", 0);
    px_json_member_bool(w, "preserve_ordering", true);
    px_json_end_object(w);
}

static void put_policy(struct px_json_writer *w, const struct px_batch_level *level)
{
    px_json_begin_object(w);
    px_json_member_text(w, "timeout_action", level->demotes ? "DELAY" : "REJECT");
    px_json_member_u64(w, "default_timeout_microseconds", level->timeout_ns / PX_NS_PER_US);
    px_json_member_bool(w, "allow_timeout_override", true);
    px_json_member_u64(w, "max_queue_size", level->items_max);
    px_json_end_object(w);
}

static size_t shown_bound(const struct px_batch_policy *policy, size_t items_max)
{
    return items_max && items_max < policy->items_max ? items_max : policy->items_max;
}

/* Triton counts levels only where there are several; a level without a policy of its own is bounded by the whole queue. */
static void put_levels(struct px_json_writer *w, const struct px_batch_policy *policy)
{
    struct px_batch_level usual =
        policy->n_levels == 1 ? policy->levels[0] : (struct px_batch_level){0};
    usual.items_max = shown_bound(policy, usual.items_max);
    px_json_member_u64(w, "priority_levels", policy->n_levels > 1 ? policy->n_levels : 0);
    px_json_member_u64(w, "default_priority_level",
                       policy->n_levels > 1 ? policy->default_level : 0);
    px_json_key(w, "default_queue_policy");
    put_policy(w, &usual);
    px_json_key(w, "priority_queue_policy");
    px_json_begin_object(w);
    for (unsigned i = 0; policy->n_levels > 1 && i < policy->n_levels; i++) {
        char level[16];
        struct px_batch_level own = policy->levels[i];
        own.items_max = shown_bound(policy, own.items_max);
        snprintf(level, sizeof level, "%u", i + 1);
        px_json_key(w, level);
        put_policy(w, &own);
    }
    px_json_end_object(w);
}

static void put_queue_batching(struct px_json_writer *w, const struct px_batching *batching)
{
    const struct px_batch_policy *policy = &batching->policy;
    px_json_key(w, "dynamic_batching");
    px_json_begin_object(w);
    px_json_key(w, "preferred_batch_size");
    px_json_begin_array(w);
    for (size_t i = 0; i < policy->n_preferred; i++)
        px_json_put_u64(w, policy->preferred[i]);
    px_json_end_array(w);
    px_json_member_u64(w, "max_queue_delay_microseconds", policy->delay_ns / PX_NS_PER_US);
    px_json_member_bool(w, "preserve_ordering", batching->preserves_order);
    put_levels(w, policy);
    px_json_end_object(w);
}

static void put_versions(struct px_json_writer *w, const struct px_version_policy *policy)
{
    px_json_key(w, "version_policy");
    px_json_begin_object(w);
    if (policy->kind == PX_VERSIONS_ALL) {
        put_empty_object(w, "all");
    } else if (policy->kind == PX_VERSIONS_LATEST) {
        px_json_key(w, "latest");
        px_json_begin_object(w);
        px_json_member_u64(w, "num_versions", policy->n_latest);
        px_json_end_object(w);
    } else {
        px_json_key(w, "specific");
        px_json_begin_object(w);
        px_json_key(w, "versions");
        px_json_begin_array(w);
        for (struct px_str rest = policy->specific; rest.ptr;)
            px_json_put_str(w, px_str_cut(&rest, ','));
        px_json_end_array(w);
        px_json_end_object(w);
    }
    px_json_end_object(w);
}

static void put_cache(struct px_json_writer *w)
{
    px_json_key(w, "response_cache");
    px_json_begin_object(w);
    px_json_member_bool(w, "enable", true);
    px_json_end_object(w);
}

static void put_config(struct px_json_writer *w, const struct px_model_config *config)
{
    px_json_begin_object(w);
    px_json_member_str(w, "name", config->name);
    px_json_member_text(w, "platform", config->platform);
    px_json_member_text(w, "backend", config->backend);
    put_versions(w, &config->versions);
    px_json_member_u64(w, "max_batch_size", (uint64_t)config->max_batch_size);
    put_inputs(w, config);
    put_outputs(w, config);
    put_empty_array(w, "batch_input");
    put_empty_array(w, "batch_output");
    put_group(w, config);
    px_json_member_text(w, "default_model_filename", "");
    put_empty_object(w, "cc_model_filenames");
    put_empty_object(w, "metric_tags");
    put_empty_object(w, "parameters");
    put_empty_array(w, "model_warmup");
    if (config->has_waves)
        put_batching(w);
    if (config->has_queue)
        put_queue_batching(w, &config->batching);
    if (config->sequence)
        px_v2_put_sequence_batching(w, config);
    if (config->has_cache)
        put_cache(w);
    px_json_end_object(w);
}

void px_handle_v2_config(struct px_rest_request *request)
{
    struct px_serving *serving = request->rest->settings.serving;
    struct px_http_exchange *exchange = request->exchange;
    struct px_model_config config;
    struct px_err err;
    const struct px_model *model = px_rest_find_model(request);
    if (!model)
        return;
    if (px_model_config(model, px_serving_limits(serving), exchange->arena, &config, &err) !=
        PX_OK) {
        px_rest_fail(request, &err);
        return;
    }
    struct px_json_writer w = px_json_writer(exchange->body);
    put_config(&w, &config);
    px_reply_json(request, 200);
}
