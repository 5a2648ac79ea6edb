/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event loops on cores of their own, and memory from the node they run on: by choice, since a scheduler usually knows better, and
 * a machine that is all Phoenix's does not need one.
 *
 * Threads: init on main; apply on the thread that is to be bound.
 */
#ifndef PX_INFRASTRUCTURE_HOST_PINNING_H
#define PX_INFRASTRUCTURE_HOST_PINNING_H

#include "shared/err.h"
#include "shared/str.h"

enum { PX_PINNING_CORES_MAX = 1024 };

struct px_pinning {
    unsigned short cores
        [PX_PINNING_CORES_MAX]; /* loop i gets the i-th, and again from the first when they end */
    unsigned n_cores;           /* 0: not bound */
    bool prefers_local; /* memory of the node that the thread runs on, where there is some */
};

/*
 * `pin`: "off", "cores" (those that the process may run on, one after the other), or a list of cores ("0-3,8"), each of which the process must
 * be allowed to use. `numa`: "off" or "local". PX_E_INVALID; PX_E_UNSUPPORTED when the kernel refuses policies of memory.
 */
PX_MUST_USE enum px_code px_pinning_init(struct px_pinning *pinning, struct px_str pin,
                                         struct px_str numa, struct px_err *err);

/* Binds the calling thread, as the one of a loop. PX_E_IO says what the kernel refused. */
PX_MUST_USE enum px_code px_pinning_apply(const struct px_pinning *pinning, unsigned loop,
                                          struct px_err *err);

#endif
