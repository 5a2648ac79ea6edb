/* SPDX-License-Identifier: Apache-2.0 */
/* The engine that calls a plug-in on the run's own thread. Private to this folder. */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_IN_PROCESS_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_IN_PROCESS_H

#include "infrastructure/engines/plugin/settings.h"

PX_MUST_USE enum px_code px_plugin_in_process_open(const struct px_engine_request *request,
                                                   const struct px_plugin_settings *settings,
                                                   const char *library_path, struct px_engine **ret,
                                                   struct px_err *err);

#endif
