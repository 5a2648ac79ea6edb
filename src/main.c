/* SPDX-License-Identifier: Apache-2.0 */
/* Composition root: builds the adapters, lends them to the verbs, runs the command line. */
#include "interfaces/cli/cli.h"

int main(void)
{
    puts("phoenix " PX_VERSION);
    return PX_EXIT_OK;
}
