/* SPDX-License-Identifier: Apache-2.0 */
/* Composition root: builds the adapters, lends them to the verbs, runs the command line. */
#include "interfaces/cli/cli.h"

int main(int argc, char **argv)
{
    static const struct px_cli_services services = {0};
    return px_cli_main(argc, argv, &services);
}
