/* SPDX-License-Identifier: Apache-2.0 */
#include "engines.h"

#include "application/graph/graph_provider.h"
#include "infrastructure/engines/onnxruntime/onnxruntime.h"
#include "infrastructure/engines/plugin/plugin.h"
#include "infrastructure/engines/remote/remote.h"
#include "infrastructure/stores/http/http_store.h"

const struct px_engines *px_engines_of_program(void)
{
    static const struct px_engine_provider *const providers[] = {
        &px_graph_provider,
        &px_onnxruntime_provider,
        &px_remote_provider,
        &px_plugin_provider,
        &px_python_provider,
        &px_torchscript_provider,
        NULL, /* ends the list, so that it may be empty */
    };
    static const struct px_engines engines = {providers, PX_ARRAY_LEN(providers) - 1};
    return &engines;
}

const struct px_model_stores *px_stores_of_program(void)
{
    static const struct px_model_store_provider *const providers[] = {&px_http_store_provider};
    static const struct px_model_stores stores = {providers, PX_ARRAY_LEN(providers)};
    return &stores;
}
