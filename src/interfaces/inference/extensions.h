/* SPDX-License-Identifier: Apache-2.0 */
/* Extensions of Open Inference that a server speaks, as its metadata lists them. */
#ifndef PX_INTERFACES_INFERENCE_EXTENSIONS_H
#define PX_INTERFACES_INFERENCE_EXTENSIONS_H

#include <stdbool.h>
#include <stddef.h>

/* The index-th name, NULL after the last. Which there are depends on what the server has. */
const char *px_extension(size_t index, bool has_shared_memory);

#endif
