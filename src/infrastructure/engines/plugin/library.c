/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants
 * 1. What is loaded is the resolved path that was checked: a link that is changed in between leads nowhere else.
 * 2. A package names files in its folder only, or what the operator installed; so a package cannot load any file of the machine.
 * 3. Symbols stay local (RTLD_LOCAL): two plug-ins may have functions of the same name.
 */
#include "infrastructure/engines/plugin/library.h"

#include "infrastructure/engines/plugin/plugin.h"
#include "shared/file.h"

#include <dlfcn.h>
#include <unistd.h>

/* folder/file + suffix resolved into `path`, wherever its links lead; false when there is no such regular file. */
static bool resolve(struct px_str folder, struct px_str file, const char *suffix, char *path)
{
    char joined[PATH_MAX];
    int n = snprintf(joined, sizeof joined, "%.*s/%.*s%s", (int)folder.len, folder.ptr,
                     (int)file.len, file.ptr, suffix);
    return n > 0 && (size_t)n < sizeof joined && realpath(joined, path) &&
           px_file_kind(path) == PX_FILE_REGULAR;
}

enum px_code px_plugin_resolve_inside(struct px_str folder, struct px_str file, const char *what,
                                      char *path, struct px_err *err)
{
    if (px_file_resolve_inside(folder, file, path, err) != PX_OK)
        return px_err_wrap(err, "%s", what);
    if (px_file_kind(path) == PX_FILE_REGULAR)
        return PX_OK;
    return px_err_set(err, PX_E_NOT_FOUND, "%s: '%.*s' is no file", what, PX_STR_ARG(file));
}

/* Looks in one folder of installed plug-ins; links that lead out of it are the operator's own. */
static bool find_installed(struct px_str folder, struct px_str name, char *path)
{
    return folder.len && folder.ptr[0] == '/' &&
           (resolve(folder, name, "", path) || resolve(folder, name, ".so", path));
}

/* The folders beside the program: lib/phoenix/engines of an installed tree, plugins/ of a build folder. */
static bool find_beside_program(struct px_str name, char *path)
{
    char folder[PATH_MAX - 32], tried[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", folder, sizeof folder);
    while (n > 0 && folder[n - 1] != '/')
        n--;
    static const char *const places[] = {"plugins", "../lib/phoenix/engines"};
    for (size_t i = 0; n > 0 && i < PX_ARRAY_LEN(places); i++) {
        snprintf(tried, sizeof tried, "%.*s%s", (int)n, folder, places[i]);
        if (find_installed(px_str(tried), name, path))
            return true;
    }
    return false;
}

bool px_plugin_library_installed(struct px_str name, char *path)
{
    struct px_str rest = px_str(getenv(PX_PLUGIN_PATH_VARIABLE));
    while (rest.ptr) {
        if (find_installed(px_str_cut(&rest, ':'), name, path))
            return true;
    }
    return find_beside_program(name, path);
}

/* What to do about a library that was not found. A relative folder is not looked in, for it depends on where the server was started. */
static enum px_code hint_folders(struct px_err *err)
{
    struct px_str rest = px_str(getenv(PX_PLUGIN_PATH_VARIABLE));
    while (rest.ptr) {
        struct px_str folder = px_str_cut(&rest, ':');
        if (folder.len && folder.ptr[0] != '/')
            return px_err_hint(err, "'%.*s' in %s was not looked in: expected an absolute path",
                               PX_STR_ARG(folder), PX_PLUGIN_PATH_VARIABLE);
    }
    return px_err_hint(err, "put it beside model.yaml, or its folder into %s",
                       PX_PLUGIN_PATH_VARIABLE);
}

enum px_code px_plugin_library_find(struct px_str folder, struct px_str library, char *path,
                                    struct px_err *err)
{
    if (library.len == 0)
        return px_err_set(err, PX_E_INVALID,
                          "engine.library is missing: which file is the plug-in?");
    bool plain_name = px_str_find(library, '/') == library.len && !px_str_is(library, "..");
    bool in_package = folder.len && plain_name && resolve(folder, library, "", path);
    if (plain_name && !in_package) {
        if (library.len < NAME_MAX && px_plugin_library_installed(library, path))
            return PX_OK;
        px_err_set(
            err, PX_E_NOT_FOUND,
            "engine.library: there is no '%.*s' in the package, nor among the installed plug-ins",
            PX_STR_ARG(library));
        return hint_folders(err);
    }
    return px_plugin_resolve_inside(folder, library, "engine.library", path, err);
}

static enum px_code check_table(const char *path, const phx_engine_ops *ops, struct px_err *err)
{
    if (!ops) {
        px_err_set(err, PX_E_INVALID, "%s: the plug-in does not work with ABI %u of this program",
                   path, PHX_ENGINE_ABI);
        return px_err_hint(err, "build it with the <phoenix/engine.h> of this version");
    }
    if (ops->abi != PHX_ENGINE_ABI)
        return px_err_set(err, PX_E_INVALID, "%s: expected a plug-in of ABI %u, got %u", path,
                          PHX_ENGINE_ABI, ops->abi);
    if (!PHX_ENGINE_HAS(ops, phx_engine_ops, destroy))
        return px_err_set(err, PX_E_INVALID, "%s: expected a table of at least %zu bytes, got %u",
                          path, sizeof(phx_engine_ops), ops->size);
    const char *lacks = !ops->name      ? "name"
                        : !ops->create  ? "create"
                        : !ops->run     ? "run"
                        : !ops->destroy ? "destroy"
                                        : NULL;
    if (lacks)
        return px_err_set(err, PX_E_INVALID, "%s: the plug-in's table has no '%s'", path, lacks);
    return PX_OK;
}

enum px_code px_plugin_library_open(const char *path, struct px_plugin_library *ret,
                                    struct px_err *err)
{
    const phx_engine_ops *(*entry)(uint32_t host_abi);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle) {
        const char *reason = dlerror();
        return px_err_set(err, PX_E_UNAVAILABLE, "cannot load the plug-in: %s",
                          reason ? reason : path);
    }
    void *symbol = dlsym(handle, "phx_engine_entry");
    memcpy(&entry, &symbol, sizeof entry);
    if (!symbol) {
        px_err_set(err, PX_E_INVALID, "%s: this library is no plug-in: it has no phx_engine_entry",
                   path);
        return px_err_hint(err, "export it with PHX_ENGINE_EXPORT of <phoenix/engine.h>");
    }
    ret->ops = entry(PHX_ENGINE_ABI);
    snprintf(ret->path, sizeof ret->path, "%s", path);
    return check_table(path, ret->ops, err);
}
