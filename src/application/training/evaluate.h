/* SPDX-License-Identifier: Apache-2.0 */
/* Scores the measuring rows with our own engine and looks for leakage. Private to this folder. */
#ifndef PX_APPLICATION_TRAINING_EVALUATE_H
#define PX_APPLICATION_TRAINING_EVALUATE_H

#include "application/training/dataset.h"
#include "domain/forest/forest.h"

/* Fills the metrics of the report's task. */
PX_MUST_USE enum px_code px_training_evaluate(const struct px_dataset *dataset,
                                              const struct px_forest *forest,
                                              struct px_training_report *report,
                                              struct px_err *err);

/* Warns about features that predict the target almost perfectly on their own. */
PX_MUST_USE enum px_code px_training_find_leakage(const struct px_dataset *dataset,
                                                  struct px_training_report *report,
                                                  struct px_err *err);

#endif
