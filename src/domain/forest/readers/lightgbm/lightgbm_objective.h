/* SPDX-License-Identifier: Apache-2.0 */
/* LightGBM's objectives: the line `objective=NAME [key:value | flag]...` of a model file. */
#ifndef PX_DOMAIN_FOREST_LIGHTGBM_OBJECTIVE_H
#define PX_DOMAIN_FOREST_LIGHTGBM_OBJECTIVE_H

#include "domain/forest/ir.h"

/*
 * Fills the objective, transform and n_classes, and what a score means. An absent line is a custom
 * objective: scores are margins. `before_3_3` selects that generation's formulas. PX_E_UNSUPPORTED for
 * an unknown name, PX_E_CORRUPT for bad parameters.
 */
PX_MUST_USE enum px_code px_lightgbm_take_objective(struct px_str line, bool before_3_3,
                                                    struct px_forest_ir *ir, struct px_err *err);

#endif
