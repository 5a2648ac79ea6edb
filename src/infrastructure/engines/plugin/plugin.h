/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engines that others write: the provider `plugin`.
 *
 *     engine: {name: plugin, library: rules.so, settings: {limit: 1000}}
 *
 * The library is a file of the package, or lies in one of the folders of PX_PLUGIN_PATH_VARIABLE. Its code runs with the rights of
 * the server: docs/api/plugins.md says what that means.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_H

#include "application/ports/engine_provider.h"

/* Folders of installed plug-ins, with ':' between them. */
#define PX_PLUGIN_PATH_VARIABLE "PHOENIX_PLUGIN_PATH"

extern const struct px_engine_provider px_plugin_provider;

#endif
