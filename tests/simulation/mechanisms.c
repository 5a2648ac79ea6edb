/* SPDX-License-Identifier: Apache-2.0 */
/* What stands beside the queue: one row for each mechanism, in the order in which a request meets them. */
#include "simulation.h"

const struct mechanism mechanisms[MECHANISMS_MAX] = {
    {.name = NULL},
};
