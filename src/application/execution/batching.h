/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the runs of a model are put together into batches: what model.yaml says under `batching` (docs/api/batching.md).
 *
 *     batching:
 *       max_rows: 32              # of one batch
 *       preferred_rows: [8, 16]
 *       max_delay: 2ms            # how long a request may wait for others
 *       delay: auto               # as long as it is worth, at most max_delay; or fixed
 *       split: true               # requests of more rows are computed in several batches
 *       order: fifo               # or adaptive_lifo
 *       preserve_order: false     # answers in the order of the requests
 *       priorities: 3
 *       default_priority: 2
 *       levels:
 *         - {level: 1, max_queue: 100, timeout: 50ms, on_timeout: refuse}
 *       clients:
 *         - {name: shop, weight: 4}
 *
 * `batching: off` computes every request by itself; the rest (priorities, deadlines, a bounded queue) holds all the same.
 */
#ifndef PX_APPLICATION_EXECUTION_BATCHING_H
#define PX_APPLICATION_EXECUTION_BATCHING_H

#include "domain/batching/batch_queue.h"
#include "shared/json.h"
#include "shared/yaml.h"

enum {
    PX_BATCHING_ROWS_DEFAULT = 64,
    PX_BATCHING_ROWS_MAX = 4096,
};

struct px_batching {
    struct px_batch_policy policy;
    bool is_off;
    bool
        limits_rows; /* max_rows was given: the engine never gets more, a larger request is split or refused */
    bool preserves_order;
};

/* Batches as they form while instances are busy: nothing waits for company. */
void px_batching_init(struct px_batching *ret);

/* PX_E_INVALID, PX_E_UNKNOWN_OPTION and PX_E_CONFLICT name the line. */
PX_MUST_USE enum px_code px_batching_read(const struct px_yaml *node, struct px_batching *ret,
                                          struct px_err *err);

/* What holds for the whole, wherever it was read from. */
PX_MUST_USE enum px_code px_batching_check(const struct px_batching *batching, struct px_err *err);

/* The client that a weight is given to, and that px_urgency.client stands for. */
uint64_t px_batching_client(struct px_str name);

/* The settings as members of an object. */
void px_batching_put_json(const struct px_batching *batching, struct px_json_writer *json);

#endif
