/* SPDX-License-Identifier: Apache-2.0 */
/* What `phoenix check` says of a package that holds an engine of tensors, which has been opened. */
#ifndef PX_INTERFACES_CLI_CHECK_TENSORS_H
#define PX_INTERFACES_CLI_CHECK_TENSORS_H

#include "application/lifecycle/package.h"

#include <stdio.h>

/* A page for people: inputs, outputs, and what the engine tells of itself, its warnings among it. */
void px_check_tensors_text(FILE *out, const struct px_package *package);

/* The same as one JSON object. */
void px_check_tensors_json(FILE *out, const struct px_package *package);

#endif
