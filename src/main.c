/* SPDX-License-Identifier: Apache-2.0 */
/* Composition root: builds the adapters, lends them to the verbs, runs the command line. */
#include "engines.h"
#include "infrastructure/engines/plugin/worker.h"
#include "infrastructure/host/limits.h"
#include "infrastructure/load/client.h"
#include "infrastructure/persistence/duckdb/duckdb.h"
#include "infrastructure/training/xgboost.h"
#include "interfaces/cli/cli.h"
#include "server_process.h"
#include "server_upgrade.h"
#include "upgrade.h"

int main(int argc, char **argv)
{
    const struct px_cli_services services = {
        .open_trainer = px_xgboost_trainer_create,
        .open_parquet = px_duckdb_open_parquet,
        .check_config = px_server_process_check,
        .serve_begins = px_server_process_begin,
        .serve = px_server_process_run,
        .serve_failed = px_upgrade_fail,
        .list_servers = px_upgrade_list_servers,
        .upgrade = px_upgrade_run,
        .open_load = px_load_client_create,
        .read_memory = px_limits_memory,
        .engines = px_engines_of_program(),
        .stores = px_stores_of_program(),
    };
    if (px_xgboost_is_worker(argc, argv))
        return px_xgboost_worker_main();
    if (px_plugin_is_worker(argc, argv))
        return px_plugin_worker_main();
    return px_cli_main(argc, argv, &services);
}
