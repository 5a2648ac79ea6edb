/* SPDX-License-Identifier: Apache-2.0 */
/* Plug-ins of the program: in this process, or in workers. */
#include "infrastructure/engines/plugin/in_process.h"
#include "infrastructure/engines/plugin/isolated.h"
#include "infrastructure/engines/plugin/plugin.h"
#include "infrastructure/engines/plugin/provider.h"
#include "infrastructure/engines/plugin/worker.h"

/* The workers are this program, started again. */
static enum px_code open_isolated(const struct px_engine_request *request,
                                  const struct px_plugin_settings *settings, const char *path,
                                  struct px_engine **ret, struct px_err *err)
{
    static char program[] = "/proc/self/exe", argument[] = PX_PLUGIN_WORKER_ARGUMENT;
    static char *const argv[] = {program, argument, NULL};
    struct px_isolated_code code = {
        .engine_name = "plugin", .argv = argv, .path = path, .function = ""};
    return px_isolated_open(request, settings, &code, ret, err);
}

static enum px_code open_library(const struct px_engine_request *request,
                                 const struct px_plugin_settings *settings, const char *path,
                                 struct px_engine **ret, struct px_err *err)
{
    return settings->isolated ? open_isolated(request, settings, path, ret, err)
                              : px_plugin_in_process_open(request, settings, path, ret, err);
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

const struct px_engine_provider px_plugin_provider = {
    .name = "plugin",
    .summary = "a shared library with a phx_engine_entry (include/phoenix/engine.h)",
    .needs_trust = true,
    .open = open_plugin,
    .describe = px_plugin_describe,
};

const struct px_engine_provider px_torchscript_provider = {
    .name = "torchscript",
    .summary = "PyTorch models saved by torch.jit, by LibTorch (plugins/torchscript)",
    .knows = px_torchscript_knows,
    .needs_trust = true,
    .open = open_torchscript,
    .describe = px_torchscript_describe,
};
