/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of models in the terms of Open Inference's statistics extension, for every dialect.
 *
 * Sums since the model was loaded. A request's `success` goes from its last byte read to its scores ready; `queue`,
 * `compute_input`, `compute_infer` and `compute_output` are its wait in the wave and the steps of the batch that
 * scored it, each request counting the whole of its batch. Batches count what one engine call took. A batch of more
 * than PX_BATCH_SIZES_EXACT rows counts under the next power of two.
 *
 * Threads: a loop. What a result points to is valid until the end of the loop's wake-up.
 */
#ifndef PX_APPLICATION_SERVING_STATISTICS_H
#define PX_APPLICATION_SERVING_STATISTICS_H

#include "application/serving/serving.h"

struct px_duration_sum {
    uint64_t count, ns;
};

struct px_batch_statistics {
    uint64_t batch_size;
    struct px_duration_sum compute_input, compute_infer, compute_output;
};

struct px_model_statistics {
    struct px_str name, version;
    uint64_t last_inference_ms; /* Unix time, 0 = never */
    uint64_t inference_count;   /* rows */
    uint64_t execution_count;   /* engine calls */
    struct px_duration_sum success, fail, queue, compute_input, compute_infer, compute_output;
    struct px_duration_sum cache_hit, cache_miss; /* hits: also those that waited for another */
    uint64_t memory_bytes; /* of the model and the memory reserved for its batches */
    struct px_batch_statistics batches[PX_BATCH_CELLS]; /* ascending, only sizes that happened */
    size_t n_batches;
};

struct px_statistics {
    struct px_model_statistics *models;
    size_t n_models;
};

/* Which models: every one without a name, every version without a version. */
struct px_model_choice {
    struct px_str name, version;
};

/*
 * The statistics of the READY models that `choice` means, in the order of the models, in `arena`. PX_E_NOT_FOUND and
 * PX_E_UNAVAILABLE as px_serving_find says.
 */
PX_MUST_USE enum px_code px_serving_statistics(struct px_serving *serving,
                                               const struct px_model_choice *choice,
                                               struct px_arena *arena, struct px_statistics *ret,
                                               struct px_err *err);

#endif
