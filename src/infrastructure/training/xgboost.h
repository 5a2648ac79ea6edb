/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trainer adapter: libxgboost in a child process.
 *
 * The library is opened at run time, in the child only: the server never maps it, a machine without
 * it builds and serves, and a crash, a leak or a runaway of the library ends with the child. The
 * child is this same program started again with PX_XGBOOST_WORKER_ARGUMENT as its only argument, so
 * every main() that creates this trainer begins with
 *
 *     if (px_xgboost_is_worker(argc, argv))
 *         return px_xgboost_worker_main();
 *
 * The library is libxgboost.so.0 or libxgboost.so from the system's search path, or the file that the
 * environment variable PHOENIX_XGBOOST_LIBRARY names. Versions 1.6 to 3.x.
 *
 * Threads: `train` blocks the calling thread; several trainers may train at the same time.
 */
#ifndef PX_INFRASTRUCTURE_TRAINING_XGBOOST_H
#define PX_INFRASTRUCTURE_TRAINING_XGBOOST_H

#include "application/ports/trainer.h"

#define PX_XGBOOST_WORKER_ARGUMENT  "--xgboost-worker"
#define PX_XGBOOST_LIBRARY_VARIABLE "PHOENIX_XGBOOST_LIBRARY"

/* `ret` is destroyed with px_trainer_destroy. PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_xgboost_trainer_create(struct px_trainer **ret, struct px_err *err);

/* Was this process started as the child? */
bool px_xgboost_is_worker(int argc, char **argv);

/* The child's main; returns an exit status. */
int px_xgboost_worker_main(void);

#endif
