/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/plugin/provider.h"

#include "infrastructure/engines/plugin/library.h"
#include "infrastructure/engines/plugin/plugin.h"

enum px_code px_plugin_open(const struct px_engine_request *request, px_plugin_opener *open,
                            struct px_engine **ret, struct px_err *err)
{
    struct px_plugin_settings settings;
    char path[PATH_MAX];
    enum px_code code = px_plugin_settings_read(request, PX_PLUGIN_LIBRARY, &settings, err);
    if (code == PX_OK)
        code = px_plugin_library_find(request->folder, settings.library, path, err);
    if (code != PX_OK)
        return code;
    return open(request, &settings, path, ret, err);
}

void px_plugin_describe(struct px_engine_state *ret)
{
    const char *path = getenv(PX_PLUGIN_PATH_VARIABLE);
    *ret = (struct px_engine_state){.available = true};
    snprintf(ret->version, sizeof ret->version, "ABI %u", PHX_ENGINE_ABI);
    snprintf(ret->details, sizeof ret->details, "libraries of packages, and of %s: %s",
             PX_PLUGIN_PATH_VARIABLE, path ? path : "(not set)");
}

/* ---- TorchScript: the installed plug-in of that name ---- */

static const struct px_str torchscript = PX_STR("torchscript");

enum px_code px_torchscript_open(const struct px_engine_request *request, px_plugin_opener *open,
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
    code = open(request, &settings, path, ret, err);
    if (code != PX_OK && err &&
        (strstr(err->message, "constants.pkl") || strstr(err->message, "code/")))
        px_err_hint(err, "torch.save keeps weights, or a pickle, without the program: "
                         "torch.jit.script(model.eval()).save(path) keeps both");
    return code;
}

/* What torch.jit.save writes is a zip archive; the name tells it from other archives. */
bool px_torchscript_knows(const char *path, struct px_str first_bytes)
{
    struct px_str name = px_str(path);
    return px_str_starts(first_bytes, "PK\3\4") &&
           (px_str_ends(name, ".pt") || px_str_ends(name, ".ts") || px_str_ends(name, ".pth"));
}

void px_torchscript_describe(struct px_engine_state *ret)
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
