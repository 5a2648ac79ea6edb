/* SPDX-License-Identifier: Apache-2.0 */
/* The engines of tensors that this library has. Defined by its composition root, src/library. */
#ifndef PX_INTERFACES_LIBRARY_ENGINES_H
#define PX_INTERFACES_LIBRARY_ENGINES_H

#include "application/ports/engine_provider.h"

/* Constant. */
const struct px_engines *px_library_engines(void);

#endif
