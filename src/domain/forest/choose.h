/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the planner: from predicted cycles and measured times to one kernel per class. Arithmetic on
 * a plan's numbers only, so that the same numbers always give the same choice.
 */
#ifndef PX_DOMAIN_FOREST_CHOOSE_H
#define PX_DOMAIN_FOREST_CHOOSE_H

#include "domain/forest/planner.h"

/* Asks a usable kernel what each class costs. */
void px_plan_predict(struct px_plan *plan, size_t kernel);

/*
 * Asks a kernel that is not compiled what each class would cost. False when it would be a candidate in none.
 * Some other kernel must be usable.
 */
bool px_plan_estimate(struct px_plan *plan, size_t kernel);

/* Is the kernel usable, and its cost, as far as it is known, near enough to the least of the class? */
bool px_plan_is_candidate(const struct px_plan *plan, size_t kernel, size_t size_class);

/* Time of a call of 2^class rows: measured, or predicted and corrected by what was measured. */
double px_plan_call_ns(const struct px_plan *plan, size_t kernel, size_t size_class);

/* Was the kernel measured in any class? Its time is then no mere prediction. */
bool px_plan_is_measured(const struct px_plan *plan, size_t kernel);

/* Fills `choice`. At least one kernel must be usable. */
void px_plan_choose(struct px_plan *plan);

/* Fills `state` and `reason` of every kernel. */
void px_plan_explain(struct px_plan *plan);

#endif
