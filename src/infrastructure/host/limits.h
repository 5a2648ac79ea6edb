/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors and memory of the process: what is used and what there may be.
 *
 * Memory has several limits: the control group's, the address space (RLIMIT_AS), and the machine itself. The one of which most
 * is used is told. Threads: any, but raising, which is main's.
 */
#ifndef PX_INFRASTRUCTURE_HOST_LIMITS_H
#define PX_INFRASTRUCTURE_HOST_LIMITS_H

#include "application/pressure/pressure.h"

/*
 * Raises the soft limit of descriptors to the hard one (at most to what the kernel lets one process have, 2^20, or `wanted` when that is more), and
 * returns what holds then.
 */
uint64_t px_limits_raise_files(uint64_t wanted);

struct px_pressure_reading px_limits_files(void);
struct px_pressure_reading px_limits_memory(void);

#endif
