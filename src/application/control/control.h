/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A control thread: jobs that may take long (load a model, read folders), one after the other, in the order in which they
 * were given.
 *
 * A job is embedded in what it is about, so giving it needs no memory; the queue is bounded, and a full one is an answer.
 * px_control_stop lets the job at work finish; those that wait are handed to `drop` instead of `run`.
 *
 * Threads: any may give jobs; create, stop and destroy on one.
 */
#ifndef PX_APPLICATION_CONTROL_CONTROL_H
#define PX_APPLICATION_CONTROL_CONTROL_H

#include "shared/err.h"

struct px_control;

struct px_control_job {
    void (*run)(struct px_control_job *job);
    void (*drop)(struct px_control_job *job);
    struct px_control_job *next; /* private to the queue */
};

/* `name` (at most 15 bytes) is the thread's; at most `jobs_max` jobs wait. */
PX_MUST_USE enum px_code px_control_create(const char *name, size_t jobs_max,
                                           struct px_control **ret, struct px_err *err);

/* PX_E_OVERLOADED when the queue is full, PX_E_UNAVAILABLE after px_control_stop; the job stays the caller's then. */
PX_MUST_USE enum px_code px_control_give(struct px_control *control, struct px_control_job *job,
                                         struct px_err *err);

void px_control_stop(struct px_control *control);
void px_control_destroy(struct px_control *control); /* stops it; NULL is fine */

#endif
