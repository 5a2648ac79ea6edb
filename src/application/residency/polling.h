/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Polling: folders of models are looked at again and again, and what has changed in them is loaded, replaced or unloaded.
 *
 * A version is acted on when it is complete: when its manifest.json matches its files (manifest.h), or, without one, when two
 * looks in a row saw the same files, sizes and times. All versions of a model that have changed are acted on together. What cannot be
 * loaded leaves what serves, is listed with its reason, and is tried again when its files change. What clients have loaded or unloaded stays so
 * until its files change.
 *
 * Threads: one of its own; create and destroy on main.
 */
#ifndef PX_APPLICATION_RESIDENCY_POLLING_H
#define PX_APPLICATION_RESIDENCY_POLLING_H

#include "shared/err.h"

struct px_repository;
struct px_polling;

PX_MUST_USE enum px_code px_polling_create(struct px_repository *repository, uint64_t interval_ns,
                                           struct px_polling **ret, struct px_err *err);
/* Before the control threads stop. NULL is fine. */
void px_polling_destroy(struct px_polling *polling);

/* One look, for tests; not while the thread runs. */
void px_polling_look(struct px_polling *polling);

#endif
