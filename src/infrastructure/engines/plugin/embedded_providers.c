/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plug-ins of libphoenix: in this process only. A worker is this program started again, and what libphoenix is linked into
 * does not know how to be one. In a file of its own, so that the library has nothing of the processes.
 */
#include "infrastructure/engines/plugin/in_process.h"
#include "infrastructure/engines/plugin/plugin.h"
#include "infrastructure/engines/plugin/provider.h"

static enum px_code open_library(const struct px_engine_request *request,
                                 const struct px_plugin_settings *settings, const char *path,
                                 struct px_engine **ret, struct px_err *err)
{
    if (!settings->isolated)
        return px_plugin_in_process_open(request, settings, path, ret, err);
    px_err_set(err, PX_E_UNSUPPORTED, "isolated: libphoenix starts no processes for plug-ins");
    return px_err_hint(err, "remove 'isolated: true', or serve the model with 'phoenix serve'");
}

static enum px_code open_plugin(const struct px_engine_request *request, struct px_engine **ret,
                                struct px_err *err)
{
    return px_plugin_open(request, open_library, ret, err);
}

static enum px_code open_torchscript(const struct px_engine_request *request,
                                     struct px_engine **ret, struct px_err *err)
{
    return px_torchscript_open(request, open_library, ret, err);
}

const struct px_engine_provider px_plugin_embedded_provider = {
    .name = "plugin",
    .summary = "a shared library with a phx_engine_entry (include/phoenix/engine.h)",
    .needs_trust = true,
    .open = open_plugin,
    .describe = px_plugin_describe,
};

const struct px_engine_provider px_torchscript_embedded_provider = {
    .name = "torchscript",
    .summary = "PyTorch models saved by torch.jit, by LibTorch (plugins/torchscript)",
    .knows = px_torchscript_knows,
    .needs_trust = true,
    .open = open_torchscript,
    .describe = px_torchscript_describe,
};
