/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the model of a package with an engine's provider. Private to lifecycle. */
#ifndef PX_APPLICATION_LIFECYCLE_PACKAGE_ENGINE_H
#define PX_APPLICATION_LIFECYCLE_PACKAGE_ENGINE_H

#include "application/lifecycle/model_yaml.h"
#include "application/lifecycle/package.h"

struct px_package_source {
    const struct px_model_yaml *yaml; /* empty for a bare file */
    struct px_str folder;
    const struct px_package_options *options;
    const struct px_engine_provider *provider;
};

/* The provider that model.yaml names. PX_E_UNSUPPORTED with the nearest name. */
PX_MUST_USE enum px_code px_package_find_provider(const struct px_model_yaml *yaml,
                                                  const struct px_engines *engines,
                                                  const struct px_engine_provider **ret,
                                                  struct px_err *err);
/* The provider that knows the file at `path`; NULL when none does. */
const struct px_engine_provider *px_package_recognise_provider(const char *path,
                                                               const struct px_engines *engines);

/* Sets the engine, the signature and what is known about the file. What was made so far is px_package_close's on failure. */
PX_MUST_USE enum px_code px_package_open_engine(struct px_package *package,
                                                const struct px_package_source *source,
                                                struct px_err *err);

#endif
