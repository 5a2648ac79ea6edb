/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the providers of the program and those of libphoenix have in common: all but how a library that was found is opened. Private
 * to this folder.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_PROVIDER_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_PROVIDER_H

#include "infrastructure/engines/plugin/settings.h"

/* Opens a model with the plug-in at `path`. */
typedef enum px_code px_plugin_opener(const struct px_engine_request *request,
                                      const struct px_plugin_settings *settings, const char *path,
                                      struct px_engine **ret, struct px_err *err);

/* Finds the library that the settings name, or the installed one for TorchScript, and opens the model. */
PX_MUST_USE enum px_code px_plugin_open(const struct px_engine_request *request,
                                        px_plugin_opener *open, struct px_engine **ret,
                                        struct px_err *err);
PX_MUST_USE enum px_code px_torchscript_open(const struct px_engine_request *request,
                                             px_plugin_opener *open, struct px_engine **ret,
                                             struct px_err *err);

void px_plugin_describe(struct px_engine_state *ret);
void px_torchscript_describe(struct px_engine_state *ret);
bool px_torchscript_knows(const char *path, struct px_str first_bytes);

#endif
