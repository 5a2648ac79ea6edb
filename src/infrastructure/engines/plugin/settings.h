/* SPDX-License-Identifier: Apache-2.0 */
/* The mapping `engine` of the providers in this folder. Private to it. */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_SETTINGS_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_SETTINGS_H

#include "application/ports/engine_provider.h"

#include <phoenix/engine.h>

enum { PX_PLUGIN_SETTINGS_MAX = 4096 };

struct px_plugin_settings {
    struct px_str library;
    const phx_setting *pairs; /* `settings`, flattened */
    size_t n_pairs;
};

/*
 * Reads the mapping; texts live in request->arena. PX_E_UNKNOWN_OPTION and PX_E_INVALID name the key and its line.
 */
PX_MUST_USE enum px_code px_plugin_settings_read(const struct px_engine_request *request,
                                                 struct px_plugin_settings *ret,
                                                 struct px_err *err);

#endif
