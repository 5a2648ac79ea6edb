/* SPDX-License-Identifier: Apache-2.0 */
/* `phoenix demo traffic`: a trickle of predict requests made from the rows of a file. */
#ifndef PX_INTERFACES_CLI_DEMO_TRAFFIC_H
#define PX_INTERFACES_CLI_DEMO_TRAFFIC_H

#include "interfaces/cli/cli.h"

/* Runs until its time is over or an interrupt; returns an exit status. */
int px_demo_traffic(struct px_cli *cli);

#endif
