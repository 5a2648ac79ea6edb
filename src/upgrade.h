/* SPDX-License-Identifier: Apache-2.0 */
/* `phoenix upgrade`, outside of the process that serves: asks it, and tells what came of it. server_upgrade.h is the inside. */
#ifndef PX_UPGRADE_H
#define PX_UPGRADE_H

#include "interfaces/cli/cli.h"

/* See px_cli_services. */
size_t px_upgrade_list_servers(int64_t *pids, size_t max);
enum px_code px_upgrade_run(const struct px_upgrade_job *job, int64_t *ret_pid, struct px_err *err);

#endif
