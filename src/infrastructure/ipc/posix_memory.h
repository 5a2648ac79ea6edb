/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared memory port over POSIX shared memory objects (shm_open).
 *
 * A key is the name of an object, "/name" or "name", without another slash. The object must exist, be an ordinary
 * one and hold the region; at most PX_POSIX_REGIONS_MAX regions are registered at a time.
 */
#ifndef PX_INFRASTRUCTURE_IPC_POSIX_MEMORY_H
#define PX_INFRASTRUCTURE_IPC_POSIX_MEMORY_H

#include "application/ports/shared_memory.h"

enum {
    PX_POSIX_REGIONS_MAX = 256, /* each keeps a file descriptor */
    PX_POSIX_NAME_MAX = 255,    /* bytes of a region's name, and of a key */
};

PX_MUST_USE enum px_code px_posix_memory_create(struct px_shared_memory **ret, struct px_err *err);

#endif
