/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the runs of a model are put together into batches. What model.yaml says of it under `batching` is read by lifecycle/model_batching.h.
 */
#ifndef PX_APPLICATION_EXECUTION_BATCHING_H
#define PX_APPLICATION_EXECUTION_BATCHING_H

#include "domain/batching/batch_queue.h"
#include "shared/json.h"

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

/* What holds for the whole, wherever it was read from. */
PX_MUST_USE enum px_code px_batching_check(const struct px_batching *batching, struct px_err *err);

/* The client that a weight is given to, and that px_urgency.client stands for. */
uint64_t px_batching_client(struct px_str name);

/* The settings as members of an object. */
void px_batching_put_json(const struct px_batching *batching, struct px_json_writer *json);

#endif
