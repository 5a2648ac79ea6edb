/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/forest_options.h"

#include "shared/clock.h"

#include <stdlib.h>

bool px_forest_options_complete(struct px_forest_options *options)
{
    const char *asked = options->kernel ? NULL : getenv(PX_KERNEL_VARIABLE);
    bool from_environment = asked && asked[0];
    if (from_environment)
        options->kernel = asked;
    if (!options->clock_ns)
        options->clock_ns = px_clock_thread_ns;
    return from_environment;
}
