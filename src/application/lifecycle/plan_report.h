/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a model for people and programs, the same in every interface (docs/api/rest.md). */
#ifndef PX_APPLICATION_LIFECYCLE_PLAN_REPORT_H
#define PX_APPLICATION_LIFECYCLE_PLAN_REPORT_H

#include "domain/forest/forest.h"
#include "shared/json.h"

/* The member "plan": choices by batch size, every kernel with its state, the self-test once it was done. */
void px_plan_put_json(struct px_json_writer *w, const struct px_forest_info *info);

/* Nanoseconds with as many digits as mean something: "0.82", "12.3", "781". Returns `out`. */
enum { PX_PLAN_NS_TEXT_MAX = 40 };
const char *px_plan_ns_text(double ns, char out[PX_PLAN_NS_TEXT_MAX]);

#endif
