/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a run on the calling thread: for tools, checks and tests, never on a loop.
 *
 *     code = px_engine_await(engine, &run, err);     // starts it and sleeps until it is done
 *     ... outputs ...
 *     px_run_release(&run);
 */
#ifndef PX_APPLICATION_EXECUTION_AWAIT_H
#define PX_APPLICATION_EXECUTION_AWAIT_H

#include "application/ports/engine.h"

/* Sets `done` and `owner`; the rest of what is asked is the caller's, and has been checked. Of an asynchronous engine. */
PX_MUST_USE enum px_code px_engine_await(struct px_engine *engine, struct px_run *run,
                                         struct px_err *err);

#endif
