/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the scores of a row to the class that the model decides for. Whoever returns labels decides here.
 */
#ifndef PX_DOMAIN_INFERENCE_DECISION_H
#define PX_DOMAIN_INFERENCE_DECISION_H

#include "domain/inference/tensor.h"

/* What a model's scores mean for a decision; both come from what is known about the model. */
struct px_decision {
    size_t n_classes; /* 2 for binary, K for multi-class, 0 when the model does not say */
    double threshold; /* of a single score for two classes: above it is class 1 */
};

/*
 * The class of one row, from 0.
 * - Several scores, one per class: the greatest; ties go to the first, as numpy's argmax does, and NaN
 *   never wins.
 * - A single score of more than two classes is the class itself (multi:softmax); what is no class is 0.
 * - A single score of two classes is cut at the threshold; NaN is class 0.
 */
size_t px_decide_class(const struct px_decision *decision, const struct px_matrix *scores,
                       size_t row);

#endif
