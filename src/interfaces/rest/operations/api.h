/* SPDX-License-Identifier: Apache-2.0 */
/* Private to interfaces/rest: what the answers under /api/v1 have in common. */
#ifndef PX_INTERFACES_REST_API_H
#define PX_INTERFACES_REST_API_H

#include "application/execution/executor.h"
#include "interfaces/rest/handlers.h"
#include "shared/json.h"

/* "name", "version" and "state" of a model version. */
void px_put_model_head(struct px_json_writer *w, const struct px_model *model);
/* How the runs of a model of tensors are put together; false for a model without a queue of its own. */
bool px_model_batches(const struct px_model *model, struct px_executor_report *ret);
/* Its numbers alone. */
bool px_model_counts(const struct px_model *model, struct px_executor_counts *ret);
/* "form" and "why" of such a model. */
void px_put_batching_form(struct px_json_writer *w, const struct px_model *model);
/* The object of /api/v1/stats. */
void px_put_stats(struct px_json_writer *w, const struct px_rest *rest);
/* "key": "2026-01-31T12:00:00.123Z" */
void px_put_time(struct px_json_writer *w, const char *key, uint64_t wall_ns);

#endif
