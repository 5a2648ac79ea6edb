/* SPDX-License-Identifier: Apache-2.0 */
/* The diagnosis of ONNX files: whatever the bytes are, its texts are ended, and it ends. */
#include "domain/inference/onnx_diagnosis.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct px_onnx_limits limits = {
        .ir_version_max = 13, .opset_least = 7, .opset_max = 26};
    static struct px_onnx_diagnosis diagnosis;
    struct px_arena arena = px_arena(1 << 16);
    struct px_str bytes = px_str_n((const char *)data, size);
    if (px_onnx_diagnose(bytes, &limits, &arena, &diagnosis, NULL) == PX_OK) {
        for (size_t i = 0; i < diagnosis.n_external; i++) {
            PX_ASSERT(diagnosis.external[i].len > 0);
            px_onnx_report_missing(&diagnosis, diagnosis.external[i], &arena);
        }
        for (size_t i = 0; i < diagnosis.n_findings && !arena.failed; i++)
            PX_ASSERT(strlen(diagnosis.findings[i].message.ptr) ==
                      diagnosis.findings[i].message.len);
    }
    px_arena_deinit(&arena);
    return 0;
}
