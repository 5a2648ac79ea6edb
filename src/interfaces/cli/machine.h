/* SPDX-License-Identifier: Apache-2.0 */
/* What a measurement was made with and on. */
#ifndef PX_INTERFACES_CLI_MACHINE_H
#define PX_INTERFACES_CLI_MACHINE_H

#include "shared/json.h"

/* "gcc 12.2.0"; static. */
const char *px_machine_compiler(void);

/* The processor's own name, or its architecture where nobody tells; `out` has `cap` > 0 bytes. */
const char *px_machine_processor(char *out, size_t cap);

/* The member "machine": processor, cores, version and compiler. */
void px_machine_put(struct px_json_writer *w);

#endif
