/* SPDX-License-Identifier: Apache-2.0 */
/* What `phoenix check` prints: a page for people, or one JSON object. */
#ifndef PX_INTERFACES_CLI_CHECK_REPORT_H
#define PX_INTERFACES_CLI_CHECK_REPORT_H

#include "application/lifecycle/check.h"
#include "shared/json.h"

#include <stdio.h>

/* `failure` is NULL when the package would be served. */
void px_check_print_text(FILE *out, const struct px_package *package,
                         const struct px_check_report *report, const struct px_err *failure);

/* The same as JSON; `package` is NULL when it could not be opened. */
void px_check_print_json(FILE *out, const struct px_package *package,
                         const struct px_check_report *report, const struct px_err *failure);

/* A member "error" with what went wrong, of every such report. */
void px_check_put_failure(struct px_json_writer *w, const struct px_err *failure);

#endif
