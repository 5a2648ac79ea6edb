/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of DuckDB's C API that reading needs, found at run time. Private to this folder.
 *
 * The declarations follow the stable C API of DuckDB 1.x; declaring them here lets the project build without
 * its header. States are 0 for success. Handles are opaque pointers.
 */
#ifndef PX_INFRASTRUCTURE_PERSISTENCE_DUCKDB_LIBRARY_H
#define PX_INFRASTRUCTURE_PERSISTENCE_DUCKDB_LIBRARY_H

#include "shared/err.h"

#include <stdint.h>

/* Laid out by the library; the caller provides the memory, zeroed. Some functions take it by value. */
struct px_duckdb_result {
    uint64_t unused[3];
    void *columns;
    char *error;
    void *internal;
};

/* A text: at most 12 bytes lie in it, longer ones elsewhere. Not ended by a NUL. */
union px_duckdb_text {
    struct {
        uint32_t len;
        char prefix[4];
        const char *ptr;
    } far;
    struct {
        uint32_t len;
        char bytes[12];
    } near;
};

enum { PX_DUCKDB_TEXT_NEAR_MAX = 12 };

struct px_duckdb_library {
    int (*create_config)(void **ret);
    int (*set_config)(void *config, const char *name, const char *value);
    void (*destroy_config)(void **config);
    int (*open)(const char *path, void **ret, void *config, char **ret_error);
    void (*close)(void **database);
    int (*connect)(void *database, void **ret);
    void (*disconnect)(void **connection);
    int (*query)(void *connection, const char *sql, struct px_duckdb_result *ret);
    int (*prepare)(void *connection, const char *sql, void **ret);
    const char *(*prepare_error)(void *prepared);
    void (*destroy_prepare)(void **prepared);
    int (*execute_streaming)(void *prepared, struct px_duckdb_result *ret);
    const char *(*result_error)(struct px_duckdb_result *result);
    void (*destroy_result)(struct px_duckdb_result *result);
    void *(*fetch_chunk)(struct px_duckdb_result result);
    uint64_t (*chunk_size)(void *chunk);
    void *(*chunk_vector)(void *chunk, uint64_t column);
    void (*destroy_chunk)(void **chunk);
    void *(*vector_data)(void *vector);
    uint64_t *(*vector_validity)(void *vector);
    void (*free)(void *memory);
};

/* Opens the library; it is never closed. PX_E_UNAVAILABLE says what to install. */
PX_MUST_USE enum px_code px_duckdb_library_open(struct px_duckdb_library *library,
                                                struct px_err *err);

#endif
