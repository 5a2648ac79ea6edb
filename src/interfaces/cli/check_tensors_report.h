/* SPDX-License-Identifier: Apache-2.0 */
/* What `phoenix check` says of a package that holds an engine of tensors, which has been opened. */
#ifndef PX_INTERFACES_CLI_CHECK_TENSORS_REPORT_H
#define PX_INTERFACES_CLI_CHECK_TENSORS_REPORT_H

#include "application/lifecycle/check.h"

#include <stdio.h>

/*
 * A page for people: inputs, outputs, what the engine tells of itself, its warnings among it, and the golden requests. `failure` is
 * NULL when the package would be served.
 */
void px_check_tensors_text(FILE *out, const struct px_package *package,
                           const struct px_check_report *report, const struct px_err *failure);

/* The same as one JSON object. */
void px_check_tensors_json(FILE *out, const struct px_package *package,
                           const struct px_check_report *report, const struct px_err *failure);

#endif
