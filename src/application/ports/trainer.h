/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: a trainer, which turns a training set into a model file.
 *
 * Training runs outside the server's address space and under limits, so that a crash, a runaway or a
 * full memory of the training library is an error message here. Adapters so far:
 * infrastructure/training/xgboost (libxgboost in a child process); `memory` and `fault` in tests/support.
 * Threads: control plane only; `train` blocks and calls `progress` on the caller's thread.
 */
#ifndef PX_APPLICATION_PORTS_TRAINER_H
#define PX_APPLICATION_PORTS_TRAINER_H

#include "domain/inference/signature.h"
#include "shared/buf.h"

enum { PX_TRAINER_ABI = 1 };

/* Features and labels, encoded. `labels` are class codes or regression targets, [rows.n_rows]. */
struct px_training_set {
    struct px_matrix rows; /* FP32, NaN = missing */
    const float *labels;
};

struct px_train_params {
    enum px_task task;
    size_t n_classes; /* for multi-class */
    int rounds_max;
    int early_stopping_rounds; /* 0 = off; judged on the validation set */
    int depth_max;
    double learning_rate, subsample, colsample;
    uint64_t seed;
    unsigned n_threads;
    size_t memory_max_bytes;  /* limit of the child's address space, 0 = none */
    uint64_t cpu_seconds_max; /* limit of the child's CPU time, 0 = none */
};

struct px_train_progress {
    int round, rounds_max;             /* rounds done so far, and at most */
    double train_metric, valid_metric; /* of `metric_name`; NaN when not evaluated */
    const char *metric_name;           /* "logloss", "mlogloss", "rmse" */
};

/*
 * Called after each round, and a few times a second while a round lasts (with the last numbers), so
 * that a long round can be cancelled too. Returning false cancels (PX_E_CANCELLED).
 */
typedef bool px_train_progress_fn(void *context, const struct px_train_progress *progress);

struct px_train_job {
    const struct px_signature *signature; /* names and kinds of the columns */
    struct px_training_set train, valid;  /* valid.rows.n_rows may be 0 */
    struct px_train_params params;
    px_train_progress_fn *progress; /* NULL = nobody watches */
    void *progress_context;
};

struct px_train_result {
    struct px_buf model;   /* the model file's bytes; owned by the caller after success */
    int best_round;        /* 0-based; the model holds the rounds up to this one and no more */
    int rounds;            /* trained, those that early stopping threw away included */
    const char *file_name; /* "model.ubj", static */
};

struct px_trainer;

struct px_trainer_ops {
    uint32_t abi;
    const char *name;
    /* PX_OK when it can train here; PX_E_UNAVAILABLE says what to install. */
    enum px_code (*ready)(struct px_trainer *trainer, struct px_err *err);
    enum px_code (*train)(struct px_trainer *trainer, const struct px_train_job *job,
                          struct px_train_result *ret, struct px_err *err);
    void (*destroy)(struct px_trainer *trainer);
};

struct px_trainer {
    const struct px_trainer_ops *ops;
};

PX_MUST_USE enum px_code px_trainer_ready(struct px_trainer *trainer, struct px_err *err);
PX_MUST_USE enum px_code px_trainer_train(struct px_trainer *trainer,
                                          const struct px_train_job *job,
                                          struct px_train_result *ret, struct px_err *err);
const char *px_trainer_name(const struct px_trainer *trainer); /* static */
void px_trainer_destroy(struct px_trainer *trainer);           /* NULL is fine */

#endif
