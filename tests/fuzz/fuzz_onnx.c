/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX graphs. */
#include "forest_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_forest(data, size, PX_ROUNDS_ALL);
}
