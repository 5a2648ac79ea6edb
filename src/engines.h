/* SPDX-License-Identifier: Apache-2.0 */
/* The engines that this program opens models of tensors with, and the stores that it fetches models from. Part of the composition root. */
#ifndef PX_ENGINES_H
#define PX_ENGINES_H

#include "application/ports/engine_provider.h"
#include "application/ports/model_store.h"

/* Constant; a file that several providers know goes to the first. */
const struct px_engines *px_engines_of_program(void);
/* Constant. */
const struct px_model_stores *px_stores_of_program(void);

#endif
