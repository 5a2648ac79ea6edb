/* SPDX-License-Identifier: Apache-2.0 */
/* The mapping `engine` of the providers in this folder. Private to it. */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_SETTINGS_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_SETTINGS_H

#include "application/ports/engine_provider.h"

#include <phoenix/engine.h>

enum { PX_PLUGIN_SETTINGS_MAX = 4096, PX_PLUGIN_WORKERS_MAX = 64 };

/* Which provider asks: a key of another is unknown. */
enum px_plugin_kind {
    PX_PLUGIN_LIBRARY = 1,
    PX_PLUGIN_INSTALLED, /* the provider knows which library */
    PX_PLUGIN_PYTHON,
};

struct px_plugin_settings {
    struct px_str library; /* of a shared library */
    bool isolated;
    struct px_str file, function, python; /* of a Python model */
    /* of processes */
    uint32_t workers;
    uint32_t timeout_ms, start_timeout_ms;
    uint32_t backoff_ms, backoff_max_ms;
    uint32_t transfer_mb, memory_mb; /* memory 0: any */
    uint32_t spin_us;
    const phx_setting *pairs; /* `settings`, flattened */
    size_t n_pairs;
};

/*
 * Reads the mapping; texts live in request->arena. PX_E_UNKNOWN_OPTION and PX_E_INVALID name the key and its line.
 */
PX_MUST_USE enum px_code px_plugin_settings_read(const struct px_engine_request *request,
                                                 enum px_plugin_kind kind,
                                                 struct px_plugin_settings *ret,
                                                 struct px_err *err);

#endif
