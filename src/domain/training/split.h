/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rows train, which decide when to stop, and which are only for measuring.
 *
 * Three parts, because a set that decides when training stops is no longer neutral: the numbers of a
 * report come from rows that training never saw.
 *
 * - Random: seeded, and stratified where there are classes, so that each part has each class in the
 *   same share (within one row).
 * - By time: the oldest rows train, the newest measure. The honest choice for anything that drifts,
 *   because a served model always predicts rows that are newer than its training rows. Without times the
 *   order of the rows is the time. Rows of equal time keep their order; a missing time is oldest.
 */
#ifndef PX_DOMAIN_TRAINING_SPLIT_H
#define PX_DOMAIN_TRAINING_SPLIT_H

#include "shared/err.h"

#include <stdint.h>

enum px_part { PX_PART_TRAIN = 0, PX_PART_VALID, PX_PART_TEST, PX_PARTS };

struct px_split_options {
    double valid_fraction, test_fraction; /* each >= 0, together < 1 */
    uint64_t seed;
};

/* `classes` are codes below `n_classes`, or NULL. Fills ret_parts [n] with enum px_part. PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_split_random(const float *classes, size_t n_classes, size_t n,
                                         const struct px_split_options *options, uint8_t *ret_parts,
                                         struct px_err *err);

/* `times` may be NULL: the order of the rows. */
PX_MUST_USE enum px_code px_split_time(const double *times, size_t n,
                                       const struct px_split_options *options, uint8_t *ret_parts,
                                       struct px_err *err);

#endif
