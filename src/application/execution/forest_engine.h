/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forest engine: domain/forest behind the engine port. Scores in microseconds, so it runs in waves.
 *
 * With a pool, batches that are worth it (application/parallel/share.h) are scored by its helpers beside
 * the caller; nobody waits for a pool that is busy, and the scores are the same.
 */
#ifndef PX_APPLICATION_EXECUTION_FOREST_ENGINE_H
#define PX_APPLICATION_EXECUTION_FOREST_ENGINE_H

#include "application/parallel/pool.h"
#include "application/ports/engine.h"
#include "domain/forest/forest.h"

/* An engine over a forest. The forest and the pool, which may be NULL, must outlive it. */
PX_MUST_USE enum px_code px_forest_engine_create(const struct px_forest *forest,
                                                 struct px_pool *pool, struct px_engine **ret,
                                                 struct px_err *err);

#endif
