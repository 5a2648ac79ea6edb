/* SPDX-License-Identifier: Apache-2.0 */
/* Parquet files read by DuckDB, as the port application/ports/table_reader.h. */
#ifndef PX_INFRASTRUCTURE_PERSISTENCE_DUCKDB_H
#define PX_INFRASTRUCTURE_PERSISTENCE_DUCKDB_H

#include "application/ports/table_reader.h"

/* Names the library's file; otherwise the system's places are searched. */
#define PX_DUCKDB_LIBRARY_VARIABLE "PHOENIX_DUCKDB_LIBRARY"

/*
 * Opens a Parquet file with `n_threads` of DuckDB's. PX_E_UNAVAILABLE: no libduckdb, with what to do;
 * PX_E_CORRUPT: not readable as Parquet.
 */
PX_MUST_USE enum px_code px_duckdb_open_parquet(const char *path, size_t n_threads,
                                                struct px_table_reader **ret, struct px_err *err);

#endif
