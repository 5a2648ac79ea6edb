/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads that fetch: a few, so that a slow store delays neither who loads what is on the disk, nor, within their number, other fetches.
 * Jobs are done in the order in which they were given. A job is embedded in what it is about; who gives bounds their number.
 *
 * Threads: any may give; create, stop and destroy on one.
 */
#ifndef PX_APPLICATION_FETCHING_FETCHER_H
#define PX_APPLICATION_FETCHING_FETCHER_H

#include "shared/err.h"

#include <stdatomic.h>

enum { PX_FETCHER_THREADS = 4 };

struct px_fetcher;

struct px_fetcher_job {
    void (*run)(struct px_fetcher_job *job);
    void (*drop)(struct px_fetcher_job *job); /* instead, when the fetcher has stopped */
    struct px_fetcher_job *next;              /* private */
};

PX_MUST_USE enum px_code px_fetcher_create(struct px_fetcher **ret, struct px_err *err);
/* Becomes true when it stops: what fetches looks at it. */
const _Atomic bool *px_fetcher_stopping(const struct px_fetcher *fetcher);
/* Takes the job; after the stop it is dropped at once. */
void px_fetcher_give(struct px_fetcher *fetcher, struct px_fetcher_job *job);
/* Ends when the jobs at work have; the others are dropped. NULL is fine. */
void px_fetcher_stop(struct px_fetcher *fetcher);
void px_fetcher_destroy(struct px_fetcher *fetcher); /* stops it; NULL is fine */

#endif
