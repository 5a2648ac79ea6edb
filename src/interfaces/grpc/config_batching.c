/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/grpc/config_batching.h"

#include "shared/clock.h"
#include "shared/protobuf.h"

/* A level without a bound of its own is bounded by the whole queue. */
static void put_policy(struct px_buf *buf, uint32_t number, const struct px_batch_level *level,
                       size_t items_max)
{
    enum { ACTION = 1, TIMEOUT = 2, OVERRIDE = 3, QUEUE_SIZE = 4, DELAY = 1 };
    size_t policy = px_protobuf_begin(buf, number);
    if (level->demotes)
        px_protobuf_put_u64(buf, ACTION, DELAY);
    px_protobuf_put_u64(buf, TIMEOUT, level->timeout_ns / PX_NS_PER_US);
    px_protobuf_put_bool(buf, OVERRIDE, true);
    px_protobuf_put_u64(buf, QUEUE_SIZE,
                        level->items_max && level->items_max < items_max ? level->items_max
                                                                         : items_max);
    px_protobuf_end(buf, policy);
}

/* Triton counts levels only where there are several. */
static void put_levels(struct px_buf *buf, const struct px_batch_policy *policy)
{
    enum { LEVELS = 4, DEFAULT_LEVEL = 5, USUAL = 6, POLICIES = 7, KEY = 1, VALUE = 2 };
    static const struct px_batch_level usual;
    if (policy->n_levels == 1) {
        put_policy(buf, USUAL, &policy->levels[0], policy->items_max);
        return;
    }
    px_protobuf_put_u64(buf, LEVELS, policy->n_levels);
    px_protobuf_put_u64(buf, DEFAULT_LEVEL, policy->default_level);
    put_policy(buf, USUAL, &usual, policy->items_max);
    for (unsigned i = 0; i < policy->n_levels; i++) {
        size_t entry = px_protobuf_begin(buf, POLICIES);
        px_protobuf_put_u64(buf, KEY, i + 1);
        put_policy(buf, VALUE, &policy->levels[i], policy->items_max);
        px_protobuf_end(buf, entry);
    }
}

void px_grpc_put_dynamic_batching(struct px_buf *buf, uint32_t number,
                                  const struct px_batching *batching)
{
    enum { PREFERRED = 1, DELAY = 2, PRESERVE_ORDER = 3 };
    const struct px_batch_policy *policy = &batching->policy;
    int64_t preferred[PX_BATCH_PREFERRED_MAX];
    for (size_t i = 0; i < policy->n_preferred; i++)
        preferred[i] = (int64_t)policy->preferred[i];
    size_t message = px_protobuf_begin(buf, number);
    px_protobuf_put_packed(buf, PREFERRED, preferred, policy->n_preferred);
    px_protobuf_put_u64(buf, DELAY, policy->delay_ns / PX_NS_PER_US);
    px_protobuf_put_bool(buf, PRESERVE_ORDER, batching->preserves_order);
    put_levels(buf, policy);
    px_protobuf_end(buf, message);
}
