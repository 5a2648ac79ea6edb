/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The target of a training table: which task it is, and how its values become labels.
 *
 * Rules, unless the user names the task
 * - two different values: binary
 * - texts: multi-class
 * - whole numbers, at most PX_TARGET_WHOLE_CLASSES different ones, each in PX_TARGET_CLASS_ROWS_MIN rows
 *   or more: multi-class
 * - other numbers: regression
 *
 * The positive class of a binary target is the one the user names; else the one of the two that is a
 * word for true (yes, true, 1, t, y, on) when the other is none; else the higher number; else the last
 * in byte order. The rarer class was rejected as a rule: retraining on fresh data may turn it round, and
 * with it the meaning of every score.
 *
 * Classes are coded in order: numbers ascending, texts in byte order, a binary target negative first.
 * Numbers are labels in their shortest form, so "1" and "1.0" are one class.
 */
#ifndef PX_DOMAIN_TRAINING_TARGET_H
#define PX_DOMAIN_TRAINING_TARGET_H

#include "domain/training/column.h"

enum {
    PX_TARGET_CLASSES_MAX = 256,
    PX_TARGET_WHOLE_CLASSES = 20,
    PX_TARGET_CLASS_ROWS_MIN = 10,
};

struct px_target_options {
    enum px_task task;      /* 0 = by the rules */
    struct px_str positive; /* {NULL, 0} = by the rules */
};

struct px_target {
    struct px_str name;
    enum px_task task;
    bool numeric;                /* every value is a number */
    const struct px_str *labels; /* of classes, in the order of their codes; NULL for regression */
    size_t n_labels;
    char why[96]; /* why this task, for the report */
    struct px_map by_label;
};

/*
 * Fits a target from its profile. Labels live in `arena`; px_target_deinit frees the look-up table.
 * PX_E_INVALID: one class only, too many, numbers wanted where there are texts, unknown positive.
 */
PX_MUST_USE enum px_code px_target_fit(const struct px_column_profile *profile,
                                       const struct px_target_options *options,
                                       struct px_arena *arena, struct px_target *ret,
                                       struct px_err *err);
void px_target_deinit(struct px_target *target);

/* The label of a raw value; false when it is missing, or no number where one is needed. */
bool px_target_encode(const struct px_target *target, struct px_str text, float *ret);

#endif
