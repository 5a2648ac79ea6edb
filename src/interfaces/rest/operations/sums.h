/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/rest: sums of the loops' metric shards. A cell is named by its offset in the shard.
 */
#ifndef PX_INTERFACES_REST_SUMS_H
#define PX_INTERFACES_REST_SUMS_H

#include "interfaces/rest/handlers.h"

#define PX_CELL_OFFSET(shard, array, index)                                                        \
    (offsetof(struct shard, array) + (size_t)(index) * sizeof(_Atomic uint64_t))
#define PX_MODEL_ERROR_OFFSET(code) PX_CELL_OFFSET(px_model_metrics, errors, code)
#define PX_REFUSED_OFFSET(refusal)  PX_CELL_OFFSET(px_model_metrics, refused, refusal)
#define PX_LOOP_ERROR_OFFSET(code)  PX_CELL_OFFSET(px_loop_metrics, errors, code)
#define PX_BATCH_BIN_OFFSET(bin)    PX_CELL_OFFSET(px_model_metrics, batch_bins, bin)
#define PX_SCORE_BIN_OFFSET(bin)    PX_CELL_OFFSET(px_model_metrics, score_bins, bin)

/* A counter of a model that has metrics, over all loops. */
uint64_t px_sum_model(const struct px_rest *rest, const struct px_model *model, size_t offset);
/* A histogram of such a model, added to `into`. */
void px_sum_model_histogram(const struct px_rest *rest, const struct px_model *model, size_t offset,
                            struct px_histogram_view *into);
/* A counter of the process, over all loops. */
uint64_t px_sum_loop(const struct px_rest *rest, size_t offset);

#endif
