/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Composition root of libphoenix: the engines that it opens models of tensors with.
 *
 * Fewer than the program has. Remote servers would bring the network into programs that did not ask for it, and Python models
 * and isolated plug-ins need processes, which a library does not start.
 */
#include "interfaces/library/engines.h"

#include "application/graph/graph_provider.h"
#include "infrastructure/engines/onnxruntime/onnxruntime.h"
#include "infrastructure/engines/plugin/plugin.h"

const struct px_engines *px_library_engines(void)
{
    static const struct px_engine_provider *const providers[] = {
        &px_graph_provider,
        &px_onnxruntime_embedded_provider,
        &px_plugin_embedded_provider,
        &px_torchscript_embedded_provider,
    };
    static const struct px_engines engines = {providers, PX_ARRAY_LEN(providers)};
    return &engines;
}
