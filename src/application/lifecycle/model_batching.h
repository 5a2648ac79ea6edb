/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `batching:` of model.yaml: how the runs of a model are put together (execution/batching.h, docs/api/batching.md).
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
#ifndef PX_APPLICATION_LIFECYCLE_MODEL_BATCHING_H
#define PX_APPLICATION_LIFECYCLE_MODEL_BATCHING_H

#include "application/execution/batching.h"
#include "shared/yaml.h"

/* PX_E_INVALID, PX_E_UNKNOWN_OPTION and PX_E_CONFLICT name the line. */
PX_MUST_USE enum px_code px_model_batching_read(const struct px_yaml *node, struct px_batching *ret,
                                                struct px_err *err);

/* PX_E_CONFLICT for a level that may hold more than the whole queue: `queue_max` runs, 0 for the usual number. */
PX_MUST_USE enum px_code px_model_batching_check_queue(const struct px_batching *batching,
                                                       size_t queue_max, struct px_err *err);

#endif
