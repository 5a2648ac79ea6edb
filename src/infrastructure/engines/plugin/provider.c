/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/plugin/plugin.h"

#include "infrastructure/engines/plugin/in_process.h"
#include "infrastructure/engines/plugin/isolated.h"
#include "infrastructure/engines/plugin/library.h"
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
    struct px_plugin_settings settings;
    char path[PATH_MAX];
    enum px_code code = px_plugin_settings_read(request, PX_PLUGIN_LIBRARY, &settings, err);
    if (code == PX_OK)
        code = px_plugin_library_find(request->folder, settings.library, path, err);
    if (code != PX_OK)
        return code;
    return open_library(request, &settings, path, ret, err);
}

static void describe_plugins(struct px_engine_state *ret)
{
    const char *path = getenv(PX_PLUGIN_PATH_VARIABLE);
    *ret = (struct px_engine_state){.available = true};
    snprintf(ret->version, sizeof ret->version, "ABI %u", PHX_ENGINE_ABI);
    snprintf(ret->details, sizeof ret->details, "libraries of packages, and of %s: %s",
             PX_PLUGIN_PATH_VARIABLE, path ? path : "(not set)");
}

const struct px_engine_provider px_plugin_provider = {
    .name = "plugin",
    .summary = "a shared library with a phx_engine_entry (include/phoenix/engine.h)",
    .needs_trust = true,
    .open = open_plugin,
    .describe = describe_plugins,
};

/* ---- TorchScript: the installed plug-in of that name ---- */

static const struct px_str torchscript = PX_STR("torchscript");

static enum px_code open_torchscript(const struct px_engine_request *request,
                                     struct px_engine **ret, struct px_err *err)
{
    struct px_plugin_settings settings;
    char path[PATH_MAX];
    enum px_code code = px_plugin_settings_read(request, PX_PLUGIN_INSTALLED, &settings, err);
    if (code != PX_OK)
        return code;
    if (!px_plugin_library_installed(torchscript, path)) {
        px_err_set(err, PX_E_UNAVAILABLE, "the plug-in for TorchScript models is not installed");
        return px_err_hint(err, "build plugins/torchscript, and put its folder into %s",
                           PX_PLUGIN_PATH_VARIABLE);
    }
    return open_library(request, &settings, path, ret, err);
}

/* What torch.jit.save writes is a zip archive; the name tells it from other archives. */
static bool knows_torchscript(const char *path, struct px_str first_bytes)
{
    struct px_str name = px_str(path);
    return px_str_starts(first_bytes, "PK\3\4") &&
           (px_str_ends(name, ".pt") || px_str_ends(name, ".ts") || px_str_ends(name, ".pth"));
}

static void describe_torchscript(struct px_engine_state *ret)
{
    char path[PATH_MAX];
    *ret = (struct px_engine_state){.available = px_plugin_library_installed(torchscript, path)};
    if (ret->available)
        snprintf(ret->place, sizeof ret->place, "%s", path);
    else
        snprintf(ret->details, sizeof ret->details,
                 "not installed: build plugins/torchscript and put its folder into %s",
                 PX_PLUGIN_PATH_VARIABLE);
}

const struct px_engine_provider px_torchscript_provider = {
    .name = "torchscript",
    .summary = "PyTorch models saved by torch.jit, by LibTorch (plugins/torchscript)",
    .knows = knows_torchscript,
    .needs_trust = true,
    .open = open_torchscript,
    .describe = describe_torchscript,
};
