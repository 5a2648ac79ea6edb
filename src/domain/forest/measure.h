/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the planner: a short measurement of the candidates on probe rows of the forest at hand. */
#ifndef PX_DOMAIN_FOREST_MEASURE_H
#define PX_DOMAIN_FOREST_MEASURE_H

#include "domain/forest/planner.h"

/*
 * Fills call_ns of the candidates of a few classes, small batches first, until `budget_ns` is used up. What
 * would not fit, as far as is known by then, is not begun. Nothing is measured when memory is short.
 */
void px_plan_measure(struct px_plan *plan, uint64_t (*clock_ns)(void), uint64_t budget_ns);

#endif
