/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rows engine (a forest) as an engine of tensors, for graphs.
 *
 * takes   `input`: the whole matrix, [-1, n_features] of the engine's feature type, categories as codes; or one tensor for each
 *         feature under its name, with one element for each row (of any shape with that many): numbers of the feature type, BOOL for
 *         booleans, INT64 for codes, BYTES for categories with names and for dates. An absent feature is missing. A model with more
 *         than PX_ENGINE_TENSORS_MAX - 1 features has only `input`; one with a feature called `input` has only features.
 * gives   the signature's output, [-1, n_outputs]; `labels`, BYTES [-1], of classifiers; `margins`, [-1, n_margins]. They are equal,
 *         bit for bit, to what px_engine_score gives.
 *
 * It computes within px_engine_start, on the calling thread, as a wave does.
 *
 * Ownership: it owns the rows engine once it has been created. The signature and its texts must outlive it.
 */
#ifndef PX_APPLICATION_EXECUTION_ROWS_ENGINE_H
#define PX_APPLICATION_EXECUTION_ROWS_ENGINE_H

#include "application/ports/engine.h"
#include "domain/inference/decision.h"
#include "domain/inference/signature.h"

struct px_rows_model {
    const struct px_signature *signature;
    bool has_labels; /* a classifier */
    struct px_decision decision;
};

/* PX_E_NO_MEMORY; PX_E_UNSUPPORTED for a model whose features cannot be told apart as tensors. */
PX_MUST_USE enum px_code px_rows_engine_create(struct px_engine *rows,
                                               const struct px_rows_model *model,
                                               struct px_engine **ret, struct px_err *err);

#endif
