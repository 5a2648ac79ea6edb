/* SPDX-License-Identifier: Apache-2.0 */
/* How many cores there are for this process: not the machine's, where it is confined to some of them. */
#ifndef PX_SHARED_CORES_H
#define PX_SHARED_CORES_H

/* Cores that the calling thread may run on (affinity, cpusets, containers), 1 to `max` (> 0). */
unsigned px_cores(unsigned max);

#endif
