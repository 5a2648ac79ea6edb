/* SPDX-License-Identifier: Apache-2.0 */
/* In a file of its own, because installing needs OpenSSL, and libphoenix is to have neither. */
#include "infrastructure/engines/onnxruntime/provider.h"

#include "infrastructure/engines/onnxruntime/install.h"
#include "infrastructure/engines/onnxruntime/onnxruntime.h"
#include "infrastructure/engines/onnxruntime/places.h"

const struct px_engine_provider px_onnxruntime_provider = {
    .name = "onnxruntime",
    .summary = "ONNX models of any kind, by ONNX Runtime",
    .knows = px_ort_knows,
    .open = px_ort_open_model,
    .describe = px_ort_describe,
    .install = px_ort_install,
    .variable = PX_ONNXRUNTIME_VARIABLE,
};
