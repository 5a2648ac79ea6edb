/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/inference/decision.h"

#include <math.h>

static size_t find_greatest(const struct px_matrix *scores, size_t row)
{
    size_t best = 0;
    double best_score = -INFINITY;
    for (size_t col = 0; col < scores->n_cols; col++) {
        double score = px_matrix_get(scores, row, col);
        if (score > best_score) {
            best = col;
            best_score = score;
        }
    }
    return best;
}

size_t px_decide_class(const struct px_decision *decision, const struct px_matrix *scores,
                       size_t row)
{
    PX_ASSERT(row < scores->n_rows && scores->n_cols > 0);
    if (scores->n_cols > 1)
        return find_greatest(scores, row);
    double score = px_matrix_get(scores, row, 0);
    if (decision->n_classes > 2)
        return score >= 0 && score < (double)decision->n_classes ? (size_t)score : 0;
    return score > decision->threshold;
}
