/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provider: ONNX models, computed by ONNX Runtime.
 *
 * The library is no part of this program: it is opened at run time, at the first model that needs it (places.h says where it is
 * looked for), so a machine without it serves everything else. `phoenix engine install onnxruntime` gets it.
 *
 * Settings of model.yaml are in settings.h, inputs and outputs that are no plain tensors in session.h, and all of it for
 * users in docs/api/onnx.md.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_ONNXRUNTIME_H
#define PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_ONNXRUNTIME_H

#include "application/ports/engine_provider.h"

extern const struct px_engine_provider px_onnxruntime_provider;
/* For libphoenix: the same, without the means to install the library. */
extern const struct px_engine_provider px_onnxruntime_embedded_provider;

#endif
