/* SPDX-License-Identifier: Apache-2.0 */
/* The part of `phoenix check` about kernels: which scores what, at what cost, and why not another. */
#ifndef PX_INTERFACES_CLI_CHECK_PLAN_H
#define PX_INTERFACES_CLI_CHECK_PLAN_H

#include "domain/forest/forest.h"

#include <stdio.h>

void px_check_print_plan(FILE *out, const struct px_forest_info *info);

#endif
