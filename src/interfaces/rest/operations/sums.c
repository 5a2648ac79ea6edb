/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/rest/operations/sums.h"

static const void *cell(const void *shard, size_t offset)
{
    return (const char *)shard + offset;
}

uint64_t px_sum_model(const struct px_rest *rest, const struct px_model *model, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned loop = 0; loop < rest->n_loops; loop++)
        sum += px_metric_get(cell(&model->metrics[loop], offset));
    return sum;
}

void px_sum_model_histogram(const struct px_rest *rest, const struct px_model *model, size_t offset,
                            struct px_histogram_view *into)
{
    for (unsigned loop = 0; loop < rest->n_loops; loop++)
        px_histogram_merge(into, cell(&model->metrics[loop], offset));
}

uint64_t px_sum_loop(const struct px_rest *rest, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned loop = 0; loop < rest->n_loops; loop++)
        sum += px_metric_get(cell(px_serving_loop_metrics(rest->settings.serving, loop), offset));
    return sum;
}
