/* SPDX-License-Identifier: Apache-2.0 */
#include "application/execution/batching.h"

#include "application/execution/executor.h"
#include "shared/duration.h"
#include "shared/hash.h"

enum { STANDING_NS = 100000000 };

void px_batching_init(struct px_batching *ret)
{
    *ret = (struct px_batching){.policy = {.rows_max = PX_BATCHING_ROWS_DEFAULT,
                                           .standing_ns = STANDING_NS,
                                           .items_max = PX_EXECUTOR_QUEUE_DEFAULT,
                                           .n_levels = 1,
                                           .default_level = 1}};
}

uint64_t px_batching_client(struct px_str name)
{
    return px_hash(name.ptr, name.len);
}

enum px_code px_batching_check(const struct px_batching *batching, struct px_err *err)
{
    const struct px_batch_policy *policy = &batching->policy;
    bool demotes = false;
    for (unsigned i = 0; i < policy->n_levels; i++)
        demotes = demotes || policy->levels[i].demotes;
    if (!batching->preserves_order ||
        !(policy->n_levels > 1 || demotes || policy->turns_around || policy->n_weights > 0))
        return PX_OK;
    px_err_set(err, PX_E_CONFLICT, "answers cannot keep the order of requests that change theirs");
    return px_err_hint(err, "'preserve_order' goes with one priority, order fifo, and neither "
                            "'clients' nor 'on_timeout: demote'");
}

/* ---- for people ---- */

static void put_duration(struct px_json_writer *json, const char *key, uint64_t ns)
{
    char text[PX_DURATION_TEXT_MAX];
    px_json_member_text(json, key, px_duration_text(ns, text));
}

static void put_levels(const struct px_batch_policy *policy, struct px_json_writer *json)
{
    px_json_key(json, "levels");
    px_json_begin_array(json);
    for (unsigned i = 0; i < policy->n_levels; i++) {
        const struct px_batch_level *level = &policy->levels[i];
        px_json_begin_object(json);
        px_json_member_u64(json, "level", i + 1);
        px_json_member_u64(json, "max_queue",
                           level->items_max ? level->items_max : policy->items_max);
        if (level->timeout_ns) {
            put_duration(json, "timeout", level->timeout_ns);
            px_json_member_text(json, "on_timeout", level->demotes ? "demote" : "refuse");
        }
        px_json_end_object(json);
    }
    px_json_end_array(json);
}

void px_batching_put_json(const struct px_batching *batching, struct px_json_writer *json)
{
    const struct px_batch_policy *policy = &batching->policy;
    px_json_member_u64(json, "max_rows", policy->rows_max);
    if (policy->n_preferred) {
        px_json_key(json, "preferred_rows");
        px_json_begin_array(json);
        for (size_t i = 0; i < policy->n_preferred; i++)
            px_json_put_u64(json, policy->preferred[i]);
        px_json_end_array(json);
    }
    put_duration(json, "max_delay", policy->delay_ns);
    px_json_member_text(json, "delay", policy->tunes_delay ? "auto" : "fixed");
    px_json_member_bool(json, "split", policy->splits);
    px_json_member_text(json, "order", policy->turns_around ? "adaptive_lifo" : "fifo");
    px_json_member_bool(json, "preserve_order", batching->preserves_order);
    px_json_member_u64(json, "priorities", policy->n_levels);
    px_json_member_u64(json, "default_priority", policy->default_level);
    put_levels(policy, json);
    px_json_member_u64(json, "weighted_clients", policy->n_weights);
}
