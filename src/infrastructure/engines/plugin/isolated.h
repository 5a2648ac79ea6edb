/* SPDX-License-Identifier: Apache-2.0 */
/* The engine whose plug-in runs in processes of its own. Private to this folder. */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_ISOLATED_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_ISOLATED_H

#include "infrastructure/engines/plugin/settings.h"

/* What the workers are: this program with a library, or an interpreter with a file. Texts live as long as request->arena. */
struct px_isolated_code {
    const char *engine_name; /* "plugin", "python"; static */
    char *const *argv;
    const char *path;     /* of the library or file */
    const char *function; /* "" for a library */
};

PX_MUST_USE enum px_code px_isolated_open(const struct px_engine_request *request,
                                          const struct px_plugin_settings *settings,
                                          const struct px_isolated_code *code,
                                          struct px_engine **ret, struct px_err *err);

#endif
