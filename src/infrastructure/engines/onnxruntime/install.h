/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Installs ONNX Runtime's library: the one file of package.def, checked by its SHA-256, into a folder of engines. Fetching is left to
 * npm and unpacking to tar, as child processes, so whatever registry, proxy and cache npm is set up for are used.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_INSTALL_H
#define PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_INSTALL_H

#include "shared/err.h"

/*
 * `from`: a .tgz of that package or the library itself, NULL fetches it; `into`: a folder, NULL the user's own
 * (places.h). Replaces what is there only once everything is right. PX_E_UNAVAILABLE: no npm or no tar, or npm could not
 * fetch it; PX_E_CORRUPT: another file than the pinned one.
 */
PX_MUST_USE enum px_code px_ort_install(const char *from, const char *into, char *place,
                                        struct px_err *err);

#endif
