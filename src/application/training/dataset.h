/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a table to encoded parts: the steps 1 to 3 of training.h. Private to this folder.
 *
 * Each row of the table has a mark: the part that it belongs to, whether a feature of it is missing, and
 * whether a value of it could not be encoded (training takes such a value as missing, but the row is no
 * example of what serving accepts, so it becomes neither golden nor reference).
 */
#ifndef PX_APPLICATION_TRAINING_DATASET_H
#define PX_APPLICATION_TRAINING_DATASET_H

#include "application/training/table.h"
#include "application/training/training.h"

enum {
    PX_MARK_PART = 3, /* mask: enum px_part */
    PX_MARK_MISSING = 4,
    PX_MARK_BAD = 8,
    PX_MARK_UNUSED = 16, /* no usable target */
};

struct px_dataset_part {
    struct px_matrix rows; /* FP32 */
    float *labels;
};

struct px_dataset {
    const struct px_table *table;
    struct px_arena arena;
    struct px_signature signature;
    struct px_target target;
    size_t target_column;
    long time_column;      /* -1 = none */
    long *feature_of;      /* [table->n_columns], -1 = no feature */
    size_t *column_of;     /* [n_features] */
    PX_VEC(uint8_t) marks; /* of the table's rows */
    struct px_dataset_part parts[PX_PARTS];
};

/* Builds it, and fills the report's columns, counts, target and warnings. */
PX_MUST_USE enum px_code px_dataset_create(const struct px_table *table,
                                           const struct px_training_options *options,
                                           const struct px_training_observer *observer,
                                           struct px_training_report *report,
                                           struct px_dataset **ret, struct px_err *err);
void px_dataset_destroy(struct px_dataset *dataset); /* NULL is fine */

/* Adds a warning to the report; what does not fit is dropped. */
void px_training_warn(struct px_training_report *report, const char *format, ...) PX_PRINTF(2, 3);

/* Tells the observer; false when it cancels. */
bool px_training_tell(const struct px_training_observer *observer, enum px_training_stage stage,
                      uint64_t done, uint64_t total);

#endif
