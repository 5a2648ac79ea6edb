/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared library of a plug-in: where it may lie, and whether it speaks our language. Private to this folder.
 *
 * A library is never unloaded: what others wrote may have left threads, exit handlers or types behind that would then point
 * to nothing. One that is replaced by a new file (renamed over the old) is loaded beside it at the next reload.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_LIBRARY_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_LIBRARY_H

#include "shared/err.h"

#include <limits.h>
#include <phoenix/engine.h>

struct px_plugin_library {
    const phx_engine_ops *ops;
    char path[PATH_MAX]; /* links resolved */
};

/*
 * Resolves the setting `library` into `path` (of PATH_MAX bytes): a path inside `folder`, or the name of a file in one
 * of the folders of installed plug-ins (with or without ".so"). PX_E_INVALID, PX_E_NOT_FOUND say where was looked.
 */
PX_MUST_USE enum px_code px_plugin_library_find(struct px_str folder, struct px_str library,
                                                char *path, struct px_err *err);

/* The path of an installed plug-in of that name; false when there is none. */
bool px_plugin_library_installed(struct px_str name, char *path);

/* The path of a file inside `folder` with links resolved; `what` names it in messages. */
PX_MUST_USE enum px_code px_plugin_resolve_inside(struct px_str folder, struct px_str file,
                                                  const char *what, char *path, struct px_err *err);

/* Loads the library and checks its table. PX_E_INVALID tells what does not fit, PX_E_UNAVAILABLE what the loader said. */
PX_MUST_USE enum px_code px_plugin_library_open(const char *path, struct px_plugin_library *ret,
                                                struct px_err *err);

#endif
