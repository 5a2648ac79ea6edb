/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the package folder (docs/api/package.md). Private to this folder. */
#ifndef PX_APPLICATION_TRAINING_WRITE_H
#define PX_APPLICATION_TRAINING_WRITE_H

#include "application/training/dataset.h"
#include "domain/forest/forest.h"

struct px_training_package {
    const struct px_dataset *dataset;
    const struct px_training_options *options;
    const struct px_training_observer *observer;
    const struct px_forest *forest;
    const char *folder;     /* to write to; it is there */
    struct px_str model;    /* the model file's bytes */
    const char *model_file; /* "model.ubj" */
};

/* Writes all files; counts golden and reference rows in the report. */
PX_MUST_USE enum px_code px_training_write(const struct px_training_package *package,
                                           struct px_training_report *report, struct px_err *err);

#endif
