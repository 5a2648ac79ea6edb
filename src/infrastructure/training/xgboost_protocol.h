/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the trainer and its child process say to each other. Private to this folder.
 *
 * Both ends are the same program on the same machine, so structs travel as they lie in memory and
 * no text is parsed. The child is started with three descriptors besides the standard ones:
 *
 *     JOB_FD     a memory file: struct px_xgb_job, then the arrays that its offsets name
 *     RESULT_FD  a pipe on which it writes frames
 *     1 and 2    a pipe for what the library prints; its end is shown when the child crashes
 *
 * A frame is struct px_xgb_frame and `len` bytes. The last one is MODEL, VERSION or FAILED; a pipe that
 * ends without one of these means that the child died.
 */
#ifndef PX_INFRASTRUCTURE_TRAINING_XGBOOST_PROTOCOL_H
#define PX_INFRASTRUCTURE_TRAINING_XGBOOST_PROTOCOL_H

#include "application/ports/trainer.h"

enum {
    PX_XGB_JOB_FD = 3,
    PX_XGB_RESULT_FD = 4,
    PX_XGB_MODEL_MAX = 1 << 30,    /* bytes of a trained model */
    PX_XGB_FEATURES_MAX = 1 << 16, /* columns of a training set */
};

#define PX_XGB_MAGIC 0x31425847u

enum px_xgb_action { PX_XGB_PROBE = 1, PX_XGB_TRAIN };

/* Offsets are in bytes from the start of the job; 0 = absent. */
struct px_xgb_part {
    uint64_t n_rows;
    uint64_t rows;   /* float [n_rows, n_cols] */
    uint64_t labels; /* float [n_rows] */
};

struct px_xgb_job {
    uint32_t magic;
    enum px_xgb_action action;
    uint64_t size; /* of the whole memory file */
    uint64_t n_cols;
    uint64_t names; /* n_cols texts, each ended by NUL */
    uint64_t kinds; /* n_cols bytes: 1 = categorical */
    struct px_xgb_part train, valid;
    struct px_train_params params;
};

enum px_xgb_frame_kind {
    PX_XGB_VERSION = 1, /* "1.7.4" */
    PX_XGB_PROGRESS,    /* struct px_xgb_progress */
    PX_XGB_MODEL,       /* struct px_xgb_outcome, then the model's bytes */
    PX_XGB_FAILED,      /* text; `code` says which error */
};

struct px_xgb_frame {
    enum px_xgb_frame_kind kind;
    enum px_code code;
    uint64_t len;
};

struct px_xgb_progress {
    int round;
    double train_metric, valid_metric;
};

struct px_xgb_outcome {
    int best_round, rounds;
};

/* "logloss", "mlogloss" or "rmse": what is watched for a task. */
const char *px_xgb_metric(enum px_task task);

#endif
