/* SPDX-License-Identifier: Apache-2.0 */
/* What the two providers have in common: the program's, which can install the library, and libphoenix's. Private to this folder. */
#ifndef PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_PROVIDER_H
#define PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_PROVIDER_H

#include "application/ports/engine_provider.h"

bool px_ort_knows(const char *path, struct px_str first_bytes);
PX_MUST_USE enum px_code px_ort_open_model(const struct px_engine_request *request,
                                           struct px_engine **ret, struct px_err *err);
void px_ort_describe(struct px_engine_state *ret);

#endif
