/* SPDX-License-Identifier: Apache-2.0 */
/* A serving process: its parts are built, lent to each other and taken down; between, it lives by signals. */
#ifndef PX_SERVER_PROCESS_H
#define PX_SERVER_PROCESS_H

#include "interfaces/cli/cli.h"

/* Could it be served with these settings? Reads certificates and opens nothing. See px_cli_services.check. */
enum px_code px_server_process_check(const struct px_config *config, struct px_err *err);

/* Before the models are loaded. See px_cli_services.serve_begins. */
void px_server_process_begin(void);

/* Serves until SIGTERM or SIGINT, drains, returns. See px_cli_services.serve. */
enum px_code px_server_process_run(const struct px_serve_job *job, struct px_err *err);

#endif
