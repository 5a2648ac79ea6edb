/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XGBoost's objectives: the transform of margins, and the link that takes base_score (stored in the
 * space of the prediction) into margin space.
 */
#ifndef PX_DOMAIN_FOREST_XGBOOST_OBJECTIVE_H
#define PX_DOMAIN_FOREST_XGBOOST_OBJECTIVE_H

#include "domain/forest/ir.h"

/* "3.2" as 302: versions compare as numbers. */
enum {
    PX_XGBOOST_1_3 = 103,
    PX_XGBOOST_1_4 = 104,
    PX_XGBOOST_1_6 = 106,
    PX_XGBOOST_1_7 = 107,
    PX_XGBOOST_3_2 = 302,
    PX_XGBOOST_3_4 = 304,
};

struct px_xgboost_objective;

/* NULL when no objective has that name. */
const struct px_xgboost_objective *px_xgboost_objective_find(struct px_str name);

/* PX_E_UNSUPPORTED with the nearest name. */
enum px_code px_xgboost_objective_unknown(struct px_str name, struct px_err *err);

bool px_xgboost_objective_is_multiclass(const struct px_xgboost_objective *objective);

/* Fills the transform, n_outputs and n_classes, and what a score means; n_margins is set. */
void px_xgboost_objective_apply(const struct px_xgboost_objective *objective, int version,
                                struct px_forest_ir *ir);

/*
 * Takes `n` base scores in place from prediction space to margin space. PX_E_CORRUPT when a value has
 * no margin (a probability outside (0, 1), a mean that is not positive).
 */
PX_MUST_USE enum px_code px_xgboost_objective_link(const struct px_xgboost_objective *objective,
                                                   int version, float *base, size_t n,
                                                   struct px_err *err);

#endif
