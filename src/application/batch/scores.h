/* SPDX-License-Identifier: Apache-2.0 */
/* Names and texts of scores in files: the columns of scores.csv and golden.csv. */
#ifndef PX_APPLICATION_BATCH_SCORES_H
#define PX_APPLICATION_BATCH_SCORES_H

#include "domain/inference/signature.h"
#include "shared/buf.h"

/*
 * Appends the name of score `index` of `n_scores` per row: "score" when there is one, else
 * "score_<label>", or "score_<index>" when the signature has no label for each score.
 */
void px_score_name(const struct px_signature *signature, size_t n_scores, size_t index,
                   struct px_buf *out);

/* The same for margins: "margin", "margin_<label>", "margin_<index>". */
void px_margin_name(const struct px_signature *signature, size_t n_margins, size_t index,
                    struct px_buf *out);

/* Appends score `index` of an array of `type` (FP32 or FP64) as its shortest round-trip text. */
void px_score_print(enum px_datatype type, const void *scores, size_t index, struct px_buf *out);

static inline double px_score_get(enum px_datatype type, const void *scores, size_t index)
{
    return type == PX_TYPE_FP32 ? (double)((const float *)scores)[index]
                                : ((const double *)scores)[index];
}

#endif
