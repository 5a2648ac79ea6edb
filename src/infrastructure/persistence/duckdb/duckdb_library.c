/* SPDX-License-Identifier: Apache-2.0 */
/* The library exports some 58,000 symbols: RTLD_LOCAL keeps them from everybody else. */
#include "infrastructure/persistence/duckdb/duckdb_library.h"

#include "infrastructure/persistence/duckdb/duckdb.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

struct symbol {
    const char *name;
    size_t offset; /* of the function pointer in struct px_duckdb_library */
};

#define SYMBOL(member, name)                                                                       \
    {                                                                                              \
        name, offsetof(struct px_duckdb_library, member)                                           \
    }

static const struct symbol symbols[] = {
    SYMBOL(create_config, "duckdb_create_config"),
    SYMBOL(set_config, "duckdb_set_config"),
    SYMBOL(destroy_config, "duckdb_destroy_config"),
    SYMBOL(open, "duckdb_open_ext"),
    SYMBOL(close, "duckdb_close"),
    SYMBOL(connect, "duckdb_connect"),
    SYMBOL(disconnect, "duckdb_disconnect"),
    SYMBOL(query, "duckdb_query"),
    SYMBOL(prepare, "duckdb_prepare"),
    SYMBOL(prepare_error, "duckdb_prepare_error"),
    SYMBOL(destroy_prepare, "duckdb_destroy_prepare"),
    SYMBOL(execute_streaming, "duckdb_execute_prepared_streaming"),
    SYMBOL(result_error, "duckdb_result_error"),
    SYMBOL(destroy_result, "duckdb_destroy_result"),
    SYMBOL(fetch_chunk, "duckdb_fetch_chunk"),
    SYMBOL(chunk_size, "duckdb_data_chunk_get_size"),
    SYMBOL(chunk_vector, "duckdb_data_chunk_get_vector"),
    SYMBOL(destroy_chunk, "duckdb_destroy_data_chunk"),
    SYMBOL(vector_data, "duckdb_vector_get_data"),
    SYMBOL(vector_validity, "duckdb_vector_get_validity"),
    SYMBOL(free, "duckdb_free"),
};

static void *open_library(struct px_err *err)
{
    const char *chosen = getenv(PX_DUCKDB_LIBRARY_VARIABLE);
    bool given = chosen && *chosen;
    void *handle = dlopen(given ? chosen : "libduckdb.so", RTLD_NOW | RTLD_LOCAL);
    if (handle)
        return handle;
    px_err_set(err, PX_E_UNAVAILABLE, "Parquet files need the library libduckdb: %s", dlerror());
    px_err_hint(err,
                "install libduckdb.so 1.x where libraries are searched, or point %s at it; "
                "tools/setup duckdb fetches it",
                PX_DUCKDB_LIBRARY_VARIABLE);
    return NULL;
}

enum px_code px_duckdb_library_open(struct px_duckdb_library *library, struct px_err *err)
{
    void *handle = open_library(err);
    if (!handle)
        return PX_E_UNAVAILABLE;
    for (size_t i = 0; i < PX_ARRAY_LEN(symbols); i++) {
        void *address = dlsym(handle, symbols[i].name);
        if (!address) {
            px_err_set(err, PX_E_UNAVAILABLE, "this libduckdb has no function %s", symbols[i].name);
            return px_err_hint(err, "versions 1.x work");
        }
        memcpy((char *)library + symbols[i].offset, &address, sizeof address);
    }
    return PX_OK;
}
