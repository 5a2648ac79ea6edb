/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Use case: a CSV file in, a model package and a report out.
 *
 * Steps
 *  1. read the file once to profile every column; decide what each one is (domain/training/column.h) and what
 *     the target means (target.h)
 *  2. read it again and encode every row through px_feature_encode_text, the function that serving uses
 *  3. split into rows that train, rows that decide when to stop, and rows that measure (split.h)
 *  4. train through the port
 *  5. score the measuring rows with our own engine, the one that will serve, and compute the metrics
 *  6. write the package out of sight: model file, golden.csv, reference.csv and model.yaml (stage.h)
 *  7. open the package as serving would and compare its golden rows
 *  8. put it at its place in one step; a package that was there is untouched until then
 *
 * Whether a feature is known at prediction time is the user's to judge; a feature that predicts the target
 * almost perfectly on its own gets a warning (leakage.h).
 */
#ifndef PX_APPLICATION_TRAINING_TRAINING_H
#define PX_APPLICATION_TRAINING_TRAINING_H

#include "application/ports/trainer.h"
#include "domain/training/metrics.h"
#include "domain/training/split.h"
#include "domain/training/target.h"

enum {
    PX_TRAINING_ROWS_MIN = 50,
    PX_TRAINING_ROWS_MAX = 1 << 29,
    PX_TRAINING_WARNINGS_MAX = 64,
    PX_TRAINING_GOLDEN_ROWS = 50,
    PX_TRAINING_REFERENCE_ROWS = 1000,
};

struct px_training_options {
    const char *data; /* path of the CSV file */
    const char *out;  /* folder of the package; made when it is not there */
    struct px_str name, target;
    const struct px_str *drop; /* columns to leave out */
    size_t n_drop;
    bool no_header;
    struct px_target_options target_options;
    bool split_by_time;
    struct px_str time_column; /* orders the rows and is no feature; empty = the file's order */
    struct px_split_options split;
    struct px_train_params params; /* task and n_classes are found, not given */
    bool memory_auto;              /* the child's memory limit follows from the size of the data */
};

enum px_training_stage {
    PX_TRAINING_PROFILE = 1, /* done, total in bytes of the file */
    PX_TRAINING_ENCODE,      /* the same */
    PX_TRAINING_BOOST,       /* in rounds; `round` is set */
    PX_TRAINING_WRITE,       /* in bytes of the file */
};

struct px_training_progress {
    enum px_training_stage stage;
    uint64_t done, total;
    const struct px_train_progress *round;
};

struct px_training_observer {
    /* False cancels (PX_E_CANCELLED). NULL = nobody watches. */
    bool (*progress)(void *context, const struct px_training_progress *progress);
    void *context;
};

enum px_column_role { PX_COLUMN_FEATURE = 1, PX_COLUMN_TARGET, PX_COLUMN_TIME, PX_COLUMN_LEFT_OUT };

struct px_training_column {
    struct px_str name;
    enum px_column_role role;
    enum px_feature_kind kind; /* of a feature */
    char note[160];            /* why it is left out, or what to know about it */
    uint64_t n_missing;
    size_t n_categories, n_bucket; /* kept, and different texts in the "other" bucket */
};

struct px_training_report {
    struct px_str name, out, trainer, model_file;
    struct px_training_column *columns;
    size_t n_columns, n_features;
    uint64_t n_rows, n_bad_rows, n_unlabelled; /* read, unreadable, without a usable target */
    /* the target */
    struct px_str target;
    enum px_task task;
    char task_why[96];
    const struct px_str *labels;
    size_t n_labels;
    /* the split */
    bool split_by_time;
    struct px_str time_column;
    size_t n_part[PX_PARTS];
    /* training */
    struct px_train_params params;
    int best_round, rounds;
    size_t model_bytes;
    double seconds; /* in the trainer */
    /* on the measuring rows; the one of the task */
    struct px_binary_metrics binary;
    struct px_regression_metrics regression;
    struct px_multiclass_metrics multiclass;
    double majority_share; /* of the most frequent class: what guessing it scores */
    size_t n_golden, n_reference;
    struct px_str warnings[PX_TRAINING_WARNINGS_MAX];
    size_t n_warnings;
    struct px_arena arena; /* private: texts */
};

/*
 * Trains. On success *ret is the caller's, freed with px_training_report_destroy. Errors: PX_E_INVALID (the
 * file, the target, the options), PX_E_CANCELLED, PX_E_UNAVAILABLE and others of the trainer, PX_E_IO.
 */
PX_MUST_USE enum px_code px_training_run(const struct px_training_options *options,
                                         struct px_trainer *trainer,
                                         const struct px_training_observer *observer,
                                         struct px_training_report **ret, struct px_err *err);
void px_training_report_destroy(struct px_training_report *report); /* NULL is fine */

#endif
