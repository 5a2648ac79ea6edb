/* SPDX-License-Identifier: Apache-2.0 */
/* Private to interfaces/rest: what the kernel knows about this process. Zero when it does not tell. */
#ifndef PX_INTERFACES_REST_PROCESS_H
#define PX_INTERFACES_REST_PROCESS_H

#include <stdint.h>

uint64_t px_process_resident_bytes(void);
double px_process_cpu_seconds(void);

#endif
