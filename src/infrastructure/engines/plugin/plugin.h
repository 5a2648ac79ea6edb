/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engines that others write: a shared library in this process or in processes of its own, and a Python file.
 *
 *     engine: {name: plugin, library: rules.so, settings: {limit: 1000}}
 *     engine: {name: plugin, library: rules.so, isolated: true, workers: 2}
 *     engine: {name: python, file: model.py, function: predict, python: /usr/bin/python3, workers: 2}
 *     engine: {name: torchscript}   # the installed plug-in of that name (plugins/torchscript)
 *
 * The library is a file of the package, or lies in one of the folders of PX_PLUGIN_PATH_VARIABLE. Its code runs with the rights of
 * the server: docs/api/plugins.md says what that means.
 *
 * An isolated library runs in this same program, started again: its main() begins with px_plugin_is_worker (worker.h).
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_H

#include "application/ports/engine_provider.h"

/* Folders of installed plug-ins, with ':' between them. */
#define PX_PLUGIN_PATH_VARIABLE "PHOENIX_PLUGIN_PATH"

extern const struct px_engine_provider px_plugin_provider;
extern const struct px_engine_provider px_python_provider;
extern const struct px_engine_provider px_torchscript_provider;

/* For libphoenix, in whose programs no workers can be started: `isolated` is refused. */
extern const struct px_engine_provider px_plugin_embedded_provider;
extern const struct px_engine_provider px_torchscript_embedded_provider;

#endif
